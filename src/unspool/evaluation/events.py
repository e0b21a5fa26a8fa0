"""Events as runs of steps, from labels and from time windows."""

import datetime
from typing import Any

import numpy as np

from unspool.data.values import Array, IntArray, as_array
from unspool.errors import InputError
from unspool.evaluation.inputs import BoolArray, read_flags


def events_of(labels: Any) -> IntArray:
    """Return start and end of every event in the labels of one series.

    Parameters
    ----------
    labels : array of shape (T,)
        1 or True at every step of an event, 0 or False elsewhere.

    Returns
    -------
    array of shape (n, 2), int64
        First step, and step after the last, of each run of ones; n may be 0.

    Raises
    ------
    InputError
        If a label is neither 0 nor 1, or the labels are of several series.

    See Also
    --------
    labels_from_windows : Makes labels from time windows.

    Examples
    --------
    >>> from unspool.evaluation import events_of
    >>> events_of([1, 1, 0, 0, 1])
    array([[0, 2],
           [4, 5]])
    """
    flags = read_flags("labels", labels)
    if len(flags) > 1:
        raise InputError(
            f"Expected the `labels` of one series, got labels of {len(flags)} series; call "
            "`events_of` for each series."
        )
    return runs_of(flags[0])


def runs_of(flags: BoolArray) -> IntArray:
    """Return start and end (exclusive), (n, 2), of every run of True in `flags` (T,)."""
    change = np.diff(flags.astype(np.int8), prepend=0, append=0)
    return np.stack([np.flatnonzero(change == 1), np.flatnonzero(change == -1)], axis=1)


def labels_from_windows(times: Any, windows: Any) -> IntArray:
    """Make labels of steps from the time windows in which events lie.

    Parameters
    ----------
    times : array of shape (T,)
        Time of every step: datetime64, datetimes, strings in ISO 8601 ("2013-12-10 06:25:00"), or
        numbers.
    windows : list of pairs, or array of shape (n, 2)
        Start and end of each window, both inclusive, of the same kind as `times`. The entries of
        ``combined_windows.json`` of the Numenta Anomaly Benchmark [1]_ have this form. The list
        may be empty.

    Returns
    -------
    array of shape (T,), int64
        1 at steps within a window, 0 elsewhere.

    Raises
    ------
    InputError
        If times and windows are of different kinds, a time has a time zone, a window ends before
        it starts, or a window contains no step.

    See Also
    --------
    events_of : Returns start and end of the events in labels.

    References
    ----------
    .. [1] A. Lavin and S. Ahmad (2015). "Evaluating Real-Time Anomaly Detection Algorithms - the
       Numenta Anomaly Benchmark". ICMLA.

    Examples
    --------
    >>> from unspool.evaluation import labels_from_windows
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
            f"`times` and `windows` must be of the same kind, got {kinds[0]} and {kinds[1]}."
        )
    for start, end in pairs:
        if end < start:
            raise InputError(f"A window must not end before it starts, got {start} to {end}.")
        inside = (moments >= start) & (moments <= end)
        if not inside.any():
            span = f"range from {moments.min()} to {moments.max()}" if len(moments) else "are empty"
            raise InputError(
                f"No step lies in the window from {start} to {end}: `times` {span}. Leave out "
                "windows of other times, or cut the labels instead of the times."
            )
        labels[inside] = 1
    return labels


def _moments(name: str, values: Any) -> Array:
    """Return times as an array of datetime64 or of numbers, of any shape."""
    array = as_array(values, f"`{name}`")
    if array.dtype.kind in "OUST":
        moments = [_moment(name, value) for value in array.ravel().tolist()]
        array = np.array(moments, "datetime64[us]").reshape(array.shape)
    if array.dtype.kind not in "Miuf":
        raise InputError(
            f"`{name}` must be dates, strings in ISO 8601 or numbers, got {array.dtype}."
        )
    missing = np.isnat(array) if array.dtype.kind == "M" else np.isnan(array)
    if missing.any():
        raise InputError(f"`{name}` must not have missing values, got {array[missing][0]}.")
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
            f"`{name}` must not have a time zone, got {value}; convert all of them to UTC and "
            "remove the zone."
        )
    if isinstance(value, datetime.date):  # includes datetime, pandas.Timestamp and NaT
        return np.datetime64(value if value == value else "NaT", "us")
    raise InputError(f"`{name}` must be dates, strings in ISO 8601 or numbers, got {value!r}.")
