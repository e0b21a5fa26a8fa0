"""Texts of times, such as "1/3/21 0:00" or "March 2021", as instants.

The first cells of a column select the patterns (`time_patterns`), and every cell is then read with
each of them.
"""

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unspool.io.options import TimeOptions
from unspool.io.time_patterns import (
    INTERVALS,
    MONTHS,
    PATTERNS,
    WITHOUT_YEAR,
    expression_of,
)
from unspool.io.time_zones import zone_seconds

Array = npt.NDArray[Any]

N_SAMPLE = 200  # cells that select the patterns
YEAR = 2000  # of times without a year; a leap year, so that every day exists
TURN = 300  # if times without a year fall by more days, a year begins


@dataclass(frozen=True)
class Reading:
    """A column of texts read in one way.

    Parameters
    ----------
    values : array of shape (rows,) of datetime64
        Instants, in UTC if `zoned`; NaT where a text cannot be read.
    form : str
        Directives of the date, as for `strptime`.
    day_first : bool or None
        Whether the day was taken before the month; None if only one order is possible.
    zoned : bool
        Whether the texts have a zone or an offset.
    expression : str
        The regular expression that reads a text.
    ambiguous : bool
        Whether day and month could be exchanged in every text.
    period : str
        Length of the period that a text names: "day" for a date without a clock, "month",
        "quarter", "week", or "" for a clock.
    """

    values: Array
    form: str
    day_first: bool | None
    zoned: bool
    expression: str
    ambiguous: bool
    period: str

    @property
    def n_read(self) -> int:
        """Number of texts that could be read."""
        return int((~np.isnat(self.values)).sum())

    @property
    def has_year(self) -> bool:
        """Whether the texts have a year."""
        return self.expression not in _NO_YEARS


def read_texts(texts: Any, options: TimeOptions) -> list[Reading]:
    """Read a column of texts in every way that its first cells allow, the best first.

    Parameters
    ----------
    texts : pyarrow.ChunkedArray of strings
        The column.
    options : TimeOptions
        The format and the order of day and month, if the user gave them.
    """
    if options.date_format is not None:
        patterns: tuple[tuple[str, str], ...] = (
            (expression_of(options.date_format), options.date_format),
        )
    else:
        sample = texts.drop_null().slice(0, N_SAMPLE).to_pylist()
        if not sample or not any(map(str.strip, sample)):
            return []
        patterns = next(filter(None, (_fitting(sample, one) for one in _KINDS)), ())
    readings = []
    for expression, form in patterns:
        readings += _readings(texts, expression, form, options.day_first)
    most = max((one.n_read for one in readings), default=0)
    return [one for one in readings if one.n_read == most and most]


_KINDS = (PATTERNS, INTERVALS, WITHOUT_YEAR)
_NO_YEARS = frozenset(expression for expression, _ in WITHOUT_YEAR)


def _fitting(
    sample: list[str], patterns: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, str], ...]:
    """Return the patterns that match more than half of the texts."""
    return tuple(
        one
        for one in patterns
        if sum(map(bool, map(re.compile(one[0]).match, sample))) > 0.5 * len(sample)
    )


def _readings(texts: Any, expression: str, form: str, day_first: bool | None) -> list[Reading]:
    """Read texts with one pattern, with the day or the month first if both are possible."""
    fields = _Fields(texts, expression)
    if "x" not in fields.names:
        return [_reading(fields, fields.get("m"), fields.get("d"), form, None)]
    x, w = fields.number("x"), fields.number("w")
    orders = [True, False] if day_first is None else [day_first]
    matched = fields.matched
    both = bool((x[matched] <= 12).all() and (w[matched] <= 12).all()) and bool((x != w).any())
    readings = []
    for first in orders:
        named = form.replace("x", "%d" if first else "%m").replace("w", "%m" if first else "%d")
        month, day = (w, x) if first else (x, w)
        one = _reading(fields, month, day, named, first)
        readings.append(replace(one, ambiguous=both and day_first is None))
    return readings


class _Fields:
    """The parts of texts that the groups of a regular expression match."""

    def __init__(self, texts: Any, expression: str) -> None:
        self.expression = expression
        array = texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts
        self.found = pc.extract_regex(array, expression)
        self.matched: Array = np.asarray(self.found.is_valid().to_numpy(zero_copy_only=False))
        self.names = [self.found.type.field(i).name for i in range(self.found.type.num_fields)]

    def text(self, name: str) -> Any:
        """Return a part as lower-case texts, empty where it is missing."""
        part = pc.struct_field(self.found, name)
        return pc.utf8_lower(pc.fill_null(part, ""))

    def number(self, name: str, default: int = 0) -> Array:
        """Return a part as whole numbers."""
        text = self.text(name)
        empty = pc.equal(text, "")
        filled = pc.if_else(empty, str(default), text)
        return np.asarray(pc.cast(filled, pa.int64()).to_numpy(zero_copy_only=False))

    def get(self, name: str, default: int = 1) -> Array:
        """Return a part as whole numbers, or the default if the pattern does not have it."""
        if name in self.names:
            return self.number(name, default)
        return np.full(len(self.matched), default)

    def any(self, name: str) -> bool:
        """Return whether a part is in any text."""
        return name in self.names and bool(pc.any(pc.not_equal(self.text(name), "")).as_py())


def _reading(
    fields: _Fields, month: Array, day: Array, form: str, day_first: bool | None
) -> Reading:
    if "b" in fields.names:
        three = pc.utf8_slice_codeunits(fields.text("b"), 0, 3)
        place = pc.index_in(three, value_set=pa.array(MONTHS))
        month = np.asarray(pc.fill_null(place, 0).to_numpy(zero_copy_only=False)) + 1
    year = fields.get("Y", 1970)
    if fields.expression in _NO_YEARS:
        year = YEAR + _turns(31 * month + day)
    if "Y" in fields.names:
        short = np.asarray(
            pc.equal(pc.utf8_length(fields.text("Y")), 2).to_numpy(zero_copy_only=False)
        )
        year = np.where(short, np.where(year >= 69, 1900, 2000) + year, year)
    good = fields.matched.copy()
    period = "day"
    if "q" in fields.names:
        month, period = 3 * fields.get("q") - 2, "quarter"
    elif "W" in fields.names:
        period = "week"
    elif not {"d", "x", "j"} & set(fields.names):
        period = "month"
    safe_month = np.clip(month, 1, 12)
    good &= (month == safe_month) & (year >= 1)
    first = (year - 1970).astype("datetime64[Y]").astype("datetime64[M]")
    months = first + (safe_month - 1)
    days = months.astype("datetime64[D]") + (day - 1)
    if "j" in fields.names:
        days = first.astype("datetime64[D]") + (fields.get("j") - 1)
        good &= days.astype("datetime64[Y]") == first
    elif "W" in fields.names:
        days, in_year = days_of_weeks(year, fields.get("W"), fields.get("u", 1))
        good &= in_year
    else:
        good &= (days.astype("datetime64[M]") == months) & (day >= 1)
    clock, right = _clock(fields)
    good &= right
    if fields.any("H"):
        period = ""
    nano, unit = clock % 1000 != 0, "us"
    if nano.any():
        unit, factor = "ns", 1
    else:
        factor = 1000
    with np.errstate(over="ignore"):
        values = days.astype(f"datetime64[{unit}]") + (clock // factor).astype(
            f"timedelta64[{unit}]"
        )
    zoned = fields.any("z")
    if zoned:
        offsets, known = zone_seconds(fields.text("z"))
        good &= known
        values = values - offsets.astype("timedelta64[s]")
    values[~good] = np.datetime64("NaT")
    return Reading(values, form, day_first, zoned, fields.expression, False, period)


def _turns(days: Array) -> Array:
    """Return the number of turns of the year before each day, whose years are not known."""
    steps = np.diff(days, prepend=days[:1])
    return np.cumsum((steps < -TURN).astype(np.int64) - (steps > TURN))


def days_of_weeks(year: Array, week: Array, weekday: Array) -> tuple[Array, Array]:
    """Return days of weeks of ISO 8601, and whether the year has such a week."""
    fourth = (year - 1970).astype("datetime64[Y]").astype("datetime64[D]") + 3  # in week 1
    monday = fourth - (fourth.astype(np.int64) + 3) % 7
    days = monday + 7 * (week - 1) + (weekday - 1)
    thursday = monday + 7 * (week - 1) + 3
    in_year = thursday.astype("datetime64[Y]").astype(np.int64) == year - 1970
    return days, in_year & (week >= 1)


def _clock(fields: _Fields) -> tuple[Array, Array]:
    """Return nanoseconds since midnight, and whether they are a time of a day."""
    hour, minute, second = (fields.get(name, 0) for name in "HMS")
    nano = np.zeros(len(hour), np.int64)
    if fields.any("f"):
        digits = pc.utf8_rpad(fields.text("f"), 9, padding="0")
        nano = np.asarray(pc.cast(digits, pa.int64()).to_numpy(zero_copy_only=False))
    good = (minute < 60) & (second < 61)
    if fields.any("p"):
        half = fields.text("p")
        given = np.asarray(pc.not_equal(half, "").to_numpy(zero_copy_only=False))
        late = np.asarray(pc.equal(half, "p").to_numpy(zero_copy_only=False))
        good &= ~given | ((hour >= 1) & (hour <= 12))
        hour = np.where(given, hour % 12 + 12 * late, hour)
    # 24:00 is the end of a day.
    good &= (hour < 24) | ((hour == 24) & (minute == 0) & (second == 0) & (nano == 0))
    return ((hour * 60 + minute) * 60 + second) * 1_000_000_000 + nano, good
