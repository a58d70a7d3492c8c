"""An exported study in optuna-dashboard, as its pages get it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reverie import cli
from tests.reported_kinds import several
from tests.reported_study import write

pytest.importorskip("optuna_dashboard")
pytestmark = pytest.mark.slow


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


@pytest.fixture(scope="module", params=["demo", "several"])
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The dashboard on a port of this machine alone."""
    root = tmp_path_factory.mktemp("dashboard")
    folder = write(root) if request.param == "demo" else several(root)
    path = root / "out.log"
    assert cli.main(["export", str(folder), "--to", "optuna", "-o", str(path)]) == 0
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = str(Path(sys.executable).with_name("optuna-dashboard"))
    words = [program, str(path), "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    url = f"http://127.0.0.1:{port}/api"
    try:
        for _ in range(120):
            try:
                get(f"{url}/studies")
                break
            except OSError:
                time.sleep(0.5)
        yield request.param, url
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(20)


def test_the_dashboard_has_the_study_and_its_trials(api: tuple[str, str]) -> None:
    name, url = api
    (study,) = get(f"{url}/studies")["study_summaries"]
    assert study["study_name"] == name
    detail = get(f"{url}/studies/{study['study_id']}")
    states = [trial["state"] for trial in detail["trials"]]
    if name == "demo":
        assert detail["objective_names"] == ["objective"]
        assert {"Complete", "Pruned", "Fail"} == set(states)
        assert any(len(trial["intermediate_values"]) == 9 for trial in detail["trials"])
        return
    assert detail["objective_names"] == ["loss", "speed"]
    assert detail["directions"] == ["minimize", "maximize"]
    assert all(len(trial["values"]) == 2 for trial in detail["trials"])
    infeasible = [trial for trial in detail["trials"] if any(value > 0 for value in trial["constraints"])]
    assert 0 < len(infeasible) < len(detail["trials"])
