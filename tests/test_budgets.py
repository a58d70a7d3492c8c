"""Budgets of the rungs, where trials begin, and what is refused."""

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utilities.budgets import Fidelity, as_fidelity, check_fidelity
from utilities.errors import StudyError


@pytest.mark.parametrize(
    ("low", "high", "eta", "budgets"),
    [
        (1, 27, 3, (1, 3, 9, 27)),
        (1, 81, 3, (1, 3, 9, 27, 81)),
        (1, 50, 3, (1, 3, 7, 19, 50)),  # 50^(1/4) = 2.66: 1, 2.66, 7.07, 18.8, 50
        (10, 20, 3, (10, 20)),
        (2, 3, 2, (2, 3)),
        (0.1, 1.0, 3, (0.1, 0.316227766017, 1.0)),
        (0.25, 4, 4, (0.25, 1.0, 4)),
    ],
)
def test_rungs(low: float, high: float, eta: int, budgets: tuple[float, ...]) -> None:
    found = Fidelity(low=low, high=high, eta=eta).budgets
    assert found == budgets
    assert [type(budget) for budget in found] == [type(budget) for budget in budgets]


@given(low=st.integers(1, 1000), more=st.integers(1, 10**6), eta=st.integers(2, 10))
def test_rungs_of_integers_ascend_from_low_to_high_by_about_eta(low: int, more: int, eta: int) -> None:
    budgets = Fidelity(low=low, high=low + more, eta=eta).budgets
    assert (budgets[0], budgets[-1]) == (low, low + more)
    assert all(isinstance(budget, int) for budget in budgets)
    assert all(before < after for before, after in pairwise(budgets))
    exact = (budgets[-1] / low) ** (1.0 / (len(budgets) - 1))
    assert exact < eta**1.5 + 1e-9
    assert len(budgets) == 2 or exact > eta ** (2.0 / 3.0) - 1e-9
    assert all(abs(budget - low * exact**k) <= 0.5 + 1e-6 * budget for k, budget in enumerate(budgets))


def test_with_one_bracket_every_trial_begins_at_low() -> None:
    fidelity = Fidelity(low=1, high=27)
    assert {fidelity.first(number, 3) for number in range(100)} == {1}


def test_brackets_get_the_shares_of_hyperband() -> None:
    """With R = 27 and eta = 3 Hyperband's brackets have 27, 12, 6 and 4 configurations (Li et al. 2018, table 1)."""
    fidelity = Fidelity(low=1, high=27, brackets=4)
    count = 20_000
    begun = Counter(fidelity.first(number, 5) for number in range(count))
    for budget, size in zip((1, 3, 9, 27), (27, 12, 6, 4), strict=True):
        share = size / 49
        assert abs(begun[budget] / count - share) < 5.0 * math.sqrt(share * (1.0 - share) / count)


def test_the_bracket_of_a_trial_depends_on_seed_and_number_alone() -> None:
    fidelity = Fidelity(low=1, high=27, brackets=2)
    assert [fidelity.first(n, 1) for n in range(50)] == [fidelity.first(n, 1) for n in range(50)]
    assert [fidelity.first(n, 1) for n in range(50)] != [fidelity.first(n, 2) for n in range(50)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"low": 1}, "high is missing: the budget of the last evaluation"),
        ({"high": 9}, "low is missing: the budget of the first evaluation"),
        (
            {"low": 1, "hihg": 9},
            "hihg is not a known key; known keys: name, low, high, eta, brackets, guided. Did you",
        ),
        ({"low": "1", "high": 9}, "low must be a number; got '1'"),
        ({"low": True, "high": 9}, "low must be a number; got True"),
        ({"low": 1, "high": 9, "eta": 2.5}, "eta must be an integer; got 2.5"),
        ({"low": 1, "high": 9, "name": 3}, "name must be text; got 3"),
        ({"low": 0, "high": 9}, "low must be a finite number above 0; got 0"),
        ({"low": 1, "high": math.inf}, "high must be a finite number above 0; got inf"),
        ({"low": 1, "high": math.nan}, "high must be a finite number above 0; got nan"),
        ({"low": 1, "high": 2**60}, "high must be at most 2^53"),
        ({"low": 9, "high": 9}, "low must be below high, 9; got 9"),
        ({"low": 1e-300, "high": 9}, "low must be at least high / 1e+09; got 1e-300 and 9"),
        ({"low": 1, "high": 9, "eta": 1}, "eta must be an integer of at least 2; got 1"),
        ({"low": 1, "high": 9, "brackets": 4}, "brackets must be from 1 to 3, the number of rungs (1, 3, 9); got 4"),
        ({"low": 1, "high": 9, "brackets": 0}, "brackets must be from 1 to 3"),
        ({"low": 1, "high": 9, "guided": "yes"}, "guided must be true or false; got 'yes'"),
        ({"low": 1, "high": 9, "guided": 1}, "guided must be true or false; got 1"),
        ({"low": 1, "high": 9, "eta": True}, "eta must be an integer; got True"),
        ({"low": 1, "high": 9, "name": "a\nb"}, "name must be printable"),
    ],
)
def test_what_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(StudyError) as caught:
        as_fidelity(values, "study.toml: [fidelity]")
    assert str(caught.value).startswith("study.toml: [fidelity] ")
    assert message in str(caught.value)


def test_what_is_made_by_hand_is_checked_too() -> None:
    with pytest.raises(StudyError, match="low must be below high"):
        as_fidelity(Fidelity(low=3, high=1))
    fidelity = Fidelity(low=1, high=9)
    assert check_fidelity(fidelity, "") is as_fidelity(fidelity) is fidelity
