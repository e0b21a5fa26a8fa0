"""The shipped series of temperatures is that of the Numenta Anomaly Benchmark."""

import numpy as np

from unspool.datasets import load_machine_temperature


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


def test_the_file_is_unchanged(shared_data):
    from unspool.datasets import _machine_temperature

    path = shared_data("nab/data/realKnownCause/machine_temperature_system_failure.csv")
    assert _machine_temperature.FILE.read_bytes() == path.read_bytes()
