"""Volume under the surface of precision and recall, with buffers around events."""

import math
from typing import Any

import numpy as np

from unspool import _checks
from unspool.data.values import FloatArray, IntArray
from unspool.evaluation.events import runs_of
from unspool.evaluation.inputs import BoolArray, mean_over_series


def vus_pr(labels: Any, scores: Any, buffer: int = 64, n_thresholds: int = 250) -> float:
    """Compute the volume under the surface of precision and recall (VUS-PR).

    It is an average precision of steps ranked by their scores, with two changes: steps shortly
    before and after an event count partially, and recall is multiplied by the share of events in
    which any step is flagged. It is averaged over buffers of 0, 1, …, `buffer` steps around the
    events. It compares scores that rise slightly early or late more fairly than `auc_pr`.

    Parameters
    ----------
    labels : array of shape (T,), or list of arrays of shape (T_i,)
        1 or True at every step of an event, 0 or False elsewhere.
    scores : array of shape (T,), or list of arrays of shape (T_i,)
        Anomaly scores; higher is more anomalous. Only their order matters, and infinite scores are
        allowed.
    buffer : int, default 64
        Largest buffer in steps, at least 0. Half of it lies before an event and half after it. The
        authors use the period of the series, which is unknown here. Use the same value for all
        scores that you compare.
    n_thresholds : int, default 250
        Number of thresholds on the scores, at least 2, at equally spaced ranks. The authors use
        250.

    Returns
    -------
    float
        The volume, from 0 to 1. For several series it is the mean over those with an event, or NaN
        if no series has an event.

    Raises
    ------
    InputError
        If a value is NaN, a label is neither 0 nor 1, the lengths differ, or a parameter is out of
        range.

    See Also
    --------
    auc_pr : Average precision without buffers, at all thresholds.

    Notes
    -----
    The result equals ``RangeAUC_volume_opt`` of the authors' package `vus` 0.0.6 [1]_. With a
    buffer of w steps, a step at distance d from an event has the weight sqrt(1 - d/w) for d up to
    w/2; the weights of several events add up to at most 1. Let TP be the weight of all flagged
    steps, P the number of steps in events, and B the weight of flagged steps in buffers. Precision
    is TP / (number of flagged steps). Recall is min(1, TP / (P + B/2)), multiplied by the share of
    events that have a flagged step in the event or its buffer; events with overlapping buffers
    count as one. Memory grows with T and with the number of pairs of an event and a step in its
    largest buffer; time grows with `buffer` times that.

    With a `buffer` of 0 the result differs from `auc_pr`, because recall still contains the share
    of events.

    References
    ----------
    .. [1] J. Paparrizos, P. Boniol, T. Palpanas, R. S. Tsay, A. Elmore and M. J. Franklin (2022).
       "Volume Under the Surface: A New Accuracy Evaluation Measure for Time-Series Anomaly
       Detection". PVLDB 15 (11).

    Examples
    --------
    >>> from unspool.evaluation import vus_pr
    >>> labels = [0, 0, 0, 1, 1, 0, 0, 0]
    >>> early = [0, 0, 9, 8, 0, 0, 0, 0]
    >>> round(vus_pr(labels, early, buffer=0), 3), round(vus_pr(labels, early, buffer=8), 3)
    (0.375, 0.745)
    """
    _checks.raise_all(
        _checks.whole("buffer", buffer, 0), _checks.whole("n_thresholds", n_thresholds, 2)
    )

    def volume(flags: BoolArray, values: FloatArray) -> float:
        return _volume(flags, values, int(buffer), int(n_thresholds))

    return mean_over_series(volume, labels, scores)


def _volume(labels: BoolArray, scores: FloatArray, buffer: int, n_thresholds: int) -> float:
    events = runs_of(labels)
    if not len(events):
        return math.nan
    first = _first_threshold(scores, n_thresholds)
    flagged = _flagged_total(first, n_thresholds)
    in_events = _flagged_total(first[labels], n_thresholds)
    steps, distances = _buffer_steps(events, labels, buffer // 2)
    buffer_steps, which = np.unique(steps, return_inverse=True)
    first_in_buffers = first[buffer_steps]
    total = 0.0
    for width in range(buffer + 1):
        if width % 2 == 0:
            n_near = int(np.searchsorted(distances, width // 2, side="right"))
            share_found = _share_found(events, first, width // 2, n_thresholds)
        weights = np.sqrt(1 - distances[:n_near] / max(width, 1))
        weights = np.bincount(which[:n_near], weights, minlength=len(buffer_steps))
        near = _flagged_total(first_in_buffers, n_thresholds, np.minimum(weights, 1))
        positive = in_events + near
        recall = share_found * np.minimum(positive / (in_events[-1] + near / 2), 1)
        total += float((np.diff(recall, prepend=0) * positive / flagged).sum())
    return total / (buffer + 1)


def _first_threshold(scores: FloatArray, n_thresholds: int) -> IntArray:
    """Return the index (T,) of the first threshold, highest first, that flags each step."""
    ranks = np.linspace(0, len(scores) - 1, n_thresholds).astype(np.int64)
    ascending = np.sort(scores)[::-1][ranks][::-1]
    return n_thresholds - np.searchsorted(ascending, scores, side="right")


def _flagged_total(
    first: IntArray, n_thresholds: int, weights: FloatArray | None = None
) -> FloatArray:
    """Return the number of steps that each threshold flags, or the sum of their weights."""
    return np.cumsum(np.bincount(first, weights, minlength=n_thresholds)).astype(np.float64)


def _buffer_steps(events: IntArray, labels: BoolArray, reach: int) -> tuple[IntArray, IntArray]:
    """Return steps outside events and their distances from an event, for each pair, ascending."""
    distance = np.arange(1, min(reach, len(labels)) + 1)
    pairs = np.concatenate(
        [events[:, 0] - distance[:, None], events[:, 1] - 1 + distance[:, None]], axis=1
    )
    valid = (pairs >= 0) & (pairs < len(labels))
    valid[valid] = ~labels[pairs[valid]]
    return pairs[valid], np.repeat(distance, valid.sum(axis=1))


def _share_found(events: IntArray, first: IntArray, reach: int, n_thresholds: int) -> FloatArray:
    """Return the share of events, with buffers and merged if they overlap, that are flagged."""
    starts = np.maximum(events[:, 0] - reach, 0)
    ends = np.minimum(events[:, 1] + reach, len(first))
    separate = starts[1:] >= ends[:-1]
    bounds = np.stack([starts[np.append(True, separate)], ends[np.append(separate, True)]], axis=1)
    # reduceat returns minima between all neighbouring bounds; every second one is of an event.
    earliest = np.minimum.reduceat(np.append(first, n_thresholds), bounds.ravel())[::2]
    return _flagged_total(earliest, n_thresholds) / len(earliest)
