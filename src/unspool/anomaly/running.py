"""Thresholds a score at a time, at constant memory; their state is plain arrays. NumPy alone."""

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.data.sequences import FloatArray
from unspool.errors import InputError

# How fast the share of scores that is allowed above the threshold follows the alarms there were, as
# a share of the rate. Twice as fast keeps the rate no better, and doubles the alarms that have to
# be found where nothing is wrong.
GAIN = 0.5

# The share grows to so many times the rate at most. While a machine is off and scores equal one
# another there are no alarms; if the share grew all the while, a burst of alarms would follow. With
# this bound it is about (MOST_GROWTH - 1) / GAIN alarms. On 51 series (NAB, SMD; asked 1e-2) a
# bound of 20 kept within a factor of 2 of the rate as often as none; at 5e-3 one of 10 did so for
# "trailing" scores less often (.71 of 14 series, .79 with 20 or none).
MOST_GROWTH = 20


def conformal_rank(n: int, rate: float) -> int:
    """Which of n scores, counted from the smallest (1), a new one exceeds at most at `rate`.

    ceil((n + 1) (1 - rate)), and the largest where that is above n.
    """
    return max(1, min(n, n + 1 - math.floor((n + 1) * rate * (1 + 1e-12))))


class RunningThreshold:
    """A level that does not move."""

    def __init__(self, level: float) -> None:
        self.level = level

    def update(self, score: float) -> float:
        """Read the score of the next step; return the threshold in force there.

        Raises
        ------
        InputError
            For a score that is not finite; it is not read.
        """
        if not math.isfinite(score):
            raise InputError(f"Expected a finite score, got {score}; leave such steps out.")
        return self.level

    def state(self) -> dict[str, FloatArray]:
        """What it remembers, as copies."""
        return {}

    def restore(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Remember what `state` gave."""
        if state:
            raise InputError(f"Expected no state of a fixed threshold, got {sorted(state)}.")


class RunningQuantile(RunningThreshold):
    """The conformal quantile of the last scores, whose level follows the alarms.

    See `MovingThreshold`. After each step the share allowed above the threshold grows by
    `GAIN` · g · `rate`, or falls by `GAIN` · g · (1 - `rate`) after an alarm, where g is the
    smaller one of `rate` and 1 - `rate`. It does not fall below 0, where the threshold is the
    largest of the scores, and does not grow above `MOST_GROWTH` · `rate` or (1 + `rate`) / 2.

    An update searches a sorted list and moves a part of it: about 1.5 µs with up to
    5,000 scores remembered, 4 µs with 20,000.

    Parameters
    ----------
    rate : float
    memory : int
    recent : array of shape (n,), n from 1 to `memory`
        Scores to begin with, the oldest first.
    """

    def __init__(self, rate: float, memory: int, recent: npt.ArrayLike) -> None:
        self._rate, self._memory, self._share = rate, memory, rate
        self._gain = GAIN * min(rate, 1 - rate)
        self._most = min(MOST_GROWTH * rate, (1 + rate) / 2)
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []
        self.restore({"recent": recent, "share": rate})

    def update(self, score: float) -> float:
        """Read the score of the next step; return the threshold in force there.

        That is the quantile of the scores before it.

        Raises
        ------
        InputError
            For a score that is not finite; it is not read.
        """
        level = super().update(score)
        score = float(score)
        if len(self._recent) == self._memory:
            del self._sorted[bisect_left(self._sorted, self._recent.popleft())]
        self._recent.append(score)
        insort(self._sorted, score)
        share = self._share + self._gain * (self._rate - (score > level))
        self._share = min(max(0.0, share), self._most)
        self._set_level()
        return level

    def _set_level(self) -> None:
        self.level = self._sorted[conformal_rank(len(self._sorted), self._share) - 1]

    def state(self) -> dict[str, FloatArray]:
        """The scores remembered, `recent` (n,), the oldest first, and the `share` allowed."""
        return {"recent": np.array(self._recent), "share": np.array(self._share)}

    def restore(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Remember what `state` gave.

        Raises
        ------
        InputError
            For a state that is not such a one.
        """
        recent: Any = np.asarray(state.get("recent", ()), dtype=np.float64)
        if recent.ndim != 1 or not 1 <= len(recent) <= self._memory:
            raise InputError(
                f"Expected 1 to {self._memory} scores in the state `recent`, got shape "
                f"{recent.shape}."
            )
        if not np.isfinite(recent).all():
            raise InputError("Expected finite scores in the state `recent`, got others.")
        share = np.asarray(state.get("share"), dtype=np.float64)
        if share.shape != () or not share >= 0:
            raise InputError(f"Expected a number of at least 0 in the state `share`, got {share}.")
        self._share = min(float(share), self._most)
        self._recent = deque(recent.tolist())
        self._sorted = sorted(self._recent)
        self._set_level()
