"""Clusters of alarms: runs of flagged steps, merged if they are close together."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unspool.data.sequences import FloatArray, IntArray


def find_clusters(flags: npt.ArrayLike, gap: int) -> IntArray:
    """Return the first step and the end (exclusive) of every cluster of flagged steps, (n, 2).

    Parameters
    ----------
    flags : array of bool of shape (T,)
        Whether each step is flagged.
    gap : int
        Flagged steps fewer than `gap` steps apart belong to one cluster. Adjacent steps always do.
    """
    steps = np.flatnonzero(flags)
    if not len(steps):
        return np.empty((0, 2), dtype=np.int64)
    breaks = np.flatnonzero(np.diff(steps) >= max(gap, 2))
    first = np.concatenate([steps[:1], steps[breaks + 1]])
    last = np.concatenate([steps[breaks], steps[-1:]])
    return np.column_stack([first, last + 1])


def count_clusters_by_level(scores: Sequence[FloatArray], gap: int) -> tuple[FloatArray, IntArray]:
    """Return every distinct score as a level, largest first, and the number of clusters above it.

    The time is n log n for n scores: they are removed in ascending order from a linked list.

    Parameters
    ----------
    scores : list of arrays of shape (T_i,), one for each series
        Scores. No cluster extends over two series.
    gap : int
        See `find_clusters`.
    """
    reach = max(gap, 2)
    values = np.concatenate(scores)
    n = len(values)
    ends = np.cumsum([len(one) + reach for one in scores])  # series are `reach` steps apart
    starts = [0, *ends[:-1]]
    steps = np.concatenate(
        [np.arange(len(one)) + at for one, at in zip(scores, starts, strict=True)]
    )
    # Entry i of these lists is score i - 1; the first and the last entry are far from all scores.
    step = [-reach, *steps.tolist(), int(ends[-1])]
    before, after = list(range(-1, n + 1)), list(range(1, n + 3))
    order = np.argsort(values, kind="stable")
    number = sum(1 for one in scores if len(one))
    counts = np.empty(n, dtype=np.int64)
    for i, entry in enumerate((order + 1).tolist()):
        left, right = before[entry], after[entry]
        joins = (step[entry] - step[left] < reach) + (step[right] - step[entry] < reach)
        number += joins - 1 - (step[right] - step[left] < reach)
        after[left], before[right] = right, left
        counts[i] = number
    ordered = values[order]
    last = np.append(ordered[1:] > ordered[:-1], True)  # equal scores are removed together
    return ordered[last][::-1], counts[last][::-1]
