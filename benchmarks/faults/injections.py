"""The faults from outside: what is done to a run at some moment, or to its folder between two runs."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from benchmarks.launching import Run

NO_LIMIT = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


class Strike(NamedTuple):
    """What an injection may need: the run, the study's folder, what is random."""

    run: Run
    folder: Path
    rng: random.Random

    def kill(self, *ranks: int) -> None:
        """Kill ranks, where they live."""
        alive = self.run.ranks()
        for rank in ranks:
            if rank in alive:
                send(alive[rank], signal.SIGKILL)

    def children(self) -> list[int]:
        """Processes that evaluate trials."""
        return [process for process in self.run.processes() if b"child.py" in command_line(process)]


class Injection(NamedTuple):
    """A fault from outside.

    Attributes
    ----------
    role
        What it strikes.
    act
        Strikes a run under way; None where it damages the folder instead.
    damage
        Damages the folder between two runs; returns whether ``reverie repair`` must mend it.
    survived
        Whether the run must go on to its end: always, under a launcher that tolerates faults, or never.
    graceful
        Whether a run that ends by it has waited for what ran.
    """

    role: str
    act: Callable[[Strike], None] | None = None
    damage: Callable[[Path, random.Random], bool] | None = None
    survived: str = "never"
    graceful: bool = False


def send(process: int, number: signal.Signals) -> None:
    """Send a signal to a process that may be gone."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


def command_line(process: int) -> bytes:
    """Words of a process, empty where it is gone."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def _kill_child(strike: Strike) -> None:
    if children := strike.children():
        send(strike.rng.choice(children), signal.SIGKILL)


def _pause_worker(strike: Strike) -> None:
    process = strike.run.ranks().get(strike.rng.choice((2, 3)))
    if process is not None:
        send(process, signal.SIGSTOP)
        time.sleep(strike.rng.uniform(0.2, 1.0))
        send(process, signal.SIGCONT)


def _to_all(number: signal.Signals) -> Callable[[Strike], None]:
    """As a batch system does: to every process of the ranks, the evaluating ones included."""

    def act(strike: Strike) -> None:
        for process in [*strike.children(), *strike.run.ranks().values()]:
            send(process, number)

    return act


def _to_launcher(number: signal.Signals, times: int = 1) -> Callable[[Strike], None]:
    def act(strike: Strike) -> None:
        for _ in range(times):
            strike.run.send(number)
            time.sleep(0.2 * (times > 1))

    return act


def _fill_disk(strike: Strike) -> None:
    """Let no file of the master's grow for a while."""
    process = strike.run.ranks().get(0)
    journal = strike.folder / "runs" / "study" / "journal.jsonl"
    if process is None or not journal.exists():
        return
    with contextlib.suppress(ProcessLookupError):
        limit = journal.stat().st_size + strike.rng.randrange(200)
        resource.prlimit(process, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        time.sleep(1.5)
        resource.prlimit(process, resource.RLIMIT_FSIZE, NO_LIMIT)


def _journal(folder: Path) -> Path:
    return folder / "runs" / "study" / "journal.jsonl"


def _tear(folder: Path, rng: random.Random) -> bool:
    """Cut the last line somewhere, the first line aside."""
    path = _journal(folder)
    text = path.read_bytes() if path.exists() else b""
    start = text.rfind(b"\n", 0, -1) + 1
    if start > 0:
        os.truncate(path, rng.randrange(start, len(text)))
    return False


def _flip(folder: Path, rng: random.Random) -> bool:
    """Turn one bit of a line that is neither the first nor among the last two."""
    path = _journal(folder)
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    if len(lines) < 5:
        return False
    index = rng.randrange(1, len(lines) - 2)
    line = bytearray(lines[index])
    place = rng.randrange(len(line) - 1)
    line[place] ^= 1 << rng.randrange(7)
    if line[place] == 10:  # a line break would make it two lines, which is another fault
        line[place] ^= 255
    lines[index] = bytes(line)
    path.write_bytes(b"".join(lines))
    return True


def _drop_archive(folder: Path, rng: random.Random) -> bool:
    (folder / "runs" / "study" / "study.h5").unlink(missing_ok=True)
    return False


def _damage_archive(folder: Path, rng: random.Random) -> bool:
    path = folder / "runs" / "study" / "study.h5"
    if path.exists():
        data = bytearray(path.read_bytes())
        data[rng.randrange(len(data))] ^= 255
        path.write_bytes(bytes(data[: rng.choice((len(data), len(data) // 2))]))
    return False


INJECTIONS: dict[str, Injection] = {
    "kill a worker": Injection("worker", lambda strike: strike.kill(strike.rng.choice((2, 3))), survived="tolerant"),
    "kill two workers": Injection("worker", lambda strike: strike.kill(2, 3), survived="tolerant"),
    "kill the trainer": Injection("trainer", lambda strike: strike.kill(1), survived="tolerant"),
    "kill the master": Injection("master", lambda strike: strike.kill(0)),
    "kill mpiexec": Injection("launcher", lambda strike: send(strike.run.process, signal.SIGKILL)),
    "kill a child": Injection("child", _kill_child, survived="always"),
    "pause a worker": Injection("worker", _pause_worker, survived="always"),
    "SIGTERM": Injection("launcher", _to_launcher(signal.SIGTERM), graceful=True),
    "SIGINT": Injection("launcher", _to_launcher(signal.SIGINT), graceful=True),
    "SIGUSR1": Injection("launcher", _to_launcher(signal.SIGUSR1), graceful=True),
    "SIGUSR1 twice": Injection("launcher", _to_launcher(signal.SIGUSR1, 2)),
    "SIGUSR2 to all": Injection("all", _to_all(signal.SIGUSR2), graceful=True),
    "SIGTERM to all": Injection("all", _to_all(signal.SIGTERM)),
    "full disk": Injection("master", _fill_disk, survived="always"),
    "torn journal": Injection("journal", damage=_tear),
    "flipped bit": Injection("journal", damage=_flip),
    "no study.h5": Injection("archive", damage=_drop_archive),
    "damaged study.h5": Injection("archive", damage=_damage_archive),
}
