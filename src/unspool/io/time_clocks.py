"""Columns of clocks: texts such as 13:45 and 2:05 PM, and numbers such as 1345 and 134500."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unspool.io.date_parts import PARTS
from unspool.io.role_names import plain
from unspool.io.time_patterns import CLOCK

Array = npt.NDArray[Any]

_NAMES = ("time", "clock", "hhmm", "hrmn", "hour_minute", "time_utc", "utc", "hhmmss", "time_local")
_HALVES = ("am", "pm", "a.m.", "p.m.")
_HALF = r"^\d{1,2}[ap]$"  # "12a" may be an id


def is_clock(column: Any, name: str) -> bool:
    """Return whether the first cells are times of a day."""
    kind, sample = column.type, column.slice(0, 1000).drop_null()
    if pa.types.is_time(kind):
        return True
    if not len(sample):
        return False
    if pa.types.is_string(kind):
        if _digits(column, name) is not None:
            return True
        cells = [one for one in sample.to_pylist() if one.strip()]
        halves = pc.any(pc.match_substring_regex(sample, _HALF)).as_py()
        clocks = [one for one in cells if len(one.strip()) > 2 and CLOCK.match(one)]
        return bool(cells) and len(clocks) == len(cells) and not halves
    if not pa.types.is_integer(kind):
        return False
    low, high = (pc.min_max(column).as_py()[end] for end in ("min", "max"))
    if plain(name) in PARTS["hour"] and low >= 0 and high <= 24:
        return True
    if plain(name) not in _NAMES or low < 0 or 0 < high <= 24 or column.null_count:
        return False
    return _seconds(column.to_numpy(), None) is not None


def is_half_of_day(column: Any) -> bool:
    """Return whether all cells are AM or PM."""
    if not pa.types.is_string(column.type) or column.null_count or not len(column):
        return False
    return all(one.strip().lower() in _HALVES for one in pc.unique(column).to_pylist())


def seconds_of(column: Any, name: str) -> Array | None:
    """Return seconds since midnight of a column of whole numbers; None for other columns."""
    if pa.types.is_integer(column.type) and not column.null_count:
        return _seconds(column.to_numpy(), None)
    return _digits(column, name) if pa.types.is_string(column.type) else None


def _digits(column: Any, name: str) -> Array | None:
    """Return the seconds of texts such as 0930 or 093000."""
    if plain(name) not in _NAMES or column.null_count:
        return None
    texts = pc.utf8_trim_whitespace(column)
    if not pc.all(pc.match_substring_regex(texts, r"^(?:\d{3,4}|\d{6})$")).as_py():
        return None
    digits = pc.max(pc.utf8_length(texts)).as_py()
    return _seconds(np.asarray(texts.cast(pa.int64()).to_numpy()), digits)


def _seconds(numbers: Array, digits: int | None) -> Array | None:
    """Return the seconds of hours, of numbers such as 930 for 9:30, or 93000 for 9:30:00."""
    numbers = numbers.astype(np.int64)
    largest = numbers.max(initial=0)
    if digits is None and largest <= 24:
        return numbers * 3600
    if digits == 6 or largest > 2400:
        hours, minutes, seconds = numbers // 10_000, numbers // 100 % 100, numbers % 100
    else:
        hours, minutes, seconds = numbers // 100, numbers % 100, np.zeros_like(numbers)
    found = (hours * 60 + minutes) * 60 + seconds
    good = (minutes < 60) & (seconds < 60) & (found <= 24 * 3600) & (numbers >= 0)
    return found if good.all() else None
