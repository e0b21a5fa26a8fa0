"""What the first rows of a text say about columns of times and of ids with leading zeros.

Arrow reads ISO 8601 as timestamps and "00007" as the number 7. So that outputs have the texts of
the file, the first rows give the form of the timestamps, and columns that Arrow would change stay
text.
"""

import contextlib
import re
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from unspool.io.time_columns import SHAPE
from unspool.io.time_patterns import CLOCK

ZEROS = b"unspool.leading_zeros"  # metadata of a field of whole numbers that stayed text

_ISO = re.compile(
    r"\d{4}-\d{2}-\d{2}(?:([ T])\d{2}(?:(:\d{2})(?:(:\d{2})(?:\.(\d{3}|\d{6}|\d{9}))?)?)?)?"
)
_LIKE_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?:[ T]\d{2}.*)?")
_PADDED = re.compile(r"0\d+")
_UNITS = {0: "", 3: "ms", 6: "us", 9: "ns"}


def kept_as_text(names: list[str], rows: list[list[str]]) -> list[str]:
    """Return the names of the columns that Arrow must read as text.

    Parameters
    ----------
    names : list of str
        Names of the columns.
    rows : list of lists of str
        The fields of the first rows of data.
    """
    found = []
    for name, cells in _columns(names, rows).items():
        dates = [cell for cell in cells if _LIKE_ISO.fullmatch(cell)]
        shapes = {shape_of(cell) for cell in dates}
        odd = len(dates) == len(cells) and (len(shapes) > 1 or None in shapes)
        clocks = all(":" in cell and CLOCK.match(cell) for cell in cells)
        if cells and (odd or clocks or any(map(_PADDED.fullmatch, cells))):
            found.append(name)
    return found


def with_shapes(table: Any, rows: list[list[str]]) -> Any:
    """Return the table with the form of every column of times in the metadata of its field."""
    columns = _columns(table.column_names, rows)
    fields = []
    for field in table.schema:
        cells = columns.get(field.name)
        if cells and (pa.types.is_timestamp(field.type) or pa.types.is_date(field.type)):
            shape = shape_of(cells[0])
            if shape is not None:
                field = field.with_metadata({SHAPE: shape.encode()})
        if cells and pa.types.is_string(field.type) and any(map(_PADDED.fullmatch, cells)):
            field = field.with_metadata({ZEROS: b"yes"})
        fields.append(field)
    return table.cast(pa.schema(fields))


def without_zeros(table: Any, kept: set[str]) -> Any:
    """Return the table with numbers instead of texts with leading zeros, except in `kept`."""
    for i, field in enumerate(table.schema):
        if ZEROS in (field.metadata or {}) and field.name not in kept:
            with contextlib.suppress(pa.ArrowInvalid):
                filled = pc.if_else(pc.equal(table.column(i), ""), None, table.column(i))
                table = table.set_column(i, field.name, filled.cast(pa.int64()))
    return table


def shape_of(cell: str) -> str | None:
    """Return the form of a time without an offset: its unit, and directives of `strftime`."""
    match = _ISO.fullmatch(cell)
    if match is None:
        return None
    between, minute, second, fraction = match.groups()
    clock = "" if between is None else f"{between}%H"
    clock += ":%M" if minute else ""
    clock += ":%S" if second else ""
    return f"{_UNITS[len(fraction or '')]}%Y-%m-%d{clock}"


def _columns(names: list[str], rows: list[list[str]]) -> dict[str, list[str]]:
    """Return the filled cells of each column whose name appears once."""
    counts = Counter(names)
    return {
        name: [row[i].strip() for row in rows if i < len(row) and row[i].strip()]
        for i, name in enumerate(names)
        if counts[name] == 1
    }
