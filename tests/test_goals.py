"""Goals of a study: constraints as they are written, targets, what stands as best."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from utilities.errors import StudyError
from utilities.fitting import family, label_of, labelled
from utilities.goals import Goals, make_goals
from utilities.incumbents import Incumbents
from utilities.metric_constraints import MetricConstraint, read_metric_constraint
from utilities.trial import Outcome, TrialState


@pytest.mark.parametrize(
    ("text", "name", "operator", "bound"),
    [
        ("seconds < 5", "seconds", "<", 5.0),
        ("params<=1e6", "params", "<=", 1e6),
        (" val/loss of it >= -0.5 ", "val/loss of it", ">=", -0.5),
        ("a>.25", "a", ">", 0.25),
    ],
)
def test_a_constraint_is_a_metric_a_comparison_and_a_number(text: str, name: str, operator: str, bound: float) -> None:
    assert read_metric_constraint(text, "here") == (name, operator, bound)


@pytest.mark.parametrize(
    "text",
    ["seconds", "seconds < ", "< 5", "seconds == 5", "5 > seconds", "1 < a < 2", "a < nan", "a < inf", "a < b", ""],
)
def test_what_is_no_constraint_is_refused_with_the_rule(text: str) -> None:
    with pytest.raises(StudyError, match=r'metric_constraints\[0\] must .*got|finite one; got|"seconds < 5"'):
        make_goals("minimize", None, None, [text])


@pytest.mark.parametrize(
    ("operator", "kept"), [("<", [True, False, False]), ("<=", [True, True, False]), (">", [False, False, True]),
                           (">=", [False, True, True])]
)  # fmt: skip
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_bounds_hold_for_the_users_values_whatever_the_sign(operator: str, kept: list[bool], direction: str) -> None:
    constraint = MetricConstraint("a", operator, 2.0)
    for goals in (Goals(constraints=[constraint]), Goals(("a", "b"), (direction, "minimize"), [constraint])):
        values = (0.0,) * len(goals.names)
        rows = [goals.entry((a, 0.0) if goals.several else values, {"a": a}).targets for a in (1.0, 2.0, 3.0)]
        assert goals.feasible(np.array(rows)).tolist() == kept
        beyond = goals.violation(np.array(rows))
        assert (beyond > 0.0).tolist() == [not keep and a != 2.0 for a, keep in zip((1.0, 2.0, 3.0), kept, strict=True)]
        assert beyond.max() == 0.5


def test_a_metric_that_is_missing_is_not_feasible() -> None:
    goals = Goals(constraints=[MetricConstraint("a", "<", 2.0)])
    row = goals.entry((1.0,), {}).targets
    assert row is not None
    assert math.isnan(row[1])
    assert not goals.entry((1.0,), {}).feasible
    assert goals.violation(row[None]).tolist() == [math.inf]
    assert not goals.keeps(Outcome(TrialState.COMPLETE, 1.0))


def test_seconds_are_measured_where_the_objective_returns_none() -> None:
    goals = Goals(("error", "seconds"), ("minimize", "minimize"))
    assert goals.values_of(Outcome(TrialState.COMPLETE, None, {"error": 1.0}, 7.0)) == (1.0, 7.0)
    assert goals.values_of(Outcome(TrialState.COMPLETE, None, {"error": 1.0, "seconds": 2.0}, 7.0)) == (1.0, 2.0)
    assert goals.values_of(Outcome(TrialState.COMPLETE, None, {"accuracy": 1.0}, 7.0)) is None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("minimize", [], None, None), "at least two"),
        (("minimize", ["minimise"], None, None), 'Did you mean "minimize"'),
        (("minimize", None, ["a"], None), "at least two"),
        (("minimize", None, ["a", "a"], None), "once"),
        (("minimize", None, ["a", " "], None), "must name a metric"),
        (("minimize", ["minimize"], ["a", "b"], None), "one for each"),
        (("minimize", ["minimize", "maximise"], ["a", "b"], None), 'Did you mean "maximize"'),
        (("maximize", ["minimize", "minimize"], None, None), "directions has one of each"),
        (("max", None, None, None), "direction must be minimize or maximize"),
    ],
)
def test_goals_that_make_no_sense_are_refused(arguments: tuple[str, None, None, None], told: str) -> None:
    with pytest.raises(StudyError, match=told):
        make_goals(*arguments)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.booleans()), max_size=30))
def test_the_front_that_stands_is_that_of_all_feasible_trials(trials: list[tuple[int, int, bool]]) -> None:
    incumbents = Incumbents(Goals(("a", "b"), ("minimize", "maximize")))
    for number, (a, b, feasible) in enumerate(trials):
        incumbents.note(number, {"x": number}, (a, b), feasible=feasible)
    kept = [(a, b) for a, b, feasible in trials if feasible]
    wanted = [(a, b) for a, b in kept if not any((c <= a and d >= b) and (c < a or d > b) for c, d in kept)]
    assert sorted(trial.values for trial in incumbents.front) == sorted(wanted)
    assert [trial.values[0] for trial in incumbents.front] == sorted(a for a, _ in wanted)
    assert incumbents.best is None
    assert incumbents.size == len(wanted)
    if wanted:
        assert incumbents.ideal == (min(a for a, _ in wanted), max(b for _, b in wanted))


def test_kinds_of_surrogates_carry_the_target() -> None:
    kind = labelled("gp", "val/loss @ 3")
    assert "/" not in kind
    assert family(kind) == "gp"
    assert label_of(kind) == label_of(labelled("dngo-paper", "val/loss @ 3")) != ""
    assert labelled("dngo", "") == "dngo"
    assert label_of("dngo") == ""
