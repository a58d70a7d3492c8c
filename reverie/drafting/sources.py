"""What the source of a file tells of a function's parameters. It is parsed, never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from reverie.drafting.ranges import Draft, around, by_name, choices
from utilities.errors import StudyError, nearest, quoted
from utilities.trial import Value

_CONFIGS = ("config", "cfg", "conf", "configuration", "params", "parameters", "hparams", "hyperparameters", "hp")
_MAPPINGS = ("dict", "Dict", "Mapping", "Config", "MutableMapping")
_PREFERRED = ("objective", "train", "main", "fit", "run")
_NOTHING = object()


class Target(NamedTuple):
    """A function to tune.

    Attributes
    ----------
    objective
        ``file.py:function`` for the study file.
    drafts
        Its parameters.
    adapter, source
        Path and content of the file to be written, which calls the function with a configuration; None where it takes
        one by itself.
    """

    objective: str
    drafts: list[Draft]
    adapter: Path | None = None
    source: str | None = None


def read_target(text: str) -> Target:
    """Read ``file.py:function``, or ``file.py`` where it is plain which function is meant.

    Raises
    ------
    StudyError
        There is no such file or function, or it cannot be read or called.
    """
    name, _, wanted = text.partition(":")
    path = Path(name)
    tree = _parse(path)
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    function = functions.get(wanted) if wanted else _only(functions)
    if function is None:
        known = ", ".join(functions) or "none"
        what = f"defines no function {quoted(wanted)}" if wanted else "has several functions, or none: name one"
        raise StudyError(f"{path}: {what}, as in {path.name}:objective; it has {known}.{nearest(wanted, functions)}")
    return _Reader(path, tree, function).target()


def _parse(path: Path) -> ast.Module:
    try:
        return ast.parse(path.read_bytes(), str(path))
    except SyntaxError as error:
        raise StudyError(f"{path}, line {error.lineno}: {error.msg}") from None
    except (OSError, ValueError) as error:
        near = nearest(path.name, [file.name for file in path.parent.glob("*.py")]) if path.parent.is_dir() else ""
        raise StudyError(f"{path}: cannot read this file: {getattr(error, 'strerror', None) or error}.{near}") from None


def _only(functions: dict[str, ast.FunctionDef]) -> ast.FunctionDef | None:
    for name in _PREFERRED:
        if name in functions:
            return functions[name]
    return next(iter(functions.values())) if len(functions) == 1 else None


class _Parameter(NamedTuple):
    """A parameter as it stands in a signature or a dataclass."""

    name: str
    annotation: ast.expr | None
    default: ast.expr | None


class _Reader:
    """Finds out how a function of a file takes its parameters, and what these are."""

    def __init__(self, path: Path, tree: ast.Module, function: ast.FunctionDef) -> None:
        self._path, self._tree, self._function = path, tree, function
        self._classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        self._enums: dict[str, str] = {}

    def target(self) -> Target:
        """What is to be tuned, whichever way the function takes it."""
        parameters = _signature(self._function)
        first = parameters[0] if parameters else None
        whole = f"{self._path}:{self._function.name}"
        if first is not None and (fields := self._dataclass(first.annotation)) is not None:
            assert isinstance(first.annotation, ast.Name | ast.Constant)
            drafts = self._drafts(fields)
            name = first.annotation.id if isinstance(first.annotation, ast.Name) else str(first.annotation.value)
            return self._adapted(drafts, f"{name}(**{{values}})", [name], self._takes_trial(parameters))
        if first is not None and (table := self._dict(first.default)) is not None:
            return Target(whole, [around(key, value) for key, value in table.items()])
        if first is not None and _is_config(first) and len([p for p in parameters if p.default is None]) <= 2:
            return Target(whole, list(_keys(self._function, first.name)))
        if self._function.args.vararg is not None or self._function.args.posonlyargs:
            raise StudyError(f"{whole}: must take its parameters by name, or a configuration as its first one")
        drafts = self._drafts(parameters)
        return self._adapted(drafts, "**{values}", [], takes_trial=False)

    def _takes_trial(self, parameters: list[_Parameter]) -> bool:
        return any(p.name == "trial" or p.default is None for p in parameters[1:])

    def _dataclass(self, annotation: ast.expr | None) -> list[_Parameter] | None:
        """Fields of the dataclass of this file that an annotation names; None where it names none."""
        name = annotation.id if isinstance(annotation, ast.Name) else getattr(annotation, "value", None)
        own = self._classes.get(name) if isinstance(name, str) else None
        if own is None or not any("dataclass" in ast.unparse(decorator) for decorator in own.decorator_list):
            return None
        return [
            _Parameter(node.target.id, node.annotation, node.value)
            for node in own.body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        ]

    def _dict(self, default: ast.expr | None) -> dict[str, Value] | None:
        """Content of a default that is a dict of plain values, in place or by the name of one in this file."""
        if isinstance(default, ast.Name):
            bound = [
                node.value for node in self._tree.body if isinstance(node, ast.Assign) and _binds(node, default.id)
            ]
            default = bound[-1] if bound else None
        table = _literal(default) if isinstance(default, ast.Dict) else _NOTHING
        if not isinstance(table, dict) or not table:
            return None
        plain = all(isinstance(key, str) and _is_value(value) for key, value in table.items())
        return table if plain else None

    def _drafts(self, parameters: list[_Parameter]) -> list[Draft]:
        drafts = [draft for parameter in parameters if (draft := self._draft(parameter)) is not None]
        if not drafts:
            raise StudyError(f"{self._path}:{self._function.name} has no parameters whose values could vary")
        return drafts

    def _draft(self, parameter: _Parameter) -> Draft | None:
        """Draft of a parameter; None where it has a default that is left as it is."""
        default = _literal(parameter.default)
        options = self._options(parameter)
        if options is not None:
            chosen = self._member(parameter) if parameter.name in self._enums else default
            return choices(parameter.name, options, chosen if chosen in options else None)
        if _is_value(default):
            return around(parameter.name, _typed(default, parameter.annotation))
        if parameter.default is not None:
            return None
        return _by_annotation(parameter)

    def _options(self, parameter: _Parameter) -> list[Value] | None:
        """Values that an annotation ``Literal[...]`` or an Enum of this file lists."""
        annotation = _unquoted(parameter.annotation)
        for node in ast.walk(annotation) if annotation is not None else ():
            if isinstance(node, ast.Subscript) and ast.unparse(node.value).split(".")[-1] == "Literal":
                inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
                values = [_literal(element) for element in inner]
                return [value for value in values if _is_value(value)] or None
        if isinstance(annotation, ast.Name) and (members := self._enum(annotation.id)):
            self._enums[parameter.name] = annotation.id
            return list(members.values())
        return None

    def _enum(self, name: str) -> dict[str, Value]:
        own = self._classes.get(name)
        if own is None or not any("Enum" in ast.unparse(base) for base in own.bases):
            return {}
        members = {}
        for node in own.body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                value = _literal(node.value)
                if _is_value(value):
                    members[node.targets[0].id] = value
        return members

    def _member(self, parameter: _Parameter) -> Value | None:
        """Value of the member of an Enum that is a parameter's default."""
        if not isinstance(parameter.default, ast.Attribute):
            return None
        return self._enum(self._enums[parameter.name]).get(parameter.default.attr)

    def _adapted(self, drafts: list[Draft], call: str, names: list[str], takes_trial: bool) -> Target:
        """Target behind a file of its own, which takes a configuration and calls the function with its values."""
        stem, function = self._path.stem, self._function.name
        if not stem.isidentifier():
            raise StudyError(f"{self._path}: a file whose name cannot be imported must take a configuration as a dict")
        own = {name: enum for name, enum in self._enums.items() if any(draft.name == name for draft in drafts)}
        values = "config"
        lines = []
        if own:
            changed = ", ".join(f'"{name}": {enum}(config["{name}"])' for name, enum in own.items())
            lines = [f"    values = {{**config, {changed}}}"]
            values = "values"
        call = call.replace("{values}", values)
        trial = ", trial" if takes_trial else ""
        called = function if function != "objective" else "tuned"
        taken = function if called == function else f"{function} as {called}"
        imported = ", ".join(sorted({taken, *names, *own.values()}))
        source = "\n".join(
            [
                f'"""Calls `{function}` of {self._path.name} with a configuration. Written by `reverie init`."""',
                "",
                f"from {stem} import {imported}",
                "",
                "",
                f"def objective(config{trial}):",
                *lines,
                f"    return {called}({call}{trial})",
                "",
            ]
        )
        adapter = self._path.with_name(f"tune_{stem}.py")
        return Target(f"{adapter}:objective", drafts, adapter, source)


def _signature(function: ast.FunctionDef) -> list[_Parameter]:
    """Parameters that can be given by name, in order."""
    own = function.args
    positional = [*own.posonlyargs, *own.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(own.defaults))
    defaults += own.defaults
    pairs = [*zip(positional, defaults, strict=True), *zip(own.kwonlyargs, own.kw_defaults, strict=True)]
    return [_Parameter(argument.arg, argument.annotation, default) for argument, default in pairs]


def _is_config(parameter: _Parameter) -> bool:
    """Whether a first parameter without a default is a configuration, by its annotation or its name."""
    if parameter.default is not None:
        return False
    annotation = "" if parameter.annotation is None else ast.unparse(parameter.annotation).strip("'\"")
    of_mapping = annotation.partition("[")[0].split(".")[-1] in _MAPPINGS
    return of_mapping or (not annotation and parameter.name.lower() in _CONFIGS)


def _keys(function: ast.FunctionDef, name: str) -> Iterator[Draft]:
    """Drafts of the keys by which a function reads its configuration: ``config["lr"]``, ``config.get("lr", 0.1)``."""
    found: dict[str, ast.expr | None] = {}
    for node in ast.walk(function):
        key, default = _read(node, name)
        if key is not None and (key not in found or default is not None):
            found[key] = default
    for key, default in sorted(found.items(), key=lambda item: item[0]):
        value = _literal(default)
        yield around(key, value) if _is_value(value) else by_name(key)


def _read(node: ast.AST, name: str) -> tuple[str | None, ast.expr | None]:
    """Key that an expression reads of a configuration, and the default beside it."""
    if isinstance(node, ast.Subscript) and _named(node.value, name) and isinstance(node.slice, ast.Constant):
        return (node.slice.value, None) if isinstance(node.slice.value, str) else (None, None)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
        key = node.args[0] if node.args and _named(node.func.value, name) else None
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            return key.value, node.args[1] if len(node.args) > 1 else None
    return None, None


def _named(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _binds(node: ast.Assign, name: str) -> bool:
    return any(_named(target, name) for target in node.targets)


def _literal(node: ast.expr | None) -> Any:
    """Value of a literal; `_NOTHING` where the expression is none."""
    try:
        return _NOTHING if node is None else ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return _NOTHING


def _is_value(value: object) -> TypeGuard[Value]:
    """Whether a parameter may have this value."""
    return isinstance(value, bool | int | float | str)


def _unquoted(annotation: ast.expr | None) -> ast.expr | None:
    """An annotation that is text, as what it means."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        try:
            return ast.parse(annotation.value, mode="eval").body
        except SyntaxError:
            return None
    return annotation


def _typed(default: Value, annotation: ast.expr | None) -> Value:
    """A default in the type that its annotation names: ``scale: float = 1``."""
    of_float = annotation is not None and ast.unparse(annotation) == "float"
    return float(default) if of_float and type(default) is int else default


def _by_annotation(parameter: _Parameter) -> Draft:
    """Draft of a parameter without a default."""
    kind = "" if parameter.annotation is None else ast.unparse(parameter.annotation)
    if kind == "bool":
        return Draft(parameter.name, {"type": "bool"})
    if kind == "str":
        return Draft(parameter.name, {"type": "constant", "value": ""}, "set the value: there is no default")
    draft = by_name(parameter.name)
    if kind == "int" and draft.table["type"] == "float":
        return Draft(parameter.name, {"type": "int", "low": 1, "high": 10}, "set the range: there is no default")
    return draft
