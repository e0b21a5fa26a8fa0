"""The labels of a classifier, written to a model file and read back."""

from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.errors import InputError

Labels = npt.NDArray[Any]

# What JSON gives back as it was, by the kind of NumPy's dtypes.
PLAIN: dict[str, type] = {"U": str, "i": int, "u": int, "b": bool, "f": float}


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
    return {"dtype": classes.dtype.str, "values": values}


def restore_labels(written: Any) -> Labels:
    """The classes that `write_labels` wrote.

    Raises
    ------
    InputError, KeyError, TypeError, ValueError
        Where that is not what they are.
    """
    dtype, values = np.dtype(written["dtype"]), written["values"]
    kinds = {type(value) for value in values}
    known = {*PLAIN.values()} if dtype.kind == "O" else {PLAIN.get(dtype.kind)}
    if len(kinds) != 1 or not kinds <= known:
        raise InputError(f"Expected the names of classes as {dtype.str}, got {values!r}.")
    try:
        classes = np.array(values, str if dtype.kind == "U" else dtype)  # as wide as they are
    except OverflowError as error:
        raise InputError(f"Expected the names of classes as {dtype.str}: {error}.") from None
    if len(classes) < 2 or not np.array_equal(classes, np.unique(classes)):
        raise InputError(f"Expected two classes or more, each once and sorted, got {values!r}.")
    return classes
