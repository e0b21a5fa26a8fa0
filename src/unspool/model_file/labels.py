"""The labels of a classifier, written to a model file and read back."""

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.errors import InputError

Labels = npt.NDArray[Any]

# What JSON gives back as it was, by the kind of NumPy's dtypes.
PLAIN: dict[str, type] = {"U": str, "i": int, "u": int, "b": bool, "f": float}
DTYPE = re.compile(r"[<>|]([biufU]\d{1,9}|O)")


def write_labels(classes: Labels) -> dict[str, Any]:
    """The classes as JSON has them: their dtype, and their values.

    Raises
    ------
    InputError
        For types that would not come back as they were.
    """
    values = [v.item() if isinstance(v, np.generic) else v for v in classes.tolist()]
    kinds = {type(value) for value in values}
    if len(kinds) > 1 or not kinds <= {*PLAIN.values()}:
        named = " and ".join(sorted(kind.__name__ for kind in kinds))
        raise InputError(
            f"Labels of type {named} cannot be written to a model file; fit on labels that are "
            "all str, int, bool or float, or numbers of NumPy's."
        )
    dtype = np.array(values).dtype if classes.dtype.kind == "U" else classes.dtype
    return {"dtype": dtype.str, "values": values}  # strings no wider than they are


def restore_labels(written: Any) -> Labels:
    """The classes that `write_labels` wrote.

    Raises
    ------
    InputError, KeyError, TypeError, ValueError
        Where that is not what they are.
    """
    name, values = written["dtype"], written["values"]
    if not isinstance(name, str) or not isinstance(values, list):
        raise InputError(f"Expected a dtype and a list of classes, got {name!r} and {values!r}.")
    try:
        dtype = np.dtype(name if DTYPE.fullmatch(name) else "none")
    except TypeError:
        raise InputError(
            f"Expected the dtype of classes that are str, int, bool or float, got {name!r}."
        ) from None
    kinds = {type(value) for value in values}
    known = {*PLAIN.values()} if dtype.kind == "O" else {PLAIN.get(dtype.kind)}
    if len(kinds) != 1 or not kinds <= known:
        raise InputError(f"Expected the names of classes as {dtype.str}, got {values!r}.")
    with np.errstate(over="ignore"):  # what does not come back as it was is told below
        try:
            classes = np.array(values, None if dtype.kind == "U" else dtype)
        except OverflowError as error:
            raise InputError(f"Expected the names of classes as {dtype.str}: {error}.") from None
    if classes.dtype != dtype or classes.tolist() != values:
        raise InputError(f"Expected names of classes that fit {dtype.str}, got {values!r}.")
    if len(classes) < 2 or not np.array_equal(classes, np.unique(classes)):
        raise InputError(f"Expected two classes or more, each once and sorted, got {values!r}.")
    return classes
