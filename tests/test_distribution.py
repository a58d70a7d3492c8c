"""What pip installs: the dependencies of the core, and the public names that the reference has."""

import re
from importlib import import_module
from importlib.metadata import requires
from pathlib import Path

import reverie

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "python.md"
CORE = {"mpi4py", "numpy", "scipy", "h5py", "msgspec", "rich"}


def test_the_core_needs_little() -> None:
    needed = {re.match(r"[\w.-]+", line)[0] for line in requires("reverie") if "extra ==" not in line}
    assert needed == CORE


def test_the_reference_has_every_public_name() -> None:
    told = re.findall(r"^\.\. auto(?:class|function|exception):: ([\w.]+)(?:\(\))?$", PAGE.read_text(), re.MULTILINE)
    assert {f"reverie.{name}" for name in reverie.__all__} <= set(told)
    for path in told:
        module, _, name = path.rpartition(".")
        assert getattr(import_module(module), name).__doc__, path


def test_the_reference_names_members_that_are_there() -> None:
    entry = re.compile(r"^\.\. autoclass:: ([\w.]+)(?:\(\))?\n   :members: (.+)$", re.MULTILINE)
    for path, members in entry.findall(PAGE.read_text()):
        module, _, name = path.rpartition(".")
        for member in members.split(", "):
            assert hasattr(getattr(import_module(module), name), member), f"{path}.{member}"
