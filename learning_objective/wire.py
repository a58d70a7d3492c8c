"""Values on their way from rank to rank: as JSON that keeps their types, arrays beside it as they lie in memory.

Standard library only: the child process imports this file. Nothing is pickled, so nothing that arrives is executed.
What is no scalar, text or None stands in the JSON as a list of its kind and what it consists of:

| kind | of | consists of |
|---|---|---|
| list, tuple, set, frozenset, dict | these, and subclasses | the items; of a dict, keys and values by turns |
| complex | complex | real and imaginary part |
| bytes | bytes, bytearray | number of its part |
| array, scalar, tensor | NumPy's arrays and scalars, PyTorch's tensors | data type, shape, number of its part |
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from itertools import chain
from typing import Any, TypeAlias

Part: TypeAlias = bytes | bytearray | memoryview

_CONTAINERS: dict[str, type[Any]] = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


def pack(value: object) -> list[Part]:
    """Parts in which a value travels, the JSON first.

    Raises
    ------
    TypeError
        It holds what cannot travel.
    """
    parts: list[Part] = [b""]
    parts[0] = json.dumps(_tree(value, parts)).encode()
    return parts


def unpack(parts: Sequence[bytearray]) -> Any:
    """Value of the parts; its arrays lie in them."""
    return _value(json.loads(bytes(parts[0])), parts)


def _tree(value: Any, parts: list[Part]) -> object:
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, dict):
        return ["dict", *(_tree(item, parts) for item in chain.from_iterable(value.items()))]
    for kind, container in _CONTAINERS.items():
        if isinstance(value, container):
            return [kind, *(_tree(item, parts) for item in value)]
    if type(value) is complex:
        return ["complex", value.real, value.imag]
    if isinstance(value, bytes | bytearray):
        parts.append(value)
        return ["bytes", len(parts) - 1]
    return _numeric(value, parts)


def _numeric(value: Any, parts: list[Part]) -> list[object]:
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        kind, array = "tensor", value.detach().cpu().numpy()
    elif numpy is not None and isinstance(value, numpy.ndarray | numpy.generic):
        kind, array = "array" if isinstance(value, numpy.ndarray) else "scalar", numpy.asarray(value)
    else:
        kind, array = "", None
    if array is None or array.dtype.hasobject or array.dtype.names:
        raise TypeError(
            f"trial.comm cannot send a {type(value).__name__}: only None, numbers, text, bytes, lists, tuples, sets, "
            "dicts, and arrays and tensors of numbers"
        )
    flat = memoryview(array.reshape(-1, order="C").view("u1"))
    parts.append(flat)
    return [kind, array.dtype.str, list(array.shape), len(parts) - 1]


def _value(tree: Any, parts: Sequence[bytearray]) -> Any:
    if not isinstance(tree, list):
        return tree
    kind, *rest = tree
    match kind:
        case "list" | "tuple" | "set" | "frozenset":
            return _CONTAINERS[kind](_value(item, parts) for item in rest)
        case "dict":
            keys, values = rest[::2], rest[1::2]
            return {_value(key, parts): _value(item, parts) for key, item in zip(keys, values, strict=True)}
        case "complex":
            return complex(*rest)
        case "bytes":
            return bytes(parts[rest[0]])
    import numpy as np  # here, for only what holds arrays needs it

    dtype, shape, number = rest
    array: Any = np.ndarray(shape, dtype, buffer=parts[number])
    if kind != "tensor":
        return array[()] if kind == "scalar" else array
    import torch

    return torch.from_numpy(array)
