"""The public names of `unspool.anomaly`."""

import subprocess
import sys

import unspool.anomaly
from unspool.anomaly import *  # noqa: F403
from unspool.anomaly import __all__ as names

WITHOUT_SCIKIT_LEARN = """
import sys
from unspool.anomaly import (
    Detection, Event, RunningThreshold, fit_threshold, find_events, events_table, write_events
)
fit_threshold("moving", [[float(i % 7) for i in range(5000)]], 0.3)
print([name for name in ("sklearn", "torch", "scipy", "pyarrow") if name in sys.modules])
"""


def test_dir_is_exactly_the_public_names():
    assert dir(unspool.anomaly) == names
    assert names == [
        "AlarmsThreshold",
        "Detection",
        "Event",
        "GlobalZ",
        "IsolationForestWindows",
        "KMeansAD",
        "MovingThreshold",
        "MovingZ",
        "NearestWindow",
        "ParetoThreshold",
        "QuantileThreshold",
        "RunningQuantile",
        "RunningThreshold",
        "SubPCA",
        "Threshold",
        "events_table",
        "find_events",
        "fit_threshold",
        "write_events",
    ]


def test_every_public_name_can_be_imported_and_is_documented():
    for name in names:
        assert globals()[name].__name__ == name
        assert globals()[name].__doc__


def test_thresholds_and_events_need_numpy_alone():
    command = [sys.executable, "-c", WITHOUT_SCIKIT_LEARN]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
