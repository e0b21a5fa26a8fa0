"""Sheets of Excel and OpenDocument files, whose structure is found as in CSV."""

import csv
import datetime
import re
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from unspool import _checks
from unspool._optional import import_optional
from unspool.data.messages import listed
from unspool.errors import InputError
from unspool.io.archives import members, open_archive

HARMLESS = 1 << 28  # bytes that any file may unpack to
MAX_CELLS = 50_000_000  # cells of a sheet, which are all allocated
_CELL = re.compile(rb'<c r="([A-Z]{1,3})(\d{1,7})"')


@contextmanager
def sheet_as_text(path: Path, key: str | None) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Write a sheet to a temporary CSV file; yield its path, and notes.

    Parameters
    ----------
    path : Path
        The file.
    key : str, optional
        Name of the sheet; by default the only one that is not empty.
    """
    rows, notes = _rows(path, key)
    with tempfile.TemporaryDirectory(prefix="unspool-", ignore_cleanup_errors=True) as folder:
        text = Path(folder, "sheet.csv")
        with text.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
        yield text, notes


def _rows(path: Path, key: str | None) -> tuple[list[list[str]], tuple[str, ...]]:
    calamine = import_optional("python_calamine", "excel")
    if zipfile.is_zipfile(path):
        _check_archive(path)
    try:
        book = calamine.load_workbook(path)
        names = book.sheet_names
        if key is not None and key not in names:
            raise InputError(f"`key`: {_checks.unknown_name('sheet', key, names)}")
        sheets = {}
        for name in names if key is None else [key]:
            sheet = book.get_sheet_by_name(name).to_python(skip_empty_area=True)
            if any(any(cell != "" for cell in row) for row in sheet):
                sheets[name] = sheet
    except InputError:
        raise
    except Exception as error:  # errors of the format, of XML and of zip have no common class
        raise InputError(
            f"the file cannot be read as a spreadsheet ({str(error)[:200]}); save it again."
        ) from None
    if not sheets:
        raise InputError("the file has no cell with a value; write it again.")
    if len(sheets) > 1:
        raise InputError(
            f"the file has {len(sheets)} sheets: {listed(list(map(repr, sheets)))}; name one of "
            "them with `key` (--key NAME)."
        )
    ((name, rows),) = sheets.items()
    notes = (f"sheet {name!r} is read",) if len(names) > 1 else ()
    texts = [[_text(cell) for cell in row] for row in rows]
    return [row for row in texts if any(row)], notes


def _text(cell: Any) -> str:
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(" ")
    if isinstance(cell, datetime.timedelta):
        seconds = cell.total_seconds()
        return f"{seconds // 3600:02.0f}:{seconds // 60 % 60:02.0f}:{seconds % 60:02.0f}"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e15:
        return str(int(cell))
    if isinstance(cell, bool):
        return str(cell).lower()
    return str(cell)  # a number with all digits, or a text


def _check_archive(path: Path) -> None:
    """Refuse files that would unpack to far too much, or whose cells are far apart."""
    with open_archive(path) as archive:
        found = members(archive, path, harmless=HARMLESS, instead="save it as .csv")
        for name, info in found.items():
            if not re.fullmatch(r"xl/worksheets/[^/]+\.xml", name):
                continue
            with archive.open(info) as file:
                last_row = last_column = 0
                before = b""
                while chunk := file.read(1 << 20):
                    for column, row in _CELL.findall(before + chunk):
                        last_row = max(last_row, int(row))
                        last_column = max(last_column, _number(column))
                    before = chunk[-30:]
            if last_row * last_column > max(MAX_CELLS, info.file_size):
                raise InputError(
                    f"the cells of {name!r} extend to row {last_row:,} and column "
                    f"{last_column:,}; delete what is far from the table, or save it as .csv."
                )


def _number(column: bytes) -> int:
    number = 0
    for letter in column:
        number = 26 * number + letter - 64
    return number
