"""Average values of overlapping windows, for the steps of their series.

The steps of all series are numbered in one count: those of the second series follow those of the
first.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from unspool.data.sequences import FloatArray, IntArray
from unspool.data.windows import Windows
from unspool.errors import InputError


def overlap_mean(
    windows: Windows, batches: Iterable[tuple[IntArray, FloatArray]]
) -> list[FloatArray]:
    """Average values of overlapping windows, for every step of their series.

    Parameters
    ----------
    windows : Windows
    batches : iterable of (indices (B,), values (B, T, ...))
        Values for every step of every window, in batches; only their sums are kept.

    Returns
    -------
    list of arrays of shape (T_i, ...)
        One array for every series, with NaN at steps that no window covers.
    """
    means: FloatArray | None = None
    ends = ends_of_series(windows)
    for start, some in overlap_means(windows, batches):
        if means is None:
            means = np.empty((ends[-1], *some.shape[1:]))
        means[start : start + len(some)] = some
    assert means is not None  # windows have a step
    return np.split(means, ends[:-1])


def overlap_means(
    windows: Windows,
    batches: Iterable[tuple[IntArray, FloatArray]],
    start: int = 0,
    first_window: int = 0,
) -> Iterator[tuple[int, FloatArray]]:
    """Yield averages of overlapping windows, for neighbouring steps of their series in order.

    Steps are yielded as soon as all of their windows are averaged, and forgotten then.

    Parameters
    ----------
    windows : Windows
    batches : iterable of (indices (B,), values (B, T, ...))
        Values for every step of all windows from `first_window` on, in batches.
    start : int, default 0
        Number of the first step to yield.
    first_window : int, default 0
        First window that is averaged, at most `window_before` of `start`.

    Yields
    ------
    start : int
        Number of the first step.
    means : array of shape (steps, ...)
        Averages, NaN at steps that no window covers.
    """
    ends = ends_of_series(windows)
    n_steps = int(ends[-1])
    ordered = is_in_order(windows)
    sums: Any = None
    counts = np.zeros(0, np.int64)
    base = 0  # `sums` and `counts` are those of the steps from `base` on
    if ordered and first_window < len(windows):
        base = min(start, int(first_steps(windows, np.array([first_window]), ends)[0]))
    seen, top = first_window, first_window
    for indices, values in batches:
        first, lengths = first_steps(windows, indices, ends), windows.lengths_of(indices)
        if sums is None:
            shape = (0 if ordered else n_steps, *values.shape[2:])
            sums, counts = np.zeros(shape), np.zeros(shape[0], np.int64)
        end = int((first + (lengths - 1) * windows.dilation).max(initial=0)) + 1
        if end > base + len(counts):
            more = end - base - len(counts)
            sums = np.concatenate([sums, np.zeros((more, *values.shape[2:]))])
            counts = np.concatenate([counts, np.zeros(more, np.int64)])
        _add(sums, counts, first - base, lengths, values, windows.dilation)
        seen, top = seen + len(indices), max(top, int(indices.max(initial=-1)) + 1)
        if not ordered or seen < top or seen == len(windows):
            continue
        # All windows before `seen` are added, and no later one begins before it does.
        final = int(first_steps(windows, np.array([seen]), ends)[0])
        if final > start:
            yield start, _means(sums, counts, start - base, final - base)
            start = final
        if final > base:
            sums, counts, base = sums[final - base :].copy(), counts[final - base :].copy(), final
    if sums is None:
        raise InputError("Expected at least one window to average, got none.")
    if start < n_steps:
        yield start, _means(sums, counts, start - base, n_steps - base)


def window_before(windows: Windows, step: int) -> int:
    """Return the first window that contains a step from `step` on, or the number of windows."""
    if not is_in_order(windows):
        return 0
    ends = ends_of_series(windows)
    low, high = 0, len(windows)
    while low < high:  # the ends of windows in order never decrease
        middle = (low + high) // 2
        at = np.array([middle])
        owner, _ = windows.place(at)
        before = int(ends[owner[0]] - len(windows.series[owner[0]]))
        if before + int(windows.ends_of(at)[0]) > step:
            high = middle
        else:
            low = middle + 1
    return low


def ends_of_series(windows: Windows) -> IntArray:
    """Return the number of the step after each series."""
    return np.cumsum([len(one) for one in windows.series])


def steps_of(series: Sequence[Any], start: int, stop: int) -> Any:
    """Return the steps from `start` to `stop` of series, counted over all of them, joined."""
    ends: IntArray = np.cumsum([len(one) for one in series])
    parts, end = [], 0
    for number in range(int(np.searchsorted(ends, start, side="right")), len(series)):
        before = int(ends[number - 1]) if number else 0
        parts.append(series[number][max(start - before, 0) : max(stop - before, 0)])
        end = int(ends[number])
        if end >= stop:
            break
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def is_in_order(windows: Windows) -> bool:
    """Return whether no window begins before the one before it."""
    picked = windows._picked
    if isinstance(picked, range):
        return picked.step > 0
    return bool((picked[1:] >= picked[:-1]).all())


def first_steps(windows: Windows, indices: IntArray, ends: IntArray) -> IntArray:
    """Return the number of the first step of windows."""
    owner, start = windows.place(indices)
    lengths = np.diff(ends, prepend=0)
    found: IntArray = ends[owner] - lengths[owner] + start
    return found


def _add(
    sums: FloatArray,
    counts: IntArray,
    first: IntArray,
    lengths: IntArray,
    values: FloatArray,
    dilation: int,
) -> None:
    """Add the values (B, T, ...) of windows to the sums of the steps from `first` (B,) on."""
    longest = int(lengths.max(initial=0))
    distinct = len(first) > longest and len(np.unique(first)) == len(first)
    if distinct and (lengths == longest).all() and (first[1:] >= first[:-1]).all():
        # Backwards, every step receives the values of its windows in their order.
        for step in range(longest - 1, -1, -1):
            places = first + step * dilation
            sums[places] += values[:, step]
            counts[places] += 1
        return
    for start, length, value in zip(first.tolist(), lengths.tolist(), values, strict=True):
        steps = slice(start, start + (length - 1) * dilation + 1, dilation)
        sums[steps] += value[:length]
        counts[steps] += 1


def _means(sums: FloatArray, counts: IntArray, start: int, end: int) -> FloatArray:
    """Return averages of the steps from `start` to `end`, NaN where there is nothing to average."""
    total, count = sums[start:end], counts[start:end]
    means = np.full((end - start, *sums.shape[1:]), np.nan)
    n = len(total)
    means[:n] = total / np.maximum(count, 1).reshape(-1, *[1] * (sums.ndim - 1))
    means[:n][count == 0] = np.nan
    return means
