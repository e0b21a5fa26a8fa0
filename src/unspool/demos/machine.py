"""The temperature of a machine: an anomaly detector on real data, from the file to its events.

A series of the Numenta Anomaly Benchmark: 22,695 values, one every five minutes, with four labelled
stretches. The first week is taken as normal.

run(folder)    data → training → scores, events, in NumPy too → rivals → pictures
"""

from pathlib import Path

import numpy as np
import pyarrow as pa

from unspool.anomaly.baselines import GlobalZ, NearestWindow, SubPCA
from unspool.anomaly.detection import Detection
from unspool.anomaly.events import write_events
from unspool.data.files import read_file
from unspool.data.windows import Windows
from unspool.datasets._machine_temperature import FILE as DATA
from unspool.demos.report import Report
from unspool.estimators.anomaly_detector import AnomalyDetector
from unspool.evaluation import evaluate, labels_from_windows, vus_pr
from unspool.runtime.detector import Detector

NORMAL_UNTIL = np.datetime64("2013-12-10")
STEPS_PER_DAY = 288
LABELLED = (
    ("2013-12-10 06:25", "2013-12-12 05:35"),
    ("2013-12-15 17:50", "2013-12-17 17:00"),
    ("2014-01-27 14:20", "2014-01-29 13:30"),
    ("2014-02-07 14:55", "2014-02-09 14:05"),
)
STREAMED = 2000  # steps that are scored one at a time as well


def run(folder: Path, seed: int = 0) -> dict[str, float]:
    """Run the experiment, print what came out, and leave detector, events, pictures in `folder`."""
    report = Report(folder, "temperature of a machine")
    loaded = read_file(DATA, window=1)
    assert isinstance(loaded.source, Windows)
    (series,), (times,) = loaded.source.series, loaded.steps["time"]
    cut = int(np.searchsorted(times, NORMAL_UNTIL))
    normal, rest = (pa.table({"temperature": one[:, 0]}) for one in (series[:cut], series[cut:]))
    labels = labels_from_windows(times[cut:], LABELLED)
    report.fact("steps", f"{cut:,} taken as normal, {len(rest):,} scored")

    detector = AnomalyDetector(random_state=seed)
    with report.timed("fit"):
        detector.fit(normal)
    detector.save(report.path("machine.unspool"))
    with report.timed("detect"):
        found = detector.detect(rest)
    write_events(found.events, report.path("events.csv"), times=[times[cut:]])
    judged = evaluate(labels, found.scores, found.alarms, steps_per_day=STEPS_PER_DAY)
    report.fact("labelled stretches found", f"{judged.n_found} of {judged.n_events}")
    report.number("false alarms a day", judged.false_alarms_per_day or 0.0, ".2f")
    report.number("share of normal steps above the threshold", judged.flagged_normal or 0.0, ".3f")
    report.number("VUS-PR", judged.vus_pr or 0.0, ".3f")
    for rival in (NearestWindow(), SubPCA(), GlobalZ()):
        other = AnomalyDetector(rival, random_state=seed, verbose=0).fit(normal)
        scores = other.anomaly_scores(rest)
        name = f"VUS-PR of {type(rival).__name__}"
        report.number(name, vus_pr(labels, scores), ".3f")
    report.number("step by step in NumPy, largest difference", apart(detector, series[cut:]), ".1e")
    draw(found, series[cut:], labels, times[cut:], report)
    return report.end()


def apart(detector: AnomalyDetector, series: np.ndarray) -> float:
    """How far the scores of a stream are from those of the whole series, over `STREAMED` steps."""
    some = pa.table({"temperature": series[:STREAMED, 0]})
    stream = Detector(detector.contents()).stream()
    scores = [stream.update(step).score for step in series[:STREAMED]]
    return float(np.abs(np.array(scores) - detector.anomaly_scores(some, "trailing")).max())


def draw(
    found: Detection, series: np.ndarray, labels: np.ndarray, times: np.ndarray, report: Report
) -> None:
    """Draw the series, the score with its threshold, and the events."""
    from unspool import plots

    display = plots.AnomalyDisplay.from_detection(
        found, series, labels=labels, times=times, feature_names=["temperature"]
    )
    report.keep(display, "anomalies.png")
