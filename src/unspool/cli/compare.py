"""`unspool detect --compare`: a table of the detector and of simple methods on the same data."""

import math
import warnings
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from unspool import anomaly
from unspool._terminal import console
from unspool.cli.detection_data import DetectionData
from unspool.errors import ThresholdWarning
from unspool.evaluation import Evaluation, evaluate

if TYPE_CHECKING:
    from unspool.anomaly.detection import Detection
    from unspool.estimators.anomaly_detector import AnomalyDetector

MIN_WIDTH = 100  # width of the output without a terminal, so that no cell is cut off


def simple_methods(seed: Any) -> dict[str, Any]:
    """Return the simple methods by the names that the table shows."""
    return {
        "Sub-PCA": anomaly.SubPCA(),
        "KMeansAD": anomaly.KMeansAD(random_state=seed),
        "nearest window": anomaly.NearestWindow(),
        "Isolation Forest": anomaly.IsolationForestWindows(random_state=seed),
        "moving z": anomaly.MovingZ(),
        "global z": anomaly.GlobalZ(),
    }


def print_comparison(
    detector: "AnomalyDetector",
    kind: str | None,
    normal: DetectionData,
    scored: DetectionData,
    labels: Any,
    found: "Detection",
    seconds: float,
) -> None:
    """Fit simple methods to the same normal data, and print a row for each to stderr.

    Parameters
    ----------
    detector : AnomalyDetector
        A fitted detector; the simple methods use its window and parameters.
    kind : str or None
        The kind of score, or None for the kind of the detector.
    normal, scored : DetectionData
        The normal data, and the data that is scored.
    labels : list of arrays (T_i,), or None
        The steps of `scored` that are labelled as anomalies.
    found : Detection
        The result of the detector on `scored`.
    seconds : float
        Time of training and detection.
    """
    per_day = scored.steps_per_day()
    alarms = _table("method", "events", "also found", "above", "seconds")
    ranks = _table("method", "VUS-PR", "AUC-PR", "found", "precision", "recall", "F1", "steps late")
    if labels is not None:
        dated = ["false/day"] if per_day is not None else []
        alarms = _table(
            "method", "events", "also found", "above", "normal above", *dated, "seconds"
        )
    gap = detector._parameters["gap"]

    def add(name: str, its: "Detection", its_seconds: float) -> None:
        flags = _listed(its.alarms)
        shared = _n_shared_events(found, its)
        cells = [f"{len(its.events):,}", f"{shared:,} of {len(found.events):,}"]
        cells.append(f"{np.concatenate(flags).mean():.2%}")
        if labels is not None:
            judged = evaluate(labels, _listed(its.scores), flags, steps_per_day=per_day, gap=gap)
            cells.append(_decimals(judged.flagged_normal, "{:.2%}"))
            if per_day is not None:
                cells.append(_decimals(judged.false_alarms_per_day, "{:.2g}"))
            ranks.add_row(name, *_cells(judged))
        alarms.add_row(name, *cells, f"{its_seconds:.1f}")

    add(type(detector.model_).__name__, found, seconds)
    parameters: dict[str, Any] = {
        "window": detector.window_,
        "dilation": detector.dilation_,
        "max_gap": detector.max_gap_,
    }
    parameters["kind"] = detector._parameters["kind"] if kind is None else kind
    for name, method in simple_methods(detector._parameters["random_state"]).items():
        start = perf_counter()
        with warnings.catch_warnings():  # the detector has already warned
            warnings.simplefilter("ignore", ThresholdWarning)
            its = (
                clone(detector)
                .set_params(model=method, **parameters)
                .fit(normal.X)
                .detect(scored.X)
            )
        add(name, its, perf_counter() - start)
    page = console(stderr=True)
    page.width = max(page.width, MIN_WIDTH)
    page.print(alarms)
    if labels is not None:
        page.print()
        page.print(ranks)


def _table(first: str, *others: str) -> Any:
    """Return an empty table; all columns but the first are aligned on the right."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column(first)
    for one in others:
        table.add_column(one, justify="right")
    return table


def _n_shared_events(one: "Detection", other: "Detection") -> int:
    """Return the number of events of `one` that overlap with an event of `other`."""
    return sum(
        any(
            second.series == first.series and second.start < first.end and first.start < second.end
            for second in other.events
        )
        for first in one.events
    )


def _listed(values: Any) -> list[Any]:
    """Return one array for each series; sequences are treated as the steps of one series."""
    return values if isinstance(values, list) else [values]


def _cells(judged: Evaluation) -> list[str]:
    cells = [_decimals(judged.vus_pr), _decimals(judged.auc_pr)]
    cells.append(f"{judged.n_found} of {judged.n_events}")
    cells += [_decimals(one) for one in (judged.precision, judged.recall, judged.f1)]
    return [*cells, _decimals(judged.delay_mean, "{:,.0f}")]


def _decimals(value: float | None, form: str = "{:.3f}") -> str:
    return "–" if value is None or math.isnan(value) else form.format(value)
