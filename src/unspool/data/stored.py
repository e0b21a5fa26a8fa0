"""`Stored`: an array that is not in memory; its rows are read when they are indexed.

`as_stored` recognises what a user may give in place of an array: memory-mapped arrays, data sets of
h5py and zarr, `pyarrow.dataset`, and objects with `len` and `take` or indices. Sequences and series
are made of a `Stored` as they are of an array, and copy from it what a batch needs.
"""

import mmap
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.data.values import Array, FloatArray, IntArray, as_array, not_real
from unspool.errors import InputError

LARGE = 1 << 28  # bytes from which an array in a file is read in pieces; a smaller one is an array
BLOCK_BYTES = 1 << 24  # bytes that are read together
RELEASED_BYTES = 1 << 26  # bytes of a mapped file that are read before its pages are released
CLUSTER = 1 << 20  # bytes that the system may map in addition to those that are read

Shape = tuple[int, ...]


class Stored(ABC):
    """An array of at least one axis whose rows are read when it is indexed.

    A row is an entry of the first axis: a sequence of an array (N, T, F), or a step of a series
    (T, F).

    Parameters
    ----------
    shape : tuple of int
        Shape of the array.
    dtype : numpy.dtype
        Real dtype of the values that are read.
    names : tuple of str, optional
        Names of the last axis, if they are known.
    """

    def __init__(self, shape: Shape, dtype: Any, names: tuple[str, ...] | None = None) -> None:
        self.shape, self.dtype, self.names = shape, np.dtype(dtype), names

    @abstractmethod
    def read(self, start: int, stop: int) -> Array:
        """Return a copy of the rows from `start` to `stop`, (stop - start, …)."""

    @property
    def edges(self) -> IntArray:
        """Edges of runs of rows that are read together, from 0 to the number of rows."""
        rows = max(1, BLOCK_BYTES // self.row_bytes)
        return np.append(np.arange(0, len(self), rows), len(self))

    def gather(self, rows: IntArray) -> Array:
        """Return a copy of the rows at `rows`; neighbours are read together."""
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        order = np.argsort(rows, kind="stable")
        cuts = np.flatnonzero(np.diff(rows[order]) > 1) + 1
        for some in np.split(order, cuts):
            if len(some):
                first = int(rows[some[0]])
                out[some] = self.read(first, int(rows[some[-1]]) + 1)[rows[some] - first]
        return out

    @property
    def any_thread(self) -> bool:
        """Whether rows may be read in another thread than the one that made the array."""
        return True

    def numbers_of(self, rows: IntArray) -> IntArray:
        """Return the numbers of rows in what the user gave, for messages."""
        return rows

    def take_steps(self, rows: IntArray, steps: int) -> Array:
        """Return a copy of the first `steps` entries of the second axis of the rows at `rows`."""
        return self.gather(rows)[:, :steps]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def row_bytes(self) -> int:
        """Bytes of one row in memory, at least 1."""
        return max(1, prod(self.shape[1:]) * int(self.dtype.itemsize))

    @property
    def size(self) -> int:
        """Number of values."""
        return prod(self.shape)

    def __len__(self) -> int:
        return int(self.shape[0])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Read everything."""
        return np.asarray(self.read(0, len(self)), dtype)

    def __getitem__(self, key: Any) -> Array:
        """Read the rows at an int, a slice or indices; more indices select from what is read."""
        rows, *rest = key if isinstance(key, tuple) else (key,)
        if isinstance(rows, (int, np.integer)):
            place = int(rows) + (len(self) if rows < 0 else 0)
            found = self.read(place, place + 1)[0]
            return np.asarray(found[tuple(rest)])
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step > 0:
                found = self.read(start, max(start, stop))[::step]
            else:
                found = self.gather(np.arange(start, stop, step))
        else:
            found = self.gather(np.arange(len(self))[np.asarray(rows)])
        return found[(slice(None), *rest)] if rest else found

    def chunks(self) -> Iterator[tuple[int, Array]]:
        """Yield the first row of each run of `edges`, and its rows."""
        for start, stop in pairwise(self.edges.tolist()):
            yield start, self.read(start, stop)

    def part(self, rows: Any) -> "Stored":
        """Return the rows of a slice, of indices, or of a mask, without reading them."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            return Selected(self, range(start, stop, step))
        return Selected(self, np.arange(len(self))[np.asarray(rows)])

    def reshape(self, *shape: int) -> "Stored":
        """Return the array with rows of another shape; the number of rows must stay the same."""
        assert shape[0] == len(self)
        return Changed(self, partial(_reshaped, shape=shape[1:]), shape[1:], self.dtype, None)

    def of_columns(self, places: Any) -> "Stored":
        """Return entries of the last axis."""
        names = None if self.names is None else tuple(self.names[place] for place in places)
        shape = (*self.shape[1:-1], len(places))
        return Changed(self, partial(_columns, places=list(places)), shape, self.dtype, names)

    def up_to(self, steps: int) -> "Stored":
        """Return the first `steps` entries of the second axis."""
        shape = (steps, *self.shape[2:])
        return Changed(self, partial(_up_to, steps=steps), shape, self.dtype, self.names)

    def as_floats(self) -> "Stored":
        """Return float32 and float64 unchanged, and other dtypes as float64."""
        if self.dtype in (np.float32, np.float64):
            return self
        return Changed(self, _as_floats, self.shape[1:], np.float64, self.names)

    def last_steps(self) -> Iterator[tuple[int, Array]]:
        """Yield the first row of each run of `edges`, and the last steps (rows, 1, …)."""
        for start, rows in self.chunks():
            yield start, rows[:, -1:]


class MappedArray(Stored):
    """A memory-mapped array; its pages are released after some of them have been read.

    Otherwise all pages that were ever read count as memory of the process.
    """

    def __init__(self, array: Array) -> None:
        super().__init__(array.shape, array.dtype)
        self.array = np.asarray(array)
        self._touched = 0
        # Places in the file of neighbouring rows: in Fortran's order, one for each column.
        self._places = 1 if array.flags.c_contiguous else max(1, prod(array.shape[1:]))

    def read(self, start: int, stop: int) -> Array:
        """Return a copy of rows."""
        return self._released(np.array(self.array[start:stop]), 1)

    def gather(self, rows: IntArray) -> Array:
        """Return a copy of rows."""
        return self._released(self.array[rows], len(rows))

    def last_steps(self) -> Iterator[tuple[int, Array]]:
        """Yield the first row of each run, and the last step of its rows, and read nothing else."""
        for start, stop in pairwise(self.edges.tolist()):
            last = np.array(self.array[start:stop, -1:])
            yield start, self._released(last, (stop - start) * self.row_bytes // CLUSTER + 1)

    def reshape(self, *shape: int) -> Stored:
        """Return the array with rows of another shape."""
        view = self.array.view()
        try:
            view.shape = shape
        except AttributeError:  # it would have to be copied
            return super().reshape(*shape)
        return MappedArray(view)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """Return the mapped array itself."""
        return np.asarray(self.array, dtype)

    def _released(self, values: Array, places: int) -> Array:
        """Return `values`, which were read at some places; release the pages if they are many."""
        self._touched += values.nbytes + CLUSTER * places * self._places
        mapping = mapping_of(self.array)
        if self._touched > RELEASED_BYTES and mapping is not None:
            mapping.madvise(mmap.MADV_DONTNEED)
            self._touched = 0
        return values


class IndexedArray(Stored):
    """A data set of h5py, zarr or a similar library, which reads the slices of its first axis."""

    def __init__(self, array: Any) -> None:
        super().__init__(tuple(map(int, array.shape)), array.dtype)
        self.array = array
        self._kept: tuple[int, Array] = 0, np.empty((0, *self.shape[1:]), self.dtype)
        self._next = 0  # the row after those that were read last

    def read(self, start: int, stop: int) -> Array:
        """Return a copy of rows; if they follow those read before, more are read and kept."""
        first, kept = self._kept
        if not (first <= start and stop <= first + len(kept)):
            if start != self._next:
                self._next = stop
                return np.array(self.array[start:stop], self.dtype)
            edges = self.edges
            last = min(int(np.searchsorted(edges, start, "right")), len(edges) - 1)
            end = max(stop, int(edges[last]))
            first, kept = self._kept = start, np.array(self.array[start:end], self.dtype)
        self._next = stop
        return kept[start - first : stop - first].copy()

    @property
    def edges(self) -> IntArray:
        """Edges of runs of rows, at the edges of the chunks of the file if it has any."""
        chunks = getattr(self.array, "chunks", None)
        found = chunks[0] if isinstance(chunks, tuple) and chunks else 1
        stored = int(found if isinstance(found, (int, np.integer)) else max(found))
        rows = max(1, BLOCK_BYTES // self.row_bytes // stored) * stored
        return np.append(np.arange(0, len(self), rows), len(self))


class Changed(Stored):
    """Another `Stored`, whose rows are changed when they are read."""

    def __init__(
        self,
        base: Stored,
        change: Callable[[Array], Array],
        row_shape: Shape,
        dtype: Any,
        names: tuple[str, ...] | None,
    ) -> None:
        super().__init__((len(base), *row_shape), dtype, names)
        self.base, self.change = base, change

    def read(self, start: int, stop: int) -> Array:
        """Return a copy of rows."""
        return self.change(self.base.read(start, stop))

    def gather(self, rows: IntArray) -> Array:
        """Return a copy of rows."""
        return self.change(self.base.gather(rows))

    @property
    def any_thread(self) -> bool:
        """Whether another thread may read rows."""
        return self.base.any_thread

    def numbers_of(self, rows: IntArray) -> IntArray:
        """Return the numbers of rows in what the user gave."""
        return self.base.numbers_of(rows)

    @property
    def edges(self) -> IntArray:
        """The edges of the other array."""
        return self.base.edges


class Selected(Stored):
    """Some rows of another `Stored`, in any order."""

    def __init__(self, base: Stored, rows: range | IntArray) -> None:
        super().__init__((len(rows), *base.shape[1:]), base.dtype, base.names)
        self.base, self.rows = base, rows

    def read(self, start: int, stop: int) -> Array:
        """Return a copy of rows."""
        some = self.rows[start:stop]
        if isinstance(some, range) and some.step == 1:
            return self.base.read(some.start, some.stop)
        return self.base.gather(np.asarray(some, np.int64))

    def gather(self, rows: IntArray) -> Array:
        """Return a copy of rows."""
        return self.base.gather(self._of_base(rows))

    @property
    def any_thread(self) -> bool:
        """Whether another thread may read rows."""
        return self.base.any_thread

    def numbers_of(self, rows: IntArray) -> IntArray:
        """Return the numbers of rows in what the user gave."""
        return self.base.numbers_of(self._of_base(rows))

    def _of_base(self, rows: IntArray) -> IntArray:
        if isinstance(self.rows, range):
            return self.rows.start + rows * self.rows.step
        return self.rows[rows]

    @property
    def edges(self) -> IntArray:
        """Edges of runs of rows that the other array reads together."""
        edges = self.base.edges
        if isinstance(self.rows, range) and self.rows.step == 1:
            within = edges[(edges > self.rows.start) & (edges < self.rows.stop)]
            return np.concatenate([[0], within - self.rows.start, [len(self)]])
        return edges_of(np.searchsorted(edges, np.asarray(self.rows, np.int64), side="right"))


def edges_of(blocks: IntArray) -> IntArray:
    """Return the edges of runs of equal numbers, from 0 to their number.

    Examples
    --------
    >>> edges_of(np.array([1, 1, 4, 4, 4, 1])).tolist()
    [0, 2, 5, 6]
    """
    inside = np.flatnonzero(np.diff(blocks)) + 1
    return np.concatenate([[0], inside, [len(blocks)]]).astype(np.int64)


def as_stored(X: Any) -> Stored | None:
    """Return `X` as a `Stored` if its values are not in memory, else None.

    Arrays in files of less than 256 MiB are not: they are used, or read, as any other array.

    Raises
    ------
    InputError
        If such an object holds anything but real numbers, or no rows.
    """
    if isinstance(X, Stored):
        return X
    if isinstance(X, np.ndarray):
        is_large = X.size * max(X.itemsize, 4) >= LARGE
        if not is_large or X.dtype == object or isinstance(X, np.ma.MaskedArray):
            return None
        return _checked(MappedArray(X)) if is_mapped(X) else None
    if _is_data_set(X):
        found = IndexedArray(X)
        return _checked(found) if found.size * max(found.dtype.itemsize, 4) >= LARGE else None
    from unspool.data.stored_items import as_items
    from unspool.data.stored_table import as_stored_table

    other = as_stored_table(X)
    return as_items(X) if other is None else other


def stored_together(series: list[Any]) -> list[Any]:
    """Return series with the memory-mapped ones as `Stored` if all of them together are large."""
    mapped = [isinstance(one, np.ndarray) and is_mapped(one) for one in series]
    total = sum(
        one.size * max(one.itemsize, 4)
        for one, is_one in zip(series, mapped, strict=True)
        if is_one
    )
    if total < LARGE:
        return series
    return [MappedArray(one) if is_one else one for one, is_one in zip(series, mapped, strict=True)]


def mapping_of(array: Array) -> mmap.mmap | None:
    """Return the mapping that an array is a part of, if its pages can be released."""
    base: Any = array
    while isinstance(base, np.ndarray):
        mapping: Any = base.base
        if isinstance(base, np.memmap) and isinstance(mapping, mmap.mmap):
            # Pages of "c" that were written to exist in memory only.
            return mapping if base.mode != "c" and hasattr(mmap, "MADV_DONTNEED") else None
        base = base.base
    return None


def is_mapped(array: Array) -> bool:
    """Return whether an array is a part of a memory-mapped file."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return isinstance(base, mmap.mmap)


def _is_data_set(X: Any) -> bool:
    """Return whether `X` is an array of h5py, zarr, dask or a similar library."""
    needed = (
        "chunks",
        "__getitem__",
        "__array__",
        "shape",
        "dtype",
    )  # nested tensors raise at "shape"
    return all(hasattr(X, one) for one in needed) and not hasattr(X, "coords")  # of xarray


def _checked(found: Stored) -> Stored:
    if found.dtype.kind not in "fiub":
        raise InputError(not_real(found.dtype, "X"))
    return found


def _reshaped(values: Array, shape: Shape) -> Array:
    return values.reshape(len(values), *shape)


def _columns(values: Array, places: list[int]) -> Array:
    return np.ascontiguousarray(values[..., places])


def _up_to(values: Array, steps: int) -> Array:
    return values[:, :steps]


def _as_floats(values: Array) -> FloatArray:
    return as_array(values, "X").astype(np.float64)


Values = npt.NDArray[Any] | Stored  # values of sequences, or a series
