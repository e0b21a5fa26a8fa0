"""Areas under the curves of precision and recall, and of true and false positives, by steps."""

import math
from typing import Any

import numpy as np

from unspool.data.values import FloatArray, IntArray
from unspool.evaluation.inputs import BoolArray, mean_over_series


def auc_pr(labels: Any, scores: Any) -> float:
    """Average precision of steps ranked by their scores.

    Parameters
    ----------
    labels : array of shape (T,), or a list of those
        1 or True at every step of an event, 0 or False elsewhere.
    scores : array of shape (T,), or a list of those
        The higher, the more anomalous. Only their order counts; infinite ones are allowed.

    Returns
    -------
    float
        From 0 to 1; random scores have the share of steps in events. Of several series, the mean
        over those that have an event. NaN where none has: there is no recall then.

    Raises
    ------
    InputError
        For NaN, labels other than 0 and 1, or labels and scores of different lengths.

    See Also
    --------
    vus_pr : The same with a tolerance around events.

    Notes
    -----
    The sum of (R_k - R_{k-1}) P_k over all distinct scores, from the highest down, with recall R_k
    and precision P_k of the steps that score at least that much. Steps of equal scores are
    flagged together, and nothing is interpolated, as in scikit-learn's ``average_precision_score``.

    Examples
    --------
    >>> round(auc_pr([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 3)
    0.833
    """
    return mean_over_series(_average_precision, labels, scores)


def auc_roc(labels: Any, scores: Any) -> float:
    """Area under the curve of the true over the false positive rate, by steps.

    It is the probability that a step of an event scores higher than a normal one, where equal
    scores count half. Where events are rare it is near 1 for detectors that nobody could use:
    `auc_pr` is more informative.

    Parameters
    ----------
    labels : array of shape (T,), or a list of those
        1 or True at every step of an event, 0 or False elsewhere.
    scores : array of shape (T,), or a list of those
        The higher, the more anomalous. Only their order counts; infinite ones are allowed.

    Returns
    -------
    float
        From 0 to 1; random scores have 0.5. Of several series, the mean over those that have both
        an event and a normal step. NaN where none has.

    Raises
    ------
    InputError
        For NaN, labels other than 0 and 1, or labels and scores of different lengths.

    Examples
    --------
    >>> auc_roc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    return mean_over_series(_area_under_roc, labels, scores)


def _average_precision(labels: BoolArray, scores: FloatArray) -> float:
    if not labels.any():
        return math.nan
    found, flagged = _counts(labels, scores)
    return float((np.diff(found, prepend=0) * found / flagged).sum()) / int(found[-1])


def _area_under_roc(labels: BoolArray, scores: FloatArray) -> float:
    if labels.all() or not labels.any():
        return math.nan
    found, flagged = _counts(labels, scores)
    missed = np.diff(flagged - found, prepend=0)  # normal steps of each distinct score
    height = found - np.diff(found, prepend=0) / 2
    return float((missed * height).sum()) / int(found[-1]) / int(flagged[-1] - found[-1])


def _counts(labels: BoolArray, scores: FloatArray) -> tuple[IntArray, IntArray]:
    """Steps in events, and steps, that score at least as high as each distinct score, falling."""
    order = np.argsort(scores)[::-1]
    falling = scores[order]
    last = np.append(np.flatnonzero(falling[1:] != falling[:-1]), len(scores) - 1)
    return np.cumsum(labels[order], dtype=np.int64)[last], last + 1
