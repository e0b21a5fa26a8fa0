"""Long series of arrays, frames and lists as arrays, without copying."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from unspool import _checks
from unspool.data.frames import (
    ARRAYS,
    Labels,
    check_axis_of_time,
    check_order_of_time,
    frame_values,
    instances_and_steps,
    is_frame,
    labels_of,
    names_of,
    series_inside,
    series_of_cells,
)
from unspool.data.not_arrays import is_array_like
from unspool.data.stored import Stored, as_stored, stored_together
from unspool.data.stored_items import Items
from unspool.data.values import Array, as_array, as_reals
from unspool.errors import InputError


def as_series(series: Any, *, stored: bool = False) -> tuple[list[Any], tuple[str, ...] | None]:
    """Return one series or several as arrays (T_i, F) without copying, and the column names.

    Several series are given as a list, as a frame with the index (instance, time), or in the cells
    of a frame. With `stored`, series that are not in memory are a `Stored`.
    """
    found = as_stored(series) if stored else None
    if found is not None and not (isinstance(found, Items) and found.ndim > 2):
        return [_two_axes(found, "a series")], found.names
    if not holds_series(series):
        cells = _cells(series)
        if cells is not None:
            return as_series(cells)
        inside, labels = _inside(series)
        if inside is not None:
            return inside, names_of(labels)
        array, labels = read_one(series, "a series")
        return [_two_axes(array, "a series")], names_of(labels)
    if not len(series):
        raise InputError("Expected at least one series, got an empty list.")
    named = [f"series {i}" for i in range(len(series))]
    read = [read_one(one, what, stored=stored) for one, what in zip(series, named, strict=True)]
    arrays, labels = same_columns(read, "series")
    if stored:
        arrays = stored_together(arrays)
    return [_two_axes(one, what) for one, what in zip(arrays, named, strict=True)], names_of(labels)


def _cells(series: Any) -> list[Any] | None:
    """Return the cells of a pandas, polars or Arrow column, if they contain series."""
    levels = getattr(getattr(series, "index", None), "nlevels", 1)
    if isinstance(series, ARRAYS) or is_frame(series) or levels > 1 or not is_array_like(series):
        return None
    cells = as_array(series, "a series")
    return list(cells) if cells.dtype == object and holds_series(cells) else None


def _inside(series: Any) -> tuple[list[Array] | None, Labels | None]:
    """Return the series in a frame or array of objects, if its index or cells contain any."""
    if is_frame(series) or getattr(getattr(series, "index", None), "nlevels", 1) > 1:
        labels = labels_of(series) if is_frame(series) else None
        return series_inside(series), labels
    if isinstance(series, np.ndarray) and series.dtype == object and series.ndim == 2:
        return series_of_cells(as_array(series, "a series")), None
    return None, None


def read_one(one: Any, what: str, *, stored: bool = False) -> tuple[Any, Labels | None]:
    """Return one series or sequence as an array, and the names of its columns.

    With `stored`, one that is not in memory is a `Stored`.
    """
    if stored and (found := as_stored(one)) is not None:
        return found, found.names
    if getattr(getattr(one, "index", None), "nlevels", 1) > 1:
        raise InputError(
            f"Expected {what} with a plain index, got {one.index.nlevels} levels; give a frame "
            "with the index (instance, time) alone, not in a list."
        )
    check_order_of_time(getattr(one, "index", None), what)
    check_axis_of_time(one, 0)
    if not is_frame(one):
        return as_reals(one, what), None
    labels = labels_of(one)
    return frame_values(one, what), labels


def same_columns(
    read: Sequence[tuple[Any, Labels | None]], noun: str
) -> tuple[list[Any], Labels | None]:
    """Put the columns of arrays (T_i, F) in the order of the first that has column names.

    Raises
    ------
    InputError
        If an array has other names.
    """
    known = [labels for _, labels in read if labels is not None]
    first = next(filter(names_of, known), known[0] if known else ())
    arrays = []
    for i, (array, labels) in enumerate(read):
        if labels is None or labels == first:
            arrays.append(array)
        elif set(labels) == set(first):
            places = [labels.index(label) for label in first]
            is_stored = isinstance(array, Stored)
            arrays.append(array.of_columns(places) if is_stored else array[:, places])
        elif _only_numbered(labels) or _only_numbered(first):
            arrays.append(array)
        else:
            raise InputError(
                f"Expected the columns {first}, as in the first {noun}, got {labels} in {noun} "
                f"{i}; choose the same columns in all of them."
            )
    return arrays, first


def _only_numbered(labels: Labels) -> bool:
    return labels == tuple(range(len(labels)))


def _two_axes(array: Any, what: str) -> Any:
    if array.ndim == 1:
        array = array.reshape(len(array), 1) if isinstance(array, Stored) else array[:, None]
    if array.ndim != 2 or array.shape[1] == 0:
        many = "; give several series as list(X)" if array.ndim == 3 else ""
        raise InputError(
            f"Expected {what} as (T,) or (T, F) with rows as steps, got shape {array.shape}{many}."
        )
    return array


def holds_series(series: Any) -> bool:
    """Return whether `series` contains several series; a list of numbers is one series."""
    if isinstance(series, np.ndarray):
        return (
            series.dtype == object and series.ndim == 1 and len(series) > 0 and _is_long(series[0])
        )
    if hasattr(series, "lengths_of") and hasattr(series, "values"):  # Sequences
        return True
    listed = isinstance(series, (list, tuple)) and is_array_like(series)
    return listed and (not series or _is_long(series[0]))


def _is_long(one: Any) -> bool:
    """Return whether an entry is not a single number."""
    number = one is None or np.isscalar(one) or type(one).__name__ == "NAType"
    return not number and getattr(one, "ndim", 1) > 0


def chronological_split(series: Any, test_size: float = 0.25) -> tuple[Any, Any]:
    """Split a series, or every series of a list, into an earlier and a later part.

    Parameters
    ----------
    series : array of shape (T, ...), frame, or list of those
        One series or several. Of a pandas frame with the index (instance, time) every instance is
        split.
    test_size : float, default 0.25
        Share of the steps that are in the later part; above 0 and below 1.

    Returns
    -------
    earlier, later : same type as `series`
        The first ``round(T * (1 - test_size))`` steps and the others; views if `series` is an
        array or a list of arrays.

    Raises
    ------
    InputError
        If `test_size` is not above 0 and below 1.

    See Also
    --------
    Windows : Sliding windows over one part.

    Examples
    --------
    >>> import numpy as np
    >>> from unspool import chronological_split
    >>> earlier, later = chronological_split(np.arange(10), test_size=0.2)
    >>> later
    array([8, 9])
    """
    _checks.raise_all(_checks.number("test_size", test_size, 0, 1, open_left=True))
    if holds_series(series):
        pairs = [chronological_split(one, test_size) for one in series]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    if getattr(getattr(series, "index", None), "nlevels", 1) > 1:
        of, step = instances_and_steps(series.index)
        earlier = step < np.round(np.bincount(of) * (1 - test_size))[of]
        return series[earlier], series[~earlier]
    cut = round(len(series) * (1 - test_size))
    rows = series.iloc if hasattr(series, "iloc") else series
    return rows[:cut], rows[cut:]
