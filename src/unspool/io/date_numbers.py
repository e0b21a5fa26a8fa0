"""Dates written as whole numbers, such as 20240131 and 2024013123, without a usual name."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from unspool.io.column_shapes import never_falls
from unspool.io.options import TimeOptions
from unspool.io.time_columns import parse_times

DIGITS = (8, 10, 12, 14)  # days, hours, minutes and seconds


def dates_rise(column: Any, times: TimeOptions, codes: npt.NDArray[Any] | None) -> bool:
    """Return whether a column has dates as numbers that never fall, within each series if given.

    Parameters
    ----------
    column : pyarrow.ChunkedArray
        The column.
    times : TimeOptions
        How texts are read as times.
    codes : array of shape (rows,) of int, or None
        Number of the series of each row.
    """
    if not pa.types.is_integer(column.type) or column.null_count or len(column) < 3:
        return False
    ends = [str(column[i].as_py()) for i in (0, len(column) - 1)]
    if ends[0] == ends[1]:
        return False
    if any(len(one) not in DIGITS or one[:2] not in ("19", "20") for one in ends):
        return False
    found = parse_times(column, times)
    if found is None or found.values is None or found.format.form is None:
        return False
    return never_falls(found.values.astype(np.int64), codes)
