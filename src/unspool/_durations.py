"""Durations such as "6h" as arguments."""

import datetime
import re
from typing import Any

import numpy as np

from unspool import _checks
from unspool._checks import Complaint

Duration = str | datetime.timedelta | np.timedelta64

SECONDS = {
    **dict.fromkeys(("ns", "nanosecond", "nanoseconds"), 1e-9),
    **dict.fromkeys(("us", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ms", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604800.0),
}
PART = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*([a-z]+)")


def seconds(duration: Any) -> float | None:
    """Return the seconds of a duration such as "6h", "1h30min" or a timedelta; None if it is none.

    Examples
    --------
    >>> seconds("6h"), seconds("1d 12h"), seconds(np.timedelta64(5, "m")), seconds("6")
    (21600.0, 129600.0, 300.0, None)
    """
    if isinstance(duration, str):
        text, total = duration.strip().lower(), 0.0
        while text:
            part = PART.match(text)
            if part is None or part[2] not in SECONDS:
                return None
            total, text = total + float(part[1]) * SECONDS[part[2]], text[part.end() :].strip()
    elif isinstance(duration, datetime.timedelta):
        total = duration.total_seconds()
    elif isinstance(duration, np.timedelta64) and not np.isnat(duration):
        try:
            total = float(duration / np.timedelta64(1, "s"))
        except TypeError:  # months and years have no fixed length
            return None
    else:
        return None
    return total if 0 < total < float("inf") else None


def size_complaint(name: str, value: Any, *, none: bool = False, auto: bool = False) -> Complaint:
    """Check that `value` is a number of steps of at least 1, or a duration."""
    if seconds(value) is not None or _checks.whole(name, value, 1, none=none, auto=auto) is None:
        return None
    if isinstance(value, (str, datetime.timedelta, np.timedelta64)):
        return (
            f"`{name}` must be a whole number of steps of at least 1 or a duration above 0 such as "
            f"'6h', '30min' or '1d', got {_checks.shown(value)}."
        )
    return _checks.whole(name, value, 1, none=none, auto=auto)


def gap_complaint(value: Any) -> Complaint:
    """Check that `max_gap` is "auto", None, a duration, or a number above 0."""
    number = _checks.number("max_gap", value, 0, none=True, auto=True, open_left=True)
    if number is None or seconds(value) is not None:
        return None
    return (
        "`max_gap` must be a duration above 0 such as '2h', a number in the unit of the times "
        f"(seconds if these are dates), 'auto' or None, got {_checks.shown(value)}."
    )
