"""Times as numbers: since 1970, and as .NET, Windows, Excel, MATLAB, astronomy and R write them.

Seconds to nanoseconds since 1970, and ticks of .NET, are known by their size. All others need a
name that says what they are, or for days in Excel and MATLAB a name such as "date".
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unspool.io.role_names import plain

Array = npt.NDArray[Any]

# Numbers are instants since 1970 if all of them are between 1990 and 2060 in one of these units.
EPOCHS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
FIRST, LAST = 631_152_000, 2_871_763_200  # 1990 and 2061, in seconds
HOURS = "%Y%m%d%H"  # numbers of ten digits such as 2024013123
DAY = 86_400
WHOLE = 0.1  # seconds by which days with few decimals differ from whole seconds
CLOSE = 0.1  # years by which decimal years may differ from dates, which may be of months
PARALLEL = 0.1  # share of their range by which decimal years and times may move apart
NEAR_MONTH = 0.02  # months by which decimal years differ from the start or middle of a month
_DATE_NAMES = ("date", "datetime", "date_time", "dates", "time_date")


@dataclass(frozen=True)
class Count:
    """Numbers that count from an origin.

    Attributes
    ----------
    spelled : str
        What they count, for notes.
    origin : float
        The number of 1970-01-01.
    per_second : float
        How many there are in a second.
    names : tuple of str
        Names of columns that hold them.
    """

    spelled: str
    origin: float
    per_second: float
    names: tuple[str, ...]

    def fits(self, low: float, high: float) -> bool:
        """Return whether numbers are between 1990 and 2060."""
        first, last = ((one - self.origin) / self.per_second for one in (low, high))
        return FIRST <= first <= last < LAST

    def instants(self, numbers: Array) -> Array:
        """Return the instants of numbers, as datetime64."""
        if numbers.dtype.kind in "iu" and self.per_second >= 1:
            size = round(1_000_000_000 / self.per_second)
            nano = (numbers.astype(np.int64) - int(self.origin)) * size
            return np.asarray(nano.astype("datetime64[ns]"))
        seconds = (numbers - self.origin) / self.per_second
        whole = np.round(seconds)
        if (np.abs(seconds - whole) < WHOLE).all():
            return np.asarray(whole.astype(np.int64).astype("datetime64[s]"))
        return np.asarray(np.round(1e6 * seconds).astype(np.int64).astype("datetime64[us]"))

    def numbers(self, instants: Array) -> Array:
        """Return the numbers of instants."""
        if self.per_second >= 1:
            nano = instants.astype("datetime64[ns]").astype(np.int64)
            return nano // round(1_000_000_000 / self.per_second) + int(self.origin)
        seconds = instants.astype("datetime64[us]").astype(np.int64) / 1e6
        return self.origin + seconds * self.per_second


@dataclass(frozen=True)
class DecimalYears:
    """Years with a fraction, such as 2019.0417.

    Attributes
    ----------
    month : float or None
        Where all times are in their month, 0 for its start and 0.5 for its middle; None if they
        are anywhere.
    """

    month: float | None
    spelled: str = "years with a fraction"

    def instants(self, numbers: Array) -> Array:
        """Return the instants of numbers, as datetime64."""
        if self.month is not None:
            months = np.round(12 * numbers - self.month).astype(np.int64) - 12 * 1970
            days = 15 if self.month else 0
            return months.astype("datetime64[M]").astype("datetime64[D]") + days
        year = np.floor(numbers).astype(np.int64)
        start, length = _years(year)
        seconds = np.round((numbers - year) * length).astype(np.int64)
        return np.asarray(start + seconds.astype("timedelta64[s]"))

    def numbers(self, instants: Array) -> Array:
        """Return the numbers of instants."""
        if self.month is not None:
            months = instants.astype("datetime64[M]").astype(np.int64) + 12 * 1970
            return (months + self.month) / 12
        return decimal_years(instants)


_COUNTS = (
    Count(
        "ticks of 100 ns since year 1 (.NET)",
        621_355_968_000_000_000,
        1e7,
        ("ticks", "net_ticks", "dotnet_ticks", "datetime_ticks", "time_ticks", "timestamp_ticks"),
    ),
    Count(
        "units of 100 ns since 1601 (FILETIME of Windows)",
        116_444_736_000_000_000,
        1e7,
        ("filetime", "file_time", "windows_filetime", "win_filetime"),
    ),
    Count(
        "days since 1899-12-30 (Excel)",
        25_569,
        1 / DAY,
        (
            *("excel", "excel_date", "excel_time", "excel_serial", "exceldate", "exceltime"),
            *("xldate", "serial_date", *_DATE_NAMES),
        ),
    ),
    Count(
        "days since year 0 (datenum of MATLAB)",
        719_529,
        1 / DAY,
        (
            *("datenum", "date_num", "matlab_datenum", "matlab_time", "matlab_date", "matlab"),
            *("serial_date", "serial_date_number", *_DATE_NAMES),
        ),
    ),
    Count(
        "Julian days",
        2_440_587.5,
        1 / DAY,
        ("jd", "bjd", "hjd", "jd_utc", "bjd_tdb", "hjd_utc", "julian_date", "julian_day", "julian"),
    ),
    Count(
        "modified Julian days",
        40_587,
        1 / DAY,
        ("mjd", "bmjd", "mjd_utc", "mbjd", "modified_julian_date", "modified_julian_day"),
    ),
    Count(
        "seconds since 1900 (NTP)",
        2_208_988_800,
        1.0,
        ("ntp", "ntp_time", "ntp_seconds", "ntp_timestamp", "ntptime"),
    ),
    Count(
        "seconds since 1980-01-06 without leap seconds (GPS)",
        -315_964_800,
        1.0,
        ("gps_time", "gps_seconds", "gpstime", "gps_sec", "gps_s", "gps_timestamp"),
    ),
)
_TICKS = _COUNTS[0]
_YEAR_NAMES = (
    *("decimal_date", "decimal_year", "decimal", "dec_date", "dec_year", "decyear", "date_decimal"),
    *("fractional_year", "year_fraction", "yearfrac", "year_frac", "frac_year", "year_decimal"),
)
_MAYBE_YEARS = (*_DATE_NAMES, "year")  # decimal years only if they rise evenly


def are_hours(column: Any) -> bool:
    """Return whether all numbers are hours such as 2024013123.

    As seconds since 1970 they would be after 2030, and hardly all of them hours.
    """
    if not pa.types.is_integer(column.type):
        return False
    limits = pc.min_max(column).as_py()
    if not 1900010100 <= limits["min"] <= limits["max"] <= 2100123123:
        return False
    numbers = column.to_numpy()
    months, days, hours = (numbers // size % 100 for size in (10_000, 100, 1))
    parts = ((months, 1, 12), (days, 1, 31), (hours, 0, 23))
    return all(bool(((low <= one) & (one <= high)).all()) for one, low, high in parts)


def is_named(name: str) -> bool:
    """Return whether the name of a column says in which way its numbers are times."""
    low = _simple(name)
    return low in _YEAR_NAMES or any(
        low in one.names for one in _COUNTS if low not in _DATE_NAMES
    )  # fmt: skip


def count_of(column: Any, name: str) -> Count | DecimalYears | None:
    """Return how numbers count times, by their name and size; None if they do not.

    Parameters
    ----------
    column : pyarrow.ChunkedArray or pyarrow.Array
        Whole or real numbers, none of them missing.
    name : str
        Name of the column.
    """
    limits = pc.min_max(column).as_py()
    low, high, simple = limits["min"], limits["max"], _simple(name)
    for one in _COUNTS:
        if simple in one.names and one.fits(low, high):
            return one
    if simple in (*_YEAR_NAMES, *_MAYBE_YEARS) and 1500 <= low <= high < 2200:
        return _years_of(np.asarray(column.to_numpy(), np.float64), sure=simple in _YEAR_NAMES)
    if pa.types.is_integer(column.type) and _TICKS.fits(low, high) and not simple.endswith("ns"):
        return _TICKS  # nanoseconds since 1970 of this size would be from 1990
    return None


def repeated_times(
    table: Any, names: Sequence[str], time: str, values_of: Callable[[str], Array | None]
) -> list[str]:
    """Return the columns of numbers that are the times once more, as such or as decimal years.

    `values_of` returns the instants or numbers of a column of times; it is called only if the first
    cell of a column leaves this open.
    """
    if not table.num_rows:
        return []
    at = table[time]
    numeric = pa.types.is_integer(at.type) or pa.types.is_floating(at.type)
    found = []
    for name in names:
        column = table[name]
        first = column[0].as_py()
        if column.null_count or len(column) < 3:
            continue
        years = pa.types.is_floating(column.type) and 1500 <= first < 2200 and first != first // 1
        if (numeric and first == at[0].as_py()) or years:
            found.append(name)
    times = values_of(time) if found else None
    if times is None:
        return []
    return [name for name in found if _repeats(np.asarray(table[name].to_numpy()), times)]


def _repeats(numbers: Array, times: Array) -> bool:
    if (numbers == np.floor(numbers)).all():
        return False  # whole numbers may be equal by chance
    if times.dtype.kind != "M":
        return bool((numbers == times).all())
    years = decimal_years(times)
    apart = numbers - years
    # A pressure of 2023.4 hPa is near the year, but does not rise with it.
    return bool((np.abs(apart) < CLOSE).all() and np.ptp(apart) <= PARALLEL * np.ptp(years))


def decimal_years(instants: Array) -> Array:
    """Return instants as years with a fraction."""
    years = instants.astype("datetime64[Y]").astype(np.int64) + 1970
    start, length = _years(years)
    seconds = (instants.astype("datetime64[us]") - start).astype(np.int64) / 1e6
    decimal: Array = years + seconds / length
    return decimal


def _years(years: Array) -> tuple[Array, Array]:
    """Return the starts of years, and their lengths in seconds."""
    first = (years - 1970).astype("datetime64[Y]")
    start, end = (one.astype("datetime64[s]") for one in (first, first + 1))
    return start, (end - start).astype(np.int64)


def _years_of(numbers: Array, *, sure: bool) -> DecimalYears | None:
    """Return how decimal years are written; None if they are whole, or not surely years."""
    if (numbers == np.floor(numbers)).all():
        return None
    found = None
    for place in (0.0, 0.5):
        months = 12 * numbers - place
        whole = np.round(months)
        differ = len(np.unique(whole)) == len(np.unique(numbers))
        if differ and (np.abs(months - whole) < NEAR_MONTH).all():
            found = place
    steps = np.diff(numbers)
    even = len(steps) > 1 and bool((np.abs(steps - steps[0]) < 2e-3).all()) and steps[0] != 0
    periods = 1 / abs(steps[0]) if even else 0.0
    usual = any(abs(periods - one) < 0.02 * one for one in (4, 12, 52, 365.25))
    return DecimalYears(found) if sure or usual else None


def _simple(name: str) -> str:
    """Return a name in lower case, without units in brackets, with underscores for blanks."""
    without = re.sub(r"[(\[].*[)\]]", "", name)
    return re.sub(r"[\s.-]+", "_", plain(without)).strip("_")
