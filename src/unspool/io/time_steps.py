"""The usual step of the times of a series, and the times after its end."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

ENOUGH_WEEKS = 2  # weekends without a step that make a series one of working days
UNUSUAL = 0.01  # share of steps of another length that is not worth a note


@dataclass(frozen=True)
class Step:
    """The usual step of a series.

    Parameters
    ----------
    months : int
        Number of months, or 0.
    size : timedelta64, int or float
        Length of a step, if `months` is 0.
    month_ends : bool
        Whether every time is on the last day of a month.
    weekdays : bool
        Whether Saturdays and Sundays are left out.
    irregular : float
        Share of steps of another length.
    """

    months: int
    size: Any
    month_ends: bool = False
    weekdays: bool = False
    irregular: float = 0.0

    def after(self, last: Any, count: int) -> Array:
        """Return the times of the `count` steps after `last`."""
        ahead = np.arange(1, count + 1)
        if self.months:
            month = last.astype("datetime64[M]")
            rest = last - month.astype(last.dtype)
            months = month + self.months * ahead
            end = (months + 1).astype("datetime64[D]") - np.timedelta64(1, "D")
            days = np.minimum((months.astype("datetime64[D]") + (_day(last) - 1)), end)
            days = end if self.month_ends else days
            clock = rest % np.timedelta64(1, "D")
            found: Array = days.astype(last.dtype) + clock
            return found
        if self.weekdays:
            day = last.astype("datetime64[D]")
            days = np.busday_offset(day, ahead, roll="backward")
            return np.asarray(days.astype(last.dtype) + (last - day))
        return np.asarray(last + ahead * self.size)


def usual_step(times: Array) -> Step | None:
    """Return the usual step of times on the clock of the file; None if no time follows another."""
    steps = np.diff(times)
    zero = steps.dtype.type(0)
    forwards = steps[steps > zero]
    if not len(forwards):
        return None
    sizes, counts = np.unique(forwards, return_counts=True)
    size = sizes[counts.argmax()]
    irregular = 1 - counts.max() / len(steps)
    if times.dtype.kind != "M":
        jitter = times.dtype.kind == "f" and np.ptp(forwards) <= 1e-6 * abs(float(size))
        return Step(
            0, np.median(forwards) if jitter else size, irregular=0.0 if jitter else irregular
        )
    months = times.astype("datetime64[M]").astype(np.int64)
    between = np.diff(months)
    ends = _day(times + np.timedelta64(1, "D")) == 1
    same_day = len(np.unique(_day(times))) == 1 or bool(ends.all())
    if same_day and between.min() >= 1 and len(np.unique(between)) == 1:
        return Step(int(between[0]), size, month_ends=bool(ends.all()))
    day = np.timedelta64(1, "D")
    if size == day:
        weekday = (times.astype("datetime64[D]").astype(np.int64) + 3) % 7
        weekends = int(((steps >= 3 * day) & (weekday[:-1] == 4)).sum())
        if (weekday < 5).all() and weekends >= ENOUGH_WEEKS:
            days = times.astype("datetime64[D]")
            odd = float((np.busday_count(days[:-1], days[1:]) != 1).mean())
            return Step(0, size, weekdays=True, irregular=odd)
    return Step(0, size, irregular=float(irregular))


def _day(times: Any) -> Any:
    """Return the day of the month."""
    days = times.astype("datetime64[D]")
    return (days - days.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) + 1
