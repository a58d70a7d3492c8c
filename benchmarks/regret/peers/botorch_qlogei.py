"""BoTorch: SingleTaskGP and qLogExpectedImprovement with pending points, on the unit cube in float64.

BoTorch is a library, not an optimiser with defaults of its own: integers are rounded, categories one-hot, and the first
points a Sobol sequence of max(5, min(2 d, budget / 5)), as Ax has it. A failure is told as the worst value so far.
"""

from __future__ import annotations

import warnings

import botorch
import torch
from botorch.acquisition.logei import qLogExpectedImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.optim import optimize_acqf
from gpytorch.mlls import ExactMarginalLogLikelihood

from benchmarks.regret.peers.flat import Encoding, drop_inactive
from benchmarks.regret.peers.loop import Config, Start, Worst, serve


class BotorchRun:
    """All told points in the model, all others pending."""

    def __init__(self, start: Start) -> None:
        torch.manual_seed(start.seed)
        self._space, self._encoding = start.space, Encoding(start.space)
        self._sobol = torch.quasirandom.SobolEngine(self._encoding.columns, scramble=True, seed=start.seed)
        self._initial = max(5, min(2 * len(start.space), start.budget // 5))
        self._points: dict[int, list[float]] = {}
        self._values: dict[int, float] = {}
        self._worst = Worst()

    def ask(self) -> tuple[int, Config]:
        """Propose."""
        number = len(self._points)
        enough = len(self._values) >= 2 and number >= self._initial
        flat = self._encoding.decode(self._propose() if enough else self._sobol.draw(1, dtype=torch.double)[0].tolist())
        self._points[number] = self._encoding.encode(flat)
        return number, drop_inactive(self._space, flat)

    def _propose(self) -> list[float]:
        x = torch.tensor([self._points[number] for number in self._values], dtype=torch.double)
        y = -torch.tensor(list(self._values.values()), dtype=torch.double)[:, None]
        model = SingleTaskGP(x, y)
        fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        waiting = [point for number, point in self._points.items() if number not in self._values]
        pending = torch.tensor(waiting, dtype=torch.double) if waiting else None
        acquisition = qLogExpectedImprovement(model, best_f=y.max(), X_pending=pending)
        bounds = torch.stack([torch.zeros(x.shape[1]), torch.ones(x.shape[1])]).double()
        best, _ = optimize_acqf(acquisition, bounds, q=1, num_restarts=8, raw_samples=256)
        return [float(place) for place in best[0]]

    def tell(self, number: int, value: float | None) -> None:
        """Report."""
        self._values.update(self._worst.settle(number, value))


if __name__ == "__main__":
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")  # on stderr, of retried fits and of inputs on the border: thousands of lines
    serve(f"botorch {botorch.__version__}", BotorchRun)
