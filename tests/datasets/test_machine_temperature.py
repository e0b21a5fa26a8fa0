"""The shipped series of temperatures is that of the Numenta Anomaly Benchmark."""

import hashlib

import numpy as np

from unspool.datasets import _machine_temperature, load_machine_temperature
from unspool.io.files import read_file


def test_the_series_has_a_value_every_five_minutes():
    machine = load_machine_temperature()
    assert machine.times.shape == (22695,)
    assert machine.values.shape == (22695, 1)
    assert machine.times[0] == np.datetime64("2013-12-02T21:15")
    assert machine.times[-1] == np.datetime64("2014-02-19T15:25")
    steps = np.diff(machine.times)
    assert np.median(steps) == np.timedelta64(5, "m")
    assert machine.values[0, 0] == 73.96732207
    assert np.isfinite(machine.values).all()


def test_four_stretches_are_labelled_as_anomalies():
    machine = load_machine_temperature()
    assert machine.labels.dtype == bool
    starts = machine.times[1:][~machine.labels[:-1] & machine.labels[1:]]
    days = ["2013-12-10", "2013-12-15", "2014-01-27", "2014-02-07"]
    assert starts.astype("datetime64[D]").astype(str).tolist() == days
    assert machine.labels.sum() == 4 * 567


def test_the_file_is_that_of_the_benchmark():
    # NAB, data/realKnownCause/machine_temperature_system_failure.csv
    found = hashlib.sha256(_machine_temperature.FILE.read_bytes()).hexdigest()
    assert found == "92bf5b87fc7f9bba8ca0b7ec63ccaac8cb4a1371a258e8c29a10ae9c018d82a4"


def test_the_clock_of_the_machine_is_set_back_once():
    loaded = read_file(_machine_temperature.FILE, window=64)
    assert len(loaded.steps["time"][0]) == len(loaded.source.series[0]) == 22_695
    assert loaded.notes[-1] == (
        "time goes back once in column 'timestamp', at data row 10150, from 2014-01-07T02:55:00 "
        "to 2014-01-07T02:00:00; rows are kept in the order of the file"
    )
