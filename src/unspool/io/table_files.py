"""Files of tables as `pyarrow.Table`: delimited text, Parquet, Arrow, JSON and Excel."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from unspool.errors import InputError
from unspool.io.archives import MAX_COMPRESSION
from unspool.io.arrow_files import read_arrow
from unspool.io.delimited import read_delimited
from unspool.io.endings import ARROW, EXCEL, JSON, PARQUET
from unspool.io.excel import sheet_as_text
from unspool.io.json_tables import read_json
from unspool.io.npy import HARMLESS
from unspool.io.options import ReadOptions


def read_table(path: Path, options: ReadOptions | None = None) -> tuple[Any, tuple[str, ...]]:
    """Read the file of a table as a `pyarrow.Table`; return it with notes on how it was read."""
    options = options or ReadOptions()
    ending = path.suffix.lower()
    given = [f"`{name}`" for name in options.text.given()]
    if given and ending in (*PARQUET, *ARROW, *JSON):
        raise InputError(
            f"{', '.join(given)} cannot be used with a {ending} file, which is not text; leave "
            f"{'it' if len(given) == 1 else 'them'} out."
        )
    if ending in PARQUET:
        return _read_parquet(path), ()
    if ending in ARROW:
        return read_arrow(path), ()
    if ending in JSON:
        return read_json(path, options.key)
    if ending in EXCEL:
        with sheet_as_text(path, options.key) as (text, notes):
            table, more = read_delimited(text, options.text, options.missing_values)
        return table, (*notes, *more)
    return read_delimited(path, options.text, options.missing_values)


def _read_parquet(path: Path) -> Any:
    size = path.stat().st_size
    try:
        with pq.ParquetFile(path) as file:
            about, groups = file.metadata, range(file.metadata.num_row_groups)
            packed = sum(about.row_group(i).total_byte_size for i in groups)
            total = max(packed, 8 * about.num_rows * about.num_columns)
            if total > max(HARMLESS, MAX_COMPRESSION * size):
                raise InputError(
                    f"the file has {size:,} bytes and contains {about.num_rows:,} rows of "
                    f"{about.num_columns:,} columns, about {total:,} bytes in memory, more than "
                    f"{MAX_COMPRESSION} times its size; if that is intended, write it as .npy."
                )
            table = file.read()
    except pa.ArrowException as error:
        raise InputError(f"the file cannot be read as Parquet: {error}.") from None
    if table.num_rows == 0:
        raise InputError("the table has no rows; write it again.")
    return table
