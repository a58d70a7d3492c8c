import json
import math
import subprocess
import sys
from pathlib import Path

import pytest
from scipy.stats import qmc

from learning_objective.benchmarks import BENCHMARKS, Benchmark
from learning_objective.loading import adapt
from utilities.space import Space

PROJECT = Path(__file__).parent.parent
ANALYTIC = [benchmark for benchmark in BENCHMARKS.values() if benchmark.minimum is not None]


def bounds(benchmark: Benchmark, name: str) -> tuple[float, float]:
    return benchmark.space[name]["low"], benchmark.space[name]["high"]


def slope(benchmark: Benchmark, at: dict, name: str) -> float:
    """Central difference, in units of the parameter's range."""
    low, high = bounds(benchmark, name)
    step = 1e-5 * (high - low)
    above, below = ({**at, name: at[name] + sign * step} for sign in (1, -1))
    return (benchmark.function(above) - benchmark.function(below)) / 2e-5


@pytest.mark.parametrize("benchmark", ANALYTIC, ids=lambda benchmark: benchmark.name)
def test_minimum_is_the_minimum(benchmark: Benchmark) -> None:
    assert benchmark.minimisers
    for at in benchmark.minimisers:
        assert at.keys() == benchmark.space.keys()
        assert benchmark.function(at) == pytest.approx(benchmark.minimum, abs=1e-12)
        for name in at:
            low, high = bounds(benchmark, name)
            assert low <= at[name] <= high
            if low < at[name] < high:
                assert slope(benchmark, at, name) == pytest.approx(0.0, abs=1e-4)
    lows, highs = zip(*(bounds(benchmark, name) for name in benchmark.space), strict=True)
    for row in qmc.scale(qmc.Sobol(benchmark.dimension, seed=0).random(512), lows, highs):
        assert benchmark.function(dict(zip(benchmark.space, row, strict=True))) >= benchmark.minimum


@pytest.mark.parametrize("benchmark", BENCHMARKS.values(), ids=lambda benchmark: benchmark.name)
def test_benchmark_is_usable(benchmark: Benchmark) -> None:
    assert BENCHMARKS[benchmark.name] is benchmark
    assert benchmark.budget > 0
    assert benchmark.source
    Space.from_dict(benchmark.space)
    adapt(benchmark.function, benchmark.name)


@pytest.mark.parametrize(
    ("name", "at", "value"),
    [
        # Virtual Library of Simulation Experiments
        ("branin", (-3.141593, 12.275), 0.397887),
        ("hartmann3", (0.114614, 0.555649, 0.852547), -3.86278),
        ("hartmann6", (0.20169, 0.150011, 0.476874, 0.275332, 0.311652, 0.6573), -3.32237),
        # STK, stk_testfun_hartman4, rescaled
        ("hartmann4", (0.18744768, 0.19414868, 0.558005333, 0.26476409), (1.1 - 3.729840440436292) / 0.839),
    ],
)
def test_published_values(name: str, at: tuple[float, ...], value: float) -> None:
    config = {f"x{i}": x for i, x in enumerate(at, 1)}
    assert BENCHMARKS[name].function(config) == pytest.approx(value, abs=5e-6)


def test_hartmann4_is_rescaled_to_mean_0_and_variance_1() -> None:
    hartmann4 = BENCHMARKS["hartmann4"].function
    values = [hartmann4({f"x{i}": x for i, x in enumerate(row, 1)}) for row in qmc.Sobol(4, seed=0).random(4096)]
    mean = math.fsum(values) / len(values)
    assert mean == pytest.approx(0.0, abs=0.1)
    assert math.fsum((value - mean) ** 2 for value in values) / len(values) == pytest.approx(1.0, abs=0.1)


def test_listing_the_benchmarks_loads_nothing_heavy() -> None:
    program = "import sys, json, learning_objective.benchmarks; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert not {"numpy", "scipy", "torch", "mpi4py"} & set(json.loads(done.stdout))
