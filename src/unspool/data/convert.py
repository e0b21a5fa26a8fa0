"""From whatever a user holds to a `Sequences` or a `Windows`.

`plain` converts what a user holds to an array, or to `Sequences` if it says that it holds
sequences of unequal length; `as_sequences` converts both to `Sequences`. Models read `X` through
`forms`, which starts from `plain` too.
"""

from typing import Any

from unspool.data.frames import (
    check_axis_of_time,
    check_order_of_time,
    check_rows_are_sequences,
    frame_values,
    is_frame,
    labels_of,
    names_of,
    series_inside,
    series_of_cells,
)
from unspool.data.not_arrays import is_array_like
from unspool.data.sequences import FloatArray, Sequences, as_floats
from unspool.data.series import holds_series
from unspool.data.values import as_array
from unspool.data.windows import Windows
from unspool.errors import InputError

Source = Sequences | Windows


def as_sequences(X: Any) -> Source:
    """Read `X` as sequences.

    Parameters
    ----------
    X : Sequences or Windows (taken as they are)
        or array of shape (N, T, F), or (N, T) for one feature
        or list of N arrays or frames of shape (T_i, F) or (T_i,)
        or pandas frame with the index (instance, time): every instance is a sequence
        or frame whose cells hold series: every row is a sequence, every column a feature
        or another frame of pandas, polars or Arrow: a row is a sequence of one feature, as
        everywhere in scikit-learn (for a table whose rows are time steps see `Windows` and
        `sequences_from_table`).

        Steps at the end of a sequence that are NaN in every feature are padding. Masked values
        count as NaN. Where scikit-learn is to split a frame of several series, read it with this
        function first: it splits rows, and so would cut instances apart.

    Raises
    ------
    InputError
        Where `X` is none of these, empty, or holds NaN or infinity in a real step.
    """
    values = plain(X)
    if isinstance(values, (Sequences, Windows)):
        return values
    if values.ndim == 2:
        check_rows_are_sequences(X)
        values = values[:, :, None]
    if values.ndim != 3:
        raise _of_other_shape(values.shape)
    return Sequences(values)


def plain(X: Any) -> Source | FloatArray:
    """The numbers of `X` as an array of two axes or more, or as `Sequences` or `Windows`.

    Raises
    ------
    InputError
        Where there is no array of numbers in `X`, or an empty one.
    """
    if isinstance(X, (Sequences, Windows)):
        return X
    if isinstance(X, (list, tuple)) and is_array_like(X):
        if _is_padded(X):
            return Sequences.from_list(X)
        for i, one in enumerate(X):
            check_order_of_time(getattr(one, "index", None), f"sequence {i}")
        values = as_floats(X, "X")
    elif is_frame(X) or getattr(getattr(X, "index", None), "nlevels", 1) > 1:
        labels = labels_of(X) if is_frame(X) else None
        inside = series_inside(X)
        if inside is not None:
            return Sequences.from_list(inside, names_of(labels))
        values = as_floats(frame_values(X), "the frame")
    else:
        cells = as_array(X, "X")
        if holds_series(cells):
            return Sequences.from_list(list(cells))
        inside = series_of_cells(cells) if cells.ndim == 2 and cells.dtype == object else None
        if inside is not None:
            return Sequences.from_list(inside)
        values = as_floats(cells, "X")
        if values.ndim > 2:
            check_axis_of_time(X, 1)
    if values.shape[:1] == (0,):
        raise InputError(f"Expected at least one sequence, got none (shape {values.shape}).")
    if values.ndim < 2:
        raise _of_other_shape(values.shape)
    return values


def check_more_than_a_step(values: FloatArray) -> None:
    """Refuse a table (N, 1), which is more likely to be one series than N sequences of one step."""
    n, steps = values.shape
    if steps == 1 < n:
        raise InputError(
            f"Expected sequences of more than one step, got shape ({n}, 1), which is {n} sequences "
            f"of one step (n_features = 1); one series of {n} steps goes in as [X] (X[None] for an "
            "array), or is cut by Windows(X, size), and sequences of one step go in as "
            "numpy.asarray(X)[:, None]."
        )


def check_has_columns(values: FloatArray) -> None:
    """Refuse a table without a column."""
    if values.shape[1] == 0:
        raise InputError(
            f"Expected values in every row, but there are 0 feature(s) (shape={values.shape}) "
            "while a minimum of 1 is required."
        )


def _of_other_shape(shape: tuple[int, ...]) -> InputError:
    message = (
        "Expected sequences as (N, T, F) or (N, T), a list of (T_i, F), a frame, or "
        f"Windows(series, size), got an array of shape {shape}. Reshape your data: "
    )
    if len(shape) == 1:
        return InputError(
            f"{message}one series of {shape[0]} steps goes in as [X] (X[None] for an array), or is "
            "cut by Windows(X, size)."
        )
    return InputError(f"{message}one series of T steps goes in as (1, T, F).")


def _is_padded(X: list[Any] | tuple[Any, ...]) -> bool:
    """Whether X is a list to pad, and not one that makes an array as it is."""
    if any(is_frame(one) for one in X):
        return True
    try:
        return len({_shape(one) for one in X}) > 1
    except InputError:  # nested lists that are ragged further inside
        return True


def _shape(one: Any) -> tuple[int, ...]:
    if isinstance(one, (int, float)):
        return ()
    return tuple(one.shape if hasattr(one, "shape") else as_array(one, "X").shape)
