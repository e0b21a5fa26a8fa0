"""Tables whose cells hold lists: each row is a sequence, each column of lists a feature."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from unspool.data.messages import listed
from unspool.data.sequences import FloatArray, Sequences
from unspool.errors import InputError
from unspool.io.cutting import of_sequences
from unspool.io.file_data import Column, ColumnRole, FileData
from unspool.io.options import ReadOptions


def has_lists(table: Any) -> bool:
    """Return whether a column of a `pyarrow.Table` holds lists of numbers."""
    return any(_depth(field.type) for field in table.schema)


def of_lists(table: Any, options: ReadOptions, notes: tuple[str, ...]) -> FileData:
    """Return each row as a sequence; other columns are its id, label, or are left out.

    A cell may hold a list of T values, or of T lists of F values if there is one such column.
    """
    from unspool.io.roles import find_roles
    from unspool.io.table_values import plain_column

    lists = [name for name in table.column_names if _depth(table.schema.field(name).type)]
    clocks = [name for name in lists if _is_time(table.schema.field(name).type)]
    values = [name for name in lists if name not in clocks and name not in options.drop]
    if options.columns is not None:
        values = list(options.columns)
        other = [name for name in values if name not in lists]
        if other:
            raise InputError(
                f"`columns`: {other[0]!r} is no column of lists, as the others are; the columns of "
                f"lists are {listed(lists)}."
            )
    if not values:
        raise InputError("no column holds lists of numbers; name the features with `columns`.")
    rest = table.select([name for name in table.column_names if name not in lists])
    index: dict[str, Column] = {}
    columns: list[ColumnRole] = []
    if rest.num_columns:
        # Roles need a feature, and lists cannot be one.
        rest = rest.append_column("\0", pa.array(np.arange(table.num_rows, dtype=np.float64)))
        named = {**options.named, "weight": None}
        drop = [name for name in options.drop if name in rest.column_names]
        roles = find_roles(rest, named, ["\0"], rows=True, drop=drop)
        for role in ("id", "time", "label"):
            name = getattr(roles, role)
            if name is not None:
                index[role] = plain_column(rest[name])
        columns += [one for one in roles.columns if one.role in index]
        taken = (roles.id, roles.time, roles.label, "\0")
        left = [name for name in rest.column_names if name not in taken]
        if left:
            columns.append(ColumnRole(tuple(left), "left out", "holds no lists", "`columns`"))
    if clocks:
        columns.append(ColumnRole(tuple(clocks), "left out", "holds times", "`columns`"))
    columns.append(
        ColumnRole(tuple(values), "feature", "holds lists of numbers", "`columns`", False)
    )
    notes += tuple(one.note for one in columns)
    sequences = _sequences(table, values)
    notes += (
        f"each of {table.num_rows:,} rows read as a sequence, from the lists in {listed(values)}",
    )
    matrix = _depth(table.schema.field(values[0]).type) == 2
    source = Sequences.from_list(
        sequences, None if matrix else values, missing=options.windows.accepted
    )
    found = of_sequences(source, options.windows, index=index, notes=notes)
    return replace(found, roles=tuple(columns))


def _sequences(table: Any, names: list[str]) -> list[FloatArray]:
    depths = {_depth(table.schema.field(name).type) for name in names}
    if depths == {2} and len(names) > 1:
        raise InputError(
            "several columns hold lists of lists, (T, F) in each cell; name one of them with "
            "`columns`."
        )
    if len(depths) > 1 or max(depths) > 2:
        raise InputError(
            "cells must hold lists of T values, or lists of T lists of F values; name columns of "
            "one kind with `columns`."
        )
    columns: list[list[FloatArray]] = []
    for name in names:
        cells: list[FloatArray] = []
        column = table[name].combine_chunks()
        for i, cell in enumerate(column, 1):
            if not cell.is_valid:
                raise InputError(f"column {name!r} is empty in data row {i}; drop such rows.")
            try:
                cells.append(np.array(cell.as_py(), np.float64))
            except (TypeError, ValueError):
                raise InputError(
                    f"column {name!r} does not hold numbers, or lists of one length, in data row "
                    f"{i}; correct the file, or name other columns with `columns`."
                ) from None
        columns.append(cells)
    if depths == {2}:
        return columns[0]
    found = []
    for i, row in enumerate(zip(*columns, strict=True), 1):
        lengths = {len(one) for one in row}
        if len(lengths) > 1:
            raise InputError(
                f"the lists of data row {i} have {min(lengths)} to {max(lengths)} values; give "
                "all features of a row the same number of steps."
            )
        if 0 in lengths:
            raise InputError(f"the list of data row {i} has no values; drop such rows.")
        found.append(np.stack(row, axis=1))
    return found


def _depth(kind: Any) -> int:
    """Return how many lists an Arrow type has inside each other."""
    depth = 0
    while (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    ):
        kind, depth = kind.value_type, depth + 1
    return depth


def _is_time(kind: Any) -> bool:
    inside = kind.value_type if _depth(kind) else kind
    return bool(pa.types.is_temporal(inside) or pa.types.is_string(inside))
