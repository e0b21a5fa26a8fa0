"""From whatever a user holds to a `Sequences` or a `Windows`."""

from typing import Any

import narwhals.stable.v1 as nw
import numpy as np
import numpy.typing as npt

from unspool.data.sequences import FloatArray, Sequences, as_floats
from unspool.data.windows import Windows
from unspool.errors import InputError

Source = Sequences | Windows


def as_source(X: Any) -> Source:
    """Read `X` as sequences.

    Parameters
    ----------
    X : Sequences or Windows (taken as they are)
        or array of shape (N, T, F), or (N, T) for one feature; trailing steps that are NaN in
        every feature are padding
        or list of N arrays of shape (T_i, F) or (T_i,)
        or pandas or polars frame: a row is a sequence of one feature, as everywhere in
        scikit-learn (for a table whose rows are time steps see `Windows` and
        `sequences_from_table`).

    Raises
    ------
    InputError
        Where `X` is none of these, empty, or holds NaN or infinity in a real step.
    """
    if isinstance(X, (Sequences, Windows)):
        return X
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        return _trailing_nan_to_padding(frame_values(frame)[:, :, None])
    if isinstance(X, (list, tuple)) and _is_ragged(X):
        return Sequences.from_list(X)
    array = as_floats(X, "X")
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3:
        raise InputError(
            "Expected sequences as (N, T, F) or (N, T), a list of (T_i, F), a frame, or "
            f"Windows(series, size), got an array of shape {array.shape}; reshape your data, "
            "one series of T steps goes in as (1, T, F)."
        )
    return _trailing_nan_to_padding(array)


def as_series(series: Any) -> tuple[list[npt.NDArray[Any]], tuple[str, ...] | None]:
    """Read one series or a list of them as arrays (T_i, F) without copying; and column names."""
    if isinstance(series, (list, tuple)) and (not series or np.ndim(series[0]) > 0):
        if not series:
            raise InputError("Expected at least one series, got an empty list.")
        pairs = [as_series(one) for one in series]
        return [pair[0][0] for pair in pairs], pairs[0][1]
    frame = nw.from_native(series, allow_series=True, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        return [frame_values(frame)], tuple(frame.columns)
    array = frame.to_numpy() if isinstance(frame, nw.Series) else np.asanyarray(series)
    if array.dtype.kind not in "fiub":
        raise InputError(f"Expected real numbers in a series, got dtype {array.dtype}.")
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] == 0:
        raise InputError(
            f"Expected a series as (T,) or (T, F) with rows as steps, got shape {array.shape}."
        )
    return [array], None


def frame_values(frame: "nw.DataFrame[Any]") -> FloatArray:
    """The values of a frame, shape (rows, columns); every column must be numeric."""
    for name, dtype in frame.schema.items():
        if not (dtype.is_numeric() or dtype == nw.Boolean or dtype == nw.Object):
            raise InputError(
                f"Expected numbers in column {name!r}, got {dtype}; drop it or choose columns."
            )
    return as_floats(frame.to_numpy(), "the frame")


def _is_ragged(X: list[Any] | tuple[Any, ...]) -> bool:
    """Whether X is a list of arrays to pad, and not nested lists that make one array."""
    shapes = {np.shape(one) for one in X} if all(np.ndim(one) == 1 for one in X) else None
    if shapes is not None:
        return len(shapes) > 1
    return len(X) > 0 and all(np.ndim(one) == 2 for one in X)


def _trailing_nan_to_padding(values: FloatArray) -> Sequences:
    absent = np.isnan(values[:, -1:]).all(axis=2).any() if values.size else False
    if not absent:
        return Sequences(values)
    real = ~np.isnan(values).all(axis=2)
    steps = values.shape[1]
    lengths = np.where(real.any(axis=1), steps - real[:, ::-1].argmax(axis=1), 0)
    return Sequences(values, lengths)
