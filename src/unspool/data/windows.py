"""`Windows`: sliding windows over long series, gathered a batch at a time and never stored."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from unspool import _checks
from unspool.data.sequences import (
    CHUNK_VALUES,
    FloatArray,
    IntArray,
    check_feature_names,
    check_still_finite,
    counted,
    row_key,
)
from unspool.data.series import as_series
from unspool.errors import InputError

TAKE_VALUES = 1 << 15  # values of windows copied at once: what is held twice stays small


class Windows:
    """All windows of `size` steps, `stride` apart, over one series or several.

    The series are referred to, not copied, and a window exists only while its batch does: the
    memory of a `Windows` is that of the series. No window crosses from one series to the next.

    Parameters
    ----------
    series : array of shape (T,) or (T, F), a pandas or polars frame, or a list of those
        Rows are steps. Any real dtype, memory-mapped files included. A frame with the index
        (instance, time) holds a series for every instance. Columns of frames come in the order
        of the first frame.
    size : int
        Steps of a window, at least 1.
    stride : int, default 1
        Steps from the start of one window to the start of the next.
    tail : bool, default False
        Add one window at the end of a series whose last steps no window would reach, so that
        every step is in some window when `stride` is at most `size`.
    short : {"error", "keep"}, default "error"
        What to do with a series of fewer than `size` steps: refuse it, or take it whole, as one
        window of its own shorter length.
    feature_names : sequence of F strings, optional
        The columns of a frame by default.

    Raises
    ------
    InputError
        For a series that is too short, of another number of features, or not finite.

    Examples
    --------
    >>> windows = Windows([np.zeros((6, 2)), np.zeros((5, 2))], size=4)
    >>> windows
    Windows(5 windows of 4 steps, stride 1, over 2 series, 2 features)
    >>> windows[1:3].take([0])[0].shape
    (1, 4, 2)
    """

    def __init__(
        self,
        series: Any,
        size: int,
        stride: int = 1,
        *,
        tail: bool = False,
        short: str = "error",
        feature_names: Sequence[str] | None = None,
    ) -> None:
        _checks.raise_all(
            _checks.whole("size", size, 1),
            _checks.whole("stride", stride, 1),
            _checks.truth("tail", tail),
            _checks.choice("short", short, ("error", "keep")),
        )
        self.series, names = as_series(series)
        self.size, self.stride, self.tail, self.short = int(size), int(stride), tail, short
        self.feature_names = check_feature_names(
            names if feature_names is None else feature_names, self.n_features
        )
        self._check_series()
        steps = np.array([len(one) for one in self.series], np.int64)
        counts = np.array([self._count(length) for length in steps.tolist()], np.int64)
        self._lengths = np.minimum(self.size, steps)  # of the windows of every series
        self._last = steps - self._lengths  # first step of the last window of every series
        self._left_out = 0 * steps  # steps that `without_end` took from the windows of each series
        self._ends = np.cumsum(counts)
        self._begins = self._ends - counts
        # Which windows of all those possible this object holds: a range until indices pick some.
        self._picked: range | IntArray = range(int(self._ends[-1]))

    @property
    def n_features(self) -> int:
        """Features of a step, F."""
        return int(self.series[0].shape[1])

    @property
    def max_length(self) -> int:
        """Steps of a window (fewer only where every series is shorter than that)."""
        return int(self._lengths.max())

    @property
    def min_length(self) -> int:
        """Steps of the shortest window: `size`, unless a series is shorter than that."""
        return int(self._lengths.min())

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, T, F) of the array these windows would make."""
        return len(self), self.max_length, self.n_features

    def __len__(self) -> int:
        return len(self._picked)

    def __repr__(self) -> str:
        windows, steps = counted(len(self), "window"), counted(self.size, "step")
        features = counted(self.n_features, "feature")
        return (
            f"Windows({windows} of {steps}, stride {self.stride}, "
            f"over {len(self.series)} series, {features})"
        )

    def __getitem__(self, key: Any) -> Any:
        """Window `i` as (size, F); or a `Windows` of a slice, of indices or of a mask."""
        key = row_key(key)
        if isinstance(key, (int, np.integer)):
            values, lengths = self.take(np.array([key]))
            return values[0, : lengths[0]]
        part = object.__new__(Windows)
        part.__dict__.update(self.__dict__)
        part._picked = self._picked[key] if isinstance(key, slice) else self._numbers(key)
        return part

    def place(self, indices: npt.ArrayLike) -> tuple[IntArray, IntArray]:
        """Where windows lie: the number of the series and the first step, both of shape (B,)."""
        number = self._numbers(np.asarray(indices))
        owner = np.searchsorted(self._ends, number, side="right")
        start = np.minimum((number - self._begins[owner]) * self.stride, self._last[owner])
        return owner, start

    def lengths_of(self, indices: npt.ArrayLike) -> IntArray:
        """Steps of the windows at `indices`: `size`, but for series that are shorter."""
        owner, _ = self.place(indices)
        lengths: IntArray = self._lengths[owner]
        return lengths

    def take(self, indices: npt.ArrayLike) -> tuple[npt.NDArray[Any], IntArray]:
        """Gather a batch: values (B, T, F) in the dtype of the series, and lengths (B,)."""
        owner, start = self.place(indices)
        lengths = self._lengths[owner]
        dtype = np.result_type(*{one.dtype for one in self.series})
        values = np.zeros((len(owner), lengths.max(initial=0), self.n_features), dtype)
        numbers = np.unique(owner)
        if len(numbers) * 8 > len(owner):
            for row, number, first, length in zip(values, owner, start, lengths, strict=True):
                row[:length] = self.series[number][first : first + length]
            check_still_finite(values, self)
            return values, lengths
        for number in numbers:  # many windows of a series at once, through a view of all it has
            length = self._lengths[number]
            view = sliding_window_view(self.series[number], length, axis=0).swapaxes(1, 2)
            rows = np.flatnonzero(owner == number)
            piece = max(1, TAKE_VALUES // max(1, values[0].size))
            for some in (rows[n : n + piece] for n in range(0, len(rows), piece)):
                values[some, :length] = view[start[some]]
        check_still_finite(values, self)
        return values, lengths

    def chunks(self) -> Iterator[npt.NDArray[Any]]:
        """Every step from the first window of a series to its last, as arrays (steps, F)."""
        size = max(1, CHUNK_VALUES // self.n_features)
        for one, first, end in zip(self.series, *self._reach(), strict=True):
            for start in range(first, end, size):
                chunk = one[start : min(start + size, end)]
                check_still_finite(chunk, self)
                yield chunk

    def mean_sequence(self) -> FloatArray:
        """The mean of a window, shape (T, F): that of the steps in `chunks`, at every step."""
        total = sum(chunk.sum(axis=0, dtype=np.float64) for chunk in self.chunks())
        first, end = self._reach()
        return np.tile(np.asarray(total) / max(1, (end - first).sum()), (self.max_length, 1))

    def without_end(self, steps: int) -> "Windows":
        """The same windows, each without its last `steps`."""
        part: Windows = self[:]
        part._left_out, part._lengths = self._left_out + steps, self._lengths - steps
        part.size = self.size - steps
        return part

    def split(self, fraction: float) -> tuple[IntArray, IntArray]:
        """Indices of windows before and after a cut in every series; none reaches across it.

        The cut leaves at least the last window of a series behind it, and a series too short for
        a window on either side is left whole before it.

        Parameters
        ----------
        fraction : float
            Share of every series, from its end, that lies after the cut.
        """
        owner, start = self.place(np.arange(len(self)))
        ends = start + self.lengths_of(np.arange(len(self)))
        steps = np.array([len(one) for one in self.series])
        last = np.zeros(len(steps), np.int64)
        np.maximum.at(last, owner, start)
        cut = np.minimum(np.round(steps * (1 - fraction)), last)
        cut = np.where(last < self._lengths, steps, cut)[owner]
        return np.flatnonzero(ends <= cut), np.flatnonzero(start >= cut)

    def _reach(self) -> tuple[IntArray, IntArray]:
        """First step of the first window of every series, and the step after the last one's."""
        steps = np.array([len(one) for one in self.series])
        if len(self) == self._ends[-1]:
            return np.zeros_like(steps), steps - self._left_out
        owner, start = self.place(np.arange(len(self)))
        first, end = steps.copy(), np.zeros_like(steps)
        np.minimum.at(first, owner, start)
        np.maximum.at(end, owner, start + self._lengths[owner])
        return np.minimum(first, end), end

    def _numbers(self, indices: npt.NDArray[Any]) -> IntArray:
        """The places of `indices` (or of a mask) among all possible windows."""
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

    def _count(self, length: int) -> int:
        if length <= self.size:
            return 1
        count, rest = divmod(length - self.size, self.stride)
        return count + 1 + (self.tail and rest > 0)

    def _check_series(self) -> None:
        for i, one in enumerate(self.series):
            if one.shape[1] != self.n_features:
                raise InputError(
                    f"Expected every series with {self.n_features} features like the first, "
                    f"got {one.shape[1]} in series {i}."
                )
            if len(one) == 0 or (len(one) < self.size and self.short == "error"):
                raise InputError(
                    f"Expected a series of at least {self.size} steps (the window), got "
                    f"{len(one)} in series {i}; take a smaller window, or short='keep' to take "
                    "short series whole."
                )
            if one.dtype.kind != "f":
                continue  # whole numbers are finite
            step = 0
            for chunk in np.array_split(one, max(1, one.size // CHUNK_VALUES)):
                if not np.isfinite(chunk).all():
                    row, column = np.argwhere(~np.isfinite(chunk))[0]
                    name = self.feature_names[column] if self.feature_names else int(column)
                    raise InputError(
                        f"Series {i} holds {chunk[row, column]} at step {step + row}, feature "
                        f"{name!r}; fill or drop such steps before cutting windows."
                    )
                step += len(chunk)


def overlap_mean(
    windows: Windows, batches: Iterator[tuple[IntArray, FloatArray]]
) -> list[FloatArray]:
    """Average what was computed on overlapping windows, step by step of the series below them.

    Parameters
    ----------
    windows : Windows
    batches : iterator of (indices (B,), values (B, T, ...))
        A value for every step of every window, batch by batch; only sums are kept.

    Returns
    -------
    list of arrays of shape (T_i, ...)
        One for every series; NaN at steps that no window covers.
    """
    sums: list[FloatArray] = []
    counts = [np.zeros(len(one), np.int64) for one in windows.series]
    for indices, values in batches:
        if not sums:
            sums = [np.zeros((len(one), *values.shape[2:])) for one in windows.series]
        owner, start = windows.place(indices)
        lengths = windows.lengths_of(indices)
        for number, first, length, value in zip(owner, start, lengths, values, strict=True):
            sums[number][first : first + length] += value[:length]
            counts[number][first : first + length] += 1
    if not sums:
        raise InputError("Expected at least one window to average over, got none.")
    for total, count in zip(sums, counts, strict=True):
        total[count == 0] = np.nan
        total /= np.maximum(count, 1).reshape(-1, *[1] * (total.ndim - 1))
    return sums
