"""The basis network: an ensemble of 3 x 50 tanh networks, trained as regressors and kept for their last hidden layer.

Symbols
-------
M   members of the ensemble          p   feature columns           n   observations
D   units of a hidden layer (50)     m   points                    phi   last hidden layer, (M, m, D)

Snoek et al. 2015 [P]: three tanh layers, no dropout, very modest L2, a linear output layer while training, which the
Bayesian regression then replaces. The optimiser and its numbers are ours, not those of [P]. Members differ in their
initial weights, mini-batches and, if wished, data; they are trained at once, as batched matrix products.

Training is written out in numpy. For networks this small, torch takes two to nine times as long for the same weights,
and loading it takes longer than the first dozen fits of a study.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_Single = NDArray[np.floating]

WIDTH, LAYERS = 50, 3
FIRST_RATE, LAST_RATE = 3e-3, 1e-4
L2 = 1e-4
BATCH = 256

_DECAY, _SQUARE_DECAY, _TINY = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Network:
    """An ensemble's weights.

    Attributes
    ----------
    weights : tuple of arrays (M, fan in, fan out)
        The hidden layers, then the linear output layer of width 1.
    biases : tuple of arrays (M, 1, fan out)
        Likewise.
    """

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]

    @classmethod
    def initial(cls, columns: int, members: int, rng: np.random.Generator) -> Network:
        """Draw weights from Normal(0, 1/sqrt(fan in)), biases of hidden layers from Normal(0, 1).

        So wide biases spread the units' transitions over the cube: the basis is rich before any training.
        """
        sizes = [columns, *[WIDTH] * LAYERS, 1]
        weights = [
            rng.standard_normal((members, above, below)) / math.sqrt(max(above, 1))
            for above, below in itertools.pairwise(sizes)
        ]
        biases = [rng.standard_normal((members, 1, size)) for size in sizes[1:-1]]
        return cls(tuple(weights), (*biases, np.zeros((members, 1, 1))))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Network:
        """Rebuild what `to_arrays` took apart; other keys are ignored."""
        layers = range(LAYERS + 1)
        return cls(tuple(arrays[f"weight_{i}"] for i in layers), tuple(arrays[f"bias_{i}"] for i in layers))

    def to_arrays(self) -> dict[str, Array]:
        """Return the weights by name: ``weight_0`` to ``weight_3`` and ``bias_0`` to ``bias_3``."""
        named = {f"weight_{i}": weight for i, weight in enumerate(self.weights)}
        return named | {f"bias_{i}": bias for i, bias in enumerate(self.biases)}

    @property
    def members(self) -> int:
        """Number of networks M."""
        return len(self.weights[0])

    def member(self, index: int) -> Network:
        """Return one network by itself."""
        one = slice(index, index + 1)
        return Network(tuple(weight[one] for weight in self.weights), tuple(bias[one] for bias in self.biases))

    def phi(self, x: Array) -> Array:
        """Return the basis functions (M, m, D) at `x` (m, p)."""
        return self.layers(x)[-1]

    def layers(self, x: Array) -> list[Array]:
        """Return the hidden layers' outputs, each (M, m, D), at `x` (m, p), moved from [0, 1] to [-1, 1] first."""
        outputs: list[Array] = []
        below = np.asarray(2.0 * x - 1.0, dtype=self.weights[0].dtype)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            below = np.matmul(below, weight)
            below += bias
            outputs.append(np.tanh(below, out=below))
        return outputs

    def backward(self, layers: list[Array], grad_phi: Array) -> Array:
        """Gradient (m, p) of ``sum(grad_phi * phi(x))`` with respect to the x (m, p) that gave `layers`.

        `grad_phi` is (M, m, D).
        """
        gradient = grad_phi
        for layer, weight in zip(reversed(layers), reversed(self.weights[:-1]), strict=True):
            gradient = np.matmul(gradient * (1.0 - layer * layer), weight.transpose(0, 2, 1))
        return np.asarray(2.0 * gradient.sum(axis=0))

    def regress(self, x: Array) -> Array:
        """Output (M, m) of the linear layer that the networks were trained with."""
        return np.asarray((np.matmul(self.phi(x), self.weights[-1]) + self.biases[-1])[:, :, 0])

    def rescale(self, factor: float, shift: float) -> Network:
        """Return networks that regress ``factor * old + shift``: the same functions of y in other units."""
        weights = (*self.weights[:-1], factor * self.weights[-1])
        return Network(weights, (*self.biases[:-1], factor * self.biases[-1] + shift))


def train(
    x: Array, y: Array, rng: np.random.Generator, start: Network, steps: int, used: NDArray[np.bool_] | None = None
) -> Network:
    """Train an ensemble on squared error plus L2, the MAP estimate under normal noise and weights.

    Adam (Kingma & Ba 2015, algorithm 1), its rate falling from 3e-3 to 1e-4 along a cosine, on batches of at most 256,
    in single precision. L2 is in the loss, as Adam's gradients see it: decay by rate x 1e-4 a step, as AdamW has it,
    would be nothing in 1000 steps.

    Parameters
    ----------
    x : array (n, p)
        Feature rows.
    y : array (n,)
        Objectives in standardised units.
    rng
        Source of the mini-batches.
    start
        Weights to begin with.
    steps
        Optimiser's steps.
    used : boolean array (M, n), optional
        Observations that each member learns from; all by default.

    Returns
    -------
    Network
        The trained ensemble, in double precision.
    """
    used = np.ones((start.members, len(y)), dtype=np.bool_) if used is None else used
    inputs, targets = (2.0 * x - 1.0).astype(np.float32), y[:, None].astype(np.float32)
    values = _flat(start)
    gradient, mean, square = np.empty_like(values), np.zeros_like(values), np.zeros_like(values)
    network, slopes = _view(values, start), _view(gradient, start)
    penalised = sum(weight.size for weight in start.weights)
    for step in range(steps):
        if step == 0 or len(y) > BATCH:
            rows, shares = _batch(used, rng)
            below, target, share = inputs[rows], targets[rows], 2.0 * shares[:, :, None]
        _differentiate(network, below, target, share, slopes)
        gradient[:penalised] += 2.0 * L2 * values[:penalised]
        mean *= _DECAY
        mean += (1.0 - _DECAY) * gradient
        square *= _SQUARE_DECAY
        square += (1.0 - _SQUARE_DECAY) * (gradient * gradient)
        spread = np.sqrt(square)
        spread *= 1.0 / math.sqrt(1.0 - _SQUARE_DECAY ** (step + 1))
        spread += _TINY
        values -= (_rate(step / steps) / (1.0 - _DECAY ** (step + 1))) * (mean / spread)
    return Network(
        tuple(weight.astype(np.float64) for weight in network.weights),
        tuple(bias.astype(np.float64) for bias in network.biases),
    )


def _rate(progress: float) -> float:
    return LAST_RATE + 0.5 * (FIRST_RATE - LAST_RATE) * (1.0 + math.cos(math.pi * progress))


def _batch(used: NDArray[np.bool_], rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Observations of a batch, and their shares in the mean squared error: both (M, batch).

    All observations where they fit in one batch, those not used with share 0; else as many as fit, with replacement.
    """
    members, count = used.shape
    if count <= BATCH:
        shares = used / used.sum(axis=1, keepdims=True)
        return np.tile(np.arange(count), (members, 1)), shares.astype(np.float32)
    rows = np.array([rng.choice(np.flatnonzero(mask), size=BATCH) for mask in used])
    return rows, np.full(rows.shape, 1.0 / BATCH, dtype=np.float32)


def _flat(network: Network) -> NDArray[np.float32]:
    """All weights, then all biases, in one array."""
    return np.concatenate([array.ravel() for array in (*network.weights, *network.biases)]).astype(np.float32)


def _view(values: NDArray[np.float32], like: Network) -> Network:
    """Read `values`, of the order of `_flat`, as a network's: what is written to either is in both."""
    views, first = [], 0
    for array in (*like.weights, *like.biases):
        views.append(values[first : first + array.size].reshape(array.shape))
        first += array.size
    return Network(tuple(views[: LAYERS + 1]), tuple(views[LAYERS + 1 :]))


def _differentiate(network: Network, below: _Single, target: _Single, share: _Single, slopes: Network) -> None:
    """Write the gradient of each member's squared error into `slopes`: back-propagation.

    `below` (M, b, p) are inputs in [-1, 1], `target` is (M, b, 1), `share` (M, b, 1) twice the weight of each
    observation.
    """
    outputs = [below]
    for weight, bias in zip(network.weights[:-1], network.biases[:-1], strict=True):
        hidden = np.matmul(outputs[-1], weight)
        hidden += bias
        outputs.append(np.tanh(hidden, out=hidden))
    error = np.matmul(outputs[-1], network.weights[-1])
    error += network.biases[-1]
    error -= target
    error *= share
    for layer in reversed(range(LAYERS + 1)):
        np.matmul(outputs[layer].transpose(0, 2, 1), error, out=slopes.weights[layer])
        np.sum(error, axis=1, keepdims=True, out=slopes.biases[layer])
        if layer:
            error = np.matmul(error, network.weights[layer].transpose(0, 2, 1))
            error *= 1.0 - outputs[layer] * outputs[layer]
