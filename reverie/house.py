"""Sees that the project's packages are its own: their names are common, and a user's folder may hold the same ones."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

ROOMS = ("utilities", "learning_objective", "mpi", "sequential")
_HOME = Path(__file__).resolve().parent.parent


def enter(package: str) -> None:
    """Prepare the import of the project's packages from within `package`.

    ``python -m package.module`` puts the working folder first on the path. A run imports nothing from there (the child
    process that evaluates the objective does), so it is taken off: a user's own ``utilities/`` there does no harm.

    Raises
    ------
    ImportError
        Another package of the same name comes first on the path: its path, and what to do.
    """
    if sys.argv[:1] == ["-m"] and sys.path and Path(sys.path[0]).resolve() != _HOME:
        del sys.path[0]
    for room in ROOMS:
        if room != package:
            _check(room)


def _check(room: str) -> None:
    loaded = sys.modules.get(room)
    spec = loaded.__spec__ if loaded is not None else find_spec(room) or PathFinder.find_spec(room, [str(_HOME)])
    where = None if spec is None else spec.origin or next(iter(spec.submodule_search_locations or ()), None)
    if where is None:
        raise ImportError(f"reverie is incomplete: its package {room!r} is missing beside {_HOME / 'reverie'}")
    if _HOME not in Path(where).resolve().parents:
        raise ImportError(
            f"reverie needs its own package {room!r}, but {where} comes first on the path: rename that one, or start "
            "the script from another folder"
        )
