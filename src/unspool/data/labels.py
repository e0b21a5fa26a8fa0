"""Labels of sequences, none of them missing."""

from typing import Any

import numpy as np

from unspool.data.values import Array, as_array
from unspool.errors import InputError


def known_labels(y: Any) -> Array:
    """Return labels `y` as an array of any dtype.

    Raises
    ------
    InputError
        If a label is missing: masked, NaN, NaT, None or pandas.NA.
    """
    if np.ma.is_masked(y):
        _refuse(np.ma.getmaskarray(y))
    labels = as_array(y, "`y`")
    if labels.dtype == object:
        _refuse(np.array([_is_missing(label) for label in labels.ravel()]).reshape(labels.shape))
    elif labels.dtype.kind in "fcmM":
        _refuse(np.isnat(labels) if labels.dtype.kind in "mM" else np.isnan(labels))
    return labels


def labels_like(y: Any, classes: Array) -> Array:
    """Return labels (N,) that can be compared with `classes`.

    Raises
    ------
    InputError
        If a label is missing, or only one of labels and classes are numbers.
    """
    labels = known_labels(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    numbers = [np.asarray(one.tolist()).dtype.kind in "iufb" for one in (labels, classes)]
    if labels.size and numbers[0] != numbers[1]:
        raise InputError(
            f"Expected labels `y` like {classes.tolist()[0]!r}, as in `fit`, got labels like "
            f"{labels.ravel().tolist()[0]!r}."
        )
    return labels


def _is_missing(label: Any) -> bool:
    if label is None or type(label).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(label, (float, np.floating)) and bool(np.isnan(label))


def _refuse(missing: Array) -> None:
    if missing.any():
        first = int(np.argwhere(np.atleast_1d(missing))[0][0])
        raise InputError(
            "Expected a label in `y` for every sequence, but it contains NaN or another missing "
            f"value for sequence {first}; leave such sequences out."
        )
