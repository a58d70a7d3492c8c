"""Fourier features against the kernel that they estimate, gradients against differences, lengthscales by recovery."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from utilities.basis import Basis
from utilities.fourier_features import DEGREES, FourierFeatures, search_lengthscales
from utilities.kernels import matern52, squared_distances
from utilities.neural_net import WIDTH, Network


@pytest.mark.parametrize("lengthscale", [[0.4], [0.5, 2.0, 0.8]])
def test_inner_products_converge_to_the_matern_kernel(lengthscale: list[float]) -> None:
    """20,000 cosines, each of variance below 1, orthogonal ones less: five standard errors."""
    scale, rng = np.array(lengthscale), np.random.default_rng(0)
    x, other, count = rng.random((6, scale.size)), rng.random((5, scale.size)), 20_000
    features = FourierFeatures.draw(scale, 1, count, rng)
    kernel = features.phi(x)[0] @ features.phi(other)[0].T / (2.0 * count / 3.0)
    expected = matern52(squared_distances(x / scale, other / scale))
    np.testing.assert_allclose(kernel, expected, atol=5.0 / np.sqrt(count))


def test_frequencies_are_student_t() -> None:
    """The first coordinate of each block of a multivariate t of 5 degrees of freedom is a t (Kolmogorov-Smirnov)."""
    features = FourierFeatures.draw(np.array([0.5, 1.0, 2.0]), 2, 3000, np.random.default_rng(1))
    first = features.frequencies[0, 0, ::3] * 0.5
    assert stats.kstest(first, stats.t(DEGREES).cdf).pvalue > 1e-3


def test_frequencies_of_a_block_are_orthogonal() -> None:
    scale = np.array([0.5, 1.0, 2.0])
    block = FourierFeatures.draw(scale, 1, 3, np.random.default_rng(2)).frequencies[0] * scale[:, None]
    gram = block.T @ block
    np.testing.assert_allclose(gram, np.diag(np.diagonal(gram)), atol=1e-12 * gram.max())


def test_a_third_of_the_functions_is_their_squared_length() -> None:
    features = FourierFeatures.draw(np.ones(2), 3, 10, np.random.default_rng(3))
    phi = features.phi(np.random.default_rng(4).random((7, 2)))
    assert phi.shape == (3, 7, features.size)
    np.testing.assert_allclose((phi**2).sum(axis=2), features.size / 3.0)


@pytest.mark.parametrize("frequencies", [0, 1, 6])
@pytest.mark.parametrize("members", [1, 3])
def test_backward_of_the_whole_basis_is_the_gradient(members: int, frequencies: int) -> None:
    rng = np.random.default_rng(5)
    fourier = FourierFeatures.draw(np.full(3, 0.4), members, frequencies, rng) if frequencies else None
    basis, x = Basis(Network.initial(3, members, rng), fourier), rng.random((4, 3))
    assert basis.size == WIDTH + 2 * frequencies
    seed = rng.standard_normal((members, 4, basis.size))
    expected = np.empty_like(x)
    for column in range(3):
        step = np.zeros(3)
        step[column] = 1e-5
        expected[:, column] = (seed * (basis.phi(x + step) - basis.phi(x - step))).sum(axis=(0, 2)) / 2e-5
    np.testing.assert_allclose(basis.backward(basis.tape(x), seed), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("frequencies", [0, 4])
def test_arrays_rebuild_the_basis(frequencies: int) -> None:
    rng = np.random.default_rng(6)
    fourier = FourierFeatures.draw(np.full(2, 0.4), 2, frequencies, rng) if frequencies else None
    basis, x = Basis(Network.initial(2, 2, rng), fourier), rng.random((5, 2))
    np.testing.assert_array_equal(Basis.from_arrays(basis.to_arrays()).phi(x), basis.phi(x))


@pytest.mark.parametrize("n", [80, 400])
def test_lengthscales_tell_the_columns_apart(n: int) -> None:
    """A wave along the first column, a slow one along the second, nothing along the third."""
    x = np.random.default_rng(7).random((n, 3))
    y = np.sin(9.0 * x[:, 0]) + 0.7 * np.sin(2.0 * x[:, 1])
    found = search_lengthscales(x, y, np.random.default_rng(8))
    assert 2.0 * found[0] < found[1]
    assert 4.0 * found[0] < found[2]
    again = search_lengthscales(x, y, np.random.default_rng(8), found)
    np.testing.assert_allclose(np.log(again), np.log(found), atol=0.3)
