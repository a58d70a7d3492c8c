"""What the callbacks of both of Lightning's packages do."""

from __future__ import annotations

from typing import Any

from reverie.integration.torch import ReportedTrial, Reporter
from utilities.errors import StudyError, nearest


class Reports:
    """Reports a metric after each validation, and ends the training when the trial is given up.

    The step is the epoch, from 1. Where an epoch has several validations, the first is reported. The checks before the
    training are not reported.

    Parameters
    ----------
    trial
        The second argument of the objective; None where the training runs by itself.
    monitor
        Name by which the module logs the metric, as with ``self.log("val_loss", loss)``.

    Attributes
    ----------
    value : float
        What was reported last; NaN before.
    stopped : bool
        Whether the trial was given up.
    """

    def __init__(self, trial: ReportedTrial | None, monitor: str = "val_loss") -> None:
        super().__init__()
        self._report, self._monitor = Reporter(trial), monitor

    @property
    def value(self) -> float:
        """What was reported last."""
        return self._report.value

    @property
    def stopped(self) -> bool:
        """Whether the trial was given up."""
        return self._report.stopped

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Report, and have the trainer stop.

        Raises
        ------
        StudyError
            The module logs no metric of that name.
        """
        step = int(trainer.current_epoch) + 1
        if trainer.sanity_checking or str(getattr(trainer.state.fn, "value", "")) != "fit" or step <= self._report.step:
            return
        metrics = trainer.callback_metrics
        if self._monitor not in metrics:
            known = sorted(map(str, metrics))
            raise StudyError(
                f"monitor must be a metric that the module logs ({', '.join(known) or 'it logs none'}); "
                f"got {self._monitor!r}.{nearest(self._monitor, known)}"
            )
        stop = self._report(metrics[self._monitor], step)
        trainer.should_stop = trainer.should_stop or bool(trainer.strategy.reduce_boolean_decision(stop, all=False))
