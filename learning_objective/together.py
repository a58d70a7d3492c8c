"""A trial that several ranks evaluate together, in the child process of one of them. Standard library only.

The objective gets a communicator, and the variables by which PyTorch's ``init_process_group`` and the like find the
other ranks: those that torchrun sets.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any, Self

from .communicator import Communicator
from .trial_handle import TrialHandle


class Together:
    """The part of this rank in a trial.

    Parameters
    ----------
    message
        Where the ranks meet and which of them this is, see `meeting.Meeting.as_message`; None where it is alone.
    trial
        Gets the communicator.

    Attributes
    ----------
    several
        Whether there are other ranks.
    rank
        Place among them.
    """

    def __init__(self, message: Mapping[str, Any] | None, trial: TrialHandle) -> None:
        self._message, self._trial = message, trial
        self.several = message is not None
        self.rank = 0 if message is None else int(message["rank"])
        self._met = not self.several

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._trial.comm is not None:
            self._trial.comm.close()

    def meet(self) -> bool:
        """Wait for the other ranks; returns whether there are any.

        Raises
        ------
        PeerLostError
            The first rank has gone.
        """
        message = self._message
        if message is None:
            return False
        os.environ.update(_torchrun_variables(message))
        key, size = bytes.fromhex(message["key"]), message["size"]
        if message["listener"] is None:
            self._trial.comm = Communicator.join((message["host"], message["port"]), self.rank, size, key)
        else:
            with socket.socket(fileno=os.dup(message["listener"])) as listener:
                self._trial.comm = Communicator.lead(listener, size, key)
        self._met = True
        return True

    @property
    def peer_lost(self) -> bool:
        """Whether another rank was found to have left the trial."""
        return not self._met or (self._trial.comm is not None and self._trial.comm.peer_lost)


def _torchrun_variables(message: Mapping[str, Any]) -> dict[str, str]:
    return {
        "MASTER_ADDR": message["host"],
        "MASTER_PORT": str(message["free_port"]),
        "RANK": str(message["rank"]),
        "WORLD_SIZE": str(message["size"]),
        "LOCAL_RANK": str(message["local_rank"]),
        "LOCAL_WORLD_SIZE": str(message["local_size"]),
    }
