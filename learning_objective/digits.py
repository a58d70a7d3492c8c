"""A multilayer perceptron on the 1,797 handwritten digits of the UCI optdigits set: a real model, tuned in minutes.

The objective is the error on one fixed, stratified quarter of the images (450 of them; the other 1,347 train the
network), so it moves in steps of 1/450. Each evaluation trains for 30 epochs, the learning rate falling along half a
cosine to nothing (Loshchilov and Hutter 2017, without restarts); seeds then differ by an image or two.

torch and numpy are imported when the objective is first evaluated: whoever only lists the benchmarks needs neither.
"""

from __future__ import annotations

import functools
import itertools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from learning_objective.benchmark import Benchmark
from utilities.trial import Config

if TYPE_CHECKING:
    import torch

    from learning_objective.trial_handle import TrialHandle

DATA_FILE = Path(__file__).parent / "data" / "optdigits.npz"
CHANCE_ERROR = 0.9
"""Error of a classifier that knows nothing; what a network that diverged is worth."""

_EPOCHS = 30
_VALIDATION_SHARE = 0.25
_SPLIT_SEED = 0
_PIXEL_MAX = 16
_CLASSES = 10


class Fold(NamedTuple):
    """Images (n, 64) in [0, 1] and labels (n,), split into the part to train on and the part to validate on."""

    train_images: torch.Tensor
    train_labels: torch.Tensor
    validation_images: torch.Tensor
    validation_labels: torch.Tensor


@functools.cache
def load_fold() -> Fold:
    """Read the data and split it, class by class, with a seed of its own: the same fold in every trial."""
    import numpy as np
    import torch

    with np.load(DATA_FILE, allow_pickle=False) as archive:
        images, labels = archive["images"], archive["labels"]
    rng = np.random.default_rng(_SPLIT_SEED)
    held_out = np.zeros(len(labels), dtype=bool)
    for digit in range(_CLASSES):
        members = rng.permutation(np.flatnonzero(labels == digit))
        held_out[members[: round(_VALIDATION_SHARE * len(members))]] = True
    x = torch.from_numpy(images.reshape(len(labels), -1)).float() / _PIXEL_MAX
    y = torch.from_numpy(labels).long()
    held = torch.from_numpy(held_out)
    return Fold(x[~held], y[~held], x[held], y[held])


def objective(config: Config, trial: TrialHandle | None = None) -> dict[str, float]:
    """Train the network that `config` describes and return its validation error.

    Parameters
    ----------
    config
        A point of ``DIGITS.space``.
    trial
        Gives the seed, receives the validation error of each epoch, and may ask to stop early.

    Returns
    -------
    dict
        ``objective`` (validation error, a fraction), ``validation_loss`` (nats), ``train_error`` and ``epochs``. A
        network whose loss is no longer finite ends at once with the error of chance and without the other two.
    """
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(trial.seed if trial else 0)
    fold = load_fold()
    network = _build(config, fold.train_images.shape[1])
    optimiser = _optimiser(config, network)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, _EPOCHS)
    epoch = 0
    for epoch in range(1, _EPOCHS + 1):
        if not math.isfinite(_train_epoch(network, optimiser, fold, int(config["batch_size"]))):
            return {"objective": CHANCE_ERROR, "epochs": epoch}
        schedule.step()
        error, loss = _error_and_loss(network, fold.validation_images, fold.validation_labels)
        if trial:
            trial.report(epoch, error)
            if trial.should_stop():
                break
    train_error, _ = _error_and_loss(network, fold.train_images, fold.train_labels)
    return {"objective": error, "validation_loss": loss, "train_error": train_error, "epochs": epoch}


def _build(config: Config, inputs: int) -> torch.nn.Module:
    from torch import nn

    width, dropout = int(config["hidden_width"]), float(config["dropout"])
    widths = [inputs, *[width] * int(config["layers"])]
    hidden = [
        module
        for before, after in itertools.pairwise(widths)
        for module in (nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout))
    ]
    return nn.Sequential(*hidden, nn.Linear(width, _CLASSES))


def _optimiser(config: Config, network: torch.nn.Module) -> torch.optim.Optimizer:
    """SGD or Adam; `momentum` is Adam's first decay rate, `weight_decay` an L2 penalty in both."""
    import torch

    rate, decay, momentum = (float(config[key]) for key in ("learning_rate", "weight_decay", "momentum"))
    if config["optimiser"] == "adam":
        return torch.optim.Adam(network.parameters(), lr=rate, betas=(momentum, 0.999), weight_decay=decay)
    nesterov = bool(config["nesterov"]) and momentum > 0
    return torch.optim.SGD(network.parameters(), lr=rate, momentum=momentum, weight_decay=decay, nesterov=nesterov)


def _train_epoch(network: torch.nn.Module, optimiser: torch.optim.Optimizer, fold: Fold, batch_size: int) -> float:
    """One pass over the training images in random order; returns the loss of the last batch."""
    import torch

    network.train()
    loss = torch.tensor(math.nan)
    for batch in torch.split(torch.randperm(len(fold.train_labels)), batch_size):
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(fold.train_images[batch]), fold.train_labels[batch])
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return loss.item()


def _error_and_loss(network: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> tuple[float, float]:
    import torch

    network.eval()
    with torch.no_grad():
        logits = network(images)
    wrong = int((logits.argmax(dim=1) != labels).sum())
    return wrong / len(labels), torch.nn.functional.cross_entropy(logits, labels).item()


_SPACE: dict[str, dict[str, Any]] = {
    "learning_rate": {"type": "float", "low": 1e-5, "high": 1.0, "log": True},
    "weight_decay": {"type": "float", "low": 1e-6, "high": 1.0, "log": True},
    "momentum": {"type": "float", "low": 0.0, "high": 0.99},
    "batch_size": {"type": "int", "low": 16, "high": 512, "log": True},
    "hidden_width": {"type": "int", "low": 4, "high": 256, "log": True},
    "layers": {"type": "int", "low": 1, "high": 3},
    "dropout": {"type": "float", "low": 0.0, "high": 0.8},
    "optimiser": {"type": "categorical", "choices": ["sgd", "adam"]},
    "nesterov": {"type": "categorical", "choices": [True, False], "when": {"optimiser": "sgd"}},
}

DIGITS = Benchmark(
    name="digits",
    function=objective,
    space=_SPACE,
    minimum=None,
    minimisers=(),
    budget=60,
    source="images: Alpaydin and Kaynak (1998), UCI Machine Learning Repository, doi 10.24432/C50P49",
    isolation="process",
)
