"""Fits thresholds, without labels, to scores of normal data that was held out from training.

NumPy alone, except that "pareto" needs SciPy.
"""

import math
import warnings
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool._types import Auto, ThresholdKind
from unspool.anomaly.alarm_clusters import count_clusters_by_level
from unspool.anomaly.effective_size import n_effective as n_effective
from unspool.anomaly.pareto_tail import fit_tail
from unspool.anomaly.rate_warning import rate_warning
from unspool.anomaly.running_threshold import conformal_rank
from unspool.anomaly.threshold_kinds import (
    THRESHOLD_KINDS,
    AlarmsThreshold,
    MovingThreshold,
    ParetoThreshold,
    QuantileThreshold,
    check_finite_scores,
)
from unspool.anomaly.threshold_kinds import Threshold as Threshold
from unspool.anomaly.threshold_kinds import from_plain as from_plain
from unspool.data.sequences import FloatArray
from unspool.errors import InputError, ThresholdWarning

MIN_MEMORY, MAX_MEMORY = 500, 20_000  # limits of the memory "auto"
TAIL = 0.9  # quantile at which the tail of the scores begins


def fit_threshold(
    kind: ThresholdKind,
    calibration: Sequence[npt.ArrayLike],
    rate: float,
    *,
    memory: int | Auto = "auto",
    gap: int = 16,
    steps_per_period: float | None = None,
) -> Threshold:
    """Fit a threshold to scores of normal data.

    `AnomalyDetector` does this for each kind of score. The function also serves scores from any
    other source.

    Parameters
    ----------
    kind : {"quantile", "pareto", "moving", "alarms"}
        Kind of threshold; see `QuantileThreshold`, `ParetoThreshold`, `MovingThreshold` and
        `AlarmsThreshold`.
    calibration : list of arrays of shape (T_i,), one for each series
        Scores of normal data on which the model was not trained. The scores of all series are
        pooled. A moving threshold begins with the last scores of all series.
    rate : float
        Rate of false alarms: the share of normal steps above the threshold, above 0 and below 1.
        For "alarms" the number of clusters per period, above 0.
    memory : int or "auto", default "auto"
        For "moving": number of scores to remember. "auto" chooses a memory worth 1 / `rate`
        independent scores, from 500 to 20,000.
    gap : int, default 16
        For "alarms": alarms fewer than `gap` steps apart are one cluster.
    steps_per_period : float, optional
        For "alarms", which requires it: number of steps of a period.

    Returns
    -------
    Threshold
        A threshold of the class that belongs to `kind`.

    Raises
    ------
    InputError
        If a parameter is out of range, a score is NaN or infinite, or there are no scores.

    Warns
    -----
    ThresholdWarning
        If the scores are worth too few independent ones for the rate.

    See Also
    --------
    find_events : Merges alarms into events.

    Examples
    --------
    >>> from unspool.anomaly import fit_threshold
    >>> scores = np.random.default_rng(0).permutation(2999)
    >>> threshold = fit_threshold("quantile", [scores], 0.01)
    >>> threshold.level
    2969.0
    >>> [3000.0, 5.0] > threshold.over([3000.0, 5.0])
    array([ True, False])
    """
    threshold = fit_without_warning(
        kind, calibration, rate, memory=memory, gap=gap, steps_per_period=steps_per_period
    )
    message = rate_warning(threshold)
    if message is not None:
        warnings.warn(message, ThresholdWarning, stacklevel=2)
    return threshold


def fit_without_warning(
    kind: str,
    calibration: Sequence[npt.ArrayLike],
    rate: float,
    *,
    memory: int | str = "auto",
    gap: int = 16,
    steps_per_period: float | None = None,
) -> Threshold:
    """Fit a threshold as `fit_threshold` does, but without warning; see `rate_warning`."""
    _checks.raise_all(
        _checks.choice("kind", kind, THRESHOLD_KINDS),
        _checks.number("rate", rate, 0, math.inf if kind == "alarms" else 1, open_left=True),
        _checks.whole("memory", memory, 1, auto=True),
        _checks.whole("gap", gap, 0),
        _checks.number(
            "steps_per_period", steps_per_period, 0, open_left=True, none=kind != "alarms"
        ),
    )
    scores = [
        check_finite_scores(one, f"the scores of series {i}") for i, one in enumerate(calibration)
    ]
    pooled = np.sort(np.concatenate([np.empty(0), *scores]))
    if not len(pooled):
        raise InputError(
            "Expected at least one score of normal data, got none; hold out more normal data."
        )
    rate, gap = float(rate), int(gap)
    sizes = (len(pooled), n_effective(scores))
    if kind == "alarms":
        return _alarms(scores, rate, sizes, gap, float(steps_per_period or 0))
    if kind == "moving":
        return _moving(scores, rate, sizes, memory)
    level = float(pooled[conformal_rank(len(pooled), rate) - 1])
    threshold: Threshold = QuantileThreshold(rate, level, *sizes)
    if kind == "pareto":
        threshold = _pareto(pooled, rate, sizes, level)
    return threshold


def _pareto(
    pooled: FloatArray, rate: float, sizes: tuple[int, float], quantile: float
) -> ParetoThreshold:
    """Fit the tail of sorted scores. If the quantile lies below the tail, return the quantile."""
    n = len(pooled)
    start = float(pooled[math.ceil(TAIL * n) - 1])
    above = pooled[pooled > start] - start
    if rate * n >= len(above):
        return ParetoThreshold(rate, quantile, *sizes, start, 0.0, 0.0)
    tail = fit_tail(above)
    level = start + tail.level(rate * n / len(above))
    return ParetoThreshold(rate, level, *sizes, start, tail.shape, tail.scale)


def _moving(
    scores: list[FloatArray], rate: float, sizes: tuple[int, float], memory: int | str
) -> MovingThreshold:
    """Begin with the last scores of all series, as if all had ended at the same time."""
    n, effective = sizes
    if isinstance(memory, str):
        needed = math.ceil(n / max(1.0, effective) / rate)
        memory = min(max(needed, MIN_MEMORY), MAX_MEMORY)
    age = np.concatenate([np.arange(len(one))[::-1] for one in scores])
    recent = np.concatenate(scores)[np.argsort(-age, kind="stable")][-int(memory) :]
    level = float(np.sort(recent)[conformal_rank(len(recent), rate) - 1])
    return MovingThreshold(rate, level, *sizes, int(memory), recent)


def _alarms(
    scores: list[FloatArray], rate: float, sizes: tuple[int, float], gap: int, period: float
) -> AlarmsThreshold:
    periods = sizes[0] / period
    allowed = int(rate * periods + 1e-9)
    levels, clusters = count_clusters_by_level(scores, gap)
    largest = int(np.argmax(clusters))  # the first of equals has the highest level
    above = clusters[: largest + 1] > allowed
    index = int(np.argmax(above)) - 1 if above.any() else largest
    n_clusters = int(clusters[index])
    return AlarmsThreshold(rate, float(levels[index]), *sizes, gap, period, n_clusters)
