"""What an objective sees of the trial that it evaluates. Standard library only: the child process imports this file."""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from .communicator import Communicator

LOWEST_STEP, HIGHEST_STEP = -(1 << 63), (1 << 63) - 1


class TrialHandle:
    """The second argument of ``objective(config, trial)``.

    Parameters
    ----------
    number, seed, budget, previous_budget
        Those of the trial.
    folder
        The trial's own folder; it need not exist.
    send
        Called with each reported (step, value), from whatever thread reports.
    devices
        The GPUs that it sees.
    instance
        What it is evaluated on.

    Attributes
    ----------
    number : int
        Consecutive from 0 within the study.
    seed : int
        For the objective's own randomness; the same whenever this trial is evaluated again.
    budget : int, float or None
        What this evaluation may use in all, such as epochs from the first on; None in a study without budgets.
    previous_budget : int or float
        With how much the trial was evaluated before; 0 at first.
    devices : tuple of str or None
        Names of the only GPUs that it sees, as in CUDA_VISIBLE_DEVICES; None where the study does not share them out.
    instance : int, float, str or None
        Data period, fold or seed at which to evaluate; None where the study has no instances.
    comm : Communicator or None
        Of the ranks that evaluate this trial together; None where one process does.
    """

    def __init__(
        self,
        number: int,
        seed: int,
        budget: float | None,
        folder: Path,
        send: Callable[[int, float], None] = lambda step, value: None,
        devices: Sequence[str] | None = None,
        previous_budget: float = 0,
        instance: float | str | None = None,
    ) -> None:
        self.number = number
        self.seed = seed
        self.budget = budget
        self.previous_budget = previous_budget
        self.instance = instance
        self.devices = None if devices is None else tuple(devices)
        self.comm: Communicator | None = None
        self._folder = folder
        self._send = send
        self._stop = threading.Event()
        self.folder_used = False
        self.stop_seen = False

    @property
    def resumed(self) -> bool:
        """Whether the trial was promoted: `folder` holds what its evaluation with `previous_budget` saved."""
        return self.previous_budget > 0

    @property
    def folder(self) -> Path:
        """Absolute path of the trial's own folder, for checkpoints and the like; made when first asked for."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.folder_used = True
        return self._folder

    def report(self, step: int, value: float) -> None:
        """Tell an intermediate value, such as the validation error after an epoch.

        Parameters
        ----------
        step
            Epoch, iteration or the like, of 64 bits.
        value
            In the units of the objective; NaN and infinities arrive as NaN.

        Raises
        ------
        TypeError
            `step` is no integer, or `value` no number.
        ValueError
            `step` has more than 64 bits.
        """
        whole = operator.index(step)
        if not LOWEST_STEP <= whole <= HIGHEST_STEP:
            raise ValueError(f"step must be an integer of 64 bits; report got one of {whole.bit_length() + 1} bits")
        self._send(whole, float(value))

    def should_stop(self) -> bool:
        """Whether to end early. Once this said True, what the objective returns is the value of a pruned trial."""
        self.stop_seen = self.stop_seen or self._stop.is_set()
        return self.stop_seen

    def request_stop(self) -> None:
        """Make `should_stop` say True from now on."""
        self._stop.set()
