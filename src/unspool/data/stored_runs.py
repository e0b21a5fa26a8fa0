"""`Runs`: sequences of different lengths that are runs of rows of series, read when needed."""

from collections.abc import Sequence

import numpy as np

from unspool.data import stored
from unspool.data.stored import BLOCK_BYTES, MappedArray, Stored, Values, edges_of, is_mapped
from unspool.data.values import Array, IntArray


class Runs(Stored):
    """Sequences as an array (N, T, F): runs of rows of series, padded with zeros.

    Parameters
    ----------
    series : sequence of arrays of shape (rows, F)
        The series; some or all of them are not in memory.
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
    def edges(self) -> IntArray:
        """Edges of runs of sequences that are near each other."""
        before = np.cumsum(self.lengths) - self.lengths
        block = before * self.shape[2] * self.dtype.itemsize // BLOCK_BYTES
        if len(self.series) == 1 and isinstance(self.series[0], Stored):
            block = np.searchsorted(self.series[0].edges, self.first, side="right")
        return edges_of(block)


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
