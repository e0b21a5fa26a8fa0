"""Thresholds for one score at a time, in constant memory. NumPy alone."""

import math
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.data.sequences import FloatArray
from unspool.errors import InputError

# How fast the allowed share of scores above the threshold follows the alarms, relative to the rate.
# A gain of 1 keeps the rate no better and doubles the minimum number of alarms in normal data.
GAIN = 0.5

# The allowed share grows to at most MAX_GROWTH times the rate. While a machine is off, scores are
# equal and raise no alarms; without a limit the share would grow all the while, and a burst of
# alarms would follow. With the limit, the burst is about (MAX_GROWTH - 1) / GAIN alarms. On 51
# series (NAB, SMD; rate 1e-2) a limit of 20 kept the rate within a factor of 2 as often as no
# limit; at rate 5e-3 a limit of 10 did so less often for "trailing" scores (.71 of 14 series, .79
# with 20 or no limit).
MAX_GROWTH = 20


def conformal_rank(n: int, rate: float) -> int:
    """Return the rank, from 1 for the smallest, that a new score exceeds with probability `rate`.

    The rank among n scores is ceil((n + 1) (1 - rate)), but at most n.
    """
    return max(1, min(n, n + 1 - math.floor((n + 1) * rate * (1 + 1e-12))))


class RunningThreshold:
    """A fixed threshold that is applied to one score at a time.

    `Threshold.running` returns it for every kind but "moving". A score above the threshold is an
    alarm.

    Parameters
    ----------
    level : float
        The threshold.

    Attributes
    ----------
    level : float
        Threshold of the next step.

    See Also
    --------
    RunningQuantile : The moving threshold.
    unspool.runtime.DetectorStream : Scores steps and applies the threshold.

    Examples
    --------
    >>> from unspool.anomaly import RunningThreshold
    >>> running = RunningThreshold(2.0)
    >>> [score > running.update(score) for score in (1.0, 3.0)]
    [False, True]
    """

    def __init__(self, level: float) -> None:
        self.level = level

    def update(self, score: float) -> float:
        """Read the score of the next step and return the threshold of that step.

        Parameters
        ----------
        score : float
            Score of the next step, finite.

        Returns
        -------
        float
            The threshold in force at that step.

        Raises
        ------
        InputError
            If the score is not finite. It then changes nothing.
        """
        if not math.isfinite(score):
            raise InputError(f"Expected a finite score, got {score}; leave such steps out.")
        return self.level

    def state(self) -> dict[str, FloatArray]:
        """Return the state as arrays by name; a fixed threshold has none.

        Returns
        -------
        dict of str to array
            Copies that `restore` accepts.
        """
        return {}

    def restore(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Continue from a state.

        Parameters
        ----------
        state : mapping of str to array
            Result of `state` of a threshold of the same kind.

        Raises
        ------
        InputError
            If the state is not one of this kind of threshold.
        """
        if state:
            raise InputError(
                f"A fixed threshold has no state, but the state has the entries {sorted(state)}; "
                "use the state of a threshold of the same kind."
            )


class RunningQuantile(RunningThreshold):
    """A moving threshold that is applied to one score at a time.

    The threshold is the conformal quantile of the last scores; the share of them that may lie
    above it adapts to the alarms, see `MovingThreshold`. `MovingThreshold.running` returns it.

    Parameters
    ----------
    rate : float
        Share of the steps that should be alarms over a long time, above 0 and below 1.
    memory : int
        Number of scores to remember, at least 1.
    recent : array of shape (n,), n from 1 to `memory`
        Scores of normal data to begin with, oldest first.

    Attributes
    ----------
    level : float
        Threshold of the next step.

    See Also
    --------
    MovingThreshold : Describes what the threshold guarantees.
    RunningThreshold : A fixed threshold.

    Notes
    -----
    After each step the share allowed above the threshold grows by `GAIN` · g · `rate`, or, after
    an alarm, falls by `GAIN` · g · (1 - `rate`), where `GAIN` is 0.5 and g is the smaller one of
    `rate` and 1 - `rate`. It stays between 0, where the threshold is the largest of the scores,
    and the smaller one of 20 · `rate` and (1 + `rate`) / 2.

    An update inserts into a sorted list: about 1.5 µs with up to 5,000 scores in memory, 4 µs with
    20,000.

    Examples
    --------
    >>> from unspool.anomaly import RunningQuantile
    >>> running = RunningQuantile(rate=0.1, memory=100, recent=np.arange(19.0))
    >>> running.level
    17.0
    >>> 20.0 > running.update(20.0), running.level  # an alarm raises the threshold
    (True, 20.0)
    """

    def __init__(self, rate: float, memory: int, recent: npt.ArrayLike) -> None:
        self._rate, self._memory, self._share = rate, memory, rate
        self._gain = GAIN * min(rate, 1 - rate)
        self._max_share = min(MAX_GROWTH * rate, (1 + rate) / 2)
        self._recent: deque[float] = deque()
        self._sorted: list[float] = []
        self.restore({"recent": recent, "share": rate})

    def update(self, score: float) -> float:
        """Read the score of the next step and return the threshold of that step.

        Parameters
        ----------
        score : float
            Score of the next step, finite.

        Returns
        -------
        float
            The threshold in force at that step: a quantile of the scores before it.

        Raises
        ------
        InputError
            If the score is not finite. It then changes nothing.
        """
        level = super().update(score)
        score = float(score)
        if len(self._recent) == self._memory:
            del self._sorted[bisect_left(self._sorted, self._recent.popleft())]
        self._recent.append(score)
        insort(self._sorted, score)
        share = self._share + self._gain * (self._rate - (score > level))
        self._share = min(max(0.0, share), self._max_share)
        self._set_level()
        return level

    def _set_level(self) -> None:
        self.level = self._sorted[conformal_rank(len(self._sorted), self._share) - 1]

    def state(self) -> dict[str, FloatArray]:
        """Return the state as arrays by name.

        Returns
        -------
        dict of str to array
            Copies that `restore` accepts: ``recent`` of shape (n,), the scores in memory, oldest
            first, and ``share`` of shape (), the share allowed above the threshold.
        """
        return {"recent": np.array(self._recent), "share": np.array(self._share)}

    def restore(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Continue from a state.

        Parameters
        ----------
        state : mapping of str to array
            Result of `state` of a moving threshold with the same parameters.

        Raises
        ------
        InputError
            If the state is not one of such a threshold.
        """
        recent: Any = np.asarray(state.get("recent", ()), dtype=np.float64)
        if recent.ndim != 1 or not 1 <= len(recent) <= self._memory:
            raise InputError(
                f"Expected 1 to {self._memory} scores in the state `recent`, got shape "
                f"{recent.shape}."
            )
        if not np.isfinite(recent).all():
            raise InputError("The state `recent` contains NaN or infinity; expected finite scores.")
        share = np.asarray(state.get("share"), dtype=np.float64)
        if share.shape != () or not share >= 0:
            raise InputError(f"Expected a number of at least 0 in the state `share`, got {share}.")
        self._share = min(float(share), self._max_share)
        self._recent = deque(recent.tolist())
        self._sorted = sorted(self._recent)
        self._set_level()
