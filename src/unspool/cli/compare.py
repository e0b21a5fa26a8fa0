"""`unspool detect --compare`: what simple methods find in the same data."""

import math
import warnings
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import clone

from unspool._terminal import console
from unspool.anomaly import baselines
from unspool.cli.steps import Steps
from unspool.errors import ThresholdWarning
from unspool.evaluation import Evaluation, evaluate

if TYPE_CHECKING:
    from unspool.anomaly.detection import Detection
    from unspool.estimators.anomaly_detector import AnomalyDetector

WIDTH = 100  # columns of a page that is no terminal, so that no cell is cut off


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
    per_day = after.per_day()
    alarms = _table("method", "events", "also found", "above", "seconds")
    ranks = _table("method", "VUS-PR", "AUC-PR", "found", "precision", "recall", "F1", "steps late")
    if labels is not None:
        dated = ["false/day"] if per_day is not None else []
        alarms = _table(
            "method", "events", "also found", "above", "normal above", *dated, "seconds"
        )
    gap = detector._parameters["gap"]

    def add(name: str, its: "Detection", took: float) -> None:
        flags = _listed(its.alarms)
        same = _found_too(found, its)
        cells = [f"{len(its.events):,}", f"{same:,} of {len(found.events):,}"]
        cells.append(f"{np.concatenate(flags).mean():.2%}")
        if labels is not None:
            judged = evaluate(labels, _listed(its.scores), flags, steps_per_day=per_day, gap=gap)
            cells.append(_decimals(judged.flagged_normal, "{:.2%}"))
            if per_day is not None:
                cells.append(_decimals(judged.false_alarms_per_day, "{:.2g}"))
            ranks.add_row(name, *_cells(judged))
        alarms.add_row(name, *cells, f"{took:.1f}")

    add(type(detector.model_).__name__, found, seconds)
    wanted: dict[str, Any] = {"window": detector.window_}
    wanted["kind"] = detector._parameters["kind"] if kind is None else kind
    for name, rival in rivals(detector._parameters["random_state"]).items():
        start = perf_counter()
        with warnings.catch_warnings():  # the detector has warned already
            warnings.simplefilter("ignore", ThresholdWarning)
            its = clone(detector).set_params(model=rival, **wanted).fit(before.X).detect(after.X)
        add(name, its, perf_counter() - start)
    page = console(stderr=True)
    page.width = max(page.width, WIDTH)
    page.print(alarms)
    if labels is not None:
        page.print()
        page.print(ranks)


def _table(first: str, *others: str) -> Any:
    """A table of one row for each method; numbers are aligned on the right."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column(first)
    for one in others:
        table.add_column(one, justify="right")
    return table


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


def _cells(judged: Evaluation) -> list[str]:
    cells = [_decimals(judged.vus_pr), _decimals(judged.auc_pr)]
    cells.append(f"{judged.n_found} of {judged.n_events}")
    cells += [_decimals(one) for one in (judged.precision, judged.recall, judged.f1)]
    return [*cells, _decimals(judged.delay_mean, "{:,.0f}")]


def _decimals(value: float | None, form: str = "{:.3f}") -> str:
    return "–" if value is None or math.isnan(value) else form.format(value)
