"""Which GPUs a node offers, how workers share them out, and what a process sees of them: all without a GPU."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from utilities.devices import (
    HIDDEN,
    GpuPool,
    GpuShortageError,
    find,
    has_own,
    offered,
    parse_nvidia_smi,
    visibility,
)

WITH_MIG = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
  MIG 3g.20gb     Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
  MIG 1g.5gb      Device  1: (UUID: MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-8c2f5e37-6d1c-4f0a-b1c9-2a5f2ffb1d11)
"""
SLICES = (
    "MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f",
    "MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb",
    "GPU-8c2f5e37-6d1c-4f0a-b1c9-2a5f2ffb1d11",
)
ROCM_SMI = """\
============================ ROCm System Management Interface ============================
GPU[0]\t\t: Device Name: \t\tAMD Instinct MI250X
GPU[0]\t\t: GUID: \t\t40112
GPU[1]\t\t: Device Name: \t\tAMD Instinct MI250X
"""


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        ({"CUDA_VISIBLE_DEVICES": "2,0"}, ("2", "0")),
        ({"CUDA_VISIBLE_DEVICES": " GPU-8c2f , MIG-GPU-5d5b/1/0,3"}, ("GPU-8c2f", "MIG-GPU-5d5b/1/0", "3")),
        ({"CUDA_VISIBLE_DEVICES": ""}, ()),
        ({"CUDA_VISIBLE_DEVICES": "-1"}, ()),
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, ()),
        ({"CUDA_VISIBLE_DEVICES": "0,1,-1,2"}, ("0", "1")),
        ({"CUDA_VISIBLE_DEVICES": "1,1"}, ("1",)),
        ({"CUDA_VISIBLE_DEVICES": "4", "SLURM_STEP_GPUS": "7", "ROCR_VISIBLE_DEVICES": "5"}, ("4",)),
        ({"ROCR_VISIBLE_DEVICES": "3,5"}, ("3", "5")),
        ({"HIP_VISIBLE_DEVICES": "1"}, ("1",)),
        ({"ROCR_VISIBLE_DEVICES": "3,5,6", "HIP_VISIBLE_DEVICES": "2,0,9"}, ("6", "3")),
        ({"ROCR_VISIBLE_DEVICES": "3,5", "HIP_VISIBLE_DEVICES": "GPU-ab"}, ("GPU-ab",)),
        ({"GPU_DEVICE_ORDINAL": "0,1"}, ("0", "1")),
        ({"SLURM_STEP_GPUS": "2"}, None),
        ({}, None),
    ],
)
def test_what_the_environment_names_is_offered_as_it_is(variables, names):
    assert offered(variables) == names
    if names is not None:
        assert offered(variables, lambda: pytest.fail("nobody need look")) == names


@pytest.mark.parametrize(
    ("slurm", "found", "names"),
    [
        ({}, ("GPU-a", "GPU-b"), ("GPU-a", "GPU-b")),
        ({}, (), ()),
        ({"SLURM_JOB_GPUS": "4,5"}, ("GPU-a", "GPU-b"), ("GPU-a", "GPU-b")),  # constrained to its own, not its numbers
        ({"SLURM_JOB_GPUS": "4,5"}, tuple("01234567"), ("4", "5")),  # shown all
        ({"SLURM_JOB_GPUS": "4,5"}, (), ("4", "5")),
        ({"SLURM_STEP_GPUS": "1", "SLURM_JOB_GPUS": "0,1"}, tuple("012"), ("1",)),
    ],
)
def test_what_is_found_is_offered_as_far_as_slurm_allots_it(slurm, found, names):
    assert offered(slurm, lambda: found) == names


def test_slurm_gives_tasks_gpus_of_their_own():
    assert has_own({"CUDA_VISIBLE_DEVICES": "0", "SLURM_GPUS_PER_TASK": "1"})
    assert has_own({"CUDA_VISIBLE_DEVICES": "0", "SLURM_TRES_PER_TASK": "cpu=2,gres/gpu=1"})
    assert not has_own({"CUDA_VISIBLE_DEVICES": "0", "SLURM_TRES_PER_TASK": "cpu=2"})
    assert not has_own({"SLURM_GPUS_PER_TASK": "1"})


def device_files(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


def test_a_node_without_device_files_is_asked_nothing(tmp_path):
    device_files(tmp_path, "nvidiactl", "nvidia-uvm", "null")
    assert find(tmp_path, lambda command: pytest.fail(f"{command} was run")) == ()


def test_nvidia_smi_names_gpus_and_their_slices(tmp_path):
    device_files(tmp_path, "nvidia0", "nvidia1", "nvidiactl")
    asked = []
    assert find(tmp_path, lambda command: asked.append(tuple(command)) or WITH_MIG) == SLICES
    assert asked == [("nvidia-smi", "-L")]
    assert parse_nvidia_smi("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.") == ()


def test_rocm_smi_numbers_gpus(tmp_path):
    assert find(device_files(tmp_path, "kfd"), lambda command: ROCM_SMI) == ("0", "1")


def missing(command):
    raise FileNotFoundError(command[0])


def test_without_its_program_device_files_are_counted(tmp_path):
    assert find(device_files(tmp_path, "nvidia3", "nvidia5", "nvidia-modeset"), missing) == ("0", "1")


def test_programs_are_really_run(tmp_path, monkeypatch):
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\ntest \"$1\" = -L && cat <<'END'\n{WITH_MIG}END\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert find(device_files(tmp_path, "nvidia0")) == SLICES
    program.write_text("#!/bin/sh\necho 'GPU 0: X (UUID: GPU-1)'\nexit 9\n")
    assert find(tmp_path) == ("0",)


# --- sharing out ------------------------------------------------------------------------------------------------------


@given(gpus=st.integers(0, 9), workers=st.integers(1, 20), share=st.sampled_from([0, 1, 2, 3, 1 / 2, 1 / 3, 1 / 7]))
def test_every_worker_gets_its_share_or_there_are_too_few(gpus, workers, share):
    pool = GpuPool(tuple(map(str, range(gpus))))
    capacity = gpus * round(1 / share) if 0 < share < 1 else gpus // share if share else workers
    taken = [pool.take(share) for _ in range(min(workers, capacity))]
    if workers > capacity:
        with pytest.raises(GpuShortageError):
            pool.take(share)
    users = [sum(name in devices for devices in taken) for name in pool.devices]
    assert all(len(devices) == -(-share // 1) for devices in taken)
    assert max(users, default=0) <= max(1, round(1 / share) if share else 0)
    if 0 < share < 1:
        assert max(users, default=0) - min(users, default=0) <= 1


def test_what_is_given_back_is_taken_again():
    pool = GpuPool(("a", "b", "c"))
    assert [pool.take(1) for _ in range(3)] == [("a",), ("b",), ("c",)]
    pool.give_back(("b",))
    assert pool.take(1) == ("b",)
    with pytest.raises(GpuShortageError):
        pool.take(1)


# --- what a process sees ----------------------------------------------------------------------------------------------


def seen_by_cuda(variables, gpus):
    """Indices that CUDA shows of a machine's GPUs, by its rules."""
    return [int(name) for name in variables["CUDA_VISIBLE_DEVICES"].split(",") if 0 <= int(name) < gpus]


def seen_by_hip(variables, gpus):
    """Indices that HIP shows of a machine's GPUs: ROCr lets some through, HIP counts among these."""
    through = [int(name) for name in variables["ROCR_VISIBLE_DEVICES"].split(",") if 0 <= int(name) < gpus]
    wanted = variables["HIP_VISIBLE_DEVICES"] or variables["CUDA_VISIBLE_DEVICES"]
    return [through[int(name)] for name in wanted.split(",") if 0 <= int(name) < len(through)]


@given(st.lists(st.integers(0, 7), unique=True))
def test_cuda_and_rocm_see_the_same(indices):
    variables = visibility(tuple(map(str, indices)))
    assert seen_by_cuda(variables, 8) == seen_by_hip(variables, 8) == indices
    assert all(value != "" for value in variables.values())


def test_no_gpu_is_shown_by_an_index_that_none_has():
    assert visibility(()) == dict.fromkeys(
        ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"), HIDDEN
    )
