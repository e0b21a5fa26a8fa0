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
from unspool.io.list_columns import has_lists
from unspool.io.options import ReadOptions
from unspool.io.roles import Roles, find_roles
from unspool.io.streaming import WAYS, refuse_policy, streaming_note, streams
from unspool.io.table_values import features_of, plain_column
from unspool.io.tables import times_of, times_problem
from unspool.io.time_order import in_order
from unspool.io.time_parts import given_names, join_time_columns

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
    known = given_names(options.time, head.column_names)
    head, options, joined = join_time_columns(head, options)
    roles = find_roles(
        head,
        options.named,
        options.columns,
        rows=options.rows,
        drop=options.drop,
        times=options.times,
    )
    notes += joined + roles.notes
    for name in roles.features:
        if not holds_numbers(dataset.schema.field(name).type):
            raise InputError(
                f"column {name!r} contains {dataset.schema.field(name).type}, which is not read in "
                f"pieces; leave it out with drop={[name]} (--drop {name}), or {WAYS}."
            )
    if joined and not known:  # the parts of the time that were found
        known = [one for one in dataset.schema.names if one not in head.column_names]
    wanted = [*known, roles.time, roles.label, roles.weight, roles.id if options.rows else None]
    columns = [one for one in dataset.schema.names if one in wanted]
    table = _columns(pieces, dataset.schema, columns) if columns else None
    if joined:
        table, _, _ = join_time_columns(table, replace(options, time=known))
    values = StoredTable(dataset, roles.features)
    if options.rows:
        return _rows_as_sequences(values, table, roles, options, notes)
    if roles.id is None and names is None and options.windows.size is None:
        raise InputError(
            f"the table is one series of {len(values):,} steps; cut it into windows, for example "
            "with `window=96`, or, if each row is a sequence, give `rows=True`."
        )
    ids, first = series_in(dataset, roles.id, names)
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
    )
    return replace(read, roles=roles.columns)


def series_in(
    dataset: Any, id: str | None, names: Sequence[str] | None = None
) -> tuple[list[Any] | None, IntArray]:
    """Return the ids of the series in a data set, and the first row of each.

    The column of ids is read once, piece by piece. If the files have `names`, each of them has its
    own series.

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
        if id is None:
            found, places = [None], np.zeros(1, np.int64)
        else:
            column = decoded(table_of(piece, dataset.schema, [id]).combine_chunks())[id]
            if column.null_count:
                row = begin + int(column.is_null().index(True).as_py()) + 1
                raise InputError(
                    f"id column {id!r} is empty in data row {row}; fill it, since every row "
                    "belongs to a series."
                )
            changes = pc.not_equal(column.slice(1), column.slice(0, len(column) - 1))
            places = np.append(0, np.flatnonzero(changes.to_numpy()) + 1)
            found = plain_column(column.take(pa.array(places))).tolist()
        for one, place in zip(found, places.tolist(), strict=True):
            key = (name, one)
            if key != before:
                if key in seen:
                    raise InputError(
                        f"the rows of {one!r} in the id column {id!r} are not together; sort the "
                        f"file by {id!r}, or {WAYS}."
                    )
                seen.add(key)
                ids.append(key)
                first.append(begin + place)
            before = key
    if id is None and names is None:
        return None, np.zeros(1, np.int64)
    called = [_joined(name, one) for name, one in ids]
    return called, np.array(first)


def _joined(name: str | None, id: Any) -> Any:
    if name is None or id is None:
        return id if name is None else name
    return f"{name}/{id}"


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


def _rows_as_sequences(
    values: Stored, table: Any, roles: Roles, options: ReadOptions, notes: tuple[str, ...]
) -> FileData:
    """Return each row as a sequence of one feature; empty cells at its end are padding."""
    if options.windows.size is not None:
        raise InputError(f"windows of rows are not read in pieces; {WAYS}.")
    index: dict[str, Column] = {}
    time_format = None
    if roles.id is not None:
        index["id"] = plain_column(table[roles.id])
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
