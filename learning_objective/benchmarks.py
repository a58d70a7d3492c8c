"""Every benchmark by its name. Importing this loads neither numpy nor torch: the digits load them when evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from learning_objective.benchmark import Benchmark
from learning_objective.branin import BRANIN
from learning_objective.digits import DIGITS
from learning_objective.gaussian_mix import GAUSSIAN_MIX
from learning_objective.gaussian_process import GAUSSIAN_PROCESS
from learning_objective.hartmann import HARTMANN3, HARTMANN4, HARTMANN6

__all__ = ["BENCHMARKS", "Benchmark", "benchmark_table"]

BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType(
    {
        benchmark.name: benchmark
        for benchmark in (BRANIN, HARTMANN3, HARTMANN4, HARTMANN6, GAUSSIAN_MIX, GAUSSIAN_PROCESS, DIGITS)
    }
)


def benchmark_table() -> str:
    """Table of the benchmarks: name, dimension, known minimum, default budget, source."""
    rows = [("name", "dimension", "minimum", "budget", "source")]
    for benchmark in BENCHMARKS.values():
        minimum = "unknown" if benchmark.minimum is None else f"{benchmark.minimum:.6g}"
        rows.append((benchmark.name, str(len(benchmark.space)), minimum, str(benchmark.budget), benchmark.source))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join("  ".join([*map(str.ljust, row, widths), row[4]]) for row in rows)
