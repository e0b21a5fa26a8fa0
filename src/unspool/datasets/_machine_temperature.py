"""The temperature of a machine, with labelled anomalies."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from unspool.data.windows import Windows
from unspool.evaluation import labels_from_windows
from unspool.io.files import read_file

FILE = Path(__file__).parent / "data" / "machine_temperature.csv"
ANOMALIES = (
    ("2013-12-10 06:25", "2013-12-12 05:35"),
    ("2013-12-15 17:50", "2013-12-17 17:00"),
    ("2014-01-27 14:20", "2014-01-29 13:30"),
    ("2014-02-07 14:55", "2014-02-09 14:05"),
)


class MachineTemperature(NamedTuple):
    """A series of temperatures with its times and labels; see `load_machine_temperature`.

    Attributes
    ----------
    times : array of shape (T,)
        datetime64, the time of each value.
    values : array of shape (T, 1)
        float64, the temperature.
    labels : array of shape (T,)
        bool, True at the steps that are labelled as anomalies.
    """

    times: npt.NDArray[np.datetime64]
    values: npt.NDArray[np.float64]
    labels: npt.NDArray[np.bool_]


def load_machine_temperature() -> MachineTemperature:
    """Load the temperature of a machine in a plant, with four labelled anomalies.

    The series has one value every five minutes from December 2013 to February 2014. The last
    anomaly is a failure of the machine. It is a series of the Numenta Anomaly Benchmark [1]_ and is
    shipped with unspool, under the licence in the folder ``unspool/datasets/data``.

    Returns
    -------
    MachineTemperature
        ``times`` (22695,), ``values`` (22695, 1) and ``labels`` (22695,).

    See Also
    --------
    unspool.AnomalyDetector : Finds such anomalies.
    unspool.evaluation.evaluate : Compares what it found with the labels.

    References
    ----------
    .. [1] A. Lavin, S. Ahmad, "Evaluating Real-time Anomaly Detection Algorithms – the Numenta
       Anomaly Benchmark", ICMLA 2015, https://arxiv.org/abs/1510.03336. The file is
       ``realKnownCause/machine_temperature_system_failure.csv`` of https://github.com/numenta/NAB.

    Examples
    --------
    >>> from unspool.datasets import load_machine_temperature
    >>> machine = load_machine_temperature()
    >>> machine.values.shape, int(machine.labels.sum())
    ((22695, 1), 2268)
    >>> machine.times[0]
    np.datetime64('2013-12-02T21:15:00')
    """
    loaded = read_file(FILE, window=1)
    assert isinstance(loaded.source, Windows)
    (values,), (times,) = loaded.source.series, loaded.steps["time"]
    return MachineTemperature(times, values, labels_from_windows(times, ANOMALIES).astype(bool))
