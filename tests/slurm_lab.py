"""A Slurm of its own for a test: controller and nodes as processes of this machine, gone when the test is over."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "scontrol", "munged")
PATIENCE = 60.0

_SETTINGS = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
FirstJobId={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/ctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmctldLogFile={folder}/ctld.log
SlurmdLogFile={folder}/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1
MpiDefault=none
KillWait=5
ReturnToService=2
NodeName=t[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{first}-{last}] CPUs={cores} RealMemory=2000
PartitionName=test Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
"""FirstJobId: ranks of two jobs of one number, in two clusters of this machine, take each other for their own."""

_MPICH = {"MPIR_CVAR_CH4_NETMOD": "ofi", "MPIR_CVAR_NOLOCAL": "1"}
"""With UCX, MPICH 5.0.2 publishes 4096 bytes from where a shorter address begins; Slurm's PMI2 refuses some of them.

With OFI, and memory that the ranks of a node share, `MPI_Init` of several nodes may never return on busy cores.
"""


def missing() -> str:
    """Why no Slurm can be started here, empty where one can."""
    lacking = [program for program in PROGRAMS if shutil.which(program) is None]
    if lacking:
        return f"Slurm is not installed ({', '.join(lacking)}): apt-get install slurm-wlm munge"
    return "" if os.getuid() == 0 else "only root can start Slurm's daemons"


def free_port(count: int = 1) -> int:
    """First of so many ports in a row that nobody listens at."""
    for first in range(17500 + os.getpid() * 8 % 8000, 30000, count):
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise RuntimeError("no free port")


class Lab:
    """A cluster that runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}
        self.environment = {**os.environ, **_MPICH, "SLURM_CONF": str(folder / "slurm.conf")}

    def call(self, *words: str, **options: Any) -> str:
        """Run one of Slurm's programs, and return what it printed."""
        done = subprocess.run(
            words, env={**self.environment, **options.pop("variables", {})}, capture_output=True, text=True, **options
        )
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def job(self, number: str) -> dict[str, str]:
        """What the controller knows of a job."""
        words = self.call("scontrol", "show", "job", number).split()
        return dict(word.partition("=")[::2] for word in words)

    def start(self, name: str) -> None:
        """Start the controller or a node, by name."""
        words = ["slurmctld", "-D"] if name == "slurmctld" else ["slurmd", "-D", "-N", name]
        self.daemons[name] = _start(words, self.environment)

    def processes(self, **variables: str) -> dict[int, int]:
        """Processes of this cluster with these in their environment, and their parents."""
        wanted = {
            f"{name}={value}" for name, value in {"SLURM_CONF": self.environment["SLURM_CONF"], **variables}.items()
        }
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError, ValueError):
                if wanted <= set((folder / "environ").read_text(errors="replace").split("\0")):
                    state, parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
                    if state not in "ZX":
                        found[int(folder.name)] = int(parent)
        return found

    def kill_node(self, name: str) -> None:
        """What the death of a node ends: its daemon, what supervises its ranks, and these."""
        ranks = self.processes(SLURMD_NODENAME=name)
        assert ranks, f"nothing runs on {name}"
        daemon = self.daemons.pop(name)
        for process in {daemon.pid, *ranks, *ranks.values()} - {1}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        daemon.wait()

    def close(self) -> None:
        """End all jobs, then the daemons, then whatever is left of either."""
        words = ["scancel", f"--user={os.getuid()}"]
        subprocess.run(words, env=self.environment, capture_output=True, timeout=PATIENCE)
        with contextlib.suppress(AssertionError):
            self.until(lambda: not self.call("squeue", "-h"), "the end of all jobs", 20.0)
        for process in reversed(self.daemons.values()):
            _end(process)
        for left in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(left, signal.SIGKILL)

    def until(self, condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
        end = time.monotonic() + seconds
        while not condition():
            logs = "".join(path.read_text(errors="replace")[-2000:] for path in self.folder.glob("*.log"))
            assert time.monotonic() < end, f"{what} never came\n{logs}"
            time.sleep(0.2)


@contextlib.contextmanager
def cluster(folder: Path, nodes: int = 2, cores: int = 2) -> Iterator[Lab]:
    """Start a cluster whose files are in `folder`, of nodes with so many cores; its daemons are ended in any case."""
    port = free_port(nodes + 1)
    for name in ("munge", "state", *(f"spool-t{node}" for node in range(1, nodes + 1))):
        (folder / name).mkdir(parents=True)
    host = socket.gethostname()
    settings = {"host": host, "port": port, "folder": folder, "nodes": nodes, "first": port + 1, "last": port + nodes}
    settings["cores"] = cores
    (folder / "slurm.conf").write_text(_SETTINGS.format(**settings))
    lab = Lab(folder)
    munge = _munge(folder / "munge")
    try:
        for name in ("slurmctld", *(f"t{node}" for node in range(1, nodes + 1))):
            lab.start(name)
        lab.until(lambda: _idle(lab), "an idle cluster")
        yield lab
    finally:
        try:
            lab.close()
        finally:
            _end(munge)


def _munge(folder: Path) -> subprocess.Popen[bytes]:
    key = folder / "key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    files = {"key-file": key, "socket": folder / "socket", "pid-file": folder / "pid", "log-file": folder / "log"}
    words = ["munged", "--foreground", "--force", *(f"--{name}={path}" for name, path in files.items())]
    return _start([*words, f"--seed-file={folder / 'seed'}"], dict(os.environ))


def _start(words: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen(words, env=environment, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(10.0)
    process.kill()
    process.wait()


def _idle(lab: Lab) -> bool:
    told = subprocess.run(["sinfo", "-h", "-o", "%t"], env=lab.environment, capture_output=True, text=True)
    return told.stdout.split() == ["idle"]
