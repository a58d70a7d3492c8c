"""The command that continues a run, as a user would type it again."""

import sys

import pytest

from mpi.mpi_session import resume_command

STEP = {"SLURM_STEP_ID": "0", "SLURM_JOB_ID": "12"}


@pytest.fixture(autouse=True)
def argv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["/opt/env/bin/python", "-m", "mpi.mpi_optimizer", "my study.json"])
    monkeypatch.setattr("os.environ", {})


@pytest.mark.parametrize(
    ("ranks", "variables", "expected"),
    [
        (1, {}, ""),
        (1, {"PMI_SIZE": "1", "HYDI_CONTROL_FD": "7"}, "mpiexec -np 1 "),
        (4, {"PMI_SIZE": "4", "HYDI_CONTROL_FD": "7"}, "mpiexec -np 4 "),
        (4, {"OMPI_COMM_WORLD_SIZE": "4"}, "mpiexec -np 4 "),
        (4, {**STEP, "PMI_SIZE": "4", "SLURM_MPI_TYPE": "pmi2"}, "srun -n 4 --mpi=pmi2 "),
        (4, {**STEP, "PMI_SIZE": "4"}, "srun -n 4 "),
        (4, {**STEP, "SLURM_MPI_TYPE": "pmi2", "OMPI_ALLOW_RUN_AS_ROOT": "1"}, "srun -n 4 --mpi=pmi2 "),
        (4, {**STEP, "OMPI_COMM_WORLD_SIZE": "4"}, "mpiexec -np 4 "),
        (4, {**STEP, "PMI_SIZE": "4", "HYDI_CONTROL_FD": "7"}, "mpiexec -np 4 "),
    ],
)
def test_it_names_the_launcher_that_started_the_ranks(
    ranks: int, variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.environ", variables)
    assert resume_command(ranks) == f"{expected}python -m mpi.mpi_optimizer 'my study.json'"


def test_an_installed_program_is_named_without_its_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["/opt/env/bin/python", "/opt/env/bin/reverie", "run", "study.json"])
    assert resume_command(1) == "reverie run study.json"
