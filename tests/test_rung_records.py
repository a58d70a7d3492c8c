"""Records of budgets: what a journal's lines make of a trial, in whatever order they stand."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from utilities.budgets import Fidelity
from utilities.storage.records import Asked, Finished, Header, Lost, Paused, Promoted, Record, Started
from utilities.storage.replay import Replay
from utilities.trial import Outcome, Trial, TrialState

FIDELITY = Fidelity(name="epochs", low=1, high=9, eta=2)  # rungs 1, 2, 4 and 9
BUDGETS = FIDELITY.budgets
SPACE = {"x": {"type": "float", "low": -5.0, "high": 5.0}}


def course() -> list[Record]:
    """A trial from its proposal to the full budget."""
    trial = Trial(0, {"x": 1.0}, budget=1)
    found: list[Record] = [Asked(trial, "random")]
    for place, (budget, larger) in enumerate(zip(BUDGETS, [*BUDGETS[1:], None], strict=True)):
        outcome = Outcome(TrialState.COMPLETE, 1.0 / budget)
        found.append(Started(0, "1@a", 2.0 * place))
        if larger is None:
            found.append(Finished(0, outcome, "1@a", 2.0 * place, 2.0 * place + 1.0))
        else:
            found.append(Paused(0, budget, outcome, "1@a", 2.0 * place, 2.0 * place + 1.0))
            found.append(Promoted(0, larger, budget))
    return found


HEADER = Header(
    name="s",
    direction="minimize",
    objective="x",
    command=None,
    space=SPACE,
    seed=0,
    method="random",
    created=0.0,
    versions={},
    fidelity=FIDELITY,
)


def replayed(records: list[Record]) -> Any:
    replay = Replay(HEADER)
    for record in records:
        replay.apply(record)
    (trial,) = replay.trials.values()
    return trial


@settings(deadline=None)
@given(st.data())
def test_lines_in_another_order_and_twice_read_as_they_were_meant(data: st.DataObject) -> None:
    first, *rest = course()
    for upto in range(len(rest) + 1):
        told = [record for record in rest[:upto] if not isinstance(record, Started)]
        expected = replayed([first, *told])
        shuffled = data.draw(
            st.permutations([*told, *data.draw(st.lists(st.sampled_from(told)) if told else st.just([]))])
        )
        found = replayed([first, *shuffled])
        assert (found.rungs, found.promoted, found.outcome) == (expected.rungs, expected.promoted, expected.outcome)
        assert (found.evaluation, found.paused, found.state) == (expected.evaluation, expected.paused, expected.state)


def test_a_lost_evaluation_leaves_the_rungs() -> None:
    records = course()[:5]
    assert replayed(records).state is TrialState.RUNNING
    lost = replayed([*records, Lost(0, "1@a", "killed", 9.0)])
    assert lost.state is TrialState.WAITING
    assert (lost.evaluation.budget, lost.evaluation.previous_budget) == (2, 1)


def test_a_promotion_that_is_lost_leaves_the_trial_at_its_rung() -> None:
    records = [record for record in course()[:-2] if not isinstance(record, Promoted)]
    trial = replayed(records)
    assert trial.paused
    assert trial.evaluation.budget == 4
