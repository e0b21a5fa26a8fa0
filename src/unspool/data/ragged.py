"""Sequences of a list as arrays with the same features."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from unspool.data.values import Array, FloatArray, as_floats
from unspool.errors import InputError


def float_arrays(reals: Sequence[Array]) -> tuple[list[FloatArray], np.dtype[Any]]:
    """Return sequences (T_i, F) or (T_i,) as arrays (T_i, F), and the dtype that holds all of them.

    Raises
    ------
    InputError
        If features differ.
    """
    arrays = [as_floats(array, f"sequence {i}") for i, array in enumerate(reals)]
    filled = [array for array in arrays if array.shape != (0,)]  # [] has no features to count
    features = filled[0].shape[1] if filled and filled[0].ndim == 2 else 1
    for i, array in enumerate(arrays):
        if array.ndim not in (1, 2) or 0 in array.shape[1:]:
            raise InputError(
                "Expected every sequence as (steps, features) or (steps,), "
                f"got shape {array.shape} for sequence {i}."
            )
        if array.shape != (0,) and array.size != len(array) * features:
            raise InputError(
                f"Expected sequences of {features} features like the first, got shape "
                f"{array.shape} for sequence {i}{_features_first(filled)}."
            )
    dtype = np.result_type(*{array.dtype for array in filled or arrays})
    return [array.reshape(len(array), features) for array in arrays], dtype


def _features_first(arrays: Sequence[FloatArray]) -> str:
    """Return a hint for the message, if arrays look like (features, steps)."""
    first, others = {len(array) for array in arrays}, {array.shape[1:] for array in arrays}
    if len(first) == 1 and len(others) > 1 and all(array.ndim == 2 for array in arrays):
        return "; where features come first, as (F, T), give [x.T for x in X]"
    return ""
