"""An optimiser with budgets: what it knows of paused trials, and that one restored from records knows the same."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from mpi.mpi_definitions import Fit, Fitted
from mpi.mpi_refits import Refits
from mpi.mpi_trainer import Trainer
from utilities.errors import SpaceExhaustedError
from utilities.expert import Expert
from utilities.fitting import condition, fit_surrogate, transform_of, without_observations
from utilities.learning_curves import Curves
from utilities.model import Model
from utilities.optimizer import Optimizer
from utilities.space import Space
from utilities.surrogate import Dataset
from utilities.trial import Config, Outcome, Rung, Trial, TrialRecord, TrialState

BOWL = {"x": {"type": "float", "low": -5.0, "high": 5.0}}
FIDELITY = {"low": 1, "high": 9}
SPACE = Space.from_dict({name: {"type": "float", "low": 0.0, "high": 1.0} for name in "ab"})


def bowl(trial: Trial) -> float:
    assert trial.budget is not None
    return float(trial.config["x"]) ** 2 + 1.0 / trial.budget


class Journal:
    """Records of a study, kept as a run would keep them."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.records: dict[int, TrialRecord] = {}
        self.running: dict[int, Trial] = {}
        self.clock = 0.0

    def ask(self, *, last: bool = False) -> Trial | None:
        trial = self.optimizer.promote(last=True) if last else self.optimizer.ask()
        if trial is None:
            return None
        self.running[trial.number] = trial
        if trial.resumed:
            self.records[trial.number].promoted = trial
        else:
            self.records[trial.number] = TrialRecord(trial, self.optimizer.origins[trial.number])
        return trial

    def tell(self, trial: Trial, outcome: Outcome) -> None:
        del self.running[trial.number]
        self.clock += 1.0
        record = self.records[trial.number]
        self.optimizer.tell_outcome(trial, outcome)
        rungs = self.optimizer.rungs
        assert rungs is not None
        if rungs.is_paused(trial.number):
            record.rungs = (*record.rungs, Rung(trial.budget or 0, outcome, "", None, self.clock))
        else:
            record.outcome, record.completed = outcome, self.clock

    def give_up(self, number: int) -> None:
        record = self.records[number]
        record.outcome = Outcome(TrialState.PRUNED, record.rungs[-1].outcome.objective)
        record.completed = record.rungs[-1].completed
        self.optimizer.give_up(number)


def same(one: Optimizer, other: Optimizer) -> None:
    """See that two optimisers know the same, and act the same."""
    np.testing.assert_array_equal(one.data.x, other.data.x)
    np.testing.assert_array_equal(one.data.y, other.data.y)
    for known in ("points", "pending", "outcomes", "numbers", "told", "repeated", "exact", "noisy"):
        np.testing.assert_equal(getattr(one._history, known), getattr(other._history, known))
    assert one.best == other.best
    assert one.rungs is not None
    assert other.rungs is not None
    assert one.rungs.paused == other.rungs.paused
    assert one.rungs.completed == other.rungs.completed
    for last in (False, True):
        assert one.rungs.candidate(last=last) == other.rungs.candidate(last=last)


def misleading(config: Config, step: int) -> float:
    """Value after so many of 27 steps of a curve whose early values rank trials the wrong way round."""
    final = (config["a"] - 0.3) ** 2 + (config["b"] - 0.6) ** 2
    return float(final + (1.0 - math.log(step + 1) / math.log(28)) * 1.5 * (1.0 - 2.0 * final))


def search(*, guided: bool) -> Optimizer:
    optimizer = Optimizer(SPACE, "gp", fidelity={"low": 1, "high": 27, "guided": guided})
    while (trial := optimizer.promote() or (optimizer.ask() if optimizer.asked < 40 else None)) is not None:
        assert trial.budget is not None
        for step in range((trial.previous_budget or 0) + 1, int(trial.budget) + 1):
            optimizer.report(trial, step, misleading(trial.config, step))
        optimizer.tell(trial, misleading(trial.config, int(trial.budget)))
    return optimizer


def test_guided_rungs_promote_what_will_be_best() -> None:
    """By their values, the trials that end worst are promoted; the model sees through that after a few."""
    by_values, guided = search(guided=False).best, search(guided=True).best
    assert by_values is not None
    assert guided is not None
    assert by_values.objective > 0.2
    assert guided.objective < 0.1


def test_guided_rungs_of_a_method_without_a_model_rank_by_values() -> None:
    optimizer = Optimizer(BOWL, "random", fidelity={**FIDELITY, "guided": True})
    for _ in range(3):
        trial = optimizer.ask()
        optimizer.tell(trial, bowl(trial))
    assert optimizer.promotable()
    promoted = optimizer.promote()
    assert promoted is not None
    assert bowl(promoted) == min(bowl(replace(trial, budget=3)) for trial in optimizer._asked.values())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_killed_anywhere_it_goes_on_as_it_would_have(data: st.DataObject) -> None:
    """Any order of outcomes of any sort, of trials at any rung; what was restored gives the same trials next."""
    direction = data.draw(st.sampled_from(["minimize", "maximize"]))
    fidelity = {**FIDELITY, "eta": 2, "brackets": 2}
    journal = Journal(Optimizer(BOWL, "random", 3, direction=direction, fidelity=fidelity))  # type: ignore[arg-type]
    for _ in range(data.draw(st.integers(0, 40))):
        act = data.draw(st.sampled_from(["ask", "tell", "tell", "give up"]))
        paused = journal.optimizer.rungs.paused if journal.optimizer.rungs else []
        if act == "ask":
            journal.ask()
        elif act == "tell" and journal.running:
            trial = journal.running[data.draw(st.sampled_from(sorted(journal.running)))]
            value = float(data.draw(st.integers(0, 6)))
            outcomes = [
                *[Outcome(TrialState.COMPLETE, value)] * 6,
                Outcome(TrialState.FAIL, message="x"),
                Outcome(TrialState.PRUNED, value),
                Outcome(TrialState.PRUNED),
            ]
            journal.tell(trial, data.draw(st.sampled_from(outcomes)))
        elif act == "give up" and paused:
            journal.give_up(data.draw(st.sampled_from(paused)))
    restored = Optimizer(BOWL, "random", 3, direction=direction, fidelity=fidelity)  # type: ignore[arg-type]
    restored.restore(journal.records.values())
    same(journal.optimizer, restored)
    waiting = [r.evaluation for r in journal.records.values() if r.outcome is None and not r.paused]
    assert {trial.number: trial for trial in waiting} == journal.running
    for trial in waiting:
        outcome = Outcome(TrialState.COMPLETE, 1.5)
        journal.tell(trial, outcome)
        restored.tell_outcome(trial, outcome)
    assert [journal.optimizer.ask() for _ in range(6)] == [restored.ask() for _ in range(6)]
    same(journal.optimizer, restored)


def test_a_paused_trial_teaches_its_latest_value() -> None:
    optimizer = Optimizer(BOWL, "random", 0, fidelity=FIDELITY)
    trials = [optimizer.ask() for _ in range(3)]
    assert {trial.budget for trial in trials} == {1}
    for trial, value in zip(trials, (3.0, 1.0, 2.0), strict=True):
        optimizer.tell(trial, value)
    np.testing.assert_array_equal(optimizer.data.y, [3.0, 1.0, 2.0])
    assert optimizer.take_unchanged() == 3
    promoted = optimizer.ask()
    assert (promoted.number, promoted.budget, promoted.previous_budget, promoted.resumed) == (1, 3, 1, True)
    assert promoted.config == trials[1].config
    assert promoted.seed == trials[1].seed
    with pytest.raises(ValueError, match="trial 2 was told already"):
        optimizer.tell(2, 1.0)
    optimizer.tell(promoted, 0.5)
    np.testing.assert_array_equal(optimizer.data.y, [3.0, 0.5, 2.0])
    assert optimizer.take_unchanged() == 1
    assert optimizer.take_unchanged() == 3
    assert optimizer.best is None
    full = optimizer.promote(last=True)
    assert full is not None
    assert (full.number, full.budget, full.previous_budget) == (1, 9, 3)
    optimizer.tell(full, 0.25)
    assert optimizer.best is not None
    assert (optimizer.best.number, optimizer.best.objective) == (1, 0.25)


def test_what_fails_with_a_larger_budget_keeps_what_it_came_to() -> None:
    optimizer = Optimizer(BOWL, "random", 0, fidelity=FIDELITY)
    for value in (3.0, 1.0, 2.0):
        optimizer.tell(optimizer.ask(), value)
    optimizer.tell(optimizer.ask(), failed="out of memory")
    np.testing.assert_array_equal(optimizer.data.y, [3.0, 1.0, 2.0])
    assert optimizer._history.outcomes[1].tolist() == [True, True, True, False]
    with pytest.raises(ValueError, match="trial 1 was told already"):
        optimizer.tell(1, 0.0)


def test_a_finite_space_is_promoted_to_its_end() -> None:
    optimizer = Optimizer({"k": {"type": "int", "low": 1, "high": 4}}, "random", 0, fidelity=FIDELITY)
    asked = 0
    while True:
        try:
            trial = optimizer.ask()
        except SpaceExhaustedError:
            if (last := optimizer.promote(last=True)) is None:
                break
            trial = last
        asked += 1
        optimizer.tell(trial, float(trial.config["k"]))
    assert optimizer.asked == 4
    assert optimizer.best is not None
    assert optimizer.best.objective == 1.0
    assert asked == 4 + 2


# --- the surrogate ----------------------------------------------------------------------------------------------------


def observed(count: int) -> Dataset:
    x = np.random.default_rng(0).random((count, 2))
    return Dataset(x, np.sin(6.0 * x[:, 0]) + x[:, 1] ** 2)


@pytest.mark.parametrize("kind", ["gp", "dngo", "dngo-paper"])
@pytest.mark.parametrize("switched", [True, False])
def test_what_changed_is_conditioned_on_anew(kind: str, switched: bool) -> None:
    """As if the surrogate had never seen the old objectives: also where a fit has not been in use yet."""
    before = observed(30)
    fit = fit_surrogate(kind, SPACE, Dataset(before.x[:25], before.y[:25]), 0, None)
    expert = Expert(SPACE, kind)
    expert.adopt(fit, 25)
    if switched:
        expert.observe(before)
    after = Dataset(before.x, before.y.copy())
    after.y[[3, 10, 28]] -= 0.5
    expert.revise()
    posterior = expert.observe(after)
    expected = condition(kind, SPACE, without_observations(fit), Dataset(after.x[:25], after.y[:25]))
    expected = expected.extend(after.x[25:], transform_of(fit).apply(after.y[25:]))
    unseen = np.random.default_rng(1).random((20, 2))
    for mine, theirs in zip(posterior.predict(unseen), expected.predict(unseen), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-8)
    stale = condition(kind, SPACE, without_observations(fit), Dataset(before.x[:25], before.y[:25]))
    assert np.abs(stale.predict(unseen)[0] - posterior.predict(unseen)[0]).max() > 1e-3
    assert not expert.late


def test_few_changes_among_many_rows_wait_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    revised: list[int] = []
    model = Model(SPACE, "gp", 0)
    model.expert("gp")
    monkeypatch.setattr(Expert, "revise", lambda self: revised.append(1))
    for revisions, count in ((0, 10), (1, 10), (1, 10), (2, 10), (3, 1000), (21, 1000), (22, 1000)):
        model.heed(revisions, Dataset(np.zeros((count, 2)), np.zeros(count)))
    assert len(revised) == 3


def test_a_trainer_gets_changed_rows_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where what rungs come to is no curve, a paused trial is known by its latest value alone."""
    monkeypatch.setattr(Curves, "active", False)
    optimizer = Optimizer(BOWL, "gp", 1, initial=4, refit="external", fidelity=FIDELITY)
    refits = Refits(optimizer, 1, (1,))
    trainer = Trainer(refits.welcome(1).duty)  # type: ignore[arg-type]
    for _ in range(6):
        trial = optimizer.ask()
        optimizer.tell(trial, bowl(trial))
    ((_, first),) = refits.ask()
    assert isinstance(first, Fit)
    fitted = trainer.fit(first)
    assert isinstance(fitted, Fitted)
    refits.take(fitted, 1)
    going_on = optimizer.promote(last=True)
    assert going_on is not None
    row = optimizer._history.numbers.index(going_on.number)
    optimizer.tell(going_on, 50.0)
    for _ in range(3):
        trial = optimizer.ask()
        optimizer.tell(trial, bowl(trial))
    ((_, second),) = refits.ask()
    assert isinstance(second, Fit)
    assert second.known == row < len(first.y.unpack())
    trainer.fit(second)
    np.testing.assert_array_equal(trainer._data[""].y, optimizer.data.y)
    np.testing.assert_array_equal(trainer._data[""].x, optimizer.data.x)
