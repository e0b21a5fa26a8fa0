"""`write_long`: write an output whose rows are computed piece by piece.

A short output is held in memory and written at once. A long one is written in parts, which the
same command continues if it is interrupted (`Parts`), or printed piece by piece.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from unspool._files import is_stdout
from unspool.data.sequences import IntArray
from unspool.io.parts import Identity, Parts
from unspool.io.time_output import OutputTimes, in_order
from unspool.io.write import check_writable, csv_text, write_table

PART_BYTES = 1 << 26  # of the values of a part
PART_SECONDS = 60.0  # after which a smaller part is written
KEPT_SECONDS = 10.0  # work of a first part that is kept at Ctrl-C


class Rows(NamedTuple):
    """Some rows of an output.

    Parameters
    ----------
    position : int
        Where the next rows begin, in units of the computation.
    columns : dict of str to array of shape (rows,) or OutputTimes
    array : array of shape (rows, ...), optional
        Content of a `.npy` file.
    state : data for JSON, optional
        What the computation needs to go on from `position`.
    """

    position: int
    columns: dict[str, Any]
    array: Any = None
    state: Any = None

    @property
    def size(self) -> int:
        """Number of bytes of the values."""
        arrays = [
            one.rows if isinstance(one, OutputTimes) else one for one in self.columns.values()
        ]
        return sum(np.asarray(one).nbytes for one in arrays)


Make = Callable[[int, Any], Iterator[Rows]]


def write_long(
    path: Path | None,
    make: Make,
    *,
    identity: Callable[[], Identity],
    say: Callable[[str], None],
    order: IntArray | None = None,
    order_array: bool = True,
    rows_each: int = 1,
    done: Callable[[int], None] = lambda position: None,
) -> None:
    """Write rows as `write_table` does.

    Parameters
    ----------
    path : Path or None
        The file; None or "-" writes CSV to standard output.
    make : callable
        Returns the rows from a position on, as an iterator; the second argument is the state at
        this position, None at 0.
    identity : callable
        Returns what the rows depend on, as data for JSON, to recognise parts of an earlier run.
    say : callable
        Called with messages for the user.
    order : array of int, optional
        Order of all rows; they are then all held in memory.
    order_array : bool, default True
        Whether the array has this order, too.
    rows_each : int, default 1
        Number of rows of a table for each entry of `order` and row of the array.
    done : callable, optional
        Called with the position after each piece.

    Raises
    ------
    InputError
        If the file cannot be written. Complete parts of it are kept.
    """
    check_writable(path)
    if order is not None:
        rows = joined(list(_counted(make(0, None), done)))
        array = rows.array
        if array is not None and order_array:
            array = array[order]
        of_rows = (order[:, None] * rows_each + np.arange(rows_each)).ravel()
        write_table(in_order(rows.columns, of_rows), path, array=array)
    elif path is None or is_stdout(path):
        _print(_counted(make(0, None), done))
    else:
        parts = Parts(Path(path), identity, say)
        try:
            _write_parts(parts, make, say, done)
        finally:
            parts.close()


def joined(pieces: Sequence[Rows]) -> Rows:
    """Return several rows as one."""
    if len(pieces) == 1:
        return pieces[0]
    columns = {name: _joined([one.columns[name] for one in pieces]) for name in pieces[0].columns}
    array = None
    if pieces[0].array is not None:
        array = np.concatenate([one.array for one in pieces])
    return Rows(pieces[-1].position, columns, array, pieces[-1].state)


def _joined(values: Sequence[Any]) -> Any:
    return (
        values[0].joined(values) if isinstance(values[0], OutputTimes) else np.concatenate(values)
    )


def _write_parts(
    parts: Parts, make: Make, say: Callable[[str], None], done: Callable[[int], None]
) -> None:
    held: list[Rows] = []
    began = time.monotonic()

    def flush() -> None:
        rows = joined(held)
        held.clear()
        parts.add(rows.columns, rows.array, rows.position, rows.state)

    try:
        size = 0
        for rows in _counted(make(parts.position, parts.state), done):
            held.append(rows)
            size += rows.size
            if size >= PART_BYTES or time.monotonic() - began >= PART_SECONDS:
                flush()
                size, began = 0, time.monotonic()
    except KeyboardInterrupt:
        if held and (parts.entries or time.monotonic() - began >= KEPT_SECONDS):
            flush()
        if parts.entries:
            say(f"{parts.path}: stopped; the same command continues after {_rows(parts):,} rows")
        raise
    if not parts.entries:
        rows = joined(held)
        write_table(rows.columns, parts.path, array=rows.array)
        parts.remove()
        return
    if held:
        flush()
    parts.join()


def _rows(parts: Parts) -> int:
    return sum(entry["rows"] for entry in parts.entries)


def _print(pieces: Iterator[Rows]) -> None:
    """Print rows as CSV: at once if they are few, so that nothing is printed before an error."""
    held: list[Rows] = []
    header, size = True, 0
    for rows in pieces:
        held.append(rows)
        size += rows.size
        if size >= PART_BYTES:
            sys.stdout.write(csv_text(joined(held).columns, header=header))
            held, header, size = [], False, 0
    if held:
        sys.stdout.write(csv_text(joined(held).columns, header=header))


def _counted(pieces: Iterator[Rows], done: Callable[[int], None]) -> Iterator[Rows]:
    for rows in pieces:
        yield rows
        done(rows.position)
