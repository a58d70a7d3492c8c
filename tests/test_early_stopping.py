"""Rules that end trials early, against the same written out at length; and what a second evaluation may not change."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utilities.early_stopping import EarlyStopping
from utilities.halving import Halving, bracket_shares
from utilities.stopping_rule import Settings

VALUES = st.floats(-5.0, 5.0) | st.just(math.nan)
CURVES = st.lists(st.lists(VALUES, min_size=1, max_size=12), min_size=1, max_size=12)
ORDERS = st.randoms(use_true_random=False)


def reports(curves, order):
    """Reports of trials that run side by side: of each in order, the trials mixed."""
    left = [(number, list(enumerate(curve, start=1))) for number, curve in enumerate(curves)]
    while left:
        at = order.randrange(len(left))
        number, steps = left[at]
        step, value = steps.pop(0)
        yield number, step, value, not steps
        if not steps:
            del left[at]


def stopping(rule, direction="minimize", **settings):
    return EarlyStopping(Settings(rule=rule, **settings), direction, seed=3)


def worst(value):
    return math.inf if math.isnan(value) else value


@given(CURVES, ORDERS, st.integers(1, 3), st.integers(2, 4))
def test_asha_keeps_the_best_share_of_those_that_reached_a_rung(curves, order, first, eta):
    rule, there, gone = stopping("asha", min_steps=first, eta=eta), {}, set()
    for number, step, value, _ in reports(curves, order):
        if number in gone:
            continue
        rung = first
        expected = False
        while rung < step:
            rung *= eta
        if rung == step:
            values = there.setdefault(rung, [])
            values.append(worst(value))
            better = sum(other < worst(value) for other in values)
            expected = better >= max(1, len(values) // eta)
        assert rule.report(number, step, value) == expected
        if expected:
            gone.add(number)


def test_a_trial_that_skips_rungs_is_judged_at_the_highest_it_reached() -> None:
    rule = stopping("asha", eta=2)
    assert not rule.report(0, 9, 1.0)  # rung 8
    assert not rule.report(1, 4, 5.0)  # alone at rung 4
    assert rule.report(1, 8, 2.0)
    assert not rule.report(2, 5, 3.0)  # better than the only one at rung 4


@given(st.integers(1, 4), st.integers(2, 4), st.integers(1, 200))
def test_hyperband_has_a_bracket_for_each_first_rung(first, eta, most):
    most = max(first, most)
    shares = bracket_shares(first, most, eta)
    assert first * eta ** (len(shares) - 1) <= most < first * eta ** len(shares)
    assert sum(shares) == pytest.approx(1.0)
    assert all(early >= late for early, late in pairwise(shares))


def test_trials_fall_into_brackets_by_their_shares_and_the_same_in_every_run() -> None:
    shares = bracket_shares(1, 27, 3)
    rule = Halving(1, 3, shares, 7)
    counts = Counter(rule.bracket(number) for number in range(4000))
    for bracket, share in enumerate(shares):
        assert counts[bracket] / 4000 == pytest.approx(share, abs=5 * math.sqrt(share / 4000))
    assert [Halving(1, 3, shares, 7).bracket(n) for n in range(50)] == [rule.bracket(n) for n in range(50)]


@given(CURVES, ORDERS)
def test_hyperband_compares_within_a_bracket_and_never_below_its_first_rung(curves, order):
    settings = Settings(rule="hyperband", max_steps=9)
    rule, brackets = EarlyStopping(settings, "minimize", 3), Halving(1, 3, bracket_shares(1, 9, 3), 3)
    alone = [EarlyStopping(Settings(rule="asha", min_steps=3**b), "minimize", 0) for b in range(3)]
    for number, step, value, _ in reports(curves, order):
        bracket = brackets.bracket(number)
        stop = rule.report(number, step, value)
        assert stop == alone[bracket].report(number, step, value)
        assert not stop or step >= 3**bracket


@given(CURVES, ORDERS, st.integers(1, 3), st.integers(1, 4))
def test_median_compares_the_best_so_far_with_completed_trials(curves, order, first, trials):
    rule = stopping("median", min_steps=first, min_trials=trials)
    completed, so_far, stopped = [], {}, set()
    for number, step, value, last in reports(curves, order):
        if number in stopped:
            continue
        curve = so_far.setdefault(number, [])
        curve.append(min([worst(value), *curve[-1:]]))
        others = [other[step - 1] for other in completed if len(other) >= step]
        ready = step >= first and len(completed) >= trials and others
        stop = bool(ready) and curve[-1] > statistics.median(others)
        assert rule.report(number, step, value) == stop
        if stop:
            stopped.add(number)
            rule.end(number, complete=False)
        elif last:
            completed.append(curve)
            rule.end(number, complete=True)


def test_patience_counts_steps_without_an_improvement_worth_the_name() -> None:
    rule = stopping("patience", patience=3, min_delta=0.1)
    verdicts = [rule.report(0, step, value) for step, value in enumerate([1.0, 0.95, 0.85, 0.84, 0.8, 0.79], start=1)]
    assert verdicts == [False, False, False, False, False, True]
    coarse = stopping("patience", patience=100)
    assert [coarse.report(0, step, 1.0) for step in (50, 100, 150)] == [False, False, True]


def test_a_trial_that_reports_nothing_but_nan_runs_out_of_patience() -> None:
    rule = stopping("patience", patience=2)
    assert [rule.report(0, step, math.nan) for step in (1, 2, 3)] == [False, False, True]


@pytest.mark.parametrize(
    ("direction", "bounds", "value", "stops"),
    [
        ("minimize", {"upper": 2.0}, 2.1, True),
        ("minimize", {"upper": 2.0}, 2.0, False),
        ("minimize", {"upper": 2.0}, -1e9, False),
        ("maximize", {"lower": 0.5}, 0.4, True),
        ("maximize", {"lower": 0.5}, 0.5, False),
        ("maximize", {"lower": 0.5, "upper": 0.9}, 0.95, True),
        ("maximize", {"lower": 0.5}, math.nan, True),
        ("minimize", {"lower": 0.5}, math.nan, True),
    ],
)
def test_threshold_bounds_are_in_the_users_direction(direction, bounds, value, stops):
    rule = stopping("threshold", direction, **bounds, min_steps=2)
    assert not rule.report(0, 1, value)
    assert rule.report(0, 2, value) == stops


RULES = [{"rule": "asha"}, {"rule": "hyperband", "max_steps": 9}, {"rule": "median", "min_trials": 1}]
RULES += [{"rule": "patience", "patience": 2}]


@pytest.mark.parametrize("settings", RULES, ids=lambda settings: settings["rule"])
@given(CURVES, ORDERS)
def test_maximising_is_minimising_the_negative(settings, curves, order):
    down, up = stopping(**settings), stopping(direction="maximize", **settings)
    for number, step, value, last in reports(curves, order):
        assert down.report(number, step, value) == up.report(number, step, -value)
        if last:
            down.end(number, complete=True)
            up.end(number, complete=True)


@pytest.mark.parametrize("settings", RULES, ids=lambda settings: settings["rule"])
@given(CURVES, ORDERS, st.data())
def test_steps_that_are_reported_again_change_nothing(settings, curves, order, data):
    """A trial that was cut off begins again; so does every one that a stopped run left."""
    once, twice = stopping(**settings), stopping(**settings)
    seen: dict[int, list] = {}
    for number, step, value, last in reports(curves, order):
        if seen.get(number) and data.draw(st.booleans()):
            for again, known, verdict in seen[number]:
                told = twice.report(number, again, known + 1.0)
                assert told == (verdict and again == seen[number][-1][0])
        verdict = once.report(number, step, value)
        assert twice.report(number, step, value) == verdict
        if not (seen.get(number) and seen[number][-1][2]):
            seen.setdefault(number, []).append((step, value, verdict))
        if last:
            once.end(number, complete=True)
            twice.end(number, complete=True)
            seen.pop(number)


def test_a_trial_is_told_to_stop_once_and_again_where_it_is_evaluated_again() -> None:
    rule = stopping("threshold", upper=1.0)
    assert [rule.report(0, step, 5.0) for step in (1, 2, 3)] == [True, False, False]
    assert rule.report(0, 1, 5.0)


def test_the_latest_finite_value_is_kept_until_the_trial_ends() -> None:
    rule = stopping("patience")
    assert rule.latest(0) is None
    for step, value, latest in ((1, math.nan, None), (2, 3.0, 3.0), (3, math.nan, 3.0), (4, 2.0, 2.0)):
        rule.report(0, step, value)
        assert rule.latest(0) == latest
    rule.end(0, complete=False)
    assert rule.latest(0) is None
