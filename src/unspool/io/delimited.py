"""CSV and other delimited text, read as an Arrow table.

`read_delimited` finds the separator (comma, semicolon, tab, or runs of blanks) and the header from
the first lines; pyarrow reads the file and finds the types of the columns.
"""

import contextlib
import csv
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv as arrow_csv

from unspool.errors import InputError
from unspool.io.time_shapes import kept_as_text, with_shapes

# Separator and header are found from the first lines: at most SAMPLE_LINES, and no more after
# SAMPLE_BYTES, but at least three.
SAMPLE_LINES = 50
SAMPLE_BYTES = 1 << 20
BLOCK = 1 << 20  # bytes that Arrow reads at a time; no line may be longer
LARGEST_BLOCK = (1 << 31) - 1
# Before version 23 the threaded reader may wait forever after an error (apache/arrow, GH-48741).
THREADS = int(pa.__version__.partition(".")[0]) >= 23
BLANK = " "
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ]\d{1,2}:\d{2}.*)?")
_COMMA_DECIMAL = re.compile(r"[-+]?\d+,\d+")


@dataclass(frozen=True)
class Dialect:
    """The format of a delimited text.

    Parameters
    ----------
    delimiter : str
        Separator of the fields; " " for runs of blanks.
    names : list of str
        Names of the columns.
    skip : int
        Number of lines before the data.
    longest : int
        Length of the longest of the first lines, in bytes.
    decimal : str
        Decimal point of numbers.
    notes : tuple of str
        What was found, one line each.
    rows : list of lists of str
        The fields of the first rows of data.
    """

    delimiter: str
    names: list[str]
    skip: int
    longest: int
    decimal: str
    notes: tuple[str, ...]
    rows: list[list[str]]


def read_delimited(path: Path) -> tuple[Any, tuple[str, ...]]:
    """Read a text file as a `pyarrow.Table`; return it with notes on how it was read.

    Raises
    ------
    InputError
        If rows have different numbers of fields, the file is not UTF-8 text, or there are no rows.
    """
    dialect = _dialect(path)
    text = _tabs_for_blanks(path) if dialect.delimiter == BLANK else None
    read = arrow_csv.ReadOptions(
        column_names=dialect.names, skip_rows=dialect.skip, use_threads=THREADS
    )
    parse = arrow_csv.ParseOptions(delimiter="\t" if text else dialect.delimiter)
    convert = arrow_csv.ConvertOptions(
        decimal_point=dialect.decimal, column_types=kept_as_text(dialect.names, dialect.rows)
    )
    size = len(text) if text else path.stat().st_size

    def source() -> Any:
        return pa.BufferReader(text) if text else path

    # No line may be longer than a block. If a later line is, Arrow raises, and the file is read
    # again as one block.
    blocks = [min(size, LARGEST_BLOCK)]
    if dialect.longest < BLOCK < size:
        blocks.insert(0, BLOCK)
    for block in blocks:
        read.block_size = block
        try:
            table = arrow_csv.read_csv(source(), read, parse, convert)
            break
        except pa.ArrowException as error:
            why = str(error)
            if "block" in why and block != blocks[-1]:
                continue
        if "block" in why and size > LARGEST_BLOCK:
            why = "a line has more than 2 GiB; write the data as .npy"
        raise _unequal_rows(source(), read, parse) or InputError(
            f"the text cannot be read as a table: {why}."
        )
    for field in table.schema:
        if pa.types.is_binary(field.type):
            raise InputError(_not_text(f"column {field.name!r} contains bytes that are not UTF-8"))
    if table.num_rows == 0:
        raise InputError("the file has a header but no rows; write the data below the header.")
    if table.num_columns > 1 and not dialect.names[-1] and _is_empty(table.columns[-1]):
        table = table.remove_column(table.num_columns - 1)  # every row ends with a separator
    return with_shapes(table, dialect.rows), dialect.notes


def _tabs_for_blanks(path: Path) -> Any:
    """Return the text with runs of blanks replaced by one tab, since Arrow splits at every blank.

    The buffer is Arrow's. A thread of Arrow that frees one of Python's while the interpreter ends
    would abort the process.
    """
    stream = pa.BufferOutputStream()
    with path.open("rb") as file:
        for line in file:
            stream.write(b"\t".join(line.split()) + b"\n")
    return stream.getvalue()


def _dialect(path: Path) -> Dialect:
    lines, before, longest = _first_lines(path)
    delimiter, rows = _split(lines)
    notes: list[str] = []
    if delimiter != "," and len(rows[-1]) > 1:
        spelled = {";": "semicolons", "\t": "tabs", BLANK: "blanks"}[delimiter]
        notes.append(f"columns are separated by {spelled}")
    width = len(rows[-1])
    decimal = "."
    if delimiter == ";" and _has_decimal_commas(rows):
        decimal = ","
        notes.append("commas within numbers taken as decimal points")
    if is_data(rows[0], decimal):
        names = [str(i) for i in range(len(rows[0]))]
        notes.append(f"no header: columns are named by their numbers, {_span(names)}")
        return Dialect(delimiter, names, before, longest, decimal, tuple(notes), rows)
    names = [name.strip() for name in rows[0]]
    if len(names) == width - 1:
        ends_empty = all(row[-1].strip() == "" for row in rows[1:])
        names = [*names, ""] if ends_empty else ["", *names]
        if not ends_empty:
            notes.append("the header has one name too few: the first column has no name")
    if len(names) > 2 and names == [str(i) for i in range(len(names))]:
        notes.append(f"first row, {_span(names)}, taken as column names")
    return Dialect(delimiter, names, before + 1, longest, decimal, tuple(notes), rows[1:])


def _first_lines(path: Path) -> tuple[list[str], int, int]:
    """Return the first non-empty lines, the number of empty lines before, the largest length."""
    raw: list[bytes] = []
    with path.open("rb") as file:
        for line in islice(file, SAMPLE_LINES):
            raw.append(line)
            if len(raw) >= 3 and sum(map(len, raw)) > SAMPLE_BYTES:
                break
    if any(b"\0" in line for line in raw):
        raise InputError(_not_text("the file contains zero bytes"))
    try:
        text = [line.decode("utf-8-sig") for line in raw]
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise InputError(_not_text(f"byte 0x{byte:02x} is not UTF-8")) from None
    filled = [line.strip("\r\n") for line in text if line.strip()]
    if not filled:
        raise InputError("the file contains only blank lines; write it again.")
    before = next(i for i, line in enumerate(text) if line.strip())
    filled[0] = filled[0].removeprefix("#")  # numpy.savetxt writes this before a header
    return filled, before, max(map(len, raw))


def _split(lines: list[str]) -> tuple[str, list[list[str]]]:
    """Return the separator that splits most lines into equally many fields, and the fields."""
    split = {delimiter: _fields(lines, delimiter) for delimiter in ",;\t"}
    split[BLANK] = [line.split() for line in lines]

    def fit(delimiter: str) -> tuple[bool, int, int, bool]:
        head, *body = (len(row) for row in split[delimiter])
        even = set(body) <= {head}
        one_short = set(body) == {head + 1}
        return even and head > 1, head if one_short else 0, body.count(head) * (head > 1), even

    best = max(split, key=fit)
    return best, split[best]


def _fields(lines: list[str], delimiter: str) -> list[list[str]]:
    try:
        return list(csv.reader(lines, delimiter=delimiter))
    except csv.Error:  # a field exceeds the module's limit of 131,072 characters
        return [line.split(delimiter) for line in lines]


def is_data(row: list[str], decimal: str) -> bool:
    """Return whether a first row contains data (numbers and dates only) instead of names."""
    fields = [field.strip() for field in row]
    if len(fields) > 2 and fields == [str(i) for i in range(len(fields))]:
        return False  # pandas writes 0, 1, 2, … above columns without names
    return fields[0] != "" and all(
        field == "" or is_number(field.replace(decimal, ".")) or DATE.fullmatch(field)
        for field in fields
    )


def _has_decimal_commas(rows: list[list[str]]) -> bool:
    return any(_COMMA_DECIMAL.fullmatch(field.strip()) for row in rows for field in row)


def is_number(text: str) -> bool:
    """Return whether the whole text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _is_empty(column: Any) -> bool:
    return bool(column.null_count == len(column))


def _span(names: list[str]) -> str:
    return repr(names[0]) if len(names) == 1 else f"{names[0]!r} to {names[-1]!r}"


def _not_text(what: str) -> str:
    return (
        f"{what}, so it is not a text table; save it as UTF-8, or correct the ending of its name."
    )


def _unequal_rows(source: Any, read: Any, parse: Any) -> InputError | None:
    """Return the error for the first row with another number of fields than the header, if any."""
    found: list[Any] = []

    def keep(row: Any) -> str:
        found.append(row)
        return "error"

    read.use_threads = False  # Arrow numbers rows in one thread only
    parse.invalid_row_handler = keep
    with contextlib.suppress(pa.ArrowException):
        arrow_csv.read_csv(source, read, parse)
    if not found:
        return None
    row = found[0]
    return InputError(
        f"expected {row.expected_columns} fields in row {row.number}, got {row.actual_columns}: "
        f"{row.text[:60]!r}; write the same number of fields in every row, empty ones included."
    )
