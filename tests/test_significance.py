"""How the best configurations compare: the tests against scipy, the corrections, the error rate, the words."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from benchmarks.significance import Scenario, equal, one_best, two_equal
from utilities.display.comparison import alone, as_table, comparison_lines, rerun_lines, statement
from utilities.race_results import comparison, given_up, race_results
from utilities.significance import LEVEL, TOP, compare, holm, in_pairs
from utilities.trial import Outcome, Trial, TrialRecord, TrialState


def table(count: int = 8, pairs: int = 10, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.arange(count)[:, None] * 0.4 + 3.0 * rng.standard_normal(pairs) + rng.standard_normal((count, pairs))


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_it_is_the_paired_t_test_of_the_best_two(direction: str) -> None:
    values = table()
    found = compare(range(8), values, direction) or pytest.fail("nothing was compared")
    order = np.argsort(values.mean(axis=1) * (1 if direction == "minimize" else -1))
    assert [trial.number for trial in found.trials] == order[:TOP].tolist()
    expected = ttest_rel(values[order[0]], values[order[1]])
    assert found.p == pytest.approx(expected.pvalue)
    first = found.pairs[0]
    assert first.difference == pytest.approx(values[order[0]].mean() - values[order[1]].mean())
    assert first.difference / first.standard_error == pytest.approx(expected.statistic)
    assert len(found.pairs) == TOP * (TOP - 1) // 2


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12))
def test_holm_is_the_step_down_of_bonferroni(p_values: list[float]) -> None:
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    rejected = set()
    for rank, place in enumerate(order):
        if p_values[place] * (len(p_values) - rank) > LEVEL:
            break
        rejected.add(place)
    assert {i for i, p in enumerate(holm(p_values)) if p <= LEVEL} == rejected
    assert all(a <= b <= 1.0 for a, b in zip(p_values, holm(p_values), strict=True))


def test_what_cannot_be_compared_is_not() -> None:
    assert compare([0], table(1), "minimize") is None
    assert compare([0, 1], table(2, 1), "minimize") is None
    same = compare([0, 1], np.ones((2, 4)), "minimize") or pytest.fail("nothing was compared")
    assert (same.p, same.told_apart) == (1.0, False)
    shifted = compare([0, 1], np.array([[0.0, 5.0], [1.0, 6.0]]), "minimize") or pytest.fail("nothing was compared")
    assert (shifted.p, shifted.trials[0].number) == (0.0, 0)
    huge = compare([0, 1], 1e300 * table(2), "minimize")
    assert huge is not None
    assert np.isfinite([trial.standard_error for trial in huge.trials]).all()


def test_repeats_on_many_instances_are_averaged_first() -> None:
    values = np.arange(24.0).reshape(2, 12)
    np.testing.assert_array_equal(in_pairs(values, 4), values)
    np.testing.assert_array_equal(in_pairs(values, 6), [(values[i, :6] + values[i, 6:]) / 2 for i in range(2)])


@pytest.mark.parametrize("raced", [False, True])
@pytest.mark.parametrize("truth", [equal, two_equal])
def test_the_statement_keeps_its_level_though_the_winner_was_chosen(truth, raced: bool) -> None:
    count, studies = (2, 400) if truth is equal else (30, 150)
    wrong = 0
    for seed in range(studies):
        found, truths = Scenario(truth, count, 8, raced).study(seed)
        if found.trials and found.told_apart:
            first, second = (truths[trial.number] for trial in found.trials[:2])
            wrong += first >= second
    assert wrong / studies <= LEVEL + 3.0 * np.sqrt(LEVEL * (1.0 - LEVEL) / studies)


def test_a_winner_that_is_one_is_found() -> None:
    found = sum(Scenario(lambda n: 3.0 * one_best(n), 10, 10, False).study(seed)[0].told_apart for seed in range(50))
    assert found > 40


# --- trials and words -------------------------------------------------------------------------------------------------


def record(number: int, x: float, values: list[float], state: TrialState = TrialState.COMPLETE) -> TrialRecord:
    parts = {part: Outcome(TrialState.COMPLETE, value) for part, value in enumerate(values)}
    outcome = Outcome(state, float(np.mean(values)), standard_error=0.1)
    return TrialRecord(Trial(number, {"x": x}), "model", outcome, parts=parts)


def test_trials_of_the_same_configuration_stand_as_one() -> None:
    records = [record(0, 0.1, [1.0, 3.0]), record(1, 0.2, [0.0, 1.0]), record(2, 0.1, [3.0, 5.0])]
    records += [record(3, 0.3, [0.0, 0.0], TrialState.PRUNED), TrialRecord(Trial(4, {"x": 0.4}), "model")]
    held = race_results(records, "minimize")
    assert [(s.number, s.objective, s.values) for s in held] == [(1, 0.5, [0.0, 1.0]), (0, 3.0, [2.0, 4.0])]
    assert [s.number for s in race_results(records, "maximize")] == [0, 1]
    found = comparison(records, "minimize", 2) or pytest.fail("nothing was compared")
    assert found.pairs[0].difference == -2.5


def test_a_study_without_instances_compares_nothing() -> None:
    plain = [TrialRecord(Trial(i, {"x": float(i)}), "model", Outcome(TrialState.COMPLETE, float(i))) for i in range(3)]
    assert comparison(plain, "minimize", 1) is None
    assert [s.number for s in race_results(plain, "maximize")] == [2, 1, 0]


def test_the_sentence_and_the_table() -> None:
    values = np.array([[0.0, 0.1, 0.2, 0.1], [1.0, 1.2, 1.1, 1.2], [1.1, 1.3, 1.0, 1.1]])
    found = compare([12, 7, 3], values, "minimize") or pytest.fail("nothing was compared")
    assert "trial 12 (0.100 +- " in statement(found)
    assert ") is better than the runner-up, trial 7 (1.1" in statement(found)
    told = as_table(found)
    assert json.loads(json.dumps(told)) == {
        **told,
        "comparisons": [{**pair, "trials": list(pair["trials"])} for pair in told["comparisons"]],
    }
    lines = comparison_lines(told)
    assert lines[0].startswith("Trial 12 ")
    assert lines[2].startswith("  trial 7 ")
    assert "corrected for 3 pairs" in lines[2]
    level = compare([12, 7], table(2) * 0.0 + np.random.default_rng(0).standard_normal((2, 10)), "minimize")
    assert level is not None
    assert "cannot be told from the runner-up" in statement(level)
    assert comparison_lines(None) == rerun_lines(None) == []
    (line,) = comparison_lines(alone(4, "runs/s"))
    assert line.startswith("Only trial 4 was evaluated on all instances")


def test_those_given_up_stand_by_what_they_had() -> None:
    records = [record(0, 0.1, [1.0, 3.0]), record(1, 0.2, [2.0], TrialState.PRUNED)]
    records += [record(2, 0.3, [1.5], TrialState.PRUNED), record(3, 0.2, [9.0], TrialState.PRUNED)]
    records.append(TrialRecord(Trial(4, {"x": 0.4}), "model", Outcome(TrialState.PRUNED, 0.0)))  # stopped early
    assert [result.number for result in given_up(records, "minimize")] == [2, 1]
    assert [result.number for result in given_up(records, "maximize")] == [1, 2]


def test_a_rerun_shows_what_was_and_what_is() -> None:
    one = {"number": 12, "original": 0.1, "objective": 0.2, "standard_error": 0.05, "evaluations": 10, "failure": ""}
    two = {**one, "number": 7, "objective": None, "failure": "ValueError: \x1b[31mx"}
    three = {**one, "number": 3, "objective": None, "evaluations": 4}
    lines = rerun_lines({"of": str(Path("runs/s")), "trials": [one, two, three]})
    assert lines[0] == "Evaluated again, of runs/s"
    assert lines[1] == "  trial 12      was 0.1, is 0.200 +- 0.050 (10 evaluations)"
    assert lines[2].endswith("was 0.1; failed: ValueError: x")
    assert lines[3].endswith("was 0.1, 4 evaluations so far")
