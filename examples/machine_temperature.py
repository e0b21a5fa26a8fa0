"""Find anomalies in the temperature of a machine.

A detector is trained on the first week, which is taken as normal, and scores the rest of the
series. Its alarms are compared with four labelled anomalies (the last one is a failure of
the machine), and its scores with those of three simple methods. The saved detector is then loaded
with NumPy alone and scores the series step by step, as it would online.

Source: a series of the Numenta Anomaly Benchmark (https://arxiv.org/abs/1510.03336).

    python machine_temperature.py        or        unspool demo machine_temperature

prints how many anomalies were found, the false alarms per day, and the ranking quality VUS-PR of
all methods. It writes the detector, the events and a picture to unspool-demo/machine_temperature.
It runs for about 30 seconds.
"""

from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa

from unspool import AnomalyDetector
from unspool.anomaly import GlobalZ, NearestWindow, SubPCA
from unspool.datasets import load_machine_temperature
from unspool.evaluation import evaluate, vus_pr
from unspool.plots import AnomalyDisplay
from unspool.runtime import load_detector

NORMAL_UNTIL = np.datetime64("2013-12-10")
STEPS_PER_DAY = 288
STREAMED_STEPS = 2000  # number of steps that are scored one by one as well


def as_table(values):
    """Return a series (T, 1) as a table, which names the feature; data frames work as well."""
    return pa.table({"temperature": values[:, 0]})


def main(output="unspool-demo/machine_temperature", random_state=0):
    """Run the experiment, and return its results by name."""
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    machine = load_machine_temperature()
    cut = np.searchsorted(machine.times, NORMAL_UNTIL)
    normal, series = as_table(machine.values[:cut]), as_table(machine.values[cut:])
    labels, times = machine.labels[cut:], machine.times[cut:]
    print(f"steps: {len(normal):,} are taken as normal, {len(series):,} are scored")

    start = perf_counter()
    detector = AnomalyDetector(random_state=random_state).fit(normal)
    fit_seconds = perf_counter() - start
    start = perf_counter()
    detection = detector.detect(series)
    detect_seconds = perf_counter() - start
    report = evaluate(labels, detection.scores, detection.alarms, steps_per_day=STEPS_PER_DAY)
    print(f"labelled anomalies found: {report.n_found} of {report.n_events}")
    for event in detection.events:
        print(f"event from {times[event.start]} to {times[event.end - 1]}")
    results = {
        "fit, seconds": fit_seconds,
        "detect, seconds": detect_seconds,
        "false alarms a day": report.false_alarms_per_day,
        "share of normal steps above the threshold": report.flagged_normal,
        "VUS-PR": report.vus_pr,
    }
    for method in (NearestWindow(), SubPCA(), GlobalZ()):
        simple = AnomalyDetector(method, random_state=random_state, verbose=0).fit(normal)
        name = type(method).__name__
        results[f"VUS-PR of {name}"] = vus_pr(labels, simple.anomaly_scores(series))

    # The same scores online, one step at a time, with NumPy alone.
    detector.save(output / "machine.unspool")
    stream = load_detector(output / "machine.unspool").stream()
    steps = machine.values[cut:][:STREAMED_STEPS]
    online = np.array([stream.update(step).score for step in steps])
    offline = detector.anomaly_scores(as_table(steps), "trailing")
    difference = np.abs(online - offline).max()
    results["step by step in NumPy, largest difference"] = difference

    for name, value in results.items():
        print(f"{name:<42} {value:.4g}")
    detection.write_events(output / "events.csv")
    display = AnomalyDisplay.from_detection(
        detection, machine.values[cut:], labels=labels, times=times, feature_names=["temperature"]
    )
    display.figure_.savefig(output / "anomalies.png", dpi=150)
    print(f"The detector, the events and the picture are in {str(output)!r}.")
    return results


if __name__ == "__main__":
    main()
