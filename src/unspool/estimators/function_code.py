"""Whether a function is the same as in another process: its name, its code and its values."""

import zlib
from functools import partial
from types import CodeType
from typing import Any

import numpy as np
import torch

PLAIN = (bool, int, float, complex, str, bytes, type(None))  # their text says what they are
MAX_DEPTH = 3  # functions within values of functions
MAX_NESTING = 20  # lists and objects within each other, which may contain themselves


def qualified_name(function: Any) -> str:
    """Return the module and the name of a function, or of the class of another callable."""
    if isinstance(function, partial):
        return qualified_name(function.func)
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def code_checksum(function: Any) -> int:
    """Return a checksum of what a function computes, as far as it is known.

    It covers the compiled code, so that comments and the place in a file do not matter, plain
    defaults and values of enclosing functions, and the arguments of `functools.partial`. Of another
    callable it covers `__call__` and plain attributes. Plain values are numbers, texts, arrays and
    tensors, also in lists and dicts. Functions that are called are covered by their names only.
    """
    return zlib.crc32(repr(_described(function)).encode("utf-8", "surrogatepass"))


def _described(value: Any, depth: int = 0, nesting: int = 0) -> Any:
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy()
    if isinstance(value, (np.generic, np.ndarray)) and not value.dtype.hasobject:
        return [value.dtype.str, value.shape, zlib.crc32(value.tobytes())]
    if nesting > MAX_NESTING:
        return type(value).__qualname__

    def parts(*values: Any, deeper: int = 0) -> list[Any]:
        return [_described(one, depth + deeper, nesting + 1) for one in values]

    if isinstance(value, (tuple, list)):
        return parts(*value)
    if isinstance(value, dict):
        return [*map(str, value), *parts(*value.values())]
    if isinstance(value, (set, frozenset)):
        return sorted(map(repr, parts(*value)))
    if isinstance(value, CodeType):
        return [value.co_code.hex(), value.co_names, *parts(value.co_consts)]
    if isinstance(value, partial):
        return parts(value.func, value.args, value.keywords)
    value = getattr(value, "__func__", value)  # of a method
    code = getattr(value, "__code__", None)
    if depth < MAX_DEPTH and code is not None:
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        given = value.__defaults__, value.__kwdefaults__, cells
        return [*parts(code), *parts(*given, deeper=1)]
    if depth < MAX_DEPTH and callable(value) and not isinstance(value, type):
        return parts(type(value).__call__, getattr(value, "__dict__", {}), deeper=1)
    return type(value).__qualname__


def _is_filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
