"""Conversion between the classes of a classifier and JSON."""

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.errors import InputError

Labels = npt.NDArray[Any]

# Python types that JSON preserves, by the kind of the NumPy dtype.
PLAIN: dict[str, type] = {"U": str, "i": int, "u": int, "b": bool, "f": float}
DTYPE = re.compile(r"[<>|]([biufU]\d{1,9}|O)")


def write_labels(classes: Labels) -> dict[str, Any]:
    """Convert classes (C,) to their dtype and a list of values, which JSON preserves.

    Raises
    ------
    InputError
        If JSON does not preserve the type of the labels.
    """
    values = [v.item() if isinstance(v, np.generic) else v for v in classes.tolist()]
    kinds = {type(value) for value in values}
    if len(kinds) > 1 or not kinds <= {*PLAIN.values()}:
        named = " and ".join(sorted(kind.__name__ for kind in kinds))
        raise InputError(
            f"Labels of type {named} cannot be written to a model file; fit on labels that are "
            "all str, all int, all bool or all float."
        )
    # The dtype of strings is as wide as the longest class.
    dtype = np.array(values).dtype if classes.dtype.kind == "U" else classes.dtype
    return {"dtype": dtype.str, "values": values}


def restore_labels(written: Any) -> Labels:
    """Convert the result of `write_labels` back to classes (C,).

    Raises
    ------
    InputError, KeyError, TypeError, ValueError
        If `written` has another form.
    """
    name, values = written["dtype"], written["values"]
    if not isinstance(name, str) or not isinstance(values, list):
        raise InputError(
            f"Expected `classes` to have a dtype and a list of values, got {name!r} and {values!r}."
        )
    try:
        dtype = np.dtype(name if DTYPE.fullmatch(name) else "none")
    except TypeError:
        raise InputError(
            f"Expected `classes` with a dtype of str, int, bool or float, got {name!r}."
        ) from None
    kinds = {type(value) for value in values}
    known = {*PLAIN.values()} if dtype.kind == "O" else {PLAIN.get(dtype.kind)}
    if len(kinds) != 1 or not kinds <= known:
        raise InputError(f"Expected `classes` of dtype {dtype.str}, got {values!r}.")
    with np.errstate(over="ignore"):  # a value that does not fit is refused below
        try:
            classes = np.array(values, None if dtype.kind == "U" else dtype)
        except OverflowError as error:
            raise InputError(f"Expected `classes` of dtype {dtype.str}: {error}.") from None
    if classes.dtype != dtype or classes.tolist() != values:
        raise InputError(f"Expected `classes` that fit the dtype {dtype.str}, got {values!r}.")
    if len(classes) < 2 or not np.array_equal(classes, np.unique(classes)):
        raise InputError(f"Expected two or more sorted `classes` without repeats, got {values!r}.")
    return classes
