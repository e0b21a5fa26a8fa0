"""`unspool detect --compare`: what simple methods find in the same data."""

import math
import warnings
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from unspool.anomaly import baselines
from unspool.cli import options
from unspool.cli.steps import Steps
from unspool.errors import ThresholdWarning
from unspool.evaluation import Evaluation, evaluate

if TYPE_CHECKING:
    from unspool.anomaly.detection import Detection
    from unspool.estimators.anomaly_detector import AnomalyDetector


def rivals(seed: Any) -> dict[str, Any]:
    """Simple methods by the names that a table has for them."""
    return {
        "Sub-PCA": baselines.SubPCA(),
        "KMeansAD": baselines.KMeansAD(random_state=seed),
        "nearest window": baselines.NearestWindow(),
        "Isolation Forest": baselines.IsolationForestWindows(random_state=seed),
        "moving z": baselines.MovingZ(),
        "global z": baselines.GlobalZ(),
    }


def print_comparison(
    detector: "AnomalyDetector",
    kind: str | None,
    before: Steps,
    after: Steps,
    labels: Any,
    found: "Detection",
    seconds: float,
) -> None:
    """Fit simple methods to the same normal data, and print a row for each, on stderr.

    Parameters
    ----------
    detector : AnomalyDetector
        Fitted; the rivals have its window and parameters.
    kind : str or None
        The kind of score, where it is not the detector's.
    before, after : Steps
        Normal data, and those that were scored.
    labels : list of arrays (T_i,), or None
        Which steps of `after` are known to be anomalies.
    found : Detection
        What the detector found in `after`.
    seconds : float
        What that took, training included.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("method")
    heads = ["events", "of ours", "above", "seconds"]
    if labels is not None:
        heads += ["normal above", "VUS-PR", "AUC-PR", "found", "precision", "recall", "F1"]
        heads += ["false/day"] if after.per_day() is not None else []
        heads += ["delay in steps"]
    for head in heads:
        table.add_column(head, justify="right")
    gap = detector._parameters["gap"]

    def add(name: str, its: "Detection", took: float) -> None:
        alarms = _listed(its.alarms)
        same = _found_too(found, its)
        cells = [f"{len(its.events):,}", f"{same:,} of {len(found.events):,}"]
        cells += [f"{np.concatenate(alarms).mean():.2%}", f"{took:.1f}"]
        if labels is not None:
            scores = _listed(its.scores)
            told = evaluate(labels, scores, alarms, steps_per_day=after.per_day(), gap=gap)
            cells += _cells(told)
        table.add_row(name, *cells)

    add(type(detector.model_).__name__, found, seconds)
    wanted = {"window": detector.window_}
    wanted |= {"kind": detector._parameters["kind"] if kind is None else kind}
    for name, rival in rivals(detector._parameters["random_state"]).items():
        start = perf_counter()
        with warnings.catch_warnings():  # the detector's own has been told
            warnings.simplefilter("ignore", ThresholdWarning)
            its = clone(detector).set_params(model=rival, **wanted).fit(before.X).detect(after.X)
        add(name, its, perf_counter() - start)
    options.stderr.print(table)


def _found_too(ours: "Detection", others: "Detection") -> int:
    """How many of our events another detector has an event in as well."""
    return sum(
        any(
            other.series == one.series and other.start < one.end and one.start < other.end
            for other in others.events
        )
        for one in ours.events
    )


def _listed(values: Any) -> list[Any]:
    """One array for each series; sequences are the steps of one."""
    return values if isinstance(values, list) else [values]


def _cells(told: Evaluation) -> list[str]:
    cells = [_decimals(told.flagged_normal, "{:.2%}")]
    cells += [_decimals(told.vus_pr), _decimals(told.auc_pr), f"{told.n_found} of {told.n_events}"]
    cells += [_decimals(one) for one in (told.precision, told.recall, told.f1)]
    if told.false_alarms_per_day is not None:
        cells.append(_decimals(told.false_alarms_per_day, "{:.2g}"))
    return [*cells, _decimals(told.delay_mean, "{:,.0f}")]


def _decimals(value: float | None, form: str = "{:.3f}") -> str:
    return "–" if value is None or math.isnan(value) else form.format(value)
