"""`StoredTable`: columns of a `pyarrow.dataset.Dataset` as an array that is not in memory.

The data set is read in pieces: row groups of Parquet files, or whole files of other formats. The
pieces that were read last are kept. pyarrow is imported only if there is a data set.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from unspool.data.stored import BLOCK_BYTES, Stored, edges_of
from unspool.data.values import Array, FloatArray, IntArray
from unspool.errors import InputError

KEPT_BYTES = 1 << 26  # bytes of pieces that are kept, in addition to the last one
COLUMNS_BYTES = 1 << 25  # bytes of columns that are converted at once
ROWS_AT_ONCE = 2048  # rows of all columns that are copied together, which fit in a cache
MAX_PIECE_BYTES = 1 << 30  # larger pieces are refused: each is in memory as a whole


def is_dataset(X: Any) -> bool:
    """Return whether `X` is a `pyarrow.dataset.Dataset`."""
    return hasattr(X, "get_fragments") and hasattr(X, "schema")


def as_stored_table(X: Any) -> "StoredTable | None":
    """Return the columns of a `pyarrow.dataset.Dataset`, all of which must hold numbers; or None.

    Raises
    ------
    InputError
        If a column holds anything else, or the data set has no rows.
    """
    if not is_dataset(X):
        return None
    for field in X.schema:
        if not holds_numbers(field.type):
            raise InputError(
                f"Expected numbers in column {field.name!r}, got {field.type}; leave it out, for "
                "example with read_file(path, window=size) or "
                "sequences_from_table(dataset, id=column, columns=names)."
            )
    return StoredTable(X, X.schema.names)


def holds_numbers(kind: Any) -> bool:
    """Return whether an Arrow type holds numbers or truth values."""
    import pyarrow.types as types

    return bool(
        types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_boolean(kind)
        or types.is_decimal(kind)
    )


class StoredTable(Stored):
    """Columns of a data set as an array (rows, F).

    Numbers are float32 if all columns are, otherwise float64; empty cells are NaN.

    Parameters
    ----------
    dataset : pyarrow.dataset.Dataset
        The data set.
    columns : sequence of F str
        Columns that hold numbers.
    """

    def __init__(self, dataset: Any, columns: Sequence[str]) -> None:
        import pyarrow as pa

        self.dataset = dataset
        self.pieces, counts = pieces_of(dataset)
        self._edges = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        kinds = {dataset.schema.field(name).type for name in columns}
        dtype = np.dtype(np.float32 if kinds == {pa.float32()} else np.float64)
        super().__init__((int(self._edges[-1]), len(columns)), dtype, tuple(columns))
        largest = max(counts) * self.row_bytes
        if largest > MAX_PIECE_BYTES:
            raise InputError(
                f"The data set has a row group of {max(counts):,} rows, {largest:,} bytes in "
                "memory, which is read as a whole; write it with at most "
                f"{max(1, MAX_PIECE_BYTES // 8 // self.row_bytes):,} rows in each row group "
                "(`row_group_size` of pyarrow)."
            )
        # Never changed but replaced, since two threads may read; the piece read last is the last.
        self._kept: dict[int, FloatArray] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Return the state without the pieces that were read."""
        return {**self.__dict__, "_kept": {}}

    @property
    def edges(self) -> IntArray:
        """Edges of runs of pieces that are read together."""
        block = self._edges[:-1] * self.row_bytes // BLOCK_BYTES
        return self._edges[edges_of(block)]

    def read(self, start: int, stop: int) -> Array:
        """Return a copy of rows."""
        first = int(np.searchsorted(self._edges, start, side="right")) - 1
        last = int(np.searchsorted(self._edges, stop, side="left"))
        out = np.empty((stop - start, self.shape[1]), self.dtype)
        for number in range(first, last):
            begin, end = self._edges[number : number + 2].tolist()
            low, high = max(start, begin), min(stop, end)
            if low < high:
                out[low - start : high - start] = self._piece(number)[low - begin : high - begin]
        return out

    def _piece(self, number: int) -> FloatArray:
        """Return the rows of a piece, which must not be changed."""
        kept = dict(self._kept)
        found = kept.pop(number, None)
        if found is None:
            while kept and _bytes(kept) + self._bytes_of(number) > KEPT_BYTES:
                del kept[next(iter(kept))]
            self._kept = kept  # the memory is free before the piece is read
            found = self._loaded(number)
        self._kept = {**kept, number: found}
        return found

    def _loaded(self, number: int) -> FloatArray:
        """Read the rows of a piece."""
        found = np.empty((self._bytes_of(number) // self.row_bytes, self.shape[1]), self.dtype)
        assert self.names is not None
        at_once = max(1, COLUMNS_BYTES // max(1, len(found) * 8))
        for begin in range(0, len(self.names), at_once):
            names = list(self.names[begin : begin + at_once])
            table = table_of(self.pieces[number], self.dataset.schema, names)
            if table.num_rows != len(found):
                raise InputError(
                    f"The data set has changed: a piece of {len(found):,} rows has "
                    f"{table.num_rows:,} now; open it again."
                )
            fill(found[:, begin : begin + len(names)], table)
        return found

    def _bytes_of(self, number: int) -> int:
        return int(self._edges[number + 1] - self._edges[number]) * self.row_bytes


def _bytes(kept: Mapping[int, FloatArray]) -> int:
    return sum(one.nbytes for one in kept.values())


def pieces_of(dataset: Any) -> tuple[list[Any], list[int]]:
    """Return the pieces of a data set that are read together, and the number of rows of each.

    Raises
    ------
    InputError
        If it cannot be read, or has no rows.
    """
    import pyarrow as pa

    pieces: list[Any] = []
    counts: list[int] = []
    try:
        for fragment in dataset.get_fragments():
            if hasattr(fragment, "split_by_row_group"):
                groups = fragment.split_by_row_group()
                rows = [one.row_groups[0].num_rows for one in groups]
            else:
                groups, rows = [fragment], [fragment.count_rows()]
            pieces += [one for one, count in zip(groups, rows, strict=True) if count]
            counts += [int(count) for count in rows if count]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"The data set cannot be read: {error}.") from None
    if not counts:
        raise InputError("Expected a data set with rows, got none.")
    return pieces, counts


def table_of(piece: Any, schema: Any, columns: Sequence[str]) -> Any:
    """Return columns of a piece as a `pyarrow.Table`.

    Raises
    ------
    InputError
        If the piece cannot be read.
    """
    import pyarrow as pa

    try:
        return piece.to_table(schema=schema, columns=list(columns))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"The data set cannot be read: {error}.") from None


def fill(rows: FloatArray, table: Any) -> None:
    """Copy the columns of a table into rows (N, F); empty cells are NaN.

    Writing one column after another would load each cache line of `rows` F times.
    """
    start = 0
    for batch in table.to_batches():
        columns = [_numbers_of(column, rows.dtype) for column in batch.columns]
        for first in range(0, batch.num_rows, ROWS_AT_ONCE):
            some = rows[start + first : start + min(first + ROWS_AT_ONCE, batch.num_rows)]
            for i, column in enumerate(columns):
                some[:, i] = column[first : first + len(some)]
        start += batch.num_rows


def _numbers_of(column: Any, dtype: np.dtype[Any]) -> FloatArray:
    """Return an Arrow array as NumPy, without a copy if dtypes are equal and no cell is empty."""
    import pyarrow as pa

    kind = pa.float32() if dtype == np.float32 else pa.float64()
    numbers: FloatArray = column.cast(kind, safe=False).to_numpy(zero_copy_only=False)
    return numbers
