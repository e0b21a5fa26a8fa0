"""CSV and other delimited text, read as an Arrow table.

The first lines say how the text is written: its encoding (`text_head`), the separator
(`delimiters`) and the header (`header`). pyarrow reads the file and finds the types of the columns;
`number_formats` converts numbers that it leaves as text.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv as arrow_csv

from unspool.data.messages import listed
from unspool.errors import InputError
from unspool.io.cells import decimal_of, is_date
from unspool.io.delimiters import (
    BLANK,
    COMMENTS,
    SPELLED,
    Row,
    body_of,
    find_delimiter,
    rows_of,
    split_at_blanks,
    thinned,
    width_of,
)
from unspool.io.header import find_header
from unspool.io.missing import null_values
from unspool.io.number_formats import convert_numbers, decimal_in
from unspool.io.options import TextOptions
from unspool.io.preambles import find_preamble
from unspool.io.sampling import with_times
from unspool.io.stray_rows import is_summary, without_stray_rows
from unspool.io.text_head import (
    ENCODING_NOTE,
    FALLBACK,
    UTF8,
    Head,
    Source,
    not_text,
    opened,
    read_head,
)
from unspool.io.time_shapes import kept_as_text, with_shapes
from unspool.io.unequal_rows import unequal_rows

BLOCK = 1 << 20  # bytes that Arrow reads at a time; no line may be longer
LARGEST_BLOCK = (1 << 31) - 1
# Before version 23 the threaded reader may wait forever after an error (apache/arrow, GH-48741).
THREADS = int(pa.__version__.partition(".")[0]) >= 23
ARROW = " -> "
ROW_ENDS = 0.9  # share of rows that end with a separator that some of them may lack
_GROUPED = re.compile(r"[-+]?[1-9]\d{0,2}\.\d{3}")  # 1.200 may be 1200 in files with semicolons
_SEP_LINE = re.compile(r'"?sep=(.|\\t)"?\s*', re.IGNORECASE)
_LEADING_ZERO = re.compile(r"\d{2,}")
_WITH_OFFSET = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*[-+]\d{2}(:?\d{2})?")


@dataclass(frozen=True)
class Dialect:
    """The format of a delimited text.

    Attributes
    ----------
    delimiter : str
        Separator of the fields; " " for runs of blanks.
    names : list of str
        Names of the columns.
    skip : int
        Number of lines before the data.
    decimal : str
        Decimal point of numbers.
    encoding : str
        Name of the encoding.
    longest : int
        Length of the longest of the first lines, in bytes.
    row_end : str
        Separator, other than the delimiter, at the end of every row; "" if there is none.
    texts : tuple of str
        Columns that remain text, such as the ids 007 and 042.
    unnamed : tuple of str
        Columns without a name, which got their number as one.
    notes : tuple of str
        What was found, one line each.
    rows : list of lists of str
        The fields of the first rows of data.
    arrow : bool
        Whether " -> " follows the first field of each row.
    """

    delimiter: str
    names: list[str]
    skip: int
    decimal: str
    encoding: str
    longest: int
    row_end: str
    texts: tuple[str, ...]
    unnamed: tuple[str, ...]
    notes: tuple[str, ...]
    rows: list[list[str]]
    arrow: bool = False

    @property
    def is_rewritten(self) -> bool:
        """Whether Arrow reads the text only after it is rewritten."""
        return self.delimiter == BLANK or bool(self.row_end) or self.arrow


def read_delimited(
    source: Source, options: TextOptions | None = None, missing_values: Iterable[float | str] = ()
) -> tuple[Any, tuple[str, ...]]:
    """Read a text as a `pyarrow.Table`; return it with notes on how it was read.

    Parameters
    ----------
    source : Path or pyarrow.Buffer
        The file, or its content.
    options : TextOptions, optional
        What the user says about the format.
    missing_values : iterable of float or str, default ()
        What means that a value is missing, in addition to the usual words.

    Raises
    ------
    InputError
        If rows have different numbers of fields, the file is not text, or there are no rows.
    """
    options = options or TextOptions()
    head = read_head(source, options.encoding)
    preamble = find_preamble(head.lines, options)
    if preamble is not None:
        head = replace(head, lines=preamble.lines, notes=(*head.notes, *preamble.notes))
        options = preamble.text
    dialect = find_dialect(head, options)
    missing = null_values(missing_values)
    table, notes = _read(source, dialect, missing)
    if any(pa.types.is_binary(field.type) for field in table.schema):
        if options.encoding is not None or dialect.encoding != UTF8:
            raise InputError(not_text(f"a column contains bytes that are not {dialect.encoding}"))
        dialect = replace(dialect, encoding=FALLBACK, notes=(ENCODING_NOTE, *dialect.notes))
        table, notes = _read(source, dialect, missing)
    if options.decimal is None and options.thousands is None:
        shown = decimal_in(table, dialect.delimiter, missing)
        if shown == "," and dialect.decimal == ".":
            note = _decimal_note(",")
            dialect = replace(dialect, decimal=shown, notes=(*dialect.notes, note))
            table, notes = _read(source, dialect, missing)
    table, number_notes = convert_numbers(
        table, dialect.decimal, options, missing, set(dialect.texts)
    )
    table, end_notes = _without_empty_ends(table, dialect)
    if table.num_rows == 0:
        raise InputError("the file has a header but no rows; write the data below the header.")
    table = with_shapes(table, dialect.rows)
    if preamble is not None and preamble.sampling is not None:
        table = with_times(table, preamble.sampling)
    return table, (*dialect.notes, *notes, *number_notes, *end_notes)


def find_dialect(head: Head, options: TextOptions) -> Dialect:
    """Find the format of a text from its first lines; what the user gave is not searched for."""
    lines, skip, delimiter = head.lines, options.skip, options.delimiter
    start = skip or 0
    if skip is None:
        first = next(i for i, line in enumerate(lines) if line.strip())
        separator = _SEP_LINE.fullmatch(lines[first])
        if separator:  # Excel reads and writes this line
            start = first + 1
            delimiter = delimiter or separator[1].replace("\\t", "\t")
    lines = lines[start:]
    if not any(map(str.strip, lines)):
        raise InputError(
            f"there is no text below the {start} lines that are skipped; check `skip` (--skip)."
        )
    notes = list(head.notes)
    arrow = _has_arrows(lines)
    if arrow:
        delimiter = delimiter or find_delimiter([line.partition(ARROW)[2] for line in lines])
        lines = [line.replace(ARROW, delimiter, 1) for line in lines]
        notes.append(f"{ARROW.strip()!r} after the first field is read as a separator")
    delimiter = delimiter or find_delimiter(lines)
    rows = rows_of(lines, delimiter)
    width, _ = width_of(rows)
    if options.delimiter is None and _is_one_column(rows, width, delimiter):
        delimiter = ";"
        rows, width = rows_of(lines, delimiter), 1
    if delimiter != "," and width > 1:
        notes.append(f"columns are separated by {SPELLED.get(delimiter, repr(delimiter))}")
    row_end = _row_end(body_of(rows), delimiter)
    if row_end:
        rows = [replace(row, fields=_without_end(row.fields, row_end)) for row in rows]
        notes.append(f"{row_end!r} at the end of every row is left out")
    header = find_header(rows, width, options.header, delimiter=delimiter, skipped=skip is not None)
    notes += header.notes
    body = [row for row in rows if row.start >= header.data and len(row.fields) == width]
    decimal = options.decimal or _decimal(body, delimiter, options.thousands)
    if decimal == "," and options.decimal is None:
        notes.append(_decimal_note(decimal))
    if delimiter == ";" and decimal == "." and options.decimal is None and not options.thousands:
        notes += _points_that_may_group(header.names, body)
    if not header.found:
        way_out = "" if options.header == 0 else "; otherwise say `header` (--header 1)"
        span = repr(header.names[0]) if width == 1 else f"{header.names[0]!r} to {str(width - 1)!r}"
        notes.append(f"no header: columns are named by their numbers, {span}{way_out}")
    names, unnamed, more = _different_names(header.names)
    fields = [row.fields for row in body]
    return Dialect(
        delimiter,
        names,
        start + header.data,
        decimal,
        head.encoding,
        head.longest,
        row_end,
        (*dict.fromkeys([*_text_columns(names, body), *kept_as_text(names, fields)]),),
        unnamed,
        (*notes, *more),
        fields,
        arrow,
    )


def _points_that_may_group(names: list[str], body: list[Row]) -> list[str]:
    """Return a note on columns in which three digits follow every point, such as 1.200."""
    found = []
    for name, cells in zip(names, zip(*(row.fields for row in body), strict=True), strict=False):
        filled = [cell.strip() for cell in cells if cell.strip()]
        points = [cell for cell in filled if "." in cell]
        if len(points) > 2 and all(_GROUPED.fullmatch(cell) for cell in points):
            found.append(f"{name!r} ({points[0]})")
    if not found:
        return []
    which = f"column{'s' if len(found) > 1 else ''} {listed(found)}"
    return [f"{which}: points taken as decimal points; if they separate thousands: `thousands='.'`"]


def _decimal_note(decimal: str) -> str:
    return "commas within numbers taken as decimal points; otherwise say `decimal='.'`"


def _is_one_column(rows: list[Row], width: int, delimiter: str) -> bool:
    """Return whether commas split the decimal commas of one column, whose name is one field."""
    filled = [row.fields for row in rows if not row.is_blank]
    if delimiter != "," or width != 2 or len(filled) < 2 or len(filled[0]) != 1:
        return False
    pairs = [fields for fields in filled[1:] if len(fields) == 2]
    digits = all(field.strip(" -+").isdigit() for fields in pairs for field in fields)
    steps = {int(b[0]) - int(a[0]) for a, b in pairwise(pairs)} if digits else set()
    return digits and steps != {1}


def _has_arrows(lines: list[str]) -> bool:
    """Return whether nearly all lines have an arrow after a time, as of the Arduino IDE."""
    filled = [line for line in lines if line.strip()]
    found = [line for line in filled if is_date(line.partition(ARROW)[0].strip())]
    return sum(line.count(ARROW) == 1 for line in found) >= ROW_ENDS * len(filled)


def _row_end(body: list[Row], delimiter: str) -> str:
    """Return ";" or "," if every row ends with it, and it is not the separator of the fields."""
    for sign in ";,":
        ends = [len(row.fields) > 1 and row.fields[-1].rstrip().endswith(sign) for row in body]
        if sign != delimiter and sum(ends) >= ROW_ENDS * len(ends):
            return sign
    return ""


def _without_end(fields: list[str], row_end: str) -> list[str]:
    return [*fields[:-1], fields[-1].rstrip().removesuffix(row_end)] if fields else fields


def _decimal(body: list[Row], delimiter: str, thousands: str | None) -> str:
    if thousands in (",", "."):
        return "." if thousands == "," else ","
    cells = [cell for row in body for cell in row.fields[:200]]
    return decimal_of(cells, delimiter) or "."


def _different_names(names: list[str]) -> tuple[list[str], tuple[str, ...], list[str]]:
    """Return names that differ, those of columns without a name, and notes."""
    found: dict[str, None] = {}
    counts: dict[str, int] = {}
    unnamed, repeated = [], []
    for i, name in enumerate(names):
        new = name
        if name == "" and i > 0:
            new = str(i)
            unnamed.append(new)
        if new in found:
            wanted = name or str(i)
            while new in found:
                counts[wanted] = counts.get(wanted, 0) + 1
                new = f"{wanted}.{counts[wanted]}"
            repeated.append(new)
        found[new] = None
    notes = []
    if repeated:
        notes.append(f"names that appear more than once got numbers: {listed(repeated)}")
    return list(found), tuple(unnamed), notes


def _text_columns(names: list[str], body: list[Row]) -> tuple[str, ...]:
    """Return the columns that Arrow must not convert, since they could not be written back.

    These are ids such as 007, which are repeated, and times with an offset from UTC.
    """
    texts = []
    rows = thinned(body)
    for name, *cells in zip(names, *(row.fields for row in rows), strict=False):
        filled = [cell.strip() for cell in cells if cell.strip()]
        if not filled:
            continue
        zeros = (
            any(cell[0] == "0" for cell in filled)
            and len({*map(len, filled)}) == 1
            and len({*filled}) < len(filled)
            and all(map(_LEADING_ZERO.fullmatch, filled))
        )
        if zeros or all(map(_WITH_OFFSET.fullmatch, filled)):
            texts.append(name)
    return tuple(texts)


def _read(source: Source, dialect: Dialect, missing: list[str]) -> tuple[Any, tuple[str, ...]]:
    """Read the whole text with Arrow."""
    text = None
    if dialect.is_rewritten:
        text = _rewritten(source, dialect)
    size = len(text) if text is not None else _size(source)
    read = arrow_csv.ReadOptions(
        column_names=dialect.names,
        skip_rows=dialect.skip,
        # A thread of Arrow that frees the handler of rows while the interpreter ends aborts it.
        use_threads=THREADS and size > BLOCK,
        encoding=UTF8 if text is not None else dialect.encoding,
    )
    parse = arrow_csv.ParseOptions(
        delimiter="\t" if dialect.delimiter == BLANK else dialect.delimiter
    )
    convert = _convert_options(dialect, missing)
    skipped: list[str] = []
    summaries: list[str] = []

    def skip_comments(row: Any) -> str:
        text = row.text.strip()
        if is_summary(text):
            summaries.append(text)
            return "skip"
        if text and not text.startswith(COMMENTS):
            return "error"
        skipped.extend([text] if text else [])
        return "skip"

    def content() -> Any:
        return pa.BufferReader(text) if text is not None else opened(source)

    # No line may be longer than a block. If a later line is, Arrow raises, and the file is read
    # again as one block; so it is if line breaks are within quotes.
    blocks = [min(size, LARGEST_BLOCK)]
    if dialect.longest < BLOCK < size:
        blocks.insert(0, BLOCK)
    for block in blocks:
        read.block_size = block
        skipped.clear()
        summaries.clear()
        parse.invalid_row_handler = skip_comments
        try:
            with content() as file:
                table = arrow_csv.read_csv(file, read, parse, convert)
            break
        except pa.ArrowException as error:
            why = str(error)
        except UnicodeError as error:
            raise InputError(
                f"the text cannot be read as {dialect.encoding} ({error.reason}); name another "
                "encoding with `encoding` (--encoding)."
                if isinstance(error, UnicodeDecodeError)
                else f"the text cannot be read as {dialect.encoding}: {error}."
            ) from None
        if block == blocks[-1]:
            if "block" in why and size > LARGEST_BLOCK:
                why = "a line has more than 2 GiB; write the data as .npy"
            raise unequal_rows(content, dialect, read, parse) or InputError(
                f"the text cannot be read as a table: {why}."
            )
    table, notes = without_stray_rows(table, dialect.rows)
    if skipped:
        notes.insert(0, f"{len(skipped):,} comment lines within the table are left out")
    if summaries:
        count = len(summaries)
        which = "line" if count == 1 else f"{count:,} lines"
        first = "" if count == 1 else "the first is "
        shown = " ".join(summaries[0].split())
        notes.append(f"{which} left out that sum{'s' * (count == 1)} up others: {first}{shown!r}")
    return table, tuple(notes)


def _convert_options(dialect: Dialect, missing: list[str]) -> Any:
    """Return how Arrow converts texts: here texts that mean missing are given to it."""
    return arrow_csv.ConvertOptions(
        decimal_point=dialect.decimal,
        null_values=missing,
        column_types={name: pa.string() for name in dialect.texts},
    )


def _size(source: Source) -> int:
    return source.stat().st_size if isinstance(source, Path) else int(source.size)


def _rewritten(source: Source, dialect: Dialect) -> Any:
    """Return the text in UTF-8, with tabs for runs of blanks, and without the ends of rows.

    The buffer is Arrow's. A thread of Arrow that frees one of Python's while the interpreter ends
    would abort the process.
    """
    stream = pa.BufferOutputStream()
    end = dialect.row_end.encode()
    blank = dialect.delimiter == BLANK
    with opened(source) as raw:
        if dialect.encoding == UTF8:
            lines = _lines(raw)
        else:
            lines = iter(bytes(raw.read()).decode(dialect.encoding).encode().splitlines())
        for line in lines:
            if dialect.arrow:
                line = line.replace(ARROW.encode(), dialect.delimiter.encode(), 1)
            if blank and b'"' in line:
                fields = split_at_blanks(line.decode(errors="surrogateescape"))
                quoted = ('"' + one.replace('"', '""') + '"' for one in fields)
                line = "\t".join(quoted).encode(errors="surrogateescape")
            elif blank:
                line = b"\t".join(line.split())
            if end:
                line = line.rstrip().removesuffix(end)
            stream.write(line + b"\n")
    return stream.getvalue()


def _lines(file: Any) -> Iterator[bytes]:
    """Yield the lines of a file, whose ends may be those of old Macs."""
    rest = b""
    while block := file.read(BLOCK):
        data = rest + block
        lines = data.splitlines(keepends=True)
        rest = lines.pop()  # its end, or the second byte of it, may follow
        yield from (line.rstrip(b"\r\n") for line in lines)
    yield from rest.splitlines()


def _without_empty_ends(table: Any, dialect: Dialect) -> tuple[Any, list[str]]:
    """Leave out unnamed empty columns, and empty rows at the end of the table."""
    notes = []
    for name in reversed(table.column_names):
        if name not in dialect.unnamed or table[name].null_count < table.num_rows:
            break
        table = table.drop_columns([name])  # every row ends with a separator
    numbered = [name for name in dialect.unnamed if name in table.column_names]
    if numbered:
        notes.append(f"columns without a name are named by their numbers: {listed(numbered)}")
    rows = table.num_rows
    while rows and table.num_columns > 1 and _is_empty_row(table, rows - 1):
        rows -= 1
    if rows < table.num_rows:
        count = table.num_rows - rows
        many = "rows of separators alone" if count > 1 else "row of separators alone"
        notes.append(f"{count:,} {many} at the end left out")
        table = table.slice(0, rows)
    return table, notes


def _is_empty_row(table: Any, row: int) -> bool:
    return all(column[row].as_py() in (None, "") for column in table.columns)
