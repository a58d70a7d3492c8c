"""The basis network: an ensemble of 3 x 50 tanh networks, trained as regressors and kept for their last hidden layer.

Symbols
-------
M   members of the ensemble          p   feature columns           n   observations
D   units of a hidden layer (50)     m   points                    phi   last hidden layer, (M, m, D)

Snoek et al. 2015 [P]: three tanh layers, no dropout, very modest L2, a linear output layer while training, which the
Bayesian regression then replaces. The optimiser and its numbers are ours, not those of [P]. Members differ in their
initial weights, mini-batches and, if wished, data; they are trained at once, as batched matrix products.

Only `train` needs torch, and imports it: whoever predicts does without.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Array = NDArray[np.float64]

WIDTH, LAYERS = 50, 3
FIRST_RATE, LAST_RATE = 3e-3, 1e-4
L2 = 1e-4
BATCH = 256


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

    AdamW, its rate falling from 3e-3 to 1e-4 along a cosine, on batches of at most 256, in single precision. L2 is in
    the loss: AdamW's own decay of rate x 1e-4 a step would be nothing in 1000 steps.

    Parameters
    ----------
    x : array (n, p)
        Feature rows.
    y : array (n,)
        Objectives in standardised units.
    rng
        Source of the mini-batches; torch's own generator is neither read nor moved.
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
    import torch

    used = np.ones((start.members, len(y)), dtype=np.bool_) if used is None else used
    inputs, targets = torch.tensor(2.0 * x - 1.0, dtype=torch.float32), torch.tensor(y[:, None], dtype=torch.float32)
    weights = [_variable(weight) for weight in start.weights]
    biases = [_variable(bias) for bias in start.biases]
    optimizer = torch.optim.AdamW([*weights, *biases], lr=FIRST_RATE, weight_decay=0.0, fused=True)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = _rate(step / steps)
        rows, shares = (torch.from_numpy(array) for array in _batch(used, rng))
        loss = _loss(inputs[rows], targets[rows], shares, weights, biases)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    return Network(tuple(_array(w) for w in weights), tuple(_array(b) for b in biases))


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


def _loss(
    inputs: torch.Tensor,
    targets: torch.Tensor,
    shares: torch.Tensor,
    weights: list[torch.Tensor],
    biases: list[torch.Tensor],
) -> torch.Tensor:
    """Mean squared error plus L2, summed over the members, whose gradients are independent."""
    import torch

    hidden = inputs
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        hidden = torch.tanh(torch.baddbmm(bias, hidden, weight))
    error = torch.baddbmm(biases[-1], hidden, weights[-1]) - targets
    penalty = torch.stack([weight.square().sum() for weight in weights]).sum()
    return (shares[:, :, None] * error.square()).sum() + L2 * penalty


def _variable(values: Array) -> torch.Tensor:
    import torch

    return torch.tensor(values, dtype=torch.float32, requires_grad=True)


def _array(variable: torch.Tensor) -> Array:
    return np.asarray(variable.detach().numpy(), dtype=np.float64)
