"""How often separator, first line of data and header of small texts are found, by four programs.

The texts are those of `tests/io/text_forms.py`, for which the code of unspool was written: its row
says that it reads them, and is no estimate for other texts. DuckDB and clevercsv are left out if
they are not installed.
"""

import csv
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.machine import processor, versions
from tests.io.text_forms import FORMS, Form
from unspool.errors import InputError
from unspool.io.delimited import read_delimited
from unspool.io.options import TextOptions

Found = tuple[bool, bool, bool]  # whether separator, first line of data and header are right


def main() -> None:
    """Print a row for every program."""
    print(f"{processor()}, {versions('unspool', 'pyarrow', 'duckdb', 'clevercsv')}")
    print(f"{len(FORMS)} texts: separator, first line of data, header, all three, CPU seconds")
    with tempfile.TemporaryDirectory() as folder:
        for name, find in PROGRAMS.items():
            try:
                print(f"{name:12}", *count(find, Path(folder)))
            except ImportError:
                print(f"{name:12} is not installed")


def count(find: Callable[[Form, Path], Found], folder: Path) -> list[str]:
    """Return how many texts a program finds right, and its time."""
    start, right = time.process_time(), [0, 0, 0, 0]
    for number, form in enumerate(FORMS):
        path = folder / f"{number}{form.ending}"
        path.write_bytes(form.text if isinstance(form.text, bytes) else form.text.encode())
        try:
            found = find(form, path)
        except ImportError:
            raise
        except Exception:  # each program has its own errors for what it cannot read
            continue
        right = [n + one for n, one in zip(right, (*found, all(found)), strict=True)]
    return [*map(str, right), f"{time.process_time() - start:.1f}"]


def compared(form: Form, delimiter: str, data: int | None, header: bool | None) -> Found:
    """Compare what a program says; a text of one column has no separator."""
    one_column = len(form.names) == 1
    return one_column or delimiter == form.delimiter, data == form.data, header == form.header


def by_duckdb(form: Form, path: Path) -> Found:
    """Find the format with DuckDB."""
    import duckdb

    query = f"select Delimiter, SkipRows, HasHeader from sniff_csv('{path}')"
    delimiter, skip, header = duckdb.execute(query).fetchone()
    return compared(form, delimiter, skip + bool(header), header)


def by_clevercsv(form: Form, path: Path) -> Found:
    """Find the format with clevercsv, which has no title lines."""
    import clevercsv

    text = decoded(path)
    sniffer = clevercsv.Sniffer()
    header = sniffer.has_header(text)
    return compared(form, sniffer.sniff(text).delimiter, int(header), header)


def by_csv(form: Form, path: Path) -> Found:
    """Find the format with the standard library."""
    text, sniffer = decoded(path), csv.Sniffer()
    header = sniffer.has_header(text)
    return compared(form, sniffer.sniff(text).delimiter, int(header), header)


def by_unspool(form: Form, path: Path) -> Found:
    """Read the table, and compare its names and its number of rows."""
    try:
        table, _ = read_delimited(path, TextOptions())
    except InputError:
        return False, False, False
    names = table.column_names == form.names
    return table.num_columns == len(form.names), table.num_rows == form.rows, names


def decoded(path: Path) -> str:
    """Return the text of a file in the first encoding that reads it."""
    data = path.read_bytes()
    for encoding in ("utf-16" if b"\0" in data else "utf-8", "cp1252"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1")


PROGRAMS = {
    "DuckDB": by_duckdb,
    "clevercsv": by_clevercsv,
    "csv.Sniffer": by_csv,
    "unspool": by_unspool,
}

if __name__ == "__main__":
    main()
