"""DNGO: Bayesian linear regression on the basis of trained networks (Snoek et al. 2015, [P]), as a surrogate.

Symbols
-------
M   networks                          p   feature columns                 n   observations
s   hyperparameter samples of each    D   basis functions of a network    R   frequencies of its Fourier features
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from utilities.basis import Basis
from utilities.dngo_parts import MEMBERS, inflated, inflation_of
from utilities.dngo_posterior import DNGOPosterior
from utilities.fourier_features import FourierFeatures, search_lengthscales
from utilities.linear_regressor import Gram, quadratic_basis, row_weights, sample_hyperparameters, squared_misfits
from utilities.neural_net import Network, train
from utilities.surrogate import Dataset, Parameters, standardisation

Array = NDArray[np.float64]

PAPER_STEPS = (600, 300)
STEPS = (300, 100)
"""Optimiser's steps without and with an earlier fit to go on from, of one network and of several."""

MANY, MORE_STEPS = 256, 400
"""Beyond so many observations, so many steps more: they take 25 % off the error on 300 points of a sum of sines."""

FREQUENCIES = (64, 128)
"""Of the Fourier features beside each of several networks, with up to `MANY` observations and with more.

On five functions of 5 to 20 columns the second gained 0.08 nat an outcome over the first after 600 observations; on
eight functions with 25 and 90, nothing.
"""

FOLDS = 6
HELD_OUT_FROM = 2 * FOLDS
"""Observations from which an ensemble holds a sixth out."""

BLOCK = 4096
"""Observations whose basis is held in memory at a time."""


class DNGO:
    """Adaptive basis regression: networks, each with slice samples of its regression's hyperparameters.

    One network is the method of [P]. Beyond [P], several differ where there are no data, and so add some of the
    uncertainty that a point estimate of a network leaves out, and two things make their variances honest:

    - Fourier features (`utilities.fourier_features`) stand beside the learned ones. They were not fitted to y, so the
      evidence weighs them justly, and their variance grows away from the data.
    - The evidence takes a basis that was trained on y for better than it is, and squared errors elsewhere exceed the
      variance predicted. So each network leaves a sixth of the observations out of its training, and all variances are
      inflated by the mean squared misfit of these. The regressions themselves are given all observations.

    Parameters
    ----------
    columns
        Number of feature columns p.
    members
        Number of networks M.
    samples
        Number of hyperparameter samples s for each network: by default 10 of one network, 4 of each of several.
    frequencies
        Number R of frequencies beside each network; by default none beside one, `FREQUENCIES` beside several.
    curves
        Whether the last column is the fidelity of rows of learning curves: then whole curves are held out.

    Raises
    ------
    ValueError
        A number of columns, members or samples below 1, of frequencies below 0.
    """

    def __init__(
        self,
        columns: int,
        members: int = MEMBERS,
        samples: int | None = None,
        frequencies: int | None = None,
        *,
        curves: bool = False,
    ) -> None:
        samples = (10 if members == 1 else 4) if samples is None else samples
        if frequencies is None:
            self._frequencies = (0, 0) if members == 1 else FREQUENCIES
        else:
            self._frequencies = (frequencies, frequencies)
        if min(columns, members, samples) < 1 or min(self._frequencies) < 0:
            raise ValueError(
                "columns, members and samples must be at least 1, frequencies at least 0: "
                f"got {columns}, {members}, {samples} and {frequencies}"
            )
        self._columns, self._samples, self._curves = columns, samples, curves
        self._alone, self._which = members == 1, range(members)

    def part(self, place: int, parts: int) -> DNGO:
        """The same with every so-manieth network alone, from `place` on (see `utilities.dngo_parts`)."""
        some = copy.copy(self)
        some._which = self._which[place::parts]
        return some

    @property
    def _members(self) -> int:
        return len(self._which)

    def fit(self, data: Dataset, rng: np.random.Generator, previous: Parameters | None = None) -> Parameters:
        """Train the networks, then sample the hyperparameters given their bases.

        Parameters
        ----------
        data
            At least 2 observations.
        rng
            Source of randomness.
        previous
            Parameters of an earlier fit to the first rows of `data`, of the same columns and members, with Fourier
            features too or without: networks, lengthscales and chains go on from there.

        Returns
        -------
        dict
            ``weight_0`` to ``weight_3``, ``bias_0`` to ``bias_3`` (see `Network`), ``hyperparameters`` (M, s, 3 + 2p)
            (z of `utilities.linear_regressor`), the ``inflation`` () that is in them, the sum and number of the
            ``misfits`` (2,) that it comes from, the number of ``folds`` (), 0 if
            nothing was held out, ``offset`` () and ``scale`` () of the standardisation. With Fourier features also
            their ``frequencies`` (M, p, R) and the ``lengthscale`` (p,) that these were drawn for. The sums over the
            ``observations`` () that the regressions rest on are ``gram`` (M, D + 2p + 2, D + 2p + 2): to condition on
            the same ones again does without them.

        Raises
        ------
        ValueError
            Fewer than 2 observations, a value that is not finite, or another number of columns than expected.
        """
        data.check(self._columns, least=2)
        offset, scale = standardisation(data.y)
        y = (data.y - offset) / scale
        held = self._held_out(data.x)
        folds = float(FOLDS * np.any(held))
        learned = previous
        if previous is not None and float(previous["folds"]) != folds:
            learned = None  # its networks have seen what is held out now
        if learned is None:
            start = Network.initial(self._columns, self._members, rng)
        else:
            start = _in_units(learned, offset, scale)
        many = len(data) > MANY
        steps = (PAPER_STEPS if self._alone else STEPS)[learned is not None] + MORE_STEPS * many
        network = train(data.x, y, rng, start, steps, ~held)
        fitted = {"folds": np.array(folds), "offset": np.array(offset), "scale": np.array(scale)}
        fourier = None
        if frequencies := self._frequencies[many]:
            known = None if previous is None else previous["lengthscale"]
            fitted["lengthscale"] = search_lengthscales(data.x, y, rng, known)
            fourier = FourierFeatures.draw(fitted["lengthscale"], self._members, frequencies, rng)
        basis = Basis(network, fourier)
        standard = Dataset(data.x, y, data.scaled_variance(scale))
        used, unseen = _divided_grams(basis, standard, held)
        hyperparameters, misfits = self._regress(basis, standard, held, used, rng, learned)
        inflation = inflation_of(*misfits)
        fitted["gram"] = np.array([gram.matrix + rest.matrix for gram, rest in zip(used, unseen, strict=True)])
        fitted["observations"] = np.array(float(len(data)))
        fitted |= {"hyperparameters": inflated(hyperparameters, inflation), "inflation": np.array(inflation)}
        return {**basis.to_arrays(), **fitted, "misfits": misfits}

    def condition(self, parameters: Parameters, data: Dataset) -> DNGOPosterior:
        """Posterior given `data`, which may be empty.

        Where its first rows are those of the fit, their sums are taken from there.

        Raises
        ------
        ValueError
            A value that is not finite, or another number of columns than expected.
        """
        data.check(self._columns, least=0)
        basis = Basis.from_arrays(parameters)
        offset, scale = float(parameters["offset"]), float(parameters["scale"])
        standard = Dataset(data.x, (data.y - offset) / scale, data.scaled_variance(scale))
        known = _known_grams(parameters, standard)
        begin = known[0].count if known else 0
        grams = _grams(basis, standard.some(slice(begin, None)), known=known)
        return DNGOPosterior.given(offset, scale, basis, parameters["hyperparameters"], grams)

    def _held_out(self, x: Array) -> NDArray[np.bool_]:
        """Observations (M, n) that each network does not learn from: every sixth, each network another one.

        By their place, so that a network which learns on from an earlier fit has never seen what is held out. Of curves
        by that of the first row of each.
        """
        places = np.arange(len(x))
        if self._curves:
            known: dict[bytes, int] = {}
            places = np.array([known.setdefault(row[:-1].tobytes(), len(known)) for row in x])
        if self._alone or places.max(initial=0) + 1 < HELD_OUT_FROM:
            return np.zeros((self._members, len(x)), dtype=np.bool_)
        return np.asarray(places % FOLDS == np.array(self._which)[:, None] % FOLDS)

    def _regress(
        self,
        basis: Basis,
        data: Dataset,
        held: NDArray[np.bool_],
        used: list[Gram],
        rng: np.random.Generator,
        previous: Parameters | None,
    ) -> tuple[Array, Array]:
        """Hyperparameters (M, s, 3 + 2p) given what each network learned from, `used`.

        Also the sum and the number of the misfits (2,) of what they did not learn from.
        """
        chains = [None] * self._members
        if previous is not None:
            chains = list(inflated(previous["hyperparameters"][:, -1], 1.0 / float(previous["inflation"])))
        samples, misfits = [], []
        for member, gram in enumerate(used):
            drawn = sample_hyperparameters(gram.spectrum, rng, count=self._samples, previous=chains[member])
            unseen = data.some(np.flatnonzero(held[member]))
            phi = basis.member(member).phi(unseen.x)[0]
            told = unseen.x, unseen.y, row_weights(unseen.variance)
            misfits.append(np.mean([squared_misfits(gram.spectrum, z, phi, *told) for z in drawn], axis=0))
            samples.append(drawn)
        total = np.concatenate(misfits)
        return np.array(samples), np.array([total.sum(), total.size])


def _in_units(parameters: Parameters, offset: float, scale: float) -> Network:
    """Networks of an earlier fit, with outputs in the units of this one."""
    earlier_offset, earlier_scale = float(parameters["offset"]), float(parameters["scale"])
    return Network.from_arrays(parameters).rescale(earlier_scale / scale, (earlier_offset - offset) / scale)


def _grams(basis: Basis, data: Dataset, known: Sequence[Gram] = ()) -> list[Gram]:
    """Sufficient statistics of each network's regression of standardised `data`, added to the `known` ones."""
    grams = list(known) or [Gram.empty(basis.size, data.x.shape[1])] * basis.members
    for rows, phi in _blocks(basis, data.x):
        part = data.some(rows)
        weights = row_weights(part.variance)
        grams = [gram.add(own, part.x, part.y, weights) for gram, own in zip(grams, phi, strict=True)]
    return grams


def _divided_grams(basis: Basis, data: Dataset, held: NDArray[np.bool_]) -> tuple[list[Gram], list[Gram]]:
    """Those of the observations that each network learned from, and those of the observations (M, n) held out."""
    learned, rest = ([Gram.empty(basis.size, data.x.shape[1])] * basis.members for _ in range(2))
    for rows, phi in _blocks(basis, data.x):
        block = data.some(rows)
        for member, own in enumerate(phi):
            out = held[member, rows]
            for grams, which in ((learned, np.flatnonzero(~out)), (rest, np.flatnonzero(out))):
                part = block.some(which)
                grams[member] = grams[member].add(own[which], part.x, part.y, row_weights(part.variance))
    return learned, rest


def _blocks(basis: Basis, x: Array) -> Iterator[tuple[slice, Array]]:
    """Slices of the observations, and the basis functions (M, m, D) there."""
    for first in range(0, len(x), BLOCK):
        rows = slice(first, first + BLOCK)
        yield rows, basis.phi(x[rows])


def _known_grams(parameters: Parameters, data: Dataset) -> list[Gram]:
    """Sufficient statistics that are in `parameters`, none where the first rows of the data are not those of the fit.

    A journal that was repaired may lack some. The weighted sums of x, x^2 and y are in the statistics, and tell.
    """
    if "gram" not in parameters:
        return []
    count = int(parameters["observations"])
    matrices = np.asarray(parameters["gram"])
    first = data.some(slice(count))
    rows = np.column_stack([quadratic_basis(first.x), first.y])
    weights = row_weights(first.variance)
    weighed = rows if weights is None else rows * weights[:, None]
    sums = np.append(weighed.sum(axis=0), first.y @ weighed[:, -1])
    features = matrices.shape[1] - rows.shape[1]
    expected = np.append(matrices[0, features, features:], matrices[0, -1, -1])
    if len(rows) < count or not np.allclose(sums, expected, rtol=1e-9, atol=1e-9 * count):
        return []
    return [Gram(matrix, count, features) for matrix in matrices]
