"""Several trainers: parts of a fit against a whole one, and what the master makes of them, lost ones included."""

from __future__ import annotations

import numpy as np
import pytest
from virtual_cluster import SPACE

from mpi.mpi_definitions import Fit, Fitted, PackedArray
from mpi.mpi_refits import Refits
from mpi.mpi_trainer import REST, Trainer
from utilities.dngo_parts import MEMBERS, members_of, merge_members
from utilities.fitting import condition, fit_surrogate, merge_parts, most_parts, part_of
from utilities.optimizer import Optimizer
from utilities.space import Space
from utilities.surrogate import Dataset

UNIT = Space.from_dict({name: {"type": "float", "low": 0.0, "high": 1.0} for name in "ab"})


def data(count: int) -> Dataset:
    x = np.random.default_rng(0).random((count, 2))
    return Dataset(x, np.sin(6.0 * x[:, 0]) + x[:, 1] ** 2)


@pytest.mark.parametrize("parts", [2, 3])
def test_parts_make_a_whole_fit(parts: int) -> None:
    observed = data(60)
    whole = fit_surrogate("dngo", UNIT, observed, 0, None)
    found = [fit_surrogate("dngo", UNIT, observed, 0, None, part=(place, parts)) for place in range(parts)]
    merged = merge_parts(found)
    assert merged.keys() == whole.keys()
    assert {name: array.shape for name, array in merged.items() if not name.startswith("companion_")} == {
        name: array.shape for name, array in whole.items() if not name.startswith("companion_")
    }
    unseen = np.random.default_rng(1).random((200, 2))
    truth = np.sin(6.0 * unseen[:, 0]) + unseen[:, 1] ** 2
    for parameters in (whole, merged):
        posterior = condition("dngo", UNIT, parameters, observed)
        bare = condition("dngo", UNIT, {n: a for n, a in parameters.items() if n != "gram"}, observed)
        np.testing.assert_allclose(posterior.predict(unseen)[0], bare.predict(unseen)[0], rtol=1e-5, atol=1e-7)
        mean = posterior.predict(unseen)[0].mean(axis=(0, 1))
        assert np.corrcoef(mean, truth)[0, 1] > 0.98


def test_taking_apart_and_merging_gives_the_same() -> None:
    whole = fit_surrogate("dngo", UNIT, data(40), 0, None)
    parts = [members_of(whole, range(place, MEMBERS, 2)) for place in range(2)]
    halved = [{**part, "misfits": 0.5 * whole["misfits"]} for part in parts]
    merged = merge_members(halved)
    for name, array in whole.items():
        np.testing.assert_allclose(merged[name], array, rtol=1e-12, err_msg=name)


def test_a_part_goes_on_from_its_own_networks() -> None:
    first, more = data(40), data(60)
    whole = fit_surrogate("dngo", UNIT, first, 0, None)
    for place in range(3):
        own = part_of(whole, (place, 3))
        np.testing.assert_array_equal(own["weight_0"], whole["weight_0"][place : place + 1])
        again = fit_surrogate("dngo", UNIT, more, 0, own, part=(place, 3))
        assert again["weight_0"].shape == own["weight_0"].shape
        away = np.abs(again["weight_0"] - own["weight_0"]).mean()
        assert away < np.abs(again["weight_0"] - np.roll(whole["weight_0"], 1, axis=0)[place]).mean()
    assert part_of(whole, (0, 1)) is whole


def learned(method: str = "dngo", told: int = 20) -> Optimizer:
    optimizer = Optimizer(SPACE, method, seed=0, refit="external")
    for _ in range(told):
        trial = optimizer.ask()
        optimizer.tell(trial, (trial.config["x"] - 1.0) ** 2)
    return optimizer


def trained(refits: Refits, trainers: dict[int, Trainer]) -> list[tuple[int, Fitted]]:
    replies = []
    for rank, request in refits.ask():
        assert isinstance(request, Fit)
        replies.append((rank, trainers[rank].fit(request)))
    return replies


def begun(optimizer: Optimizer, ranks: tuple[int, ...]) -> tuple[Refits, dict[int, Trainer]]:
    refits, trainers = Refits(optimizer, 0, ranks), {}
    for rank in ranks:
        assert refits.ask() == []
        duty = refits.welcome(rank).duty
        trainers[rank] = Trainer(duty)  # type: ignore[arg-type]
    return refits, trainers


@pytest.mark.parametrize("ranks", [(1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)])
def test_a_fit_is_adopted_once_every_part_is_there(ranks: tuple[int, ...]) -> None:
    optimizer = learned()
    refits, trainers = begun(optimizer, ranks)
    for told in (0, 10):
        for _ in range(told):
            trial = optimizer.ask()
            optimizer.tell(trial, (trial.config["x"] - 1.0) ** 2)
        replies = trained(refits, trainers)
        assert len(replies) == min(len(ranks), most_parts("dngo"))
        for rank, reply in reversed(replies):
            assert optimizer.fit_due() == "dngo"
            assert refits.ask() == []
            refits.take(reply, rank)
        assert optimizer.fit_due() is None
        assert optimizer.fits["dngo"].parameters["weight_0"].shape[0] == MEMBERS


def test_a_surrogate_that_is_no_ensemble_has_one_trainer() -> None:
    refits, trainers = begun(learned("gp"), (1, 2))
    assert [rank for rank, _ in trained(refits, trainers)] == [1]


def test_a_lost_trainer_s_part_is_fitted_by_the_others() -> None:
    optimizer = learned()
    refits, trainers = begun(optimizer, (1, 2, 3))
    (one, first), (_, lost), (three, third) = trained(refits, trainers)
    refits.take(first, one)
    refits.lose(2)
    assert not refits.vacant
    refits.take(third, three)  # of a refit that was given up
    assert optimizer.fit_due() == "dngo"
    replies = trained(refits, trainers)
    assert [rank for rank, _ in replies] == [1, 3]
    refits.take(lost, 1)
    for rank, reply in replies:
        refits.take(reply, rank)
    assert optimizer.fit_due() is None
    assert optimizer.fits["dngo"].parameters["weight_0"].shape[0] == MEMBERS
    refits.lose(1)
    refits.lose(3)
    assert refits.vacant


def test_rows_go_out_once_and_earlier_parameters_where_a_part_is_new() -> None:
    optimizer = learned()
    optimizer.adopt("dngo", fit_surrogate("dngo", optimizer.space, optimizer.data, 0, None), 10)
    refits, trainers = begun(optimizer, (1, 2))
    requests = [request for _, request in refits.ask()]
    assert all(isinstance(request, Fit) and request.previous is not None for request in requests)
    for rank, request in zip((1, 2), requests, strict=True):
        assert isinstance(request, Fit)
        refits.take(trainers[rank].fit(request), rank)
    for _ in range(12):
        trial = optimizer.ask()
        optimizer.tell(trial, trial.config["x"])
    for _, request in refits.ask():
        assert isinstance(request, Fit)
        assert request.known == 20
        assert request.previous is None
        assert isinstance(request.x, PackedArray)
        assert request.x.shape[0] == 12


@pytest.mark.parametrize("crowded", [False, True])
def test_a_trainer_without_a_core_of_its_own_rests_unless_it_is_waited_for(crowded: bool) -> None:
    optimizer = learned("gp")
    refits = Refits(optimizer, 0, (1,))
    trainer = Trainer(refits.welcome(1).duty, crowded=crowded)  # type: ignore[arg-type]

    def refit(now: float, *, awaited: bool = False) -> Fitted | None:
        trial = optimizer.ask()
        optimizer.tell(trial, trial.config["x"])
        for _, request in refits.ask(now, awaited=awaited):
            assert isinstance(request, Fit)
            return trainer.fit(request)
        return None

    first = refit(0.0)
    assert first is not None
    assert first.rest == pytest.approx(REST * first.seconds if crowded else 0.0)
    refits.take(first, 1, now=100.0)
    soon, late = 100.0 + 0.5 * REST * first.seconds, 100.0 + 2.0 * REST * first.seconds
    assert (refit(soon) is None) == crowded
    if crowded:
        assert refit(soon, awaited=True) is not None
        refits.lose(1)
        refits.pass_to(1)
        assert refit(late) is not None


def test_only_an_ensemble_has_parts() -> None:
    assert most_parts("dngo") == MEMBERS
    assert most_parts("gp") == most_parts("dngo-paper") == 1
