"""From whatever a user holds to a `Sequences` or a `Windows`."""

from typing import Any

import narwhals.stable.v1 as nw
import numpy as np
import numpy.typing as npt

from unspool.data.sequences import FloatArray, Sequences, as_floats, as_reals
from unspool.data.windows import Windows, holds_series
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
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    array = frame_values(frame) if isinstance(frame, nw.DataFrame) else as_floats(X, "X")
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


def as_series(series: Any) -> tuple[list[npt.NDArray[Any]], tuple[str, ...] | None]:
    """Read one series or a list of them as arrays (T_i, F) without copying; and column names."""
    if not holds_series(series):
        array, names = _one_series(series, "a series")
        return [array], names
    if not series:
        raise InputError("Expected at least one series, got an empty list.")
    arrays, names_of = zip(
        *[_one_series(one, f"series {i}") for i, one in enumerate(series)], strict=True
    )
    for i, names in enumerate(names_of):
        if names != names_of[0]:
            raise InputError(
                f"Expected the columns {names_of[0]} of the first series in every one, "
                f"got {names} in series {i}."
            )
    return list(arrays), names_of[0]


def frame_values(frame: "nw.DataFrame[Any]") -> FloatArray:
    """The values of a frame, shape (rows, columns); every column must be numeric."""
    for name, dtype in frame.schema.items():
        if not (dtype.is_numeric() or dtype == nw.Boolean or dtype == nw.Object):
            raise InputError(
                f"Expected numbers in column {name!r}, got {dtype}; drop it or choose columns."
            )
    return as_floats(frame.to_numpy(), "the frame")


def _one_series(series: Any, what: str) -> tuple[npt.NDArray[Any], tuple[str, ...] | None]:
    if not isinstance(series, np.ndarray):
        series = nw.from_native(series, allow_series=True, eager_only=True, pass_through=True)
    if isinstance(series, nw.DataFrame):
        return frame_values(series), tuple(series.columns)
    array = as_reals(series.to_numpy() if isinstance(series, nw.Series) else series, what)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] == 0:
        raise InputError(
            f"Expected {what} as (T,) or (T, F) with rows as steps, got shape {array.shape}."
        )
    return array, None


def _is_ragged(X: list[Any] | tuple[Any, ...]) -> bool:
    """Whether X is a list to pad, and not one that makes an array as it is."""
    try:
        shapes = {np.shape(one) for one in X}
    except ValueError:  # nested lists that are ragged further inside
        return True
    return len(shapes) > 1
