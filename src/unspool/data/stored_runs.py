"""`Runs`: sequences of different lengths that are runs of rows of series, padded when needed."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from unspool.data import stored
from unspool.data.lengths import real_steps
from unspool.data.stored import BLOCK_BYTES, MappedArray, Stored, Values, edges_of, is_mapped
from unspool.data.values import Array, FloatArray, IntArray, as_floats

# Sequences in memory are kept without padding if an array of them has at least this number of bytes
# and more than this share of padding.
PADDED_BYTES, MAX_PADDING = 1 << 25, 0.5


class Runs(Stored):
    """Sequences as an array (N, T, F): runs of rows of series, padded with zeros.

    Parameters
    ----------
    series : sequence of arrays of shape (rows, F)
        The series, which may be in memory or not.
    owner, first, lengths : arrays of int, shape (N,)
        Series of each sequence, its first row there, and its number of rows.
    names : tuple of F str, optional
        Names of the features.
    """

    def __init__(
        self,
        series: Sequence[Values],
        owner: IntArray,
        first: IntArray,
        lengths: IntArray,
        names: tuple[str, ...] | None = None,
    ) -> None:
        dtype = np.result_type(*{one.dtype for one in series})
        shape = len(lengths), int(lengths.max(initial=0)), series[0].shape[1]
        super().__init__(shape, dtype, names)
        self.series, self.owner, self.first, self.lengths = series, owner, first, lengths
        self.numbers = np.arange(len(lengths))

    def read(self, start: int, stop: int) -> Array:
        """Return a copy of sequences."""
        return self.gather(np.arange(start, stop))

    def gather(self, rows: IntArray) -> Array:
        """Return a copy of sequences."""
        return self.take_steps(rows, self.shape[1])

    def take_steps(self, rows: IntArray, steps: int) -> Array:
        """Return a copy of the first `steps` steps of sequences."""
        out = np.zeros((len(rows), steps, self.shape[2]), self.dtype)
        for values, number in zip(out, rows.tolist(), strict=True):
            first, count = int(self.first[number]), min(steps, int(self.lengths[number]))
            values[:count] = self.series[int(self.owner[number])][first : first + count]
        return out

    @property
    def any_thread(self) -> bool:
        """Whether another thread may read rows."""
        return all(one.any_thread for one in self.series if isinstance(one, Stored))

    @property
    def in_memory(self) -> bool:
        """Whether all series are in memory, without padding."""
        return all(isinstance(one, np.ndarray) for one in self.series)

    @property
    def edges(self) -> IntArray:
        """Edges of runs of sequences that are near each other."""
        before = np.cumsum(self.lengths) - self.lengths
        block = before * self.shape[2] * self.dtype.itemsize // BLOCK_BYTES
        if len(self.series) == 1 and isinstance(self.series[0], Stored):
            block = np.searchsorted(self.series[0].edges, self.first, side="right")
        return edges_of(block)

    def loaded(self, start: int, stop: int) -> "Runs":
        """Return sequences in memory, without padding."""
        lengths = self.lengths[start:stop]
        ends = np.cumsum(lengths)
        flat = np.empty((int(lengths.sum()), self.shape[2]), self.dtype)
        for row, end in zip(range(start, stop), ends.tolist(), strict=True):
            first, count = int(self.first[row]), int(self.lengths[row])
            flat[end - count : end] = self.series[int(self.owner[row])][first : first + count]
        return self._with([flat], np.zeros_like(ends), ends - lengths, lengths, range(start, stop))

    def part(self, rows: Any) -> "Runs":
        """Return the sequences of a slice, of indices, or of a mask."""
        chosen = np.arange(len(self))[rows]
        return self._with(
            self.series, self.owner[chosen], self.first[chosen], self.lengths[chosen], chosen
        )

    def up_to(self, steps: int) -> "Runs":
        """Return the first `steps` steps of each sequence."""
        lengths = np.minimum(self.lengths, steps)
        return self._with(self.series, self.owner, self.first, lengths, np.arange(len(self)))

    def without_empty_ends(self) -> "Runs":
        """Return the sequences without the steps at their ends that are NaN in every feature."""
        lengths = self.lengths.copy()
        for row in np.flatnonzero(lengths).tolist():
            first, count = int(self.first[row]), int(lengths[row])
            one = self.series[int(self.owner[row])]
            if np.isnan(one[first + count - 1 : first + count]).all():
                lengths[row] = real_steps(one[first : first + count])
        return self._with(self.series, self.owner, self.first, lengths, np.arange(len(self)))

    def of_columns(self, places: Any) -> "Runs":
        """Return features."""
        places = list(places)
        found = self._of_series(
            [
                one.of_columns(places) if isinstance(one, Stored) else one[:, places]
                for one in self.series
            ]
        )
        found.names = None if self.names is None else tuple(self.names[place] for place in places)
        return found

    def as_floats(self) -> "Runs":
        """Return float32 and float64 unchanged, and other dtypes as float64."""
        if all(one.dtype in (np.float32, np.float64) for one in self.series):
            return self
        return self._of_series(
            [
                one.as_floats() if isinstance(one, Stored) else as_floats(one, "sequences")
                for one in self.series
            ]
        )

    def numbers_of(self, rows: IntArray) -> IntArray:
        """Return the numbers of sequences in what the user gave."""
        return self.numbers[rows]

    def _of_series(self, series: Sequence[Values]) -> "Runs":
        """Return the same rows of other series."""
        return self._with(series, self.owner, self.first, self.lengths, np.arange(len(self)))

    def _with(
        self,
        series: Sequence[Values],
        owner: IntArray,
        first: IntArray,
        lengths: IntArray,
        rows: Any,
    ) -> "Runs":
        """Return other runs, of the sequences at `rows`."""
        found = Runs(series, owner, first, lengths, self.names)
        found.numbers = self.numbers[np.asarray(rows)]
        return found


def pieces(lengths: IntArray, limit: int) -> Iterator[tuple[int, int]]:
    """Yield first and end of runs of sequences that have at most `limit` steps with padding.

    A run has at least one sequence.

    Examples
    --------
    >>> list(pieces(np.array([2, 2, 2, 9, 1, 1]), 6))
    [(0, 3), (3, 4), (4, 6)]
    """
    start, longest = 0, 0
    for number, length in enumerate(lengths.tolist()):
        longest = max(longest, length)
        if number > start and (number + 1 - start) * longest > limit:
            yield start, number
            start, longest = number, length
    if len(lengths):
        yield start, len(lengths)


def runs_in_memory(
    arrays: Sequence[FloatArray], lengths: IntArray, dtype: np.dtype[Any]
) -> Runs | None:
    """Return arrays (T_i, F) as `Runs` if one array of them is large and mostly padding, else None.

    Only the first `lengths` (N,) rows of each are used.
    """
    padded = len(lengths) * int(lengths.max())
    if padded * arrays[0].shape[1] * dtype.itemsize < PADDED_BYTES:
        return None
    if lengths.sum() >= (1 - MAX_PADDING) * padded:
        return None
    flat = np.concatenate([one[:n] for one, n in zip(arrays, lengths.tolist(), strict=True)])
    ends = np.cumsum(lengths)
    return Runs([flat.astype(dtype, copy=False)], np.zeros_like(ends), ends - lengths, lengths)


def mapped_runs(arrays: Sequence[Array], lengths: IntArray) -> Runs | None:
    """Return a list of memory-mapped arrays (T_i, F) that are large together as `Runs`, else None.

    Only the first `lengths` (N,) rows of each are read.
    """
    if sum(one.size * max(one.itemsize, 4) for one in arrays) < stored.LARGE:
        return None
    if not all(is_mapped(one) and one.dtype.kind in "fiub" for one in arrays):
        return None
    series: list[Values] = [MappedArray(one) for one in arrays]
    return Runs(series, np.arange(len(arrays)), np.zeros(len(arrays), np.int64), lengths)
