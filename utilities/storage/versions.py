"""Versions of the packages on which what a study finds may depend."""

from __future__ import annotations

from importlib import metadata

_PACKAGES = ("reverie", "numpy", "scipy", "h5py", "mpi4py", "msgspec")


def package_versions() -> dict[str, str]:
    """Version of each package on which what a study finds may depend, where it is installed."""
    found: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
