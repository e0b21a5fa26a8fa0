"""Areas under the precision-recall curve and the ROC curve, both over steps."""

import math
from typing import Any

import numpy as np

from unspool.data.values import FloatArray, IntArray
from unspool.evaluation.inputs import BoolArray, mean_over_series


def auc_pr(labels: Any, scores: Any) -> float:
    """Compute the average precision of steps ranked by their scores.

    Parameters
    ----------
    labels : array of shape (T,), or list of arrays of shape (T_i,)
        1 or True at every step of an event, 0 or False elsewhere.
    scores : array of shape (T,), or list of arrays of shape (T_i,)
        Anomaly scores; higher is more anomalous. Only their order matters, and infinite scores are
        allowed.

    Returns
    -------
    float
        The average precision, from 0 to 1. For random scores it is the share of the steps that lie
        in events. For several series it is the mean over those with an event. If no series has an
        event, it is NaN, because recall is undefined.

    Raises
    ------
    InputError
        If a value is NaN, a label is neither 0 nor 1, or the lengths differ.

    See Also
    --------
    vus_pr : Adds a tolerance around events.
    auc_roc : Area under the ROC curve.

    Notes
    -----
    The value is the sum of (R_k - R_{k-1}) P_k over all distinct scores, from the highest down,
    where R_k and P_k are recall and precision of the steps with at least that score. Steps with
    equal scores are flagged together, and nothing is interpolated, as in scikit-learn's
    ``average_precision_score``.

    Examples
    --------
    >>> from unspool.evaluation import auc_pr
    >>> round(auc_pr([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 3)
    0.833
    """
    return mean_over_series(_average_precision, labels, scores)


def auc_roc(labels: Any, scores: Any) -> float:
    """Compute the area under the ROC curve (true over false positive rate) of steps.

    It is the probability that a step of an event has a higher score than a normal step, where equal
    scores count one half. If events are rare, it is close to 1 even for unusable detectors;
    `auc_pr` is more informative.

    Parameters
    ----------
    labels : array of shape (T,), or list of arrays of shape (T_i,)
        1 or True at every step of an event, 0 or False elsewhere.
    scores : array of shape (T,), or list of arrays of shape (T_i,)
        Anomaly scores; higher is more anomalous. Only their order matters, and infinite scores are
        allowed.

    Returns
    -------
    float
        The area, from 0 to 1; 0.5 for random scores. For several series it is the mean over those
        with both an event and a normal step, or NaN if there is no such series.

    Raises
    ------
    InputError
        If a value is NaN, a label is neither 0 nor 1, or the lengths differ.

    See Also
    --------
    auc_pr : Area under the precision-recall curve.

    Examples
    --------
    >>> from unspool.evaluation import auc_roc
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
    false_alarms = np.diff(flagged - found, prepend=0)  # normal steps of each distinct score
    height = found - np.diff(found, prepend=0) / 2
    return float((false_alarms * height).sum()) / int(found[-1]) / int(flagged[-1] - found[-1])


def _counts(labels: BoolArray, scores: FloatArray) -> tuple[IntArray, IntArray]:
    """Count the event steps, and all steps, with at least each distinct score, highest first."""
    order = np.argsort(scores)[::-1]
    descending = scores[order]
    last = np.append(np.flatnonzero(descending[1:] != descending[:-1]), len(scores) - 1)
    return np.cumsum(labels[order], dtype=np.int64)[last], last + 1
