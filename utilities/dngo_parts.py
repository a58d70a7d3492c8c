"""A DNGO's parameters taken apart by its networks, and put together again: so that several ranks can fit one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from utilities.surrogate import Array, Parameters

MEMBERS = 3
"""Networks of ``dngo``."""

PRIOR_MISFITS = 4
"""Held-out observations of misfit 1 that the inflation of the variances starts from."""

_OF_MEMBERS = ("weight_", "bias_", "hyperparameters", "frequencies", "gram")


def inflation_of(total: float, count: float) -> float:
    """Inflation of the variances, at least 1, given the sum and number of the held-out observations' misfits."""
    return max(1.0, (PRIOR_MISFITS + total) / (PRIOR_MISFITS + count))


def inflated(hyperparameters: Array, inflation: float) -> Array:
    """Multiply all variances, 1/alpha and 1/beta, by `inflation`: means stay as they are."""
    shift = np.zeros(hyperparameters.shape[-1])
    shift[:2] = np.log(inflation)
    return np.asarray(hyperparameters - shift)


def members_of(parameters: Parameters, which: range) -> Parameters:
    """Parameters of some of the networks."""
    return {name: array[which] if name.startswith(_OF_MEMBERS) else array for name, array in parameters.items()}


def merge_members(parts: Sequence[Parameters]) -> Parameters:
    """Parameters of all networks, of which each of the k parts has every k-th, itself inflated by its own misfits."""
    total, count = np.sum([part["misfits"] for part in parts], axis=0)
    inflation = inflation_of(float(total), float(count))
    merged: dict[str, Array] = {**parts[0], "misfits": np.array([total, count]), "inflation": np.array(inflation)}
    for name in parts[0]:
        if not name.startswith(_OF_MEMBERS):
            continue
        arrays = [part[name] for part in parts]
        if name == "hyperparameters":
            ratios = [inflation / float(part["inflation"]) for part in parts]
            arrays = [inflated(array, ratio) for array, ratio in zip(arrays, ratios, strict=True)]
        whole = np.empty((sum(len(array) for array in arrays), *arrays[0].shape[1:]))
        for place, array in enumerate(arrays):
            whole[place :: len(parts)] = array
        merged[name] = whole
    return merged
