"""What an import says where the library that it is for is not installed."""

from __future__ import annotations


def missing(module: str, library: str, install: str) -> ImportError:
    """Error in place of the one that importing `library` for `module` of this package raised.

    Parameters
    ----------
    module
        Name of the module within `reverie.integration`.
    library
        What it needs, as its makers write it.
    install
        What `pip install` gets it by.
    """
    return ImportError(f"reverie.integration.{module} needs {library}: pip install '{install}'")
