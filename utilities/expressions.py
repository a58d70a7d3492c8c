"""Expressions over parameters: read with Python's grammar, evaluated by an interpreter of their own, never by Python.

An expression becomes a tree of functions of arrays, of one element a configuration. All numbers are floats, and the
length of a text and the number of its parts are limited, so that none takes long or much memory, whatever it says.

Numbers that differ by less than `CLOSE` of the larger count as equal, so that ``a + b <= 0.3`` holds for 0.1 and 0.2.
What has no value, as a division by zero or the logarithm of a negative number, is no number: a comparison with it is
false, ``!=`` alone is true.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from utilities.choices import BoolParameter, CategoricalParameter, ConstantParameter, OrdinalParameter
from utilities.errors import StudyError, nearest, quoted
from utilities.parameters import Parameter
from utilities.trial import Value

LONGEST, MOST_PARTS = 1000, 150
"""Most characters of an expression, and most parts: names, numbers, operators."""

CLOSE = 1e-9

Values: TypeAlias = Mapping[str, NDArray[Any]]
"""Values (m,) of each parameter: floats, booleans, or the index of its choice; see `code`."""

_Function: TypeAlias = Callable[[Values], NDArray[Any]]
_Test: TypeAlias = Callable[[Any, Any], NDArray[Any]]
_Choice: TypeAlias = CategoricalParameter | OrdinalParameter


@dataclass(frozen=True)
class _Term:
    """A part of an expression.

    Attributes
    ----------
    kind
        Of its value: a number, a truth value, one of some choices, or text written out.
    run
        Gives the value.
    parameter
        Whose choices those are.
    literal
        The value where it is written out.
    """

    kind: Literal["number", "truth", "choice", "text"]
    run: _Function
    parameter: _Choice | None = None
    literal: Value | None = None


@dataclass(frozen=True)
class Expression:
    """A condition on the values of parameters.

    Attributes
    ----------
    text
        As written.
    names
        The parameters in it.
    """

    text: str
    names: tuple[str, ...]
    _run: _Function = field(repr=False)

    def holds(self, values: Values) -> NDArray[np.bool_]:
        """Whether it is true (m,) for `values` of its parameters."""
        with np.errstate(all="ignore"):
            return np.asarray(self._run(values), dtype=bool)


def by_index(parameter: Parameter) -> bool:
    """Whether an expression takes the index of a parameter's choice for its value: where not all are numbers."""
    if not isinstance(parameter, CategoricalParameter | OrdinalParameter):
        return False
    return not all(isinstance(choice, int | float) and not isinstance(choice, bool) for choice in parameter.options)


def read_expression(text: str, parameters: Mapping[str, Parameter], where: str) -> Expression:
    """Read an expression over `parameters`.

    Parameters
    ----------
    text
        Names of parameters, numbers, text in quotes, True and False, ``+ - * / // % **``, comparisons and chains of
        them, ``in`` and ``not in`` with a list, ``and``, ``or``, ``not``, abs, min, max, log, exp, sqrt.
    where
        Start of an error message, like ``constraints[0]``.

    Raises
    ------
    StudyError
        No such expression, an unknown parameter, what cannot be compared: the part and its place, counted from 1.
    """
    return _Reader(text, parameters, where).read()


class _Reader:
    def __init__(self, text: str, parameters: Mapping[str, Parameter], where: str) -> None:
        self._text, self._parameters, self._where = text, parameters, where
        self._names: dict[str, None] = {}

    def read(self) -> Expression:
        body = self._parse()
        term = self._term(body)
        if term.kind != "truth":
            raise self._error(body, "must be true or false, such as a comparison")
        if not self._names:
            raise self._error(body, "must name a parameter")
        return Expression(self._text, tuple(self._names), term.run)

    def _parse(self) -> ast.expr:
        if not isinstance(self._text, str):
            raise StudyError(f"{self._where} must be text; got {quoted(self._text)}")
        if len(self._text) > LONGEST:
            raise StudyError(f"{self._where} must have at most {LONGEST:,} characters; got {len(self._text):,}")
        try:
            with warnings.catch_warnings():
                for kind in (SyntaxWarning, DeprecationWarning):  # what the parser itself warns of
                    warnings.simplefilter("error", kind)
                body = ast.parse(self._text.strip(), mode="eval").body
        except SyntaxError as error:
            place = "" if error.offset is None else f" (at character {error.offset})"
            raise StudyError(f"{self._where} is no expression: {error.msg}{place}; got {quoted(self._text)}") from None
        except (RecursionError, MemoryError, ValueError, SyntaxWarning, DeprecationWarning):
            raise StudyError(f"{self._where} is no expression that can be read; got {quoted(self._text)}") from None
        if sum(1 for _ in ast.walk(body)) > 2 * MOST_PARTS:  # a name and a load of it are two
            raise StudyError(f"{self._where} must have at most {MOST_PARTS} parts; got {quoted(self._text)}")
        return body

    def _error(self, node: ast.AST, rule: str) -> StudyError:
        text = self._text.strip()
        offset = getattr(node, "col_offset", 0)
        place = len(text.encode()[:offset].decode(errors="ignore")) + 1
        part = ast.get_source_segment(text, node) or text
        return StudyError(f"{self._where} {quoted(text)}: {quoted(part)} (at character {place}) {rule}")

    # --- parts ------------------------------------------------------------------------------------------------------

    def _term(self, node: ast.expr) -> _Term:
        match node:
            case ast.Constant(value=bool() | int() | float() | str() as value):
                return self._literal(node, value)
            case ast.Name(id=name):
                return self._parameter(node, name)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                run = self._truth(operand)
                return _Term("truth", lambda values: ~run(values))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                run = self._number(operand)
                return self._folded(operand, -1.0, lambda values: -run(values))
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return self._folded(operand, 1.0, self._number(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                first, second, apply = self._number(left), self._number(right), _ARITHMETIC[type(op)]
                return _Term("number", lambda values: apply(first(values), second(values)))
            case ast.BoolOp(op=op, values=operands):
                parts = [self._truth(operand) for operand in operands]
                join = np.logical_and if isinstance(op, ast.And) else np.logical_or
                return _Term("truth", lambda values: reduce(join, (part(values) for part in parts)))
            case ast.Compare(left=left, ops=ops, comparators=rights):
                return self._chain([left, *rights], ops)
            case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]) if name in _FUNCTIONS:
                return self._call(node, name, arguments)
            case _:
                known = ", ".join(_FUNCTIONS)
                rule = f"is not allowed: names of parameters, numbers, text, operators, comparisons, {known} are"
                raise self._error(node, rule)

    def _literal(self, node: ast.AST, value: Value) -> _Term:
        if isinstance(value, str):
            return _Term("text", lambda _: np.asarray(value), literal=value)
        if isinstance(value, bool):
            return _Term("truth", lambda _: np.asarray(value), literal=value)
        try:
            number = float(value)
        except OverflowError:
            raise self._error(node, "must be below 1e308 in size") from None
        return _Term("number", lambda _: np.asarray(number), literal=value)

    def _folded(self, operand: ast.expr, sign: float, run: _Function) -> _Term:
        """A number with its sign, written out where the number is."""
        literal = operand.value if isinstance(operand, ast.Constant) else None
        return _Term("number", run, literal=sign * literal if isinstance(literal, int | float) else None)

    def _parameter(self, node: ast.AST, name: str) -> _Term:
        if name not in self._parameters:
            raise self._error(node, f"is not a parameter.{nearest(name, self._parameters)}")
        self._names[name] = None
        parameter = self._parameters[name]
        if isinstance(parameter, ConstantParameter):
            return self._literal(node, parameter.value)
        if isinstance(parameter, BoolParameter):
            return _Term("truth", lambda values: values[name])
        if isinstance(parameter, CategoricalParameter | OrdinalParameter) and by_index(parameter):
            return _Term("choice", lambda values: values[name], parameter)
        return _Term("number", lambda values: values[name])

    def _call(self, node: ast.expr, name: str, arguments: list[ast.expr]) -> _Term:
        apply, least, most = _FUNCTIONS[name]
        if not least <= len(arguments) <= most:
            raise self._error(node, f"needs {'at least two arguments' if most > 1 else 'one argument'}")
        parts = [self._number(argument) for argument in arguments]
        if most > 1:
            return _Term("number", lambda values: reduce(apply, (part(values) for part in parts)))
        return _Term("number", lambda values: apply(parts[0](values)))

    def _number(self, node: ast.expr) -> _Function:
        return self._as_number(node, self._term(node))

    def _as_number(self, node: ast.expr, term: _Term) -> _Function:
        if term.kind not in ("number", "truth"):
            raise self._error(node, "must be a number")
        run = term.run
        return lambda values: np.asarray(run(values), dtype=np.float64)

    def _truth(self, node: ast.expr) -> _Function:
        term = self._term(node)
        if term.kind != "truth":
            raise self._error(node, "must be true or false, such as a comparison")
        return term.run

    # --- comparisons ------------------------------------------------------------------------------------------------

    def _chain(self, nodes: Sequence[ast.expr], ops: Sequence[ast.cmpop]) -> _Term:
        """Comparisons of neighbours, all of which must hold; each operand is evaluated once."""
        terms: list[_Term | list[_Term]] = [
            [self._term(element) for element in self._elements(node)]
            if i and isinstance(ops[i - 1], ast.In | ast.NotIn)
            else self._term(node)
            for i, node in enumerate(nodes)
        ]
        tests = [self._test(nodes[i], terms[i], op, nodes[i + 1], terms[i + 1]) for i, op in enumerate(ops)]

        def run(values: Values) -> NDArray[Any]:
            found = [[t.run(values) for t in term] if isinstance(term, list) else term.run(values) for term in terms]
            return np.asarray(reduce(np.logical_and, (test(found[i], found[i + 1]) for i, test in enumerate(tests))))

        return _Term("truth", run)

    def _elements(self, node: ast.expr) -> list[ast.expr]:
        if not isinstance(node, ast.List | ast.Tuple | ast.Set) or not node.elts:
            raise self._error(node, "must be a list that is not empty, such as [1, 2]")
        return node.elts

    def _test(
        self, left: ast.expr, first: _Term | list[_Term], op: ast.cmpop, right: ast.expr, second: _Term | list[_Term]
    ) -> _Test:
        """Test of the values of two operands, the second a list of several after ``in``."""
        if isinstance(first, list):
            raise self._error(left, "is a list, after which nothing can be compared")
        if isinstance(second, list):
            equal = [
                self._compared(left, first, ast.Eq(), node, term)
                for node, term in zip(self._elements(right), second, strict=True)
            ]

            def among(a: Any, b: Any) -> NDArray[Any]:
                return np.asarray(reduce(np.logical_or, (test(a, e) for test, e in zip(equal, b, strict=True))))

            return among if isinstance(op, ast.In) else lambda a, b: ~among(a, b)
        return self._compared(left, first, op, right, second)

    def _compared(self, left: ast.expr, first: _Term, op: ast.cmpop, right: ast.expr, second: _Term) -> _Test:
        if type(op) not in _COMPARISONS:
            raise self._error(right, "must be compared by == or !=, not by is")
        if {first.kind, second.kind} <= {"number", "truth"}:
            compare = _COMPARISONS[type(op)]
            return lambda a, b: compare(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))
        if isinstance(op, ast.Eq | ast.NotEq):
            same = self._same(left, first, right, second)
            return same if isinstance(op, ast.Eq) else lambda a, b: ~same(a, b)
        return self._by_order(left, first, op, right, second)

    def _same(self, left: ast.expr, first: _Term, right: ast.expr, second: _Term) -> _Test:
        """Whether a choice is another choice or a value written out."""
        if first.parameter is not None and second.literal is not None:
            wanted = self._indices(first.parameter, left, right, second.literal)
            return lambda a, _: np.isin(a, wanted)
        if second.parameter is not None and first.literal is not None:
            wanted = self._indices(second.parameter, right, left, first.literal)
            return lambda _, b: np.isin(b, wanted)
        if first.parameter is None or second.parameter is None:
            raise self._error(right, "cannot be compared with the other side, which is of another kind")
        table = np.array([[mine == its for its in second.parameter.options] for mine in first.parameter.options])
        return lambda a, b: np.asarray(table[a, b])

    def _indices(self, parameter: _Choice, left: ast.expr, right: ast.expr, literal: Value) -> list[int]:
        wanted = [index for index, choice in enumerate(parameter.options) if choice == literal]
        if not wanted:
            name = ast.unparse(left)
            hint = nearest(str(literal), map(str, parameter.options))
            raise self._error(right, f"is not a choice of {name}, {quoted(list(parameter.options))}.{hint}")
        return wanted

    def _by_order(self, left: ast.expr, first: _Term, op: ast.cmpop, right: ast.expr, second: _Term) -> _Test:
        """Compare choices by their order, where they are of one ordinal."""
        ranks: list[int | None] = []
        for node, term, other, away in ((left, first, second, right), (right, second, first, left)):
            if isinstance(term.parameter, OrdinalParameter):
                ranks.append(None)
            elif term.literal is not None and isinstance(other.parameter, OrdinalParameter):
                ranks.append(self._indices(other.parameter, away, node, term.literal)[0])
            else:
                raise self._error(node, "has no order; only numbers and the choices of an ordinal have")
        if first.parameter and second.parameter and list(first.parameter.options) != list(second.parameter.options):
            raise self._error(right, "has other choices, so the two have no common order")
        compare, (one, another) = _COMPARISONS[type(op)], ranks
        return lambda a, b: compare(a if one is None else one, b if another is None else another)


# --- operators --------------------------------------------------------------------------------------------------------


def _divided(apply: Callable[..., Any]) -> Callable[[Any, Any], NDArray[Any]]:
    return lambda a, b: np.where(b == 0.0, np.nan, apply(a, np.where(b == 0.0, np.nan, b)))


def _close(a: Any, b: Any) -> NDArray[np.bool_]:
    return np.asarray((a == b) | (np.abs(a - b) < CLOSE * np.maximum(np.abs(a), np.abs(b))))


def _logarithm(a: Any) -> NDArray[Any]:
    return np.log(np.where(a > 0.0, a, np.nan))


_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], NDArray[Any]]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: _divided(np.divide),
    ast.FloorDiv: _divided(np.floor_divide),
    ast.Mod: _divided(np.mod),
    ast.Pow: np.power,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], NDArray[Any]]] = {
    ast.Eq: _close,
    ast.NotEq: lambda a, b: ~_close(a, b),
    ast.Lt: lambda a, b: (a < b) & ~_close(a, b),
    ast.LtE: lambda a, b: (a < b) | _close(a, b),
    ast.Gt: lambda a, b: (a > b) & ~_close(a, b),
    ast.GtE: lambda a, b: (a > b) | _close(a, b),
}
_MANY = 1000
_FUNCTIONS: dict[str, tuple[Callable[..., Any], int, int]] = {
    "abs": (np.abs, 1, 1),
    "min": (np.minimum, 2, _MANY),
    "max": (np.maximum, 2, _MANY),
    "log": (_logarithm, 1, 1),
    "exp": (np.exp, 1, 1),
    "sqrt": (np.sqrt, 1, 1),
}
