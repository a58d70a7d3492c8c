"""The function behind a study: found before a run starts, called while it runs.

`check` reads a user's file without running it, as far as that decides; what it cannot decide (imported names, the
result of a call, a module on the path) a child process tries, just as a worker's would.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from pathlib import Path

from learning_objective.benchmarks import BENCHMARKS
from learning_objective.command import TemplateError, find_program, placeholders
from learning_objective.evaluation import Evaluator
from learning_objective.loading import LoadError, load
from learning_objective.objective_spec import ObjectiveSpec
from utilities.errors import StudyError, nearest

__all__ = ["LoadError", "check", "check_takes_trial", "load"]

_VALUES = (ast.Constant, ast.JoinedStr, ast.List, ast.Tuple, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
"""Expressions whose value is never callable."""


def check(spec: ObjectiveSpec, parameters: Collection[str] | None = None) -> None:
    """See that the objective is there and can be called, before anything is started for it.

    Parameters
    ----------
    spec
        The objective or command.
    parameters
        Names in the space, to check a command's placeholders against; None to leave them unchecked.

    Raises
    ------
    StudyError
        What is wrong, where, and the nearest name that exists.
    """
    if spec.command is not None:
        _check_command(spec.command, spec.folder, parameters)
    elif spec.objective is None:
        raise StudyError('a study needs an objective ("train.py:objective", "package.module:function") or a command')
    elif spec.benchmark is not None:
        _check_benchmark(spec.benchmark)
    elif not _settled_by_reading(spec.objective, Path(spec.folder)):
        _try(spec)


def _check_benchmark(name: str) -> None:
    if name in BENCHMARKS:
        return
    if name.endswith(".py"):
        raise StudyError(f'objective = "{name}": the function is missing, as in "{name}:objective"')
    raise StudyError(
        f'objective = "{name}": neither a benchmark ({", ".join(BENCHMARKS)}) nor of the form "train.py:objective" or '
        f'"package.module:function".{nearest(name, BENCHMARKS)}'
    )


def _check_command(command: Collection[str], folder: str, parameters: Collection[str] | None) -> None:
    if not command:
        raise StudyError("command = []: the program is missing")
    try:
        named = [placeholders(element) for element in command]
    except TemplateError as error:
        raise StudyError(f"command: {error}") from None
    for name in (name for names in named for name in names):
        if parameters is not None and name not in parameters:
            raise StudyError(f'command: "{{{name}}}" names no parameter of the space.{nearest(name, parameters)}')
    program, *_ = command
    if not named[0] and find_program(program, folder) is None:
        where = Path(folder).absolute()
        raise StudyError(f'command: "{program}" is neither a program on PATH nor an executable file in {where}')


def _settled_by_reading(objective: str, folder: Path) -> bool:
    """Whether the source alone shows that the objective can be called; an error where it shows the opposite."""
    source, _, name = objective.partition(":")
    if not name:
        raise StudyError(f'objective = "{objective}": the function is missing after the colon')
    if not source.endswith(".py"):
        return False
    path = folder / source
    tree = _parse(path, objective)
    if "." in name:
        return False
    definition = _definition(tree, name)
    if definition is None:
        _name_missing(tree, name, path, objective)
        return False
    return _is_callable(definition, name, path, objective)


def _parse(path: Path, objective: str) -> ast.Module:
    if not path.is_file():
        near = nearest(path.name, [file.name for file in path.parent.glob("*.py")])
        raise StudyError(f'objective = "{objective}": there is no file {path.absolute()}.{near}')
    try:
        return ast.parse(path.read_bytes(), str(path))
    except SyntaxError as error:
        raise StudyError(f'objective = "{objective}": {path}, line {error.lineno}: {error.msg}') from None
    except (OSError, ValueError) as error:
        raise StudyError(f'objective = "{objective}": {path} cannot be read: {error}') from None


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run in the module's own scope, those inside if, try, with and loops included."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        for part in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(statement, part, []))
        for handler in (*getattr(statement, "handlers", []), *getattr(statement, "cases", [])):
            yield from _statements(handler.body)


def _definition(tree: ast.Module, name: str) -> ast.stmt | None:
    """The last statement that binds `name`."""
    found = None
    for statement in _statements(tree.body):
        if name in _bound(statement):
            found = statement
    return found


def _bound(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).partition(".")[0] for alias in statement.names}
    if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.For | ast.With):
        names = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
        return {node.id for node in names if isinstance(node.ctx, ast.Store)}
    return set()


def _name_missing(tree: ast.Module, name: str, path: Path, objective: str) -> None:
    """An error, unless names may come into the module in ways that its source does not show."""
    everything = set().union(*map(_bound, _statements(tree.body)))
    if "*" in everything or "__getattr__" in everything:
        return
    functions = [s.name for s in _statements(tree.body) if isinstance(s, ast.FunctionDef)]
    raise StudyError(f'objective = "{objective}": {path} defines no {name!r}.{nearest(name, functions)}')


def _is_callable(definition: ast.stmt, name: str, path: Path, objective: str) -> bool:
    where = f'objective = "{objective}": {name!r} in {path}, line {definition.lineno},'
    if isinstance(definition, ast.AsyncFunctionDef):
        raise StudyError(f'{where} is an "async def"; a plain function is needed')
    if isinstance(definition, ast.Assign | ast.AnnAssign) and isinstance(definition.value, _VALUES):
        raise StudyError(f"{where} is not callable: {ast.unparse(definition)}")
    return isinstance(definition, ast.FunctionDef) and not definition.decorator_list and _takes_config(definition.args)


def _takes_config(arguments: ast.arguments) -> bool:
    """Whether (config) or (config, trial) plainly fits."""
    positional = len(arguments.posonlyargs) + len(arguments.args)
    needed_by_name = sum(default is None for default in arguments.kw_defaults)
    return positional >= 1 and positional - len(arguments.defaults) <= 2 and needed_by_name == 0


def check_takes_trial(spec: ObjectiveSpec) -> None:
    """See that an objective can know the budget of its trial, as far as its source tells.

    Raises
    ------
    StudyError
        It is a function that takes the configuration alone.
    """
    source, _, name = (spec.objective or "").partition(":")
    path = Path(spec.folder) / source
    if not source.endswith(".py") or "." in name:
        return
    definition = _definition(_parse(path, spec.objective or ""), name)
    if not isinstance(definition, ast.FunctionDef) or definition.decorator_list or definition.args.vararg:
        return
    arguments = definition.args
    positional = [*arguments.posonlyargs, *arguments.args]
    named = any(argument.arg == "trial" for argument in [*positional[1:], *arguments.kwonlyargs])
    if not named and len(positional) - len(arguments.defaults) < 2:
        rule = f"must take the trial, whose budget it is to keep: {name}(config, trial)"
        raise StudyError(f'objective = "{spec.objective}": {name!r} in {path}, line {definition.lineno}, {rule}')


def _try(spec: ObjectiveSpec) -> None:
    with Evaluator(spec, Path(spec.folder)) as evaluator:
        error = evaluator.load()
    if error is not None:
        raise StudyError(f'objective = "{spec.objective}" cannot be loaded: {error.partition(chr(10))[0]}')
