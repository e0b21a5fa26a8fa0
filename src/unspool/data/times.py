"""Whether the times of a file agree with the order of its rows.

Main path: `in_order` counts where time goes back within a series. A clock that was set back here
and there is a note, and rows keep their order; rows from the newest to the oldest are reversed;
anything else is a complaint, since such rows are several series, or in disorder.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.data.sequences import IntArray

Column = npt.NDArray[Any]
Rows = slice | IntArray

FEW = 10  # times that a clock may go back in a series of any length
RARE = 0.01  # of the rows of a longer one
LATE = 0.1  # share of rows that may lie before an earlier row's time
HOUR = 3_600_000_000  # microseconds


def in_order(
    times: Column, parts: list[Rows], name: str, *, named: bool
) -> tuple[list[Rows], tuple[str, ...], str | None]:
    """The rows of every series in the order to read them, notes on it, and what is wrong with it.

    Parameters
    ----------
    times : array of shape (rows,)
        Dates or numbers of all rows of the file.
    parts : list of slices or arrays of row numbers
        The rows of each series.
    name : str
        What the column of the times is called.
    named : bool
        The user said that it holds the times. Numbers are else only taken for times, and must
        not go back at all: a falling temperature is no clock.
    """
    dates = times.dtype.kind == "M"
    notes: tuple[str, ...] = ()
    back = goes_back(times, parts, name)
    if back and dates and not _all_logs(times, parts):
        turned: list[Rows] = [np.arange(len(times))[part][::-1] for part in parts]
        if _all_logs(times, turned):
            notes = (f"time runs from newest to oldest in column {name!r}: rows are reversed",)
            parts, back = turned, goes_back(times, turned, name)
    if back and (dates or named) and _all_logs(times, parts):
        order = "reversed order" if notes else "order of the file"
        return parts, (*notes, f"{back}; rows are kept in the {order}"), None
    return parts, notes, back


def goes_back(times: Column, parts: list[Rows], name: str) -> str | None:
    """Where steps of a series lie before the one above them; None where none does."""
    found = []
    for part in parts:
        one = times[part]
        steps = np.flatnonzero(one[1:] < one[:-1]) + 1
        if steps.size:
            rows = np.arange(len(times))[part]
            found.append((int(rows[steps[0]]) + 1, steps.size, one[steps[0] - 1], one[steps[0]]))
    if not found:
        return None
    count = sum(size for _, size, _, _ in found)
    row, _, before, after = min(found, key=lambda one: one[0])
    often = "once" if count == 1 else f"{count:,} times"
    place = f"{'at' if count == 1 else 'first at'} data row {row}"
    return f"time goes back {often} in column {name!r}, {place}, from {before} to {after}"


def _all_logs(times: Column, parts: list[Rows]) -> bool:
    return all(_is_log(times[part]) for part in parts)


def _is_log(times: Column) -> bool:
    """Whether rows are in the order of time but for a clock set back here and there.

    Not where time starts over, which is the next series; nor where it goes back often, or many
    rows lie before an earlier one: those are rows of several series, or in disorder.
    """
    if times.dtype.kind == "M":
        times = times.astype("datetime64[us]").astype(np.int64)
        back = times[1:] < times[:-1]
        unchanged = _without_clock_changes(times)
    else:
        back, unchanged = times[1:] < times[:-1], times
    starts_over = (times[1:][back] == times[0]).any()
    late = unchanged < np.maximum.accumulate(unchanged)
    rare = back.sum() <= max(FEW, RARE * len(times))
    return bool(rare and not starts_over and late.mean() <= LATE)


def _without_clock_changes(times: IntArray) -> IntArray:
    """Microseconds with an hour added from every step on at which clocks were set back by one.

    In a short file the hour that comes twice is most of the rows.
    """
    steps = np.diff(times)
    if not (steps > 0).any():
        return times
    usual = np.median(steps[steps > 0])
    changes = (steps < 0) & (np.abs(steps + HOUR - usual) <= usual)
    moved: IntArray = times + HOUR * np.cumsum(np.r_[False, changes])
    return moved
