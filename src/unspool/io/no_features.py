"""Columns that are no features by what they contain: texts, and counters of the rows."""

from typing import Any

import pyarrow as pa

from unspool.io import column_shapes as shapes
from unspool.io.role_names import plain

LONGEST_CELL = 60  # characters of a cell in a message


def is_no_number(column: Any) -> bool:
    """Return whether a column contains texts, bytes or durations instead of numbers."""
    if shapes.is_text(column.type):
        return not shapes.mostly_numbers(column)
    return bool(pa.types.is_binary(column.type) or pa.types.is_duration(column.type))


def example(column: Any) -> str:
    """Say what a column without numbers contains."""
    if not shapes.is_text(column.type):
        return f"contains {column.type}"
    text = str(next(one for one in column if one.is_valid).as_py())
    short = text if len(text) <= LONGEST_CELL else f"{text[:LONGEST_CELL]}…"
    return f"contains text such as {short!r}"


def is_counter(table: Any, name: str) -> bool:
    """Return whether a column counts the rows of its table."""
    low, column = plain(name), table[name]
    if low.endswith(("_id", " id", "index")):
        return shapes.counts_rows(column, any_start=True)
    if not pa.types.is_integer(column.type):
        return False
    if name == table.column_names[0] and low != "year":
        return shapes.counts_rows(column, any_start=True)
    return len(table) >= 10 and shapes.counts_rows(column)
