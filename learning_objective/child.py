"""The program that evaluates objectives in a process of their own: ``python -P child.py REQUESTS REPLIES``.

The arguments are the descriptors of two pipes to the worker that started it; `serving` says what goes through them.

The files that this program needs beside it are imported as a package of a private name. So no folder of this project is
on the path ahead of the user's, and none of its packages, whose names are common ones, is loaded in their stead.
"""

import importlib
import os
import sys
import types

PACKAGE = "_reverie_child"


def main() -> None:
    """Serve the worker until it closes the pipe of requests or goes away."""
    package = types.ModuleType(PACKAGE)
    package.__path__ = [os.path.dirname(os.path.abspath(__file__))]
    sys.modules[PACKAGE] = package
    requests, replies = (int(argument) for argument in sys.argv[1:3])
    importlib.import_module(f"{PACKAGE}.serving").serve(requests, replies)


if __name__ == "__main__":
    main()
