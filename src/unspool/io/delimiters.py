"""The separator of the fields of a text, found from its first lines."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from unspool.io.cells import DATE, NUMBER, TRUTH, kind_of

BLANK = " "  # runs of blanks
DELIMITERS = (",", ";", "\t", "|", BLANK)
SPELLED = {
    ",": "commas",
    ";": "semicolons",
    "\t": "tabs",
    "|": "vertical bars",
    BLANK: "blanks",
}
COMMENTS = ("#", "%", "//", "!")  # beginnings of comments; also ";" if it is not the separator
MAX_BODY_ROWS = 40  # rows of the sample whose cells are inspected
MAX_COLUMNS = 200  # columns that are inspected to find the separator
_QUOTED_OR_WORD = re.compile(r'"(?:[^"]|"")*"|\S+')


@dataclass(frozen=True)
class Row:
    """The fields of a row, with the index of its first line and of the line below it."""

    fields: list[str]
    start: int
    end: int

    @property
    def is_blank(self) -> bool:
        """Whether the row has no text and no separator."""
        return not self.fields or (len(self.fields) == 1 and not self.fields[0].strip())


def rows_of(lines: list[str], delimiter: str) -> list[Row]:
    """Split lines into rows; a row has several lines if line breaks are within quotes."""
    if delimiter == BLANK:
        return [Row(split_at_blanks(line), i, i + 1) for i, line in enumerate(lines)]
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter)
    try:
        return list(_numbered(reader))
    except csv.Error:  # a field exceeds the module's limit of 131,072 characters
        return [Row(line.split(delimiter), i, i + 1) for i, line in enumerate(lines)]


def _numbered(reader: Iterator[list[str]]) -> Iterator[Row]:
    start = 0
    for fields in reader:
        end: int = reader.line_num  # type: ignore[attr-defined]
        yield Row(fields, start, end)
        start = end


def split_at_blanks(line: str) -> list[str]:
    """Split a line at runs of blanks outside quotes."""
    if '"' not in line:
        return line.split()
    return [
        one[1:-1].replace('""', '"') if one[0] == '"' and one[-1] == '"' and len(one) > 1 else one
        for one in _QUOTED_OR_WORD.findall(line)
    ]


def find_delimiter(lines: list[str]) -> str:
    """Return the separator that splits the lines most evenly into numbers, dates and truth values.

    The lower half of the lines decides, since titles and headers are above it.
    """
    kept = [line for line in lines if line.strip() and not line.lstrip().startswith(COMMENTS)]
    kept = kept or lines
    tabs = {line.count("\t") for line in kept}
    # Blanks are part of the fields, such as "2024-01-31 13:00", if each line has the same tabs.
    blanks = (len(tabs) > 1 or 0 in tabs) and not _are_padded_commas(kept)
    known = [one for one in DELIMITERS if one != BLANK or blanks]
    return max(known, key=lambda delimiter: _fit(rows_of(kept, delimiter), delimiter))


def _are_padded_commas(lines: list[str]) -> bool:
    """Return whether all lines have the same commas, at least two, and a blank after each."""
    counts = {(line.count(","), line.count(", ")) for line in lines}
    commas, padded = min(counts)
    return len(counts) == 1 and commas == padded > 1


def _fit(rows: list[Row], delimiter: str) -> tuple[float, bool, float, int]:
    body = body_of(rows)
    width, even = width_of(rows)
    cells = [
        cell
        for row in thinned(body)
        if len(row.fields) == width
        for cell in row.fields[:MAX_COLUMNS]
        if cell.strip()
    ]
    known = sum(kind_of(cell) in (NUMBER, DATE, TRUTH) for cell in cells)
    share = known / len(cells) if cells else 0.0
    all_even = sum(len(row.fields) == width for row in rows) / len(rows)
    order = -DELIMITERS.index(delimiter)
    several = 1.0 if width > 1 else 0.5
    return round(several * even * (0.05 + share), 3), width > 1, round(all_even, 3), order


def body_of(rows: list[Row]) -> list[Row]:
    """Return the lower half of the rows that are not blank: those below titles and headers."""
    filled = _filled(rows)
    return filled[len(filled) // 2 :] or rows[-1:]


def _filled(rows: list[Row]) -> list[Row]:
    """Return the rows that are neither blank nor a comment."""
    return [
        row for row in rows if not row.is_blank and not row.fields[0].lstrip().startswith(COMMENTS)
    ]


def thinned(rows: list[Row]) -> list[Row]:
    """Return at most `MAX_BODY_ROWS` of the rows, equally spaced."""
    return rows[:: -(-len(rows) // MAX_BODY_ROWS)] if rows else rows


def width_of(rows: list[Row]) -> tuple[int, float]:
    """Return the most frequent number of fields in the lower half, and the share of these rows.

    If no more than half of these rows have it, all rows are counted.
    """
    body = body_of(rows)
    width, count = Counter(len(row.fields) for row in body).most_common(1)[0]
    if count <= 0.5 * len(body):
        body = _filled(rows) or body
        width, count = Counter(len(row.fields) for row in body).most_common(1)[0]
    return width, count / len(body)
