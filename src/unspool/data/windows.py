"""`Windows`: sliding windows over long series; only one batch at a time is in memory."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from unspool import _checks
from unspool._durations import Duration, gap_complaint, size_complaint
from unspool._types import Missing, Short, names
from unspool.data import steps_in_time
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
from unspool.data.window_checks import check_shapes, has_missing_values

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
    size : int, str or timedelta
        Number of steps of a window, at least 1; or a duration such as "6h", "30min" or "1d", which
        needs times. A duration becomes a number of steps: it is divided by the median distance of
        the times (and by `dilation`) and rounded.
    stride : int, str or timedelta, default 1
        Number of steps of the series from the start of one window to the start of the next, or a
        duration.
    tail : bool, default False
        Add a window at the end of every series whose last steps are in no other window. Every
        step is then in some window if `stride` is at most `size`.
    short : {"error", "keep"}, default "error"
        If a series has fewer than `size` steps: raise an error, or keep the series as one shorter
        window.
    dilation : int, default 1
        Number of steps of the series from one step of a window to the next: 4 takes every fourth
        step. A window then spans ``(size - 1) * dilation + 1`` steps of the series. If the last
        steps of windows are forecast, these are `dilation` steps apart, too.
    times : array of shape (T,), or list of arrays (T_i,), optional
        Times of the steps, dates or numbers. By default the dates in the index of pandas frames.
    max_gap : duration, float, "auto" or None, default "auto"
        Largest distance between the times of two neighbouring steps in a window. Series are cut at
        larger ones: no window crosses a gap, and windows start anew after it. Parts that are
        shorter than a window are left out, or with ``short="keep"`` kept as one shorter window. A
        number is in the unit of the times, or in seconds if these are dates. "auto" is 2.5 times
        the median distance, which tolerates one missing row, if `times` is given or `size` or
        `stride` is a duration; otherwise times are not used. None cuts nowhere.
    breaks : list of arrays of int, optional
        Steps of each series at which it is cut, as at gaps: no window contains such a step together
        with the step before it.
    feature_names : sequence of F str, optional
        Names of the features; by default the columns of a frame.
    missing : {"raise", "mask"}, default "raise"
        Whether a series may contain NaN, which is a missing value: raise an error, or keep it for
        models with ``missing="mask"``.

    Attributes
    ----------
    series : list of arrays of shape (T_i, F)
        The series, not copied.
    size, stride, dilation : int
        The parameters, in steps.
    tail, short, missing
        The parameters.
    has_missing : bool
        Whether a series contains NaN.
    times : list of arrays of shape (T_i,), or None
        Times of the steps, if they are known.
    max_gap : float or None
        Largest distance of the times within a window: seconds for dates, otherwise in the unit of
        the times. None if there is no limit.
    breaks : list of arrays of int, or None
        The parameter.
    feature_names : tuple of F str, or None
        Names of the features, if they are known.

    Raises
    ------
    InputError
        If a series is too short, has another number of features than the first, or contains
        infinity, or NaN with ``missing="raise"``; if a duration is given without dates, or if the
        times are irregular: more than 10 % of their distances differ by more than half from the
        median; or if every window crosses a gap.

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

    By time, with an interruption of a day:

    >>> times = np.datetime64("2024-01-01") + np.arange(96) * np.timedelta64(30, "m")
    >>> times[50:] += np.timedelta64(1, "D")
    >>> Windows(np.zeros((96, 2)), "6h", "1h", times=times)
    Windows(38 windows of 12 steps, stride 2, over 1 series, 2 features, no gap above 4500 s)
    """

    def __init__(
        self,
        series: Any,
        size: int | Duration,
        stride: int | Duration = 1,
        *,
        tail: bool = False,
        short: Short = "error",
        dilation: int = 1,
        times: Any = None,
        max_gap: float | Duration | None = "auto",
        breaks: Sequence[npt.ArrayLike] | None = None,
        feature_names: Sequence[str] | None = None,
        missing: Missing = "raise",
    ) -> None:
        _checks.raise_all(
            size_complaint("size", size),
            size_complaint("stride", stride),
            _checks.truth("tail", tail),
            _checks.choice("short", short, names(Short)),
            _checks.whole("dilation", dilation, 1),
            gap_complaint(max_gap),
            _checks.choice("missing", missing, names(Missing)),
        )
        self.missing = missing
        self.series, columns = as_series(series)
        self.tail, self.short, self.dilation = tail, short, int(dilation)
        self.feature_names = check_feature_names(
            columns if feature_names is None else feature_names, self.n_features
        )
        steps = np.array([len(one) for one in self.series], np.int64)
        self.times = (
            steps_in_time.times_in_index(series)
            if times is None
            else steps_in_time.read_times(times, steps.tolist())
        )
        self.size, self.stride, self.max_gap, clock = steps_in_time.in_steps(
            size, stride, self.dilation, max_gap, self.times, given=times is not None
        )
        check_shapes(self.series, self._full_span, self.short)
        self.has_missing = has_missing_values(self.series, self.feature_names, missing)
        # A piece is a part of a series without gaps; most series are one piece.
        self.breaks = steps_in_time.read_breaks(breaks, steps.tolist())
        self._series_of, self._first, pieces = steps_in_time.pieces(
            steps, clock, self.max_gap, self.breaks
        )
        self._cut = len(pieces) > len(steps)
        self._after_gap = 0 * steps
        np.maximum.at(self._after_gap, self._series_of, self._first)
        counts = np.array([self._count(length) for length in pieces.tolist()], np.int64)
        dates = clock is not None and clock.dates
        steps_in_time.check_any(counts, self.size, self.max_gap, dates=dates)
        kept, pieces = counts > 0, pieces[counts > 0]
        self._series_of, self._first = self._series_of[kept], self._first[kept]
        # Number of steps of the windows of every piece, and where in it the last one starts.
        self._lengths = np.minimum(self.size, -(-pieces // self.dilation))
        self._last = pieces - self._span(self._lengths)
        self._left_out = 0  # steps that `without_end` removed from every window
        self._ends = np.cumsum(counts[kept])
        self._begins = self._ends - counts[kept]
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
        dilation = f", dilation {self.dilation}" if self.dilation > 1 else ""
        gap = steps_in_time.described_gap(self.max_gap, self.times)
        return (
            f"Windows({windows} of {steps}, stride {self.stride}{dilation}, "
            f"over {len(self.series)} series, {features}{gap})"
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

    def latest(self) -> list[npt.NDArray[Any]]:
        """Return the steps that a window at the end of every series would hold.

        Returns
        -------
        list of arrays of shape (T_i, F)
            The last `size` steps, `dilation` apart; fewer if the series is shorter, or if its last
            gap is nearer to the end.
        """
        return [
            one[start:][:: -self.dilation][: self.size][::-1]
            for one, start in zip(self.series, self._after_gap, strict=True)
        ]

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
        lengths, spans = self.lengths_of(indices), self.ends_of(indices) - start
        dtype = np.result_type(*{one.dtype for one in self.series})
        values = np.zeros((len(owner), lengths.max(initial=0), self.n_features), dtype)
        numbers = np.unique(owner)
        if len(numbers) * 8 > len(owner):
            for row, number, first, span in zip(values, owner, start, spans, strict=True):
                steps = self.series[number][first : first + span : self.dilation]
                row[: len(steps)] = steps
            check_still_finite(values, self)
            return values, lengths
        # Copy many windows of one series at once, through a sliding view.
        for number, span in np.unique(np.stack([owner, spans]), axis=1).T.tolist():
            view = sliding_window_view(self.series[number], span, axis=0).swapaxes(1, 2)
            view = view[:, :: self.dilation]
            rows = np.flatnonzero((owner == number) & (spans == span))
            piece = max(1, TAKE_VALUES // max(1, values[0].size))
            for some in (rows[n : n + piece] for n in range(0, len(rows), piece)):
                values[some, : view.shape[1]] = view[start[some]]
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

    def select(self, places: Sequence[int]) -> "Windows":
        """Select features.

        Parameters
        ----------
        places : sequence of int
            Places of the features, in the order of the result.

        Returns
        -------
        Windows
            The same windows, with these features only.
        """
        part: Windows = self[:]
        part.series = [one[:, list(places)] for one in self.series]
        if self.feature_names is not None:
            part.feature_names = tuple(self.feature_names[place] for place in places)
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
        ends = self.ends_of(np.arange(len(self)))
        steps = np.array([len(one) for one in self.series])
        last, longest = np.zeros(len(steps), np.int64), np.zeros(len(steps), np.int64)
        np.maximum.at(last, owner, start)
        np.maximum.at(longest, owner, ends - start)
        cut = np.minimum(np.round(steps * (1 - fraction)), last)
        cut = np.where(last < longest, steps, cut)[owner]
        return np.flatnonzero(ends <= cut), np.flatnonzero(start >= cut)

    def _reach(self) -> tuple[IntArray, IntArray]:
        """Return the first step, and the step after the last, of the windows of every series."""
        steps = np.array([len(one) for one in self.series])
        if len(self) == self._ends[-1] and not self._cut:
            return np.zeros_like(steps), steps - self._left_out * self.dilation
        owner, start = self.place(np.arange(len(self)))
        first, end = steps.copy(), np.zeros_like(steps)
        np.minimum.at(first, owner, start)
        np.maximum.at(end, owner, self.ends_of(np.arange(len(self))))
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

    def _count(self, length: int) -> int:
        """Return the number of windows in a piece of a series."""
        span = self._full_span
        if length < span and self.short == "error" and self._may_cut:
            return 0
        if length <= span:
            return 1
        count, rest = divmod(length - span, self.stride)
        return count + 1 + (self.tail and rest > 0)

    @property
    def _may_cut(self) -> bool:
        """Whether series may be cut, so that parts of them are shorter than a window."""
        return self.max_gap is not None or self.breaks is not None

    def check_complete(self) -> None:
        """Refuse missing values, for a model that does not accept them.

        Raises
        ------
        InputError
            If a series contains NaN.
        """
        if self.has_missing:
            has_missing_values(self.series, self.feature_names, "raise")


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
