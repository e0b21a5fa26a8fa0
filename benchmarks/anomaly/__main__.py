"""Benchmark of anomaly scores: ``python -m benchmarks.anomaly FOLDER``.

FOLDER contains some or all of the data sets ``nab/`` (with data/ and labels/), ``smd/``,
``ucr/ECG5000/`` and ``cmapss/``. All series use the same default configuration, and the baselines
use the same windows, held-out data, scores and thresholds. A method is trained on the training part
without its last fifth, which is held out, and evaluated on the part after it. Labels are used for
evaluation only.

For series the benchmark reports: VUS-PR, with the first peak of the training part's autocorrelation
as its buffer (at most 100), for each kind of score and for its centred mean over 64 steps, which
improves simple scores most; the share of normal steps above the moving threshold at a rate of 1 in
100; and events with the defaults of `unspool detect`. Means are over the series of a group, then
over groups.
"""

import argparse
import csv
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.anomaly.data import DEGRADES, HEALTHY, Series, cmapss, ecg5000, first_peak, nab, smd
from benchmarks.machine import describe
from unspool import AnomalyDetector
from unspool.anomaly import (
    GlobalZ,
    IsolationForestWindows,
    KMeansAD,
    MovingZ,
    NearestWindow,
    SubPCA,
)
from unspool.anomaly.thresholds import fit_without_warning
from unspool.data.convert import as_sequences
from unspool.errors import NoBetterThanMeanWarning, ThresholdWarning
from unspool.evaluation import auc_roc, evaluate, vus_pr

RATE = 0.01  # requested rate of false alarms on step scores
SMOOTHED = 64  # steps
ROW = ("set", "group", "name", "method", "seed", "measure", "value")

METHODS: dict[str, Any] = {
    "unspool": lambda seed: None,
    "nearest window": lambda seed: NearestWindow(),
    "KMeansAD": lambda seed: KMeansAD(random_state=seed),
    "Sub-PCA": lambda seed: SubPCA(),
    "Isolation Forest": lambda seed: IsolationForestWindows(random_state=seed),
    "global z": lambda seed: GlobalZ(),
    "moving z": lambda seed: MovingZ(),
}
RANDOM = ("unspool", "KMeansAD", "Isolation Forest")  # methods that depend on the seed

Row = tuple[Any, ...]


def detector(method: str, seed: int, **parameters: Any) -> AnomalyDetector:
    """Return a detector with default parameters over a method."""
    return AnomalyDetector(METHODS[method](seed), random_state=seed, verbose=0, **parameters)


def smoothed(scores: np.ndarray) -> np.ndarray:
    """Return the centred mean over 64 steps, or fewer at the ends."""
    ones = np.ones(SMOOTHED)
    weight = np.convolve(np.ones(len(scores)), ones, "same")
    return np.convolve(scores, ones, "same") / weight


def measures(one: Series, method: str, seed: int) -> Iterator[tuple[str, float]]:
    """Yield name and value of each measure of a method on a series."""
    start = time.perf_counter()
    fitted = detector(method, seed).fit(one.train)
    yield "seconds to fit", time.perf_counter() - start
    buffer = min(100, first_peak(one.train))
    for kind in fitted.thresholds_:
        scores = fitted.anomaly_scores(one.test, kind)
        yield f"VUS-PR, {kind}", vus_pr(one.labels, scores, buffer)
        yield f"VUS-PR, {kind}, 64-step mean", vus_pr(one.labels, smoothed(scores), buffer)
    normal = one.labels == 0
    held_out = one.train[len(one.train) - round(len(one.train) * fitted.calibration_split) :]
    calibration = [fitted.anomaly_scores(held_out, "step")]
    scores = fitted.anomaly_scores(one.test, "step")
    alarms = scores > fit_without_warning("moving", calibration, RATE).over(scores)
    yield "rate on normal steps, step, moving", float(alarms[normal].mean())
    for kind in ("window", "trailing"):
        found = evaluate(
            one.labels, alarms=fitted.detect(one.test, kind).alarms, steps_per_day=one.steps_per_day
        )
        for measure in ("recall", "precision", "f1", "flagged_normal", "false_alarms_per_day"):
            yield f"{measure}, {kind}, moving", getattr(found, measure)
    if one.steps_per_day and one.group == "SMD":
        requested = 5 * one.steps_per_day / len(held_out)  # 5 alarms in the held-out part
        for kind in ("window", "step", "trailing"):
            calibration = [fitted.anomaly_scores(held_out, kind)]
            by_day = fit_without_warning(
                "alarms", calibration, requested, steps_per_period=one.steps_per_day
            )
            scores = fitted.anomaly_scores(one.test, kind)
            alarms = scores > by_day.over(scores)
            found = evaluate(one.labels, alarms=alarms, steps_per_day=one.steps_per_day)
            yield f"false alarms a day / asked, {kind}", found.false_alarms_per_day / requested


def series_rows(name: str, every: list[Series], seeds: int) -> Iterator[Row]:
    """Yield all measures of each method on each series."""
    for one in every:
        for method in METHODS:
            for seed in range(seeds if method in RANDOM else 1):
                for measure, value in measures(one, method, seed):
                    yield name, one.group, one.name, method, seed, measure, value


def heartbeat_rows(folder: Path, seeds: int) -> Iterator[Row]:
    """Yield the AUC on ECG5000, after training on normal heartbeats."""
    train, test, labels = ecg5000(folder)
    for method in METHODS:
        for seed in range(seeds if method in RANDOM else 1):
            fitted = detector(method, seed).fit(as_sequences(train))
            for kind in fitted.thresholds_:
                value = auc_roc(labels, fitted.anomaly_scores(as_sequences(test), kind))
                yield "ECG5000", "ECG5000", "ECG5000", method, seed, f"AUC, {kind}", value


def engine_rows(folder: Path, seeds: int) -> Iterator[Row]:
    """Yield lead times on C-MAPSS: cycles from the first lasting alarm to the end of an engine.

    Models are trained on the first 60 cycles of engines 1 to 40. The threshold has a rate of 1 in
    100 on those of engines 41 to 60. Engines 61 to 100 are evaluated. An alarm is lasting if the
    trailing score is above the threshold in 5 consecutive cycles. Wear is visible in about the last
    130 cycles; earlier alarms have another cause.
    """
    engines = cmapss(folder)
    healthy = [one[:HEALTHY] for one in engines]
    for method in METHODS:
        for seed in range(seeds if method in RANDOM else 1):
            fitted = detector(method, seed, threshold="quantile", window=30)
            fitted.fit(healthy[:40], calibration=healthy[40:60])
            lead, early, late_rate = [], [], []
            for one in engines[60:]:
                alarms = fitted.detect(one, "trailing").alarms
                lasting = np.convolve(alarms, np.ones(5), "full")[: len(alarms)] >= 5
                early.append(alarms[:HEALTHY].mean())
                late_rate += alarms[HEALTHY : len(one) - DEGRADES].tolist()
                late = np.flatnonzero(lasting[HEALTHY:])
                lead.append(len(one) - HEALTHY - late[0] if len(late) else 0)
            for measure, value in (
                ("rate on the first 60 cycles", np.mean(early)),
                ("rate from there to 130 cycles before the end", np.mean(late_rate)),
                ("cycles from the first lasting alarm to the end, median", np.median(lead)),
                ("the same, lowest of 40 engines", np.min(lead)),
            ):
                yield "C-MAPSS", "FD001", "FD001", method, seed, measure, float(value)


def read_rows(path: Path) -> Iterator[Row]:
    """Read the rows of an earlier run."""
    with path.open(newline="") as file:
        for row in list(csv.reader(file))[1:]:
            yield (*row[:4], int(row[4]), row[5], float(row[6]))


def summary(rows: list[Row]) -> Iterator[str]:
    """Yield means over groups by set, measure and method, with the range over seeds in brackets."""
    for name in dict.fromkeys(row[0] for row in rows):
        of_set = [row for row in rows if row[0] == name]
        for measure in dict.fromkeys(row[5] for row in of_set):
            yield f"\n{name}: {measure}"
            for method in METHODS:
                chosen = [row for row in of_set if (row[3], row[5]) == (method, measure)]
                seeds = {row[4] for row in chosen}
                by_seed = [_mean([row for row in chosen if row[4] == seed]) for seed in seeds]
                if not by_seed:
                    continue
                groups = ", ".join(
                    f"{group} {_mean([row for row in chosen if row[1] == group]):.3f}"
                    for group in dict.fromkeys(row[1] for row in chosen)
                )
                spread = f" ({min(by_seed):.3f}-{max(by_seed):.3f})" if len(by_seed) > 1 else ""
                yield f"  {method:17} {np.mean(by_seed):.3f}{spread}  {groups}"
            if measure.startswith("rate on normal"):
                yield from _within(of_set, measure)


def _mean(rows: list[Row]) -> float:
    """Return the mean over groups of the means over their series."""
    groups: dict[str, list[float]] = {}
    for row in rows:
        if not np.isnan(row[6]):
            groups.setdefault(row[1], []).append(row[6])
    return float(np.mean([np.mean(values) for values in groups.values()])) if groups else np.nan


def _within(rows: list[Row], measure: str) -> Iterator[str]:
    for method in METHODS:
        rates = [row[6] for row in rows if (row[3], row[5]) == (method, measure)]
        near = [RATE / 2 <= rate <= RATE * 2 for rate in rates]
        if near:
            yield f"  {method:17} within a factor of 2: {np.mean(near):.0%} of {len(near)}"


def main() -> None:
    """Run the benchmark and print means and spread."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--only", nargs="*", default=("nab", "nab-official", "smd", "ecg", "cmapss")
    )
    parser.add_argument("--rows", type=Path, help="write all numbers to this CSV file")
    parser.add_argument("--read", type=Path, nargs="*", help="summarise the rows of earlier runs")
    arguments = parser.parse_args()
    if arguments.read:
        print(*summary([row for path in arguments.read for row in read_rows(path)]), sep="\n")
        return
    warnings.simplefilter("ignore", ThresholdWarning)
    warnings.simplefilter("ignore", NoBetterThanMeanWarning)
    folder, seeds, rows = arguments.folder, arguments.seeds, []
    series = []
    if "nab" in arguments.only:
        series += nab(folder / "nab", official=False)
    if "smd" in arguments.only:
        series += smd(folder / "smd")
    print(describe(), flush=True)
    parts = [series_rows("series", series, seeds)]
    if "nab-official" in arguments.only:
        official = list(nab(folder / "nab", official=True))
        parts.append(series_rows("NAB, probation of 750 steps", official, seeds))
    if "ecg" in arguments.only:
        parts.append(heartbeat_rows(folder / "ucr" / "ECG5000", seeds))
    if "cmapss" in arguments.only:
        parts.append(engine_rows(folder / "cmapss", seeds))
    for part in parts:
        rows += part
    if arguments.rows:
        with arguments.rows.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(ROW)
            writer.writerows((*row[:6], f"{row[6]:.4g}") for row in rows)
    print(*summary(rows), sep="\n")


if __name__ == "__main__":
    main()
