"""What surrogates make of learning curves: forecasts, few rows or all, the same after a replay."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from curve_studies import LENGTH, SPACE, curve_rows, taught, value
from hypothesis import given, settings
from hypothesis import strategies as st

from utilities.curve_expert import CurveExpert
from utilities.dngo import DNGO, FOLDS
from utilities.fitting import transform_of
from utilities.forecast import Forecast
from utilities.foreseen import FARTHEST, OPEN, PRIOR, Foreseen
from utilities.input_warp import EDGE
from utilities.kernels import MEAN_VARIANCE
from utilities.learning_curves import Curves
from utilities.optimizer import Optimizer
from utilities.output_transform import OutputTransform
from utilities.thinning import thin
from utilities.trial import Outcome, TrialRecord, TrialState


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
