"""Tables of Parquet files that are read in pieces.

The roles of the columns follow from the schema and from the first rows. The times, ids, labels and
weights of all rows are read at once, the features when a batch needs them (`StoredTable`).
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset
import pyarrow.parquet as pq

from unspool.data.messages import listed
from unspool.data.sequences import IntArray, Sequences
from unspool.data.stored import Stored
from unspool.data.stored_table import StoredTable, holds_numbers, pieces_of, table_of
from unspool.errors import InputError
from unspool.io.column_shapes import decoded
from unspool.io.cutting import of_sequences, of_series
from unspool.io.file_data import Column, FileData
from unspool.io.id_parts import (
    IdParts,
    cell_text,
    id_names,
    in_outputs,
    join_id_columns,
    joined_text,
    joined_texts,
    joint_hint,
    separator_of,
)
from unspool.io.list_columns import has_lists
from unspool.io.options import ReadOptions
from unspool.io.roles import Roles, find_roles
from unspool.io.streaming import WAYS, refuse_policy, streaming_note, streams
from unspool.io.table_values import features_of, plain_column, series_of
from unspool.io.tables import (
    joint_ids_of,
    refuse_joint_ids,
    repeated_times,
    times_of,
    times_problem,
)
from unspool.io.time_order import goes_back, in_order
from unspool.io.time_parts import given_names, join_time_columns
from unspool.io.wide_tables import wide_columns

HEAD_ROWS = 10_000  # first rows, from which the roles of the columns follow


def size_of(files: Sequence[Path]) -> int:
    """Return the number of bytes that the values of Parquet files take in memory, about.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    total = 0
    for file in files:
        try:
            about = pq.read_metadata(file)
        except (pa.ArrowException, OSError) as error:
            which = file.name if len(files) > 1 else "the file"
            raise InputError(f"{which} cannot be read as Parquet: {error}.") from None
        total += 8 * about.num_rows * about.num_columns
    return total


def streams_parquet(files: Sequence[Path], options: ReadOptions) -> bool:
    """Return whether Parquet files are read in pieces."""
    return options.stream is not False and streams(size_of(files), options.stream)


def of_parquet(
    files: Sequence[Path],
    options: ReadOptions,
    names: Sequence[str] | None = None,
    notes: tuple[str, ...] = (),
) -> FileData:
    """Return the content of Parquet files whose rows are time steps, read in pieces.

    Parameters
    ----------
    files : sequence of Path
        The files, in the order of their rows.
    options : ReadOptions
        How they are read.
    names : sequence of str, optional
        Names of the files, if each of them is one or several series.
    notes : tuple of str
        What is known about the files.
    """
    refuse_policy(options.windows.missing)
    notes += (streaming_note(size_of(files), options.stream),)
    dataset = _opened(files)
    pieces, _ = pieces_of(dataset)
    head = decoded(_head(pieces, dataset.schema))
    if has_lists(head):
        raise InputError(f"cells hold lists, which are not read in pieces; {WAYS}.")
    id_columns = id_names(options.id, head.column_names)
    head, options, id_parts = join_id_columns(head, options)
    known = given_names(options.time, head.column_names)
    head, options, joined = join_time_columns(head, options)
    roles = find_roles(
        head,
        options.named,
        options.columns,
        rows=bool(options.rows),
        drop=options.drop,
        times=options.times,
    )
    notes += joined + roles.notes
    if len(id_columns) < 2:
        id_columns = [] if roles.id is None else [roles.id]
    _check_ids(head, roles, options)
    _check_wide(head, roles, options)
    for name in roles.features:
        if not holds_numbers(dataset.schema.field(name).type):
            raise InputError(
                f"column {name!r} contains {dataset.schema.field(name).type}, which is not read in "
                f"pieces; leave it out with drop={[name]} (--drop {name}), or {WAYS}."
            )
    if joined and not known:  # the parts of the time that were found
        known = [one for one in dataset.schema.names if one not in head.column_names]
    wanted = [*known, roles.time, roles.label, roles.weight]
    wanted += id_columns if options.rows else []
    columns = [one for one in dataset.schema.names if one in wanted]
    table = _columns(pieces, dataset.schema, columns) if columns else None
    if joined:
        table, _, _ = join_time_columns(table, replace(options, time=known))
    values = StoredTable(dataset, roles.features)
    if options.rows:
        if len(id_columns) > 1:
            table, _, id_parts = join_id_columns(table, replace(options, id=id_columns))
        return _rows_as_sequences(values, table, roles, options, notes, id_parts)
    if roles.id is None and names is None and options.windows.size is None:
        raise InputError(
            f"the table is one series of {len(values):,} steps; cut it into windows, for example "
            "with `window=96`, or, if each row is a sequence, give `rows=True`."
        )
    ids, first, parts_of_ids = series_in(dataset, id_columns, names)
    if ids is not None:
        by = "" if roles.id is None else f", by column {roles.id!r}"
        notes += (f"{len(ids):,} series{by}",)
    parts = [slice(a, b) for a, b in pairwise([*first.tolist(), len(values)])]
    steps: dict[str, list[Column]] = {}
    found = None
    if roles.time is not None:
        found = times_of(table, roles.time, options.times)
        notes += found.notes
    if found is not None and found.values is not None:
        times, guess = found.values, options.time is None
        ordered, said, back = in_order(times, list(parts), str(roles.time), named=not guess)
        if back:
            raise InputError(f"{back}; {times_problem(roles, guess=guess)}.")
        if any(not isinstance(part, slice) for part in ordered):
            raise InputError(
                f"{said[0]}, which is not done for files that are read in pieces; sort them by "
                f"{roles.time!r}, or {WAYS}."
            )
        notes += said
        steps["time"] = [times[part] for part in parts]
    for role in ("label", "weight"):
        name = getattr(roles, role)
        if name is not None:
            assert table is not None
            column = _codes(table[name]) if role == "label" else _weights(table, name)
            steps[role] = [column[part] for part in parts]
    numbers = np.arange(len(values), dtype=np.int32 if len(values) < 1 << 31 else np.int64)
    series: list[Any] = [values.part(part) for part in parts]
    read = of_series(
        series,
        options.windows,
        ids=ids,
        steps=steps,
        names=roles.features,
        notes=notes,
        time_format=None if found is None else found.format,
        rows=None if found is None else [numbers[part] for part in parts],
        id_parts=in_outputs(parts_of_ids),
    )
    return replace(read, roles=roles.columns)


def series_in(
    dataset: Any, id: Sequence[str] = (), names: Sequence[str] | None = None
) -> tuple[list[Any] | None, IntArray, dict[str, Column]]:
    """Return the ids of the series in a data set, and the first row of each.

    The columns of ids are read once, piece by piece. If the files have `names`, the series of each
    file are different ones. If there are several columns, their values for each series are returned
    as well.

    Raises
    ------
    InputError
        If an id is empty, or its rows are not together.
    """
    pieces, counts = pieces_of(dataset)
    ends = np.cumsum(counts)
    files = [one.path for one in pieces] if names is not None else [""] * len(pieces)
    order = {path: i for i, path in enumerate(dict.fromkeys(files))}
    ids: list[Any] = []
    first: list[int] = []
    seen: set[Any] = set()
    before: Any = None
    for piece, path, begin in zip(pieces, files, (ends - counts).tolist(), strict=True):
        name = None if names is None else names[order[path]]
        found: list[tuple[Any, ...]] = [()]
        places = np.zeros(1, np.int64)
        if id:
            found, places = _changes(piece, dataset.schema, id, begin)
        for one, place in zip(found, places.tolist(), strict=True):
            key = (name, *one)
            if key != before:
                if key in seen:
                    value = one[0] if len(one) == 1 else joined_text(one)
                    column = ",".join(id)
                    raise InputError(
                        f"the rows of {value!r} in the id column {column!r} are not together; sort "
                        f"the file by {column!r}, or {WAYS}."
                    )
                seen.add(key)
                ids.append(key)
                first.append(begin + place)
            before = key
    if not id and names is None:
        return None, np.zeros(1, np.int64), {}
    parts: dict[str, Column] = {}
    if len(id) > 1:
        columns = zip(*(one for _, *one in ids), strict=True)
        parts = {one: np.asarray(values) for one, values in zip(id, columns, strict=True)}
    if len(id) == 1 and names is None:
        return [one for _, one in ids], np.array(first), parts
    separator = separator_of([list(map(cell_text, values.tolist())) for values in parts.values()])
    joined = joined_texts([key if names is not None else key[1:] for key in ids], separator)
    return joined, np.array(first), parts


def _changes(
    piece: Any, schema: Any, id: Sequence[str], begin: int
) -> tuple[list[tuple[Any, ...]], IntArray]:
    """Return the ids in a piece, one for each run of rows, and the first row of each run."""
    table = decoded(table_of(piece, schema, list(id)).combine_chunks())
    changed = np.zeros(max(len(table) - 1, 0), bool)
    for name in id:
        column = table[name]
        if column.null_count:
            row = begin + int(column.is_null().index(True).as_py()) + 1
            raise InputError(
                f"id column {name!r} is empty in data row {row}; fill it, since every row "
                "belongs to a series."
            )
        other = pc.not_equal(column.slice(1), column.slice(0, len(column) - 1))
        changed |= np.asarray(other.to_numpy())
    places = np.append(0, np.flatnonzero(changed) + 1)
    cells = [plain_column(table[name].take(pa.array(places))).tolist() for name in id]
    return list(zip(*cells, strict=True)), places


def _check_ids(head: Any, roles: Roles, options: ReadOptions) -> None:
    """Refuse ids within whose values the times of the first rows repeat."""
    refuse_joint_ids(roles)
    if roles.id is None or roles.time is None or options.id is not None or options.rows:
        return
    found = times_of(head, roles.time, options.times)
    if found.values is not None:
        _, parts = series_of(head, roles.id)
        back = goes_back(found.values, parts, roles.time)
        joint = joint_ids_of(head, roles, found.values, parts, back)
        if joint:
            raise InputError(f"{back or repeated_times(roles)}; {joint_hint(joint)}.")


def _opened(files: Sequence[Path]) -> Any:
    """Return the files as one data set, if they have rows and the same columns."""
    try:
        dataset = pyarrow.dataset.dataset([str(file) for file in files], format="parquet")
        fragments = list(dataset.get_fragments())
        each = [fragment.physical_schema.names for fragment in fragments]
        empty = next((i for i, one in enumerate(fragments) if not one.count_rows()), None)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"the file cannot be read as Parquet: {error}.") from None
    if empty is not None:
        which = f"{files[empty].name}: " if len(files) > 1 else ""
        raise InputError(f"{which}the table has no rows; write it again.")
    for file, names in zip(files, each, strict=True):
        if sorted(names) != sorted(each[0]):
            differing = sorted(set(names) ^ set(each[0])) or ["repeated names"]
            raise InputError(
                f"{file.name} and {files[0].name} have different columns ({listed(differing)} only "
                "in one of them); select files of one form with a pattern."
            )
    return dataset


def _head(pieces: Sequence[Any], schema: Any) -> Any:
    """Return the first rows of all columns."""
    found: list[Any] = []
    for piece in pieces:
        missing = HEAD_ROWS - sum(one.num_rows for one in found)
        if missing <= 0:
            break
        # Without reading ahead, of which Arrow does much.
        ahead = {"batch_size": missing, "batch_readahead": 0, "fragment_readahead": 0}
        scanner = piece.scanner(schema=schema, use_threads=False, **ahead)
        found.append(scanner.head(missing))
    return pa.concat_tables(found)


def _columns(pieces: Sequence[Any], schema: Any, names: Sequence[str]) -> Any:
    """Return some columns of all rows, read piece by piece."""
    found = [decoded(table_of(one, schema, names)) for one in pieces]
    return pa.concat_tables(found).combine_chunks()


def _codes(column: Any) -> Column:
    """Return labels as an array; equal texts share one object, so that they need little memory."""
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return plain_column(column)
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    texts = np.array([*encoded.dictionary.to_pylist(), ""], dtype=object)
    codes = np.asarray(encoded.indices.fill_null(len(texts) - 1).to_numpy(zero_copy_only=False))
    labels: Column = texts[codes]
    return labels


def _weights(table: Any, name: str) -> Column:
    return features_of(table, [name], "raise")[:, 0]


def _check_wide(head: Any, roles: Roles, options: ReadOptions) -> None:
    """Refuse wide tables, except those whose numbers are the steps of sequences without times."""
    wide = wide_columns(head, options)
    if wide is not None and (wide.steps.times is not None or roles.features != wide.steps.names):
        first, last = wide.steps.names[0], wide.steps.names[-1]
        raise InputError(
            f"columns {first!r} to {last!r} are the steps of series, one in each row, and such "
            f"tables are not read in pieces; {WAYS}."
        )


def _rows_as_sequences(
    values: Stored,
    table: Any,
    roles: Roles,
    options: ReadOptions,
    notes: tuple[str, ...],
    id_parts: IdParts,
) -> FileData:
    """Return each row as a sequence of one feature; empty cells at its end are padding."""
    if options.windows.size is not None:
        raise InputError(f"windows of rows are not read in pieces; {WAYS}.")
    index: dict[str, Column] = {}
    time_format = None
    if roles.id is not None:
        index["id"] = plain_column(table[roles.id])
        index |= id_parts.columns_of_rows()
    if roles.time is not None:
        found = times_of(table, roles.time, options.times)
        notes, time_format = notes + found.notes, found.format
        index["time"] = np.asarray(
            plain_column(found.format.cells) if found.values is None else found.values
        )
    if roles.label is not None:
        index["label"] = plain_column(table[roles.label])
    if roles.weight is not None:
        index["weight"] = _weights(table, roles.weight)
    notes += (f"each of {len(values):,} rows read as a sequence of one feature",)
    source = Sequences(values.reshape(*values.shape, 1), missing=options.windows.accepted)
    return replace(
        of_sequences(source, options.windows, index=index, notes=notes, time_format=time_format),
        roles=roles.columns,
    )
