"""Which events the alarms found, at what cost, and how well the scores rank: one report."""

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
    """What `evaluate` found. ``print`` shows a table, `as_dict` gives plain numbers.

    A number is None where what it needs was not given, and NaN where it is undefined.

    Parameters
    ----------
    auc_pr, auc_roc, vus_pr : float or None
        As the functions of these names give them; None without scores.
    n_events : int
        Events in the labels: runs of ones.
    n_found : int or None
        Events with an alarm at one of their steps; this and all below are None without alarms.
    recall : float or None
        `n_found` / `n_events`; NaN without events.
    n_alarms : int or None
        Clusters of alarms: runs of alarmed steps, joined where less than `gap` steps apart.
    n_false : int or None
        Clusters without an alarmed step in any event.
    precision : float or None
        Share of the clusters that are not false; NaN without alarms.
    f1 : float or None
        Harmonic mean of precision and recall; 0 where there are events and none is found, NaN
        without events. Without `flagged_normal` beside it, it means nothing: a single alarm
        over all steps has an F1 of 1.
    flagged_normal : float or None
        Share of the normal steps, those outside events, that are alarmed; NaN where there are none.
    false_alarms_per_day : float or None
        `n_false` per day of normal steps, since no false alarm can begin in an event; NaN where
        there are none, None without `steps_per_day`.
    delay_mean, delay_median : float or None
        Steps from the start of an event to its first alarm, over the events found; NaN where none
        is. The delay is 0 where the cluster of that alarm began before the event.
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
        """All numbers by their names, in the order above."""
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
    labels : array of shape (T,), or a list of those
        1 or True at every step of an event, 0 or False elsewhere.
    scores : array of shape (T,), or a list of those, optional
        The higher, the more anomalous. The areas are means over the series where they are defined.
    alarms : array of shape (T,), or a list of those, optional
        1 or True at every step with an alarm, 0 or False elsewhere. Events, alarms and steps of
        all series are counted together; no cluster of alarms crosses from one series to the next.
    steps_per_day : float, optional
        Steps a day has, above 0: 288 for a step every five minutes.
    gap : int, default 16
        Alarmed steps less than `gap` steps apart belong to one cluster, at least 1. Alarms at
        steps 10 and 25 are one cluster by default, those at steps 10 and 26 are two. A cluster is
        what somebody is called for once; joining neither finds an event nor flags a step.
    buffer : int, default 64
        The widest buffer of `vus_pr`, in steps.

    Returns
    -------
    Evaluation

    Raises
    ------
    InputError
        For NaN, labels or alarms other than 0 and 1, different lengths, or neither scores nor
        alarms.

    Notes
    -----
    Alarms count as they are. *Point adjustment*, common in publications, takes all steps of an
    event for found as soon as one of them is alarmed, and then computes F1 over steps. Long events
    so turn a few random alarms into nearly perfect scores: Kim et al. show that random scores
    beat published detectors by it. Here an event counts once, however long it is, and what
    finding it costs is reported beside it: `n_false`, `flagged_normal`, `false_alarms_per_day`.

    References
    ----------
    S. Kim, K. Choi, H.-S. Choi, B. Lee and S. Yoon, "Towards a Rigorous Evaluation of Time-Series
    Anomaly Detection", AAAI 36(7), 2022.

    Examples
    --------
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
        raise InputError("Expected `scores`, `alarms` or both to compare with `labels`, got none.")
    flags = read_flags("labels", labels)
    areas: tuple[float | None, float | None, float | None] = (None, None, None)
    if scores is not None:
        areas = (auc_pr(labels, scores), auc_roc(labels, scores), vus_pr(labels, scores, buffer))
    n_events = sum(len(runs_of(one)) for one in flags)
    if alarms is None:
        return Evaluation(*areas, n_events=n_events)
    raised = read_flags("alarms", alarms)
    check_same_steps(flags, "alarms", raised)
    return Evaluation(*areas, **_of_alarms(flags, raised, n_events, steps_per_day, gap))


def _of_alarms(
    labels: Sequence[BoolArray],
    alarms: Sequence[BoolArray],
    n_events: int,
    steps_per_day: float | None,
    gap: int,
) -> dict[str, Any]:
    """Every field of `Evaluation` that comes from alarms."""
    n_alarms = n_false = 0
    delays: list[int] = []
    for one, its in zip(labels, alarms, strict=True):
        clusters = _clusters(its, gap)
        n_alarms += len(clusters)
        n_false += int((_counts_in(clusters, its & one) == 0).sum())
        delays += _delays(runs_of(one), its, clusters)
    normal = sum(int((~one).sum()) for one in labels)
    flagged = sum(int((its & ~one).sum()) for one, its in zip(labels, alarms, strict=True))
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
    """Start and end (n, 2), end exclusive, of runs of alarms, joined where near each other."""
    runs = runs_of(alarms)
    apart = runs[1:, 0] - (runs[:-1, 1] - 1) >= gap
    first = np.append(True, apart)[: len(runs)]
    last = np.append(apart, True)[: len(runs)]
    return np.stack([runs[first, 0], runs[last, 1]], axis=1)


def _counts_in(spans: IntArray, flags: BoolArray) -> IntArray:
    """How many of `flags` (T,) are True in each of `spans` (n, 2)."""
    before = np.append(0, np.cumsum(flags))
    return np.diff(before[spans])[:, 0]


def _delays(events: IntArray, alarms: BoolArray, clusters: IntArray) -> list[int]:
    """Steps from the start of every event that is found to its first alarm."""
    starts = events[_counts_in(events, alarms) > 0, 0]
    alarmed = np.flatnonzero(alarms)
    first = alarmed[np.searchsorted(alarmed, starts)]
    began = clusters[np.searchsorted(clusters[:, 0], first, side="right") - 1, 0]
    return [int(delay) for delay in np.where(began < starts, 0, first - starts)]


def _ratio(part: float, whole: int) -> float:
    return part / whole if whole else math.nan


def _decimals(value: float | None, form: str = "{:.3f}") -> str:
    """`value` for the table, or nothing where it was not computed."""
    if value is None:
        return ""
    return "undefined" if math.isnan(value) else form.format(value)
