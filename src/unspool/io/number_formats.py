"""Numbers that Arrow reads as text: with separators of thousands, or another decimal point."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from unspool.io.cells import (
    BLANKS,
    FORMATS,
    GROUPS,
    NUMBER,
    decimal_of,
    kind_of,
    number_pattern,
)
from unspool.io.options import TextOptions

SAMPLE = 1000  # cells of a column that are inspected first


def decimal_in(table: Any, delimiter: str, markers: list[str]) -> str | None:
    """Return the decimal point that columns of text show, or None if none has a comma."""
    cells: list[str] = []
    for column in table.columns:
        if _is_text(column) and _looks_numeric(column, markers):
            with_comma = column.filter(pc.match_substring(column, ","))
            cells += with_comma.slice(0, SAMPLE).to_pylist()
    return decimal_of(cells, delimiter)


def convert_numbers(
    table: Any, decimal: str, options: TextOptions, markers: list[str], skip: set[str]
) -> tuple[Any, tuple[str, ...]]:
    """Return the table with columns of numbers in place of their texts, and notes.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    decimal : str
        Decimal point that was found or given.
    options : TextOptions
        What the user gave.
    markers : list of str
        Texts that mean that a value is missing.
    skip : set of str
        Names of columns that remain text.
    """
    notes: dict[tuple[str, str | None], list[str]] = {}
    for i, name in enumerate(table.column_names):
        column = table.column(i)
        if name in skip or not _is_text(column):
            continue
        usual = options.thousands is None or options.thousands in (*GROUPS, *BLANKS)
        if usual and not _looks_numeric(column, markers):
            continue
        texts = _without_markers(column, markers)
        for one in _formats(decimal, options):
            if pc.all(pc.match_substring_regex(texts, f"^(?:{number_pattern(*one)})$")).as_py():
                table = table.set_column(i, name, _numbers(texts, *one))
                notes.setdefault(one, []).append(name)
                break
    notes.pop((decimal, None), None)  # rows that are no data made the column text
    return table, tuple(_note(one, names, decimal, options) for one, names in notes.items())


def _formats(decimal: str, options: TextOptions) -> list[tuple[str, str | None]]:
    """Return formats in the order in which they are tried."""
    thousands = options.thousands
    if thousands is not None:
        thousands = " " if thousands in BLANKS else thousands
        if thousands not in GROUPS:
            return [(decimal, thousands)]
    allowed = [
        one
        for one in FORMATS
        if (options.decimal is None or one[0] == decimal)
        and (thousands is None or one[1] in (None, thousands))
    ]
    return sorted(allowed, key=lambda one: one[0] != decimal)


def _is_text(column: Any) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def _looks_numeric(column: Any, markers: list[str]) -> bool:
    """Return whether most of the first and last texts of a column are numbers in any format."""
    cells = [
        cell
        for part in (column.slice(0, SAMPLE), column.slice(max(SAMPLE, len(column) - SAMPLE)))
        for cell in part.to_pylist()
        if cell and cell.strip() and cell.strip() not in markers
    ]
    cells = cells[:: -(-len(cells) // 200)] if cells else cells
    return bool(cells) and sum(kind_of(cell) == NUMBER for cell in cells) > 0.5 * len(cells)


def _without_markers(column: Any, markers: list[str]) -> Any:
    texts = pc.utf8_trim(column, characters=f"\t{BLANKS}")
    missing = pc.is_in(texts, value_set=pa.array(["", *markers], texts.type))
    return pc.if_else(missing, pa.scalar(None, texts.type), texts)


def _numbers(texts: Any, decimal: str, thousands: str | None) -> Any:
    signs = "" if thousands is None else {" ": BLANKS, "'": "'’"}.get(thousands, thousands)
    for sign in signs:
        texts = pc.replace_substring(texts, sign, "")
    if decimal != ".":
        texts = pc.replace_substring(texts, decimal, ".")
    try:
        return texts.cast(pa.int64())
    except pa.ArrowInvalid:
        pass
    plus = pc.replace_substring_regex(texts, r"^\+", "")
    return pc.replace_substring_regex(plus, r"\.$|\.([eE])", r"\1").cast(pa.float64())


def _note(one: tuple[str, str | None], names: list[str], decimal: str, options: TextOptions) -> str:
    from unspool.data.messages import listed

    point, thousands = one
    where = f"column{'s' * (len(names) > 1)} {listed(names)}"
    if thousands is None:
        spelled = "points" if point == "." else "commas"
        return f"{where}: decimal {spelled}, unlike the others (`decimal`, --decimal)"
    spelled = {" ": "blanks", "'": "apostrophes", ",": "commas", ".": "points"}.get(
        thousands, repr(thousands)
    )
    way_out = "" if options.thousands else "; if they are decimal points, say `decimal`"
    return f"{where}: {spelled} between digits taken as separators of thousands{way_out}"
