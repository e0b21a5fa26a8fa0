"""`sequences_from_table`: a table in memory, in which a column says where a row belongs."""

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v1 as nw
import numpy as np
import pyarrow as pa

from unspool import _checks
from unspool._types import Missing, names
from unspool.data.convert import as_sequences
from unspool.data.frames import is_frame
from unspool.data.sequences import IntArray, Sequences
from unspool.data.stored_runs import Runs
from unspool.data.stored_table import StoredTable, holds_numbers, is_dataset
from unspool.errors import InputError
from unspool.io.column_shapes import is_numeric
from unspool.io.file_data import Column
from unspool.io.roles import find_roles
from unspool.io.table_values import features_of, series_of, short
from unspool.io.time_columns import (
    as_times,
)
from unspool.io.time_order import goes_back

Named = dict[str, str | None]


def sequences_from_table(
    frame: Any,
    *,
    id: str | None = None,
    time: str | None = None,
    columns: Sequence[str] | None = None,
    missing: Missing = "raise",
) -> Sequences:
    """Convert a long table to sequences: the rows of one id are one sequence.

    Parameters
    ----------
    frame : pandas or polars DataFrame, pyarrow Table, or pyarrow.dataset.Dataset
        The table; rows are time steps. Rows of a sequence keep their order. A data set may be
        larger than the memory: the columns `id` and `time` are read at once, and the features when
        a batch needs them. The rows of an id must be together there.
    id : str, optional
        Column (or level of a pandas index) that says which sequence a row belongs to. A pandas
        frame with the index (instance, time) does not need it.
    time : str, optional
        Column (or level of a pandas index) of times. It is checked that they do not decrease
        within a sequence; they are not a feature.
    columns : sequence of str, optional
        Columns to use as features. By default all columns except `id` and `time`.
    missing : {"raise", "mask"}, default "raise"
        Whether values may be missing: raise an error, or keep them as NaN for models with
        ``missing="mask"``.

    Returns
    -------
    Sequences
        N sequences in the order in which their ids first appear, T the number of rows of the most
        frequent id, F the number of columns.

    Raises
    ------
    InputError
        If a column does not exist or contains no numbers, a value is missing with
        ``missing="raise"``, or time goes back.
        Messages count data rows from 1.

    See Also
    --------
    as_sequences : Convert arrays, lists and frames.
    read_file : Read a table from a file.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from unspool import sequences_from_table
    >>> table = pa.table({"engine": ["a", "a", "b"], "heat": [1.0, 2.0, 3.0]})
    >>> sequences_from_table(table, id="engine")
    Sequences(2 sequences of 1 to 2 steps, 1 feature)
    """
    _checks.raise_all(_checks.choice("missing", missing, names(Missing)))
    if is_dataset(frame):
        return _of_dataset(frame, id, time, columns, missing)
    index = getattr(frame, "index", None)
    levels = list(getattr(index, "names", ()))
    if len(levels) == 2 and id in (None, levels[0]) and time in (None, levels[1]):
        return _of_instances(frame, columns, missing)
    if id is None:
        raise InputError(
            "Expected `id`, the column that says which sequence a row belongs to; give a frame "
            "that is one series as [frame], or cut it with Windows(frame, size)."
        )
    asked = [name for name in levels if name is not None and name in (id, time)]
    try:
        if asked:
            frame = frame.reset_index(level=asked)
        read = nw.from_native(frame, eager_only=True)
        numbered = [name for name in read.columns if not isinstance(name, str)]
        if numbered:
            raise InputError(
                f"Expected columns named by strings, got {numbered[0]!r}; give "
                "frame.rename(columns=str)."
            )
        table = read.to_arrow().select(read.columns)  # without the index of a pandas frame
    except InputError:
        raise
    except (TypeError, ValueError, pa.ArrowException, nw.exceptions.NarwhalsError) as error:
        raise InputError(
            "Expected a pandas or polars DataFrame or a pyarrow Table, got "
            f"{type(frame).__name__}, which cannot be read: {error}."
        ) from None
    if columns is None:
        columns = [name for name in table.column_names if name not in (id, time)]
    named: Named = {"time": time, "id": id, "label": None}
    roles = find_roles(table, named, columns)
    if table.num_rows == 0:
        raise InputError("Expected at least one row, got an empty table.")
    values = features_of(table, roles.features, missing, of_file=False)
    _, parts = series_of(table, id)
    if time is not None:
        times = _checked_times(table, time)
        back = goes_back(times, parts, time)
        if back:
            raise InputError(f"{back}; sort the table by {time!r}.")
    return Sequences.from_list([values[part] for part in parts], roles.features, missing)


def _of_dataset(
    dataset: Any, id: str | None, time: str | None, columns: Sequence[str] | None, missing: Missing
) -> Sequences:
    """Return sequences of a data set, whose features are read when they are needed."""
    from unspool.io.streamed_tables import series_in

    if id is None:
        raise InputError(
            "Expected `id`, the column that says which sequence a row belongs to; cut a data set "
            "that is one series with Windows(dataset, size)."
        )
    known = dataset.schema.names
    for what, given in (("id", [id]), ("time", [time]), ("columns", columns or [])):
        unknown = [name for name in given if name is not None and name not in known]
        if unknown:
            raise InputError(f"`{what}`: {_checks.unknown_name('column', unknown[0], known)}")
    if columns is None:
        columns = [name for name in known if name not in (id, time)]
    for name in columns:
        if not holds_numbers(dataset.schema.field(name).type):
            raise InputError(
                f"column {name!r} contains {dataset.schema.field(name).type}, not numbers; name "
                "other features with `columns`."
            )
    table = StoredTable(dataset, columns)
    _, first, _ = series_in(dataset, [id])
    lengths = np.diff(np.append(first, len(table)))
    if time is not None:
        times = _checked_times(dataset.to_table(columns=[time]), time)
        parts: list[slice | IntArray] = [
            slice(start, start + length)
            for start, length in zip(first.tolist(), lengths.tolist(), strict=True)
        ]
        back = goes_back(times, parts, time)
        if back:
            raise InputError(f"{back}; sort the table by {time!r}.")
    runs = Runs([table], np.zeros_like(first), first, lengths)
    if missing == "mask":
        runs = runs.without_empty_ends()
    return Sequences(runs, runs.lengths, columns, missing)


def _of_instances(frame: Any, columns: Sequence[str] | None, missing: Missing) -> Sequences:
    """Return sequences of a frame with the index (instance, time)."""
    if not is_frame(frame):  # a pandas Series
        frame = frame.to_frame()
    lacking = [name for name in columns or () if name not in frame.columns]
    if lacking:
        raise InputError(f"`columns`: {_checks.unknown_name('column', lacking[0], frame.columns)}")
    source = as_sequences(frame if columns is None else frame[list(columns)], missing)
    assert isinstance(source, Sequences)
    return source


def _checked_times(table: Any, name: str) -> Column:
    column = table[name]
    times = as_times(column)
    if times is None and is_numeric(column.type):
        times = column.to_numpy()
    missing = np.asarray(column.is_null())
    if times is not None:
        missing = np.isnat(times) if times.dtype.kind == "M" else np.isnan(times)
    if missing.any():
        raise InputError(
            f"time column {name!r} is empty in data row {missing.argmax() + 1}; fill it, since "
            "every row needs a time."
        )
    if times is None:
        raise InputError(
            f"column {name!r} cannot be read as numbers or as dates and times (its first value is "
            f"{short(str(column[0].as_py()))}); write times like 2024-01-31 13:00:00."
        )
    return np.asarray(times)
