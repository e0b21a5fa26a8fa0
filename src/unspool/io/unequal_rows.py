"""The error for a row of a text that has another number of fields than the rows above it."""

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyarrow import csv as arrow_csv

from unspool.errors import InputError
from unspool.io.delimiters import BLANK, COMMENTS

if TYPE_CHECKING:
    from unspool.io.delimited import Dialect

NEAR_END = 10  # a line among the last ones may be a note below the table


def unequal_rows(
    content: Callable[[], Any], dialect: "Dialect", read: Any, parse: Any
) -> InputError | None:
    """Return the error for the first row with another number of fields than the header, if any."""
    found: list[Any] = []

    def keep(row: Any) -> str:
        text = row.text.strip()
        if not text or text.startswith(COMMENTS):
            return "skip"
        found.append(row)
        return "error"

    read.use_threads = False  # Arrow reads rows in their order in one thread only
    parse.invalid_row_handler = keep
    with contextlib.suppress(pa.ArrowException), content() as file:
        arrow_csv.read_csv(file, read, parse)
    if not found:
        return None
    row, wanted = found[0], found[0].expected_columns
    lines = _all_lines(content(), dialect)
    first = (row.text.splitlines() or [""])[0]
    number = next((i for i in range(dialect.skip, len(lines)) if lines[i] == first), None)
    where = "a row" if number is None else f"line {number + 1}"
    fields = f"{row.actual_columns} field{'s' * (row.actual_columns != 1)}"
    way_out = "write the same number of fields in every row, empty ones included"
    if number is not None and number >= len(lines) - NEAR_END and row.actual_columns < wanted:
        way_out += f"; if the table ends above this line, keep `head -n {number}` of the file"
    return InputError(
        f"{where} has {fields} instead of {wanted}: {_shown(row.text, dialect)}; {way_out}."
    )


def _shown(text: str, dialect: "Dialect") -> str:
    text = text.replace("\t", " ") if dialect.delimiter == BLANK else text
    return repr(text if len(text) <= 60 else f"{text[:60]}…")


def _all_lines(file: Any, dialect: "Dialect") -> list[str]:
    with file:
        data = file.read()
    text = bytes(data).decode(
        "utf-8" if dialect.is_rewritten else dialect.encoding, errors="replace"
    )
    return text.removeprefix("\ufeff").splitlines()
