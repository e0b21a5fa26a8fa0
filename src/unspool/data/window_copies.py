"""Copying windows out of series: from arrays in memory, and from series that are read in pieces."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from unspool.data.stored import BLOCK_BYTES, Stored, Values
from unspool.data.values import IntArray

TAKE_VALUES = 1 << 15  # values copied at once; bounds the memory that is used twice


def copy_windows(
    values: npt.NDArray[Any],
    series: Sequence[Values],
    owner: IntArray,
    start: IntArray,
    spans: IntArray,
    dilation: int,
) -> None:
    """Copy windows to `values` (B, T, F), which is zero past their ends.

    Parameters
    ----------
    values : array of shape (B, T, F)
    series : sequence of arrays of shape (T_i, F)
    owner, start, spans : arrays of int, shape (B,)
        Series of each window, its first step there, and the number of steps that it spans.
    dilation : int
        Number of steps of the series from one step of a window to the next.
    """
    numbers = np.unique(owner)
    few = len(numbers) * 8 > len(owner)
    for number in numbers.tolist():
        one = series[number]
        rows = np.flatnonzero(owner == number) if len(numbers) > 1 else np.arange(len(owner))
        if isinstance(one, Stored):
            for some, first, steps in _runs(one, rows, start, spans):
                _copy(values, steps, some, start[some] - first, spans[some], dilation, few=False)
        else:
            _copy(values, one, rows, start[rows], spans[rows], dilation, few=few)


def _copy(
    values: npt.NDArray[Any],
    series: npt.NDArray[Any],
    rows: IntArray,
    start: IntArray,
    spans: IntArray,
    dilation: int,
    *,
    few: bool,
) -> None:
    """Copy windows of one series in memory to the `rows` of `values`."""
    if few:
        for row, first, span in zip(rows.tolist(), start.tolist(), spans.tolist(), strict=True):
            steps = series[first : first + span : dilation]
            values[row, : len(steps)] = steps
        return
    # Copy many windows at once, through a sliding view.
    for span in np.unique(spans).tolist():
        if not span:
            continue
        view = sliding_window_view(series, span, axis=0).swapaxes(1, 2)[:, ::dilation]
        of_span = np.flatnonzero(spans == span)
        piece = max(1, TAKE_VALUES // max(1, values[0].size))
        for some in (of_span[n : n + piece] for n in range(0, len(of_span), piece)):
            values[rows[some], : view.shape[1]] = view[start[some]]


def _runs(
    series: Stored, rows: IntArray, start: IntArray, spans: IntArray
) -> Iterator[tuple[IntArray, int, npt.NDArray[Any]]]:
    """Read the steps of windows that overlap or touch each other together.

    Yields the windows among `rows`, their first step, and the steps that they need.
    """
    rows = rows[np.argsort(start[rows], kind="stable")]
    begin, end = start[rows], np.maximum.accumulate(start[rows] + spans[rows])
    most = max(1, BLOCK_BYTES // series.row_bytes)
    apart = (begin[1:] > end[:-1]) | (np.diff(begin // most) > 0)
    cuts = np.concatenate([[0], np.flatnonzero(apart) + 1, [len(rows)]])
    for low, high in pairwise(cuts.tolist()):
        some = rows[low:high]
        first, stop = int(begin[low]), int((start[some] + spans[some]).max())
        yield some, first, series.read(first, stop)


def blocks_of_steps(series: Sequence[Values]) -> tuple[IntArray, IntArray]:
    """Return runs of steps that are read together: their first steps, and the block of each.

    Steps are counted over all series. Neighbouring series of one run each share a block if they are
    small together.
    """
    edges, blocks = [], []
    block, filled = -1, BLOCK_BYTES  # bytes of a block that other series may share
    before = 0
    for one in series:
        row_bytes = max(1, one.shape[1] * one.dtype.itemsize)
        if isinstance(one, Stored):
            of_one = one.edges[:-1]
        else:
            of_one = np.arange(0, len(one), max(1, BLOCK_BYTES // row_bytes))
        runs = len(of_one)
        shares = runs == 1 and filled + len(one) * row_bytes <= BLOCK_BYTES
        first = block if shares else block + 1
        filled = (filled if shares else 0) + len(one) * row_bytes if runs == 1 else BLOCK_BYTES
        edges.append(of_one + before)
        blocks.append(first + np.arange(runs))
        block, before = first + runs - 1, before + len(one)
    return np.concatenate(edges), np.concatenate(blocks)
