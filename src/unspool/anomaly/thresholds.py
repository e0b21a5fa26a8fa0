"""Thresholds without labels, from scores of normal data that no model was trained on.

A score above its threshold is an alarm; one equal to it is none. NumPy alone.
"""

import math
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool.anomaly.clusters import clusters_by_level
from unspool.anomaly.independence import n_effective as n_effective
from unspool.anomaly.running import conformal_rank
from unspool.anomaly.tail import fit_tail
from unspool.anomaly.threshold_kinds import (
    KINDS,
    AlarmsThreshold,
    MovingThreshold,
    ParetoThreshold,
    QuantileThreshold,
    finite,
)
from unspool.anomaly.threshold_kinds import Threshold as Threshold
from unspool.anomaly.threshold_kinds import from_plain as from_plain
from unspool.anomaly.weakness import weakness
from unspool.data.sequences import FloatArray
from unspool.errors import InputError, ThresholdWarning

TAIL = 0.9  # quantile of the scores above which their tail begins


def fit_threshold(
    kind: str,
    calibration: Sequence[npt.ArrayLike],
    rate: float,
    *,
    memory: int = 1000,
    gap: int = 16,
    steps_per_period: float | None = None,
) -> Threshold:
    """The threshold of a kind that scores of normal data ask for.

    Parameters
    ----------
    kind : {"quantile", "pareto", "moving", "alarms"}
        See `QuantileThreshold`, `ParetoThreshold`, `MovingThreshold` and `AlarmsThreshold`.
    calibration : list of arrays (T_i,), one for each series
        Scores of normal data that the model was not trained on; those of several series are
        pooled. What a moving threshold begins with are the last scores of all series.
    rate : float
        False alarms: the share of normal steps above the threshold, in (0, 1); for "alarms" the
        number of clusters per period, above 0.
    memory : int, default 1000
        Scores that a moving threshold remembers.
    gap : int, default 16
        Alarms less than so many steps apart are one cluster, for "alarms".
    steps_per_period : float, optional
        Steps of a period, for "alarms", which needs it.

    Raises
    ------
    InputError
        For parameters or scores that cannot be used.

    Warns
    -----
    ThresholdWarning
        Where the scores are too few, or too much alike, for the rate.

    Examples
    --------
    >>> scores = np.random.default_rng(0).permutation(2999)
    >>> threshold = fit_threshold("quantile", [scores], 0.01)
    >>> threshold.level
    2969.0
    >>> [3000.0, 5.0] > threshold.over([3000.0, 5.0])
    array([ True, False])
    """
    threshold = fit_quietly(
        kind, calibration, rate, memory=memory, gap=gap, steps_per_period=steps_per_period
    )
    weak = weakness(threshold)
    if weak is not None:
        warnings.warn(weak, ThresholdWarning, stacklevel=2)
    return threshold


def fit_quietly(
    kind: str,
    calibration: Sequence[npt.ArrayLike],
    rate: float,
    *,
    memory: int = 1000,
    gap: int = 16,
    steps_per_period: float | None = None,
) -> Threshold:
    """As `fit_threshold`, without its warning; `weakness` has the words of it."""
    _checks.raise_all(
        _checks.choice("kind", kind, KINDS),
        _checks.number("rate", rate, 0, math.inf if kind == "alarms" else 1, open_left=True),
        _checks.whole("memory", memory, 1),
        _checks.whole("gap", gap, 0),
        _checks.number(
            "steps_per_period", steps_per_period, 0, open_left=True, none=kind != "alarms"
        ),
    )
    scores = [finite(one, f"the scores of series {i}") for i, one in enumerate(calibration)]
    pooled = np.sort(np.concatenate([np.empty(0), *scores]))
    if not len(pooled):
        raise InputError("Expected at least one score of normal data, got none; hold out more.")
    rate, memory, gap = float(rate), int(memory), int(gap)
    known = (len(pooled), n_effective(scores))
    if kind == "alarms":
        return _alarms(scores, rate, known, gap, float(steps_per_period or 0))
    if kind == "moving":
        return _moving(scores, rate, known, memory)
    level = float(pooled[conformal_rank(len(pooled), rate) - 1])
    threshold: Threshold = QuantileThreshold(rate, level, *known)
    if kind == "pareto":
        threshold = _pareto(pooled, rate, known, level)
    return threshold


def _pareto(
    pooled: FloatArray, rate: float, known: tuple[int, float], quantile: float
) -> ParetoThreshold:
    """From sorted scores; above the tail's start only, else the quantile."""
    n = len(pooled)
    start = float(pooled[math.ceil(TAIL * n) - 1])
    above = pooled[pooled > start] - start
    if rate * n >= len(above):
        return ParetoThreshold(rate, quantile, *known, start, 0.0, 0.0)
    tail = fit_tail(above)
    level = start + tail.level(rate * n / len(above))
    return ParetoThreshold(rate, level, *known, start, tail.shape, tail.scale)


def _moving(
    scores: list[FloatArray], rate: float, known: tuple[int, float], memory: int
) -> MovingThreshold:
    """With the last scores of all series, as if all had ended at the same time."""
    age = np.concatenate([np.arange(len(one))[::-1] for one in scores])
    recent = np.concatenate(scores)[np.argsort(-age, kind="stable")][-memory:]
    level = float(np.sort(recent)[conformal_rank(len(recent), rate) - 1])
    return MovingThreshold(rate, level, *known, memory, recent)


def _alarms(
    scores: list[FloatArray], rate: float, known: tuple[int, float], gap: int, period: float
) -> AlarmsThreshold:
    periods = known[0] / period
    asked = rate * periods
    levels, clusters = clusters_by_level(scores, gap)
    most = int(np.argmax(clusters))  # the first is the highest level
    allowed = int(asked + 1e-9)
    above = clusters[: most + 1] > allowed
    place = int(np.argmax(above)) - 1 if above.any() else most
    found = int(clusters[place])
    return AlarmsThreshold(rate, float(levels[place]), *known, gap, period, found)
