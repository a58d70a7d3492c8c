"""The archive: study.h5, a study as arrays, for analysis elsewhere and for the surrogate's parameters.

Layout; n trials in the order of their numbers, d parameters, k improvements of the incumbent:

    /                     attributes: format, direction, incumbent (number of the best trial, -1 before the first); with
                          several objectives, objectives and directions instead
    /study                the study's tables as JSON
    /versions             attributes: version of each package
    /parameter_names      (d,) names of the columns of inputs
    /trials/              number, origin, state, worker, objective, started, completed, seconds (n,), inputs (n, d)
                          with several objectives values (n, k), under constraints on metrics feasible (n,), 0 or 1
    /evaluations/         number, budget, objective, seconds, started, completed (m,), in a study with budgets: of the m
                          evaluations that ended, one for each rung that a trial reached
    /pareto/number        (k,), with several objectives: trials that no feasible other dominates
    /incumbent/           number, objective, completed (k,): each trial that was the best when it completed
    /surrogate/KIND/      a float64 array a parameter; attribute: rows (trials fitted to); of /surrogate: method
    /calibration/KIND     (r, 5), a row a refit: how well the surrogate of that kind foresaw the latest outcomes;
                          attribute: columns (see utilities.calibration.CalibrationRow)

Inputs lie in the unit cube, objectives are in the user's units and direction, times in seconds since the epoch, the
seconds of an evaluation in seconds. Whatever a trial has not got is NaN, or an empty string. Nothing is pickled.
"""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from utilities.errors import ReverieError, StudyError
from utilities.storage.atomic import replace_file

if TYPE_CHECKING:
    from utilities.storage.trial_table import TrialTable
    from utilities.surrogate import Array, FitState

FORMAT = 2
"""Version of the layout. 1 had one fit, in /surrogate itself, with its kind and its rows as attributes."""

T = TypeVar("T")


class ArchiveError(ReverieError):
    """The archive is missing or damaged; the journal can make up for it."""


class ArchiveRefusedError(ArchiveError, StudyError):
    """The archive is sound, but a newer version wrote it."""


@dataclass(frozen=True)
class StoredModel:
    """The latest fit of each surrogate.

    Attributes
    ----------
    fits
        By the kind of the surrogate; rows count the trials that completed first.
    method
        The study's method when it was written.
    names
        The parameters of the space, in the order of the input columns.
    calibration
        How well each surrogate foresaw the outcomes, by kind.
    """

    fits: Mapping[str, FitState]
    method: str
    names: tuple[str, ...]
    calibration: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Contents:
    """What an archive holds.

    Attributes
    ----------
    study
        The study's tables, ``study`` and ``space``.
    names
        The d parameters of the space.
    trials
        All n of them.
    model
        The surrogate as last fitted, None where there is none.
    versions
        Version of each package by name.
    evaluations
        Columns (m,) of the m evaluations, see `utilities.storage.rung_table`; None in a study without budgets.
    """

    study: Mapping[str, Mapping[str, Any]]
    names: Sequence[str]
    trials: TrialTable
    model: StoredModel | None
    versions: Mapping[str, str]
    evaluations: Mapping[str, Array] | None = None


def write_archive(path: Path, contents: Contents) -> None:
    """Replace the archive at `path` atomically.

    Raises
    ------
    OSError
        The folder cannot be written; the old archive is as it was.
    """
    import h5py

    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        _write(file, contents)
        file.flush()
        image = file.id.get_file_image()
    replace_file(path, image + _trailer(image))


def _write(file: Any, contents: Contents) -> None:
    goals = contents.trials.goals
    best, numbers = contents.trials.improvements(), contents.trials["number"]
    file.attrs["format"] = FORMAT
    if goals.several:
        file.attrs["objectives"] = _strings(goals.names)
        file.attrs["directions"] = _strings(goals.directions)
        file.create_group("pareto")["number"] = numbers[contents.trials.front()]
    else:
        file.attrs["direction"] = goals.directions[0]
        file.attrs["incumbent"] = numbers[best[-1]] if len(best) else -1
    file["study"] = _strings([json.dumps(contents.study, ensure_ascii=False)])[0]
    file.create_group("versions").attrs.update(contents.versions)
    file["parameter_names"] = _strings(contents.names)
    _write_trials(file.create_group("trials"), contents.trials)
    if contents.evaluations is not None:
        group = file.create_group("evaluations")
        for column, values in contents.evaluations.items():
            group[column] = values
    incumbent = file.create_group("incumbent")
    for column in ("number", "objective", "completed"):
        incumbent[column] = contents.trials[column][best]
    if contents.model is not None:
        _write_fits(file.create_group("surrogate"), contents.model)
        _write_calibration(file.create_group("calibration"), contents.model)


def _strings(values: Sequence[str]) -> Any:
    """Array (n,) of strings of a fixed length, which unlike variable ones need no heap."""
    import h5py
    import numpy as np

    encoded = [value.encode("utf-8", "backslashreplace") for value in values]
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", max([1, *map(len, encoded)])))


def _write_trials(group: Any, trials: TrialTable) -> None:
    from utilities.storage.trial_table import WORDS

    for column in trials.numbers:
        group[column] = trials[column]
    for column in WORDS:
        words, indices = trials.words(column)
        group[column] = _strings(words)[indices]


def _write_fits(group: Any, model: StoredModel) -> None:
    import numpy as np

    group.attrs["method"] = model.method
    for kind, fit in model.fits.items():
        own = group.create_group(kind)
        own.attrs["rows"] = fit.rows
        for name, array in fit.parameters.items():
            own[name] = np.asarray(array, dtype=np.float64)


def _write_calibration(group: Any, model: StoredModel) -> None:
    from utilities.calibration import CalibrationRow

    for kind, table in model.calibration.items():
        group[kind] = table
        group[kind].attrs["columns"] = " ".join(CalibrationRow._fields)


def _trailer(image: bytes) -> bytes:
    """Checksum that follows the HDF5 image in the file, where HDF5 ignores it.

    HDF5 has none of its own for most of a file, and damage can crash or hang the library.
    """
    return b"\ncrc32 %08x\n" % zlib.crc32(image)


def read_model(path: Path) -> StoredModel | None:
    """Read the latest fits; None where the archive holds none.

    Raises
    ------
    ArchiveRefusedError
        A newer version wrote it.
    ArchiveError
        The archive is missing, damaged, or changed by another program.
    """
    return _read(path, _read_model)


def read_study(path: Path) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Read the study's tables and the version of each package.

    Raises
    ------
    ArchiveRefusedError, ArchiveError
        As of `read_model`.
    """
    return _read(path, _read_study)


def _read(path: Path, what: Callable[[Any], T]) -> T:
    import h5py

    try:
        data = path.read_bytes()
        end = len(data) - len(_trailer(b""))
        if end < 0 or data[end:] != _trailer(data[:end]):
            raise ArchiveError(f"{path}: damaged, or changed by another program (its checksum does not match)")
        with h5py.File(io.BytesIO(data), "r") as file:
            if file.attrs["format"] > FORMAT:
                raise ArchiveRefusedError(
                    f"{path}: written by a newer version (archive format {file.attrs['format']}; this one reads up to "
                    f"{FORMAT}); update reverie, or move the file away: it is built anew from the journal"
                )
            return what(file)
    except (OSError, KeyError) as error:
        raise ArchiveError(f"{path}: cannot read this archive: {error}") from error


def _read_study(file: Any) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    return json.loads(file["study"].asstr()[()]), {
        name: str(version) for name, version in file["versions"].attrs.items()
    }


def _read_model(file: Any) -> StoredModel | None:
    import numpy as np

    if "surrogate" not in file:
        return None
    group = file["surrogate"]
    kinds = {group.attrs["kind"]: group} if file.attrs["format"] == 1 else dict(group)
    fits = {kind: _read_fit(kind, own) for kind, own in kinds.items()}
    names = tuple(file["parameter_names"].asstr()[()])
    calibration = {kind: np.asarray(table[()]) for kind, table in file.get("calibration", {}).items()}
    return StoredModel(fits, group.attrs["method"], names, calibration)


def _read_fit(kind: str, group: Any) -> FitState:
    import h5py
    import numpy as np

    from utilities.surrogate import FitState

    parameters: dict[str, Array] = {}

    def keep(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            parameters[name] = np.asarray(node[()])

    group.visititems(keep)  # which finds a parameter named "net/0" too
    return FitState(kind, parameters, int(group.attrs["rows"]))
