"""From whatever a user holds to a `Sequences` or a `Windows`."""

from typing import Any

import numpy as np

from unspool.data.frames import as_frame, frame_values
from unspool.data.sequences import FloatArray, Sequences, as_floats
from unspool.data.windows import Windows
from unspool.errors import InputError

Source = Sequences | Windows


def as_source(X: Any) -> Source:
    """Read `X` as sequences.

    Parameters
    ----------
    X : Sequences or Windows (taken as they are)
        or array of shape (N, T, F), or (N, T) for one feature
        or list of N arrays of shape (T_i, F) or (T_i,)
        or pandas or polars frame: a row is a sequence of one feature, as everywhere in
        scikit-learn (for a table whose rows are time steps see `Windows` and
        `sequences_from_table`).

        Steps at the end of a sequence that are NaN in every feature are padding.

    Raises
    ------
    InputError
        Where `X` is none of these, empty, or holds NaN or infinity in a real step.
    """
    if isinstance(X, (Sequences, Windows)):
        return X
    if isinstance(X, (list, tuple)) and _is_ragged(X):
        return Sequences.from_list(X)
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1 and len(X):
        return Sequences.from_list(list(X))
    frame = as_frame(X)
    array = as_floats(X, "X") if frame is None else frame_values(frame)
    if array.shape[:1] == (0,):
        raise InputError(f"Expected at least one sequence, got none (shape {array.shape}).")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3:
        raise InputError(
            "Expected sequences as (N, T, F) or (N, T), a list of (T_i, F), a frame, or "
            f"Windows(series, size), got an array of shape {array.shape}; reshape your data, "
            "one series of T steps goes in as (1, T, F)."
        )
    return Sequences(array)


def whole_rows(source: Source) -> FloatArray:
    """Values (N, T, F) of rows or images, where NaN at the end of one is no padding."""
    assert isinstance(source, Sequences)
    cut = np.flatnonzero(source.lengths < source.values.shape[1])
    if len(cut):
        raise InputError(
            f"Row {cut[0]} ends in NaN, and all values of a row have to be known here; fill or "
            "drop such rows."
        )
    return source.values


def _is_ragged(X: list[Any] | tuple[Any, ...]) -> bool:
    """Whether X is a list to pad, and not one that makes an array as it is."""
    try:
        shapes = {np.shape(one) for one in X}
    except ValueError:  # nested lists that are ragged further inside
        return True
    return len(shapes) > 1
