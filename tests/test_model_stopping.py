"""Trials that a model gives up: the rule against the same written out, what it costs, and what a study makes of it."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpi_runs import Launcher, Studio, launchers
from scipy.stats import norm
from virtual_cluster import Cluster

from mpi.mpi_definitions import Done, Evaluate, Fit, Ready, Report, Start, Stop, TrainerDuty
from mpi.mpi_refits import Refits
from mpi.mpi_trainer import Trainer
from utilities.early_stopping import EarlyStopping
from utilities.foresight import OptimizerForesight
from utilities.model_stopping import APART
from utilities.optimizer import Optimizer
from utilities.stopping_rule import Settings
from utilities.trial import Outcome, TrialState

SPACE: dict[str, Any] = {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "y": {"type": "float", "low": 0.0, "high": 1.0},
}
LENGTH = 16


class Gaussians:
    """A model that foresees a Gaussian of each trial, or nothing."""

    def __init__(self, foreseen: dict[int, tuple[float, float]] | None, incumbent: float = 0.0) -> None:
        self.foreseen, self.incumbent, self.calls = foreseen, incumbent, 0

    def chances(self, numbers):
        self.calls += 1
        if self.foreseen is None:
            return None
        return [norm.cdf(self.incumbent, *self.foreseen[number]) for number in numbers]

    def chance_among(self, number, others, best):
        if self.foreseen is None:
            return None
        cutoff = sorted(self.foreseen[other][0] for other in others)[best - 1]
        return norm.cdf(cutoff, *self.foreseen[number])


def stopping(rule: str, **settings: Any) -> EarlyStopping:
    return EarlyStopping(Settings(rule=rule, **settings), "minimize", seed=3)


PLACES = st.tuples(st.floats(-3.0, 3.0), st.floats(0.1, 2.0))


@settings(deadline=None)
@given(st.lists(PLACES, min_size=1, max_size=8), st.floats(0.01, 0.5))
def test_the_rule_ends_those_whose_probability_to_beat_the_incumbent_is_below_the_one_given(
    places, probability
) -> None:
    rule, model = stopping("model", probability=probability), Gaussians(dict(enumerate(places)))
    for number in range(len(places)):
        assert not rule.report(number, 1, 0.0)
    expected = [n for n, (mean, sd) in enumerate(places) if 0.5 * math.erfc(mean / sd / math.sqrt(2.0)) < probability]
    assert rule.judge(model, range(len(places))) == expected
    assert rule.judge(model, range(len(places))) == []
    assert model.calls == 1


def test_before_the_model_knows_enough_it_ends_what_is_no_number_alone() -> None:
    rule = stopping("model", min_steps=2)
    for number, (step, value) in enumerate([(1, math.nan), (2, 1e9), (2, math.nan), (2, 0.0)]):
        assert not rule.report(number, step, value)
    assert rule.judge(Gaussians(None), range(4)) == [2]


@settings(deadline=None)
@given(st.lists(PLACES, min_size=2, max_size=9), st.integers(2, 4))
def test_guided_rungs_are_ranked_by_what_is_foreseen(places, eta) -> None:
    rule = stopping("asha", guided=True, eta=eta)
    for number, (mean, sd) in enumerate(places):
        rule.report(number, 1, -float(number))  # each better than those before by its value
        foreseen = dict(enumerate(places[: number + 1]))
        cutoff = sorted(m for m, _ in foreseen.values())[max(1, (number + 1) // eta) - 1]
        assert rule.judge(Gaussians(foreseen), [number]) == ([number] if norm.cdf(cutoff, mean, sd) < 0.5 else [])


def test_a_classic_rule_with_a_probability_ends_what_either_would() -> None:
    model = Gaussians({0: (0.0, 1.0), 1: (9.0, 1.0), 2: (0.0, 1.0)})
    rule = stopping("threshold", upper=1.0, probability=0.05)
    for number, value in enumerate((0.5, 0.5, 1.5)):
        assert not rule.report(number, 1, value)
    assert rule.judge(model, [0, 1, 2]) == [1, 2]


@pytest.mark.parametrize(("first", "length"), [(1, 1000), (10, 1000)])
def test_what_a_curve_costs_grows_with_the_logarithm_of_its_length(first: int, length: int) -> None:
    rule, model = stopping("model", min_steps=first), Gaussians({0: (0.0, 1.0)})
    judged = 0
    for step in range(1, length + 1):
        rule.report(0, step, 0.0)
        before = model.calls
        rule.judge(model, [0])
        judged += model.calls - before
        assert step >= first or not judged
    assert judged <= 4 + math.log(length / first) / math.log(APART)


def test_however_many_reports_came_the_model_is_asked_once() -> None:
    rule, model = stopping("model"), Gaussians(dict.fromkeys(range(500), (0.0, 1.0)))
    for step in range(1, 11):
        for number in range(500):
            rule.report(number, step, 0.0)
    rule.judge(model, range(500))
    assert model.calls == 1


def test_one_that_ended_meanwhile_or_is_not_running_is_not_stopped() -> None:
    rule, model = stopping("model"), Gaussians({0: (9.0, 1.0), 1: (9.0, 1.0), 2: (9.0, 1.0)})
    for number in range(3):
        rule.report(number, 1, 0.0)
    rule.end(0, complete=True)
    assert rule.judge(model, [0, 2]) == [2]
    assert not rule.report(2, 2, 0.0)


# --- with a model -----------------------------------------------------------------------------------------------------


def value(config: dict[str, Any], step: int) -> float:
    return float((config["x"] - 0.3) ** 2 + config["y"] + (0.5 + config["y"]) / step)


def taught(trials: int, direction: Any = "minimize") -> Optimizer:
    optimizer = Optimizer(SPACE, "gp", 1, direction=direction, initial=5, max_steps=LENGTH)
    sign = 1.0 if direction == "minimize" else -1.0
    for _ in range(trials):
        trial = optimizer.ask()
        for step in range(1, LENGTH + 1):
            optimizer.report(trial, step, sign * value(trial.config, step))
        optimizer.tell(trial, sign * value(trial.config, LENGTH))
    return optimizer


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_chances_are_those_of_the_mixture_that_is_foreseen(direction: Any) -> None:
    optimizer = taught(9, direction)
    numbers = [optimizer.ask().number for _ in range(3)]
    chances = OptimizerForesight(optimizer).chances(numbers)
    forecast = optimizer.forecast(numbers)
    assert chances is not None
    assert forecast is not None
    assert optimizer.bound is not None
    level = float(forecast.transform.apply([optimizer.bound])[0])  # type: ignore[arg-type]
    for i, chance in enumerate(chances):
        parts = [
            norm.cdf(level, mean, math.sqrt(variance))
            for mean, variance in zip(forecast.mean[:, i], forecast.variance[:, i], strict=True)
        ]
        assert chance == pytest.approx(sum(parts) / len(parts), abs=1e-12)


def test_a_model_that_knows_too_little_says_nothing() -> None:
    for optimizer in (taught(2), Optimizer(SPACE, "gp"), Optimizer(SPACE, "random")):
        numbers = [optimizer.ask().number]
        assert OptimizerForesight(optimizer).chances(numbers) is None
        assert OptimizerForesight(optimizer).chance_among(numbers[0], numbers, 1) is None
        assert optimizer.predict_final(numbers[0]) is None or optimizer.best is not None


def test_a_bad_trial_is_given_up_and_a_good_one_is_not() -> None:
    optimizer = taught(12)
    rule = stopping("model", max_steps=LENGTH)
    for config in ({"x": 0.9, "y": 0.95}, {"x": 0.3, "y": 0.0}):
        optimizer.enqueue(config)
    bad, good = optimizer.ask(), optimizer.ask()
    stopped: set[int] = set()
    for step in range(1, 7):
        for trial, better in ((bad, 0.0), (good, 0.2)):  # than any before, which are near the best place already
            optimizer.report(trial, step, value(trial.config, step) - better)
            rule.report(trial.number, step, value(trial.config, step) - better)
        stopped |= set(rule.judge(OptimizerForesight(optimizer), [bad.number, good.number]))
    assert stopped == {bad.number}


def test_an_optimiser_that_refits_itself_gives_trials_up_while_its_design_goes_on() -> None:
    optimizer = Optimizer(SPACE, "gp", 1, initial=40, max_steps=LENGTH)
    for _ in range(12):
        trial = optimizer.ask()
        for step in range(1, LENGTH + 1):
            optimizer.report(trial, step, value(trial.config, step))
        optimizer.tell(trial, value(trial.config, LENGTH))
    assert optimizer.origins[optimizer.ask().number] == "initial"
    assert optimizer.foresees


# --- the master -------------------------------------------------------------------------------------------------------


def test_the_master_stops_a_trial_that_the_model_gives_up(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, workers=1, method="gp", budget=40)
    rule = stopping("model", max_steps=LENGTH)
    master, optimizer = cluster.master, cluster.optimizer
    optimizer._history.curves.full = LENGTH
    master._stops._rule = rule
    cluster.events.clear()
    letters = master.handle(Ready("here", 1, 1), 1, 0.0)
    stops, epochs, now = 0, 0, 0.0
    for _ in range(30):
        while not any(isinstance(message, Evaluate) for _, message in letters):
            letters = master.idle(now)
        trial = next(message.trial for _, message in letters if isinstance(message, Evaluate))
        state = TrialState.COMPLETE
        for step in range(1, LENGTH + 1):
            now, epochs = now + 1.0, epochs + 1
            error = (trial.config["x"] - 1.0) ** 2 + (trial.config["y"] + 2.0) ** 2 + 5.0 / step
            told = master.handle(Report(trial.number, step, error), 1, now)
            if (1, Stop(trial.number)) in told:
                stops, state = stops + 1, TrialState.PRUNED
                break
        letters = master.handle(Done(trial.number, Outcome(state, error)), 1, now)
    assert stops > 5
    assert epochs < 0.85 * 30 * LENGTH
    assert optimizer.best is not None
    assert optimizer.best.objective < 5.0 / LENGTH + 1.0
    again = Optimizer(optimizer.space, "gp", cluster.study.seed, max_steps=LENGTH)
    lines = [json.loads(line) for line in (tmp_path / "s" / "journal.jsonl").read_text().splitlines()]
    reported = [record for record in lines if record["type"] == "reported"]
    again.restore(
        cluster.run.records.values(), [(r["number"], r["step"], float(r["value"]), r["time"]) for r in reported]
    )
    assert again.fit_data.x.tolist() == optimizer.fit_data.x.tolist()
    assert again.fit_data.y.tolist() == optimizer.fit_data.y.tolist()


def test_a_trainer_gets_the_rows_of_curves_anew_once_trials_report(tmp_path: Path) -> None:
    optimizer = Optimizer(SPACE, "gp", 1, initial=4, refit="external")
    refits = Refits(optimizer, 1, (5,))
    start = refits.welcome(5)
    assert isinstance(start, Start)
    assert isinstance(start.duty, TrainerDuty)
    trainer = Trainer(start.duty)
    known = []
    for i in range(12):
        trial = optimizer.ask()
        length = 0 if i < 6 else LENGTH if i < 9 else LENGTH + 3
        for step in range(1, length + 1):
            optimizer.report(trial, step, value(trial.config, step))
        optimizer.tell(trial, value(trial.config, LENGTH))
        for _, request in refits.ask():
            assert isinstance(request, Fit)
            known.append(request.known)
            (fitted,) = trainer.handle(request)
            refits.take(fitted, 5)  # type: ignore[arg-type]
            assert len(trainer._data[""]) == len(optimizer.fit_data)
            assert trainer._data[""].x.tolist() == optimizer.fit_data.x.tolist()
    assert known.count(0) == 3  # the first, the first of curves, and once curves grew longer
    assert optimizer.predict_final(0) is not None


# --- real runs --------------------------------------------------------------------------------------------------------

CURVE = f"""
import time

def objective(config, trial):
    for epoch in range(1, {LENGTH} + 1):
        time.sleep(0.02)
        value = (config["x"] - 0.3) ** 2 + config["y"] + (0.5 + config["y"]) / epoch
        trial.report(epoch, value)
        if trial.should_stop():
            break
    return value
"""


@pytest.fixture(params=launchers() or [None], ids=str)
def studio(request: pytest.FixtureRequest, tmp_path: Path) -> Studio:
    launcher: Launcher | None = request.param
    assert launcher is not None, "there is no mpiexec: pip install reverie[mpich]"
    return Studio(launcher, tmp_path / "project")


@pytest.mark.mpi
def test_a_run_gives_up_what_the_model_says_is_bad(studio: Studio) -> None:
    studio.study(CURVE, SPACE, budget=24, method="gp")
    table = json.loads((studio.folder / "study.json").read_text())
    table["early_stopping"] = {"rule": "model", "max_steps": LENGTH}
    studio.write("study.json", json.dumps(table))
    run = studio.run(3)
    assert (run.status, run.err) == (0, "")
    states = [row["state"] for row in studio.rows()]
    assert states.count("PRUNED") >= 6
    assert states.count("COMPLETE") >= 3
    best = json.loads((studio.left / "summary.json").read_text())["best"]
    assert best["objective"] < 0.2
