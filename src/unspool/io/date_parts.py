"""Columns of years, months, days, hours and so on that together are a time.

`named_parts` finds them by their names, `unnamed_parts` in tables without a header, and `of_parts`
returns their times.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unspool.io.options import TimeOptions
from unspool.io.role_names import plain
from unspool.io.time_text import days_of_weeks, read_texts

Array = npt.NDArray[Any]

PARTS = {
    "year": ("year", "yr", "yyyy", "yy"),
    "month": ("month", "mon", "mm", "mo", "mnth"),
    "day": ("day", "dd", "dy", "dom", "day_of_month"),
    "hour": ("hour", "hr", "hh", "hours"),
    "minute": ("minute", "min", "mi", "mn", "minutes"),
    "second": ("second", "sec", "ss", "seconds"),
    "day of year": ("doy", "day_of_year", "dayofyear", "yday", "jday", "julian_day"),
    "week": ("week", "wk", "week_of_year", "iso_week", "epiweek", "mmwr_week"),
}
_CLOCK = ("hour", "minute", "second")
CHAINS = (
    ("year", "month", "day", *_CLOCK),
    ("year", "day of year", *_CLOCK),
    ("year", "week"),
)
_LIMITS = {
    "year": (1500, 2200),
    "month": (1, 12),
    "day": (1, 31),
    "hour": (0, 24),
    "minute": (0, 59),
    "second": (0, 60),
    "day of year": (1, 366),
    "week": (1, 53),
}
USUAL = 0.9  # share of steps of one length among the times of a table without a header


def part_of(name: str) -> str | None:
    """Return the part of a time that the name of a column says."""
    return next((part for part, usual in PARTS.items() if plain(name) in usual), None)


def chain_of(names: Sequence[str]) -> tuple[str, ...] | None:
    """Return the parts of columns if their names are a year and what follows it, else None."""
    parts = tuple(map(part_of, names))
    if parts[3:5] == ("hour", "month"):  # 'MM' and 'mm', as in YY MM DD hh mm
        parts = (*parts[:4], "minute", *parts[5:])
    if parts[1:2] == ("day",):
        parts = (parts[0], "day of year", *parts[2:])
    return next((one[: len(parts)] for one in CHAINS if parts == one[: len(parts)]), None)


def named_parts(table: Any, names: Sequence[str]) -> tuple[list[str], Any]:
    """Find columns that are parts of a time by their names; return their names and the times.

    Without such columns the names are empty; without times in them, the times are None.
    """
    for chain in CHAINS:
        found: list[str] = []
        for part in chain:
            name = _named(names, part)
            if name is None and part == "day of year":
                name = _named(names, "day")
            if name is None and part == "minute":
                name = _second_month(names, found)
            if name is None:
                break
            found.append(name)
        if len(found) < 2:
            continue
        times = of_parts(table, found, chain)
        while times is None and len(found) > 4:  # columns 'min' and 'sec' may be other quantities
            found.pop()
            times = of_parts(table, found, chain)
        return found, times
    return [], None


def unnamed_parts(table: Any, names: Sequence[str]) -> tuple[list[str], Any]:
    """Find neighbouring columns without names that are parts of a time.

    These are as few as rise from row to row, with one usual step, and zeros that follow them.
    """
    names = list(names)
    years = next((i for i, name in enumerate(names) if _counts_years(table[name])), None)
    if years is None:
        return [], None
    for chain in CHAINS[:2]:
        for count in range(2, len(chain) + 1):
            found = names[years : years + count]
            if len(found) < count or [int(one) for one in found] != [
                *range(int(found[0]), int(found[0]) + count)
            ]:
                break
            times = of_parts(table, found, chain)
            if times is None:
                break
            if not _rises_evenly(np.asarray(times.to_numpy())):
                continue
            for name in names[years + count : years + len(chain)]:
                if not _is_zero(table[name]):
                    break
                found.append(name)
            return found, of_parts(table, found, chain)
    return [], None


def _named(names: Sequence[str], part: str) -> str | None:
    return next((name for name in names if plain(name) in PARTS[part]), None)


def _second_month(names: Sequence[str], found: Sequence[str]) -> str | None:
    """Return the column 'mm' of minutes that directly follows the hours, where 'MM' is a month."""
    places = [i for i, name in enumerate(names) if name == found[-1]]
    following = names[places[0] + 1 :][:1]
    return next((one for one in following if plain(one) == "mm" and one not in found), None)


def _counts_years(column: Any) -> bool:
    """Return whether a column has successive years, each in several rows."""
    if not pa.types.is_integer(column.type) or column.null_count or len(column) < 3:
        return False
    limits = pc.min_max(column).as_py()
    if not 1700 <= limits["min"] <= limits["max"] <= 2100:
        return False
    steps = np.diff(column.to_numpy())
    return bool(((steps == 0) | (steps == 1)).all() and (steps == 0).any())


def _rises_evenly(times: Array) -> bool:
    """Return whether times rise from row to row, most of them by one step or one month."""
    steps = np.diff(times).astype(np.int64)
    if not len(steps) or (steps <= 0).any():
        return False
    months = np.diff(times.astype("datetime64[M]")).astype(np.int64)
    return any(
        np.unique(one, return_counts=True)[1].max() >= USUAL * len(one)
        for one in (steps, months)
        if (one > 0).all()
    )


def _is_padded(column: Any) -> bool:
    """Return whether a column of texts holds months, days, hours or minutes such as '07'."""
    return bool(
        pa.types.is_string(column.type)
        and len(column)
        and not column.null_count
        and pc.all(pc.match_substring_regex(column, r"^\d{1,2}$")).as_py()
    )


def _is_zero(column: Any) -> bool:
    if _is_padded(column):
        column = column.cast(pa.int64())
    return bool(
        pa.types.is_integer(column.type)
        and not column.null_count
        and pc.min_max(column).as_py() == {"min": 0, "max": 0}
    )


def of_parts(table: Any, names: Sequence[str], chain: Sequence[str]) -> Any:
    """Return times of columns that are the first parts of a chain; None if a value is no part."""
    values: dict[str, Array] = {}
    for part, name in zip(chain, names, strict=False):
        numbers = _numbers(table[name])
        if numbers is None:
            return None
        if part == "year" and len(numbers) and numbers.max() < 100:
            numbers = numbers + np.where(numbers >= 69, 1900, 2000)
        low, high = _LIMITS[part]
        if not len(numbers) or numbers.min() < low or numbers.max() > high:
            return None
        values[part] = numbers
    days = _days(values)
    if days is None:
        return None
    clock = [values[part] * size for part, size in zip(_CLOCK, (3600, 60, 1), strict=True)
             if part in values]  # fmt: skip
    if not clock:
        return pa.chunked_array([pa.array(days)])
    seconds = np.asarray(sum(clock)).astype("timedelta64[s]")
    return pa.chunked_array([pa.array(days.astype("datetime64[s]") + seconds)])


def _days(values: dict[str, Array]) -> Array | None:
    """Return the days of the parts; None if a year or month has no such day."""
    year = values["year"]
    first: Array = (year - 1970).astype("datetime64[Y]")
    if "week" in values:
        weeks, in_year = days_of_weeks(year, values["week"], np.ones_like(year))
        return weeks if in_year.all() else None
    if "day of year" in values:
        days: Array = first.astype("datetime64[D]") + (values["day of year"] - 1)
        return days if (days.astype("datetime64[Y]") == first).all() else None
    months: Array = first.astype("datetime64[M]") + (values["month"] - 1)
    days = months.astype("datetime64[D]")
    if "day" in values:
        days = days + (values["day"] - 1)
        if (days.astype("datetime64[M]") != months).any():
            return None
    return days


def _numbers(column: Any) -> Array | None:
    """Return whole numbers, or numbers of names of months; None for other values."""
    if column.null_count:
        return None
    if pa.types.is_integer(column.type):
        return np.asarray(column.to_numpy()).astype(np.int64)
    if pa.types.is_floating(column.type):
        numbers = column.to_numpy()
        return numbers.astype(np.int64) if (numbers == np.floor(numbers)).all() else None
    if not pa.types.is_string(column.type):
        return None
    if _is_padded(column):
        return np.asarray(column.cast(pa.int64()).to_numpy())
    texts = pc.binary_join_element_wise(column, "2000", " ")
    found = [one for one in read_texts(texts, TimeOptions()) if one.n_read == len(texts)]
    if not found or found[0].period != "month":
        return None
    months: Array = found[0].values.astype("datetime64[M]").astype(np.int64) % 12 + 1
    return months
