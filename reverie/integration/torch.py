"""A training loop, of PyTorch or of anything else, that reports its epochs to the trial and ends when that is given up.

::

    def objective(config, trial):
        report = Reporter(trial)
        for epoch in range(100):
            train(model)
            if report(validate(model)):
                break
        return report.value
"""

from __future__ import annotations

from typing import Any, Protocol


class ReportedTrial(Protocol):
    """The second argument of an objective, as far as reporting needs it."""

    @property
    def comm(self) -> Any:
        """Communicator of the ranks that evaluate the trial together; None where it is one."""

    def report(self, step: int, value: float) -> None:
        """Tell an intermediate value."""

    def should_stop(self) -> bool:
        """Whether to end early."""


class TrainingStopped(Exception):  # noqa: N818
    """What a Reporter raises in place of returning True.

    Attributes
    ----------
    value
        What was reported last: what an objective that catches this returns.
    """

    def __init__(self, value: float) -> None:
        super().__init__(f"the trial is ended early, at {value:g}")
        self.value = value


class Reporter:
    """Reports a value an epoch, and says whether the trial is to end.

    Where several ranks evaluate the trial together, each has a Reporter and calls it in each epoch: all get the answer
    of the first, whose values count, so that none is left alone in a collective.

    Parameters
    ----------
    trial
        The second argument of the objective; None where the training runs by itself, which nothing stops.
    raises
        Whether to raise TrainingStopped in place of returning True, for loops that call back from deep within.

    Attributes
    ----------
    step
        Epochs reported so far; the last step, where these are given.
    value
        What was reported last; NaN before.
    stopped
        Whether the trial was to end at the latest report.
    """

    def __init__(self, trial: ReportedTrial | None, *, raises: bool = False) -> None:
        self._trial, self._raises = trial, raises
        self.step, self.value, self.stopped = 0, float("nan"), False

    def __call__(self, value: Any, step: int | None = None) -> bool:
        """Report a number, or an array or tensor of one element on whatever device; return whether to end.

        Parameters
        ----------
        step
            1 after the first epoch; by default one more than the last.

        Raises
        ------
        TrainingStopped
            The trial is to end, and `raises` was set.
        """
        self.step = self.step + 1 if step is None else step
        self.value = float(value.detach() if hasattr(value, "detach") else value)
        if self._trial is not None:
            self._trial.report(self.step, self.value)
            stop = self._trial.should_stop()
            self.stopped = bool(stop if self._trial.comm is None else self._trial.comm.bcast(stop))
        if self.stopped and self._raises:
            raise TrainingStopped(self.value)
        return self.stopped
