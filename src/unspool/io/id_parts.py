"""Series that several columns name together, such as a country, a store and an item.

`join_id_columns` replaces such columns by one column of ids.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from unspool import _checks
from unspool.data.messages import listed
from unspool.data.sequences import IntArray
from unspool.errors import InputError
from unspool.io.file_data import Column
from unspool.io.options import ReadOptions
from unspool.io.table_values import plain_column

SEPARATORS = ("/", "|", " / ", " | ", "::")
# Names of columns in outputs that a part of an id must not replace.
TAKEN = (
    *("id", "sequence", "time", "step", "start", "end", "label", "weight", "score", "threshold"),
    *("alarm", "ahead", "error"),
)


@dataclass(frozen=True)
class IdParts:
    """The columns that are joined to one id, by their names in outputs."""

    columns: dict[str, Any] = field(default_factory=dict)

    def at(self, rows: IntArray | list[int]) -> dict[str, Column]:
        """Return the values of each column in some rows."""
        places = pa.array(np.asarray(rows, np.int64))
        return {name: plain_column(one.take(places)) for name, one in self.columns.items()}

    def columns_of_rows(self) -> dict[str, Column]:
        """Return the values of each column in all rows."""
        return {name: plain_column(one) for name, one in self.columns.items()}


def id_names(id: str | Sequence[str] | None, known: Sequence[str]) -> list[str]:
    """Return the names of the columns that `id` names."""
    if id is None:
        return []
    if not isinstance(id, str):
        return list(id)
    if id in known or "," not in id:
        return [id]
    return [one.strip() for one in next(csv.reader([id], skipinitialspace=True))]


def join_id_columns(
    table: Any, options: ReadOptions, *, skip_empty: bool = False
) -> tuple[Any, ReadOptions, IdParts]:
    """Join columns that together are the id of a series.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    options : ReadOptions
        `id` may name several columns, as a sequence or with commas.
    skip_empty : bool, default False
        Whether cells may be empty; they are left out of the joined id.

    Returns
    -------
    table : pyarrow.Table
        The table with one column of ids in place of the others.
    options : ReadOptions
        The options with the name of this column.
    parts : IdParts
        The columns that were joined; none if `id` names one column.
    """
    names = id_names(options.id, table.column_names)
    if not names:
        return table, options, IdParts()
    if len(names) == 1:
        return table, replace(options, id=names[0]), IdParts()
    check_id_names(names, table.column_names, options)
    if not skip_empty:
        for name in names:
            _check_filled(table[name], name)
    columns = {name: table[name] for name in names}
    joined = joined_column([columns[name] for name in names])
    name = ",".join(names)
    place = min(table.column_names.index(one) for one in names)
    table = table.drop_columns(names)
    table = table.add_column(min(place, table.num_columns), name, joined)
    return table, replace(options, id=name), IdParts(in_outputs(columns))


def check_id_names(names: Sequence[str], known: Sequence[str], options: ReadOptions) -> None:
    """Check that the columns of an id exist, are named once, and have no other role."""
    for name in names:
        for other in ("columns", "drop", "time", "label", "weight"):
            given = getattr(options, other) or ()
            if name == given or (not isinstance(given, str) and name in given):
                raise InputError(
                    f"column {name!r} is given as `id` and as `{other}`; leave one out."
                )
        if name not in known:
            raise InputError(f"`id`: {_checks.unknown_name('column', name, known)}")
        if names.count(name) > 1:
            raise InputError(f"`id`: column {name!r} is named twice; name it once.")
        if list(known).count(name) > 1:
            raise InputError(f"`id`: two columns are called {name!r}; rename one of them.")


def _check_filled(column: Any, name: str) -> None:
    if column.null_count:
        row = column.is_null().index(True).as_py() + 1
        raise InputError(
            f"id column {name!r} is empty in data row {row}; fill it, since every row belongs to a "
            "series."
        )


def in_outputs(columns: dict[str, Any]) -> dict[str, Any]:
    """Return columns by their names in outputs, where they must not replace others."""
    return {f"id_{name}" if name in TAKEN else name: one for name, one in columns.items()}


def joined_column(columns: Sequence[Any]) -> Any:
    """Return one dictionary column, whose texts such as "DE/7" are the cells of several columns."""
    encoded = [_encoded(one) for one in columns]
    texts = [_texts(one.dictionary) for one in encoded]
    codes = np.zeros(len(columns[0]), np.int64)
    for one, names in zip(encoded, texts, strict=True):
        # Cells that are empty have the last code.
        places = np.asarray(one.indices.fill_null(len(names)).to_numpy(zero_copy_only=False))
        codes = codes * (len(names) + 1) + places
        _, codes = np.unique(codes, return_inverse=True)
    _, first = np.unique(codes, return_index=True)
    cells = zip(*(_texts(one.take(pa.array(first))) for one in columns), strict=True)
    separator = separator_of(texts)
    names = joined_texts(list(cells), separator)
    return pa.chunked_array([pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(names))])


def separator_of(texts: Sequence[Sequence[str]]) -> str:
    """Return a separator that occurs in no text."""
    return next(
        (sign for sign in SEPARATORS if not any(sign in text for one in texts for text in one)),
        SEPARATORS[-1],
    )


def joined_text(cells: Sequence[Any], separator: str = "/") -> str:
    """Return the cells of a row as one text; empty ones are left out."""
    return separator.join(filter(None, map(cell_text, cells)))


def joined_texts(rows: Sequence[Sequence[Any]], separator: str) -> list[str]:
    """Return the cells of each row as one text; empty ones are left out if the texts differ."""
    texts = [joined_text(row, separator) for row in rows]
    if len({*texts}) < len(texts):
        texts = [separator.join(map(cell_text, row)) for row in rows]
    return texts


def cell_text(cell: Any) -> str:
    """Return a cell as a part of an id; 7.0 is 7."""
    if isinstance(cell, float):
        return f"{cell:.15g}"
    return "" if cell is None else str(cell)


def _encoded(column: Any) -> Any:
    encoded = column.combine_chunks().dictionary_encode()
    return encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded


def _texts(values: Any) -> list[str]:
    return [cell_text(one) for one in values.to_pylist()]


def joint_hint(names: Sequence[str]) -> str:
    """Say which columns together separate the series, and how to name them."""
    given = f"`id={','.join(names)!r}`"
    return f"it rises within each combination of {listed(list(map(repr, names)))}; give {given}"
