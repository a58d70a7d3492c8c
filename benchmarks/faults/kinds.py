"""The kinds of study that a campaign runs, and what must hold of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from benchmarks.faults import budgets, checks, stopping
from benchmarks.faults.checks import Breach, Record
from benchmarks.faults.study import BUDGET, read_log, write_study


class Finished(Protocol):
    """Checks a study that is through; `mended` where its journal was damaged, and lines of it are gone."""

    def __call__(
        self, folder: Path, records: list[Record], faults: Mapping[int, str], *, mended: bool
    ) -> Iterator[Breach]:
        """Give a sentence for every breach."""


class Kind(NamedTuple):
    """A kind of study.

    Attributes
    ----------
    write
        Writes it to a folder: method, and faults by trial number.
    settled
        What of a journal must stay for ever.
    delivered
        What must be in the journal after an orderly end.
    through
        Whether the journal is that of a study that is through.
    finished
        What must hold then.
    """

    write: Callable[[Path, str, dict[int, str]], None]
    settled: Callable[[list[Record]], Mapping[Any, Record]]
    delivered: Callable[[list[Record], Path], Iterator[Breach]]
    through: Callable[[list[Record]], bool]
    finished: Finished


def _finished(folder: Path, records: list[Record], faults: Mapping[int, str], *, mended: bool) -> Iterator[Breach]:
    return checks.finished(folder, records, read_log(folder), faults, numbers_may_lack=mended)


def _delivered(records: list[Record], folder: Path) -> Iterator[Breach]:
    return checks.delivered(records, read_log(folder))


def _through(records: list[Record]) -> bool:
    return len(checks.outcomes(records)) == BUDGET


KINDS = {
    "plain": Kind(write_study, checks.outcomes, _delivered, _through, _finished),
    "stopping": Kind(stopping.write, checks.outcomes, _delivered, _through, stopping.finished),
    "budgets": Kind(budgets.write, budgets.settled, budgets.delivered, budgets.through, budgets.finished),
}
