"""Wide tables: each row is a series, and the names of columns are its times or count its steps.

`wide_columns` decides from the names of the columns, and from the other columns, whether a table is
wide. Its texts are the ids of the series; other numbers are no steps.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unspool.errors import InputError
from unspool.io import column_shapes as shapes
from unspool.io.column_names import StepNames, clock_names, counted_names, dated_names
from unspool.io.cutting import of_series
from unspool.io.file_data import Column, ColumnRole, FileData
from unspool.io.id_parts import IdParts, join_id_columns
from unspool.io.labels import is_label
from unspool.io.missing import missing_notes, null_values
from unspool.io.options import ReadOptions, TimeOptions
from unspool.io.role_names import (
    CHANGEPOINT_NAMES,
    TIME_NAMES,
    is_name_of_ids,
    plain,
)
from unspool.io.roles import Roles, find_roles
from unspool.io.table_values import features_of, plain_column
from unspool.io.time_columns import looks_like_times, names_instants
from unspool.io.time_patterns import MONTHS

MANY_COUNTED = 20  # columns that count, about which there is a note
MAX_IDS = 4  # columns of texts that are joined to ids
MIN_LENGTHS = 3  # different lengths of series, if half of them have all steps
PARTS_OF_DAYS = (24, 25, 48, 50, 96, 100, 144, 288, 1440)  # columns of a day, with a clock change
_MONTH = re.compile(rf"(?i)({'|'.join(MONTHS)})[a-z]*\.?")
NO_FORMAT = TimeOptions()
AS_ROWS = "each row is read as a series"


@dataclass(frozen=True)
class Wide:
    """The steps of a wide table, and the columns that are the ids of its rows, with the reason."""

    steps: StepNames
    ids: tuple[str, ...] = ()
    why: str = ""


def wide_columns(table: Any, options: ReadOptions) -> Wide | None:
    """Return the columns that are the steps of the rows; None if rows are time steps.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    options : ReadOptions
        With ``rows=None`` it is searched for evidence that rows are series.

    Raises
    ------
    InputError
        If rows may be series or time steps.
    """
    if options.rows is False or (options.rows is None and _is_long(options)):
        return None
    names = _numbers_of(table, options)
    dated = dated_names(names, options.times)
    counted = _counted(table, names, options)
    if options.columns is not None:
        all_dated = dated is not None and len(dated.names) == len(options.columns)
        return _with_ids(table, dated, options) if dated is not None and all_dated else None
    if options.rows:
        steps = dated or counted
        return None if steps is None else _with_ids(table, steps, options)
    if dated is not None and _has_no_other_times(table, dated.names):
        wide = _with_ids(table, dated, options)
        if options.id is not None or _differ(table, wide.ids):
            return wide
        raise InputError(_both_ways(dated.names, "their names are dates"))
    if counted is not None and _has_no_other_times(table, counted.names):
        wide = _with_ids(table, counted, options)
        if wide.ids and _differ(table, wide.ids[:1]):
            why = f"their names count, and {wide.ids[0]!r} differs in every row"
            raise InputError(_both_ways(counted.names, why))
        if _ends_empty(table, counted.names):
            raise InputError(_both_ways(counted.names, "their names count, and rows end empty"))
    return None


def _counted(table: Any, names: list[str], options: ReadOptions) -> StepNames | None:
    """Return the columns that count the steps; None if they are few of the columns of numbers."""
    if options.columns is not None:
        return None
    free = [name for name in table.column_names if name not in options.drop]
    found = clock_names(free) or counted_names(free)  # the first column of M4, V1, is the id
    if found is None:
        return None
    known = {*names}
    steps = [name for name in found.names if name in known]
    return StepNames(steps) if 3 * len(steps) >= len(names) and len(steps) > 1 else None


def _is_long(options: ReadOptions) -> bool:
    """Return whether options name columns that only a table of time steps has."""
    return options.columns is not None or options.time is not None


def _both_ways(names: Sequence[str], why: str) -> str:
    return (
        f"columns {names[0]!r} to {names[-1]!r} may be the steps of series, one in each row, since "
        f"{why}; give `rows=True` if each row is a series, or `rows=False` if each row is a time "
        "step."
    )


def _numbers_of(table: Any, options: ReadOptions) -> list[str]:
    """Return the columns that may be steps: those with numbers, without another role."""
    named = {name for name in options.named.values() if name is not None} | {*options.drop}
    known = Counter(table.column_names)
    names = table.column_names if options.columns is None else options.columns
    return [
        name
        for name in names
        if name not in named and known[name] == 1 and _has_numbers(table[name])
    ]


def _has_numbers(column: Any) -> bool:
    if shapes.is_text(column.type):
        return shapes.mostly_numbers(column)
    return shapes.is_numeric(column.type) or bool(column.null_count == len(column))


def _has_no_other_times(table: Any, steps: Sequence[str]) -> bool:
    """Return whether no other column may be the time of the rows."""
    known = {*steps, *(name for name, n in Counter(table.column_names).items() if n > 1)}
    for name in table.column_names:
        if name in known:
            continue
        column = table[name]
        if shapes.is_numeric(column.type):
            if plain(name) in TIME_NAMES or names_instants(name):
                return False
        elif looks_like_times(column, NO_FORMAT) or _holds_months(column):
            return False
    return True


def _holds_months(column: Any) -> bool:
    """Return whether the first cells are names of months, which are the times of the rows."""
    if not shapes.is_text(column.type):
        return False
    cells = column.slice(0, 12).drop_null().to_pylist()
    return len(cells) > 1 and all(_MONTH.fullmatch(one.strip()) for one in cells)


def _with_ids(table: Any, steps: StepNames, options: ReadOptions) -> Wide:
    """Add the fewest columns of texts that tell the rows apart, or all of them."""
    if options.id is not None:
        return Wide(steps)
    places = _places(table, steps.names)
    first, last = min(places), max(places)
    named = {name for name in options.named.values() if name is not None} | {*options.drop}
    texts = [
        name
        for place, name in enumerate(table.column_names)
        if not first < place < last
        and name not in named
        and shapes.is_text(table[name].type)
        and not shapes.is_empty(table[name])
        and not looks_like_times(table[name], options.times)
        and not _is_label(table[name], name)
    ]
    texts.sort(key=is_name_of_ids, reverse=True)
    for count in range(1, min(len(texts), MAX_IDS) + 1):
        for names in combinations(texts, count):
            if _differ(table, names) and (count > 1 or not _has_empty_cells(table[names[0]])):
                together = "together they differ" if count > 1 else "differs"
                return Wide(steps, names, f"{together} in every row")
    times = [
        name
        for name in table.column_names
        if name not in steps.names and looks_like_times(table[name], options.times)
    ]
    for name in [*texts, *table.column_names] if times else []:
        column = table[name]
        may_be = shapes.is_text(column.type) or pa.types.is_integer(column.type)
        if may_be and name not in steps.names and _differ(table, (name, times[0])):
            return Wide(steps, (name,), f"its times in {times[0]!r} differ")
    return Wide(steps, tuple(texts[:MAX_IDS]), "contains the texts of each row")


def _places(table: Any, names: Sequence[str]) -> list[int]:
    """Return the places of columns in a table."""
    known = {name: place for place, name in enumerate(table.column_names)}
    return [known[name] for name in names]


def _differ(table: Any, names: Sequence[str]) -> bool:
    """Return whether no two rows have the same cells in some columns."""
    if not names:
        return False
    codes = np.zeros(table.num_rows, np.int64)
    for name in names:
        cells = shapes.codes_of(table[name])
        codes = codes * (int(cells.max(initial=0)) + 1) + cells
        codes = np.unique(codes, return_inverse=True)[1]
    return bool(codes.max(initial=-1) + 1 == table.num_rows)


def _has_empty_cells(column: Any) -> bool:
    return bool(column.null_count or pc.any(pc.equal(column, "")).as_py())


def _is_label(column: Any, name: str) -> bool:
    return is_label(name, column) or plain(name) in CHANGEPOINT_NAMES


def _ends_empty(table: Any, names: Sequence[str]) -> bool:
    """Return whether the columns have more and more empty cells, as of series of other lengths."""
    counts = np.array([table[name].null_count for name in names])
    several = len(np.unique(counts)) >= MIN_LENGTHS or 2 * counts[-1] > table.num_rows
    return bool(several and counts[0] == 0 < counts[-1] and (np.diff(counts) >= 0).all())


def row_hint(table: Any, roles: Roles) -> str | None:
    """Say how to read rows as sequences, if many features count or are named by times of a day."""
    clocks = clock_names(roles.features)
    found = clocks or counted_names(roles.features, MANY_COUNTED)
    if found is None:
        return None
    of_days = clocks is not None or len(found.names) in PARTS_OF_DAYS
    if roles.time is not None and not (of_days and looks_like_times(table[roles.time], NO_FORMAT)):
        return None
    return (
        f"columns {found.names[0]!r} to {found.names[-1]!r} are read as the features of one step; "
        "if they are the steps of a sequence, give `rows=True`"
    )


def of_wide(table: Any, wide: Wide, options: ReadOptions, notes: tuple[str, ...]) -> FileData:
    """Return the rows of a wide table as series of one feature.

    A series begins at the first value of its row and ends at the last, if the names of the columns
    are dates; otherwise only empty cells at its end are padding.
    """
    from unspool.io.tables import row_sequences

    steps = wide.steps
    if wide.ids:
        options = replace(options, id=wide.ids)
    table, options, id_parts = join_id_columns(table, options, skip_empty=True)
    asides = _other_columns(table, steps.names, options)
    table = table.drop_columns(asides)
    roles = find_roles(table, options.named, None, rows=True, drop=options.drop)
    roles = _described(roles, wide, asides)
    notes += roles.notes
    if options.rows is None:
        notes += (f"{AS_ROWS}, since the names of columns are dates; otherwise say `rows=False`",)
    if steps.times is None:
        found = row_sequences(table, roles, options, notes, id_parts)
    else:
        found = _of_dates(table, roles, steps, options, notes, id_parts)
    return replace(found, roles=roles.columns)


def _other_columns(table: Any, steps: Sequence[str], options: ReadOptions) -> list[str]:
    """Return numbers that are no steps and no labels, and texts between the steps, such as flags.

    Columns that the user named are not among them.
    """
    known = {*steps, *options.drop, *options.named.values()}
    places = _places(table, steps)
    first, last = min(places), max(places)
    return [
        name
        for place, name in enumerate(table.column_names)
        if name not in known
        and table[name].null_count < table.num_rows
        and not _is_label(table[name], name)
        and (_has_numbers(table[name]) or first < place < last)
    ]


def _described(roles: Roles, wide: Wide, asides: list[str]) -> Roles:
    """Return the roles with the reasons of a wide table."""
    columns = []
    for one in roles.columns:
        if one.role == "id" and wide.ids:
            one = replace(one, reason=wide.why, change="`id`", unusual=True)
        columns.append(one)
    if asides:
        why = "the names are not like those of the steps"
        columns.insert(-1, ColumnRole(tuple(asides), "left out", why, "`columns`"))
    features = [name for name in wide.steps.names if name in roles.features]
    return replace(roles, features=features, columns=tuple(columns))


def _of_dates(
    table: Any,
    roles: Roles,
    steps: StepNames,
    options: ReadOptions,
    notes: tuple[str, ...],
    id_parts: IdParts,
) -> FileData:
    """Return the rows as series with the times that the names of the columns say."""
    assert steps.times is not None
    assert steps.times.values is not None
    words = null_values(options.missing_values)
    windows = options.windows
    values = features_of(
        table, roles.features, windows.accepted, words, ends_empty=True, begins_empty=True
    )
    kept = np.array([name in roles.features for name in steps.names])
    times, numbers = steps.times.values[kept], np.flatnonzero(kept)
    some = ~np.isnan(values)
    rows = np.flatnonzero(some.any(axis=1))
    if len(rows) < len(values):
        notes += (f"{len(values) - len(rows):,} rows without a value left out",)
    first = some[rows].argmax(axis=1)
    last = some.shape[1] - some[rows, ::-1].argmax(axis=1)
    parts = [slice(a, b) for a, b in zip(first.tolist(), last.tolist(), strict=True)]
    if (first > 0).any() or (last < some.shape[1]).any():
        notes += ("empty cells at the start and the end of rows are left out",)
    series = [values[row, part, None] for row, part in zip(rows.tolist(), parts, strict=True)]
    notes += missing_notes(np.concatenate(series), ["value"], windows)
    ids: list[Any] | None = None
    if roles.id is not None:
        ids = plain_column(table[roles.id])[rows].tolist()
    columns: dict[str, list[Column]] = {"time": [times[part] for part in parts]}
    if roles.label is not None:
        labels = plain_column(table[roles.label])[rows]
        columns["label"] = _repeated(labels, series)
    if roles.weight is not None:
        weights = features_of(table, [roles.weight], "raise")[rows, 0]
        columns["weight"] = _repeated(weights, series)
    found = of_series(
        series,
        windows,
        ids=ids,
        steps=columns,
        notes=(*notes, f"{len(series):,} series, one in each row"),
        time_format=steps.times.format,
        rows=[numbers[part] for part in parts],
        id_parts=id_parts.at(rows),
    )
    return replace(found, times_in_header=True)


def _repeated(values: Column, series: Sequence[npt.NDArray[Any]]) -> list[Column]:
    """Return the value of each row for all its steps, without copies."""
    return [np.broadcast_to(value, len(one)) for value, one in zip(values, series, strict=True)]
