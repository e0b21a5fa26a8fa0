"""Building blocks of anomaly detection: baselines, thresholds, and events.

Most users need `unspool.AnomalyDetector` only, which combines a model, scores and thresholds;
`unspool.runtime.Detector` runs a fitted one with NumPy alone. The public names of this package are

- what a detector returns: `Detection` and its `Event` objects,
- the baselines that `AnomalyDetector(model)` accepts in place of a network: `SubPCA`, `KMeansAD`,
  `NearestWindow`, `IsolationForestWindows`, `GlobalZ`, `MovingZ`,
- the thresholds in ``detector.thresholds_``: `Threshold` and its four kinds, `QuantileThreshold`,
  `ParetoThreshold`, `MovingThreshold`, `AlarmsThreshold`, with `RunningThreshold` and
  `RunningQuantile` for one score at a time,
- `fit_threshold`, `find_events`, `events_table` and `write_events`, which apply thresholds and
  events to scores from any source.

The names load at first use: the baselines need scikit-learn, all others need NumPy alone (a few
functions need SciPy or PyArrow and say so). Modules of this package that define none of these
names are internal.
"""

from unspool._lazy import attach as _attach

__getattr__, __dir__, __all__ = _attach(
    __name__,
    {
        "AlarmsThreshold": "threshold_kinds",
        "Detection": "detection",
        "Event": "events",
        "GlobalZ": "z_scores",
        "IsolationForestWindows": "baselines",
        "KMeansAD": "baselines",
        "MovingThreshold": "threshold_kinds",
        "MovingZ": "z_scores",
        "NearestWindow": "baselines",
        "ParetoThreshold": "threshold_kinds",
        "QuantileThreshold": "threshold_kinds",
        "RunningQuantile": "running_threshold",
        "RunningThreshold": "running_threshold",
        "SubPCA": "baselines",
        "Threshold": "threshold_kinds",
        "events_table": "events",
        "find_events": "events",
        "fit_threshold": "thresholds",
        "write_events": "events",
    },
)
