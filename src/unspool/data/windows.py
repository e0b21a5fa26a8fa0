"""`Windows`: sliding windows over long series; only one batch at a time is in memory."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool._durations import Duration, gap_complaint, size_complaint
from unspool._types import Missing, Short, names
from unspool.data import steps_in_time
from unspool.data.ahead import read_ahead
from unspool.data.finite import CHUNK_VALUES, check_steps, check_still_finite, sum_is_finite
from unspool.data.sequences import (
    FloatArray,
    IntArray,
    check_feature_names,
    counted,
    row_key,
)
from unspool.data.series import as_series
from unspool.data.stored import Stored, edges_of
from unspool.data.window_checks import check_shapes, has_missing_values
from unspool.data.window_copies import blocks_of_steps, copy_windows
from unspool.data.window_places import WindowPlaces, in_pieces


class Windows(WindowPlaces):
    """All windows of `size` steps over one long series or several.

    Every estimator accepts a `Windows` as ``X``; each window is one sequence. The series are not
    copied, and windows are copied only for the batch that needs them, so a `Windows` needs no
    more memory than its series. No window contains steps of two series.

    Parameters
    ----------
    series : array of shape (T,) or (T, F), pandas or polars frame, data set, or list of those
        One long series or several; rows are time steps. Any real dtype is accepted. Memory-mapped
        arrays and data sets of h5py or zarr of at least 256 MiB, and every
        ``pyarrow.dataset.Dataset`` of columns of numbers, are read in pieces, when a batch needs
        them. A pandas frame with the index (instance, time) contains one series
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
        The series, not copied; those that are not in memory are objects that read their rows when
        they are indexed.
    size, stride, dilation : int
        The parameters, in steps.
    tail, short, missing
        The parameters.
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
        self.series: list[Any]
        self.series, columns = as_series(series, stored=True)
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
        self._dtype = np.result_type(*{one.dtype for one in self.series})
        self._stored = any(isinstance(one, Stored) for one in self.series)
        # None: it is known when all steps have been read.
        self._has_missing: bool | None = has_missing_values(
            self.series, self.feature_names, missing
        )
        if self._stored and missing == "mask" and not self._has_missing:
            self._has_missing = None
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
    def has_missing(self) -> bool:
        """Whether a series contains NaN; series that are not in memory are read to learn it."""
        if self._has_missing is None:
            for _ in self.chunks():
                pass
        return bool(self._has_missing)

    @has_missing.setter
    def has_missing(self, found: bool) -> None:
        self._has_missing = found

    @property
    def blocks(self) -> IntArray | None:
        """Edges of runs of windows whose steps are read together; None for series in memory."""
        if not self._stored:
            return None
        edges, of_run = blocks_of_steps(self.series)
        before = np.cumsum([0, *map(len, self.series[:-1])])  # steps of the series before each
        cuts, last = [np.zeros(1, np.int64)], None
        for numbers in in_pieces(len(self)):
            owner, start = self.place(numbers)
            block = of_run[np.searchsorted(edges, before[owner] + start, "right") - 1]
            inside = edges_of(block)[1:-1] + numbers[0]
            cuts += [numbers[:1]] if last is not None and last != block[0] else []
            cuts.append(inside)
            last = block[-1]
        return np.append(np.concatenate(cuts), len(self))

    @property
    def reads_ahead(self) -> bool:
        """Whether series that are not in memory may be read in another thread."""
        return self._stored and all(
            one.any_thread for one in self.series if isinstance(one, Stored)
        )

    def load(self, start: int, stop: int) -> "Windows":
        """Read the steps of neighbouring windows into memory.

        Parameters
        ----------
        start, stop : int
            Number of the first window, and of the one after the last.

        Returns
        -------
        Windows
            The windows, over the parts of the series that they need.
        """
        part: Windows = self[start:stop]
        numbers = np.arange(len(part))
        owner, begin = part.place(numbers)
        end = part.ends_of(numbers)
        low = int(owner.min(initial=len(self.series) - 1))
        high = max(low, int(owner.max(initial=0))) + 1
        first = np.full(len(self.series), np.iinfo(np.int64).max)
        stops = np.zeros(len(self.series), np.int64)
        np.minimum.at(first, owner, begin)
        np.maximum.at(stops, owner, end)
        first = np.minimum(first, stops)  # series without a window
        if (stops - first).sum() > 2 * part.lengths_of(numbers).sum():
            return part._copied()
        part.series = [self.series[i][first[i] : stops[i]] for i in range(low, high)]
        part.times, part._stored = None, False
        part._first = self._first - first[self._series_of]
        part._series_of = self._series_of - low
        for i, one in enumerate(part.series, low):
            if isinstance(self.series[i], Stored) and not sum_is_finite(one):
                check_steps(one, i, int(first[i]), self.feature_names, self.missing)
                self._has_missing = part._has_missing = True
        return part

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape (N, T, F) of an array of all windows."""
        return len(self), self.max_length, self.n_features

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

    def _copied(self) -> "Windows":
        """Return windows that are far from each other over a series of their steps alone."""
        values, lengths = self.take(np.arange(len(self)))
        count, steps = values.shape[:2]
        part: Windows = self[:]
        part.series, part.times, part._stored = [values.reshape(count * steps, -1)], None, False
        # Each window is a piece.
        part._picked, part._cut, part.dilation, part._left_out = range(count), True, 1, 0
        part._series_of, part._first = np.zeros(count, np.int64), np.arange(count) * steps
        part._lengths, part._last = lengths, np.zeros(count, np.int64)
        part._begins, part._ends = np.arange(count), np.arange(1, count + 1)
        part._has_missing = self._has_missing
        return part

    def latest(self) -> list[npt.NDArray[Any]]:
        """Return the steps that a window at the end of every series would hold.

        Returns
        -------
        list of arrays of shape (T_i, F)
            The last `size` steps, `dilation` apart; fewer if the series is shorter, or if its last
            gap is nearer to the end.
        """
        return [
            one[max(start, len(one) - self._full_span) :][:: -self.dilation][: self.size][::-1]
            for one, start in zip(self.series, self._after_gap.tolist(), strict=True)
        ]

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
        values = np.zeros((len(owner), lengths.max(initial=0), self.n_features), self._dtype)
        copy_windows(values, self.series, owner, start, spans, self.dilation)
        if self._stored:
            self._check_taken(values, owner, start, spans)
        else:
            check_still_finite(values, self)
        return values, lengths

    def _check_taken(
        self, values: npt.NDArray[Any], owner: IntArray, start: IntArray, spans: IntArray
    ) -> None:
        """Refuse windows with values that must not be there; note that values are missing."""
        if sum_is_finite(values):
            return
        for row, number, first, span in zip(values, owner, start, spans, strict=True):
            if not sum_is_finite(row):
                steps = self.series[number][first : first + span]
                check_steps(steps, int(number), int(first), self.feature_names, self.missing)
                self._has_missing = True

    def chunks(self) -> Iterator[npt.NDArray[Any]]:
        """Iterate once over every step from the first window of each series to its last.

        Steps between windows (if `stride` is larger than `size`) are included.

        Yields
        ------
        array of shape (steps, F)
            Consecutive steps of one series.
        """
        size = max(1, CHUNK_VALUES // self.n_features)
        runs = (
            (number, start, min(start + size, end))
            for number, (first, end) in enumerate(zip(*self._reach(), strict=True))
            for start in range(first, end, size)
        )
        yield from read_ahead(self._steps, runs, ahead=self.reads_ahead)
        if self._has_missing is None:  # all steps have been read, and none is missing
            self._has_missing = False

    def _steps(self, run: tuple[int, int, int]) -> npt.NDArray[Any]:
        """Return consecutive steps of a series (steps, F), given its number, and start and stop."""
        number, start, stop = run
        one = self.series[number]
        steps: npt.NDArray[Any] = one[start:stop]
        if not isinstance(one, Stored):
            check_still_finite(steps, self)
        elif not sum_is_finite(steps):
            check_steps(steps, number, start, self.feature_names, self.missing)
            self._has_missing = True
        return steps

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
            if self._has_missing is False:
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
        part.series = [
            one.of_columns(places) if isinstance(one, Stored) else one[:, list(places)]
            for one in self.series
        ]
        if self.feature_names is not None:
            part.feature_names = tuple(self.feature_names[place] for place in places)
        return part

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
        if self.missing == "raise" or not self.has_missing:
            return
        has_missing_values(self.series, self.feature_names, "raise")
        complete: Windows = self[:]
        complete.missing = "raise"
        for _ in complete.chunks():
            pass
