"""study.h5: what is written can be read by h5py alone, and damage is noticed before HDF5 sees it."""

import json
import math
import os
import random
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from utilities.errors import StudyError
from utilities.goals import Goals
from utilities.space import INACTIVE, Space
from utilities.storage.archive import (
    ArchiveError,
    Contents,
    StoredModel,
    read_model,
    read_study,
    write_archive,
)
from utilities.storage.trial_table import NUMBERS, WORDS, TrialTable
from utilities.surrogate import FitState
from utilities.trial import Outcome, Trial, TrialRecord, TrialState

NAMES = ("lr", "größe")
FITS = {
    "dngo": FitState(
        "dngo", {"weights": np.arange(6.0).reshape(2, 3), "scale": np.array(2.5), "net/0": np.zeros((0, 4))}, 4
    ),
    "gp": FitState("gp", {"weights": np.array([0.5])}, 3),
}
MODEL = StoredModel(
    FITS,
    method="auto",
    names=NAMES,
    calibration={"gp": np.arange(10.0).reshape(2, 5)},
)


def ended(number: int, objective: float | None, completed: float, state: TrialState) -> TrialRecord:
    outcome = Outcome(state, objective, seconds=0.5)
    return TrialRecord(Trial(number, {"lr": 0.1}), "initial", outcome, "2@node7", completed - 1.0, completed)


RECORDS = [
    ended(0, 3.0, 12.0, TrialState.COMPLETE),
    ended(1, 4.0, 11.0, TrialState.COMPLETE),
    ended(2, None, 13.0, TrialState.FAIL),
    ended(3, -9.0, 14.0, TrialState.PRUNED),
    ended(4, math.nan, 14.5, TrialState.COMPLETE),
    ended(5, 3.5, 15.0, TrialState.COMPLETE),
    ended(6, 1.0, 16.0, TrialState.COMPLETE),
    TrialRecord(Trial(7, {"lr": 0.2}), "model"),
]
SPACE = Space.from_dict({name: {"type": "float", "low": 0.0, "high": 1.0} for name in NAMES})
INPUTS = [[0.1, INACTIVE]] * 7 + [[0.2, INACTIVE]]
STUDY: dict[str, dict[str, Any]] = {
    "study": {"name": "digits", "direction": "minimize"},
    "space": {"lr": {"type": "float"}},
}


def table(records: list[TrialRecord] = RECORDS, direction: str = "minimize") -> TrialTable:
    trials = TrialTable(SPACE, Goals(directions=(direction,)))
    trials.update({record.trial.number: record for record in records})
    return trials


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "study.h5"
    write_archive(path, Contents(STUDY, NAMES, table(), MODEL, {"numpy": "2.0"}))
    return path


def test_h5py_finds_everything(path: Path) -> None:
    with h5py.File(path, "r") as file:
        assert dict(file.attrs) == {"format": 2, "direction": "minimize", "incumbent": 6}
        assert json.loads(file["study"].asstr()[()]) == STUDY
        assert dict(file["versions"].attrs) == {"numpy": "2.0"}
        assert tuple(file["parameter_names"].asstr()[()]) == NAMES
        trials = file["trials"]
        assert_array_equal(trials["number"], np.arange(8))
        assert_array_equal(trials["inputs"], INPUTS)
        assert_array_equal(trials["objective"], [3.0, 4.0, math.nan, -9.0, math.nan, 3.5, 1.0, math.nan])
        assert_array_equal(trials["started"], [11.0, 10.0, 12.0, 13.0, 13.5, 14.0, 15.0, math.nan])
        assert_array_equal(trials["completed"], [12.0, 11.0, 13.0, 14.0, 14.5, 15.0, 16.0, math.nan])
        assert_array_equal(trials["seconds"], [0.5] * 7 + [math.nan])
        assert list(trials["state"].asstr()[()]) == [record.state.value for record in RECORDS]
        assert list(trials["origin"].asstr()[()]) == ["initial"] * 7 + ["model"]
        assert list(trials["worker"].asstr()[()]) == ["2@node7"] * 7 + [""]
        assert_array_equal(file["incumbent/number"], [1, 0, 6])
        assert_array_equal(file["incumbent/objective"], [4.0, 3.0, 1.0])
        assert_array_equal(file["incumbent/completed"], [11.0, 12.0, 16.0])
        assert dict(file["surrogate"].attrs) == {"method": "auto"}
        assert dict(file["surrogate/dngo"].attrs) == {"rows": 4}
        assert file["surrogate/dngo/weights"].dtype == np.float64
        assert_array_equal(file["calibration/gp"], MODEL.calibration["gp"])
        assert file["calibration/gp"].attrs["columns"] == "fitted judged log_density coverage_50 coverage_90"


def test_maximising_turns_the_incumbent_around() -> None:
    assert table(direction="maximize").improvements().tolist() == [1]


def test_fits_come_back(path: Path) -> None:
    model = read_model(path)
    assert model is not None
    assert (model.method, model.names) == ("auto", NAMES)
    assert {kind: (fit.kind, fit.rows) for kind, fit in model.fits.items()} == {"dngo": ("dngo", 4), "gp": ("gp", 3)}
    for kind, fit in FITS.items():
        assert model.fits[kind].parameters.keys() == fit.parameters.keys()
        for name, array in fit.parameters.items():
            assert model.fits[kind].parameters[name].dtype == np.float64
            assert_array_equal(model.fits[kind].parameters[name], array, strict=True)
    assert model.calibration.keys() == {"gp"}
    assert_array_equal(model.calibration["gp"], MODEL.calibration["gp"])


def test_study_without_a_trial_or_a_fit(path: Path) -> None:
    write_archive(path, Contents(STUDY, NAMES, table([]), None, {}))
    assert read_model(path) is None
    with h5py.File(path, "r") as file:
        assert file.attrs["incumbent"] == -1
        assert file["trials/inputs"].shape == (0, 2)


def test_replaced_whole_with_the_permissions_of_the_umask(path: Path) -> None:
    assert os.listdir(path.parent) == ["study.h5"]
    mask = os.umask(0o027)
    try:
        write_archive(path, Contents(STUDY, NAMES, table(), None, {}))
    finally:
        os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o640


def test_failed_write_leaves_the_old_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    before = path.read_bytes()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_archive(path, Contents(STUDY, NAMES, table(), None, {}))
    assert path.read_bytes() == before


def test_damage_is_refused_wherever_it_is(path: Path) -> None:
    whole, rng = path.read_bytes(), random.Random(1)
    for _ in range(200):
        place = rng.randrange(len(whole))
        other = (whole[place] + rng.randrange(1, 256)) % 256
        path.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
        with pytest.raises(ArchiveError, match="its checksum does not match"):
            read_model(path)
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(ArchiveError, match="its checksum does not match"):
            read_model(path)


def test_missing_archive(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="No such file"):
        read_model(tmp_path / "study.h5")


def test_newer_format_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("utilities.storage.archive.FORMAT", 3)
        write_archive(path, Contents(STUDY, NAMES, table(), MODEL, {}))
    for read in (read_model, read_study):
        with pytest.raises(StudyError, match=r"a newer version \(archive format 3; this one reads up to 2\)"):
            read(path)


def test_study_comes_back(path: Path) -> None:
    assert read_study(path) == (STUDY, {"numpy": "2.0"})


@given(st.data())
def test_a_table_that_grew_is_one_made_at_once(data: st.DataObject) -> None:
    grown, records = TrialTable(SPACE), dict[int, TrialRecord]()
    for _ in range(data.draw(st.integers(1, 4))):
        for number in range(len(records), len(records) + data.draw(st.integers(0, 70))):
            records[number] = TrialRecord(Trial(number, {"lr": 1.0 / (number + 1)}), "model")
        for record in records.values():
            if record.outcome is None and data.draw(st.booleans()):
                number = record.trial.number
                record.started, record.worker = float(number), f"{number % 3}@node7"
                if data.draw(st.booleans()):
                    record.outcome = Outcome(TrialState.COMPLETE, data.draw(st.floats(0.0, 9.0)), seconds=1.0)
                    record.completed = number + 1.0
        grown.update(records)
    whole = table(list(records.values()))
    assert len(grown) == len(whole) == len(records)
    for column in NUMBERS:
        assert_array_equal(grown[column], whole[column])
    for column in WORDS:
        (words, codes), (others, same) = grown.words(column), whole.words(column)
        assert [words[code] for code in codes] == [others[code] for code in same]
    assert_array_equal(grown.improvements(), whole.improvements())
