"""Learning curves as observations: which rows there are, and which a Gaussian process gets."""

from __future__ import annotations

import math

import numpy as np
import pytest
from curve_studies import LENGTH, SPACE, curve_rows, taught, value
from hypothesis import given, settings
from hypothesis import strategies as st

from utilities.curve_expert import CurveExpert
from utilities.expert import Expert
from utilities.gaussian_process import GaussianProcess
from utilities.learning_curves import CurveData, Curves, fidelity
from utilities.optimizer import Optimizer
from utilities.surrogate import Dataset
from utilities.thinning import CELLS, Thinning, nearby, thin

VALUES = st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf])
REPORTS = st.lists(st.tuples(st.integers(0, 4), st.integers(-2, LENGTH + 3), VALUES), max_size=60)


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
