"""What a Bayesian regression is linear in: the last hidden layers of networks, and Fourier features beside them.

Symbols
-------
M   networks          p   feature columns       m   points
D   basis functions of each network: 50 learned ones, then those of its Fourier features
phi (M, m, D)         their values
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from utilities.fourier_features import FourierFeatures
from utilities.neural_net import WIDTH, Network

Array = NDArray[np.float64]


def single(array: Array) -> Array:
    """Round to single precision, for where speed matters more than digits; the type does not tell."""
    return cast("Array", array.astype(np.float32))


class Tape(NamedTuple):
    """What `backward` of a basis needs of a forward pass: the layers that led to phi, and phi."""

    layers: list[Array]
    phi: Array


class LinearBasis(Protocol):
    """What `utilities.dngo_posterior.DNGOPosterior` needs of the basis that its M regressions are linear in."""

    def member(self, index: int) -> LinearBasis:
        """Basis of one regression by itself."""

    def first(self) -> LinearBasis:
        """Basis of the first regression alone, in single precision where that is quicker."""

    def phi(self, x: Array) -> Array:
        """Return the basis functions (M, m, D) at `x` (m, p)."""

    def tape(self, x: Array) -> Tape:
        """Return the basis functions at `x` (m, p) and what led to them."""

    def backward(self, tape: Tape, grad_phi: Array) -> Array:
        """Gradient (m, p) of ``sum(grad_phi * phi(x))`` with respect to the x of `tape`; `grad_phi` is (M, m, D)."""


@dataclass(frozen=True)
class Basis:
    """Basis functions of M regressions.

    Attributes
    ----------
    network
        The learned ones.
    fourier
        A draw for each network; None as in Snoek et al. 2015.
    """

    network: Network
    fourier: FourierFeatures | None = None

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array]) -> Basis:
        """Rebuild what `to_arrays` took apart; other keys are ignored."""
        frequencies = arrays.get("frequencies")
        return cls(Network.from_arrays(arrays), None if frequencies is None else FourierFeatures(frequencies))

    def to_arrays(self) -> dict[str, Array]:
        """Return the networks' weights by name and, if there are any, ``frequencies`` (M, p, R)."""
        named = self.network.to_arrays()
        return named if self.fourier is None else named | {"frequencies": self.fourier.frequencies}

    @property
    def members(self) -> int:
        """Number of networks M."""
        return self.network.members

    @property
    def size(self) -> int:
        """Number of basis functions D."""
        return WIDTH + (0 if self.fourier is None else self.fourier.size)

    def member(self, index: int) -> Basis:
        """Basis of one network by itself."""
        one = slice(index, index + 1)
        fourier = None if self.fourier is None else FourierFeatures(self.fourier.frequencies[one])
        return Basis(self.network.member(index), fourier)

    def first(self) -> Basis:
        """Basis of the first network alone, in single precision."""
        weights, biases = self.network.weights, self.network.biases
        network = Network(tuple(single(w[:1]) for w in weights), tuple(single(b[:1]) for b in biases))
        return Basis(network, None if self.fourier is None else FourierFeatures(single(self.fourier.frequencies[:1])))

    def phi(self, x: Array) -> Array:
        """Return the basis functions (M, m, D) at `x` (m, p)."""
        return self.tape(x).phi

    def tape(self, x: Array) -> Tape:
        """Return the basis functions at `x` (m, p) and what led to them."""
        layers = self.network.layers(x)
        if self.fourier is None:
            return Tape(layers, layers[-1])
        return Tape(layers, np.concatenate([layers[-1], self.fourier.phi(x)], axis=2))

    def backward(self, tape: Tape, grad_phi: Array) -> Array:
        """Gradient (m, p) of ``sum(grad_phi * phi(x))`` with respect to the x of `tape`; `grad_phi` is (M, m, D)."""
        gradient = self.network.backward(tape.layers, grad_phi[:, :, :WIDTH])
        if self.fourier is not None:
            gradient += self.fourier.backward(tape.phi[:, :, WIDTH:], grad_phi[:, :, WIDTH:])
        return gradient
