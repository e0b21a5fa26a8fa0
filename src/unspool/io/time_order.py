"""Check that the rows of a file are in the order of time.

`in_order` finds where time goes back within a series. If it goes back rarely, as when a clock is
set back, rows keep their order. If rows run from the newest to the oldest, they are reversed. In
any other case the rows belong to several series or are unsorted, and the file is refused.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.data.sequences import IntArray

Column = npt.NDArray[Any]
Rows = slice | IntArray

# A clock may be set back MAX_SETBACKS times, in a long series at MAX_SETBACK_SHARE of its rows. At
# most MAX_LATE_SHARE of the rows may be earlier than a row above them.
MAX_SETBACKS = 10
MAX_SETBACK_SHARE = 0.01
MAX_LATE_SHARE = 0.1
HOUR = 3_600_000_000  # in microseconds


def in_order(
    times: Column, parts: list[Rows], name: str, *, named: bool
) -> tuple[list[Rows], tuple[str, ...], str | None]:
    """Put the rows of every series in the order of time.

    Parameters
    ----------
    times : array of shape (rows,)
        Dates or numbers of all rows of the file.
    parts : list of slices or arrays of row numbers
        The rows of each series.
    name : str
        Name of the column of times.
    named : bool
        Whether the user named this column. If not, numbers must not decrease at all, since they
        may be another quantity than time, such as a temperature.

    Returns
    -------
    parts : list of slices or arrays of row numbers
        The rows of each series, in the order in which to read them.
    notes : tuple of str
        What was changed or accepted.
    error : str or None
        Where time goes back, if that is not accepted.
    """
    dates = times.dtype.kind == "M"
    notes: tuple[str, ...] = ()
    back = goes_back(times, parts, name)
    if back and dates and not _all_in_order(times, parts):
        row_numbers = np.arange(len(times))
        turned: list[Rows] = [row_numbers[part][::-1] for part in parts]
        if _all_in_order(times, turned):
            notes = (f"time runs from newest to oldest in column {name!r}: rows are reversed",)
            parts, back = turned, goes_back(times, turned, name)
    if back and (dates or named) and _all_in_order(times, parts):
        order = "reversed order" if notes else "order of the file"
        return parts, (*notes, f"{back}; rows are kept in the {order}"), None
    return parts, notes, back


def goes_back(times: Column, parts: list[Rows], name: str) -> str | None:
    """Describe where a time is earlier than the time of the row above; None if it never is."""
    found, row_numbers = [], np.arange(len(times))
    for part in parts:
        one = times[part]
        steps = np.flatnonzero(one[1:] < one[:-1]) + 1
        if steps.size:
            rows = row_numbers[part]
            found.append((int(rows[steps[0]]) + 1, steps.size, one[steps[0] - 1], one[steps[0]]))
    if not found:
        return None
    count = sum(size for _, size, _, _ in found)
    row, _, before, after = min(found, key=lambda one: one[0])
    often = "once" if count == 1 else f"{count:,} times"
    place = f"{'at' if count == 1 else 'first at'} data row {row}"
    return f"time goes back {often} in column {name!r}, {place}, from {before} to {after}"


def _all_in_order(times: Column, parts: list[Rows]) -> bool:
    return all(_is_in_order(times[part]) for part in parts)


def _is_in_order(times: Column) -> bool:
    """Return whether rows are in the order of time, except that a clock was rarely set back.

    It is False if time starts again at the first value (another series begins), if it often goes
    back, or if many rows are earlier than a row above them (several series, or unsorted rows).
    """
    if times.dtype.kind == "M":
        times = times.astype("datetime64[us]").astype(np.int64)
        back = times[1:] < times[:-1]
        unchanged = _without_clock_changes(times)
    else:
        back, unchanged = times[1:] < times[:-1], times
    places = np.flatnonzero(back) + 1
    following = np.append(times, times[-1:])[places + 1]
    single = following >= times[places - 1]  # one odd row, after which time goes on
    starts_over = (times[places] == times[0]) & ~single
    rare = len(places) <= max(MAX_SETBACKS, MAX_SETBACK_SHARE * len(times))
    late = unchanged < np.maximum.accumulate(unchanged)
    early = unchanged > np.minimum.accumulate(unchanged[::-1])[::-1]  # few if one row is too late
    odd = min(late.mean(), early.mean()) if times.dtype.kind == "i" else late.mean()
    return bool(rare and not starts_over.any() and odd <= MAX_LATE_SHARE)


def _without_clock_changes(times: IntArray) -> IntArray:
    """Return times in microseconds, with an hour added after every change of clocks by an hour.

    Without this, most rows of a short file could be in the hour that occurs twice.
    """
    steps = np.diff(times)
    if not (steps > 0).any():
        return times
    usual = np.median(steps[steps > 0])
    changes = (steps < 0) & (np.abs(steps + HOUR - usual) <= usual)
    if 2 * changes.sum() > (steps > 0).sum():
        return times  # other series begin there, or rows run backwards
    moved: IntArray = times + HOUR * np.cumsum(np.r_[False, changes])
    return moved
