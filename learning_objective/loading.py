"""From ``train.py:objective`` to something to call. Standard library only: the child process imports this file.

How an objective is called
--------------------------
It gets the configuration as its first argument. It gets the trial too if it has a parameter named ``trial``, or a
second parameter without a default value: ``objective(config, trial)``, ``objective(config, trial=None)`` and
``objective(config, *, trial)`` do, ``objective(config)``, ``objective(config, verbose=False)`` and
``objective(*args)`` do not. A callable that needs any other argument is refused.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
from collections.abc import Callable
from functools import reduce
from types import ModuleType
from typing import Any

from .results import Objective, reason

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_PROJECT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class LoadError(Exception):
    """The objective cannot be had; the message is the reason."""


def load(objective: str, folder: str = ".") -> Objective:
    """Import an objective.

    Parameters
    ----------
    objective
        ``train.py:objective`` (a file, relative to `folder`), ``package.module:function``, or a benchmark's name.
    folder
        The study's folder.

    Returns
    -------
    callable
        Takes (config, trial), whatever the objective itself takes.

    Raises
    ------
    LoadError
        No such file, module or attribute, not callable, or not with these arguments. Whatever the user's module
        raises while it is imported is passed on.
    """
    source, colon, name = objective.partition(":")
    if not colon:
        return adapt(_benchmark(objective), objective)
    module = _import_file(source, folder) if source.endswith(".py") else _import_module(source)
    return adapt(_attribute(module, name, source), objective)


def open_path(objective: str, folder: str) -> None:
    """Put the folders on the path that `objective` is imported from.

    A benchmark is imported from this project, which therefore comes first. A user's objective is imported from its own
    folder and the study's; the project comes last, where it is found but shadows nothing.
    """
    source, colon, _ = objective.partition(":")
    if not colon:
        sys.path.insert(0, _PROJECT)
        return
    study = os.path.abspath(folder)
    beside = os.path.dirname(os.path.join(study, source)) if source.endswith(".py") else study
    sys.path[:0] = dict.fromkeys([os.path.normpath(beside), study])
    sys.path.append(_PROJECT)


def adapt(function: object, label: str) -> Objective:
    """Make a callable that takes (config, trial) of one that may take the configuration only.

    Raises
    ------
    LoadError
        Not callable, or not with one or two arguments.
    """
    if not callable(function):
        raise LoadError(f"{label} is not callable: it is a {type(function).__name__}")
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return _without_trial(function)
    positional = [parameter for parameter in parameters if parameter.kind in _POSITIONAL]
    named = any(parameter.name == "trial" for parameter in parameters[1:])
    second = len(positional) > 1 and positional[1].default is inspect.Parameter.empty
    by_keyword = named and not (len(positional) > 1 and positional[1].name == "trial")
    _check_call(function, label, trial=named or second, by_keyword=by_keyword)
    if by_keyword:
        return lambda config, trial: function(config, trial=trial)
    return function if named or second else _without_trial(function)


def _without_trial(function: Callable[..., object]) -> Objective:
    return lambda config, trial: function(config)


def _check_call(function: Callable[..., object], label: str, *, trial: bool, by_keyword: bool) -> None:
    signature = inspect.signature(function)
    try:
        if by_keyword:
            signature.bind({}, trial=None)
        else:
            signature.bind(*[{}, None][: 1 + trial])
    except TypeError as error:
        rule = "objective(config) or objective(config, trial) is needed"
        raise LoadError(f"{label}{signature} cannot be called: {error}; {rule}") from None


def _benchmark(name: str) -> Callable[..., object]:
    benchmarks = importlib.import_module("learning_objective.benchmarks").BENCHMARKS
    if name not in benchmarks:
        raise LoadError(f"no benchmark is named {name!r}; known are {', '.join(benchmarks)}")
    function: Callable[..., object] = benchmarks[name].function
    return function


def _import_file(source: str, folder: str) -> ModuleType:
    """Import a file under its stem, so that what pickles its functions finds them again.

    Where the stem is taken by a module that is loaded already (``json.py``), the name gets a suffix.
    """
    path = os.path.normpath(os.path.join(os.path.abspath(folder), source))
    if not os.path.isfile(path):
        raise LoadError(f"there is no file {path}")
    stem = os.path.splitext(os.path.basename(path))[0]
    name = f"{stem}_objective" if stem in sys.modules else stem
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise LoadError(f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _import_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise LoadError(f"there is no module {error.name!r} on the path: {reason(error)}") from None
        raise


def _attribute(module: ModuleType, name: str, source: str) -> Any:
    try:
        return reduce(getattr, name.split("."), module)
    except AttributeError:
        raise LoadError(f"{source} has no {name!r}") from None
