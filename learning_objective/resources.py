"""What a trial may use of its node: threads and GPUs, told to its process by environment variables."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from utilities.devices import Devices, visibility

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
"""What numerical libraries read as they are loaded; PyTorch heeds the first."""


class Resources(msgspec.Struct, frozen=True):
    """Threads and GPUs of a trial.

    Attributes
    ----------
    threads
        Number of threads of its numerical libraries; None to leave that open.
    threads_asked
        Whether the study says so; else variables that are set already stay.
    devices
        The only GPUs that it sees; None where it sees whatever its worker sees.
    """

    threads: int | None = None
    threads_asked: bool = False
    devices: Devices | None = None

    def variables(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Variables to be set in a process whose environment is the one given."""
        wanted = {} if self.devices is None else visibility(self.devices)
        if self.threads is not None:
            names = (name for name in THREAD_VARIABLES if self.threads_asked or name not in environment)
            wanted.update(dict.fromkeys(names, str(self.threads)))
        return wanted


WHATEVER_IS_SET = Resources()
"""Changes nothing."""
