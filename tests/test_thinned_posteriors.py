"""Posteriors of a part of the components: what they predict is what these predict."""

from __future__ import annotations

import numpy as np
import pytest
from test_drawn_functions import COLUMNS, data, gp

from utilities.gaussian_posterior import GaussianPosterior
from utilities.surrogate import Dataset

X = np.random.default_rng(0).random((9, COLUMNS))
PENDING = np.random.default_rng(1).random((4, COLUMNS))


@pytest.mark.parametrize(("build", "components", "kept"), [(gp, 1, [0]), (gp, 5, [0, 1])])
@pytest.mark.parametrize("fantasies", [0, 5])
def test_part_of_the_components_with_fantasies_averaged(
    build, components: int, kept: list[int], fantasies: int
) -> None:
    posterior = build()
    if fantasies:
        posterior = posterior.fantasize(PENDING, fantasies, np.random.default_rng(2))
    thin = posterior.thin(components)
    mean, variance = posterior.predict(X)
    np.testing.assert_allclose(thin.predict(X)[0], mean[kept].mean(axis=1, keepdims=True), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(thin.predict(X)[1], variance[kept], rtol=1e-9)
    np.testing.assert_array_equal(thin.noise(), posterior.noise()[kept])


def test_thinning_commutes_with_extending() -> None:
    new = Dataset(PENDING, np.arange(4.0) / 3.0)
    one, other = gp().thin(2).extend(new.x, new.y), gp().extend(new.x, new.y).thin(2)
    for these, those in zip(one.predict(X), other.predict(X), strict=True):
        np.testing.assert_allclose(these, those, rtol=1e-8, atol=1e-10)


def test_a_gaussian_process_affords_fewer_components_with_more_pending_points() -> None:
    posterior = gp()
    assert isinstance(posterior, GaussianPosterior)
    assert posterior.affordable(100) is posterior
    assert len(posterior.affordable(10_000).noise()) == 1
    assert len(data()) == 12
