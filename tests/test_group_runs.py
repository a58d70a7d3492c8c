"""Whole runs with several ranks a worker: what they train together, and what one that fails does to the others."""

import signal
from pathlib import Path

import pytest
from mpi_runs import Launcher, Studio, launchers

pytestmark = pytest.mark.mpi

PAIRS = """
    import os, sys, time
    import numpy as np

    def objective(config, trial):
        rank, number = trial.comm.rank, trial.number
        print(os.getpid(), trial.seed, *(os.environ[name] for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))
        {fault}
        total = np.array([config["x"] * (rank + 1)])
        trial.comm.Allreduce(total, total)
        (trial.folder / f"rank-{{rank}}").write_text(str(total[0]))
        return {{"objective": total[0] if rank == 0 else -1e9, "rank": rank}}
    """


@pytest.fixture(params=launchers() or [None], ids=str)
def studio(request: pytest.FixtureRequest, tmp_path: Path) -> Studio:
    launcher: Launcher | None = request.param
    assert launcher is not None, "there is no mpiexec: pip install reverie[mpich]"
    return Studio(launcher, tmp_path / "project")


def outcomes(studio: Studio) -> dict[int, dict]:
    return {record["number"]: record for record in studio.records("finished")}


def pair(studio: Studio, fault: str = "pass", **settings) -> None:
    values = {"ranks_per_worker": 2, "budget": 8, "max_consecutive_failures": 8, **settings}
    studio.study(PAIRS.format(fault=fault), **values)


def reasons(studio: Studio) -> dict[int, str]:
    return {int(row["number"]): row["user_attrs_failure"] for row in studio.rows() if row["state"] == "FAIL"}


def causes(studio: Studio) -> dict[int, str]:
    """Reasons without the rank."""
    return {number: reason.partition("): ")[2] for number, reason in reasons(studio).items()}


def test_pairs_train_together(studio: Studio) -> None:
    pair(studio, method="gp", budget=10)
    run = studio.run(6)
    assert (run.status, run.err) == (0, "")
    assert studio.journal()[0]["ranks_per_worker"] == 2
    configs = {record["trial"]["number"]: record["trial"]["config"] for record in studio.records("asked")}
    found = outcomes(studio)
    assert sorted(found) == list(range(10))
    for number, record in found.items():
        assert record["outcome"]["objective"] == pytest.approx(3 * configs[number]["x"])
        assert record["outcome"]["metrics"] == {"rank": 0.0}
        folder = studio.left / "trials" / str(number)
        said = [(folder / name).read_text().split() for name in ("output.log", "output-1.log")]
        assert [words[2:] for words in said] == [["0", "2", "0"], ["1", "2", "1"]]
        assert said[0][0] != said[1][0]
        assert said[0][1] == said[1][1]
        assert {path.name for path in folder.iterdir()} == {"output.log", "output-1.log", "rank-0", "rank-1"}
    assert {record["worker"].partition("@")[0] for record in found.values()} == {"2", "4"}
    assert studio.summary()["workers"] == 2


@pytest.mark.parametrize("culprit", [0, 1])
def test_an_exception_fails_that_trial_alone_and_costs_no_process(studio: Studio, culprit: int) -> None:
    pair(studio, f"if number in (2, 5) and rank == {culprit}: raise ValueError('as was to be shown')")
    run = studio.run(4)  # the method learns nothing: three ranks for workers, of which one is left over
    assert (run.status, run.err) == (0, "")
    assert "1 rank idle (3): too few for another worker of 2\n" in run.out
    found = reasons(studio)
    assert found.keys() == {2, 5}
    for reason in found.values():
        assert reason.startswith(f"on rank {culprit} of 2 ({1 + culprit}@")
        assert reason.endswith("): ValueError: as was to be shown")
    message = outcomes(studio)[2]["outcome"]["message"]
    assert 'train.py", line 8, in objective' in message
    processes = {log.read_text().split()[0] for log in (studio.left / "trials").glob("*/output-1.log")}
    assert len(processes) == 1
    assert len(outcomes(studio)) == 8


def test_a_rank_that_waits_for_nobody_is_given_up(studio: Studio) -> None:
    pair(studio, "if number == 1: (time.sleep(600) if rank == 0 else sys.exit('enough'))", budget=4)
    run = studio.run(3)
    assert (run.status, run.err) == (0, "")
    assert causes(studio) == {1: "SystemExit: enough"}
    assert len(outcomes(studio)) == 4


def test_a_child_that_is_killed_is_evaluated_again_then_fails(studio: Studio) -> None:
    pair(studio, "if number == 1 and rank == 1: os.kill(os.getpid(), 9)", budget=5, retries=1)
    run = studio.run(3)
    assert (run.status, run.err) == (0, "")
    assert causes(studio) == {1: "the objective's process was killed by signal SIGKILL (out of memory?)"}
    assert [record["number"] for record in studio.records("lost")] == [1]
    assert len(outcomes(studio)) == 5


def test_a_timeout_ends_the_processes_of_all_ranks(studio: Studio) -> None:
    pair(studio, "if number == 1: time.sleep(600)", budget=4, trial_timeout=1.5)
    run = studio.run(3)
    assert (run.status, run.err) == (0, "")
    assert causes(studio) == {1: "exceeded trial_timeout of 1.5 s"}
    for log in (studio.left / "trials" / "1").glob("output*.log"):
        assert not Path(f"/proc/{log.read_text().split()[0]}").exists()
    assert len(outcomes(studio)) == 4


def test_what_importing_takes_is_no_part_of_the_time(studio: Studio) -> None:
    source = PAIRS.format(fault="pass").replace("import numpy as np", "import numpy as np; time.sleep(2.0)", 1)
    studio.study(source, ranks_per_worker=2, budget=2, trial_timeout=1.5)
    run = studio.run(3)
    assert (run.status, run.err, reasons(studio)) == (0, "", {})


def test_an_objective_that_cannot_be_loaded_ends_the_run(studio: Studio) -> None:
    studio.study("raise RuntimeError('no')\ndef objective(config, trial): return 1.0", ranks_per_worker=2)
    run = studio.run(3)
    assert run.status == 2
    assert "the objective cannot be loaded: RuntimeError: no" in run.err
    assert outcomes(studio) == {}


def started(studio: Studio) -> list[str]:
    """What the two ranks of the first trial printed so far."""
    logs = (studio.folder / "runs").glob("*/trials/0/output*.log")
    return [text for log in logs if (text := log.read_text())]


def test_a_signal_cuts_off_and_the_same_command_continues(studio: Studio) -> None:
    pair(studio, "if not os.path.exists('gate'): time.sleep(600)", budget=3, grace=0)
    with studio.start(3) as run:
        run.until(lambda: len(started(studio)) == 2)
        run.send(signal.SIGUSR1)
        assert run.wait().status == 75
        assert run.vanishes()
    studio.write("gate", "")
    assert studio.run(3).status == 0
    assert sorted(outcomes(studio)) == [0, 1, 2]


def test_torch_finds_the_other_ranks(studio: Studio) -> None:
    pytest.importorskip("torch")
    source = """
        import torch
        import torch.distributed as dist

        def objective(config, trial):
            dist.init_process_group("gloo")
            total = torch.tensor([dist.get_rank() + 1.0])
            dist.all_reduce(total)
            dist.destroy_process_group()
            return float(total)
        """
    studio.study(source, ranks_per_worker=2, budget=3)
    run = studio.run(3)
    assert (run.status, run.err) == (0, "")
    assert {row["value"] for row in studio.rows()} == {"3.0"}


@pytest.mark.parametrize("ranks", [1, 2])
def test_too_few_ranks_are_told(studio: Studio, ranks: int) -> None:
    pair(studio)
    run = studio.run(ranks)
    assert run.status == 2
    told = f"ranks_per_worker = 2 needs 3 ranks at least, the master and a worker; got {ranks}. Start it with mpiexec"
    assert f"error: study.json: [study] {told}" in run.err


def test_a_pair_shares_its_gpus(studio: Studio) -> None:
    pair(studio, "print(os.environ['CUDA_VISIBLE_DEVICES'])", gpus_per_worker=2, budget=4)
    run = studio.run(5, CUDA_VISIBLE_DEVICES="0,1,2,3")
    assert (run.status, run.err) == (0, "")
    for number, record in outcomes(studio).items():
        logs = (studio.left / "trials" / str(number)).glob("output*.log")
        seen = {log.read_text().splitlines()[1] for log in logs}
        assert seen == {{"1": "0,1", "3": "2,3"}[record["worker"].partition("@")[0]]}
