"""The regret benchmark: its schedule, its records, its problems and its drivers."""

import itertools
import math
import sys
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from regret_records import record

from benchmarks.regret import records, references, runner
from benchmarks.regret.driver import Driver, PeerError
from benchmarks.regret.peers.flat import Encoding, drop_inactive, parents_first, place_of, value_at
from benchmarks.regret.peers.loop import Worst
from benchmarks.regret.problem import Crash, Problem, Reference
from benchmarks.regret.problems import bbob, grids, mixint, synthetic, tables
from benchmarks.regret.records import Record
from benchmarks.regret.schedule import completions, durations
from benchmarks.regret.subsets import CORE, OPTIMISERS, Run, matches, plan
from reverie import Space

SYNTHETIC = {problem.name: problem for problem in synthetic.problems()}
UNIT = {"x1": {"type": "float", "low": 0.0, "high": 1.0}}


class Counter:
    """Asks for 1, 2, 3, ..."""

    version = "counter 1"

    def start(self, problem: Problem, seed: int, budget: int, pending: int) -> None:
        self.asked, self.told = 0, []

    def ask(self):
        self.asked += 1
        return self.asked, {"x1": self.asked / 100}, 0.5

    def tell(self, number, value):
        self.told.append((number, value))
        return 0.25


def test_completions_come_in_order_of_their_ends() -> None:
    asked = itertools.count(1)
    ends = [(done.number, done.time) for done in completions(lambda: (next(asked), {}), [5.0, 1.0, 3.0, 1.0], 2)]
    assert ends == [(2, 1.0), (3, 4.0), (1, 5.0), (4, 5.0)]


@pytest.mark.parametrize("pending", [1, 3, 16])
def test_workers_are_always_busy(pending: int) -> None:
    asked: list[int] = []

    def ask() -> tuple[int, dict]:
        asked.append(len(asked) + 1)
        return asked[-1], {}

    ended = 0
    for done in completions(ask, durations("branin", 1, 50), pending):
        assert len(asked) - ended == min(pending, 50 - ended)
        assert done.id == done.number
        ended += 1
    assert ended == 50


def test_durations_depend_on_problem_seed_and_number_only() -> None:
    assert durations("branin", 3, 10) == durations("branin", 3, 200)[:10]
    assert durations("branin", 3, 10) != durations("branin", 4, 10)
    assert durations("branin", 3, 10) != durations("hartmann3", 3, 10)
    logs = np.log(durations("branin", 0, 4000))
    assert abs(logs.mean()) < 5 * 0.5 / math.sqrt(4000)
    assert abs(logs.std() - 0.5) < 5 * 0.5 / math.sqrt(8000)


def test_a_run_records_improvements_failures_and_seconds() -> None:
    def true(config):
        if config["x1"] < 0.02:
            raise Crash
        return abs(config["x1"] - 0.04)

    problem = Problem("ramp", "test", UNIT, true, 0.0, "")
    counter = Counter()
    found = runner.execute(counter, problem, Run("random", "ramp", 1, 0, 6))
    assert found.failed == (1,)
    assert [number for number, _ in found.improvements] == [2, 3, 4]
    assert [value for _, value in found.improvements] == pytest.approx([0.02, 0.01, 0.0])
    assert counter.told[0] == (1, None)
    assert found.cpu_total == pytest.approx(6 * 0.75)
    assert found.cpu_median == 0.75


def test_regret_is_judged_without_noise() -> None:
    problem = Problem("noisy", "test", UNIT, lambda c: c["x1"], 0.0, "", noise=lambda value, rng: -value)
    found = runner.execute(Counter(), problem, Run("random", "noisy", 1, 0, 3))
    assert found.improvements == ((1, 0.01), (2, 0.02), (3, 0.03))


def test_noise_is_the_same_for_every_optimiser() -> None:
    noisy, config = SYNTHETIC["hartmann6-noisy"], {f"x{i}": 0.5 for i in range(1, 7)}
    assert runner.evaluate(noisy, config, 1, 5) == runner.evaluate(noisy, config, 1, 5)
    draws = [runner.evaluate(noisy, config, 1, number) - noisy.true(config) for number in range(2000)]
    assert abs(np.std(draws) - 0.1) < 5 * 0.1 / math.sqrt(4000)


def test_an_optimiser_that_raises_keeps_what_it_has() -> None:
    class Raising(Counter):
        def ask(self):
            if self.asked == 4:
                raise PeerError("out of ideas")
            return super().ask()

    problem = Problem("ramp", "test", UNIT, lambda c: c["x1"], 0.0, "")
    found = runner.execute(Raising(), problem, Run("random", "ramp", 1, 0, 10))
    assert found.evaluations == 4
    assert found.error == "out of ideas"


def test_records_survive_the_way_to_disk(tmp_path: Path) -> None:
    written = [
        Record(
            "a", 16, 2, 100, ((1, 1.2345678), (7, -3.3223679), (80, 1e-9)), (3, 9), 12.25, 0.125, "x 1, y", "a: b,\nc"
        ),
        Record("b", 1, 0, 0, (), (), 0.0, 0.0, "x 1"),
    ]
    for entry in written:
        records.append("peer", entry, tmp_path)
    found = records.read("peer", tmp_path)
    assert found[0].error == "a: b, c"
    assert found[0].improvements == written[0].improvements
    assert found[0].failed == (3, 9)
    assert found[1] == written[1]


def test_incumbents_hold_until_the_next() -> None:
    values = record("a", 0, (2, 5.0), (4, 3.0)).incumbents(5)
    assert np.isnan(values[0])
    assert values[1:].tolist() == [5.0, 5.0, 3.0, 3.0]


def test_a_finished_run_is_not_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = plan([SYNTHETIC["branin"], SYNTHETIC["hartmann3"]], ["random", "sobol"], [1], seeds=2)
    executed: list[Run] = []

    def submit(run: Run) -> Future[Record]:
        executed.append(run)
        future: Future[Record] = Future()
        future.set_result(record(run.problem, run.seed, (1, 1.0)))
        return future

    def waiting() -> list[Run]:
        missing = records.unfinished([(run.optimiser, (run.problem, run.pending, run.seed)) for run in runs], tmp_path)
        return [run for run, is_missing in zip(runs, missing, strict=True) if is_missing]

    runner.drain(waiting()[:3], submit, 2, math.inf, tmp_path)
    runner.drain(waiting(), submit, 2, math.inf, tmp_path)
    assert executed == runs
    assert waiting() == []
    assert runner.drain(runs, submit, 1, -math.inf, tmp_path) == 0


def test_the_plan_is_balanced_wherever_it_stops() -> None:
    problems = [SYNTHETIC["branin"], Problem("bbob-f01-d05", "bbob", UNIT, len, 0.0, "")]
    job = Problem("train-x", "training", UNIT, len, None, "", training=True)
    runs = plan([*problems, job], ["optuna-gp", "random"], [1, 16])
    assert [run.seed for run in runs] == sorted(run.seed for run in runs)
    first = [(run.problem, run.pending, run.optimiser) for run in runs if run.seed == 0]
    assert first[:4] == [("branin", p, name) for p in (1, 16) for name in ("random", "optuna-gp")]
    assert first[-1][0] == "train-x"
    assert all(run.pending == 1 and run.evaluations == 50 for run in runs if run.problem == "train-x")
    assert len([run for run in runs if run.optimiser == "random" and run.pending == 16]) == 2 * 10
    assert len({(run.optimiser, run.problem, run.pending, run.seed) for run in runs}) == len(runs)


@pytest.mark.parametrize("name", ["branin-crash", "hartmann6-crash"])
def test_about_three_tenths_crash_and_no_minimum_does(name: str) -> None:
    problem = SYNTHETIC[name]
    configs, _ = references.sample_values(problem, 4000)
    assert abs(1 - len(configs) / 4000 - 0.3) < 5 * math.sqrt(0.21 / 4000)
    benchmark = synthetic.BRANIN if name.startswith("branin") else synthetic.HARTMANN6
    for minimiser in benchmark.minimisers:
        assert problem.true(minimiser) == pytest.approx(problem.best, abs=1e-6)


@pytest.mark.parametrize("problem", SYNTHETIC.values(), ids=SYNTHETIC)
def test_stored_references_are_what_is_measured(problem: Problem) -> None:
    stored, measured = references.read()[problem.name], references.measure(problem)
    assert stored.best == measured.best
    assert stored.median == pytest.approx(measured.median, rel=1e-6)


def test_normalised_regret() -> None:
    reference = Reference(best=2.0, median=6.0)
    assert [reference.regret(value) for value in (2.0, 4.0, 6.0, 10.0, 1.9)] == [0.0, 0.5, 1.0, 2.0, 0.0]


def test_a_grid_is_read_by_places_along_its_axes(tmp_path: Path) -> None:
    (tmp_path / "grid.csv").write_text("b,a,loss,seconds\n10,0.5,3,1\n10,0.1,4,1\n2,0.5,1,1\n2,0.1,2,1\n")
    problem = grids.grid_problem("grid", tmp_path / "grid.csv", ("a", "b"), "loss")
    assert problem.space["a"] == {"type": "int", "low": 0, "high": 1}
    assert [problem.true({"a": a, "b": b}) for a in (0, 1) for b in (0, 1)] == [2.0, 4.0, 1.0, 3.0]
    assert problem.best == 1.0
    with pytest.raises(FileNotFoundError):
        grids.problems(tmp_path)


def test_a_table_is_read_in_the_order_of_the_product_of_its_axes() -> None:
    axes = {"kind": ["p", "q"], "size": [16, 32, 64]}
    problem = tables.table_problem("table", "fcnet", axes, np.arange(6.0))
    assert problem.space["size"] == {"type": "int", "low": 0, "high": 2}
    for i, (kind, size) in enumerate(itertools.product(["p", "q"], range(3))):
        assert problem.true({"kind": kind, "size": size}) == i


def test_noise_of_bbob_is_that_of_the_suite() -> None:
    pytest.importorskip("ioh")
    cocoex = pytest.importorskip("cocoex")
    suite = cocoex.Suite("bbob-noisy", "instances:1", "dimensions:5")
    ours = {problem.name: problem for problem in bbob.problems() if problem.name.endswith("d05")}
    config = {f"x{i}": 0.7 for i in range(1, 6)}
    rng = np.random.default_rng(0)
    for number in (101, 107, 109, 110, 111, 128):
        theirs = suite.get_problem_by_function_dimension_instance(number, 5, 1)
        problem = ours[f"bbob-noisy-f{number}-d05"]
        draws = [problem.function(config, rng) - problem.best for _ in range(4000)]
        expected = [theirs([0.7] * 5) - problem.best for _ in range(4000)]
        for level in (0.1, 0.25, 0.5, 0.75, 0.9):
            share = np.mean(np.array(expected) <= np.quantile(draws, level) * (1 + 1e-9))
            assert abs(share - level) < 0.05 or np.isclose(np.quantile(draws, level), np.quantile(expected, level))


def test_no_random_point_of_mixint_is_below_its_minimum() -> None:
    pytest.importorskip("cocoex")
    for problem in mixint.problems():
        assert min(references.sample_values(problem, 100)[1]) > problem.best


def test_patterns_name_problems_that_exist() -> None:
    stored = references.read()
    patterns = {*CORE, *(p for entry in OPTIMISERS.values() for several in entry.problems.values() for p in several)}
    assert [pattern for pattern in patterns if not any(matches(name, [pattern]) for name in stored)] == []


CONDITIONAL = {
    "depth": {"type": "int", "low": 1, "high": 3, "when": {"model": ["tree", "forest"]}},
    "model": {"type": "categorical", "choices": ["line", "tree", "forest"]},
    "leaf": {"type": "float", "low": 1e-3, "high": 1.0, "log": True, "when": {"model": "forest", "depth": 3}},
}


def test_inactive_parameters_are_dropped() -> None:
    flat = {"depth": 2, "model": "line", "leaf": 0.1}
    assert drop_inactive(CONDITIONAL, flat) == {"model": "line"}
    assert drop_inactive(CONDITIONAL, flat | {"model": "forest"}) == {"model": "forest", "depth": 2}
    full = drop_inactive(CONDITIONAL, flat | {"model": "forest", "depth": 3})
    assert Space.from_dict(CONDITIONAL).validate(full) == full
    with pytest.raises(ValueError, match="circle"):
        parents_first({"a": {"when": {"b": 1}}, "b": {"when": {"a": 1}}})


def test_values_and_places_are_inverse() -> None:
    space = Space.from_dict(CONDITIONAL)
    for unit in np.random.default_rng(0).random(50):
        for name, row in CONDITIONAL.items():
            value = value_at(row, unit)
            same = pytest.approx(value, rel=1e-9) if row["type"] == "float" else value
            assert space.parameters[name].value(unit) == same
            assert value_at(row, place_of(row, value)) == same


def test_encoding_is_one_hot_in_categories() -> None:
    encoding = Encoding(CONDITIONAL)
    flat = {"depth": 3, "model": "tree", "leaf": 1.0}
    assert encoding.columns == 5
    assert encoding.encode(flat)[1:] == [0.0, 1.0, 0.0, 1.0]
    assert encoding.decode(encoding.encode(flat)) == flat


def test_failures_are_told_as_the_worst_value() -> None:
    worst = Worst()
    assert worst.settle(1, None) == []
    assert worst.settle(2, 3.0) == [(2, 3.0), (1, 3.0)]
    assert worst.settle(3, 7.0) == [(3, 7.0)]
    assert worst.settle(4, None) == [(4, 7.0)]


def stand_in(folder: Path, command: str) -> Path:
    """Folder with an environment whose python is `command`."""
    python = folder / ".venv-bench-main" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\nexec {command}\n")
    python.chmod(0o755)
    return folder


def test_a_driver_serves_several_runs(tmp_path: Path) -> None:
    problem, run = SYNTHETIC["branin-crash"], Run("random", "branin-crash", 4, 1, 12)
    with closing(Driver("random", stand_in(tmp_path, f'{sys.executable} "$@"'), tmp_path / "log")) as driver:
        first, second = (runner.execute(driver, problem, run) for _ in range(2))
    assert (first.error, first.evaluations) == ("", 12)
    assert first.improvements == second.improvements
    assert first.failed == second.failed != ()
    assert first.versions.startswith("scipy")


@pytest.mark.parametrize(
    ("command", "said"), [("sleep 60", r"no answer within 1 s"), ('sh -c "exit 3"', "ended with status 3")]
)
def test_a_driver_that_hangs_or_ends_says_so(command: str, said: str, tmp_path: Path) -> None:
    with closing(Driver("random", stand_in(tmp_path, command), tmp_path / "log", limit=1.0)) as driver:
        with pytest.raises(PeerError, match=said):
            driver.start(SYNTHETIC["branin"], 0, 10, 1)
        assert not driver.alive
