"""Job scripts of `reverie slurm`: what they ask for, and that a real Slurm runs them to the end of a study."""

import json
import re
import shlex
from pathlib import Path

import pytest
from mpi_runs import launchers
from slurm_lab import cluster, missing

from mpi.mpi_optimizer import main as run
from reverie.cli import main
from reverie.drafting.batch_script import Layout

SPACE = {"x": {"type": "float", "low": 0.0, "high": 1.0}}
TRAIN = """
import os, pathlib, time

def objective(config, trial):
    time.sleep(0.5)
    line = f"{os.environ['SLURMD_NODENAME']} {trial.devices}\\n"
    log = os.open(pathlib.Path(__file__).with_name("where.log"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(log, line.encode())
    os.close(log)
    return config["x"]
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder with a study of 12 trials."""
    home = tmp_path / "study"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    (home / "train.py").write_text(TRAIN)
    study(home)
    return home


def study(folder: Path, **settings: object) -> None:
    own = {"name": "waves", "objective": "train.py:objective", "budget": 12, "method": "gp", "grace": 10, **settings}
    (folder / "study.json").write_text(json.dumps({"study": own, "space": SPACE}))


def written(*words: str) -> tuple[dict[str, str], list[str]]:
    """Options of sbatch and the words of srun in the script that the command writes."""
    assert main(["slurm", "study.json", "--force", "-o", "job", *words]) == 0
    text = Path("job").read_text()
    options = dict(re.findall(r"^#SBATCH --([a-z-]+)(?:=(\S+))?", text, re.MULTILINE))
    (line,) = re.findall(r"^srun .*$", text, re.MULTILINE)
    return options, shlex.split(line)


def test_ranks_of_a_node_that_are_asked_for_hold_the_leading_ones(folder: Path) -> None:
    options, words = written("--nodes", "3", "--ntasks-per-node", "4", "--time", "1d", "--cpus-per-task", "2")
    assert (options["nodes"], options["ntasks-per-node"], options["cpus-per-task"]) == ("3", "4", "2")
    assert (options["time"], options["signal"]) == ("1-00:00:00", "USR1@120")
    assert "gpus-per-node" not in options
    assert words[words.index("reverie") :] == ["reverie", "run", "study.json"]
    assert not any("arbitrary" in word for word in words)


def test_each_gpu_gets_a_worker_and_the_first_node_the_leading_ranks_besides(folder: Path) -> None:
    options, words = written("--nodes", "4", "--gpus-per-node", "4", "--time", "08:00:00", "--", "--budget", "900")
    assert (options["ntasks-per-node"], options["gpus-per-node"], options["time"]) == ("6", "4", "08:00:00")
    assert {"--ntasks=18", "--distribution=arbitrary"} <= set(words)
    assert words[-5:] == ["study.json", "--budget", "900", "--gpus-per-worker", "1"]
    study(folder, gpus_per_worker=0.5)
    options, words = written("--nodes", "1", "--gpus-per-node", "4", "--time", "8h")
    assert options["ntasks-per-node"] == "10", "two workers on each GPU, a master, a trainer"
    assert not any("arbitrary" in word for word in words)
    study(folder, gpus_per_worker=1, method="random", grace=300)
    options, words = written("--nodes", "2", "--gpus-per-node", "2", "--time", "8h", "--mpi", "pmix")
    assert {"--ntasks=5", "--mpi=pmix"} <= set(words), "a design needs no trainer"
    assert options["signal"] == "USR1@360"


def test_trials_of_several_ranks(folder: Path) -> None:
    study(folder, ranks_per_worker=2, gpus_per_worker=2)
    _, words = written("--nodes", "2", "--gpus-per-node", "4", "--time", "8h")
    assert "--ntasks=10" in words
    assert Layout(2, 4, 2, together=2, apart=True).told() == (
        "10 ranks on 2 nodes: a master, a trainer, 4 workers of 2 ranks"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--time", "1h"], "--ntasks-per-node must say how many ranks a node gets, where --gpus-per-node does not"),
        (["--time", "3m", "--ntasks-per-node", "4"], r"--time must be longer than 3:00; got 3:00: the run is told"),
        (["--time", "soon"], r"argument --time: must be a duration such as \"8h\" or 08:00:00; got 'soon'"),
        (["--time", "1h", "--ntasks-per-node", "2"], "2 ranks leave no worker beside a master and 1 trainers"),
        (["--time", "1h", "--ntasks-per-node", "9", "--nodes", "2", "--gpus-per-node", "4"], "at most 4, for so many"),
        (["--time", "1h", "--ntasks-per-node", "4", "--", "--budgt", "3"], r"unrecognized arguments: --budgt 3"),
        (["--time", "1h", "--nodes", "0"], "argument --nodes: must be an integer of at least 1; got '0'"),
    ],
)
def test_mistakes_are_one_sentence(
    folder: Path, words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["slurm", "study.json", *words]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not list(folder.glob("*.sbatch"))


def test_no_file_is_replaced_unasked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["slurm", "study.json", "--time", "1h", "--ntasks-per-node", "4"]
    assert main(words) == 0
    assert "wrote waves.sbatch: 4 ranks on 1 node: a master, a trainer, 2 workers" in capsys.readouterr().out
    assert main(words) == 2
    assert "waves.sbatch: is there already; --force replaces it" in capsys.readouterr().err


@pytest.mark.mpi
@pytest.mark.slow
@pytest.mark.parametrize("gpus", [0, 2])
def test_slurm_runs_it(folder: Path, tmp_path: Path, gpus: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time each node has two GPUs, and the first node two ranks more than the other one.

    There are no GPUs: Slurm is not asked for them, and the two nodes, which are one host, are told of four.
    """
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    if why := missing():
        pytest.skip(why)
    (own, *_) = launchers()
    with cluster(tmp_path / "slurm", cores=4) as lab:
        lab.environment.update(PATH=f"{own.programs}:{lab.environment['PATH']}", OMP_NUM_THREADS="1")
        for name, value in lab.environment.items():
            monkeypatch.setenv(name, value)
        asked = ["--gpus-per-node", "2"] if gpus else ["--ntasks-per-node", "3"]
        assert main(["slurm", "study.json", "--nodes", "2", *asked, "--time", "10m"]) == 0
        script = folder / "waves.sbatch"
        script.write_text(re.sub(r"^#SBATCH --gpus-per-node=.*\n", "", script.read_text(), flags=re.MULTILINE))
        lab.environment["CUDA_VISIBLE_DEVICES"] = "0,1,2,3"
        job = lab.call("sbatch", "--parsable", "waves.sbatch", cwd=folder).strip()
        lab.until(lambda: lab.job(job)["JobState"] not in ("PENDING", "RUNNING", "COMPLETING"), "the end of the job")
        log = (folder / f"waves-{job}.log").read_text()
        assert lab.job(job)["JobState"] == "COMPLETED", log
    summary = json.loads((folder / "runs" / "waves" / "summary.json").read_text())
    assert (summary["states"], summary["workers"]) == ({"COMPLETE": 12}, 4)
    nodes = [line.split(" ", 1) for line in (folder / "where.log").read_text().splitlines()]
    assert {node for node, _ in nodes} == {"t1", "t2"}
    if gpus:
        assert len({(node, devices) for node, devices in nodes}) == 4, "each worker has a GPU of its own"
        assert {len({devices for at, devices in nodes if at == node}) for node in ("t1", "t2")} == {2}
    assert run(["study.json"]) == 0, "nothing is left to do"
