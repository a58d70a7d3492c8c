"""The GPUs of a node: which of them it offers its job, which a worker takes, and how a process sees those alone.

A GPU is named as CUDA_VISIBLE_DEVICES and ROCR_VISIBLE_DEVICES name it: by its index, or by the UUID of the GPU or of
one of its MIG slices. Names that a batch system or a user gave are kept as they are.
"""

from __future__ import annotations

import math
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from utilities.errors import ReverieError

Devices: TypeAlias = tuple[str, ...]

HIDDEN = "-1"
"""Shows no GPU: CUDA and ROCm end their lists at the first index that does not exist, and HIP takes "" for unset."""

_NAME = re.compile(r"\d+|(GPU|MIG)-\S+")
_SMI_SECONDS = 10.0
_SMI_LINE = re.compile(r"^\s*(GPU|MIG)\b.*\(UUID:\s*(\S+?)\)", re.MULTILINE)


class GpuShortageError(ReverieError):
    """A node offers fewer GPUs than its workers need."""


# --- what a node offers -----------------------------------------------------------------------------------------------


def offered(environment: Mapping[str, str], found: Callable[[], Devices] | None = None) -> Devices | None:
    """GPUs that this node offers the processes of a job.

    What the environment names comes first, as CUDA and ROCm themselves have it. Else these are the GPUs that are found,
    or those of them that Slurm names; where Slurm shows a job no others, their numbers are not Slurm's.

    Parameters
    ----------
    environment
        Variables of this process.
    found
        Looks for GPUs, which may take a second; None to take no such look.

    Returns
    -------
    tuple of str or None
        None where the environment names none, and no look was taken.
    """
    named = _named(environment)
    if named is not None or found is None:
        return named
    there = found()
    allotted = _listed(environment.get("SLURM_STEP_GPUS") or environment.get("SLURM_JOB_GPUS") or "")
    return allotted if allotted and not 0 < len(there) <= len(allotted) else there


def _named(environment: Mapping[str, str]) -> Devices | None:
    if "CUDA_VISIBLE_DEVICES" in environment:
        return _listed(environment["CUDA_VISIBLE_DEVICES"])
    rocr, hip = environment.get("ROCR_VISIBLE_DEVICES"), environment.get("HIP_VISIBLE_DEVICES")
    if rocr is None or hip is None:
        one = environment.get("GPU_DEVICE_ORDINAL") if rocr is hip is None else rocr or hip or ""
        return None if one is None else _listed(one)
    # HIP counts among what ROCR_VISIBLE_DEVICES lets through.
    through = _listed(rocr)
    places = (name if not name.isdigit() else _at(through, int(name)) for name in _listed(hip))
    return tuple(name for name in places if name)


def _at(names: Devices, index: int) -> str:
    return names[index] if index < len(names) else ""


def _listed(text: str) -> Devices:
    """Names in a list of GPUs, up to the first that cannot be one: ``-1``, ``NoDevFiles``."""
    names = []
    for part in text.split(","):
        if not _NAME.fullmatch(part.strip()):
            break
        names.append(part.strip())
    return tuple(dict.fromkeys(names))


def has_own(environment: Mapping[str, str]) -> bool:
    """Whether Slurm gave this process GPUs of its own, which may have the same name as those of another process."""
    by_task = environment.get("SLURM_GPUS_PER_TASK") or "gpu" in environment.get("SLURM_TRES_PER_TASK", "")
    return bool(by_task) and _named(environment) is not None


def find(devices: Path = Path("/dev"), run: Callable[[Sequence[str]], str] | None = None) -> Devices:
    """Look for the GPUs of this machine.

    Parameters
    ----------
    devices
        Folder of the device files. Where there is none of a GPU, no program is run.
    run
        Runs a program and returns what it prints; raises OSError where that fails.
    """
    output = run or _output
    files = list(devices.glob("nvidia[0-9]*"))
    if files:
        # By UUID: nvidia-smi and CUDA may number GPUs differently.
        return parse_nvidia_smi(_tried(output, "nvidia-smi", "-L")) or tuple(map(str, range(len(files))))
    if (devices / "kfd").exists():
        numbers = re.findall(r"^GPU\[(\d+)\]", _tried(output, "rocm-smi", "--showid"), re.MULTILINE)
        return tuple(dict.fromkeys(numbers))
    return ()


def parse_nvidia_smi(text: str) -> Devices:
    """UUIDs in what ``nvidia-smi -L`` prints; for a GPU with MIG slices, which CUDA cannot use as a whole, of these."""
    names: list[str] = []
    for kind, name in _SMI_LINE.findall(text):
        if kind == "MIG" and names and names[-1].startswith("GPU-"):
            names.pop()
        names.append(name)
    return tuple(names)


def _tried(run: Callable[[Sequence[str]], str], *command: str) -> str:
    try:
        return run(command)
    except OSError:
        return ""


def _output(command: Sequence[str]) -> str:
    try:
        run = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_SMI_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise OSError(str(error)) from error
    return run.stdout if run.returncode == 0 else ""


# --- what a worker takes ----------------------------------------------------------------------------------------------


class GpuPool:
    """The GPUs that some workers share out among themselves, as evenly as that goes.

    Parameters
    ----------
    devices
        The GPUs.
    """

    def __init__(self, devices: Devices) -> None:
        self.devices = devices
        self._users = Counter(dict.fromkeys(devices, 0))

    def take(self, share: float) -> Devices:
        """Take GPUs for one worker.

        Parameters
        ----------
        share
            How many it needs: a whole number for itself alone, or 1/k of one that k workers use.

        Raises
        ------
        GpuShortageError
            Not so many are free.
        """
        most = 1 if share >= 1 else round(1 / share) if share else 0
        free = [name for name in self.devices if self._users[name] < most]
        taken = sorted(free, key=self._users.__getitem__)[: math.ceil(share)]
        if len(taken) < math.ceil(share):
            raise GpuShortageError
        self._users.update(taken)
        return tuple(taken)

    def give_back(self, devices: Devices) -> None:
        """Take back the GPUs of a worker that is gone."""
        self._users.subtract(devices)


# --- what a process sees ----------------------------------------------------------------------------------------------


def visibility(devices: Devices) -> dict[str, str]:
    """Variables that show a process these GPUs alone, to CUDA and to ROCm.

    HIP counts among what ROCR_VISIBLE_DEVICES lets through, and heeds CUDA_VISIBLE_DEVICES where its own variable is
    not set: all three together mean the same on either kind of node.
    """
    names = ",".join(devices) or HIDDEN
    places = ",".join(map(str, range(len(devices)))) or HIDDEN
    return {"CUDA_VISIBLE_DEVICES": names, "ROCR_VISIBLE_DEVICES": names, "HIP_VISIBLE_DEVICES": places}
