"""`interpolate_missing`: missing values between known ones, on a straight line."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from unspool import _checks
from unspool.data.sequences import FloatArray
from unspool.data.series import as_series
from unspool.data.steps_in_time import read_times, times_in_index


def interpolate_missing(
    X: Any, limit: int | None = None, *, times: Any = None
) -> list[FloatArray] | FloatArray:
    """Interpolate missing values of series linearly between the values before and after.

    Parameters
    ----------
    X : array of shape (T,) or (T, F), pandas or polars frame, or list of those
        One long series or several; rows are time steps. NaN is a missing value.
    limit : int, optional
        Largest number of successive missing values of a feature that are interpolated. Longer
        runs stay missing as a whole. By default there is no limit.
    times : array of shape (T,), or list of arrays (T_i,), optional
        Times of the steps, dates or numbers. By default the dates in the index of pandas frames,
        or else the numbers of the steps.

    Returns
    -------
    array of shape (T, F), or list of arrays (T_i, F)
        Copies of the series. Values before the first and after the last value of a feature stay
        missing, because nothing is known on one of their sides.

    Raises
    ------
    InputError
        If `X` or `times` cannot be read, or `limit` is below 1.

    See Also
    --------
    read_file : Reads a file with ``missing="interpolate"``.
    Windows : Accepts missing values with ``missing="mask"``.

    Examples
    --------
    >>> import numpy as np
    >>> from unspool import interpolate_missing
    >>> X = np.array([1.0, np.nan, 3.0, np.nan, np.nan, 6.0])
    >>> interpolate_missing(X, limit=1).ravel()
    array([ 1.,  2.,  3., nan, nan,  6.])
    """
    _checks.raise_all(_checks.whole("limit", limit, 1, none=True))
    series, _ = as_series(X)
    lengths = [len(one) for one in series]
    clock = times_in_index(X) if times is None else read_times(times, lengths)
    filled = [
        interpolated(one, limit, None if clock is None else clock[i])[0]
        for i, one in enumerate(series)
    ]
    several = isinstance(X, (list, tuple)) or len(series) > 1
    return filled if several else filled[0]


def interpolated(
    series: FloatArray, limit: int | None, times: Any = None
) -> tuple[FloatArray, list[int]]:
    """Return a series (T, F) with interpolated values, and how many of each feature these are."""
    missing = np.isnan(series) if series.dtype.kind == "f" else np.zeros(series.shape, bool)
    if not missing.any():
        return series, [0] * series.shape[1]
    filled = series.copy()
    at = np.arange(len(series), dtype=np.float64) if times is None else _numbers(times)
    counts = []
    for i, gone in enumerate(missing.T):
        known = np.flatnonzero(~gone)
        places = np.flatnonzero(gone & _between(gone, known, limit))
        if len(places):
            filled[places, i] = np.interp(at[places], at[known], series[known, i])
        counts.append(len(places))
    return filled, counts


def _between(gone: Any, known: Sequence[int] | Any, limit: int | None) -> Any:
    """Mask the missing steps (T,) between two known ones, in runs of at most `limit`."""
    inside = np.zeros(len(gone), bool)
    if len(known) == 0:
        return inside
    inside[known[0] : known[-1]] = True
    if limit is not None:
        edges = np.flatnonzero(np.diff(np.r_[False, gone, False].astype(np.int8)))
        for start, end in zip(edges[::2], edges[1::2], strict=True):
            if end - start > limit:
                inside[start:end] = False
    return inside


def _numbers(times: Any) -> FloatArray:
    """Return times as numbers that do not decrease, counted from the first one."""
    since = times - times[0]
    if since.dtype.kind == "m":
        since = since / np.timedelta64(1, "s")
    numbers: FloatArray = np.maximum.accumulate(since.astype(np.float64))
    return numbers
