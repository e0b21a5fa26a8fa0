"""Objects with `len` that return some of their sequences, as `Stored`.

Such an object has one of two methods:

- ``take(indices)``, which returns the sequences at `indices`, an array of int (B,), as an array
  (B, T, F) or (B, T); or as a tuple of such an array and their lengths (B,), in which case T may
  differ from call to call.
- ``__getitem__(i)``, which returns sequence `i` as an array (T, F) or (T,); or a tuple that begins
  with it, as map-style data sets of PyTorch do.
"""

from collections.abc import Iterator, Mapping, Set
from typing import Any

import numpy as np

from unspool.data.not_arrays import is_array_like, must_be_converted
from unspool.data.stored import Stored
from unspool.data.values import Array, IntArray, as_floats
from unspool.errors import InputError

LENGTHS_AT_ONCE = 1024  # sequences that are read at once to learn their lengths


def as_items(X: Any) -> "Items | None":
    """Return an object with `len` and `take` or indices as `Stored`, else None."""
    if isinstance(X, (str, bytes, bytearray, Mapping, Set, Iterator)) or is_array_like(X):
        return None
    if isinstance(X, type) or not hasattr(X, "__len__"):
        return None
    if must_be_converted(X) or hasattr(X, "columns") or hasattr(X, "lengths_of"):
        return None  # the last has sequences already
    if hasattr(X, "take"):
        return Items(X)
    return Items(X) if hasattr(type(X), "__getitem__") else None


class Items(Stored):
    """The sequences of an object with `len` and `take`, or with `len` and indices.

    Parameters
    ----------
    source : object
        The object; the module says what it must have.

    Attributes
    ----------
    lengths : array of int, shape (N,), or None
        Lengths of the sequences, if the object returns them. They are read once, when this is made.
    """

    def __init__(self, source: Any) -> None:
        self.source, self.takes = source, hasattr(source, "take")
        if not len(source):
            raise InputError(
                f"Expected at least one sequence, got none (an empty {type(source).__name__})."
            )
        self.lengths: IntArray | None = None
        first, lengths = self._given(np.zeros(1, np.int64))
        shape = first.shape[1:]
        if lengths is not None:
            places = np.arange(len(source))
            read = range(0, len(places), LENGTHS_AT_ONCE)
            found = [self._given(places[i : i + LENGTHS_AT_ONCE])[1] for i in read]
            self.lengths = np.concatenate([one for one in found if one is not None])
            shape = (int(self.lengths.max(initial=0)), *shape[1:])
        super().__init__((len(source), *shape), first.dtype)

    def read(self, start: int, stop: int) -> Array:
        """Return a copy of sequences, padded with zeros if they have lengths."""
        return self.gather(np.arange(start, stop))

    def gather(self, rows: IntArray) -> Array:
        """Return a copy of sequences, padded with zeros if they have lengths."""
        if not len(rows):
            return np.empty((0, *self.shape[1:]), self.dtype)
        values, lengths = self._given(rows)
        if lengths is None:
            self._check_shape(values.shape[1:], rows)
            return values.astype(self.dtype, copy=False)
        assert self.lengths is not None
        if (lengths != self.lengths[rows]).any():
            raise InputError(
                f"`take` of {type(self.source).__name__} returned other lengths than before; it "
                "must return the same sequences in each call."
            )
        padded = np.zeros((len(rows), *self.shape[1:]), self.dtype)
        padded[:, : values.shape[1]] = values[:, : self.shape[1]]
        return padded

    @property
    def any_thread(self) -> bool:
        """Return False: an object may refuse other threads, as a connection of SQLite does."""
        return False

    def _given(self, rows: IntArray) -> tuple[Array, IntArray | None]:
        """Return sequences as the object returns them, (B, …), and their lengths or None."""
        name = f"what {type(self.source).__name__} returns"
        if not self.takes:
            each = [self._first(self.source[int(i)]) for i in rows]
            arrays = [as_floats(one, name) for one in each]
            odd = next((i for i, one in enumerate(arrays) if one.shape != arrays[0].shape), None)
            if odd is not None:
                self._check_shape(arrays[odd].shape, rows[odd : odd + 1], arrays[0].shape)
            return self._with_axes(np.stack(arrays)), None
        given = self.source.take(rows)
        lengths = None
        if isinstance(given, tuple) and len(given) == 2:
            given, lengths = given[0], np.asarray(given[1]).astype(np.int64)
        values = self._with_axes(as_floats(given, name))
        if lengths is not None and values.ndim == 2:
            values = values[:, :, None]
        if lengths is not None and lengths.shape == (len(rows),) and values.ndim > 1:
            outside = (lengths < 0) | (lengths > values.shape[1])
            if outside.any():
                raise InputError(
                    f"`take` of {type(self.source).__name__} must return lengths from 0 to "
                    f"{values.shape[1]}, the steps of its array, got {lengths[outside][0]}."
                )
        if len(values) != len(rows) or (lengths is not None and lengths.shape != (len(rows),)):
            raise InputError(
                f"`take` of {type(self.source).__name__} must return one sequence for each index, "
                f"got an array of shape {values.shape} for {len(rows)} indices; return an array "
                "(B, T, F), or a tuple of it and lengths (B,)."
            )
        return values, lengths

    @staticmethod
    def _first(item: Any) -> Any:
        """Return the first part of a tuple or list of arrays, such as (x, y)."""
        if not isinstance(item, (tuple, list)) or not len(item):
            return item
        is_steps = isinstance(item, list) and not getattr(item[0], "ndim", 0)
        return item if is_steps else item[0]

    def _with_axes(self, values: Array) -> Array:
        if values.ndim < 2:
            raise InputError(
                f"Expected every entry of {type(self.source).__name__} as a sequence (T, F) or "
                f"(T,), got shape {values.shape[1:]}; cut a series into windows with "
                "Windows(series, size)."
            )
        return values

    def _check_shape(
        self, shape: tuple[int, ...], rows: IntArray, expected: tuple[int, ...] | None = None
    ) -> None:
        expected = self.shape[1:] if expected is None else expected
        if shape != expected:
            raise InputError(
                f"Expected sequences of shape {expected} in {type(self.source).__name__}, as its "
                f"first one, got {shape} for sequence {rows[0]}; give sequences of different "
                "lengths as a list of arrays, or return their lengths with `take`."
            )
