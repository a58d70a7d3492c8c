"""DNGO: Bayesian linear regression on the basis of a trained network (Snoek et al. 2015, [P]), as a surrogate.

Symbols
-------
M   networks                          p   feature columns                 m   points to predict at
s   hyperparameter samples of each    D   basis functions of a network    q   pending points
S   components, M s, networks outermost                                   F   fantasies of the pending outcomes
V           (M, D, D)     eigenvectors of each network's ``Phi^T Phi``, its ``values`` are (M, D)
psi         (M, m, D)     rotated basis ``phi V``: in it, K ([P] eq 6) of all s samples of a network is diagonal
precision   (M, s, D)     that diagonal, ``beta values + alpha``
weights     (M, s, F, D)  posterior mean of the rotated weights, ``V^T m`` of [P] eq 5
theta       (M, s, 1 + 2p)   prior mean's coefficients on [1, x, x^2]

So a network's samples share one eigendecomposition, and so do its fantasies: ``Phi^T Phi`` of observed and pending
points is decomposed once, whatever s and F.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from utilities.drawn_functions import RegressionDraw
from utilities.linear_regressor import (
    Gram,
    mean_coefficients,
    quadratic_basis,
    sample_hyperparameters,
    squared_misfits,
)
from utilities.neural_net import WIDTH, Network, train
from utilities.surrogate import Dataset, Parameters, standardisation

Array = NDArray[np.float64]

COLD_STEPS, WARM_STEPS = 600, 300
"""Optimiser's steps without and with an earlier fit to go on from."""

MANY, MORE_STEPS = 256, 400
"""Beyond so many observations, so many steps more: they take 25 % off the error on 300 points of a sum of sines."""

FOLDS = 6
HELD_OUT_FROM = 100
"""Observations from which an ensemble holds a sixth out: with fewer, it optimised Hartmann6 faster without."""

PRIOR_MISFITS = 4
"""Held-out observations of misfit 1 that the inflation of the variances starts from."""

BLOCK = 8192
"""Observations whose basis is held in memory at a time."""

TINY = 1e-16
"""Least variance predicted, in standardised units: log EI divides by its root."""


class DNGO:
    """Adaptive basis regression: networks, each with slice samples of its regression's hyperparameters.

    One network is the method of [P]. Several differ where there are no data, and so add some of the uncertainty that a
    point estimate of a network leaves out. The rest shows in what a network has not learned from: the evidence takes a
    basis that was trained on y for better than it is, and squared errors elsewhere exceed the variance predicted (by a
    factor of 4 after 100 points of Branin, of 15 after 300 of Hartmann6). So, beyond [P], each of several networks
    leaves a sixth of the observations out of its training, and all variances are inflated by the mean squared misfit of
    these. The regressions themselves are given all observations.

    Parameters
    ----------
    columns
        Number of feature columns p.
    members
        Number of networks M.
    samples
        Number of hyperparameter samples s for each network.

    Raises
    ------
    ValueError
        A number below 1.
    """

    def __init__(self, columns: int, members: int = 3, samples: int = 10) -> None:
        if min(columns, members, samples) < 1:
            raise ValueError(f"columns, members and samples must be at least 1: got {columns}, {members} and {samples}")
        self._columns, self._members, self._samples = columns, members, samples

    def fit(self, data: Dataset, rng: np.random.Generator, previous: Parameters | None = None) -> Parameters:
        """Train the networks, then sample the hyperparameters given their bases.

        Parameters
        ----------
        data
            At least 2 observations.
        rng
            Source of randomness.
        previous
            Parameters of an earlier fit to the first rows of `data`, of the same columns and members: networks and
            chains go on from there.

        Returns
        -------
        dict
            ``weight_0`` to ``weight_3``, ``bias_0`` to ``bias_3`` (see `Network`), ``hyperparameters`` (M, s, 3 + 2p)
            (z of `utilities.linear_regressor`), the ``inflation`` () that is in them, the number of ``folds`` (), 0 if
            nothing was held out, ``offset`` () and ``scale`` () of the standardisation.

        Raises
        ------
        ValueError
            Fewer than 2 observations, a value that is not finite, or another number of columns than expected.
        """
        data.check(self._columns, least=2)
        offset, scale = standardisation(data.y)
        y = (data.y - offset) / scale
        held = self._held_out(len(data))
        folds = float(FOLDS * np.any(held))
        if previous is not None and float(previous["folds"]) != folds:
            previous = None  # its networks have seen what is held out now
        if previous is None:
            start, steps = Network.initial(self._columns, self._members, rng), COLD_STEPS
        else:
            start, steps = _in_units(previous, offset, scale), WARM_STEPS
        steps += MORE_STEPS * (len(data) > MANY)
        network = train(data.x, y, rng, start, steps, ~held)
        hyperparameters, inflation = self._regress(network, data.x, y, held, rng, previous)
        return {
            **network.to_arrays(),
            "hyperparameters": hyperparameters,
            "inflation": np.array(inflation),
            "folds": np.array(folds),
            "offset": np.array(offset),
            "scale": np.array(scale),
        }

    def condition(self, parameters: Parameters, data: Dataset) -> DNGOPosterior:
        """Posterior given `data`, which may be empty.

        Raises
        ------
        ValueError
            A value that is not finite, or another number of columns than expected.
        """
        data.check(self._columns, least=0)
        network = Network.from_arrays(parameters)
        offset, scale = float(parameters["offset"]), float(parameters["scale"])
        grams = _grams(network, data.x, (data.y - offset) / scale)
        return DNGOPosterior.given(offset, scale, network, parameters["hyperparameters"], grams)

    def _held_out(self, count: int) -> NDArray[np.bool_]:
        """Observations (M, n) that each network does not learn from: every sixth, each network another one.

        By their place, so that a network which learns on from an earlier fit has never seen what is held out.
        """
        if self._members == 1 or count < HELD_OUT_FROM:
            return np.zeros((self._members, count), dtype=np.bool_)
        return np.equal(np.arange(count) % FOLDS, np.arange(self._members)[:, None] % FOLDS)

    def _regress(
        self,
        network: Network,
        x: Array,
        y: Array,
        held: NDArray[np.bool_],
        rng: np.random.Generator,
        previous: Parameters | None,
    ) -> tuple[Array, float]:
        """Hyperparameters (M, s, 3 + 2p) given what each network learned from, and the inflation that is in them."""
        chains = [None] * self._members
        if previous is not None:
            chains = list(_inflated(previous["hyperparameters"][:, -1], 1.0 / float(previous["inflation"])))
        samples, misfits = [], []
        for member, gram in enumerate(_grams(network, x, y, ~held)):
            drawn = sample_hyperparameters(gram.spectrum, rng, count=self._samples, previous=chains[member])
            unseen = x[held[member]], y[held[member]]
            phi = network.phi(unseen[0])[member]
            misfits.append(np.mean([squared_misfits(gram.spectrum, z, phi, *unseen) for z in drawn], axis=0))
            samples.append(drawn)
        total = np.concatenate(misfits)
        inflation = max(1.0, (PRIOR_MISFITS + float(total.sum())) / (PRIOR_MISFITS + total.size))
        return _inflated(np.array(samples), inflation), inflation


@dataclass(frozen=True, eq=False)
class DNGOPosterior:
    """Mixture of the S regressions' predictive distributions; shapes are those of the module's table.

    Attributes
    ----------
    offset, scale
        Of the standardisation.
    network
        The bases.
    hyperparameters : array (M, s, 3 + 2p)
        z of `utilities.linear_regressor`.
    grams
        Each network's sufficient statistics; None once there are fantasies, which they do not hold.
    vectors, values, precision, weights, theta : arrays
        See the module.
    """

    offset: float
    scale: float
    network: Network
    hyperparameters: Array
    grams: tuple[Gram, ...] | None
    vectors: Array
    values: Array
    precision: Array
    weights: Array
    theta: Array

    @classmethod
    def given(
        cls, offset: float, scale: float, network: Network, hyperparameters: Array, grams: Sequence[Gram]
    ) -> DNGOPosterior:
        """Posterior given the observations in `grams` ([P] eq 5 and 6)."""
        spectra = [gram.spectrum for gram in grams]
        values = np.array([spectrum.values for spectrum in spectra])
        theta = mean_coefficients(hyperparameters)
        t = np.concatenate([-theta, np.ones((*theta.shape[:2], 1))], axis=2)
        response = t @ np.array([spectrum.cross.T for spectrum in spectra])
        precision = _precision(hyperparameters, values)
        weights = np.exp(hyperparameters[:, :, 1, None]) * response / precision
        vectors = np.array([spectrum.vectors for spectrum in spectra])
        return cls(
            offset,
            scale,
            network,
            hyperparameters,
            tuple(grams),
            vectors,
            values,
            precision,
            weights[:, :, None],
            theta,
        )

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean (S, F, m) and variance (S, m) at `x` (m, p): [P] eq 3 and 4, the noise 1/beta left out."""
        members, samples, fantasies, features = self.weights.shape
        psi = (self.network.phi(x) @ self.vectors).transpose(0, 2, 1)
        mean = self.weights.reshape(members, samples * fantasies, features) @ psi
        mean = mean.reshape(members * samples, fantasies, len(x))
        mean += (self.theta @ quadratic_basis(x).T).reshape(members * samples, 1, len(x))
        variance = ((1.0 / self.precision) @ (psi * psi)).reshape(members * samples, len(x))
        return mean, np.maximum(variance, TINY)

    def pullback(self, x: Array, grad_mean: Array, grad_variance: Array) -> Array:
        """Gradient (m, p) with respect to `x` (m, p) of sum(grad_mean * mean) + sum(grad_variance * variance).

        `grad_mean` is (S, F, m), `grad_variance` is (S, m).
        """
        members, samples, fantasies, features = self.weights.shape
        by_mean = grad_mean.reshape(members, samples * fantasies, len(x)).transpose(0, 2, 1)
        by_variance = grad_variance.reshape(members, samples, len(x)).transpose(0, 2, 1)
        layers = self.network.layers(x)
        psi = layers[-1] @ self.vectors
        grad_psi = by_mean @ self.weights.reshape(members, samples * fantasies, features)
        grad_psi += 2.0 * psi * (by_variance @ (1.0 / self.precision))
        by_theta = grad_mean.sum(axis=1).T @ self.theta.reshape(members * samples, -1)
        slope, curvature = by_theta[:, 1 : 1 + x.shape[1]], by_theta[:, 1 + x.shape[1] :]
        by_network = self.network.backward(layers, grad_psi @ self.vectors.transpose(0, 2, 1))
        return np.asarray(by_network + slope + 2.0 * x * curvature)

    def noise(self) -> Array:
        """Variance (S,) of the observation noise of each component, 1/beta."""
        return np.exp(-self.hyperparameters[:, :, 1]).ravel()

    def extend(self, x: Array, y: Array) -> DNGOPosterior:
        """Posterior with `k` more observations: `x` (k, p), `y` (k,) in the user's units. Costs O(D^2 k + D^3).

        Raises
        ------
        ValueError
            The posterior holds fantasies: they would be lost.
        """
        if self.grams is None:
            raise ValueError("a posterior with fantasies cannot be extended: extend the one they were drawn from")
        standardised = (y - self.offset) / self.scale
        grams = [gram.add(phi, x, standardised) for gram, phi in zip(self.grams, self.network.phi(x), strict=True)]
        return DNGOPosterior.given(self.offset, self.scale, self.network, self.hyperparameters, grams)

    def fantasize(self, x_pending: Array, count: int, rng: np.random.Generator) -> DNGOPosterior:
        """Posterior with `count` sampled outcomes at the pending points (q, p): F = count.

        Outcomes, with their noise, are drawn jointly over the q points, separately for each component.

        Raises
        ------
        ValueError
            The posterior holds fantasies already.
        """
        return self.given_outcomes(x_pending, self.draw_outcomes(x_pending, count, rng))

    def draw_outcomes(self, x: Array, count: int, rng: np.random.Generator) -> Array:
        """Draw `count` joint outcomes, with noise, from each component: (S, count, q) at `x` (q, p), standardised.

        Raises
        ------
        ValueError
            The posterior holds fantasies.
        """
        if self.grams is None:
            raise ValueError("fantasies are drawn from a posterior without any: this one holds some already")
        members, samples, _, features = self.weights.shape
        spread = rng.standard_normal((members, samples, count, features)) / np.sqrt(self.precision)[:, :, None]
        psi = (self.network.phi(x) @ self.vectors).transpose(0, 2, 1)
        outcomes = (self.weights + spread) @ psi[:, None]
        outcomes += (self.theta @ quadratic_basis(x).T)[:, :, None]
        outcomes = outcomes.reshape(members * samples, count, len(x))
        return outcomes + rng.standard_normal(outcomes.shape) * np.sqrt(self.noise())[:, None, None]

    def given_outcomes(self, x: Array, outcomes: Array) -> DNGOPosterior:
        """Posterior with F = count sets of outcomes (S, count, q), standardised, all at the points `x` (q, p).

        With ``K_p = K + beta Phi_p^T Phi_p`` and residuals ``R`` of the outcomes, the new weights are
        ``K_p^-1 (K m 1^T + beta Phi_p^T R^T)``: one matrix for all fantasies.
        """
        members, samples, _, _ = self.weights.shape
        psi = self.network.phi(x) @ self.vectors
        gram = psi.transpose(0, 2, 1) @ psi
        diagonal = np.arange(gram.shape[1])
        gram[:, diagonal, diagonal] += self.values
        values, turn = np.linalg.eigh(gram)
        values = np.maximum(values, 0.0)
        prior = (self.theta @ quadratic_basis(x).T)[:, :, None]
        residual = outcomes.reshape(members, samples, outcomes.shape[1], len(x)) - prior
        beta = np.exp(self.hyperparameters[:, :, 1])[:, :, None, None]
        response = self.precision[:, :, None] * self.weights + beta * (residual @ psi[:, None])
        precision = _precision(self.hyperparameters, values)
        return replace(
            self,
            grams=None,
            vectors=self.vectors @ turn,
            values=values,
            precision=precision,
            weights=(response @ turn[:, None]) / precision[:, :, None],
        )

    def sample(self, x: Array, count: int, rng: np.random.Generator) -> Array:
        """Draw `count` functions at `x` (m, p): (count, m), of components and fantasies chosen at random."""
        members, samples, fantasies, features = self.weights.shape
        network, hyper = np.divmod(rng.integers(members * samples, size=count), samples)
        weights = self.weights[network, hyper, rng.integers(fantasies, size=count)]
        weights = weights + rng.standard_normal((count, features)) / np.sqrt(self.precision[network, hyper])
        functions = self.theta[network, hyper] @ quadratic_basis(x).T
        for member, psi in enumerate(self.network.phi(x) @ self.vectors):
            functions[network == member] += weights[network == member] @ psi.T
        return np.asarray(functions)

    def thin(self, components: int) -> DNGOPosterior:
        """Posterior of about `components` of the components, as many of each network, fantasies averaged over."""
        few = slice(max(1, components // self.network.members))
        parts = {name: getattr(self, name)[:, few] for name in ("hyperparameters", "precision", "theta")}
        return replace(self, weights=self.weights[:, few].mean(axis=2, keepdims=True), **parts)

    def affordable(self, pending: int) -> DNGOPosterior:
        """Itself: pending points cost next to nothing."""
        return self

    def draw(self, rng: np.random.Generator) -> RegressionDraw:
        """Draw a function of a component and fantasy chosen at random, to be evaluated anywhere."""
        members, samples, fantasies, features = self.weights.shape
        m, s, f = (int(rng.integers(count)) for count in (members, samples, fantasies))
        rotated = self.weights[m, s, f] + rng.standard_normal(features) / np.sqrt(self.precision[m, s])
        return RegressionDraw(self.network.member(m), self.vectors[m] @ rotated, self.theta[m, s])


def _in_units(parameters: Parameters, offset: float, scale: float) -> Network:
    """Networks of an earlier fit, with outputs in the units of this one."""
    earlier_offset, earlier_scale = float(parameters["offset"]), float(parameters["scale"])
    return Network.from_arrays(parameters).rescale(earlier_scale / scale, (earlier_offset - offset) / scale)


def _inflated(hyperparameters: Array, inflation: float) -> Array:
    """Multiply all variances, 1/alpha and 1/beta, by `inflation`: means stay as they are."""
    shift = np.zeros(hyperparameters.shape[-1])
    shift[:2] = np.log(inflation)
    return np.asarray(hyperparameters - shift)


def _grams(network: Network, x: Array, y: Array, used: NDArray[np.bool_] | None = None) -> list[Gram]:
    """Sufficient statistics of each network's regression of `y`, given the observations (M, n) it may use."""
    grams = [Gram.empty(WIDTH, x.shape[1])] * network.members
    for first in range(0, len(y), BLOCK):
        rows = slice(first, first + BLOCK)
        for member, phi in enumerate(network.phi(x[rows])):
            mask = slice(None) if used is None else used[member, rows]
            grams[member] = grams[member].add(phi[mask], x[rows][mask], y[rows][mask])
    return grams


def _precision(hyperparameters: Array, values: Array) -> Array:
    """Eigenvalues (M, s, D) of K = beta Phi^T Phi + alpha I, given those of Phi^T Phi (M, D)."""
    alpha, beta = np.exp(hyperparameters[:, :, 0, None]), np.exp(hyperparameters[:, :, 1, None])
    return np.asarray(beta * values[:, None] + alpha)
