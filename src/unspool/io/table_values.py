"""The columns of a table as arrays: features, ids and other columns.

`features_of` converts columns to numbers; its messages name the column and the row. `series_of`
finds the rows of each series.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unspool._types import Missing
from unspool.data.sequences import FILL_HINT, FloatArray, IntArray
from unspool.errors import InputError
from unspool.io.cells import NUMBER, kind_of
from unspool.io.column_shapes import is_numeric
from unspool.io.file_data import Column
from unspool.io.missing import WORDS
from unspool.io.role_names import quoted

_SIGNED = re.compile(r"\s*[%‰$€£¥]\s*|\b(EUR|USD|GBP|CHF)\b\s*")  # percent and currency
LONGEST_CELL = 60  # characters of a cell in a message


def features_of(
    table: Any,
    names: Sequence[str],
    missing: Missing,
    words: Sequence[str] = WORDS,
    *,
    ends_empty: bool = False,
    begins_empty: bool = False,
    of_file: bool = True,
) -> FloatArray:
    """Return the columns as one array (rows, F); with `ends_empty`, rows may end in empty cells.

    With `begins_empty`, they may begin with empty cells.
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
    if begins_empty:
        bad &= ~np.logical_and.accumulate(np.isnan(values), axis=1)
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
        if not known.null_count == len(known) > 0:
            with suppress(pa.ArrowInvalid):
                return np.asarray(known.cast(pa.float64()).to_numpy())  # numbers such as 007
        found = _text_found(column.to_pylist(), name)
        joint = ";" if found.endswith("not numbers") else ", or"
        raise InputError(f"{found}{joint} {way_out}.")
    values = column.to_pylist()
    example = next((value for value in values if value is not None), None)
    raise InputError(
        f"column {name!r} contains {kind} such as {short(str(example))}, not numbers; {way_out}."
    )


def _text_found(values: list[str | None], name: str) -> str:
    """Say which text is in a column of numbers, and what to do."""
    filled = [value for value in values if value and value.strip()]
    numeric = sum(kind_of(value) == NUMBER for value in filled)
    rows = (i for i, value in enumerate(values) if value and kind_of(value) != NUMBER)
    row = next(rows, None)
    if row is None:  # numbers in several formats
        return (
            f"column {name!r} mixes formats of numbers, such as {short(filled[0])} and "
            f"{short(filled[-1])}; say `decimal` and `thousands`"
        )
    text = values[row] or ""
    if _SIGNED.search(text) and kind_of(_SIGNED.sub("", text)) == NUMBER:
        return (
            f"column {name!r} contains {short(text)} in data row {row + 1}, which is not a number "
            "because of its sign; remove the sign from the file"
        )
    if numeric:
        return (
            f"column {name!r} mixes numbers and text, {short(text)} in data row {row + 1}; "
            f"correct the file, or give `missing_values={[text]!r}` if it means that a value is "
            "missing"
        )
    return f"column {name!r} contains text such as {short(text)}, not numbers"


def short(text: str) -> str:
    """Return the text of a cell for a message, cut if it is long."""
    return repr(text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}…")


def series_of(table: Any, id: str | None) -> tuple[list[Any] | None, list[slice | IntArray]]:
    """Return ids by first appearance, and the rows of each, as slices if possible."""
    if id is None:
        return None, [slice(0, table.num_rows)]
    column = table[id]
    if pa.types.is_dictionary(column.type):  # several columns that were joined
        joined = column.combine_chunks()
        joined = joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined
        texts = np.array(joined.dictionary.to_pylist(), dtype=np.str_)
        return _parts_of(texts, np.asarray(joined.indices.to_numpy()))
    if column.null_count:
        row = next(i for i, value in enumerate(column) if not value.is_valid)
        raise InputError(
            f"id column {id!r} is empty in data row {row + 1}; fill it, since every row belongs "
            "to a series."
        )
    return _parts_of(plain_column(column))


def _parts_of(
    values: Column, codes: IntArray | None = None
) -> tuple[list[Any], list[slice | IntArray]]:
    """Return different values by first appearance, and the rows of each.

    With `codes`, these are the places in `values` of the value of each row.
    """
    rows = values if codes is None else codes
    names, first, code = np.unique(rows, return_index=True, return_inverse=True)
    if codes is not None:
        names = values[names]
    order = np.argsort(first)
    rank = np.argsort(order)[code]
    ends = np.cumsum(np.bincount(rank))
    parts: list[slice | IntArray]
    if (np.diff(rank) >= 0).all():
        parts = [slice(int(a), int(b)) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
    else:
        parts = [*np.split(np.argsort(rank, kind="stable"), ends[:-1])]
    return names[order].tolist(), parts


def plain_column(column: Any) -> Column:
    """Return a column as a NumPy array of numbers, dates or strings."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    values = column.to_numpy()
    if values.dtype == object:
        texts = ["" if value is None else str(value) for value in values]
        return np.array(texts, dtype=np.str_)
    return np.asarray(values)
