"""BoTorch: SingleTaskGP fitted anew for each proposal, qLogExpectedImprovement with pending points, in float64."""

from __future__ import annotations

import warnings

import botorch
import numpy as np
import torch
from botorch.acquisition.logei import qLogExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.optim import optimize_acqf
from gpytorch.mlls import ExactMarginalLogLikelihood
from numpy.typing import NDArray

from benchmarks.scaling.subjects.observations import COLUMNS


class Botorch:
    """All told points in the model, all others pending."""

    def __init__(self, _: str) -> None:
        torch.set_num_threads(1)
        torch.manual_seed(0)
        warnings.simplefilter("ignore")
        self._x: list[list[float]] = []
        self._y: list[float] = []
        self._out: dict[int, list[float]] = {}
        self._asked = 0
        self.version = f"botorch {botorch.__version__}"

    def load(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> list[tuple[str, int, float]]:
        """Take observations."""
        self._x += x.tolist()
        self._y += y.tolist()
        return []

    def ask(self, count: int) -> list[tuple[int, list[float]]]:
        """Fit once, then propose one after the other."""
        x, y = torch.tensor(self._x, dtype=torch.double), -torch.tensor(self._y, dtype=torch.double)[:, None]
        model = SingleTaskGP(x, y)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        bounds = torch.stack([torch.zeros(COLUMNS), torch.ones(COLUMNS)]).double()
        new = []
        for _ in range(count):
            waiting = torch.tensor(list(self._out.values()), dtype=torch.double) if self._out else None
            acquisition = qLogExpectedImprovement(model, best_f=y.max(), X_pending=waiting)
            best, _value = optimize_acqf(acquisition, bounds, q=1, num_restarts=8, raw_samples=256)
            self._out[self._asked] = best[0].tolist()
            new.append((self._asked, self._out[self._asked]))
            self._asked += 1
        return new

    def tell(self, number: int, value: float) -> None:
        """Report."""
        self._x.append(self._out.pop(number))
        self._y.append(value)


make = Botorch
