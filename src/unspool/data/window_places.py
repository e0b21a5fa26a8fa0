"""Where windows are in their series, without the values of the series."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.data.values import IntArray

AT_ONCE = 1 << 20  # windows whose places are computed at once


class WindowPlaces:
    """The places of windows; `Windows` says which attributes they have.

    A piece is a part of a series without gaps, from which windows are cut.

    Attributes
    ----------
    series : list of arrays of shape (T_i, F)
    size, stride, dilation : int
    """

    series: list[Any]
    size: int
    stride: int
    dilation: int
    _cut: bool  # whether a series has several pieces
    _series_of: IntArray  # series of each piece
    _first: IntArray  # first step of each piece in its series
    _lengths: IntArray  # number of steps of the windows of each piece
    _last: IntArray  # first step of the last window of each piece, in the piece
    _begins: IntArray  # number of the first window of each piece
    _ends: IntArray  # number of the window after the last one of each piece
    _left_out: int  # steps that `without_end` removed from every window
    _picked: range | IntArray  # numbers of the windows that this object holds

    def __len__(self) -> int:
        return len(self._picked)

    @property
    def max_length(self) -> int:
        """Number of steps of the longest window: `size`, unless all series are shorter."""
        return int(self._lengths.max())

    @property
    def min_length(self) -> int:
        """Number of steps of the shortest window: `size`, unless a series is shorter."""
        return int(self._lengths.min())

    def place(self, indices: npt.ArrayLike) -> tuple[IntArray, IntArray]:
        """Find the place of windows in their series.

        Parameters
        ----------
        indices : array of int, shape (B,), or of bool, shape (N,)
            Which windows.

        Returns
        -------
        series : array of int, shape (B,)
            Number of the series of every window, counted from 0.
        start : array of int, shape (B,)
            First step of every window in its series, counted from 0.
        """
        piece, start = self._place_in_pieces(indices)
        owner: IntArray = self._series_of[piece]
        return owner, self._first[piece] + start

    def _place_in_pieces(self, indices: npt.ArrayLike) -> tuple[IntArray, IntArray]:
        """Return the piece of every window, and its first step in the piece."""
        number = self._numbers(np.asarray(indices))
        piece = np.searchsorted(self._ends, number, side="right")
        return piece, np.minimum((number - self._begins[piece]) * self.stride, self._last[piece])

    def ends_of(self, indices: npt.ArrayLike) -> IntArray:
        """Return the step after the last one of the windows at `indices`, in their series.

        Parameters
        ----------
        indices : array of int, shape (B,), or of bool, shape (N,)
            Which windows.

        Returns
        -------
        array of int, shape (B,)
            With a `dilation` of 1, the start of each window plus its length. A window consists of
            the steps ``start, start + dilation, …`` before its end.
        """
        _, start = self.place(indices)
        ends: IntArray = start + self._span(self.lengths_of(indices))
        return ends

    def lengths_of(self, indices: npt.ArrayLike) -> IntArray:
        """Return the number of steps of the windows at `indices`.

        Parameters
        ----------
        indices : array of int, shape (B,), or of bool, shape (N,)
            Which windows.

        Returns
        -------
        array of int, shape (B,)
            `size`, or less if the series of a window is shorter.
        """
        piece, _ = self._place_in_pieces(indices)
        lengths: IntArray = self._lengths[piece]
        return lengths

    def split(self, fraction: float) -> tuple[IntArray, IntArray]:
        """Split the windows by time, with one cut in every series.

        A window that contains steps of both sides of a cut is in neither part. At least the last
        window of a series is after its cut. If a series is too short for a window on both sides,
        all of its windows are before the cut.

        Parameters
        ----------
        fraction : float
            Share of the steps of every series that lie after the cut, from 0 to 1.

        Returns
        -------
        earlier, later : arrays of int
            Indices of the windows before and after the cut.
        """
        steps = np.array([len(one) for one in self.series])
        last, longest = np.zeros(len(steps), np.int64), np.zeros(len(steps), np.int64)
        for numbers in in_pieces(len(self)):
            owner, start = self.place(numbers)
            np.maximum.at(last, owner, start)
            np.maximum.at(longest, owner, self.ends_of(numbers) - start)
        cuts = np.minimum(np.round(steps * (1 - fraction)), last)
        cuts = np.where(last < longest, steps, cuts)
        earlier, later = [], []
        for numbers in in_pieces(len(self)):
            owner, start = self.place(numbers)
            earlier.append(numbers[self.ends_of(numbers) <= cuts[owner]])
            later.append(numbers[start >= cuts[owner]])
        none = np.empty(0, np.int64)
        return np.concatenate([none, *earlier]), np.concatenate([none, *later])

    def _reach(self) -> tuple[IntArray, IntArray]:
        """Return the first step, and the step after the last, of the windows of every series."""
        steps = np.array([len(one) for one in self.series])
        if len(self) == self._ends[-1] and not self._cut:
            return np.zeros_like(steps), steps - self._left_out * self.dilation
        first, end = steps.copy(), np.zeros_like(steps)
        for numbers in in_pieces(len(self)):
            owner, start = self.place(numbers)
            np.minimum.at(first, owner, start)
            np.maximum.at(end, owner, self.ends_of(numbers))
        return np.minimum(first, end), end

    def _numbers(self, indices: npt.NDArray[Any]) -> IntArray:
        """Return the numbers of the windows at `indices` (or in a mask) among all windows."""
        n = len(self)
        if indices.dtype == bool:
            if len(indices) != n:
                raise IndexError(f"Expected a mask of {n} windows, got one of {len(indices)}.")
            indices = np.flatnonzero(indices)
        indices = indices.astype(np.int64, copy=False)
        outside = indices[(indices < -n) | (indices >= n)]
        if len(outside):
            raise IndexError(
                f"Expected indices from {-n} to {n - 1} of {n} windows, got {outside[0]}."
            )
        indices = np.where(indices < 0, indices + n, indices)
        if isinstance(self._picked, range):
            return self._picked.start + indices * self._picked.step
        picked: IntArray = self._picked[indices]
        return picked

    def _span(self, lengths: IntArray) -> IntArray:
        """Return the number of steps of the series that windows of these lengths span."""
        return (lengths - 1) * self.dilation + 1

    @property
    def _full_span(self) -> int:
        return (self.size - 1) * self.dilation + 1


def in_pieces(count: int) -> Iterator[IntArray]:
    """Yield the numbers from 0 to `count` in order, in arrays of bounded length."""
    for first in range(0, count, AT_ONCE):
        yield np.arange(first, min(first + AT_ONCE, count))
