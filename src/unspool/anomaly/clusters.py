"""Alarms that belong together: clusters of steps, and how many there are above a level."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unspool.data.sequences import FloatArray, IntArray


def clusters(flags: npt.ArrayLike, gap: int) -> IntArray:
    """First step and end (exclusive) of every cluster of flagged steps, (n, 2).

    Parameters
    ----------
    flags : array of truth values (T,)
    gap : int
        Flagged steps less than so many steps apart are one cluster; so are neighbours, always.
    """
    steps = np.flatnonzero(flags)
    if not len(steps):
        return np.empty((0, 2), dtype=np.int64)
    parted = np.flatnonzero(np.diff(steps) >= max(gap, 2))
    first = np.concatenate([steps[:1], steps[parted + 1]])
    last = np.concatenate([steps[parted], steps[-1:]])
    return np.column_stack([first, last + 1])


def clusters_by_level(scores: Sequence[FloatArray], gap: int) -> tuple[FloatArray, IntArray]:
    """Every score as a level, the largest first, and the number of clusters above it.

    Takes n log n for n scores: they leave in ascending order a list in which each knows its
    neighbours.

    Parameters
    ----------
    scores : list of arrays (T_i,), one for each series
    gap : int
        As in `clusters`.
    """
    reach = max(gap, 2)
    values = np.concatenate(scores)
    n = len(values)
    ends = np.cumsum([len(one) + reach for one in scores])  # series are `reach` steps apart
    starts = [0, *ends[:-1]]
    steps = np.concatenate(
        [np.arange(len(one)) + at for one, at in zip(scores, starts, strict=True)]
    )
    # Place i of these lists is score i - 1; the first and the last place are far from all scores.
    step = [-reach, *steps.tolist(), int(ends[-1])]
    before, after = list(range(-1, n + 1)), list(range(1, n + 3))
    order = np.argsort(values, kind="stable")
    number = sum(1 for one in scores if len(one))
    counts = np.empty(n, dtype=np.int64)
    for i, one in enumerate((order + 1).tolist()):
        left, right = before[one], after[one]
        joins = (step[one] - step[left] < reach) + (step[right] - step[one] < reach)
        number += joins - 1 - (step[right] - step[left] < reach)
        after[left], before[right] = right, left
        counts[i] = number
    ordered = values[order]
    last = np.append(ordered[1:] > ordered[:-1], True)  # equal scores leave together
    return ordered[last][::-1], counts[last][::-1]
