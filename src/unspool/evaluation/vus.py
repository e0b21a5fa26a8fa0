"""The volume under the surface of precision and recall, with buffers around events."""

import math
from typing import Any

import numpy as np

from unspool import _checks
from unspool.data.values import FloatArray, IntArray
from unspool.evaluation.events import runs_of
from unspool.evaluation.inputs import BoolArray, mean_over_series


def vus_pr(labels: Any, scores: Any, buffer: int = 64, n_thresholds: int = 250) -> float:
    """Volume under the surface of precision and recall (VUS-PR), by Paparrizos et al.

    The average precision of steps ranked by their scores, where steps shortly before and after an
    event count in part, and where recall is multiplied by the share of events that are touched at
    all; averaged over buffers of 0, 1, ..., `buffer` steps around the events. It compares scores
    that rise a little early or late more fairly than `auc_pr`.

    Parameters
    ----------
    labels : array of shape (T,), or a list of those
        1 or True at every step of an event, 0 or False elsewhere.
    scores : array of shape (T,), or a list of those
        The higher, the more anomalous. Only their order counts; infinite ones are allowed.
    buffer : int, default 64
        The widest buffer, in steps, at least 0: half of it lies before an event, half after it.
        The authors take the period of the series, which labels and scores do not show; the value
        has to be the same for all that is compared.
    n_thresholds : int, default 250
        Thresholds on the scores, at least 2, at equally spaced ranks; 250 as published.

    Returns
    -------
    float
        From 0 to 1. Of several series, the mean over those that have an event. NaN where none has.

    Raises
    ------
    InputError
        For NaN, labels other than 0 and 1, or labels and scores of different lengths.

    See Also
    --------
    auc_pr : The area without buffers, at all thresholds.

    Notes
    -----
    It equals ``RangeAUC_volume_opt`` of the authors' package `vus` 0.0.6. At a buffer of w steps, a
    step d steps from an event weighs sqrt(1 - d/w) for d up to w/2; weights of several events add
    up to at most 1. With the weight TP of flagged steps, P steps in events and the weight B of
    flagged steps beside them, precision is TP / (flagged steps) and recall min(1, TP / (P + B/2)),
    multiplied by the share of events with their buffers (overlapping ones are one) that have a
    flagged step. The memory it takes grows with T and with the pairs of an event and a step in its
    widest buffer; the time with `buffer` times that.

    A `buffer` of 0 is not `auc_pr`: the share of touched events is still a factor.

    References
    ----------
    J. Paparrizos, P. Boniol, T. Palpanas, R. S. Tsay, A. Elmore and M. J. Franklin, "Volume Under
    the Surface: A New Accuracy Evaluation Measure for Time-Series Anomaly Detection", PVLDB
    15(11), 2022.

    Examples
    --------
    >>> labels = [0, 0, 0, 1, 1, 0, 0, 0]
    >>> early = [0, 0, 9, 8, 0, 0, 0, 0]
    >>> round(vus_pr(labels, early, buffer=0), 3), round(vus_pr(labels, early, buffer=8), 3)
    (0.375, 0.745)
    """
    _checks.raise_all(
        _checks.whole("buffer", buffer, 0), _checks.whole("n_thresholds", n_thresholds, 2)
    )
    return mean_over_series(
        lambda one, its: _volume(one, its, int(buffer), int(n_thresholds)), labels, scores
    )


def _volume(labels: BoolArray, scores: FloatArray, buffer: int, n_thresholds: int) -> float:
    events = runs_of(labels)
    if not len(events):
        return math.nan
    first = _first_threshold(scores, n_thresholds)
    flagged = _reached(first, n_thresholds)
    in_events = _reached(first[labels], n_thresholds)
    steps, distances = _around(events, labels, buffer // 2)
    beside, of = np.unique(steps, return_inverse=True)
    first_beside = first[beside]
    total = 0.0
    for width in range(buffer + 1):
        if width % 2 == 0:
            n_near = int(np.searchsorted(distances, width // 2, side="right"))
            touched = _share_touched(events, first, width // 2, n_thresholds)
        weights = np.sqrt(1 - distances[:n_near] / max(width, 1))
        weights = np.minimum(np.bincount(of[:n_near], weights, minlength=len(beside)), 1)
        near = _reached(first_beside, n_thresholds, weights)
        positive = in_events + near
        recall = touched * np.minimum(positive / (in_events[-1] + near / 2), 1)
        total += float((np.diff(recall, prepend=0) * positive / flagged).sum())
    return total / (buffer + 1)


def _first_threshold(scores: FloatArray, n_thresholds: int) -> IntArray:
    """The place (T,) of the first threshold, from the highest down, that flags each step."""
    ranks = np.linspace(0, len(scores) - 1, n_thresholds).astype(np.int64)
    rising = np.sort(scores)[::-1][ranks][::-1]
    return n_thresholds - np.searchsorted(rising, scores, side="right")


def _reached(first: IntArray, n_thresholds: int, weights: FloatArray | None = None) -> FloatArray:
    """How much, by number or by weight, each threshold flags."""
    return np.cumsum(np.bincount(first, weights, minlength=n_thresholds)).astype(np.float64)


def _around(events: IntArray, labels: BoolArray, reach: int) -> tuple[IntArray, IntArray]:
    """Steps outside events and their distances from an event, rising, one for each pair of them."""
    away = np.arange(1, min(reach, len(labels)) + 1)
    pairs = np.concatenate([events[:, 0] - away[:, None], events[:, 1] - 1 + away[:, None]], axis=1)
    real = (pairs >= 0) & (pairs < len(labels))
    real[real] = ~labels[pairs[real]]
    return pairs[real], np.repeat(away, real.sum(axis=1))


def _share_touched(events: IntArray, first: IntArray, reach: int, n_thresholds: int) -> FloatArray:
    """The share of events, widened and merged where they overlap, that each threshold touches."""
    starts = np.maximum(events[:, 0] - reach, 0)
    ends = np.minimum(events[:, 1] + reach, len(first))
    apart = starts[1:] >= ends[:-1]
    bounds = np.stack([starts[np.append(True, apart)], ends[np.append(apart, True)]], axis=1)
    # The minimum between each bound and the next; every other one lies within an event.
    earliest = np.minimum.reduceat(np.append(first, n_thresholds), bounds.ravel())[::2]
    return _reached(earliest, n_thresholds) / len(earliest)
