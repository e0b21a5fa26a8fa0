"""Tables of long series: rows are time steps, columns are features.

`read_table` reads a file as an Arrow table. For `of_table`, `find_roles` (`roles`) finds the roles
of its columns. The features become one array (T, F), which `_series` splits by the column of ids.
`sequences_from_table` does the same with a frame.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import narwhals.stable.v1 as nw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from unspool import _checks
from unspool._types import Missing, names
from unspool.data.convert import as_sequences
from unspool.data.frames import is_frame
from unspool.data.sequences import FILL_HINT, FloatArray, IntArray, Sequences
from unspool.errors import InputError
from unspool.io.archives import MAX_COMPRESSION
from unspool.io.arrow_files import read_arrow
from unspool.io.cells import NUMBER, kind_of
from unspool.io.column_shapes import decoded, is_numeric
from unspool.io.cutting import of_sequences, of_series
from unspool.io.delimited import read_delimited
from unspool.io.endings import ARROW, EXCEL, JSON, PARQUET
from unspool.io.excel import sheet_as_text
from unspool.io.file_data import Column, FileData
from unspool.io.json_tables import read_json
from unspool.io.list_columns import has_lists, of_lists
from unspool.io.missing import WORDS, missing_notes, null_values
from unspool.io.npy import HARMLESS
from unspool.io.options import ReadOptions, TimeOptions
from unspool.io.role_names import ID_NAMES, LABEL_NAMES, TIME_NAMES, quoted
from unspool.io.roles import Roles, find_roles
from unspool.io.time_columns import (
    SHAPE,
    TimeColumn,
    TimeFormat,
    as_times,
    copied,
    parse_times,
)
from unspool.io.time_order import goes_back, in_order
from unspool.io.time_parts import join_time_columns
from unspool.io.time_shapes import without_zeros

Named = dict[str, str | None]

_SIGNED = re.compile(r"\s*[%‰$€£¥]\s*|\b(EUR|USD|GBP|CHF)\b\s*")  # percent and currency
LONGEST_CELL = 60  # characters of a cell in a message


def of_table(table: Any, options: ReadOptions, notes: tuple[str, ...] = ()) -> FileData:
    """Return the content of a `pyarrow.Table` whose rows are time steps.

    Raises
    ------
    InputError
        If columns are missing or contain no numbers, values are missing, time goes back, or a
        series is to be read without a window. Messages count data rows from 1.
    """
    table = decoded(table)
    if has_lists(table):
        return of_lists(table, options, notes)
    windows, guess = options.windows, options.time is None
    table, options, joined = join_time_columns(table, options)
    _check_against_first_row(table, options)
    table = without_zeros(table, _names_of_texts(table, options))
    roles = find_roles(
        table,
        options.named,
        options.columns,
        rows=options.rows,
        drop=options.drop,
        times=options.times,
    )
    notes += joined + roles.notes
    if options.rows:
        return replace(_row_sequences(table, roles, options, notes), roles=roles.columns)
    if roles.id is None and windows.size is None:
        raise InputError(
            f"the table is one series of {table.num_rows:,} steps; cut it into windows, for "
            "example with `window=96`, or, if each row is a sequence, give `rows=True`."
        )
    words = null_values(options.missing.values)
    values = _features(table, roles.features, windows.accepted, words)
    notes += missing_notes(values, roles.features, windows)
    ids, parts = _series(table, roles.id)
    steps: dict[str, list[Column]] = {}
    found = None
    if roles.time is not None:
        found = _times(table, roles.time, options.times)
        notes += found.notes
    if found is not None and found.values is not None:
        assert roles.time is not None
        times = found.values
        parts, order_notes, back = in_order(times, parts, roles.time, named=not guess)
        notes += order_notes
        if not back:
            steps["time"] = [times[part] for part in parts]
        elif guess and options.columns is not None and not roles.id_candidates:
            notes += (f"{back}: steps are numbered instead",)
        else:
            raise InputError(f"{back}; {_ways_out(roles, guess)}.")
        if roles.id_candidates:
            notes += (f"times repeat, as in a file of several series: {_candidates(roles)}",)
    if windows.needs_times and found is not None and found.values is None:
        raise InputError(
            f"windows are to be cut by time, but {found.notes[0]}; or give `window` and `stride` "
            "as numbers of steps."
        )
    if roles.label is not None:
        labels = plain_column(table[roles.label])
        steps["label"] = [labels[part] for part in parts]
    if roles.weight is not None:
        weights = _features(table, [roles.weight], "raise")[:, 0]
        steps["weight"] = [weights[part] for part in parts]
    if ids is not None:
        notes += (f"{len(ids):,} series, by column {roles.id!r}",)
    series = of_series(
        [values[part] for part in parts],
        windows,
        ids=ids,
        steps=steps,
        names=roles.features,
        notes=notes,
        time_format=None if found is None else found.format,
        rows=[np.arange(table.num_rows)[part] for part in parts],
    )
    return replace(series, roles=roles.columns)


def _check_against_first_row(table: Any, options: ReadOptions) -> None:
    """Refuse a name that is a cell of the first row of a table without a header."""
    columns = table.column_names
    if not table.num_rows or columns != [str(number) for number in range(len(columns))]:
        return
    for role, name in options.named.items():
        if name is None or name in columns:
            continue
        column = next((one for one in columns if str(table[one][0].as_py()) == name), None)
        if column is not None:
            raise InputError(
                f"`{role}`: {name!r} is a value in the first row of column {column!r}, as the file "
                f"has no header; give {quoted(role, column)}, or `header=1` if the first row has "
                "the names."
            )


def _names_of_texts(table: Any, options: ReadOptions) -> set[str]:
    """Return the columns whose texts keep leading zeros: ids, labels and times."""
    named = {name for name in options.named.values() if name is not None}
    usual = {*ID_NAMES, *TIME_NAMES, *LABEL_NAMES}
    return named | {name for name in table.column_names if name.strip().lower() in usual}


def read_table(path: Path, options: ReadOptions | None = None) -> tuple[Any, tuple[str, ...]]:
    """Read the file of a table as a `pyarrow.Table`; return it with notes on how it was read."""
    options = options or ReadOptions()
    ending = path.suffix.lower()
    given = [f"`{name}`" for name in options.text.given()]
    if given and ending in (*PARQUET, *ARROW, *JSON):
        raise InputError(
            f"{', '.join(given)} cannot be used with a {ending} file, which is not text; leave "
            f"{'it' if len(given) == 1 else 'them'} out."
        )
    if ending in PARQUET:
        return _read_parquet(path), ()
    if ending in ARROW:
        return read_arrow(path), ()
    if ending in JSON:
        return read_json(path, options.key)
    if ending in EXCEL:
        with sheet_as_text(path, options.key) as (text, notes):
            table, more = read_delimited(text, options.text, options.missing.values)
        return table, (*notes, *more)
    return read_delimited(path, options.text, options.missing.values)


def sequences_from_table(
    frame: Any,
    *,
    id: str | None = None,
    time: str | None = None,
    columns: Sequence[str] | None = None,
    missing: Missing = "raise",
) -> Sequences:
    """Convert a long table to sequences: the rows of one id are one sequence.

    Parameters
    ----------
    frame : pandas or polars DataFrame, or pyarrow Table
        The table; rows are time steps. Rows of a sequence keep their order.
    id : str, optional
        Column (or level of a pandas index) that says which sequence a row belongs to. A pandas
        frame with the index (instance, time) does not need it.
    time : str, optional
        Column (or level of a pandas index) of times. It is checked that they do not decrease
        within a sequence; they are not a feature.
    columns : sequence of str, optional
        Columns to use as features. By default all columns except `id` and `time`.
    missing : {"raise", "mask"}, default "raise"
        Whether values may be missing: raise an error, or keep them as NaN for models with
        ``missing="mask"``.

    Returns
    -------
    Sequences
        N sequences in the order in which their ids first appear, T the number of rows of the most
        frequent id, F the number of columns.

    Raises
    ------
    InputError
        If a column does not exist or contains no numbers, a value is missing with
        ``missing="raise"``, or time goes back.
        Messages count data rows from 1.

    See Also
    --------
    as_sequences : Convert arrays, lists and frames.
    read_file : Read a table from a file.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from unspool import sequences_from_table
    >>> table = pa.table({"engine": ["a", "a", "b"], "heat": [1.0, 2.0, 3.0]})
    >>> sequences_from_table(table, id="engine")
    Sequences(2 sequences of 1 to 2 steps, 1 feature)
    """
    _checks.raise_all(_checks.choice("missing", missing, names(Missing)))
    index = getattr(frame, "index", None)
    levels = list(getattr(index, "names", ()))
    if len(levels) == 2 and id in (None, levels[0]) and time in (None, levels[1]):
        return _of_instances(frame, columns, missing)
    if id is None:
        raise InputError(
            "Expected `id`, the column that says which sequence a row belongs to; give a frame "
            "that is one series as [frame], or cut it with Windows(frame, size)."
        )
    asked = [name for name in levels if name is not None and name in (id, time)]
    try:
        if asked:
            frame = frame.reset_index(level=asked)
        read = nw.from_native(frame, eager_only=True)
        numbered = [name for name in read.columns if not isinstance(name, str)]
        if numbered:
            raise InputError(
                f"Expected columns named by strings, got {numbered[0]!r}; give "
                "frame.rename(columns=str)."
            )
        table = read.to_arrow().select(read.columns)  # without the index of a pandas frame
    except InputError:
        raise
    except (TypeError, ValueError, pa.ArrowException, nw.exceptions.NarwhalsError) as error:
        raise InputError(
            "Expected a pandas or polars DataFrame or a pyarrow Table, got "
            f"{type(frame).__name__}, which cannot be read: {error}."
        ) from None
    if columns is None:
        columns = [name for name in table.column_names if name not in (id, time)]
    named: Named = {"time": time, "id": id, "label": None}
    roles = find_roles(table, named, columns)
    if table.num_rows == 0:
        raise InputError("Expected at least one row, got an empty table.")
    values = _features(table, roles.features, missing, of_file=False)
    _, parts = _series(table, id)
    if time is not None:
        times = _checked_times(table, time)
        back = goes_back(times, parts, time)
        if back:
            raise InputError(f"{back}; sort the table by {time!r}.")
    return Sequences.from_list([values[part] for part in parts], roles.features, missing)


def _of_instances(frame: Any, columns: Sequence[str] | None, missing: Missing) -> Sequences:
    """Return sequences of a frame with the index (instance, time)."""
    if not is_frame(frame):  # a pandas Series
        frame = frame.to_frame()
    lacking = [name for name in columns or () if name not in frame.columns]
    if lacking:
        raise InputError(f"`columns`: {_checks.unknown_name('column', lacking[0], frame.columns)}")
    source = as_sequences(frame if columns is None else frame[list(columns)], missing)
    assert isinstance(source, Sequences)
    return source


def _read_parquet(path: Path) -> Any:
    size = path.stat().st_size
    try:
        with pq.ParquetFile(path) as file:
            about, groups = file.metadata, range(file.metadata.num_row_groups)
            packed = sum(about.row_group(i).total_byte_size for i in groups)
            total = max(packed, 8 * about.num_rows * about.num_columns)
            if total > max(HARMLESS, MAX_COMPRESSION * size):
                raise InputError(
                    f"the file has {size:,} bytes and contains {about.num_rows:,} rows of "
                    f"{about.num_columns:,} columns, about {total:,} bytes in memory, more than "
                    f"{MAX_COMPRESSION} times its size; if that is intended, write it as .npy."
                )
            table = file.read()
    except pa.ArrowException as error:
        raise InputError(f"the file cannot be read as Parquet: {error}.") from None
    if table.num_rows == 0:
        raise InputError("the table has no rows; write it again.")
    return table


def _row_sequences(
    table: Any, roles: Roles, reading: ReadOptions, notes: tuple[str, ...]
) -> FileData:
    """Read each row as a sequence of one feature; empty cells at its end are padding."""
    options, time_format = reading.windows, None
    values = _features(table, roles.features, options.accepted, ends_empty=True)
    index: dict[str, Column] = {}
    if roles.id is not None:
        index["id"] = plain_column(table[roles.id])
    if roles.time is not None:
        found = _times(table, roles.time, reading.times)
        notes += found.notes
        time_format = found.format
        index["time"] = np.asarray(
            plain_column(found.format.cells) if found.values is None else found.values
        )
    if roles.label is not None:
        index["label"] = plain_column(table[roles.label])
    if roles.weight is not None:
        index["weight"] = _features(table, [roles.weight], "raise")[:, 0]
    notes = (*notes, f"each of {table.num_rows:,} rows read as a sequence of one feature")
    source = Sequences(values[:, :, None], missing=options.accepted)
    return of_sequences(source, options, index=index, notes=notes, time_format=time_format)


def _features(
    table: Any,
    names: Sequence[str],
    missing: Missing,
    words: Sequence[str] = WORDS,
    *,
    ends_empty: bool = False,
    of_file: bool = True,
) -> FloatArray:
    """Return the columns as one array (rows, F); with `ends_empty`, rows may end in empty cells.

    In columns of text, `words` mean that a value is missing. Columns of a file can be left out with
    `drop`.
    """
    kinds = {table.schema.field(name).type for name in names}
    dtype = np.float32 if kinds == {pa.float32()} else np.float64
    values = np.empty((table.num_rows, len(names)), dtype)
    for i, name in enumerate(names):
        values[:, i] = _numbers(table[name], name, words, of_file=of_file)
    bad = np.isinf(values) if missing == "mask" else ~np.isfinite(values)
    if ends_empty:
        # A value is padding if all values from it to the end of the row are NaN.
        bad &= ~np.logical_and.accumulate(np.isnan(values)[:, ::-1], axis=1)[:, ::-1]
    if bad.any():
        row, i = np.argwhere(bad)[0]
        if np.isinf(values[row, i]):
            raise InputError(
                f"column {names[i]!r} holds {values[row, i]} in data row {row + 1}; correct such "
                f"rows, or {_without(names[i], of_file=of_file)}."
            )
        counts = (bad & np.isnan(values)).sum(axis=0)
        each = [f"{count:,} in {name}" for name, count in zip(names, counts, strict=True) if count]
        raise InputError(
            f"column {names[i]!r} has no value in data row {row + 1} (its cell is empty or a word "
            f"such as NA or ?); {counts.sum():,} missing in total: {', '.join(each)}. "
            f"{FILL_HINT[0].upper()}{FILL_HINT[1:]}, or {_without(names[i], of_file=of_file)}."
        )
    return values


def _without(name: str, *, of_file: bool) -> str:
    """Say how to leave a column out."""
    if of_file:
        return f"leave the column out with {quoted('drop', name)}"
    return "name other features with `columns`"


def _numbers(
    column: Any, name: str, words: Sequence[str] = WORDS, *, of_file: bool = True
) -> FloatArray:
    """Return a column as an array of numbers; NaN where it is empty or holds one of `words`."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    decimal = pa.types.is_decimal(kind)
    if is_numeric(kind) or decimal or pa.types.is_boolean(kind) or pa.types.is_null(kind):
        whole = kind if pa.types.is_floating(kind) else pa.float64()
        return np.asarray(column.cast(whole, safe=False).to_numpy())
    way_out = _without(name, of_file=of_file)
    if of_file:
        way_out += ", or name it with `time`, `id` or `label`"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        text = pc.utf8_trim_whitespace(column)
        known = pc.if_else(pc.is_in(text, pa.array(words, kind)), pa.scalar(None, kind), text)
        try:
            if known.null_count == len(known) > 0:
                raise pa.ArrowInvalid("no number")
            return np.asarray(known.cast(pa.float64()).to_numpy())  # numbers such as 007
        except pa.ArrowInvalid:
            found = _text_found(column.to_pylist(), name)
            joint = ";" if found.endswith("not numbers") else ", or"
            raise InputError(f"{found}{joint} {way_out}.") from None
    values = column.to_pylist()
    example = next((value for value in values if value is not None), None)
    raise InputError(
        f"column {name!r} contains {kind} such as {_short(str(example))}, not numbers; {way_out}."
    )


def _text_found(values: list[str | None], name: str) -> str:
    """Say which text is in a column of numbers, and what to do."""
    filled = [value for value in values if value and value.strip()]
    numeric = sum(kind_of(value) == NUMBER for value in filled)
    rows = (i for i, value in enumerate(values) if value and kind_of(value) != NUMBER)
    row = next(rows, None)
    if row is None:  # numbers in several formats
        return (
            f"column {name!r} mixes formats of numbers, such as {_short(filled[0])} and "
            f"{_short(filled[-1])}; say `decimal` and `thousands`"
        )
    text = values[row] or ""
    if _SIGNED.search(text) and kind_of(_SIGNED.sub("", text)) == NUMBER:
        return (
            f"column {name!r} contains {_short(text)} in data row {row + 1}, which is not a number "
            "because of its sign; remove the sign from the file"
        )
    if numeric:
        return (
            f"column {name!r} mixes numbers and text, {_short(text)} in data row {row + 1}; "
            "correct the file"
        )
    return f"column {name!r} contains text such as {_short(text)}, not numbers"


def _short(text: str) -> str:
    """Return the text of a cell for a message, cut if it is long."""
    return repr(text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}…")


def _series(table: Any, id: str | None) -> tuple[list[Any] | None, list[slice | IntArray]]:
    """Return ids by first appearance, and the rows of each, as slices if possible."""
    if id is None:
        return None, [slice(0, table.num_rows)]
    column = table[id]
    if column.null_count:
        row = next(i for i, value in enumerate(column) if not value.is_valid)
        raise InputError(
            f"id column {id!r} is empty in data row {row + 1}; fill it, since every row belongs "
            "to a series."
        )
    names, first, code = np.unique(plain_column(column), return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.argsort(order)[code]
    ends = np.cumsum(np.bincount(rank))
    parts: list[slice | IntArray]
    if (np.diff(rank) >= 0).all():
        parts = [slice(int(a), int(b)) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    else:
        parts = [*np.split(np.argsort(rank, kind="stable"), ends[:-1])]
    return names[order].tolist(), parts


def _times(table: Any, name: str, options: TimeOptions) -> TimeColumn:
    """Return the times of a column; if it cannot be read as times, it is only copied."""
    column, metadata = table[name], table.schema.field(name).metadata or {}
    shape = metadata.get(SHAPE)
    found = parse_times(column, options, name, shape=None if shape is None else shape.decode())
    if found is not None:
        return found
    if is_numeric(column.type):
        values = column.to_numpy()
        missing = np.isnan(values)
        if missing.any():
            return copied(column, name, int(missing.argmax()))
        return TimeColumn(values, TimeFormat(column))
    return copied(column, name, 0)


def _checked_times(table: Any, name: str) -> Column:
    column = table[name]
    times = as_times(column)
    if times is None and is_numeric(column.type):
        times = column.to_numpy()
    if times is None:
        raise InputError(
            f"column {name!r} cannot be read as numbers or as dates and times (its first value is "
            f"{_short(str(column[0].as_py()))}); write times like 2024-01-31 13:00:00."
        )
    missing = np.isnat(times) if times.dtype.kind == "M" else np.isnan(times)
    if missing.any():
        raise InputError(
            f"time column {name!r} is empty in data row {missing.argmax() + 1}; fill it, since "
            "every row needs a time."
        )
    return np.asarray(times)


def _ways_out(roles: Roles, guess: bool) -> str:
    """Say what to do if rows are not in the order of time."""
    ways = f"sort the file by {roles.time!r}"
    if roles.id_candidates:
        ways = f"the file contains several series: {_candidates(roles)}"
    elif roles.id is None:
        ways = (
            "if the file contains several series, name the column of their ids with `id`; "
            f"otherwise {ways}"
        )
    return f"{ways}, or leave the column out with {quoted('drop', roles.time)}" if guess else ways


def _candidates(roles: Roles) -> str:
    """Name the columns that could be the id of the series."""
    ways = " or ".join(quoted("id", name) for name in roles.id_candidates)
    return f"time rises within each value of several columns; give {ways}"


def plain_column(column: Any) -> Column:
    """Return a column as a NumPy array of numbers, dates or strings."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    values = column.to_numpy()
    if values.dtype == object:
        texts = ["" if value is None else str(value) for value in values]
        return np.array(texts, dtype=np.str_)
    return np.asarray(values)
