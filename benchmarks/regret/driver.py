"""The other end of a driver: its process, started once for many runs, with a limit on how long an answer may take."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from pathlib import Path
from typing import Any

from benchmarks.regret.problem import Problem
from benchmarks.regret.records import ROOT
from benchmarks.regret.subsets import OPTIMISERS

ANSWER_SECONDS = 600.0
LIBRARIES = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB")
ONE_THREAD = {f"{library}_NUM_THREADS": "1" for library in LIBRARIES}


class PeerError(Exception):
    """The optimiser raised, ended, or gave no answer in time."""


class Driver:
    """An optimiser in a process of its own environment.

    Parameters
    ----------
    optimiser
        One of OPTIMISERS.
    environments
        Folder of the virtual environments.
    log
        File to which it writes what the peer prints.
    limit
        Seconds within which each answer must come.

    Attributes
    ----------
    version
        Of the optimiser, known once a run was started.
    """

    def __init__(self, optimiser: str, environments: Path, log: Path, limit: float = ANSWER_SECONDS) -> None:
        entry = OPTIMISERS[optimiser]
        python = environments / f".venv-bench-{entry.environment}" / "bin" / "python"
        module, *arguments = entry.driver
        command = [str(python), "-m", f"benchmarks.regret.peers.{module}", *arguments]
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "a") as errors:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **ONE_THREAD},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        self._received = b""
        self._limit = limit
        self.version = ""

    def start(self, problem: Problem, seed: int, budget: int, pending: int) -> None:
        """Begin a run.

        Raises
        ------
        PeerError
            As every request may.
        """
        answer = self._request(
            {
                "op": "start",
                "space": problem.space,
                "seed": seed,
                "budget": budget,
                "pending": pending,
                "noisy": problem.noise is not None,
            }
        )
        self.version = answer["version"]

    def ask(self) -> tuple[int, dict[str, Any], float]:
        """Id, configuration and CPU seconds of a proposal."""
        answer = self._request({"op": "ask"})
        return answer["id"], answer["config"], answer["cpu"]

    def tell(self, number: int, value: float | None) -> float:
        """Report an outcome; returns the CPU seconds that this took."""
        return float(self._request({"op": "tell", "id": number, "value": value})["cpu"])

    def close(self) -> None:
        """End the process."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()

    @property
    def alive(self) -> bool:
        """Whether the process can be asked."""
        return self._process.poll() is None

    def _request(self, request: dict[str, Any]) -> dict[str, Any]:
        if self._process.stdin is None or not self.alive:
            raise PeerError(f"the driver ended with status {self._process.poll()}")
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise PeerError(f"the driver ended with status {self._process.wait()}") from None
        answer: dict[str, Any] = json.loads(self._line())
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer

    def _line(self) -> bytes:
        stream = self._process.stdout
        assert stream is not None
        deadline = time.monotonic() + self._limit
        with selectors.DefaultSelector() as selector:
            selector.register(stream, selectors.EVENT_READ)
            while b"\n" not in self._received:
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    self.close()
                    raise PeerError(f"no answer within {self._limit:g} s")
                part = os.read(stream.fileno(), 1 << 16)
                if not part:
                    raise PeerError(f"the driver ended with status {self._process.wait()}")
                self._received += part
        line, _, self._received = self._received.partition(b"\n")
        return line
