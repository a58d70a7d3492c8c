"""What a run folder holds beside the journal: study.h5, summary.json, and what is left of others."""

import json
import math
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from run_folders import CONFIG, SPACE, opened, play, rows, study

from utilities.errors import StudyError
from utilities.space import Space
from utilities.storage.run_folder import RunFolder
from utilities.surrogate import FitState


def test_checkpoint(tmp_path: Path) -> None:
    weights = np.arange(3.0)
    with opened(tmp_path) as run:
        play(run)
        run.checkpoint({"gp": FitState("gp", {"weights": weights}, 1)}, Space.from_dict(SPACE), {"gp": np.ones((2, 5))})
        with h5py.File(run.folder / "study.h5", "r") as file:
            assert_array_equal(file["trials/inputs"], Space.from_dict(SPACE).to_unit([CONFIG] * 4))
            assert json.loads(file["study"].asstr()[()])["study"]["objective"] == "train.py:objective"
            assert file.attrs["incumbent"] == 1
    with opened(tmp_path) as run:
        model = run.model() or pytest.fail("no fit")
        assert {kind: fit.rows for kind, fit in model.fits.items()} == {"gp": 1}
        assert_array_equal(model.fits["gp"].parameters["weights"], weights)
        assert_array_equal(model.calibration["gp"], np.ones((2, 5)))
        run.checkpoint({}, Space.from_dict(SPACE))
        assert run.model() is not None


def test_fit_of_another_method_or_order_is_not_used(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.checkpoint({"gp": FitState("gp", {"weights": np.zeros(2)}, 1)}, Space.from_dict(SPACE))
    with opened(tmp_path, study(method="random")) as run:
        assert run.model() is None
    with opened(tmp_path, study(dict(reversed(SPACE.items())))) as run:
        assert run.model() is None
    with opened(tmp_path) as run:
        assert run.model() is not None


@pytest.mark.parametrize("content", [None, b"", b"rubbish"], ids=["missing", "empty", "damaged"])
def test_archive_is_built_anew_from_the_journal(tmp_path: Path, content: bytes | None) -> None:
    with opened(tmp_path) as run:
        play(run)
        run.checkpoint({"gp": FitState("gp", {"weights": np.zeros(2)}, 1)}, Space.from_dict(SPACE))
    archive = run.folder / "study.h5"
    archive.unlink()
    if content is not None:
        archive.write_bytes(content)
    with opened(tmp_path) as run:
        assert run.model() is None
        assert not archive.exists()  # the next checkpoint, or the end, writes it: trials are handed out before that
    with h5py.File(archive, "r") as file:
        assert_array_equal(file["trials/objective"], [math.nan, 0.25, math.nan, math.nan])
    if content is None:
        assert run.messages == []
        return
    (message,) = run.messages
    assert message.startswith(f"{archive}: damaged")
    assert message.endswith("the surrogate is fitted anew; the file is kept as study.h5.damaged-1")
    assert archive.with_name("study.h5.damaged-1").read_bytes() == content


def test_files_without_a_journal_are_kept(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        play(run)
        run.checkpoint({}, Space.from_dict(SPACE))
    before = {name: (run.folder / name).read_bytes() for name in ("trials.csv", "study.h5")}
    (run.folder / "journal.jsonl").write_bytes(b"")
    with opened(tmp_path) as run:
        assert run.is_new
        assert run.messages[:2] == [
            f"{run.folder / name} is of a study whose journal is gone; it is kept as {name}.earlier-1"
            for name in before
        ]
    assert rows(run.folder) == []
    assert {name: (run.folder / f"{name}.earlier-1").read_bytes() for name in before} == before


def test_archive_of_a_newer_version_is_refused_and_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, opened(tmp_path) as run:
        patch.setattr("utilities.storage.archive.FORMAT", 3)
        run.checkpoint({}, Space.from_dict(SPACE))
    before = (run.folder / "study.h5").read_bytes()
    for _ in range(2):  # the second time not "is running": the lock was let go
        with pytest.raises(StudyError, match=r"study\.h5: written by a newer version .* move the file away"):
            RunFolder.open(tmp_path, study())
    assert (run.folder / "study.h5").read_bytes() == before


def test_summary(tmp_path: Path) -> None:
    with opened(tmp_path) as run:
        run.write_summary(
            {"best": {"objective": np.float64(0.5), "config": CONFIG}, "sd": math.nan, "x": (math.inf, 1)}
        )
    summary = json.loads((run.folder / "summary.json").read_text(), parse_constant=pytest.fail)
    assert summary["best"] == {"objective": 0.5, "config": CONFIG}
    assert (summary["sd"], summary["x"]) == (None, [None, 1])
    assert summary["versions"]["numpy"] == np.__version__


def test_files_have_the_permissions_of_the_umask(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        with opened(tmp_path) as run:
            play(run)
            run.checkpoint({}, Space.from_dict(SPACE))
            run.write_summary({})
            assert (run.folder / "journal.lock").stat().st_mode & 0o777 == 0o640
    finally:
        os.umask(mask)
    assert run.folder.stat().st_mode & 0o777 == 0o750
    assert {file.name: oct(file.stat().st_mode & 0o777) for file in run.folder.iterdir()} == dict.fromkeys(
        ["journal.jsonl", "trials.csv", "study.h5", "summary.json"], "0o640"
    )
