"""The simulator of many workers, and what it measures: virtual time, so nothing here depends on a clock."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from benchmarks.scaling import proposal_report, speed_up, utilisation
from benchmarks.scaling.cluster import FREE, Cluster, Costs
from benchmarks.scaling.measures import Measures, Summary
from benchmarks.scaling.problems import ACKLEY20
from benchmarks.scaling.results import append, exponent, read
from benchmarks.scaling.simulated_worker import SimulatedWorker
from benchmarks.scaling.subjects.observations import Observations
from benchmarks.scaling.subjects.race import race
from benchmarks.scaling.subjects.reverie_methods import ReverieMethod
from benchmarks.scaling.workload import SLOWER, Workload
from learning_objective.hartmann import HARTMANN6
from utilities.trial import Outcome, Trial, TrialState

STEADY = Workload(HARTMANN6, seconds=60.0, sigma=0.0)
CENTRE = {f"x{i}": 0.5 for i in range(1, 7)}


def simulate(folder: Path, workload: Workload = STEADY, *, workers: int = 8, costs: Costs = FREE, **settings: object):
    values = {"method": "random", "budget": 40, "trainers": 0, **settings}
    cluster = Cluster(folder, workload, workers=workers, costs=costs, **values)
    return cluster, cluster.run()


def test_a_master_that_takes_no_time_keeps_every_worker_busy(tmp_path: Path) -> None:
    _, summary = simulate(tmp_path)
    assert summary.trials == 40
    assert summary.seconds == pytest.approx(5 * 60.0)
    assert summary.busy == summary.busy_steady == summary.busy_open == pytest.approx(1.0)
    assert summary.load == 0.0


def test_messages_on_their_way_are_idle_time(tmp_path: Path) -> None:
    _, summary = simulate(tmp_path, costs=Costs(charge=0.0, latency=3.0, message=0.0, disk=0.0))
    assert summary.seconds == pytest.approx(5 * 60.0 + 4 * 6.0 + 3.0)
    assert summary.busy == pytest.approx(300.0 / summary.seconds)


def test_what_the_master_does_delays_the_workers(tmp_path: Path) -> None:
    ticks = itertools.count()
    slow = Costs(charge=5.0, latency=0.0, message=0.0, disk=0.0)
    # Each look at this clock takes a second, times 5: a pass of the loop is charged that at least.
    _, summary = simulate(tmp_path, costs=slow, meter=lambda: float(next(ticks)))
    assert summary.wait_ms >= 5000.0
    assert summary.seconds >= 5 * 60.0 + 4 * 5.0
    assert summary.busy_steady < 0.95
    assert 0.05 < summary.load_steady <= 1.0


def test_messages_that_come_while_the_master_works_wait_for_it(tmp_path: Path) -> None:
    one = Costs(charge=0.0, latency=0.0, message=0.0, disk=7.0)
    cluster, summary = simulate(tmp_path, Workload(HARTMANN6, 60.0, 0.2), costs=one)
    assert summary.wait_max_ms > 7000.0
    assert summary.wait_ms >= 7000.0
    assert summary.trials == cluster.measures.ended == 40


def test_stragglers_take_ten_times_as_long(tmp_path: Path) -> None:
    usual, slow = Workload(HARTMANN6, 60.0, 0.5), Workload(HARTMANN6, 60.0, 0.5, stragglers=0.3)
    ratios = [
        slow.evaluate(Trial(n, CENTRE))[0].seconds / usual.evaluate(Trial(n, CENTRE))[0].seconds for n in range(400)
    ]
    assert set(np.round(ratios, 9)) == {1.0, SLOWER}
    assert 0.3 - 4 * math.sqrt(0.21 / 400) < np.mean(np.array(ratios) > 1.0) < 0.3 + 4 * math.sqrt(0.21 / 400)
    _, summary = simulate(tmp_path, Workload(HARTMANN6, 60.0, 0.0, stragglers=1.0))
    assert summary.seconds == pytest.approx(5 * 600.0)


def test_durations_have_the_mean_that_was_asked_for() -> None:
    workload = Workload(HARTMANN6, seconds=60.0, sigma=0.5)
    seconds = [workload.evaluate(Trial(n, CENTRE))[0].seconds for n in range(3000)]
    error = 60.0 * math.sqrt((math.exp(0.25) - 1.0) / 3000)
    assert abs(np.mean(seconds) - 60.0) < 4 * error
    assert np.std(np.log(seconds)) == pytest.approx(0.5, rel=0.06)


def test_failures_are_told_and_never_the_incumbent(tmp_path: Path) -> None:
    cluster, _ = simulate(tmp_path, Workload(HARTMANN6, 60.0, 0.0, failures=0.4, seed=3), budget=100)
    failed = [n for n in range(100) if cluster._workload.evaluate(Trial(n, CENTRE))[0].state is TrialState.FAIL]
    assert 20 < len(failed) < 60
    assert cluster.master.ledger.states[TrialState.FAIL] == len(failed)
    _, nothing = simulate(tmp_path / "all", Workload(HARTMANN6, failures=1.0), max_consecutive_failures=10)
    assert nothing.best == math.inf
    assert nothing.trials < 40


@pytest.mark.parametrize("method", ["random", "gp"])
def test_without_charges_a_seed_gives_the_same_run(tmp_path: Path, method: str) -> None:
    workload = Workload(HARTMANN6, stragglers=0.1, failures=0.1)
    costs = Costs(charge=0.0)
    runs = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        cluster, summary = simulate(tmp_path / name, workload, costs=costs, method=method, seed=seed, budget=18)
        runs.append((asdict(summary), cluster.measures.curve))
    assert str(runs[0]) == str(runs[1])
    assert str(runs[0]) != str(runs[2])


@pytest.mark.parametrize("trainers", [1, 2])
def test_trainers_fit_elsewhere_and_on_their_own_clocks(tmp_path: Path, trainers: int) -> None:
    cluster, summary = simulate(tmp_path, method="dngo", trainers=trainers, budget=24, costs=Costs())
    assert summary.fits >= trainers
    assert sorted(cluster._trainers) == list(range(1, trainers + 1))
    assert summary.fit_seconds > 0.0
    assert cluster.trainer_megabytes > 50.0
    assert cluster.optimizer.fits["dngo"].rows >= 3


def test_a_run_to_a_target_ends_with_the_outcome_that_reaches_it(tmp_path: Path) -> None:
    cluster, full = simulate(tmp_path / "full", budget=64)
    target = cluster.measures.incumbents(64)[20]
    early = Cluster(tmp_path / "early", STEADY, workers=8, trainers=0, costs=FREE, method="random", budget=64)
    summary = early.run(target)
    assert summary.best == target
    assert summary.trials < full.trials


def test_what_is_measured_of_intervals_that_overlap_the_steady_part() -> None:
    measures = Measures(workers=2)
    for idle_since, began, ended in ((0.0, 1.0, 11.0), (0.0, 2.0, 22.0), (11.0, 12.0, 32.0), (22.0, 24.0, 44.0)):
        measures.evaluation(idle_since, began, ended)
    measures.work(0.0, 2.0)
    measures.work(23.0, 25.0)
    summary = measures.summary([0.001, 0.003])
    assert summary.seconds == 44.0
    assert summary.busy == pytest.approx(70.0 / 88.0)
    assert summary.busy_open == pytest.approx((10.0 + 20.0 + 12.0) / 48.0)
    assert summary.busy_steady == pytest.approx((9.0 + 20.0 + 12.0) / 44.0)
    assert summary.load == pytest.approx(4.0 / 44.0)
    assert summary.load_steady == pytest.approx(1.0 / 22.0)  # of 2 to 24
    assert (summary.wait_ms, summary.wait_max_ms, summary.proposal_ms) == (1500.0, 2000.0, 2.0)


def test_a_worker_gives_back_what_it_has_not_begun_and_moves_up_what_follows() -> None:
    worker, outcome = SimulatedWorker(), Outcome(TrialState.COMPLETE, 0.0, seconds=10.0)
    first, second, third = (worker.hold(number, outcome, 0.0, arrived=1.0)[0] for number in range(3))
    assert [(turn.began, turn.ended) for turn in (first, second, third)] == [(1.0, 11.0), (11.0, 21.0), (21.0, 31.0)]
    first.announced, second.announced, third.announced = 1, 2, 3
    assert worker.recall(0, now=5.0) == (False, ())
    given_back, moved = worker.recall(1, now=5.0)
    assert given_back
    assert list(moved) == [third]
    assert (third.idle_since, third.began, third.ended) == (11.0, 11.0, 21.0)
    third.announced = 4
    assert worker.end(0, 1) is first
    assert worker.end(1, 2) is None
    assert worker.end(2, 3) is None
    assert worker.end(2, 4) is third
    assert worker.hold(3, outcome, 0.0, arrived=30.0)[0].idle_since == 21.0


def test_short_evaluations_are_held_by_workers_and_none_is_lost(tmp_path: Path) -> None:
    costs = Costs(charge=0.0, latency=0.01, message=0.0, disk=0.0)
    cluster, summary = simulate(tmp_path, Workload(HARTMANN6, 0.05, 0.5), costs=costs, budget=400)
    assert summary.trials == cluster.master.ledger.ended == 400
    assert cluster.master.ledger.states[TrialState.COMPLETE] == 400
    # Without holding, each would wait for two messages: 20 ms of 70.
    assert summary.wait_ms == 0.0
    assert summary.busy_steady > 0.9


def test_incumbents_count_failures_as_evaluations() -> None:
    measures = Measures(workers=1)
    for value in (math.inf, 2.0, 3.0, 1.0):
        measures.outcome(0.0, value)
    assert measures.incumbents(5).tolist() == [math.inf, 2.0, 2.0, 1.0, 1.0]


@pytest.mark.parametrize("wrong", [{"seconds": 0.0}, {"sigma": -0.1}, {"stragglers": 1.1}, {"failures": -0.1}])
def test_a_workload_that_cannot_be_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        Workload(HARTMANN6, **wrong)


def test_ackley_has_its_minimum_where_it_says() -> None:
    (minimiser,) = ACKLEY20.minimisers
    assert ACKLEY20.function(minimiser) == pytest.approx(0.0, abs=1e-12)
    points = np.random.default_rng(0).random((200, 20))
    assert all(ACKLEY20.function({f"x{i + 1}": v for i, v in enumerate(row)}) > 1.0 for row in points)


# --- the cost of a proposal -------------------------------------------------------------------------------------------


def test_the_exponent_of_a_power_is_its_own() -> None:
    assert exponent([100, 1000, 10_000], [2.0 * n**1.5 for n in (100, 1000, 10_000)]) == pytest.approx(1.5)
    assert math.isnan(exponent([100], [1.0]))


class Counted:
    """An optimiser that is asked and told, and remembers in which order."""

    version = "counted 1"

    def __init__(self) -> None:
        self.loaded, self.asked, self.told = 0, 0, list[int]()

    def load(self, x: np.ndarray, y: np.ndarray) -> list[tuple[str, int, float]]:
        self.loaded += len(x)
        return [("kind", self.loaded + len(self.told), 0.5)] if self.loaded % 40 == 0 else []

    def ask(self, count: int) -> list[tuple[int, list[float]]]:
        self.asked += count
        return [(number, [0.5] * 6) for number in range(self.asked - count, self.asked)]

    def tell(self, number: int, value: float) -> None:
        self.told.append(number)


def test_a_race_keeps_its_trials_pending_and_replaces_the_oldest(capsys: pytest.CaptureFixture[str]) -> None:
    counted = Counted()
    race(counted, pending=6, batch=2, sizes=[50, 300], most_seconds=60.0)
    out = capsys.readouterr().out
    assert counted.told == list(range(len(counted.told)))
    assert counted.asked == len(counted.told) + 6
    assert '"observations": 50' in out
    assert '"observations": 300' in out
    assert '"fit": "kind"' in out
    # One round first, then as many as let 50 and 300 grow by a fifth.
    assert len(counted.told) == 2 * (1 + 5) + 2 * (1 + 30)
    assert counted.loaded + len(counted.told) == 300 + 2 * (1 + 30)


def test_a_race_ends_where_a_refit_takes_too_long(capsys: pytest.CaptureFixture[str]) -> None:
    race(Counted(), pending=1, batch=1, sizes=[100, 200], most_seconds=0.4)
    assert '"observations": 100' not in capsys.readouterr().out


def test_our_method_is_raced_with_its_refits_apart() -> None:
    method, source = ReverieMethod("gp"), Observations(0)
    assert [(kind, rows) for kind, rows, _ in method.load(*source.draw(30))] == [("gp", 30)]
    first = method.ask(4)
    assert [number for number, _ in first] == [30, 31, 32, 33]
    for number, point in first:
        method.tell(number, source.observe(point))
    assert [(kind, rows) for kind, rows, _ in method.load(*source.draw(1))] == [("gp", 35)]


# --- tables -----------------------------------------------------------------------------------------------------------


def test_rows_are_kept_as_they_come(tmp_path: Path) -> None:
    append(tmp_path / "a" / "rows.csv", [{"x": 1, "y": 0.123456789}])
    append(tmp_path / "a" / "rows.csv", [{"x": 2, "y": math.inf}])
    assert read(tmp_path / "a" / "rows.csv") == [{"x": "1", "y": "0.12346"}, {"x": "2", "y": "inf"}]
    assert read(tmp_path / "none.csv") == []


def test_the_totals_of_refits_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposal_report, "FITS", tmp_path / "refits.csv")
    for rows, seconds in ((100, 1.0), (200, 2.0), (400, 4.0)):
        row = {"subject": "dngo", "pending": 1, "batch": 1, "fit": "dngo", "observations": rows, "seconds": seconds}
        append(tmp_path / "refits.csv", [row])
    assert proposal_report.refits() == {("dngo", "dngo"): {100: 1.0, 200: 3.0, 400: 7.0}}


def test_the_speed_up_is_that_of_medians_over_shared_seeds() -> None:
    slow, fast = {0: 100.0, 1: 110.0, 2: 120.0, 3: 1e9}, {0: 10.0, 1: 11.0, 2: 12.0}
    middle, low, high = speed_up.ratio(slow, fast)
    assert middle == pytest.approx(10.0)
    assert low == pytest.approx(10.0)
    assert high == pytest.approx(10.0)
    assert speed_up.ratio({0: math.inf, 1: math.inf}, {0: 1.0, 1: 1.0})[0] == math.inf


def test_one_run_makes_a_row_of_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utilisation, "RUNS", tmp_path / "runs.csv")
    found = utilisation.measure("random", 10, 30, 60.0, FREE, str(tmp_path))
    append(utilisation.RUNS, [{"workers": 10, "method": "random", "mean": 60.0, **found["row"]}])
    cells = utilisation._row(read(utilisation.RUNS)[0], found["curve"][-1][1])
    assert cells[:3] == ("10", "random", "30")
    assert set(asdict(Measures(10).summary([]))) <= set(found["row"])
    assert isinstance(found["row"]["seconds"], float)
    assert [at for at, _ in found["curve"]][-1] == 30
    assert Summary.__dataclass_fields__.keys() <= found["row"].keys()
