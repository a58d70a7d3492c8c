"""What trials may use of their node in whole runs: GPUs, threads."""

import os
from pathlib import Path

import pytest
from mpi_runs import Launcher, Studio, launchers

pytestmark = pytest.mark.mpi

SEES = """
    import os

    def objective(config, trial):
        names = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
        print(*(os.environ.get(name) for name in names), ",".join(trial.devices or ["none"]))
        print(*(os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")))
        return config["x"]
    """


@pytest.fixture(params=launchers() or [None], ids=str)
def studio(request: pytest.FixtureRequest, tmp_path: Path) -> Studio:
    launcher: Launcher | None = request.param
    assert launcher is not None, "there is no mpiexec: pip install reverie[mpich]"
    return Studio(launcher, tmp_path / "project")


def printed(studio: Studio) -> dict[str, set[tuple[str, ...]]]:
    """Lines that trials printed, by worker."""
    found: dict[str, set[tuple[str, ...]]] = {}
    for record in studio.records("finished"):
        log = studio.left / "trials" / str(record["number"]) / "output.log"
        found.setdefault(record["worker"].partition("@")[0], set()).add(tuple(log.read_text().splitlines()))
    return found


def test_each_worker_has_gpus_of_its_own(studio: Studio) -> None:
    studio.study(
        SEES.replace("import os", "import os, time").replace("return", "time.sleep(0.2); return"),
        method="gp",
        budget=12,
    )
    run = studio.run(5, "--gpus-per-worker", "1", CUDA_VISIBLE_DEVICES="2,GPU-8c2f5e37,7", HIP_VISIBLE_DEVICES="0")
    assert (run.status, run.err) == (0, "")
    devices = {worker: next(iter(lines))[0] for worker, lines in printed(studio).items() if len(lines) == 1}
    assert devices == {"2": "2 2 0 2", "3": "GPU-8c2f5e37 GPU-8c2f5e37 0 GPU-8c2f5e37", "4": "7 7 0 7"}
    named = {name.partition("@")[0]: gpus for name, gpus in studio.summary()["devices"].items()}
    assert named == {"2": ["2"], "3": ["GPU-8c2f5e37"], "4": ["7"]}
    assert studio.journal()[0]["gpus_per_worker"] == 1


def test_too_few_gpus_end_the_run_before_its_first_trial(studio: Studio) -> None:
    studio.study(SEES, gpus_per_worker=1)
    run = studio.run(4, CUDA_VISIBLE_DEVICES="0,1")
    assert run.status == 2
    assert run.err.startswith("error: study.json: [study] gpus_per_worker = 1 needs 3 GPUs for the 3 workers on ")
    fix = 'which offers its job 2 (0, 1). Start fewer ranks there, or give each worker gpus_per_worker = "1/2"\n'
    assert fix in run.err
    assert studio.records("asked") == []
    assert studio.run(4, "--gpus-per-worker", "1/2", CUDA_VISIBLE_DEVICES="0,1").status == 0


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_single_worker_has_gpus_and_threads_too(studio: Studio, ranks: int) -> None:
    studio.study(SEES, budget=2, gpus_per_worker=2, threads_per_worker=3)
    run = studio.run(ranks, CUDA_VISIBLE_DEVICES="4,5,6")
    assert (run.status, run.err) == (0, "")
    assert set().union(*printed(studio).values()) == {("4,5 4,5 0,1 4,5", "3 3 3")}


def test_threads_are_a_share_of_the_cores_where_nobody_says_otherwise(studio: Studio) -> None:
    studio.study(SEES, budget=2)
    run = studio.run(2, MKL_NUM_THREADS="7", CUDA_VISIBLE_DEVICES="0")
    assert (run.status, run.err) == (0, "")
    share = str(max(1, len(os.sched_getaffinity(0)) // 2))
    # the helper's own environment says one thread to OpenMP
    assert set().union(*printed(studio).values()) == {("0 None None none", f"1 7 {share}")}
