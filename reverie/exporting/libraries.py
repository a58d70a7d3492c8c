"""Libraries that an export needs and that Reverie does without."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from utilities.errors import StudyError


def library(module: str, extra: str) -> Any:
    """Import a module of an optional library.

    Raises
    ------
    StudyError
        It is not installed, or not whole: how to install it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise StudyError(
            f"this needs the package {package}, which cannot be imported ({error}): pip install 'reverie[{extra}]'"
        ) from None
