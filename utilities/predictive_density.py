"""How well a posterior foretold outcomes: the log density that it gave them before they were told.

Symbols
-------
m   outcomes          S   mixture components

Computed on each outcome before the posterior is extended by it, this is the one-step-ahead log density. Its sum over a
run is the log evidence of the whole model, fits included (Dawid 1984, "The prequential approach"): the measure by which
surrogates are weighed against each other, and whose fall says that a fit has grown old.
"""

from __future__ import annotations

import numpy as np
from scipy.special import logsumexp

from utilities.surrogate import Array, Posterior


def log_density(posterior: Posterior, x: Array, y: Array) -> Array:
    """Log predictive density (m,) of each outcome by itself, noise included, per standardised unit of the posterior.

    Parameters
    ----------
    posterior
        A mixture of S normals, equally weighted; of one with fantasies, their mean is taken.
    x : array (m, p)
        Feature rows.
    y : array (m,)
        Outcomes, in the units that the posterior was conditioned in. Two posteriors of the same transformed y compare
        after subtracting the logarithm of each one's ``scale``.
    """
    mean, variance = posterior.predict(x)
    spread = variance + posterior.noise()[:, None]
    error = (y - posterior.offset) / posterior.scale - mean.mean(axis=1)
    components = -0.5 * (error**2 / spread + np.log(2.0 * np.pi * spread))
    return np.asarray(logsumexp(components, axis=0) - np.log(len(components)))
