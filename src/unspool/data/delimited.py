"""Text with separators, read as an Arrow table: CSV and its many relatives.

Main path: `read_delimited` looks at the first lines to find the separator (comma, semicolon, tab,
or runs of blanks) and whether there is a header; pyarrow reads the rest and finds the types.
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

LOOKED_AT = 50  # lines from which separator and header are told; of long ones only as many as
ENOUGH = 1 << 20  # this number of bytes takes, and three at least
BLOCK = 1 << 20  # bytes that Arrow reads at a time; no line may be longer
LARGEST_BLOCK = (1 << 31) - 1
BLANK = " "
DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}([T ]\d{1,2}:\d{2}.*)?")
_COMMA_DECIMAL = re.compile(r"[-+]?\d+,\d+")


@dataclass(frozen=True)
class Dialect:
    """How the text is written: what separates fields, the names, and lines before the data.

    `longest` is that of the lines that were looked at, in bytes.
    """

    delimiter: str
    names: list[str]
    skip: int
    longest: int
    decimal: str
    notes: tuple[str, ...]


def read_delimited(path: Path) -> tuple[Any, tuple[str, ...]]:
    """Read a text file as a `pyarrow.Table`, and notes on how it was read.

    Raises
    ------
    InputError
        For rows of unequal numbers of fields, bytes that are not UTF-8 text, or no rows.
    """
    dialect = _dialect(path)
    text = _tabs_for_blanks(path) if dialect.delimiter == BLANK else None
    read = arrow_csv.ReadOptions(column_names=dialect.names, skip_rows=dialect.skip)
    parse = arrow_csv.ParseOptions(delimiter="\t" if text else dialect.delimiter)
    convert = arrow_csv.ConvertOptions(decimal_point=dialect.decimal)
    size = len(text) if text else path.stat().st_size

    def source() -> Any:
        return pa.BufferReader(text) if text else path

    # No line may be longer than a block. Of lines that were not looked at, Arrow finds out.
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
            f"the text does not read as a table: {why}."
        )
    for field in table.schema:
        if pa.types.is_binary(field.type):
            raise InputError(_not_text(f"column {field.name!r} holds bytes that are not UTF-8"))
    if table.num_rows == 0:
        raise InputError("there is a header and no row below it.")
    if table.num_columns > 1 and not dialect.names[-1] and _is_empty(table.columns[-1]):
        table = table.remove_column(table.num_columns - 1)  # rows that end in a separator
    return table, dialect.notes


def _tabs_for_blanks(path: Path) -> bytes:
    """The text with one tab for every run of blanks; Arrow splits at every single blank."""
    with path.open("rb") as file:
        return b"\n".join(b"\t".join(line.split()) for line in file)


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
        return Dialect(delimiter, names, before, longest, decimal, tuple(notes))
    names = [name.strip() for name in rows[0]]
    if len(names) == width - 1:
        ends_empty = all(row[-1].strip() == "" for row in rows[1:])
        names = [*names, ""] if ends_empty else ["", *names]
        if not ends_empty:
            notes.append("the header is one name short: taken as that of all but the first column")
    if len(names) > 2 and names == [str(i) for i in range(len(names))]:
        notes.append(f"first row, {_span(names)}, taken as column names")
    return Dialect(delimiter, names, before + 1, longest, decimal, tuple(notes))


def _first_lines(path: Path) -> tuple[list[str], int, int]:
    """The first lines that hold something, how many empty ones precede them, and the longest."""
    raw: list[bytes] = []
    with path.open("rb") as file:
        for line in islice(file, LOOKED_AT):
            raw.append(line)
            if len(raw) >= 3 and sum(map(len, raw)) > ENOUGH:
                break
    if any(b"\0" in line for line in raw):
        raise InputError(_not_text("it holds zero bytes"))
    try:
        text = [line.decode("utf-8-sig") for line in raw]
    except UnicodeDecodeError as error:
        byte = error.object[error.start]
        raise InputError(_not_text(f"byte 0x{byte:02x} is not UTF-8")) from None
    filled = [line.strip("\r\n") for line in text if line.strip()]
    if not filled:
        raise InputError("the file holds nothing but blank lines.")
    before = next(i for i, line in enumerate(text) if line.strip())
    filled[0] = filled[0].removeprefix("#")  # numpy.savetxt writes its header so
    return filled, before, max(map(len, raw))


def _split(lines: list[str]) -> tuple[str, list[list[str]]]:
    """The separator that cuts all lines, or most, into equally many fields; and the fields."""
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
    except csv.Error:  # a field beyond the module's limit of 131,072 letters
        return [line.split(delimiter) for line in lines]


def is_data(row: list[str], decimal: str) -> bool:
    """Whether the first row holds data: numbers or dates from its first field on, no names."""
    fields = [field.strip() for field in row]
    if len(fields) > 2 and fields == [str(i) for i in range(len(fields))]:
        return False  # what pandas writes above columns that have no names
    return fields[0] != "" and all(
        field == "" or is_number(field.replace(decimal, ".")) or DATE.fullmatch(field)
        for field in fields
    )


def _has_decimal_commas(rows: list[list[str]]) -> bool:
    return any(_COMMA_DECIMAL.fullmatch(field.strip()) for row in rows for field in row)


def is_number(text: str) -> bool:
    """Whether the text is a number on its own."""
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
    return f"{what}, so this is no text table; save it as UTF-8 text, or use the right ending."


def _unequal_rows(source: Any, read: Any, parse: Any) -> InputError | None:
    """The error for the first row with too many or too few fields, if there is one."""
    found: list[Any] = []

    def keep(row: Any) -> str:
        found.append(row)
        return "error"

    read.use_threads = False  # only then rows are numbered
    parse.invalid_row_handler = keep
    with contextlib.suppress(pa.ArrowException):
        arrow_csv.read_csv(source, read, parse)
    if not found:
        return None
    row = found[0]
    return InputError(
        f"expected {row.expected_columns} fields in row {row.number}, got {row.actual_columns}: "
        f"{row.text[:60]!r}; every row needs as many as the first, empty ones included."
    )
