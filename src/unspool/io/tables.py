"""Tables of long series: rows are time steps, columns are features.

`of_table` finds the roles of the columns of an Arrow table (`roles`). The features become one array
(T, F), which `series_of` splits by the column of ids.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from unspool.data.sequences import Sequences
from unspool.errors import InputError
from unspool.io.class_rows import with_class_rows
from unspool.io.column_shapes import decoded, is_numeric
from unspool.io.cutting import of_sequences, of_series
from unspool.io.file_data import Column, FileData
from unspool.io.id_parts import IdParts, join_id_columns, joint_hint
from unspool.io.id_search import MAX_REPEATED, find_joint_ids
from unspool.io.list_columns import has_lists, of_lists
from unspool.io.missing import missing_notes, null_values
from unspool.io.options import ReadOptions, TimeOptions
from unspool.io.role_names import ID_NAMES, LABEL_NAMES, TIME_NAMES, quoted
from unspool.io.roles import Roles, find_roles
from unspool.io.table_values import features_of, plain_column, series_of
from unspool.io.time_columns import (
    SHAPE,
    TimeColumn,
    TimeFormat,
    copied,
    parse_times,
)
from unspool.io.time_order import in_order
from unspool.io.time_parts import join_time_columns
from unspool.io.time_shapes import without_zeros
from unspool.io.wide_tables import of_wide, row_hint, wide_columns


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
    wide = wide_columns(table, options)
    if wide is not None:
        return of_wide(table, wide, options, notes)
    options, class_notes = with_class_rows(table, options)
    notes += class_notes
    windows, guess = options.windows, options.time is None
    id_guess = options.id is None
    table, options, id_parts = join_id_columns(table, options)
    table, options, joined = join_time_columns(table, options)
    _check_against_first_row(table, options)
    table = without_zeros(table, _names_of_texts(table, options))
    roles = find_roles(
        table,
        options.named,
        options.columns,
        rows=bool(options.rows),
        drop=options.drop,
        times=options.times,
    )
    notes += joined + roles.notes
    if options.rows:
        return replace(row_sequences(table, roles, options, notes, id_parts), roles=roles.columns)
    if roles.id is None and windows.size is None:
        raise InputError(
            f"the table is one series of {table.num_rows:,} steps; cut it into windows, for "
            "example with `window=96`, or, if each row is a sequence, give `rows=True`."
        )
    refuse_joint_ids(roles)
    hint = None if options.rows is False else row_hint(table, roles)
    notes += () if hint is None else (hint,)
    words = null_values(options.missing_values)
    values = features_of(table, roles.features, windows.accepted, words)
    notes += missing_notes(values, roles.features, windows)
    ids, parts = series_of(table, roles.id)
    steps: dict[str, list[Column]] = {}
    found = None
    if roles.time is not None:
        found = times_of(table, roles.time, options.times)
        notes += found.notes
    if found is not None and found.values is not None:
        assert roles.time is not None
        times = found.values
        parts, order_notes, back = in_order(times, parts, roles.time, named=not guess)
        notes += order_notes
        joint = joint_ids_of(table, roles, times, parts, back)
        if joint and (back or id_guess):
            raise InputError(f"{back or repeated_times(roles)}; {joint_hint(joint)}.")
        if joint:
            notes += (f"{repeated_times(roles)}; {joint_hint(joint)}",)
        if not back:
            steps["time"] = [times[part] for part in parts]
        elif guess and options.columns is not None and not roles.id_candidates:
            notes += (f"{back}: steps are numbered instead",)
        else:
            raise InputError(f"{back}; {times_problem(roles, guess=guess)}.")
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
        weights = features_of(table, [roles.weight], "raise")[:, 0]
        steps["weight"] = [weights[part] for part in parts]
    if ids is not None:
        notes += (f"{len(ids):,} series, by column {roles.id!r}",)
    row_numbers = np.arange(table.num_rows)
    series = of_series(
        [values[part] for part in parts],
        windows,
        ids=ids,
        steps=steps,
        names=roles.features,
        notes=notes,
        time_format=None if found is None else found.format,
        rows=[row_numbers[part] for part in parts],
        id_parts=id_parts.at([row_numbers[part][0] for part in parts]),
    )
    return replace(series, roles=roles.columns)


def refuse_joint_ids(roles: Roles) -> None:
    """Refuse a table whose series several columns name together."""
    if roles.joint_ids:
        raise InputError(
            f"the file contains several series, since {roles.time!r} does not rise in its rows; "
            f"{joint_hint(roles.joint_ids)}, or leave the column out with "
            f"{quoted('drop', roles.time)}."
        )


def repeated_times(roles: Roles) -> str:
    """Say that times repeat within the values of the id."""
    return f"times in column {roles.time!r} repeat within {roles.id!r}"


def joint_ids_of(
    table: Any, roles: Roles, times: Column, parts: list[Any], back: str | None
) -> tuple[str, ...]:
    """Return columns that separate the series together with the id, if times repeat within it."""
    if roles.id is None:
        return ()
    if back is None:
        repeated = sum(int((times[part][1:] == times[part][:-1]).sum()) for part in parts)
        if repeated <= MAX_REPEATED * len(times):
            return ()
    others = (roles.time, roles.id, roles.label, roles.weight)
    free = [name for name in table.column_names if name not in others]
    return find_joint_ids(table, times, free, roles.id)


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


def row_sequences(
    table: Any, roles: Roles, reading: ReadOptions, notes: tuple[str, ...], id_parts: IdParts
) -> FileData:
    """Read each row as a sequence of one feature; empty cells at its end are padding."""
    options, time_format = reading.windows, None
    values = features_of(table, roles.features, options.accepted, ends_empty=True)
    index: dict[str, Column] = {}
    if roles.id is not None:
        index["id"] = plain_column(table[roles.id])
        index |= id_parts.columns_of_rows()
    if roles.time is not None:
        found = times_of(table, roles.time, reading.times)
        notes += found.notes
        time_format = found.format
        index["time"] = np.asarray(
            plain_column(found.format.cells) if found.values is None else found.values
        )
    if roles.label is not None:
        index["label"] = plain_column(table[roles.label])
    if roles.weight is not None:
        index["weight"] = features_of(table, [roles.weight], "raise")[:, 0]
    notes = (*notes, f"each of {table.num_rows:,} rows read as a sequence of one feature")
    source = Sequences(values[:, :, None], missing=options.accepted)
    return of_sequences(source, options, index=index, notes=notes, time_format=time_format)


def times_of(table: Any, name: str, options: TimeOptions) -> TimeColumn:
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


def times_problem(roles: Roles, *, guess: bool) -> str:
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
