"""What older versions wrote is read, what newer ones wrote is refused, and none of it is unpickled or executed."""

import ast
import math
import shutil
import zlib
from pathlib import Path

import h5py
import pytest
from numpy.testing import assert_array_equal
from run_folders import BAD, opened, rows, study

from utilities.errors import JournalError, JournalRefusedError
from utilities.storage.journal import Journal
from utilities.storage.records import FORMAT, Header, encode_record
from utilities.storage.repair import repair
from utilities.trial import TrialState

ROOT = Path(__file__).parents[1]
ROOMS = ("reverie", "mpi", "sequential", "learning_objective", "utilities")
WRITTEN_BY_0_1_0 = Path(__file__).parent / "data" / "reverie-0.1.0"
"""A journal and its archive as the code of version 0.1.0 wrote them: three trials, of which one failed and one runs."""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(WRITTEN_BY_0_1_0, tmp_path / "digits")
    return tmp_path


def test_a_study_of_version_0_1_0_goes_on(root: Path) -> None:
    with opened(root) as run:
        assert [record.state for record in run.records.values()] == [
            TrialState.FAIL,
            TrialState.COMPLETE,
            TrialState.WAITING,
        ]
        good = run.records[1].outcome
        assert good is not None
        assert (good.objective, math.isnan(good.metrics["loss"])) == (0.25, True)
        assert run.records[0].outcome is not None
        assert run.records[0].outcome.message == BAD.message
        model = run.model() or pytest.fail("the fit of version 0.1.0 was not read")
        assert ({kind: fit.rows for kind, fit in model.fits.items()}, model.calibration) == ({"gp": 1}, {})
        assert_array_equal(model.fits["gp"].parameters["weights"], [0.0, 1.0])
        assert run.messages == []
        run.session(2, 2000.0)
    assert (
        (root / "digits" / "journal.jsonl").read_bytes().startswith((WRITTEN_BY_0_1_0 / "journal.jsonl").read_bytes())
    )
    assert [row["number"] for row in rows(root / "digits")] == ["1", "0"]


def test_a_study_of_version_0_1_0_is_repaired(root: Path) -> None:
    journal = root / "digits" / "journal.jsonl"
    damaged = bytearray(journal.read_bytes())
    damaged[30] ^= 1
    journal.write_bytes(damaged)
    assert repair(root / "digits").outcomes == 2
    with opened(root) as run:
        assert len(run.records) == 3


def line_of(text: str) -> bytes:
    return f'{text},"crc":"{zlib.crc32(text.encode()):08x}"}}\n'.encode()


def header(version: str) -> bytes:
    body, _, _ = encode_record(
        Header(
            name="digits",
            direction="minimize",
            objective="x",
            command=None,
            space={},
            seed=0,
            method="gp",
            created=0.0,
            versions={},
        )
    ).partition(b',"crc"')
    return line_of(body.decode().replace(f',"format":{FORMAT}', version))


@pytest.mark.parametrize(
    "version",
    ["", *(f',"format":{known}' for known in range(FORMAT + 1)), f',"format":{FORMAT},"of_a_later_minor_version":[1]'],
)
def test_formats_that_are_read(tmp_path: Path, version: str) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(header(version))
    journal, records = Journal.open(path)
    journal.close()
    assert len(records) == 1


@pytest.mark.parametrize("version", [f',"format":{FORMAT + 1}', ',"format":99'])
def test_formats_that_are_refused(tmp_path: Path, version: str) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(header(version))
    with pytest.raises(
        JournalRefusedError, match=rf"newer version \(journal format \d+; this one reads up to {FORMAT}\); update"
    ):
        Journal.open(path)
    path.write_bytes(header(',"format":"two"'))
    with pytest.raises(JournalError, match="a journal must begin with its header"):
        Journal.open(path)


# --- nothing is unpickled ---------------------------------------------------------------------------------------------

UNPICKLERS = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "jsonpickle",
    "yaml",
}


@pytest.mark.parametrize("room", ROOMS)
def test_no_code_that_unpickles_or_uses_a_shell(room: str) -> None:
    for path in sorted((ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            where = f"{path}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import) and "integration" not in path.parts:  # joblib runs what is parallel there
                assert not UNPICKLERS & {alias.name.partition(".")[0] for alias in node.names}, where
            elif isinstance(node, ast.ImportFrom) and "integration" not in path.parts:
                assert (node.module or "").partition(".")[0] not in UNPICKLERS, where
            elif isinstance(node, ast.Call):
                words = {word.arg: ast.unparse(word.value) for word in node.keywords}
                assert words.get("allow_pickle", "False") == "False", where
                assert words.get("shell", "False") == "False", where
                assert ast.unparse(node.func) not in ("torch.load", "os.system", "os.popen", "eval", "exec"), where
                if ast.unparse(node.func) == "np.load":
                    assert words["allow_pickle"] == "False", where


def test_an_archive_holds_numbers_and_text_only(root: Path) -> None:
    with opened(root) as run:
        run.checkpoint({}, study().space)
    with h5py.File(root / "digits" / "study.h5", "r") as file:
        kinds: set[str] = set()
        file.visititems(lambda _, node: kinds.add(node.dtype.kind) if isinstance(node, h5py.Dataset) else None)
    assert kinds <= {"f", "i", "S"}
