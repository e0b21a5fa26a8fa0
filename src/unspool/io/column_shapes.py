"""What the values of a column look like: texts, few values, a counter, times of a day.

Where it can, a function reads the first rows alone, and all rows only if they fit.
"""

import re
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unspool.data.sequences import IntArray
from unspool.io.cells import is_number

FIRST_ROWS = 1000
SHORTEST_RUN = 3  # mean number of rows of a series that a column counts
_AMOUNT = re.compile(r"([$€£]|[A-Z]{3} )?\s*[-+]?\d[\d.,]*\s*[%$€£]?")  # such as $5.25 and 5 %
_TIME_OF_DAY = re.compile(
    r"\d{1,2}:\d{2}(:\d{2}(\.\d*)?)?( ?[AaPp][Mm])?|\d{1,2}\.\d{2}\.\d{2}", re.ASCII
)


def is_numeric(kind: Any) -> bool:
    """Return whether an Arrow type holds whole or real numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def is_text(kind: Any) -> bool:
    """Return whether an Arrow type holds texts."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.string_view()
    )


def is_empty(column: Any) -> bool:
    """Return whether a column has rows, and none of them a value."""
    return len(column) > 0 and column.null_count == len(column)


def decoded(table: Any) -> Any:
    """Return the table with its dictionary columns (categories of pandas) as plain columns."""
    for i, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            kind = field.type.value_type
            table = table.set_column(i, field.name, table.column(i).cast(kind))
    return table


def all_differ(column: Any) -> bool:
    """Return whether no value occurs twice in a column of at least two rows."""
    return len(column) > 1 and pc.count_distinct(column, mode="all").as_py() == len(column)


def few_values(column: Any, most: int) -> list[Any] | None:
    """Return the different values of a column; None if there are more than `most`, or NaN."""
    for rows in (column.slice(0, FIRST_ROWS), column):
        found = [value for value in pc.unique(rows).to_pylist() if value is not None]
        if len(found) > most or any(value != value for value in found):
            return None
    return found


def are_whole(values: list[Any]) -> bool:
    """Return whether all values are whole numbers or truth values."""
    return all(isinstance(value, (bool, int, float)) and value == int(value) for value in values)


def counts_rows(column: Any, *, any_start: bool = False) -> bool:
    """Return whether a column contains 0, 1, 2, … or 1, 2, 3, …, or counts on from any number."""
    count = len(column)
    if not is_numeric(column.type) or count < 3 or column.null_count:
        return False
    first = column[0].as_py()
    if not (any_start or first in (0, 1)) or column[count - 1].as_py() != first + count - 1:
        return False
    return bool((column.to_numpy() == np.arange(first, first + count)).all())


def is_time_of_day(column: Any) -> bool:
    """Return whether a column contains times of a day, such as 13:45 or 13.45.00."""
    if pa.types.is_time(column.type):
        return True
    if not is_text(column.type):
        return False
    texts = [one for one in column.slice(0, FIRST_ROWS).to_pylist() if one is not None]
    return bool(texts) and all(_TIME_OF_DAY.fullmatch(one.strip()) for one in texts)


def mostly_numbers(column: Any) -> bool:
    """Return whether at least half of the texts in the first rows are numbers."""
    texts = [one for one in column.slice(0, FIRST_ROWS).to_pylist() if one is not None]
    return bool(texts) and 2 * sum(_is_amount(one.strip()) for one in texts) >= len(texts)


def _is_amount(text: str) -> bool:
    return is_number(text) or _AMOUNT.fullmatch(text) is not None


def codes_of(column: Any) -> IntArray:
    """Return whole numbers (rows,), equal where the values of a column are equal."""
    encoded = column.combine_chunks()
    if not pa.types.is_dictionary(column.type):
        encoded = encoded.dictionary_encode(null_encoding="encode")
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return np.asarray(encoded.indices.to_numpy(zero_copy_only=False), np.int64)


def runs_of_counter(values: IntArray) -> IntArray | None:
    """Return the number of the run of each row, if values count 1, 2, 3, … and start again.

    They may start with 0. It is None if a value is no such count, or runs are short.
    """
    if len(values) < 2 or values[0] not in (0, 1):
        return None
    again = values[1:] == values[0]
    if not again.any() or not (again | (np.diff(values) == 1)).all():
        return None
    runs: IntArray = np.r_[0, np.cumsum(again)]
    return runs if len(values) >= SHORTEST_RUN * (runs[-1] + 1) else None


def names_runs(codes: IntArray, runs: IntArray) -> bool:
    """Return whether values are constant within runs, and different in different runs."""
    starts = np.flatnonzero(np.diff(runs, prepend=-1))
    firsts = codes[starts]
    return bool((codes == firsts[runs]).all() and len(np.unique(firsts)) == len(firsts))


def never_falls(values: npt.NDArray[Any], codes: IntArray | None = None) -> bool:
    """Return whether values never decrease, within each group of rows with equal codes."""
    if (values[1:] >= values[:-1]).all():
        return True
    if codes is None:
        return False
    values, same = _grouped(values, codes)
    return bool((values[1:] >= values[:-1])[same].all())


def orders(codes: IntArray, times: npt.NDArray[Any]) -> bool:
    """Return whether times only rise, or only fall, within each group of rows with equal codes."""
    groups = int(codes.max(initial=-1)) + 1
    return 2 <= groups <= len(codes) / 2 and rises_or_falls(codes, times)


def rises_or_falls(codes: IntArray, times: npt.NDArray[Any]) -> bool:
    """Return whether times only rise, or only fall, within each group of rows, if any."""
    times, same = _grouped(times, codes)
    return bool((times[1:] > times[:-1])[same].all() or (times[1:] < times[:-1])[same].all())


def _grouped(
    values: npt.NDArray[Any], codes: IntArray
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Return values sorted by their codes, and where a value has the code of the one before."""
    order = np.argsort(codes, kind="stable")
    codes = codes[order]
    return values[order], codes[1:] == codes[:-1]
