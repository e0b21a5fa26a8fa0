"""Times in several columns: a date and a clock, or year, month, day and hour.

`join_time_columns` replaces such columns by one column of times.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unspool.data.messages import listed
from unspool.errors import InputError
from unspool.io.date_parts import chain_of, named_parts, of_parts, part_of, unnamed_parts
from unspool.io.options import ReadOptions, TimeOptions
from unspool.io.time_clocks import is_clock, is_half_of_day, seconds_of
from unspool.io.time_columns import JOINED, SHAPE, as_times, looks_like_times
from unspool.io.time_text import read_texts

Array = npt.NDArray[Any]


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
        if part_of(name) is None or name in kept or not pa.types.is_string(column.type):
            continue
        if (
            column.null_count < len(column)
            and pc.all(pc.match_substring_regex(column, r"^\d{1,2}$")).as_py()
        ):
            table = table.set_column(place, name, column.cast(pa.int64()))
    return table


def given_names(time: str | Sequence[str] | None, known: Sequence[str]) -> list[str]:
    """Return the names of the columns that `time` names.

    A text names several columns with commas, or with blanks as notes and outputs do.
    """
    if time is None:
        return []
    if not isinstance(time, str):
        return list(time)
    if time in known:
        return [time]
    if "," in time:
        return [one.strip() for one in time.split(",")]
    return _split(time, known) or [time]


def _split(text: str, known: Sequence[str]) -> list[str]:
    """Return the known names that a text joins with blanks; empty if it does not."""
    if text in known:
        return [text]
    for name in known:
        if name and text.startswith(f"{name} "):
            rest = _split(text[len(name) + 1 :], known)
            if rest:
                return [name, *rest]
    return []


def _found(table: Any, options: ReadOptions) -> tuple[list[str], Any]:
    """Find columns that together are a time; return their names and the times, or None."""
    named = {name for role, name in options.named.items() if role != "time" and name is not None}
    taken = named | set(options.drop)
    if options.columns is not None:
        taken |= set(options.columns)
    counts = Counter(table.column_names)
    free = [name for name, count in counts.items() if name not in taken and count == 1]
    dates = [name for name in free if _is_date(table[name], options.times)]
    whole = [
        name for name in free if name not in dates and looks_like_times(table[name], options.times)
    ]
    if whole:
        return [], None
    for date in dates[:1]:
        for clock in free:
            if clock != date and is_clock(table[clock], clock):
                names = [date, clock, *_half_after(table, clock, free)]
                times = _joined(table, names, options.times)
                if times is not None:
                    return names, times
    if dates:
        return [], None
    names, times = named_parts(table, free)
    if not names and [*counts] == [str(i) for i in range(len(counts))]:
        return unnamed_parts(table, free)
    return names, times


def _half_after(table: Any, clock: str, free: list[str]) -> list[str]:
    """Return the column of AM and PM that follows a clock, as a list; empty if there is none."""
    following = free[free.index(clock) + 1 :][:1]
    return [name for name in following if is_half_of_day(table[name])]


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


def _joined(table: Any, names: list[str], options: TimeOptions) -> Any:
    """Return the times of several columns, as texts or timestamps; None if they are none."""
    chain = chain_of(names)
    if chain is not None and len(names) > 1:
        return of_parts(table, names, chain)
    date, *clocks = [table[name] for name in names]
    _check_filled(table, names)
    seconds = seconds_of(clocks[0], names[1]) if len(clocks) == 1 else None
    if seconds is not None:
        dates = _dates(date, options)
        if dates is None:
            return None
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


def _shape(kind: Any) -> bytes:
    return b"%Y-%m-%d" if pa.types.is_date(kind) else b"%Y-%m-%d %H:%M:%S"
