"""The race over instances: stages, the test, what is estimated of a configuration that has seen some of them."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from utilities.racing import ALPHA, FIRST, MOST_ALPHA, PRIOR_DEGREES, Race, Verdict, _moderated, _Variance, stages

COUNT = 10


def run(race: Race, number: int, values: np.ndarray) -> Verdict:
    """Let a configuration run the race alone, to its end."""
    race.enter(number)
    while True:
        for part in race.wanted(number):
            race.take(number, part, float(values[part]))
        verdict = race.judge(number)
        if verdict is not Verdict.GO_ON:
            return verdict


def seen(race: Race, number: int, values: np.ndarray) -> int:
    return COUNT - len([part for part in race.order if np.isnan(race._runners[number].losses[race._place[part]])])


@given(st.integers(2, 30), st.integers(2, 200))
def test_stages_grow_to_all_instances(first: int, count: int) -> None:
    sizes = stages(first, count)
    assert (sizes[0], sizes[-1]) == (min(first, count), count)
    assert all(a < b <= -(-3 * a // 2) for a, b in pairwise(sizes))


def test_the_order_is_common_and_random() -> None:
    orders = [Race(COUNT, seed).order for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert all(sorted(order) == list(range(COUNT)) for order in orders)


def test_the_first_has_all_instances_and_a_hopeless_one_the_first_few() -> None:
    rng, race = np.random.default_rng(0), Race(COUNT, 0)
    difficulty = 10.0 * rng.standard_normal(COUNT)
    assert run(race, 0, difficulty + 0.1 * rng.standard_normal(COUNT)) is Verdict.COMPLETE
    assert run(race, 1, difficulty + 5.0 + 0.1 * rng.standard_normal(COUNT)) is Verdict.GIVE_UP
    assert seen(race, 1, difficulty) == FIRST
    assert run(race, 2, difficulty - 5.0 + 0.1 * rng.standard_normal(COUNT)) is Verdict.COMPLETE


def test_without_a_level_all_have_all_instances() -> None:
    race = Race(COUNT, 0, alpha=0.0)
    for number in range(4):
        race.enter(number)
        assert race.wanted(number) == race.order
        for part in race.order:
            race.take(number, part, float(100 * number + part))
        assert race.judge(number) is Verdict.COMPLETE


@pytest.mark.parametrize("seed", range(20))
def test_before_there_are_others_to_go_by_it_is_the_paired_t_test(seed: int) -> None:
    rng, race = np.random.default_rng(seed), Race(COUNT, 0, first=6, alpha=0.3)
    one, other = rng.standard_normal(COUNT), 0.4 + rng.standard_normal(COUNT)
    run(race, 0, one)
    race.enter(1)
    first = race.wanted(1)
    for part in first:
        race.take(1, part, float(other[part]))
    p = ttest_rel(other[first], one[first], alternative="greater").pvalue
    assert (race.judge(1) is Verdict.GIVE_UP) == (p <= 0.3)


def test_the_level_rises_while_the_race_saves_little() -> None:
    race, rng = Race(COUNT, 0), np.random.default_rng(0)
    assert race.alpha == ALPHA
    levels = []
    for number in range(60):
        run(race, number, -10.0 * number + rng.standard_normal(COUNT))
        levels.append(race.alpha)
    assert levels == sorted(levels)
    assert levels[-1] == MOST_ALPHA, "each was better than those before, and had all instances"
    for number in range(60, 300):
        run(race, number, 1000.0 + rng.standard_normal(COUNT))
    assert race.alpha == ALPHA
    again = Race(COUNT, 0)
    for number, runner in race._runners.items():
        losses = [(part, float(runner.losses[place])) for place, part in enumerate(race.order)]
        again.resume(number, [(part, loss) for part, loss in losses if not np.isnan(loss)], ended=True)
    assert (again._ended, again._taken) == (race._ended, race._taken)
    assert Race(COUNT, 0, alpha=0.4).alpha == 0.4


@pytest.mark.parametrize(("count", "first"), [(2, 2), (5, 2), (6, 3), (30, 3)])
def test_few_instances_have_a_shorter_first_stage(count: int, first: int) -> None:
    race = Race(count, 0)
    race.enter(0)
    assert len(race.wanted(0)) == first


def test_until_one_has_all_instances_only_the_foremost_goes_on() -> None:
    race = Race(COUNT, 0)
    for number in (0, 1):
        race.enter(number)
    for number, level in ((1, 0.0), (0, 1.0)):
        for part in race.wanted(number):
            race.take(number, part, level)
    assert race.judge(0) is Verdict.WAIT
    assert race.judge(1) is Verdict.GO_ON
    race.leave(1)
    assert race.judge(0) is Verdict.GO_ON


def test_each_comparison_gives_up_an_equal_one_as_often_as_it_may() -> None:
    given_up = 0
    for seed in range(600):
        rng, race = np.random.default_rng(seed), Race(COUNT, seed, alpha=0.3)
        difficulty = 3.0 * rng.standard_normal(COUNT)
        run(race, 0, difficulty + rng.standard_normal(COUNT))
        race.enter(1)
        for part in race.wanted(1):
            race.take(1, part, float(difficulty[part] + rng.standard_normal()))
        given_up += race.judge(1) is Verdict.GIVE_UP
    assert given_up / 600 == pytest.approx(0.3, abs=4.0 * np.sqrt(0.3 * 0.7 / 600))


# --- what is estimated ------------------------------------------------------------------------------------------------


@given(st.integers(0, 1000), st.integers(2, 9))
@settings(max_examples=30, deadline=None)
def test_who_has_all_instances_has_their_mean_and_who_has_some_is_adjusted(seed: int, count: int) -> None:
    rng, race = np.random.default_rng(seed), Race(COUNT, seed, first=count, alpha=0.99)
    difficulty = 100.0 * rng.standard_normal(COUNT)
    levels = [0.0, -1.0, -2.0]
    for number, level in enumerate(levels):
        assert run(race, number, level + difficulty) is Verdict.COMPLETE
        assert race.estimate(number).mean == pytest.approx(level + difficulty.mean())
    assert run(race, 3, 7.0 + difficulty) is Verdict.GIVE_UP
    assert race.estimate(3).mean == pytest.approx(7.0 + difficulty.mean())
    assert race.promise(3) == pytest.approx(7.0 + difficulty.mean())


def scores(race: Race, rng: np.random.Generator, effect: float) -> list[tuple[int, bool, int, float]]:
    """Twelve configurations race: of each its number, whether it has all instances, how many have, error over error."""
    difficulty, found = effect * rng.standard_normal(COUNT), []
    for number in range(12):
        level = 1.0 * (number % 3 == 2)
        verdict = run(race, number, level + difficulty + 0.5 * rng.standard_normal(COUNT))
        estimate = race.estimate(number)
        error = estimate.mean - level - difficulty.mean()
        found.append((number, verdict is Verdict.COMPLETE, len(race._ranked), error / estimate.error))
    return found


def test_standard_errors_are_those_of_the_estimates() -> None:
    found: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(60):
        for number, complete, _, score in scores(Race(COUNT, seed), np.random.default_rng(seed), 2.0):
            if number >= 4:
                found[complete].append(score)
    for group in found.values():
        assert 0.75 < np.std(group) < 1.4


@pytest.mark.parametrize("effect", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("first", [2, 3])
def test_nor_are_they_too_small_while_next_to_none_has_all_instances(first: int, effect: float) -> None:
    found: dict[int, list[float]] = {1: [], 2: [], 3: []}
    for seed in range(100):
        for _, complete, others, score in scores(Race(COUNT, seed, first), np.random.default_rng(seed), effect):
            if not complete and others in found:
                found[others].append(score)
    for others, group in found.items():
        assert np.std(group) < 1.4
        assert others == 1 or np.std(group) > 0.75


@given(st.integers(0, 1000), st.integers(2, 6), st.integers(2, 5), st.floats(0.01, 100.0))
@settings(max_examples=60, deadline=None)
def test_who_differs_evenly_from_others_is_not_known_exactly(seed: int, others: int, count: int, size: float) -> None:
    rng, race = np.random.default_rng(seed), Race(COUNT, seed, first=count)
    table = size * (3.0 * rng.standard_normal(COUNT) + 0.5 * rng.standard_normal((others, COUNT)))
    for number, losses in enumerate(table):
        race.resume(number, enumerate(losses.tolist()), ended=True)
    inner = table - table.mean(axis=1, keepdims=True)
    effects = np.median(inner, axis=0)
    effects -= effects.mean()
    race.resume(others, [(part, 7.0 * size + float(effects[part])) for part in race.order[:count]], ended=True)
    pooled = ((inner - effects) ** 2).sum() / ((others - 1) * (COUNT - 1))  # two-way analysis of variance
    share = PRIOR_DEGREES / (PRIOR_DEGREES + count - 1)  # of the pooled variance, its own being 0
    expected = np.sqrt(share * pooled * (1.0 / count + (1.0 / count - 1.0 / COUNT) / others))
    assert race.estimate(others) == (pytest.approx(7.0 * size), pytest.approx(expected))


@given(st.integers(0, 1000), st.floats(0.1, 10.0))
@settings(max_examples=30, deadline=None)
def test_while_one_alone_has_all_instances_the_error_is_that_of_losses(seed: int, effect: float) -> None:
    rng, race = np.random.default_rng(seed), Race(COUNT, seed, first=2, alpha=0.99)
    one, other = effect * rng.standard_normal(COUNT) + 0.1 * rng.standard_normal((2, COUNT))
    other += 1.0 - other[race.order[:2]].mean() + one[race.order[:2]].mean()
    run(race, 0, one)
    assert run(race, 1, other) is Verdict.GIVE_UP
    variance = (PRIOR_DEGREES * np.var(one, ddof=1) + np.var(other[race.order[:2]], ddof=1)) / (PRIOR_DEGREES + 1.0)
    assert race.estimate(1).error == pytest.approx(np.sqrt(variance * (1 / 2 + 1 / 2 - 1 / COUNT)))


def test_a_variance_counts_for_no_more_than_it_rests_on() -> None:
    own, few, many = _Variance(4.0, 1.0), _Variance(1.0, 2.0), _Variance(1.0, 90.0)
    assert _moderated(own, few) == (pytest.approx(2.0), 3.0)
    assert _moderated(own, many) == (pytest.approx(1.75), 4.0)
    assert _moderated(own, _Variance(0.0, 0.0)) == own


def test_a_single_instance_says_nothing_of_errors() -> None:
    race = Race(1, 0)
    race.enter(0)
    race.take(0, 0, 3.0)
    assert race.judge(0) is Verdict.COMPLETE
    assert race.estimate(0) == (3.0, 0.0)


def test_a_resumed_race_knows_what_it_knew() -> None:
    rng, race, again = np.random.default_rng(3), Race(COUNT, 3), Race(COUNT, 3)
    difficulty = rng.standard_normal(COUNT)
    table = [0.3 * (n % 2) + difficulty + 0.1 * rng.standard_normal(COUNT) for n in range(8)]
    for number, values in enumerate(table):
        run(race, number, values)
        parts = race.order[: seen(race, number, values)]
        again.resume(number, [(part, float(values[part])) for part in parts], ended=True)
    for number in range(8):
        assert again.estimate(number) == race.estimate(number)


@pytest.mark.parametrize("size", [1e-300, 1e200, 1.7e308])
def test_no_size_of_losses_is_too_much(size: float) -> None:
    race, rng = Race(4, 0), np.random.default_rng(0)
    for number in range(8):
        race.enter(number)
        verdict = Verdict.GO_ON
        while verdict is Verdict.GO_ON:
            for part in race.wanted(number):
                race.take(number, part, size * float(rng.uniform(-1.0, 1.0)))
            verdict = race.judge(number)
        assert np.isfinite(race.estimate(number)).all()
