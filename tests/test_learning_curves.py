"""Learning curves as observations: which rows there are, which a Gaussian process gets, and what it makes of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utilities.curve_expert import CurveExpert
from utilities.dngo import DNGO, FOLDS
from utilities.expert import Expert
from utilities.fitting import transform_of
from utilities.forecast import Forecast
from utilities.foreseen import FARTHEST, OPEN, PRIOR, Foreseen
from utilities.gaussian_process import GaussianProcess
from utilities.input_warp import EDGE
from utilities.kernels import MEAN_VARIANCE
from utilities.learning_curves import CurveData, Curves, fidelity
from utilities.optimizer import Optimizer
from utilities.output_transform import OutputTransform
from utilities.surrogate import Dataset
from utilities.thinning import CELLS, Thinning, nearby, thin
from utilities.trial import Outcome, TrialRecord, TrialState

SPACE: dict[str, Any] = {
    "x": {"type": "float", "low": 0.0, "high": 1.0},
    "y": {"type": "float", "low": 0.0, "high": 1.0},
}
LENGTH = 20
VALUES = st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf])
REPORTS = st.lists(st.tuples(st.integers(0, 4), st.integers(-2, LENGTH + 3), VALUES), max_size=60)


def value(config: dict[str, Any], step: int) -> float:
    return float((config["x"] - 0.3) ** 2 + config["y"] + (0.5 + config["y"]) / step)


def taught(method: str = "gp", trials: int = 14, stop: int = 4, **keywords: Any) -> Optimizer:
    """Every second trial of it stopped early, from the fourth on."""
    optimizer = Optimizer(SPACE, method, 1, initial=6, max_steps=LENGTH, **keywords)
    for _ in range(trials):
        trial = optimizer.ask()
        early = trial.number > 3 and trial.number % 2 == 0
        steps = stop if early else LENGTH
        for step in range(1, steps + 1):
            optimizer.report(trial, step, value(trial.config, step))
        optimizer.tell(trial, value(trial.config, steps), pruned=early)
    return optimizer


# --- rows -------------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(REPORTS, st.sets(st.integers(0, 4)))
def test_every_finite_report_at_a_rising_step_is_a_row_and_so_is_every_objective(reports, completed) -> None:
    curves, expected, last = Curves(1, LENGTH), [], {}
    for number, step, reported in reports:
        curves.report(number, np.array([float(number)]), step, reported)
        if math.isfinite(reported) and step > last.get(number, -math.inf):
            last[number] = step
            if step < LENGTH:
                expected.append((float(number), float(fidelity(np.array([step]), LENGTH)[0]), reported))
    for number in sorted(completed):
        curves.complete(number, np.array([float(number)]), 7.0)
        expected.append((float(number), 1.0, 7.0))
    rows = curves.rows
    assert [(*x, y) for x, y in zip(rows.x.tolist(), rows.y.tolist(), strict=True)] == expected


@settings(deadline=None)
@given(REPORTS)
def test_more_reports_never_change_the_rows_that_there_are(reports) -> None:
    curves, before = Curves(1, LENGTH), Dataset(np.empty((0, 2)), np.empty(0))
    for number, step, reported in reports:
        curves.report(number, np.array([float(number)]), step, reported)
        rows = curves.rows
        assert np.array_equal(rows.x[: len(before)], before.x)
        assert np.array_equal(rows.y[: len(before)], before.y)
        before = Dataset(rows.x.copy(), rows.y.copy())
    assert curves.revision == 0


def test_the_full_length_is_the_largest_step_of_a_completed_trial_where_it_is_not_given() -> None:
    curves, row = Curves(1, None), np.array([0.5])
    curves.report(0, row, 9, 1.0)
    assert not curves.active
    curves.report(1, row, 5, 1.0)
    curves.complete(1, row, 0.5)
    assert (curves.active, curves.full, len(curves.rows)) == (True, 5, 1)
    revision = curves.revision
    curves.complete(0, row, 0.4)
    assert (curves.full, curves.revision) == (9, revision + 1)
    assert np.allclose(curves.rows.x[:, 1], [math.log(6) / math.log(10), 1.0, 1.0])


def test_the_objective_counts_at_full_length_whatever_was_reported_there() -> None:
    curves, row = Curves(1, 3), np.array([0.5])
    for step in (1, 2, 3):
        curves.report(0, row, step, 10.0 - step)
    curves.complete(0, row, 6.5)
    assert curves.rows.y.tolist() == [9.0, 8.0, 6.5]


def test_nothing_is_learned_from_reports_of_another_measure() -> None:
    optimizer = Optimizer(SPACE, "gp", 1, max_steps=5)
    for i in range(4):
        trial = optimizer.ask()
        for step in range(1, 5):
            optimizer.report(trial, step, 100.0 + i - step)  # a loss in other units than the objective
        assert isinstance(optimizer._history.data, CurveData) == (i < 3)
        optimizer.tell(trial, 0.1 * i)
    assert not isinstance(optimizer._history.data, CurveData)


def test_a_trial_that_failed_leaves_what_it_showed_and_one_stopped_is_no_objective() -> None:
    optimizer = Optimizer(SPACE, "gp", 1, max_steps=5)
    failed, stopped, silent = (optimizer.ask() for _ in range(3))
    for trial in (failed, stopped):
        optimizer.report(trial, 1, 3.0)
    optimizer.tell(failed, failed="crash")
    optimizer.tell(stopped, 3.0, pruned=True)
    assert optimizer.fit_data.x[:, -1].max() < 1.0
    optimizer.tell(silent, 2.0, pruned=True)  # nothing tells at which step: as ever, it stands for an objective
    assert optimizer.fit_data.x[-1, -1] == 1.0
    optimizer.report(failed, 2, 1.0)
    assert len(optimizer.fit_data) == 3
    with pytest.raises(ValueError, match="trial 9 was never asked"):
        optimizer.report(9, 1, 1.0)


# --- without reports --------------------------------------------------------------------------------------------------


def test_without_reports_surrogates_are_those_of_ever() -> None:
    one, other = Optimizer(SPACE, "gp", 1, initial=4), Optimizer(SPACE, "gp", 1, initial=4, max_steps=9)
    for _ in range(8):
        trials = one.ask(), other.ask()
        assert trials[0] == trials[1]
        for optimizer, trial in zip((one, other), trials, strict=True):
            optimizer.tell(trial, value(trial.config, 1))
    experts = other._proposer._model._experts  # type: ignore[attr-defined]
    assert [type(expert) for expert in experts.values()] == [Expert]
    assert one.predict_final(0) is None


# --- what a Gaussian process gets -------------------------------------------------------------------------------------


def curve_rows(curves: list[int]) -> Dataset:
    """Curves of so many steps out of 50."""
    steps = [(i, step) for i, count in enumerate(curves) for step in range(1, count + 1)]
    x = np.array([(i, float(fidelity(np.array([step]), 50)[0])) for i, step in steps], dtype=float).reshape(-1, 2)
    return Dataset(x, np.array([float(i) - step / 50 for i, step in steps]))


@settings(deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(30, 200))
def test_the_latest_of_every_curve_is_chosen_and_the_number_is_bounded(lengths, most) -> None:
    rows = curve_rows(lengths)
    chosen = thin(rows, most)
    assert len(chosen) <= most
    assert np.array_equal(chosen, np.unique(chosen))
    ends = np.cumsum(lengths) - 1
    assert set(ends.tolist()) <= set(chosen.tolist())


@settings(deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_rows_are_chosen_alike_at_once_and_one_by_one(lengths, order) -> None:
    rows = curve_rows(lengths)
    whole, parts = Thinning(), Thinning()
    whole.take(rows.x)
    first = 0
    while first < len(rows):
        count = order.randrange(1, 9)
        parts.take(rows.x[first : first + count])
        first += count
    assert (whole.kept, whole.loose.tolist()) == (parts.kept, parts.loose.tolist())
    assert len(whole.kept) <= (CELLS + 1) * len(lengths)


def test_where_too_many_are_chosen_good_curves_keep_more_of_theirs() -> None:
    rows = curve_rows([40] * 40)
    chosen = thin(rows, 200)
    counts = np.bincount(rows.x[chosen, 0].astype(int))
    assert len(chosen) == 200
    assert counts.min() >= 1
    assert counts[:10].sum() > counts[-10:].sum()


@settings(deadline=None)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=30), st.integers(24, 120), st.integers(0, 29))
def test_what_is_nearby_holds_the_curve_itself_its_neighbours_and_ends(lengths, most, place) -> None:
    rows = curve_rows(lengths)
    chosen, place = thin(rows, 10**6), place % len(lengths)
    some = nearby(rows, chosen, np.array([float(place)]), most)
    assert len(some) == min(most, len(chosen))
    own = chosen[rows.x[chosen, 0] == place]
    assert len(np.intersect1d(own, some)) >= min(len(own), most // 2)
    if len(chosen) > most:
        left = np.setdiff1d(chosen, some)
        distance = (rows.x[:, 0] - place) ** 2 + (1.0 - rows.x[:, 1]) ** 2
        nearest = np.sort(distance[some])[: most - most // 2]
        assert nearest.max() <= distance[left].min()


def test_a_report_costs_no_work_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = taught(trials=8)
    running = optimizer.ask()

    def refuse(*_: object) -> None:
        raise AssertionError("a report must only be noted")

    monkeypatch.setattr(CurveExpert, "observe", refuse)
    monkeypatch.setattr(GaussianProcess, "condition", refuse)
    for step in range(1, 10_000):
        optimizer.report(running, step, 1.0)


def test_a_dngo_alone_foresees_by_a_trials_own_curve() -> None:
    optimizer = Optimizer(SPACE, "dngo", 1, initial=6, max_steps=LENGTH)
    places = np.random.default_rng(0).random((60, 2))
    for x, y in places:
        optimizer.enqueue({"x": float(x), "y": float(y)})
        trial = optimizer.ask()
        for step in range(1, LENGTH):
            optimizer.report(trial, step, value(trial.config, step))
        optimizer.tell(trial, value(trial.config, LENGTH))
    trial = optimizer.ask()
    sharp = []
    for step in (1, 2, 4, 8, 16):
        optimizer.report(trial, step, value(trial.config, step) + 0.3)  # unlike its neighbours
        foreseen = optimizer.predict_final(trial)
        assert foreseen is not None
        sharp.append(abs(foreseen.objective - value(trial.config, LENGTH) - 0.3))
    assert sharp[-1] < 0.3 * sharp[0]


# --- what it makes of them --------------------------------------------------------------------------------------------


def matern(a: np.ndarray, b: np.ndarray, parameters: Any, sample: int) -> np.ndarray:
    """Covariance by the formula, entry by entry, of rows that are warped by Kumaraswamy's distribution function."""
    shape_a, shape_b = np.exp(parameters["log_a"][sample]), np.exp(parameters["log_b"][sample])
    lengths = np.exp(parameters["log_lengthscale"][sample])
    clipped = [1.0 - (1.0 - np.clip(rows, EDGE, 1.0 - EDGE) ** shape_a) ** shape_b for rows in (a, b)]
    scale = math.exp(parameters["log_outputscale"][sample])
    out = np.empty((len(a), len(b)))
    for i, j in itertools.product(range(len(a)), range(len(b))):
        r = math.sqrt(5.0) * math.dist(clipped[0][i] / lengths, clipped[1][j] / lengths)
        out[i, j] = scale * (1.0 + r + r * r / 3.0) * math.exp(-r) + MEAN_VARIANCE
    return out


def test_a_forecast_is_that_of_a_dense_gaussian_process_over_features_and_fidelity() -> None:
    optimizer = taught(trials=10)
    running = optimizer.ask()
    for step in range(1, 8):
        optimizer.report(running, step, value(running.config, step))
    forecast = optimizer.forecast([running.number])
    assert forecast is not None
    parameters = optimizer.fits["gp"].parameters
    rows = optimizer.fit_data
    assert rows.y[-1] == value(running.config, 7)
    chosen = thin(rows, 10**6)
    assert len(rows) - 1 in chosen
    z = (transform_of(parameters).apply_bounded(rows.y[chosen]) - parameters["offset"]) / parameters["scale"]
    point = np.append(optimizer.space.to_unit([running.config])[0], 1.0)[None]
    for sample in range(len(parameters["log_noise"])):
        noise = 1e-6 + math.exp(parameters["log_noise"][sample])
        covariance = matern(rows.x[chosen], rows.x[chosen], parameters, sample) + noise * np.eye(len(chosen))
        cross = matern(point, rows.x[chosen], parameters, sample)
        mean = (cross @ np.linalg.solve(covariance, z)).item()
        variance = (matern(point, point, parameters, sample) - cross @ np.linalg.solve(covariance, cross.T)).item()
        scale = float(parameters["scale"])
        assert forecast.mean[sample, 0] == pytest.approx(float(parameters["offset"]) + scale * mean, abs=1e-5)
        assert forecast.variance[sample, 0] == pytest.approx(scale**2 * (variance + noise), rel=1e-3, abs=1e-8)


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_objective_foreseen_nears_the_true_one_along_the_curve(direction: Any) -> None:
    sign = 1.0 if direction == "minimize" else -1.0
    optimizer = Optimizer(SPACE, "gp", 2, direction=direction, initial=6, max_steps=LENGTH)
    for _ in range(12):
        trial = optimizer.ask()
        for step in range(1, LENGTH + 1):
            optimizer.report(trial, step, sign * value(trial.config, step))
        optimizer.tell(trial, sign * value(trial.config, LENGTH))
    trial = optimizer.ask()
    errors, spreads = [], []
    for step in range(1, LENGTH):
        optimizer.report(trial, step, sign * value(trial.config, step))
        foreseen = optimizer.predict_final(trial)
        assert foreseen is not None
        errors.append(abs(foreseen.objective - sign * value(trial.config, LENGTH)))
        spreads.append(foreseen.sd)
    assert errors[-1] < 0.02
    assert spreads[-1] < spreads[0]
    assert errors[-1] <= 3.0 * spreads[-1] + 1e-3


@pytest.mark.parametrize("kind", ["gp", "dngo"])
def test_a_gaussian_process_is_given_few_rows_and_a_dngo_all(kind: str) -> None:
    optimizer = taught(kind, trials=16)
    optimizer.ask()
    expert = optimizer._proposer._model.expert(kind)  # type: ignore[attr-defined]
    assert isinstance(expert, CurveExpert)
    rows = len(optimizer.fit_data)
    if kind == "gp":
        assert 16 <= expert._posterior.embedded.shape[1] < rows  # type: ignore[union-attr]
    else:
        assert {gram.count for gram in expert._posterior.grams} == {rows}  # type: ignore[union-attr]


def test_whole_curves_are_held_out_of_a_network() -> None:
    lengths = [5] * 24
    held = DNGO(2, members=3, curves=True)._held_out(curve_rows(lengths).x)
    assert held.shape == (3, 120)
    by_curve = held.reshape(3, 24, 5)
    assert np.array_equal(by_curve.all(axis=2), by_curve.any(axis=2))
    assert np.array_equal(by_curve.any(axis=2).sum(axis=1), [24 // FOLDS] * 3)


@pytest.mark.parametrize("worst", [1e300, -1e300])
@pytest.mark.parametrize("method", ["gp", "dngo", "dngo-paper", "auto"])
def test_a_curve_that_diverges_spoils_nothing(method: str, worst: float) -> None:
    optimizer = taught(method, trials=9)
    trial = optimizer.ask()
    optimizer.report(trial, 1, worst)
    optimizer.tell(trial, failed="diverged")
    assert set(optimizer.ask().config) == set(SPACE)


def test_variances_widen_with_the_mean_square_of_the_scores() -> None:
    foreseen, rng = Foreseen(), np.random.default_rng(0)
    transform = OutputTransform(np.array([0.0, 1.0]), np.array([0.0, 2.0]))
    squares = []
    for trial in range(20):
        key, outcome, own = bytes([trial]), 2.0 * rng.standard_normal(), []
        for _ in range(3):
            mean, sd = rng.normal(), rng.uniform(0.5, 1.0)
            foreseen.note(key, Forecast(np.array([[mean]]), np.array([[sd**2]]), transform))
            own.append(np.clip((2.0 * outcome - mean) / sd, -FARTHEST, FARTHEST) ** 2)
        foreseen.end(key, outcome)
        squares.append(np.mean(own))
        assert foreseen.inflation == pytest.approx(max(1.0, (PRIOR + sum(squares)) / (PRIOR + len(squares))))
    assert foreseen.inflation > 2.0
    for trial in range(2 * OPEN):
        foreseen.note(trial.to_bytes(4), Forecast(np.array([[0.0]]), np.array([[1.0]]), transform))
    assert len(foreseen._open) == OPEN


# --- the same after a replay ------------------------------------------------------------------------------------------


def journalled(order: Any) -> tuple[Optimizer, list[TrialRecord], list[tuple[int, int, float, float]]]:
    """A study of several workers, and what its journal holds."""
    live = Optimizer(SPACE, "gp", 3, initial=5, max_steps=8)
    records: dict[int, TrialRecord] = {}
    reports: list[tuple[int, int, float, float]] = []
    running: list[tuple[int, Iterator[int]]] = []
    for now in range(120):
        if len(running) < 3 and len(records) < 12:
            trial = live.ask()
            records[trial.number] = TrialRecord(trial, live.origins[trial.number])
            running.append((trial.number, iter(range(1, 9))))
        number, steps = running[order.randrange(len(running))] if running else (-1, iter(()))
        step = next(steps, None)
        if step is not None:
            reported = value(records[number].trial.config, step)
            reports.append((number, step, reported, float(now)))
            live.report(number, step, reported)
        elif number >= 0:
            outcome = Outcome(TrialState.PRUNED if number % 3 == 2 else TrialState.COMPLETE, reports[-1][2] + number)
            records[number].outcome, records[number].completed = outcome, float(now)
            live.tell_outcome(records[number].trial, outcome)
            running = [entry for entry in running if entry[0] != number]
    return live, list(records.values()), reports


@settings(deadline=None, max_examples=5)
@given(st.randoms(use_true_random=False))
def test_a_study_that_is_continued_knows_what_it_knew(order) -> None:
    live, records, reports = journalled(order)
    again = Optimizer(SPACE, "gp", 3, initial=5, max_steps=8)
    again.restore(records, reports)
    for fit in live.fits.values():
        again.adopt(*fit)
    assert np.array_equal(live.fit_data.x, again.fit_data.x)
    assert np.array_equal(live.fit_data.y, again.fit_data.y)
    assert (live.best, live.revision, live.foresees) == (again.best, again.revision, again.foresees)


def test_the_best_point_is_asked_for_where_nothing_is_learned_from_reports_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    optimizer = taught()
    optimizer.ask()
    assert optimizer._history.curves.active
    assert optimizer.predicted_best() is not None
    monkeypatch.setattr(Curves, "active", False)
    assert optimizer.predicted_best() is None
