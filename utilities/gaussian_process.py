"""Exact Gaussian process: hyperparameters by slice sampling while data are few, by their mode beyond.

Symbols
-------
n   observations      p   columns      g   groups of columns that share a lengthscale      w   warped columns
S   samples of the hyperparameters theta (see `utilities.hyperposterior`)

Up to `SAMPLED_POINTS` observations theta is sampled; with more its density is so narrow that the mode (S = 1) stands
for it. The fewer they are, the wider and the more ragged its density, and the cheaper a sample: there S is up to
`MOST_SAMPLES` times as large.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from utilities.cholesky import jittered_cholesky
from utilities.gaussian_posterior import GaussianPosterior
from utilities.hyper_search import draw, find_mode, laplace_covariance, warp_evidence
from utilities.hyperposterior import NOISE_FLOOR, Hyperposterior, Layout
from utilities.kernels import Kernel
from utilities.surrogate import Dataset, Parameters, standardisation

Array = NDArray[np.float64]

SAMPLED_POINTS = 150
MOST_SAMPLES = 2
COLD_BURN_IN, WARM_BURN_IN = 6, 2
"""Trajectories of the sampler before the first sample after a search, and going on from an earlier chain."""

SEARCH_GROWTH = 1.25
"""Growth of the number of observations after which mode, curvature and warps are searched anew."""

LEAST_MOVES = 4
"""Where a chain moves in less than one of so many trajectories, its coordinates are wrong, and searched anew."""

STARTS = 4
ITERATIONS, FINAL_ITERATIONS = 100, 40


@dataclass(frozen=True)
class _Search:
    """What a search found: the coordinates in which a chain moves, good for a while as observations are added.

    Attributes
    ----------
    layout
        Of the warps that pay.
    mode : array (k,)
    root : array (k, k)
        R of `utilities.hyper_search`.
    rows
        Number of observations given.
    """

    layout: Layout
    mode: Array
    root: Array
    rows: int

    def named(self, whole: Layout) -> Parameters:
        """As parameters; ``search_warps`` says which of the warps of the `whole` layout pay."""
        return {
            "search_mode": self.mode,
            "search_root": self.root,
            "search_rows": np.array(float(self.rows)),
            "search_warps": np.isin(whole.warped, self.layout.warped).astype(np.float64),
        }


class GaussianProcess:
    """Gaussian process surrogate with Matern-5/2 kernel.

    Parameters
    ----------
    groups : integer array (p,)
        Group, 0 to g - 1, of each feature column: columns of a group share a lengthscale. A categorical parameter's
        columns, one-hot over sqrt 2, form a group (which makes it a Hamming term), as do those of a conditional one.
    warped : boolean array (p,)
        Columns that may be warped: they hold numbers in [0, 1].
    samples
        Number of hyperparameter samples S from half to all of `SAMPLED_POINTS` observations. With fewer, S n stays
        about the same, up to S = `MOST_SAMPLES` times as many; with more, S = 1.

    Raises
    ------
    ValueError
        The groups are not numbered 0 to g - 1, or `warped` has another length.
    """

    def __init__(self, groups: NDArray[np.int64], warped: NDArray[np.bool_], samples: int = 8) -> None:
        groups, warped = np.asarray(groups), np.asarray(warped)
        if groups.ndim != 1 or not np.array_equal(np.unique(groups), np.arange(groups.max(initial=-1) + 1)):
            raise ValueError(f"groups must number the columns' lengthscales from 0 without gaps: got {groups}")
        if warped.shape != groups.shape:
            raise ValueError(
                f"groups and warped must be as long as there are columns: got {groups.shape}, {warped.shape}"
            )
        if samples < 1:
            raise ValueError(f"samples must be at least 1: got {samples}")
        self._layout = Layout(groups.astype(np.intp), np.flatnonzero(warped))
        self._samples = samples

    def fit(self, data: Dataset, rng: np.random.Generator, previous: Parameters | None = None) -> Parameters:
        """Sample the hyperparameters, or find their mode.

        First the mode: from `STARTS` starts, one of them `previous`, on at most `SAMPLED_POINTS` observations. Then
        each warp is kept if it improves the evidence. Then samples, or the mode given all observations.

        Parameters
        ----------
        data
            At least 2 observations.
        rng
            Source of randomness.
        previous
            Parameters of an earlier fit, of the same columns.

        Returns
        -------
        Mapping
            ``log_lengthscale`` (S, g), ``log_outputscale`` (S,), ``log_noise`` (S,), ``log_a`` and ``log_b`` (S, w),
            ``offset`` () and ``scale`` () of the standardisation. Where a column is not warped, log a = log b = 0.

        Raises
        ------
        ValueError
            Fewer than 2 observations, a value that is not finite, or arrays of another shape than expected.
        """
        data.check(self._layout.groups.size, least=2)
        offset, scale = standardisation(data.y)
        standard = Dataset(data.x, (data.y - offset) / scale, data.scaled_variance(scale))
        known = None if previous is None else self._stack(previous)
        if len(data) <= SAMPLED_POINTS:
            layout, theta, search = self._sample(standard, rng, known, previous)
            return {**self._named(layout, theta, offset, scale), **search}
        layout, theta = self._maximise(standard, rng, known)
        return self._named(layout, theta, offset, scale)

    def condition(self, parameters: Parameters, data: Dataset) -> GaussianPosterior:
        """Posterior given `data`, which may be empty.

        Raises
        ------
        ValueError
            A value that is not finite, or arrays of another shape than expected.
        """
        data.check(self._layout.groups.size, least=0)
        theta = self._stack(parameters)
        lengths, log_outputscale, log_noise, log_a, log_b = self._layout.split(theta)
        kernel = Kernel(
            np.exp(-lengths)[:, self._layout.groups], np.exp(log_outputscale), self._layout.warped, log_a, log_b
        )
        offset, scale = float(parameters["offset"]), float(parameters["scale"])
        empty = GaussianPosterior.prior(kernel, NOISE_FLOOR + np.exp(log_noise), offset, scale)
        return empty.extend(data.x, data.y, data.variance)

    def _sample(
        self, data: Dataset, rng: np.random.Generator, known: Array | None, previous: Parameters | None
    ) -> tuple[Layout, Array, Parameters]:
        """Samples (S, k) of theta in a layout of the warps that pay, by a chain that begins at the latest known."""
        count = self._samples * max(1, min(MOST_SAMPLES, SAMPLED_POINTS // len(data)))
        found = self._searched(len(data), previous)
        if found is not None and known is not None:
            density = Hyperposterior(data.x, data.y, found.layout, data.variance)
            start = known[-1, found.layout.within(self._layout)]
            samples = draw(density, found.mode, found.root, start, rng, count=count, burn_in=WARM_BURN_IN)
            if len(np.unique(samples, axis=0)) > count // LEAST_MOVES:
                return found.layout, samples, found.named(self._layout)
        layout, mode = self._search(data, rng, known)
        density = Hyperposterior(data.x, data.y, layout, data.variance)
        found = _Search(layout, mode, jittered_cholesky(laplace_covariance(density, mode)), len(data))
        start = mode if known is None else known[-1, layout.within(self._layout)]
        samples = draw(density, mode, found.root, start, rng, count=count, burn_in=COLD_BURN_IN)
        return layout, samples, found.named(self._layout)

    def _searched(self, count: int, previous: Parameters | None) -> _Search | None:
        """The latest search, where the observations have not grown by much since then."""
        if previous is None or "search_rows" not in previous:
            return None
        rows = int(previous["search_rows"])
        if count > SEARCH_GROWTH * rows:
            return None
        layout = Layout(self._layout.groups, self._layout.warped[previous["search_warps"] > 0.5])
        return _Search(layout, previous["search_mode"], previous["search_root"], rows)

    def _maximise(self, data: Dataset, rng: np.random.Generator, known: Array | None) -> tuple[Layout, Array]:
        """Mode (1, k) given all observations, sought from the better of the mode given some and the latest known.

        The warps known are kept: given some observations a warp may seem to pay, and given some others not.
        """
        some = rng.permutation(len(data))[:SAMPLED_POINTS]
        keep = None if known is None else np.asarray(self._layout.split(known)[3].any(axis=0))
        layout, start = self._search(data.some(some), rng, known, keep)
        density = Hyperposterior(data.x, data.y, layout, data.variance)
        if known is not None:
            start = max(start, known[-1, layout.within(self._layout)], key=density)
        return layout, find_mode(density, [start], FINAL_ITERATIONS)[None]

    def _search(
        self,
        data: Dataset,
        rng: np.random.Generator,
        known: Array | None,
        keep: NDArray[np.bool_] | None = None,
    ) -> tuple[Layout, Array]:
        """Find the warps that pay, besides those to `keep`, and the mode (k,) with these alone."""
        layout = self._layout
        density = Hyperposterior(data.x, data.y, layout, data.variance)
        mode = find_mode(density, _starts(density, rng, known), ITERATIONS)
        if not layout.warped.size:
            return layout, mode
        pays = warp_evidence(density, mode, laplace_covariance(density, mode)) > 0.0
        if keep is not None:
            pays |= keep
        kept = Layout(layout.groups, layout.warped[pays])
        if pays.all():
            return kept, mode
        density = Hyperposterior(data.x, data.y, kept, data.variance)
        return kept, find_mode(density, [mode[kept.within(layout)]], ITERATIONS)

    def _named(self, layout: Layout, theta: Array, offset: float, scale: float) -> Parameters:
        full = np.zeros((theta.shape[0], self._layout.size))
        full[:, layout.within(self._layout)] = theta
        lengths, log_outputscale, log_noise, log_a, log_b = self._layout.split(full)
        return {
            "log_lengthscale": lengths.copy(),
            "log_outputscale": log_outputscale.copy(),
            "log_noise": log_noise.copy(),
            "log_a": log_a.copy(),
            "log_b": log_b.copy(),
            "offset": np.array(offset),
            "scale": np.array(scale),
        }

    def _stack(self, parameters: Parameters) -> Array:
        """Theta (S, k) from parameters by name."""
        scalars = [np.asarray(parameters[name])[:, None] for name in ("log_outputscale", "log_noise")]
        theta = np.hstack([parameters["log_lengthscale"], *scalars, parameters["log_a"], parameters["log_b"]])
        if theta.shape[1] != self._layout.size:
            raise ValueError(f"parameters must be those of {self._layout}: got {theta.shape[1]} a sample")
        return theta


def _starts(density: Hyperposterior, rng: np.random.Generator, known: Array | None) -> list[Array]:
    """Where to begin: the mean of what is known, a short-sighted setting, and points around it; `STARTS` in all.

    From the prior's long lengthscales L-BFGS often ends where all is noise, tens of nats below the best mode. From
    short ones, exp(mean - deviation^2), the mode of a log-normal density, it rarely does.
    """
    centre, deviation = density.prior_mean.copy(), density.prior_deviation.copy()
    lengths = slice(0, density.layout.group_count)
    centre[lengths] -= deviation[lengths] ** 2
    deviation[lengths] *= 2.0
    starts = [centre] if known is None else [known.mean(axis=0), centre]
    around = 0.3 * deviation * rng.standard_normal((STARTS - len(starts), centre.size))
    return [*starts, *(centre + around)]
