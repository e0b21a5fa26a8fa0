"""Convert arrays, lists and frames to `Sequences`.

`plain` converts data to one array, or to `Sequences` if sequences may differ in length;
`as_sequences` converts both to `Sequences`. Models read `X` through `forms`, which also starts
with `plain`.
"""

from typing import Any

from unspool import _checks
from unspool._types import Missing, names
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
from unspool.data.sequences import Sequences, as_floats
from unspool.data.series import holds_series
from unspool.data.stored import Stored, Values, as_stored, stored_together
from unspool.data.stored_items import Items
from unspool.data.values import as_array
from unspool.data.windows import Windows
from unspool.errors import InputError

Source = Sequences | Windows


def as_sequences(X: Any, missing: Missing = "raise") -> Source:
    """Convert data to sequences.

    Every estimator does this with its ``X``. Call it yourself to check the result, or before
    scikit-learn splits a frame with the index (instance, time): scikit-learn splits rows, and
    would cut instances apart.

    Parameters
    ----------
    X : array, list, frame, Sequences or Windows
        One of:

        - array of shape (N, T, F), or (N, T) for one feature;
        - list of N arrays or frames of shape (T_i, F), or (T_i,) for one feature;
        - pandas frame with the index (instance, time): every instance is a sequence;
        - frame whose cells contain series: every row is a sequence, every column a feature;
        - another frame of pandas, polars or Arrow: every row is a sequence of one feature, as in
          scikit-learn. For a table whose rows are time steps, see `Windows` and
          `sequences_from_table`;
        - `Sequences` or `Windows`, which are returned unchanged.

        Steps at the end of a sequence that are NaN in every feature are padding. Masked values,
        None and NA of pandas and polars count as NaN.
    missing : {"raise", "mask"}, default "raise"
        Whether real steps may contain NaN, which is a missing value: raise an error, or keep it
        for models with ``missing="mask"``.

    Returns
    -------
    Sequences or Windows
        The sequences; `Windows` only if `X` is one.

    Raises
    ------
    InputError
        If `X` has none of these forms, is empty, or contains infinity in a real step, or NaN with
        ``missing="raise"``.

    See Also
    --------
    sequences_from_table : Convert a table in which a column says which series a row belongs to.
    read_file : Read a file.

    Examples
    --------
    >>> import numpy as np
    >>> from unspool import as_sequences
    >>> as_sequences([np.zeros((5, 2)), np.zeros((3, 2))])
    Sequences(2 sequences of 3 to 5 steps, 2 features)
    >>> as_sequences(np.zeros((10, 24)))
    Sequences(10 sequences of 24 steps, 1 feature)
    """
    _checks.raise_all(_checks.choice("missing", missing, names(Missing)))
    return to_sequences(X, missing)


def to_sequences(X: Any, missing: Missing) -> Source:
    """Convert `X` as `as_sequences` does."""
    values = plain(X)
    if isinstance(values, (Sequences, Windows)):
        if missing == "raise":
            values.check_complete()
        return values
    if values.ndim == 2:
        check_rows_are_sequences(X)
        values = values.reshape(*values.shape, 1)
    if values.ndim != 3:
        raise _of_other_shape(values.shape)
    return Sequences(values, missing=missing)


def plain(X: Any) -> Source | Values:
    """Convert `X` to an array with at least two axes, or to `Sequences` or `Windows`.

    Missing values are kept as NaN; `check_complete` of the sequences refuses them. An array that is
    not in memory becomes a `Stored`.

    Raises
    ------
    InputError
        If `X` cannot be converted to an array of numbers, or is empty.
    """
    if isinstance(X, (Sequences, Windows)):
        return X
    stored = as_stored(X)
    if stored is not None and (stored.ndim > 1 or isinstance(stored, Items)):
        return stored.as_floats()
    if isinstance(X, (list, tuple)) and is_array_like(X):
        if _is_padded(X) or _is_mapped_list(X):
            return Sequences.from_list(X, missing="mask")
        for i, one in enumerate(X):
            check_order_of_time(getattr(one, "index", None), f"sequence {i}")
        values = as_floats(X, "X")
    elif is_frame(X) or getattr(getattr(X, "index", None), "nlevels", 1) > 1:
        labels = labels_of(X) if is_frame(X) else None
        inside = series_inside(X)
        if inside is not None:
            return Sequences.from_list(inside, names_of(labels), "mask")
        values = as_floats(frame_values(X), "the frame")
    else:
        cells = as_array(X, "X")
        if holds_series(cells):
            return Sequences.from_list(list(cells), missing="mask")
        inside = series_of_cells(cells) if cells.ndim == 2 and cells.dtype == object else None
        if inside is not None:
            return Sequences.from_list(inside, missing="mask")
        values = as_floats(cells, "X")
        if values.ndim > 2:
            check_axis_of_time(X, 1)
    if values.shape[:1] == (0,):
        raise InputError(f"Expected at least one sequence, got none (shape {values.shape}).")
    if values.ndim < 2:
        raise _of_other_shape(values.shape)
    return values


def check_more_than_a_step(values: Values) -> None:
    """Refuse a table (N, 1), which is more likely one series than N sequences of one step."""
    n, steps = values.shape
    if steps == 1 < n:
        raise InputError(
            f"Expected sequences of more than one step, got shape ({n}, 1), which is {n} sequences "
            f"of one step (n_features = 1). Give one series of {n} steps as [X] (X[None] for an "
            "array) or cut it with Windows(X, size); give sequences of one step as "
            "numpy.asarray(X)[:, None]."
        )


def check_has_columns(values: Values) -> None:
    """Refuse a table without a column."""
    if values.shape[1] == 0:
        raise InputError(
            f"Expected at least one column, but there are 0 feature(s) (shape={values.shape}) "
            "while a minimum of 1 is required."
        )


def _of_other_shape(shape: tuple[int, ...]) -> InputError:
    message = (
        "Expected sequences as (N, T, F) or (N, T), a list of (T_i, F), a frame, or "
        f"Windows(series, size), got an array of shape {shape}. Reshape your data: "
    )
    if len(shape) == 1:
        return InputError(
            f"{message}give one series of {shape[0]} steps as [X] (X[None] for an array), or cut "
            "it with Windows(X, size)."
        )
    return InputError(f"{message}give one series of T steps as (1, T, F).")


def _is_mapped_list(X: list[Any] | tuple[Any, ...]) -> bool:
    """Return whether a list has memory-mapped arrays, which are large together."""
    return any(isinstance(one, Stored) for one in stored_together(list(X)))


def _is_padded(X: list[Any] | tuple[Any, ...]) -> bool:
    """Return whether the entries of a list must be padded to make one array."""
    if any(is_frame(one) for one in X):
        return True
    try:
        return len({_shape(one) for one in X}) > 1
    except InputError:  # a nested list with entries of unequal length
        return True


def _shape(one: Any) -> tuple[int, ...]:
    if isinstance(one, (int, float)):
        return ()
    return tuple(one.shape if hasattr(one, "shape") else as_array(one, "X").shape)
