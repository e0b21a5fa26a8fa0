"""Times that follow from the start of a recording and its sampling rate."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from unspool.io.column_shapes import is_numeric

TIME = "time"  # name of the column of computed times


@dataclass(frozen=True)
class Sampling:
    """When the rows of a text were recorded.

    Attributes
    ----------
    start : datetime64 or float
        Time of the first row, or of zero in `column`.
    step : float, optional
        Seconds from one row to the next.
    column : str, optional
        Column of seconds since the start; needed without `step`.
    """

    start: np.datetime64 | float
    step: float | None = None
    column: str | None = None


def with_times(table: Any, sampling: Sampling) -> Any:
    """Return the table with a column of times, in place of the column of seconds if it has one."""
    if sampling.column is not None:
        place = table.column_names.index(sampling.column)
        if not is_numeric(table.schema.field(place).type):
            return table  # a text in it is reported with the roles of the columns
        seconds = np.asarray(table.column(place).to_numpy(), np.float64)
        return table.set_column(place, sampling.column, pa.array(_after(sampling.start, seconds)))
    assert sampling.step is not None
    name = TIME
    while name in table.column_names:
        name += "_"
    times = _after(sampling.start, np.arange(table.num_rows) * sampling.step)
    return table.append_column(name, pa.array(times))


def _after(start: np.datetime64 | float, seconds: Any) -> Any:
    if isinstance(start, np.datetime64):
        return start.astype("datetime64[us]") + np.round(1e6 * seconds).astype("timedelta64[us]")
    return start + seconds
