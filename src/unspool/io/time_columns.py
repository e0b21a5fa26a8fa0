"""Columns of times: which ones are times, and how their times are written back.

`parse_times` reads a column as instants to compute with; `TimeFormat` writes them as the file does.
"""

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unspool.errors import InputError
from unspool.io.number_times import (
    EPOCHS,
    FIRST,
    HOURS,
    LAST,
    UNITS,
    Count,
    DecimalYears,
    are_hours,
    count_of,
    is_named,
)
from unspool.io.options import TimeOptions
from unspool.io.role_names import plain
from unspool.io.time_form import TextForm
from unspool.io.time_patterns import PATTERNS
from unspool.io.time_text import YEAR, Reading, read_texts
from unspool.io.time_zones import zone_seconds

Array = npt.NDArray[Any]

# Names of columns whose numbers, if they can be read as times, are never features.
INSTANT_NAMES = (
    *("epoch", "ts", "unix", "unixtime", "unix_time", "unix_timestamp", "epoch_time", "dt"),
    *("timestamp", "timestamp_ms", "timestamp_ns", "timestamp_us", "timestamp_start"),
    *("timestamp_end", "start_time", "end_time", "open_time", "close_time"),
)
# Names of columns whose numbers are times only if they can be read as such.
EPOCH_NAMES = (
    *("dt", "timestamp_start", "timestamp_end", "start_time", "end_time"),
    *("epoch", "ts", "unix", "unixtime", "unix_time", "unix_timestamp", "epoch_time", "utc"),
    *("year", "yyyy", "yyyymm", "yyyymmdd", "yearmonth", "year_month", "month", "day"),
    *("timestamp_ms", "time_ms", "timestamp_ns", "timestamp_us", "created_at", "date_time"),
)
CLEAR = 3  # times as large a gap between times speaks against an order of day and month
MOST = 0.5  # share of texts that must be times in a column of times
JOINED = b"unspool.joined"  # metadata of a field: it was found in several columns
SHAPE = b"unspool.times"  # metadata of a field: how the file writes the times that Arrow read


@dataclass(frozen=True)
class TimeFormat:
    """How a file writes the times of a column.

    Parameters
    ----------
    cells : pyarrow.ChunkedArray
        The column as it was read, one cell for each row of the file.
    zoned : bool
        Whether the times have a zone or offsets.
    unit : str, optional
        Unit of numbers since 1970: "s", "ms", "us" or "ns".
    count : Count or DecimalYears, optional
        What other numbers count.
    form : TextForm, optional
        Form of texts, for new times.
    shape : str, optional
        Directives of `strftime` for times that Arrow read from ISO 8601.
    day_first : bool, optional
        Whether the day was taken before the month.
    readable : bool, default True
        Whether the column could be read as times; if not, its texts are only copied.
    """

    cells: Any
    zoned: bool = False
    unit: str | None = None
    count: Count | DecimalYears | None = None
    form: TextForm | None = None
    shape: str | None = None
    day_first: bool | None = None
    readable: bool = True

    def read(self, text: str) -> np.datetime64 | None:
        """Return the instant of a text, read like the cells of the column; None if it is none."""
        column = pa.array([text])
        found = as_times(column, TimeOptions(day_first=self.day_first))
        if found is None and self.form is not None:
            found = as_times(column)
        if found is None:
            return None
        if self.zoned and len(self.cells) and not _readings_zoned(text):
            if pa.types.is_timestamp(self.cells.type):
                there = pa.array(found).cast(pa.timestamp("us"))
                local = pc.assume_timezone(there, self.cells.type.tz, ambiguous="earliest")
                return np.datetime64(local.to_numpy(zero_copy_only=False)[0])
            found = found - self.offsets(np.zeros(1, np.int64)).astype("timedelta64[s]")
        return np.datetime64(found[0])

    def offsets(self, rows: Array) -> Array:
        """Return the offsets from UTC of the texts in `rows`, in seconds."""
        if not self.zoned or self.form is None:
            return np.zeros(len(rows), np.int64)
        found = pc.extract_regex(_taken(self.cells, rows), self.form.pattern.pattern)
        return zone_seconds(pc.utf8_lower(pc.struct_field(found, "z")))[0]

    def written(self, values: Array | None, rows: Array, like: Array | None = None) -> Any:
        """Return times as the file writes them, as an Arrow array of texts or numbers.

        Parameters
        ----------
        values : array of shape (N,) of datetime64, or None
            Instants; only those of new times are used.
        rows : array of shape (N,) of int
            Row of the file that has each time; -1 for a new time.
        like : array of shape (N,) of int, optional
            Row whose form and offset each new time has.
        """
        if like is None or (rows >= 0).all():
            return self._texts(_taken(self.cells, rows))
        assert values is not None
        old = self._texts(_taken(self.cells, np.where(rows >= 0, rows, like))).to_pylist()
        new = self._new(values, like)
        return pa.array([new[i] if row < 0 else old[i] for i, row in enumerate(rows)])

    def typed(self, values: Array | None, rows: Array, like: Array | None = None) -> Any:
        """Return times for a Parquet file, with the arguments of `written`."""
        kind = self.cells.type
        if values is None or not self.readable or (like is None and not _is_text(kind)):
            return _taken(self.cells, rows)
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            return self.written(values, rows, like).cast(kind)
        if not _is_text(kind):
            return pa.array(values).cast(pa.timestamp("ns")).cast(kind, safe=False)
        if not self.zoned:
            return pa.array(values)
        offsets = np.unique(self.offsets(np.arange(len(self.cells))))
        zone = "UTC"
        if len(offsets) == 1 and offsets[0]:
            hours, minutes = divmod(abs(int(offsets[0])) // 60, 60)
            zone = f"{'-' if offsets[0] < 0 else '+'}{hours:02d}:{minutes:02d}"
        return pa.array(values, pa.timestamp(np.datetime_data(values.dtype)[0], zone))

    def local(self, values: Array, like: Array) -> tuple[Array, Any]:
        """Return instants on the clock of the file, and what `instants` needs to reverse it."""
        if not self.zoned:
            return values, None
        zone = getattr(self.cells.type, "tz", None)
        if zone is not None:
            there = pa.array(values.astype("datetime64[us]"), pa.timestamp("us", zone))
            return np.asarray(pc.local_timestamp(there).to_numpy(zero_copy_only=False)), zone
        offsets = self.offsets(like).astype("timedelta64[s]")
        return values + offsets, offsets

    @staticmethod
    def instants(local: Array, zone: Any) -> Array:
        """Return the instants of times on the clock of the file."""
        if zone is None:
            return local
        if isinstance(zone, str):
            there = pa.array(local.astype("datetime64[us]"))
            found = pc.assume_timezone(there, zone, ambiguous="earliest", nonexistent="latest")
            return np.asarray(found.to_numpy(zero_copy_only=False))
        return np.asarray(local - zone[-1])

    def _texts(self, cells: Any) -> Any:
        """Return cells as texts or numbers."""
        kind = cells.type
        if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
            return cells
        if self.shape is not None:
            digits = self.shape.partition("%")[0]
            if pa.types.is_timestamp(kind):
                cells = cells.cast(pa.timestamp(digits or "s", kind.tz), safe=False)
            return pc.strftime(cells, format=self.shape[len(digits) :])
        if pa.types.is_date(kind):
            return cells.cast(pa.date32()).cast(pa.string())
        cells = _coarsest(cells)
        if kind.tz is None:
            return pc.strftime(cells, format="%Y-%m-%d %H:%M:%S")
        texts = pc.strftime(cells, format="%Y-%m-%d %H:%M:%S%z")
        return pc.replace_substring_regex(texts, r"([-+]\d\d)(\d\d)$", r"\1:\2")

    def _new(self, values: Array, like: Array) -> list[Any]:
        """Return the texts or numbers of new times."""
        if self.unit is not None:
            size = EPOCHS[self.unit]
            if pa.types.is_integer(self.cells.type):
                whole = values.astype("datetime64[ns]").astype(np.int64) // (10**9 // size)
                return list(whole.tolist())
            return list(
                (values.astype("datetime64[us]").astype(np.int64) / (10**6 / size)).tolist()
            )
        if self.count is not None:
            return list(self.count.numbers(values).tolist())
        if self.form is None:
            kind = self.cells.type
            return list(self._texts(pa.array(values).cast(kind, safe=False)).to_pylist())
        local = values + self.offsets(like).astype("timedelta64[s]")
        cells = _taken(self.cells, like)
        texts = [
            self.form.write(value, str(cell))
            for value, cell in zip(local, cells.to_pylist(), strict=True)
        ]
        return [int(one) for one in texts] if pa.types.is_integer(cells.type) else texts


@dataclass(frozen=True)
class TimeColumn:
    """The times of a column.

    Parameters
    ----------
    values : array of shape (rows,), or None
        Instants as datetime64, in UTC if the column has zones or offsets; None if the column could
        not be read as times.
    format : TimeFormat
        Writes the times as the file does.
    notes : tuple of str
        How the times were read.
    """

    values: Array | None
    format: TimeFormat
    notes: tuple[str, ...] = ()


def parse_times(
    column: Any, options: TimeOptions, name: str = "", *, shape: str | None = None
) -> TimeColumn | None:
    """Read a column as times; return None if it holds none.

    Parameters
    ----------
    column : pyarrow.ChunkedArray or pyarrow.Array
        Timestamps, dates, texts, or numbers.
    options : TimeOptions
        The format and the order of day and month, if the user gave them.
    name : str, default ""
        Name of the column, for notes.
    shape : str, optional
        How the file writes times that Arrow read, from `shape_of`.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        zoned = pa.types.is_timestamp(kind) and kind.tz is not None
        form = TimeFormat(column, zoned, shape=shape)
        if column.null_count:
            return copied(column, name, column.is_null().index(True).as_py())
        values = column.to_numpy(zero_copy_only=False) if isinstance(column, pa.Array) else None
        return TimeColumn(np.asarray(column.to_numpy() if values is None else values), form)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return _of_numbers(column, options, name)
    if not _is_text(kind) or not len(column):
        return None
    return _of_texts(column, options, name)


def names_instants(name: str) -> bool:
    """Return whether the name of a column says that its numbers may be times."""
    return plain(name) in EPOCH_NAMES or is_named(name)


def as_times(column: Any, options: TimeOptions | None = None) -> Array | None:
    """Return the instants of timestamps, dates or texts; None if a cell has none."""
    kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return None
    found = parse_times(column, options or TimeOptions())
    return None if found is None else found.values


def looks_like_times(column: Any, options: TimeOptions) -> bool:
    """Return whether the first cells of a column of timestamps, dates or texts are times."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return True
    if not _is_text(kind):
        return False
    sample = column.slice(0, 1000).cast(pa.string()).drop_null()
    found = read_texts(sample, options)
    return bool(found) and found[0].n_read > MOST * len(sample)


def copied(column: Any, name: str, row: int) -> TimeColumn:
    """Return a column that could not be read as times, because of the cell in `row`."""
    cell = column[row].as_py()
    why = "is empty" if cell is None or cell == "" else f"is {str(cell)[:60]!r}"
    note = (
        f"column {name!r} {why} in data row {row + 1}, which cannot be read as a time: it is "
        "copied to outputs, but steps are not ordered by it; use --date-format or correct the file"
    )
    return TimeColumn(None, TimeFormat(column, readable=False), (note,))


def _of_texts(column: Any, options: TimeOptions, name: str) -> TimeColumn | None:
    texts = column.cast(pa.string()) if column.type == pa.large_string() else column
    found = _of_iso(texts) if options.date_format is None else None
    readings = [found] if found is not None else read_texts(texts, options)
    if not readings or readings[0].n_read <= MOST * len(texts):
        return None
    best, decided = _best(readings, texts)
    if best.n_read < len(texts):
        return copied(texts, name, int(np.isnat(best.values).argmax()))
    form = TextForm(best.expression, texts.slice(0, 1000).to_pylist(), best.day_first)
    format = TimeFormat(texts, best.zoned, form=form, day_first=best.day_first)
    notes = () if found is not None else (_note(best, readings, format, name, decided=decided),)
    return TimeColumn(best.values, format, notes)


def _of_iso(texts: Any) -> Reading | None:
    """Read texts in ISO 8601, all with or all without an offset, which Arrow reads fast."""
    trimmed = pc.utf8_trim_whitespace(texts)
    for zone in (None, "UTC"):
        try:
            values = np.asarray(trimmed.cast(pa.timestamp("us", zone)).to_numpy())
        except pa.ArrowInvalid:
            continue
        if np.isnat(values).any() or (values < np.datetime64("0100-01-01")).any():
            return None
        return Reading(values, "", None, zone is not None, PATTERNS[0][0], False, "")
    return None


def _of_numbers(column: Any, options: TimeOptions, name: str) -> TimeColumn | None:
    """Read numbers that count from an origin, or compact dates such as 20210301."""
    if column.null_count or not len(column):
        return None
    count = count_of(column, name) if options.date_format is None else None
    if count is not None:
        instants = count.instants(np.asarray(column.to_numpy()))
        note = f"column {name!r}: numbers taken as {count.spelled}, {_shown(instants[0])} first"
        return TimeColumn(instants, TimeFormat(column, count=count), (note,))
    limits = pc.min_max(column).as_py()
    low, high = limits["min"], limits["max"]
    if options.date_format is None and are_hours(column):
        options = replace(options, date_format=HOURS)
    for unit, size in EPOCHS.items():
        if FIRST * size <= low <= high < LAST * size and options.date_format is None:
            numbers = column.to_numpy()
            if numbers.dtype.kind == "f":
                micro = np.round(numbers * (1e6 / size)).astype(np.int64)
                values = micro.astype("datetime64[us]")
            else:
                values = numbers.astype(f"datetime64[{unit}]")
            note = f"column {name!r}: numbers taken as {UNITS[unit]} since 1970, {values[0]} first"
            return TimeColumn(values, TimeFormat(column, unit=unit), (note,))
    if pa.types.is_floating(column.type):
        whole = pc.all(pc.equal(pc.floor(column), column)).as_py() and abs(high) < 1e15
        if not whole:
            return None
        column = column.cast(pa.int64())
    digits = len(str(high))
    years = (1000 <= low // 10 ** (digits - 4) <= high // 10 ** (digits - 4) < 2200) and low > 0
    if len(str(low)) != digits or not years:
        return None
    if digits == 4 and options.date_format is None:
        numbers = column.to_numpy()
        if not (len(numbers) > 1 and (abs(np.diff(numbers)) == 1).all() and low >= 1500):
            return None
        options = replace(options, date_format="%Y")
    texts = column.cast(pa.string())
    readings = [one for one in read_texts(texts, options) if one.n_read == len(texts)]
    if not readings:
        return None
    best = readings[0]
    format = TimeFormat(column, form=TextForm(best.expression, []))
    note = (
        f"column {name!r}: {low} and other numbers taken as times, {_shown(best.values[0])} first"
    )
    return TimeColumn(best.values, format, (note,))


def _best(readings: list[Reading], texts: Any) -> tuple[Reading, bool]:
    """Return the reading with the most regular times, and whether the times decided it."""
    if len(readings) == 1:
        return readings[0], True
    ranks = [_irregularity(one.values) for one in readings]
    best = min(rank[:2] for rank in ranks)
    equal = [(one, rank[2]) for one, rank in zip(readings, ranks, strict=True) if rank[:2] == best]
    nearest = min(largest for _, largest in equal)
    kept = [one for one, largest in equal if largest <= max(CLEAR * nearest, nearest)]
    if len(kept) == 1:
        return kept[0], True
    text = str(texts[0].as_py())
    if any(one.form.startswith("%y") for one in kept) and "-" in text:
        return next(one for one in kept if one.form.startswith("%y")), False
    first = re.search(r"(?i)[ap]\.?m", text) is None  # a.m. is written with the month first
    return next((one for one in kept if one.day_first == first), kept[0]), False


def _irregularity(values: Array) -> tuple[int, float, int]:
    """Return how irregular times are: steps back, share of unusual steps, largest distance."""
    known = values[~np.isnat(values)]
    steps = np.diff(known).astype(np.int64)
    steps = steps[steps != 0]
    if not len(steps):
        return 0, 0.0, 0
    back = int(min((steps < 0).sum(), (steps > 0).sum()))
    unusual = 1 - np.unique(np.abs(steps), return_counts=True)[1].max() / len(steps)
    days = known.astype("datetime64[D]")
    months = known.astype("datetime64[M]")
    if (days == months.astype("datetime64[D]")).all() and len(np.unique(months)) > 2:
        apart = np.diff(months).astype(np.int64)
        apart = apart[apart != 0]
        monthly = 1 - np.unique(np.abs(apart), return_counts=True)[1].max() / len(apart)
        unusual = min(unusual, monthly)
    return back, round(float(unusual), 12), int(np.abs(steps).max())


def _note(
    best: Reading, readings: list[Reading], format: TimeFormat, name: str, *, decided: bool
) -> str:
    text = str(format.cells[0].as_py())
    local = best.values[:1] + format.offsets(np.zeros(1, np.int64)).astype("timedelta64[s]")
    note = f"column {name!r}: {text!r} read as {_shown(local[0], best.period)}"
    if not best.has_year:
        note += f", with {YEAR} for the year, which is not given"
    if best.day_first is None:
        return f"{note} (--date-format sets another format)" if "%y" in best.form else note
    order = "day" if best.day_first else "month"
    other = "month" if best.day_first else "day"
    if not best.ambiguous or len(readings) == 1:
        return f"{note}, the {order} first"
    why = ", which makes the steps regular" if decided else ", though both orders are possible"
    return f"{note}, the {order} first{why}; --{other}-first reads the {other} first"


def _shown(value: Any, period: str = "") -> str:
    """Return a time for a note, without a clock if it is a day."""
    seconds = str(value.astype("datetime64[s]")).replace("T", " ")
    return seconds.partition(" ")[0] if period else seconds


def _coarsest(cells: Any) -> Any:
    """Return timestamps in the coarsest unit that is exact."""
    for unit in ("s", "ms", "us"):
        try:
            return cells.cast(pa.timestamp(unit, cells.type.tz))
        except pa.ArrowInvalid:
            continue
    return cells


def _taken(cells: Any, rows: Array) -> Any:
    """Return cells of rows as one array, without copying if all rows are in order."""
    if len(rows) != len(cells) or not np.array_equal(rows, np.arange(len(cells))):
        cells = cells.take(pa.array(rows))
    return cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _readings_zoned(text: str) -> bool:
    found = read_texts(pa.chunked_array([pa.array([text])]), TimeOptions())
    return any(one.zoned for one in found)


def check_date_format(date_format: str | None) -> None:
    """Raise if a format of times has an unknown directive."""
    from unspool.io.time_patterns import expression_of

    if date_format is None:
        return
    try:
        expression_of(date_format)
    except ValueError as error:
        raise InputError(
            f"`date_format` (--date-format): the directive {error} is unknown; use %Y %y %m %b %d "
            "%j %H %I %M %S %f %p %a %z."
        ) from None
