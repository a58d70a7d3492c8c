import os
import re
import select
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from utilities.display import terminal as module
from utilities.display.terminal import Terminal, watching_terminal

ROOT = Path(__file__).parent.parent
ENVIRONMENT = {"TERM": "xterm-256color"}


class Pty:
    """A pseudo-terminal whose screen side the test holds."""

    def __init__(self) -> None:
        self.screen, self.keyboard = os.openpty()
        self.name = os.ttyname(self.keyboard)
        self.device = os.fstat(self.keyboard).st_rdev

    def read(self) -> str:
        text = b""
        while select.select([self.screen], [], [], 0.05)[0]:
            text += os.read(self.screen, 65536)
        return text.decode()

    def close(self) -> None:
        os.close(self.screen)
        os.close(self.keyboard)


@pytest.fixture
def pty() -> Iterator[Pty]:
    pty = Pty()
    yield pty
    pty.close()


class Tree:
    """A made-up /proc."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def add(self, pid: int, command: str, parent: int, output: str = "pipe:[1]", **terminal: int) -> None:
        folder = self.root / str(pid)
        (folder / "fd").mkdir(parents=True, exist_ok=True)
        group, device = terminal.get("group", pid), terminal.get("device", 0)
        fields = f"{parent} {group} {group} {device} {terminal.get('foreground', -1)} 4194304 0 0"
        (folder / "stat").write_text(f"{pid} ({command}) S {fields}\n")
        (folder / "fd" / "1").unlink(missing_ok=True)
        (folder / "fd" / "1").symlink_to(output)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path / "proc")
    tree.add(1, "init", 0, "/dev/null")
    tree.add(10, "bash", 1)
    return tree


def watches(tree: Tree, **environment: str) -> str | None:
    """Name of the terminal that was found."""
    terminal = watching_terminal(tree.root, ENVIRONMENT | environment, 99)
    if terminal is None:
        return None
    name = os.ttyname(terminal._descriptor)
    terminal.close()
    return name


def under_hydra(tree: Tree, output: str, launcher: str = "mpiexec") -> None:
    tree.add(20, launcher, 10, output)
    tree.add(30, "hydra_pmi_proxy", 20)
    tree.add(99, "python", 30)


@pytest.mark.parametrize("launcher", ["mpiexec", "mpiexec.hydra", "mpirun"])
def test_behind_hydra_the_launcher_knows(tree: Tree, pty: Pty, launcher: str) -> None:
    under_hydra(tree, pty.name, launcher)
    assert watches(tree) == pty.name


@pytest.mark.parametrize("launcher", ["prterun", "orterun", "mpirun", "mpiexec"])
def test_behind_open_mpi_the_launcher_knows(tree: Tree, pty: Pty, launcher: str) -> None:
    tree.add(20, launcher, 10, pty.name)
    tree.add(99, "python", 20, "/dev/pts/123456")
    assert watches(tree) == pty.name


def test_a_shell_script_between_launcher_and_rank_changes_nothing(tree: Tree, pty: Pty) -> None:
    tree.add(20, "prterun", 10, pty.name)
    tree.add(25, "bash", 20)
    tree.add(99, "a) (very S 1 odd) name", 25)
    assert watches(tree) == pty.name


@pytest.mark.parametrize("output", ["file", "pipe:[77]", "/dev/null", "/dev/pts/424242", "/dev/pts/3 (deleted)"])
def test_redirected_output_is_plain_though_the_rank_has_a_terminal(
    tree: Tree, pty: Pty, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", open(pty.name, "w"))  # noqa: SIM115
    (tree.root / "20" / "fd").mkdir(parents=True)
    (tree.root / "20" / "fd" / "file").touch()
    tree.add(20, "prterun", 10, output)
    tree.add(99, "python", 20, pty.name)
    assert watches(tree) is None
    sys.stdout.close()


def test_a_file_named_like_a_terminal_is_none(tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TERMINALS", (str(tmp_path),))
    (tmp_path / "pretender").touch()
    under_hydra(tree, str(tmp_path / "pretender"))
    assert watches(tree) is None


def own_output(tree: Tree, pty: Pty, monkeypatch: pytest.MonkeyPatch, parent: int = 10) -> None:
    stream = open(pty.name, "w")  # noqa: SIM115
    monkeypatch.setattr(sys, "stdout", stream)
    tree.add(99, "python", parent, pty.name)
    (tree.root / "99" / "fd" / str(stream.fileno())).symlink_to(pty.name)


def test_without_launcher_its_own_output_counts(tree: Tree, pty: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    own_output(tree, pty, monkeypatch)
    assert watches(tree) == pty.name
    sys.stdout.close()


def test_without_launcher_and_terminal_it_is_plain(tree: Tree, pty: Pty) -> None:
    tree.add(99, "python", 10, pty.name)
    assert watches(tree) is None


def test_processes_of_others_that_are_hidden_end_the_search(
    tree: Tree, pty: Pty, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(tree.root / "1")
    own_output(tree, pty, monkeypatch)
    assert watches(tree) == pty.name
    sys.stdout.close()


@pytest.mark.parametrize("proxy", ["prted", "orted", "hydra_pmi_proxy", "hydra_bstrap_pr", "prte"])
def test_a_launcher_on_another_machine_is_plain(
    tree: Tree, pty: Pty, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    tree.add(20, proxy, 10)
    own_output(tree, pty, monkeypatch, parent=20)
    assert watches(tree) is None
    sys.stdout.close()


def test_no_proc_is_plain(tmp_path: Path) -> None:
    assert watching_terminal(tmp_path / "nothing", ENVIRONMENT, 99) is None


def test_a_launcher_that_may_not_be_looked_at_is_plain(tree: Tree, pty: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    under_hydra(tree, pty.name)
    monkeypatch.setattr(os, "readlink", refuse)
    assert watches(tree) is None


def refuse(path: object) -> str:
    raise PermissionError(13, "Permission denied", str(path))


@pytest.mark.parametrize(
    ("environment", "live"),
    [
        ({"TERM": "dumb"}, False), ({"TERM": ""}, False), ({"REVERIE_PLAIN": "1"}, False),
        ({"REVERIE_PLAIN": "0"}, True), ({"JPY_PARENT_PID": "12"}, False), ({"NO_COLOR": "1"}, True),
    ],
)  # fmt: skip
def test_the_environment_can_ask_for_plain(tree: Tree, pty: Pty, environment: dict[str, str], live: bool) -> None:
    under_hydra(tree, pty.name)
    assert (watches(tree, **environment) is not None) == live


@pytest.mark.parametrize(("foreground", "live"), [(20, True), (10, False)])
def test_a_background_job_is_plain(tree: Tree, pty: Pty, foreground: int, live: bool) -> None:
    under_hydra(tree, pty.name)
    tree.add(20, "mpiexec", 10, pty.name, device=module._kernel_device(pty.device), foreground=foreground)
    assert (watches(tree) is not None) == live


def test_the_foreground_of_another_terminal_says_nothing(tree: Tree, pty: Pty) -> None:
    under_hydra(tree, pty.name)
    tree.add(20, "mpiexec", 10, pty.name, device=4 << 8 | 1, foreground=10)
    assert watches(tree) == pty.name


def test_the_kernel_writes_devices_as_we_read_them(pty: Pty) -> None:
    code = "import os, sys; os.open(sys.argv[1], os.O_RDWR); print(open('/proc/self/stat').read())"
    command = [sys.executable, "-c", code, pty.name]
    stat = subprocess.run(
        command, start_new_session=True, capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert int(stat.rpartition(")")[2].split()[4]) == module._kernel_device(pty.device)
    assert module._kernel_device(os.makedev(136, 0x12345)) == 0x12300000 | 136 << 8 | 0x45


def opened(pty: Pty) -> Terminal:
    flags = os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK
    return Terminal(os.open(pty.name, flags), Path("/proc/self"))


def test_size_follows_the_window(pty: Pty) -> None:
    terminal = opened(pty)
    assert terminal.size() == (80, 24)
    termios.tcsetwinsize(pty.keyboard, (50, 132))
    assert terminal.size() == (132, 50)
    terminal.close()
    assert terminal.size() == (80, 24)


def test_a_stopped_terminal_never_blocks_and_gets_the_rest_later(pty: Pty) -> None:
    terminal = opened(pty)
    termios.tcflow(pty.keyboard, termios.TCOOFF)
    began = time.monotonic()
    for _ in range(1000):
        terminal.write("x" * 1000)
    assert terminal.clogged()
    assert time.monotonic() - began < 5
    termios.tcflow(pty.keyboard, termios.TCOON)
    text = pty.read()
    while terminal.clogged():
        text += pty.read()
    text += pty.read()
    assert set(text) == {"x"}
    assert 64_000 <= len(text) <= 65_536
    assert len(text) % 1000 == 0
    terminal.close()


def test_closing_waits_no_longer_than_a_moment(pty: Pty) -> None:
    terminal = opened(pty)
    termios.tcflow(pty.keyboard, termios.TCOOFF)
    terminal.write("x" * 60_000)
    began = time.monotonic()
    terminal.close()
    terminal.close()
    assert time.monotonic() - began < 5
    terminal.write("nobody is there")


def test_a_terminal_that_has_gone_swallows_everything() -> None:
    pty = Pty()
    terminal = opened(pty)
    pty.close()
    terminal.write("x")
    terminal.write("x")
    assert not terminal.clogged()
    terminal.close()


TOSTOP = """
import os, signal, sys, termios
from pathlib import Path
from utilities.display.terminal import Terminal

tty = os.open(sys.argv[1], os.O_RDWR)  # becomes this session's terminal, and this group's
mode = termios.tcgetattr(tty)
mode[3] |= termios.TOSTOP
termios.tcsetattr(tty, termios.TCSANOW, mode)
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    if sys.argv[2] == "ours":
        Terminal(os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK), Path("/proc/self")).write("drawn")
    else:
        os.write(tty, b"drawn")
    os._exit(0)
_, state = os.waitpid(child, os.WUNTRACED)
print("stopped" if os.WIFSTOPPED(state) else "ended")
if os.WIFSTOPPED(state):
    os.kill(child, signal.SIGKILL)
"""


@pytest.mark.parametrize(("writer", "fate"), [("ours", "ended"), ("theirs", "stopped")])
def test_writing_from_the_background_stops_nobody(pty: Pty, writer: str, fate: str) -> None:
    command = [sys.executable, "-c", TOSTOP, pty.name, writer]
    done = subprocess.run(
        command, start_new_session=True, capture_output=True, text=True, timeout=60, check=True, cwd=ROOT
    )
    assert done.stdout == f"{fate}\n"
    assert pty.read() == ("drawn" if writer == "ours" else "")


RANK_0 = """
import os, sys, time
from utilities.display.progress import PlainDisplay, make_display
from utilities.display.run_status import RunStatus

if "0" in (os.environ.get("PMI_RANK"), os.environ.get("PMIX_RANK")):
    display = make_display()
    for done in range(6):
        display.update(RunStatus(study="digits", method="gp", done=done, budget=5, elapsed=1.0))
        time.sleep(0.3)
    display.close()
    print(type(display).__name__, flush=True)
"""
LAUNCHER = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")


@pytest.mark.mpi
@pytest.mark.parametrize("watched", [True, False])
def test_the_launcher_at_hand(pty: Pty, watched: bool) -> None:
    assert LAUNCHER, "these tests need an mpiexec: install the extra 'mpich'"
    environment = os.environ | ENVIRONMENT | {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    environment["PRTE_MCA_rmaps_default_mapping_policy"] = ":oversubscribe"
    environment.pop("REVERIE_PLAIN", None)
    output = pty.keyboard if watched else subprocess.PIPE
    command = [LAUNCHER, "-n", "2", sys.executable, "-c", RANK_0]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, env=environment, cwd=ROOT)
    piped = process.communicate(timeout=60)[0]
    if watched:
        assert re.search(r"digits.*5 trials.*LiveDisplay", pty.read(), re.DOTALL)
    else:
        lines = [f"{done / 5:.3f} completion...  best none yet" for done in range(1, 6)]
        assert piped.decode().splitlines() == [*lines, "PlainDisplay"]
    assert process.returncode == 0
