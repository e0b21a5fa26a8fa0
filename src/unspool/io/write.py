"""`write_table`: write columns to `.csv`, `.parquet`, `.npy` or standard output.

Files are written under a temporary name in the same folder and renamed at the end, so that a file
is complete or does not exist.
"""

import csv
import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq

from unspool import _checks
from unspool._files import atomic_write, check_output_path, is_stdout, refuse_stream
from unspool.errors import InputError
from unspool.io.time_output import OutputTimes

ENDINGS = (".csv", ".parquet", ".pq", ".npy")
GROUP_ROWS, GROUP_VALUES = 1 << 20, 1 << 24  # largest group of rows of a Parquet file
_MUST_QUOTE = r'[,"\r\n]'


def check_writable(path: str | Path | None) -> None:
    """Raise an `InputError` if `write_table` could not write to `path`, before long work."""
    if path is None or is_stdout(path):
        return
    path = Path(path)
    refuse_stream(path)
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"{path}: {_checks.unknown_name('ending', path.suffix, ENDINGS)}")
    check_output_path(path)


def write_table(
    columns: Mapping[str, Any],
    path: str | Path | None,
    *,
    array: npt.NDArray[Any] | None = None,
) -> None:
    """Write columns of equal length as a table.

    Parameters
    ----------
    columns : mapping of str to array of shape (N,) or OutputTimes
        Numbers, booleans, strings or dates; CSV has `OutputTimes` as in the file they come from.
    path : str, Path or None
        The ending selects the format: `.csv`, `.parquet` (or `.pq`), `.npy`. None or "-" writes CSV
        to standard output. Floats in CSV have enough digits to be read back exactly.
    array : array of any shape, optional
        Content of a `.npy` file; by default the numeric columns, (N, columns).

    Raises
    ------
    InputError
        If the ending is unknown, the folder cannot be written to, or columns cannot be written. A
        file that existed before is then unchanged.
    """
    check_writable(path)
    arrays = _checked_columns(columns)
    if path is None or is_stdout(path):
        sys.stdout.write(csv_text(columns, header=True))
        return
    path = Path(path)
    ending = path.suffix.lower()
    with atomic_write(path) as file:
        if ending == ".csv":
            _write_csv(arrays, file)
        elif ending == ".npy":
            _write_npy(_as_array(arrays, array), file)
        else:
            pq.write_table(_table(arrays), file, row_group_size=rows_of_group(len(arrays)))


def csv_text(columns: Mapping[str, Any], *, header: bool) -> str:
    """Return rows of a table as CSV, with or without a header."""
    buffer = io.BytesIO()
    _write_csv(_checked_columns(columns), buffer, header=header)
    return buffer.getvalue().decode()


def rows_of_group(n_columns: int) -> int:
    """Return the number of rows of a group of a Parquet file; a reader needs one in memory."""
    return max(1, min(GROUP_ROWS, GROUP_VALUES // max(1, n_columns)))


def header_of(file: IO[bytes]) -> int:
    """Return the number of bytes of the header of a CSV file that `write_table` wrote."""
    size, quotes = 0, 0
    for line in file:
        size, quotes = size + len(line), quotes + line.count(b'"')
        if quotes % 2 == 0:  # a name in quotes may contain the end of a line
            break
    return size


def npy_header(shape: tuple[int, ...], dtype: np.dtype[Any], file: IO[bytes]) -> None:
    """Write the header of a `.npy` file, as `numpy.save` does."""
    fields = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": shape,
    }
    np.lib.format.write_array_header_1_0(file, fields)


def _checked_columns(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns as arrays, except times."""
    converted = {
        str(name): one if isinstance(one, OutputTimes) else np.asarray(one)
        for name, one in columns.items()
    }
    if not converted:
        raise InputError("Expected at least one column to write, got none.")
    first, length = next(
        (name, len(one if isinstance(one, OutputTimes) else np.atleast_1d(one)))
        for name, one in converted.items()
    )
    arrays = {
        name: one.rows if isinstance(one, OutputTimes) else one for name, one in converted.items()
    }
    _checks.raise_all(
        *(
            f"Expected column {name!r} of shape ({length},), as {first!r}, got {one.shape}."
            for name, one in arrays.items()
            if one.shape != (length,)
        )
    )
    return converted


def _table(arrays: dict[str, Any], *, text: bool = False) -> Any:
    """Return an Arrow table; with `text`, times are as in the file they come from."""
    converted = {}
    for name, values in arrays.items():
        if isinstance(values, OutputTimes):
            converted[name] = values.plain() if text else values.typed()
            continue
        if values.dtype.kind == "M" and np.datetime_data(values.dtype)[0] in ("Y", "M", "h", "m"):
            values = values.astype("datetime64[s]")  # Arrow does not have such units
        try:
            converted[name] = pa.array(values)
        except pa.ArrowException as error:
            raise InputError(f"Column {name!r} cannot be written: {error}.") from None
    return pa.table(converted)


def _write_csv(arrays: dict[str, Any], file: IO[bytes], *, header: bool = True) -> None:
    """Write header and rows; text is quoted only if a file contains text that needs quotes."""
    table = _table({name: _shortest_dates(values) for name, values in arrays.items()}, text=True)
    if header:
        names = io.StringIO()
        csv.writer(names, lineterminator="\n").writerow(arrays)
        file.write(names.getvalue().encode())
    style = "needed" if any(map(_needs_quotes, table.columns)) else "none"
    options = arrow_csv.WriteOptions(include_header=False, quoting_style=style)
    arrow_csv.write_csv(table, file, options)


def _write_npy(array: npt.NDArray[Any], file: IO[bytes]) -> None:
    """Write like `numpy.save`, but raise an error that names the reason if the disk is full."""
    array = np.asarray(array, order="C")
    npy_header(array.shape, array.dtype, file)
    file.write(array.data)


def _shortest_dates(values: Any) -> Any:
    """Return dates in the coarsest unit that is exact, since Arrow writes all digits of a unit."""
    if isinstance(values, OutputTimes):
        return values
    if values.dtype.kind == "M" and np.datetime_data(values.dtype)[0] != "D":
        for unit in ("s", "ms", "us"):
            coarse = values.astype(f"datetime64[{unit}]")
            if np.array_equal(coarse, values, equal_nan=True):
                return coarse
    return values


def _needs_quotes(column: Any) -> bool:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return False
    return bool(pc.any(pc.match_substring_regex(column, _MUST_QUOTE)).as_py())


def _as_array(arrays: dict[str, Any], array: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    if array is None:
        numeric = [
            values
            for values in arrays.values()
            if isinstance(values, np.ndarray) and values.dtype.kind in "fiub"
        ]
        if not numeric:
            raise InputError("A .npy file contains numbers, but no column is numeric; write .csv.")
        array = np.column_stack(numeric)
    if array.dtype.kind not in "fiub":
        raise InputError(
            f"A .npy file contains numbers, but the array has dtype {array.dtype}; write .csv."
        )
    return array
