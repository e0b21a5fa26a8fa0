"""What a file contains before series are cut: a table, or an array with lengths and labels."""

from dataclasses import dataclass
from typing import Any

from unspool.data.stored import Values
from unspool.io.file_data import Column


@dataclass(frozen=True)
class TableContent:
    """A `pyarrow.Table`, and notes on how it was read."""

    table: Any
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ArrayContent:
    """An array of values, and for sequences their lengths and labels."""

    values: Values
    lengths: Column | None = None
    labels: Column | None = None
    notes: tuple[str, ...] = ()


Content = TableContent | ArrayContent


def table_of_fields(values: Column) -> Any:
    """Return the fields of a structured array of one axis as a `pyarrow.Table`."""
    import numpy as np
    import pyarrow as pa

    from unspool.errors import InputError

    values = np.atleast_1d(values.squeeze())
    columns = {}
    for name in values.dtype.names or ():
        column = values[name]
        if column.ndim > 1:
            column = pa.array(list(column.reshape(len(column), -1)))
        elif column.dtype.kind in "SO":
            texts = [
                one.decode(errors="replace") if isinstance(one, bytes) else one for one in column
            ]
            column = pa.array(texts)
        try:
            columns[name] = pa.array(column)
        except pa.ArrowException as error:
            raise InputError(f"field {name!r} cannot be read as a column: {error}.") from None
    return pa.table(columns)
