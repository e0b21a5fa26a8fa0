"""Times in several columns: a date and a clock, or year, month, day and hour.

`join_time_columns` replaces such columns by one column of times.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unspool.data.messages import listed
from unspool.errors import InputError
from unspool.io.options import ReadOptions, TimeOptions
from unspool.io.time_columns import JOINED, SHAPE, as_times, looks_like_times
from unspool.io.time_text import CLOCK, read_texts

Array = npt.NDArray[Any]

PARTS = {
    "year": ("year", "yr", "yyyy", "yy"),
    "month": ("month", "mon", "mm", "mo", "mnth"),
    "day": ("day", "dd", "dy", "dom", "day_of_month"),
    "hour": ("hour", "hr", "hh", "hours"),
    "minute": ("minute", "min", "mi", "mn", "minutes"),
    "second": ("second", "sec", "ss", "seconds"),
}
LIMITS = {
    "year": (1500, 2200),
    "month": (1, 12),
    "day": (1, 31),
    "hour": (0, 24),
    "minute": (0, 59),
    "second": (0, 60),
}
CLOCK_NAMES = ("time", "clock", "hhmm", "hrmn", "hour_minute", "time_utc", "utc")


def join_time_columns(table: Any, options: ReadOptions) -> tuple[Any, ReadOptions, tuple[str, ...]]:
    """Join columns that together are a time; return the table, its options and notes.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    options : ReadOptions
        `time` may name several columns, as a sequence or with commas. If it is None, a date and a
        clock, or year, month and day, are found by their content and names.
    """
    names = given_names(options.time, table.column_names)
    table = _without_padding(table, names)
    if len(names) == 1:
        return table, replace(options, time=names[0]), ()
    if names:
        unknown = [name for name in names if name not in table.column_names]
        if unknown:
            raise InputError(
                f"`time`: there is no column {unknown[0]!r}; the file has "
                f"{listed(table.column_names)}."
            )
        times = _joined(table, names, options.times)
        if times is None:
            raise InputError(
                f"the columns {listed(names)} cannot be joined as times (the first row has "
                f"{' '.join(str(table[name][0].as_py()) for name in names)!r}); name a date and a "
                "clock, or year, month, day and hour."
            )
    else:
        names, times = _found(table, options)
        if times is None:
            return table, options, ()
        if (whole := " ".join(names)) in options.drop:
            drop = (*(one for one in options.drop if one != whole), *names)
            return table, replace(options, drop=drop), ()
    name = " ".join(names)
    place = table.column_names.index(names[0])
    kept = set(options.columns or ())
    for part in names:
        if part not in kept:
            table = table.remove_column(table.column_names.index(part))
    metadata = {} if pa.types.is_string(times.type) else {SHAPE: _shape(times.type)}
    if options.time is None:
        metadata[JOINED] = b""
    field = pa.field(name, times.type, metadata=metadata)
    table = table.add_column(min(place, table.num_columns), field, times)
    note = f"columns {listed([repr(part) for part in names])} joined as time"
    return table, replace(options, time=name), (note,)


def _without_padding(table: Any, names: list[str]) -> Any:
    """Return a table whose months, days, hours and minutes such as '07' are numbers."""
    kept = names[:1] if len(names) == 1 else []
    for place, name in enumerate(table.column_names):
        column = table.column(place)
        if _part_of(name) is None or name in kept or not pa.types.is_string(column.type):
            continue
        if (
            column.null_count < len(column)
            and pc.all(pc.match_substring_regex(column, r"^\d{1,2}$")).as_py()
        ):
            table = table.set_column(place, name, column.cast(pa.int64()))
    return table


def given_names(time: str | Sequence[str] | None, known: Sequence[str]) -> list[str]:
    """Return the names of the columns that `time` names."""
    if time is None:
        return []
    if not isinstance(time, str):
        return list(time)
    if time in known or "," not in time:
        return [time]
    return [one.strip() for one in time.split(",")]


def _found(table: Any, options: ReadOptions) -> tuple[list[str], Any]:
    """Find columns that together are a time; return their names and the times, or None."""
    named = {name for role, name in options.named.items() if role != "time" and name is not None}
    taken = named | set(options.drop)
    if options.columns is not None:
        taken |= set(options.columns)
    counts = table.column_names
    free = [name for name in counts if name not in taken and counts.count(name) == 1]
    dates = [name for name in free if _is_date(table[name], options.times)]
    whole = [
        name for name in free if name not in dates and looks_like_times(table[name], options.times)
    ]
    if whole:
        return [], None
    for date in dates[:1]:
        for clock in free:
            if clock != date and _is_clock(table[clock], clock):
                times = _joined(table, [date, clock], options.times)
                if times is not None:
                    return [date, clock], times
    if dates:
        return [], None
    parts = [_named(free, part) for part in PARTS]
    names = []
    for part in parts:
        if part is None:
            break
        names.append(part)
    if len(names) < 2:
        return [], None
    times = _of_parts(table, names)
    while times is None and len(names) > 4:  # columns 'min' and 'sec' may be other quantities
        names.pop()
        times = _of_parts(table, names)
    return names, times


def _named(names: list[str], part: str) -> str | None:
    return next((name for name in names if name.strip().lower() in PARTS[part]), None)


def _is_date(column: Any, options: TimeOptions) -> bool:
    """Return whether the first cells are dates without a clock."""
    kind = column.type
    if pa.types.is_date(kind):
        return True
    sample = column.slice(0, 1000)
    if pa.types.is_timestamp(kind):
        values = sample.to_numpy()
        return bool(len(values) and (values == values.astype("datetime64[D]")).all())
    if pa.types.is_integer(kind):
        texts = sample.cast(pa.string()).drop_null()
        return bool(len(texts)) and all(
            len(one) == 8 and one[:2] in ("19", "20") for one in texts.to_pylist()
        )
    if not looks_like_times(column, replace(options, date_format=None)):
        return False
    readings = read_texts(sample.cast(pa.string()).drop_null(), replace(options, date_format=None))
    values = readings[0].values
    known = values[~np.isnat(values)]
    return bool((known == known.astype("datetime64[D]")).all()) and not readings[0].zoned


def _is_clock(column: Any, name: str) -> bool:
    """Return whether the first cells are times of a day."""
    kind, sample = column.type, column.slice(0, 1000).drop_null()
    if pa.types.is_time(kind):
        return True
    if not len(sample):
        return False
    if pa.types.is_string(kind):
        cells = [one for one in sample.to_pylist() if one.strip()]
        clocks = [one for one in cells if len(one.strip()) > 2 and CLOCK.match(one)]
        return bool(cells) and len(clocks) == len(cells)
    if not pa.types.is_integer(kind):
        return False
    low, high = (pc.min_max(column).as_py()[end] for end in ("min", "max"))
    plain = name.strip().lower()
    if plain in PARTS["hour"] and low >= 0 and high <= 24:
        return True
    hundreds = plain in CLOCK_NAMES and low >= 0 and 24 < high <= 2400
    return hundreds and bool((column.to_numpy() % 100 < 60).all())


def _joined(table: Any, names: list[str], options: TimeOptions) -> Any:
    """Return the times of several columns, as texts or timestamps; None if they are none."""
    if [_part_of(name) for name in names] == list(PARTS)[: len(names)]:
        return _of_parts(table, names)
    date, *clocks = [table[name] for name in names]
    _check_filled(table, names)
    if len(clocks) == 1 and pa.types.is_integer(clocks[0].type):
        dates = _dates(date, options)
        if dates is None:
            return None
        hours = clocks[0].to_numpy()
        seconds = hours * 3600 if hours.max() <= 24 else (hours // 100 * 60 + hours % 100) * 60
        return pa.chunked_array([pa.array(dates + seconds.astype("timedelta64[s]"))])
    texts = [_texts(column) for column in (date, *clocks)]
    joined = pc.binary_join_element_wise(*texts, " ")
    return joined if looks_like_times(joined, options) else None


def _check_filled(table: Any, names: list[str]) -> None:
    """Raise an `InputError` for an empty cell in a part of the time.

    Without the clock, all rows of a day would have one time.
    """
    for name in names:
        empty = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(_texts(table[name])), ""), True)
        if pc.any(empty).as_py():
            row = empty.index(True).as_py() + 1
            raise InputError(
                f"column {name!r} is empty in data row {row}, and it is a part of the time; fill "
                f"it, or leave the column out with `drop={[name]}`."
            )


def _part_of(name: str) -> str | None:
    plain = name.strip().lower()
    return next((part for part, usual in PARTS.items() if plain in usual), None)


def _dates(column: Any, options: TimeOptions) -> Array | None:
    if pa.types.is_integer(column.type):
        column = column.cast(pa.string())
    found = as_times(column, options)
    return None if found is None else found.astype("datetime64[s]")


def _texts(column: Any) -> Any:
    """Return the cells of a column of dates or of clocks as texts."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.date32())
    return column.cast(pa.string())


def _of_parts(table: Any, names: list[str]) -> Any:
    """Return times of columns of years, months, days, hours, …; None if a value is no part."""
    parts = list(PARTS)[: len(names)]
    values = []
    for part, name in zip(parts, names, strict=True):
        numbers = _numbers(table[name])
        if numbers is None:
            return None
        if part == "year" and len(numbers) and numbers.max() < 100:
            numbers = numbers + np.where(numbers >= 69, 1900, 2000)
        low, high = LIMITS[part]
        if not len(numbers) or numbers.min() < low or numbers.max() > high:
            return None
        values.append(numbers)
    year, month, *rest = values
    months = (year - 1970).astype("datetime64[Y]").astype("datetime64[M]") + (month - 1)
    days = months.astype("datetime64[D]")
    if rest:
        days = days + (rest[0] - 1)
        if (days.astype("datetime64[M]") != months).any():
            return None
    if len(rest) < 2:
        return pa.chunked_array([pa.array(days)])
    seconds = sum(one * size for one, size in zip(rest[1:], (3600, 60, 1), strict=False))
    times = days.astype("datetime64[s]") + np.asarray(seconds).astype("timedelta64[s]")
    return pa.chunked_array([pa.array(times)])


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
    texts = pc.binary_join_element_wise(column, "2000", " ")
    found = [one for one in read_texts(texts, TimeOptions()) if one.n_read == len(texts)]
    if not found or found[0].period != "month":
        return None
    months: Array = found[0].values.astype("datetime64[M]").astype(np.int64) % 12 + 1
    return months


def _shape(kind: Any) -> bytes:
    return b"%Y-%m-%d" if pa.types.is_date(kind) else b"%Y-%m-%d %H:%M:%S"
