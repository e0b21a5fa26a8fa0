"""`evaluate`: a report of the events found, the false alarms, and the ranking of the scores."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from unspool import _checks
from unspool.data.values import IntArray
from unspool.errors import InputError
from unspool.evaluation.auc import auc_pr, auc_roc
from unspool.evaluation.events import runs_of
from unspool.evaluation.inputs import BoolArray, check_same_steps, read_flags
from unspool.evaluation.vus import vus_pr


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Result of `evaluate`: a report on scores and alarms.

    ``print`` shows a table; `as_dict` returns plain numbers. A number is None if its input was not
    given, and NaN if it is undefined. All numbers that need alarms are None without alarms.

    Attributes
    ----------
    auc_pr : float or None
        Average precision of the scores, see `unspool.evaluation.auc_pr`; None without scores.
    auc_roc : float or None
        Area under the ROC curve of the scores, see `unspool.evaluation.auc_roc`; None without
        scores.
    vus_pr : float or None
        Volume under the surface, see `unspool.evaluation.vus_pr`; None without scores.
    n_events : int
        Number of events, which are runs of ones in the labels.
    n_found : int or None
        Number of events with an alarm at any of their steps.
    recall : float or None
        `n_found` / `n_events`; NaN without events.
    n_alarms : int or None
        Number of clusters of alarms: alarms fewer than `gap` steps apart are one cluster.
    n_false : int or None
        Number of clusters without an alarm in any event.
    precision : float or None
        Share of the clusters that are not false; NaN if there are no clusters.
    f1 : float or None
        Harmonic mean of precision and recall; 0 if there are events and none is found, NaN without
        events. Read it together with `flagged_normal`: a single alarm over all steps has an F1 of
        1.
    flagged_normal : float or None
        Share of the normal steps (those outside events) with an alarm; NaN if there are none.
    false_alarms_per_day : float or None
        `n_false` per day of normal steps, since a false alarm cannot begin in an event; NaN if
        there are no normal steps, None without `steps_per_day`.
    delay_mean : float or None
        Mean number of steps from the start of an event to its first alarm, over the events found;
        NaN if none is. The delay is 0 if the cluster of that alarm began before the event.
    delay_median : float or None
        Median of the same delays.

    See Also
    --------
    evaluate : Computes the report.

    Examples
    --------
    >>> from unspool.evaluation import evaluate
    >>> report = evaluate([0, 1, 1, 0], alarms=[0, 0, 1, 0], gap=1)
    >>> report.recall, report.as_dict()["delay_mean"]
    (1.0, 1.0)
    """

    auc_pr: float | None
    auc_roc: float | None
    vus_pr: float | None
    n_events: int
    n_found: int | None = None
    recall: float | None = None
    n_alarms: int | None = None
    n_false: int | None = None
    precision: float | None = None
    f1: float | None = None
    flagged_normal: float | None = None
    false_alarms_per_day: float | None = None
    delay_mean: float | None = None
    delay_median: float | None = None

    def as_dict(self) -> dict[str, float | None]:
        """Return all numbers by name.

        Returns
        -------
        dict of str to float, int or None
            The attributes, in their order.
        """
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        rows = [
            ("AUC-PR", _decimals(self.auc_pr)),
            ("AUC-ROC", _decimals(self.auc_roc)),
            ("VUS-PR", _decimals(self.vus_pr)),
            ("events", f"{self.n_events:,}"),
        ]
        if self.n_found is not None:
            rows[3:] = [
                ("events found", f"{self.n_found:,} of {self.n_events:,}"),
                ("recall of events", _decimals(self.recall)),
                ("false alarms", f"{self.n_false:,} of {self.n_alarms:,}"),
                ("precision of alarms", _decimals(self.precision)),
                ("F1", _decimals(self.f1)),
                ("normal steps flagged", _decimals(self.flagged_normal, "{:.2%}")),
                ("false alarms per day", _decimals(self.false_alarms_per_day, "{:.3g}")),
                ("mean delay", _decimals(self.delay_mean, "{:,.1f} steps")),
                ("median delay", _decimals(self.delay_median, "{:,.1f} steps")),
            ]
        shown = [(name, text) for name, text in rows if text]
        return "\n".join(f"{name:<20}  {text}" for name, text in shown)


def evaluate(
    labels: Any,
    scores: Any = None,
    alarms: Any = None,
    *,
    steps_per_day: float | None = None,
    gap: int = 16,
    buffer: int = 64,
) -> Evaluation:
    """Compare scores, alarms or both with labels.

    Parameters
    ----------
    labels : array of shape (T,), or list of arrays of shape (T_i,)
        1 or True at every step of an event, 0 or False elsewhere.
    scores : array of shape (T,), or list of arrays of shape (T_i,), optional
        Anomaly scores; higher is more anomalous. For several series, each metric is the mean over
        the series for which it is defined.
    alarms : array of shape (T,), or list of arrays of shape (T_i,), optional
        1 or True at every step with an alarm, 0 or False elsewhere. Events, alarms and steps of
        all series are counted together. No cluster of alarms extends over two series.
    steps_per_day : float, optional
        Number of steps per day, above 0: 288 for a step every five minutes. It is needed for
        `false_alarms_per_day`.
    gap : int, default 16
        Alarms fewer than `gap` steps apart belong to one cluster, at least 1. By default, alarms
        at steps 10 and 25 are one cluster, and alarms at steps 10 and 26 are two. A cluster is one
        alarm for the person who has to react. Merging neither finds an event nor flags a step.
    buffer : int, default 64
        Largest buffer of `vus_pr`, in steps, at least 0.

    Returns
    -------
    Evaluation
        The report.

    Raises
    ------
    InputError
        If a value is NaN, a label or alarm is neither 0 nor 1, the lengths differ, a parameter is
        out of range, or neither scores nor alarms are given.

    See Also
    --------
    vus_pr : The metric to compare scores with.

    Notes
    -----
    The report does not use *point adjustment*, which is common in publications. Point adjustment
    counts all steps of an event as found if one of them has an alarm, and computes F1 over steps.
    With long events, a few random alarms then yield a nearly perfect F1: random scores outperform
    published detectors [1]_. Here an event counts once, regardless of its length, and the cost of
    finding it is reported too: `n_false`, `flagged_normal` and `false_alarms_per_day`.

    References
    ----------
    .. [1] S. Kim, K. Choi, H.-S. Choi, B. Lee and S. Yoon (2022). "Towards a Rigorous Evaluation
       of Time-Series Anomaly Detection". AAAI 36 (7).

    Examples
    --------
    >>> from unspool.evaluation import evaluate
    >>> labels = np.repeat([0, 1, 0, 1, 0], [40, 10, 40, 10, 100])
    >>> scores = np.zeros(200)
    >>> scores[[43, 44, 150]] = [2, 3, 1]
    >>> print(evaluate(labels, scores, scores > 0.5, steps_per_day=90))
    AUC-PR                0.190
    AUC-ROC               0.547
    VUS-PR                0.397
    events found          1 of 2
    recall of events      0.500
    false alarms          1 of 2
    precision of alarms   0.500
    F1                    0.500
    normal steps flagged  0.56%
    false alarms per day  0.5
    mean delay            3.0 steps
    median delay          3.0 steps
    """
    _checks.raise_all(
        _checks.number("steps_per_day", steps_per_day, 0, none=True, open_left=True),
        _checks.whole("gap", gap, 1),
        _checks.whole("buffer", buffer, 0),
    )
    if scores is None and alarms is None:
        raise InputError(
            "Expected `scores`, `alarms` or both to compare with `labels`, got neither."
        )
    flags = read_flags("labels", labels)
    metrics: tuple[float | None, float | None, float | None] = (None, None, None)
    if scores is not None:
        metrics = (auc_pr(labels, scores), auc_roc(labels, scores), vus_pr(labels, scores, buffer))
    n_events = sum(len(runs_of(one)) for one in flags)
    if alarms is None:
        return Evaluation(*metrics, n_events=n_events)
    alarm_flags = read_flags("alarms", alarms)
    check_same_steps(flags, "alarms", alarm_flags)
    return Evaluation(*metrics, **_alarm_metrics(flags, alarm_flags, n_events, steps_per_day, gap))


def _alarm_metrics(
    labels: Sequence[BoolArray],
    alarms: Sequence[BoolArray],
    n_events: int,
    steps_per_day: float | None,
    gap: int,
) -> dict[str, Any]:
    """Compute the fields of `Evaluation` that need alarms."""
    n_alarms = n_false = 0
    delays: list[int] = []
    for events, flags in zip(labels, alarms, strict=True):
        clusters = _clusters(flags, gap)
        n_alarms += len(clusters)
        n_false += int((_counts_in(clusters, flags & events) == 0).sum())
        delays += _delays(runs_of(events), flags, clusters)
    normal = sum(int((~events).sum()) for events in labels)
    flagged = sum(
        int((flags & ~events).sum()) for events, flags in zip(labels, alarms, strict=True)
    )
    recall = _ratio(len(delays), n_events)
    precision = _ratio(n_alarms - n_false, n_alarms)
    per_day = None if steps_per_day is None else _ratio(n_false * steps_per_day, normal)
    return {
        "n_events": n_events,
        "n_found": len(delays),
        "recall": recall,
        "n_alarms": n_alarms,
        "n_false": n_false,
        "precision": precision,
        "f1": recall if not recall else 2 * precision * recall / (precision + recall),
        "flagged_normal": _ratio(flagged, normal),
        "false_alarms_per_day": per_day,
        "delay_mean": float(np.mean(delays)) if delays else math.nan,
        "delay_median": float(np.median(delays)) if delays else math.nan,
    }


def _clusters(alarms: BoolArray, gap: int) -> IntArray:
    """Return start and end (exclusive), (n, 2), of clusters of alarms."""
    runs = runs_of(alarms)
    separate = runs[1:, 0] - (runs[:-1, 1] - 1) >= gap
    first = np.append(True, separate)[: len(runs)]
    last = np.append(separate, True)[: len(runs)]
    return np.stack([runs[first, 0], runs[last, 1]], axis=1)


def _counts_in(spans: IntArray, flags: BoolArray) -> IntArray:
    """Count the True values of `flags` (T,) in each of `spans` (n, 2)."""
    before = np.append(0, np.cumsum(flags))
    return np.diff(before[spans])[:, 0]


def _delays(events: IntArray, alarms: BoolArray, clusters: IntArray) -> list[int]:
    """Return the steps from the start of every event found to its first alarm."""
    starts = events[_counts_in(events, alarms) > 0, 0]
    alarmed = np.flatnonzero(alarms)
    first = alarmed[np.searchsorted(alarmed, starts)]
    began = clusters[np.searchsorted(clusters[:, 0], first, side="right") - 1, 0]
    return [int(delay) for delay in np.where(began < starts, 0, first - starts)]


def _ratio(part: float, whole: int) -> float:
    return part / whole if whole else math.nan


def _decimals(value: float | None, form: str = "{:.3f}") -> str:
    """Format `value` for the table; an empty string if it was not computed."""
    if value is None:
        return ""
    return "undefined" if math.isnan(value) else form.format(value)
