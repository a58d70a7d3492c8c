"""Runs under a launcher leave nothing that a later one could stumble over."""

import os
import signal
import sys
from pathlib import Path

from benchmarks.launching import SESSIONS, Run

TELLS = f"import os, time; print(os.environ[{SESSIONS!r}], flush=True); time.sleep(60)"


def test_each_run_has_a_folder_of_its_own_for_the_launcher_s_session_which_goes_with_it(tmp_path: Path) -> None:
    with (
        Run([sys.executable, "-c", TELLS], tmp_path, dict(os.environ)) as one,
        Run([sys.executable, "-c", TELLS], tmp_path, dict(os.environ)) as _,
    ):
        told = one.until(lambda: len(lines := _printed(tmp_path)) == 2 and lines)
        folders = [Path(line) for line in told]
        assert folders[0] != folders[1]
        assert all(folder.is_dir() for folder in folders)
        for folder in folders:
            (folder / "ompi.1").mkdir()  # as a launcher that is killed leaves it
        one.send(signal.SIGKILL)
    assert not any(folder.exists() for folder in folders)


def _printed(folder: Path) -> list[str]:
    return [line for path in folder.glob("*.out") for line in path.read_text().splitlines()]
