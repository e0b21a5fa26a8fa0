"""Rows within a table of text that are no data: repeated headers, and sums or means at its end.

Programs that append to a file write its header again, and `sar` and HWiNFO do so within one file.
Such a row makes a column of numbers text, so that only columns of text are inspected.
"""

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unspool.io.cells import DATE, NUMBER, kind_of

LAST_ROWS = 5  # rows at the end that may be sums, means or a footer
SAMPLE = 100  # rows of the sample that say whether a column holds numbers
SUMMARY = re.compile(
    r"(?:average|avg|mean|total|sum|max|maximum|min|minimum|summe|mittel|mittelwert|durchschnitt|"
    r"std|stddev|count)\.?:?",
    re.IGNORECASE,
)


def is_summary(text: str) -> bool:
    """Return whether the first word of a row says that it sums up the rows above."""
    words = re.split(r"[\s,;|]", text.strip().strip('"'), maxsplit=1)
    return SUMMARY.fullmatch(words[0].strip('"')) is not None


def without_stray_rows(table: Any, rows: list[list[str]]) -> tuple[Any, list[str]]:
    """Return the table without repeated headers and rows at its end that are no data, and notes.

    Parameters
    ----------
    table : pyarrow.Table
        The table, as Arrow read it.
    rows : list of lists of str
        The fields of the first rows of data.
    """
    if table.num_rows < 2 or not any(_is_text(field.type) for field in table.schema):
        return table, []
    notes = []
    numbers = [i for i in range(table.num_columns) if _lost_numbers(table, i, rows)]
    if numbers:
        names = [table.column_names[i] for i in numbers]
        again = _share(table, numbers, names) >= 0.5
        if again.any() and not again.all():
            table = table.filter(pa.array(~again))
            notes.append(f"{_rows(int(again.sum()))} with the names of the columns left out")
        footer = _last(table, [i for i in numbers if _is_text(table.schema.field(i).type)])
        if footer and notes:
            table = table.slice(0, table.num_rows - footer)
            notes.append(f"{_rows(footer)} without numbers at the end left out")
    count = _summaries(table)
    if count:
        word = table.column(0)[table.num_rows - count].as_py()
        table = table.slice(0, table.num_rows - count)
        notes.append(f"{_rows(count)} at the end left out, {word!r}")
    return table, notes


def _lost_numbers(table: Any, i: int, rows: list[list[str]]) -> bool:
    """Return whether a column is text, although its first cells are numbers."""
    if not _is_text(table.schema.field(i).type):
        return False
    kinds = [kind_of(row[i]) for row in rows[:SAMPLE] if i < len(row) and row[i].strip()]
    return bool(kinds) and sum(kind == NUMBER for kind in kinds) > 0.5 * len(kinds)


def _share(table: Any, places: list[int], names: list[str]) -> npt.NDArray[np.float64]:
    """Return the share of columns whose cell is the name of the column, for each row."""
    count = np.zeros(table.num_rows)
    for place, name in zip(places, names, strict=True):
        equal = pc.equal(pc.utf8_trim_whitespace(table.column(place)), name)
        count += pc.fill_null(equal, False).to_numpy().astype(np.float64)
    return count / len(places)


def _last(table: Any, places: list[int]) -> int:
    """Return the number of rows at the end without a number in any of the columns."""
    count = 0
    while count < min(LAST_ROWS, table.num_rows - 1):
        row = table.num_rows - 1 - count
        cells = [table.column(place)[row].as_py() or "" for place in places]
        if any(kind_of(cell) == NUMBER for cell in cells):
            break
        count += 1
    return count


def _summaries(table: Any) -> int:
    """Return the number of rows at the end that begin with a word such as "Average:"."""
    first = table.column(0)
    if not _is_text(first.type):
        return 0
    count = 0
    while count < min(LAST_ROWS, len(first) - 1):
        cell = first[len(first) - 1 - count].as_py()
        if cell is None or SUMMARY.fullmatch(cell.strip()) is None:
            break
        count += 1
    above = first[len(first) - 1 - count].as_py()
    return count if count and above is not None and kind_of(above) in (DATE, NUMBER) else 0


def _rows(count: int) -> str:
    return f"{count:,} row{'s' if count > 1 else ''}"


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))
