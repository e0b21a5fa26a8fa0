"""Average values of overlapping windows, for the steps of their series."""

from collections.abc import Iterator

import numpy as np

from unspool.data.sequences import FloatArray, IntArray
from unspool.data.windows import Windows
from unspool.errors import InputError


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
        lengths, ends = windows.lengths_of(indices), windows.ends_of(indices)
        for number, first, end, length, value in zip(
            owner, start, ends, lengths, values, strict=True
        ):
            steps = slice(first, end, windows.dilation)
            sums[number][steps] += value[:length]
            counts[number][steps] += 1
    if not sums:
        raise InputError("Expected at least one window to average, got none.")
    for total, count in zip(sums, counts, strict=True):
        total[count == 0] = np.nan
        total /= np.maximum(count, 1).reshape(-1, *[1] * (total.ndim - 1))
    return sums
