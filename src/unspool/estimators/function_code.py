"""Whether a function is the same as in another process: its name, its code and its values."""

import zlib
from functools import partial
from types import CodeType
from typing import Any

PLAIN = (bool, int, float, complex, str, bytes, type(None))  # their text says what they are
MAX_DEPTH = 3  # functions within values of functions


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
    callable it covers `__call__` and plain attributes. Functions that are called are covered by
    their names only.
    """
    return zlib.crc32(repr(_described(function)).encode("utf-8", "surrogatepass"))


def _described(value: Any, depth: int = 0) -> Any:
    if isinstance(value, PLAIN):
        return value
    if isinstance(value, (tuple, list)):
        return [_described(one, depth) for one in value]
    if isinstance(value, dict):
        return [(str(name), _described(one, depth)) for name, one in value.items()]
    if isinstance(value, frozenset):
        return sorted(repr(_described(one, depth)) for one in value)
    if isinstance(value, CodeType):
        return [value.co_code.hex(), value.co_names, _described(value.co_consts, depth)]
    if isinstance(value, partial):
        return [_described(one, depth) for one in (value.func, value.args, value.keywords)]
    value = getattr(value, "__func__", value)  # of a method
    code = getattr(value, "__code__", None)
    if depth < MAX_DEPTH and code is not None:
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        given = value.__defaults__, value.__kwdefaults__, cells
        return [_described(code), _described(given, depth + 1)]
    if depth < MAX_DEPTH and callable(value) and not isinstance(value, type):
        parts = type(value).__call__, getattr(value, "__dict__", {})
        return [_described(one, depth + 1) for one in parts]
    return type(value).__qualname__


def _is_filled(cell: Any) -> bool:
    try:
        _ = cell.cell_contents
    except ValueError:
        return False
    return True
