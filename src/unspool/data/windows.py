"""`Windows`: sliding windows over long series; only one batch at a time is in memory."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from unspool import _checks
from unspool._types import Missing, Short, names
from unspool.data.sequences import (
    CHUNK_VALUES,
    MASK_HINT,
    FloatArray,
    IntArray,
    check_feature_names,
    check_still_finite,
    counted,
    row_key,
)
from unspool.data.series import as_series
from unspool.errors import InputError

TAKE_VALUES = 1 << 15  # values copied at once; bounds the memory that is used twice


class Windows:
    """All windows of `size` steps over one long series or several.

    Every estimator accepts a `Windows` as ``X``; each window is one sequence. The series are not
    copied, and windows are copied only for the batch that needs them, so a `Windows` needs no
    more memory than its series. No window contains steps of two series.

    Parameters
    ----------
    series : array of shape (T,) or (T, F), pandas or polars frame, or list of those
        One long series or several; rows are time steps. Any real dtype is accepted, also
        memory-mapped arrays. A pandas frame with the index (instance, time) contains one series
        for every instance. If several frames have their columns in different orders, they are put
        in the order of the first frame.
    size : int
        Number of steps of a window, at least 1.
    stride : int, default 1
        Number of steps from the start of one window to the start of the next.
    tail : bool, default False
        Add a window at the end of every series whose last steps are in no other window. Every
        step is then in some window if `stride` is at most `size`.
    short : {"error", "keep"}, default "error"
        If a series has fewer than `size` steps: raise an error, or keep the series as one shorter
        window.
    feature_names : sequence of F str, optional
        Names of the features; by default the columns of a frame.
    missing : {"raise", "mask"}, default "raise"
        Whether a series may contain NaN, which is a missing value: raise an error, or keep it for
        models with ``missing="mask"``.

    Attributes
    ----------
    series : list of arrays of shape (T_i, F)
        The series, not copied.
    size, stride, tail, short, missing
        The parameters.
    has_missing : bool
        Whether a series contains NaN.
    feature_names : tuple of F str, or None
        Names of the features, if they are known.

    Raises
    ------
    InputError
        If a series is too short, has another number of features than the first, or contains
        infinity, or NaN with ``missing="raise"``.

    See Also
    --------
    Sequences : Sequences of unequal length.
    chronological_split : Cut series into an earlier and a later part.

    Notes
    -----
    Indexing with an int returns one window as an array (size, F); a slice, indices or a boolean
    mask return a `Windows`. scikit-learn's cross-validation can therefore split a `Windows`.

    Examples
    --------
    >>> import numpy as np
    >>> from unspool import Windows
    >>> windows = Windows([np.zeros((6, 2)), np.zeros((5, 2))], size=4)
    >>> windows
    Windows(5 windows of 4 steps, stride 1, over 2 series, 2 features)
    >>> windows[0].shape
    (4, 2)
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
        short: Short = "error",
        feature_names: Sequence[str] | None = None,
        missing: Missing = "raise",
    ) -> None:
        _checks.raise_all(
            _checks.whole("size", size, 1),
            _checks.whole("stride", stride, 1),
            _checks.truth("tail", tail),
            _checks.choice("short", short, names(Short)),
            _checks.choice("missing", missing, names(Missing)),
        )
        self.missing = missing
        self.series, columns = as_series(series)
        self.size, self.stride, self.tail, self.short = int(size), int(stride), tail, short
        self.feature_names = check_feature_names(
            columns if feature_names is None else feature_names, self.n_features
        )
        self._check_shapes()
        self.has_missing = self._check_values(missing)
        steps = np.array([len(one) for one in self.series], np.int64)
        counts = np.array([self._count(length) for length in steps.tolist()], np.int64)
        self._lengths = np.minimum(self.size, steps)  # steps of the windows of every series
        self._last = steps - self._lengths  # first step of the last window of every series
        self._left_out = 0 * steps  # steps that `without_end` removed from the windows of a series
        self._ends = np.cumsum(counts)
        self._begins = self._ends - counts
        # Numbers of the windows that this object holds: a range until indices select some.
        self._picked: range | IntArray = range(int(self._ends[-1]))

    @property
    def n_features(self) -> int:
        """Number of features of a step, F."""
        return int(self.series[0].shape[1])

    @property
    def max_length(self) -> int:
        """Number of steps of the longest window: `size`, unless all series are shorter."""
        return int(self._lengths.max())

    @property
    def min_length(self) -> int:
        """Number of steps of the shortest window: `size`, unless a series is shorter."""
        return int(self._lengths.min())

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (N, T, F) of an array of all windows."""
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
        """Return window `i` as an array (size, F), or a `Windows` of a slice, indices or a mask."""
        key = row_key(key)
        if isinstance(key, (int, np.integer)):
            values, lengths = self.take(np.array([key]))
            return values[0, : lengths[0]]
        part = object.__new__(Windows)
        part.__dict__.update(self.__dict__)
        part._picked = self._picked[key] if isinstance(key, slice) else self._numbers(key)
        return part

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
        number = self._numbers(np.asarray(indices))
        owner = np.searchsorted(self._ends, number, side="right")
        start = np.minimum((number - self._begins[owner]) * self.stride, self._last[owner])
        return owner, start

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
        owner, _ = self.place(indices)
        lengths: IntArray = self._lengths[owner]
        return lengths

    def take(self, indices: npt.ArrayLike) -> tuple[npt.NDArray[Any], IntArray]:
        """Copy a batch of windows.

        Parameters
        ----------
        indices : array of int, shape (B,), or of bool, shape (N,)
            Which windows.

        Returns
        -------
        values : array of shape (B, T, F)
            In the dtype of the series, with zeros past the end of shorter windows.
        lengths : array of int, shape (B,)
            Number of steps of every window.
        """
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
        for number in numbers:  # copy many windows of one series at once, through a sliding view
            length = self._lengths[number]
            view = sliding_window_view(self.series[number], length, axis=0).swapaxes(1, 2)
            rows = np.flatnonzero(owner == number)
            piece = max(1, TAKE_VALUES // max(1, values[0].size))
            for some in (rows[n : n + piece] for n in range(0, len(rows), piece)):
                values[some, :length] = view[start[some]]
        check_still_finite(values, self)
        return values, lengths

    def chunks(self) -> Iterator[npt.NDArray[Any]]:
        """Iterate once over every step from the first window of each series to its last.

        Steps between windows (if `stride` is larger than `size`) are included.

        Yields
        ------
        array of shape (steps, F)
            Consecutive steps of one series.
        """
        size = max(1, CHUNK_VALUES // self.n_features)
        for one, first, end in zip(self.series, *self._reach(), strict=True):
            for start in range(first, end, size):
                chunk = one[start : min(start + size, end)]
                check_still_finite(chunk, self)
                yield chunk

    def mean_sequence(self) -> FloatArray:
        """Compute the mean window.

        Returns
        -------
        array of shape (T, F), float64
            Since windows start anywhere, every step is the mean over all steps in `chunks`,
            without missing values.
        """
        total, count = np.zeros(self.n_features), np.zeros(self.n_features, np.int64)
        for chunk in self.chunks():
            if not self.has_missing:
                total += chunk.sum(axis=0, dtype=np.float64)
                count += len(chunk)
                continue
            present = ~np.isnan(chunk)
            total += chunk.sum(axis=0, dtype=np.float64, where=present)
            count += present.sum(axis=0)
        return np.tile(total / np.maximum(count, 1), (self.max_length, 1))

    def without_end(self, steps: int) -> "Windows":
        """Remove the last steps of every window.

        Parameters
        ----------
        steps : int
            Number of steps to remove, at most the length of the shortest window.

        Returns
        -------
        Windows
            The shorter windows.
        """
        part: Windows = self[:]
        part._left_out, part._lengths = self._left_out + steps, self._lengths - steps
        part.size = self.size - steps
        return part

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
        owner, start = self.place(np.arange(len(self)))
        ends = start + self.lengths_of(np.arange(len(self)))
        steps = np.array([len(one) for one in self.series])
        last = np.zeros(len(steps), np.int64)
        np.maximum.at(last, owner, start)
        cut = np.minimum(np.round(steps * (1 - fraction)), last)
        cut = np.where(last < self._lengths, steps, cut)[owner]
        return np.flatnonzero(ends <= cut), np.flatnonzero(start >= cut)

    def _reach(self) -> tuple[IntArray, IntArray]:
        """Return the first step, and the step after the last, of the windows of every series."""
        steps = np.array([len(one) for one in self.series])
        if len(self) == self._ends[-1]:
            return np.zeros_like(steps), steps - self._left_out
        owner, start = self.place(np.arange(len(self)))
        first, end = steps.copy(), np.zeros_like(steps)
        np.minimum.at(first, owner, start)
        np.maximum.at(end, owner, start + self._lengths[owner])
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

    def _count(self, length: int) -> int:
        if length <= self.size:
            return 1
        count, rest = divmod(length - self.size, self.stride)
        return count + 1 + (self.tail and rest > 0)

    def check_complete(self) -> None:
        """Refuse missing values, for a model that does not accept them.

        Raises
        ------
        InputError
            If a series contains NaN.
        """
        if self.has_missing:
            self._check_values("raise")

    def _check_shapes(self) -> None:
        for i, one in enumerate(self.series):
            if one.shape[1] != self.n_features:
                raise InputError(
                    f"Expected every series with {self.n_features} features like the first, "
                    f"got {one.shape[1]} in series {i}."
                )
            if len(one) == 0 or (len(one) < self.size and self.short == "error"):
                raise InputError(
                    f"Expected a series of at least {self.size} steps (the window), got "
                    f"{len(one)} in series {i}; choose a smaller window, or keep short series as "
                    "one window with short='keep'."
                )

    def _check_values(self, missing: Missing) -> bool:
        """Return whether a series contains NaN; refuse infinity, and NaN if it must not."""
        found = False
        for i, one in enumerate(self.series):
            if one.dtype.kind != "f":
                continue  # whole numbers are finite
            step = 0
            for chunk in np.array_split(one, max(1, one.size // CHUNK_VALUES)):
                if not np.isfinite(chunk).all():
                    found = True
                    bad = np.isinf(chunk) if missing == "mask" else ~np.isfinite(chunk)
                    if bad.any():
                        row, column = np.argwhere(bad)[0]
                        value = chunk[row, column]
                        name = self.feature_names[column] if self.feature_names else int(column)
                        hint = "" if np.isinf(value) else MASK_HINT
                        raise InputError(
                            f"Series {i} holds {value} at step {step + row}, feature {name!r}; "
                            f"fill or drop such steps before cutting windows{hint}."
                        )
                step += len(chunk)
        return found


def windows_like(windows: Windows, series: Sequence[FloatArray]) -> Windows:
    """Return the same windows over other series of the same lengths.

    Parameters
    ----------
    windows : Windows
    series : sequence of arrays of shape (T_i,)
        A number for each step of each series of `windows`.
    """
    other: Windows = windows[:]
    other.series, other.feature_names = [one[:, None] for one in series], None
    return other


def overlap_mean(
    windows: Windows, batches: Iterator[tuple[IntArray, FloatArray]]
) -> list[FloatArray]:
    """Average values of overlapping windows, for every step of their series.

    Parameters
    ----------
    windows : Windows
    batches : iterator of (indices (B,), values (B, T, ...))
        Values for every step of every window, in batches; only their sums are kept.

    Returns
    -------
    list of arrays of shape (T_i, ...)
        One array for every series, with NaN at steps that no window covers.
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
        raise InputError("Expected at least one window to average, got none.")
    for total, count in zip(sums, counts, strict=True):
        total[count == 0] = np.nan
        total /= np.maximum(count, 1).reshape(-1, *[1] * (total.ndim - 1))
    return sums
