"""Events as runs of steps, from labels and from windows of time."""

import datetime
from typing import Any

import numpy as np

from unspool.data.values import Array, IntArray, as_array
from unspool.errors import InputError
from unspool.evaluation.inputs import BoolArray, read_flags


def events_of(labels: Any) -> IntArray:
    """Start and end of every event in the labels of one series.

    Parameters
    ----------
    labels : array of shape (T,)
        1 or True at every step of an event, 0 or False elsewhere.

    Returns
    -------
    array of shape (n, 2), int64
        First step, and the step after the last, of each run of ones; n may be 0.

    Raises
    ------
    InputError
        For labels other than 0 and 1, and for those of several series.

    Examples
    --------
    >>> events_of([1, 1, 0, 0, 1])
    array([[0, 2],
           [4, 5]])
    """
    flags = read_flags("labels", labels)
    if len(flags) > 1:
        raise InputError(
            f"Expected the `labels` of one series, got {len(flags)} series; call `events_of` for "
            "each of them."
        )
    return runs_of(flags[0])


def runs_of(flags: BoolArray) -> IntArray:
    """Start and end (n, 2), end exclusive, of every run of True in `flags` (T,)."""
    change = np.diff(flags.astype(np.int8), prepend=0, append=0)
    return np.stack([np.flatnonzero(change == 1), np.flatnonzero(change == -1)], axis=1)


def labels_from_windows(times: Any, windows: Any) -> IntArray:
    """Labels of steps from the windows of time in which events lie.

    Parameters
    ----------
    times : array of shape (T,)
        The time of every step: datetime64, datetimes, text in ISO 8601 ("2013-12-10 06:25:00"), or
        numbers.
    windows : list of pairs, or array of shape (n, 2)
        Start and end of each window, both within it, of the same kind as `times`; as a file's
        entry in ``combined_windows.json`` of the Numenta Anomaly Benchmark. May be empty.

    Returns
    -------
    array of shape (T,), int64
        1 where a step lies in a window, else 0.

    Raises
    ------
    InputError
        For times and windows of different kinds, times with a time zone, a window that ends before
        it starts, and one in which no step lies.

    Examples
    --------
    >>> times = ["2014-04-01 00:00:00", "2014-04-01 00:05:00", "2014-04-01 00:10:00"]
    >>> labels_from_windows(times, [["2014-04-01 00:04:00", "2014-04-01 00:10:00.000000"]])
    array([0, 1, 1])
    """
    moments = _moments("times", times)
    if moments.ndim != 1:
        raise InputError(f"`times` must be of shape (T,), got shape {moments.shape}.")
    labels = np.zeros(len(moments), np.int64)
    if len(windows) == 0:
        return labels
    pairs = _moments("windows", windows)
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise InputError(f"`windows` must be pairs of start and end, got shape {pairs.shape}.")
    if (moments.dtype.kind == "M") != (pairs.dtype.kind == "M"):
        kinds = ["dates" if one.dtype.kind == "M" else "numbers" for one in (moments, pairs)]
        raise InputError(
            f"`times` and `windows` must be of one kind, got {kinds[0]} and {kinds[1]}."
        )
    for start, end in pairs:
        if end < start:
            raise InputError(f"A window must not end before it starts, got {start} to {end}.")
        inside = (moments >= start) & (moments <= end)
        if not inside.any():
            span = f"{moments.min()} to {moments.max()}" if len(moments) else "of no step"
            raise InputError(
                f"No step lies in the window from {start} to {end}: `times` are {span}. Leave out "
                "windows of other times, or cut the labels instead of the times."
            )
        labels[inside] = 1
    return labels


def _moments(name: str, values: Any) -> Array:
    """Times as an array of datetime64 or of numbers, of any shape."""
    array = as_array(values, f"`{name}`")
    if array.dtype.kind in "OUST":
        moments = [_moment(name, value) for value in array.ravel().tolist()]
        array = np.array(moments, "datetime64[us]").reshape(array.shape)
    if array.dtype.kind not in "Miuf":
        raise InputError(f"`{name}` must be dates, text in ISO 8601 or numbers, got {array.dtype}.")
    missing = np.isnat(array) if array.dtype.kind == "M" else np.isnan(array)
    if missing.any():
        raise InputError(f"`{name}` must all be known, got {array[missing][0]}.")
    return array


def _moment(name: str, value: Any) -> np.datetime64:
    if isinstance(value, str):
        try:
            value = datetime.datetime.fromisoformat(value.strip())
        except ValueError:
            raise InputError(
                f"`{name}` must be in ISO 8601, such as 2013-12-10 06:25:00, got {value!r}."
            ) from None
    if isinstance(value, datetime.datetime) and value.tzinfo is not None:
        raise InputError(
            f"`{name}` must be without a time zone, got {value}; give all of them in UTC, without "
            "a zone."
        )
    if isinstance(value, datetime.date):  # a datetime, a pandas.Timestamp and NaT are, too
        return np.datetime64(value if value == value else "NaT", "us")
    raise InputError(f"`{name}` must be dates, text in ISO 8601 or numbers, got {value!r}.")
