"""The model of a study: when it is refitted, its companion, and predictions in the user's units."""

from __future__ import annotations

import numpy as np
import pytest

from utilities.expert import CHUNK, Expert
from utilities.fitting import COMPANION_ROWS, fit_surrogate
from utilities.model import DNGO_FROM, GP_UNTIL, POLISHED, Model
from utilities.space import Space
from utilities.surrogate import Dataset

SPACE = Space.from_dict({name: {"type": "float", "low": 0.0, "high": 1.0} for name in "ab"})


def wells(x: np.ndarray) -> np.ndarray:
    """Two wells: a deep one at (0.2, 0.2) and one less deep at (0.8, 0.8)."""
    deep = np.exp(-20.0 * np.sum((x - 0.2) ** 2, axis=1))
    return -deep - 0.7 * np.exp(-20.0 * np.sum((x - 0.8) ** 2, axis=1))


def data(count: int, polished: int = 0) -> Dataset:
    rng = np.random.default_rng(0)
    x = np.vstack([rng.random((count, 2)), 0.2 + 0.005 * rng.standard_normal((polished, 2))])
    return Dataset(x, 10.0 + 3.0 * wells(x))


@pytest.mark.parametrize(
    ("method", "fitted", "count", "due"),
    [
        ("gp", 20, 20, False),
        ("gp", 20, 21, True),
        ("gp", 200, 203, False),
        ("dngo", 20, 22, False),
        ("dngo", 20, 23, True),
    ],
)
def test_refits_follow_growth(method: str, fitted: int, count: int, due: bool) -> None:
    model = Model(SPACE, method, 0)
    assert model.due(count) == method
    assert model.overdue(count)
    model.adopt(method, fit_surrogate(method, SPACE, data(8), 0, None), fitted)
    assert model.due(count) == (method if due else None)
    assert not model.overdue(count)
    assert model.overdue(2 * fitted)


def test_auto_changes_kind_with_the_number_of_observations() -> None:
    model = Model(SPACE, "auto", 0)
    kinds = [model.kinds(count) for count in (10, DNGO_FROM - 1, DNGO_FROM, GP_UNTIL - 1, GP_UNTIL)]
    assert kinds == [("gp",), ("gp",), ("gp", "dngo"), ("gp", "dngo"), ("dngo",)]


def test_auto_refits_the_surrogate_that_knows_the_fewest() -> None:
    """A GP is due after every other outcome; the network gets its turn all the same."""
    model = Model(SPACE, "auto", 0)
    for kind, fitted in (("gp", 150), ("dngo", 110)):
        model.adopt(kind, {}, fitted)
    assert model.due(160) == "dngo"
    model.adopt("dngo", {}, 160)
    assert model.due(165) == "gp"
    model.adopt("gp", {}, 165)
    assert model.due(165) is None


def test_auto_leaves_a_gp_whose_refits_come_too_late() -> None:
    """Not one that is late at a start from the disk, nor one that may still be the only one."""
    everything = data(160)
    fit = fit_surrogate("gp", SPACE, Dataset(everything.x[:100], everything.y[:100]), 0, None)
    model = Model(SPACE, "auto", 0)
    for fitted, count, late in ((100, 160, False), (130, 160, False), (120, 160, True), (159, 160, False)):
        model.adopt("gp", fit, fitted)
        model.expert("gp").observe(Dataset(everything.x[:count], everything.y[:count]))
        assert model.kinds(count) == (("dngo",) if late else ("gp", "dngo"))
        assert model.kinds(DNGO_FROM - 1) == ("gp",)


@pytest.mark.parametrize("kind", ["gp", "dngo", "dngo-paper"])
def test_new_rows_give_what_conditioning_on_all_gives(kind: str) -> None:
    everything = data(20, 6)
    parameters = fit_surrogate(kind, SPACE, Dataset(everything.x[:22], everything.y[:22]), 0, None)
    grown, fresh = Expert(SPACE, kind), Expert(SPACE, kind)
    for expert in (grown, fresh):
        expert.adopt(parameters, 22)
    first = Dataset(everything.x[:22], everything.y[:22])
    grown.view(first)
    grown.companion(first)
    x = np.random.default_rng(1).random((7, 2))
    for one, other in (
        (grown.view(everything), fresh.view(everything)),
        (grown.companion(everything), fresh.companion(everything)),
    ):
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            np.testing.assert_array_equal(one.rows, other.rows)
            for mine, theirs in zip(one.posterior.predict(x), other.posterior.predict(x), strict=True):
                np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-8)


def refitted(kind: str, observed: Dataset) -> Expert:
    expert = Expert(SPACE, kind)
    expert.adopt(fit_surrogate(kind, SPACE, observed, 0, None), len(observed))
    return expert


def test_gp_gets_a_companion_once_a_basin_is_exhausted() -> None:
    assert refitted("gp", data(30)).companion(data(30)) is None
    polished = data(30, 8)
    model = refitted("gp", polished)
    view = model.companion(polished)
    assert view is not None
    assert view.closed is not None
    near = np.sum((polished.x - 0.2) ** 2, axis=1) < 0.01
    assert not near[view.rows].any()
    more = Dataset(np.vstack([polished.x, [[0.2, 0.21], [0.75, 0.8]]]), np.append(polished.y, [7.1, 8.0]))
    grown = model.companion(more)
    assert grown is not None
    assert set(grown.rows) - set(view.rows) == {len(polished) + 1}


def test_the_companion_of_dngo_stays_near_the_incumbent() -> None:
    many = data(COMPANION_ROWS + 40)
    view = refitted("dngo", many).companion(many)
    assert view is not None
    assert len(view.rows) == COMPANION_ROWS
    distance = np.sum((many.x - many.x[np.argmin(many.y)]) ** 2, axis=1)
    assert distance[view.rows].max() <= np.sort(distance)[COMPANION_ROWS - 1]


def test_turns_of_dngo_go_to_the_incumbent_where_its_companion_is_kept_out() -> None:
    polished = data(30, 8)
    model = Model(SPACE, "dngo", 0)
    model.adopt("dngo", fit_surrogate("dngo", SPACE, polished, 0, None), len(polished))
    views = [model.choose(polished, turn) for turn in range(2 * POLISHED)]
    best = polished.x[[np.argmin(polished.y)]]
    deviations = [float(np.sqrt(view.posterior.predict(best)[1].mean())) for view in views]
    for turn, view in enumerate(views):
        assert (view.closed is None) == (turn % POLISHED < 2)
    assert deviations[1] < 0.1 * min(deviations[2:POLISHED])
    assert np.array_equal(views[1].rows, np.arange(len(polished)))
    assert deviations[:POLISHED] == deviations[POLISHED:]


@pytest.mark.parametrize(("kind", "visits"), [("dngo", 0), ("gp", 8)])
def test_no_turn_is_for_polishing_where_nothing_is_closed_or_the_surrogate_does_it(kind: str, visits: int) -> None:
    known = data(30, visits)
    model = Model(SPACE, kind, 0)
    model.adopt(kind, fit_surrogate(kind, SPACE, known, 0, None), len(known))
    views = [model.choose(known, turn) for turn in range(6)]
    assert [view.closed is not None for view in views] == [False, bool(visits), bool(visits)] * 2


def test_the_paper_has_no_companion() -> None:
    assert refitted("dngo-paper", data(30, 8)).companion(data(30, 8)) is None


@pytest.mark.parametrize("kind", ["gp", "dngo", "dngo-paper"])
def test_predictions_come_back_in_the_users_units(kind: str) -> None:
    observed = data(40)
    model = refitted(kind, observed)
    at = np.array([[0.25, 0.25]])
    mean, variance = model.view(observed).posterior.predict(at)
    value, spread = model.to_user(float(mean.mean()), float(np.sqrt(variance.mean())))
    assert value == pytest.approx(10.0 + 3.0 * wells(at).item(), abs=1.0)
    assert 0.0 < spread < 2.0


def test_parameters_are_plain_arrays() -> None:
    for array in fit_surrogate("dngo", SPACE, data(12), 0, None).values():
        assert isinstance(array, np.ndarray)
        assert array.dtype == np.float64


def test_outcomes_are_judged_by_what_was_foreseen_before_them() -> None:
    observed, first = data(30), Dataset(data(30).x[:20], data(30).y[:20])
    expert = refitted("gp", first)
    expert.observe(first)
    assert len(expert.scores.recent) == 0
    expert.observe(observed)
    assert len(expert.scores.recent) == 10
    fresh = refitted("gp", first)
    fresh.observe(observed)
    np.testing.assert_allclose(fresh.scores.recent, expert.scores.recent, rtol=1e-6)
    again = refitted("gp", observed)
    again.observe(observed)
    assert len(again.scores.recent) == 0


def test_a_surrogate_that_is_off_loses_its_turns() -> None:
    model = Model(SPACE, "auto", 0)
    observed = data(DNGO_FROM + 20)
    for kind in ("gp", "dngo"):
        model.adopt(kind, fit_surrogate(kind, SPACE, data(DNGO_FROM), 0, None), DNGO_FROM)
    assert model.shares(len(observed)) == {"gp": 0.5, "dngo": 0.5}
    gp, dngo = model.expert("gp"), model.expert("dngo")
    gp.scores.add(np.full(20, 1.0), np.full(20, 0.5))
    dngo.scores.add(np.full(20, 0.5), np.full(20, 0.5))
    assert model.shares(len(observed))["gp"] > 0.99
    assert model.trusted(len(observed)) is gp
    views = [model.choose(observed, turn) for turn in range(12)]
    assert all(len(view.posterior.noise()) == len(gp.view(observed).posterior.noise()) for view in views)


def test_calibration_is_kept_at_each_refit_and_comes_back() -> None:
    model, observed = Model(SPACE, "gp", 0), data(24)
    for count in (12, 18, 24):
        seen = Dataset(observed.x[:count], observed.y[:count])
        model.observe(seen)
        model.refit(seen)
    table = model.calibration()["gp"]
    assert table[:, :2].tolist() == [[18.0, 6.0], [24.0, 12.0]]
    assert np.isfinite(table).all()
    other = Model(SPACE, "gp", 0)
    other.restore_calibration({"gp": table})
    np.testing.assert_array_equal(other.calibration()["gp"], table)


def test_a_new_fit_is_gone_over_to_in_steps_and_the_old_one_serves_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("utilities.expert.CHUNK", 8)
    assert CHUNK > 8
    everything = data(60)
    old, new = (fit_surrogate("dngo", SPACE, Dataset(everything.x[:n], everything.y[:n]), 0, None) for n in (20, 30))
    expert, fresh = Expert(SPACE, "dngo"), Expert(SPACE, "dngo")
    expert.adopt(old, 20)
    before = expert.observe(everything)
    expert.adopt(new, 30)
    assert expert.fitted == 30
    assert expert.parameters is new
    assert not expert.due(33)
    steps = 0
    while expert.observe(everything) is before:
        steps += 1
    assert steps == 3
    fresh.adopt(new, 30)
    x = np.random.default_rng(1).random((7, 2))
    for mine, theirs in zip(expert.observe(everything).predict(x), fresh.observe(everything).predict(x), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-8)


def test_the_companion_of_dngo_never_grows_beyond_bounds() -> None:
    everything = data(700)
    fitted = Dataset(everything.x[:150], everything.y[:150])
    expert = refitted("dngo", fitted)
    for count in range(150, 700, 50):
        known = Dataset(everything.x[:count], everything.y[:count])
        expert.observe(known)
        companion = expert.companion(known)
        assert companion is not None
        assert len(companion.rows) <= 2 * COMPANION_ROWS
    best = known.x[np.argmin(known.y)]
    moved = refitted("dngo", fitted).companion(known)
    assert moved is not None
    distance = np.abs(known.x - best).sum(axis=1)
    assert np.median(distance[moved.rows]) < np.median(distance)


def test_bad_foresight_brings_a_refit_only_after_some_growth() -> None:
    """So that all refits of a run together stay linear in it."""
    expert = refitted("dngo", data(20))
    expert.adopt(expert.parameters or {}, 1000)
    expert.scores.add(np.r_[np.zeros(20), np.full(5, -50.0)], np.full(25, 0.5))
    assert expert.scores.fallen
    assert not expert.due(1020)
    assert expert.due(1030)
