"""Numbers are times by their names and sizes, and new times are written in the same way."""

import numpy as np
import pyarrow as pa
import pytest

from unspool import read_file
from unspool.io.options import TimeOptions
from unspool.io.time_columns import parse_times

# Two numbers an hour apart, and their times.
NUMBERS = {
    "ticks": ([638106588000000000, 638106624000000000], "2023-01-30T07"),
    "timestamp": ([638106588000000000, 638106624000000000], "2023-01-30T07"),
    "file time": ([133195512000000000, 133195548000000000], "2023-01-30T11:20"),
    "date": ([44956.0, 44956 + 1 / 24], "2023-01-30"),
    "Excel": ([44956.25, 44956.25 + 1 / 24], "2023-01-30T06"),
    "datetime": ([738916.0, 738916 + 1 / 24], "2023-01-30"),
    "datenum (days)": ([738916.5, 738916.5 + 1 / 24], "2023-01-30T12"),
    "BJD": ([2459974.5, 2459974.5 + 1 / 24], "2023-01-30"),
    "mjd [d]": ([59974.0, 59974 + 1 / 24], "2023-01-30"),
    "ntp": ([3884066400, 3884070000], "2023-01-30T11:20"),
    "gps-time": ([1359112800, 1359116400], "2023-01-30T11:20"),
    "decimal year": ([2023.25, 2023.25 + 1 / 8760], "2023-04-02T06"),
}


def parsed(name, numbers):
    return parse_times(pa.chunked_array([pa.array(numbers)]), TimeOptions(), name)


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_times_by_their_name_and_continue_as_numbers(name):
    numbers, first = NUMBERS[name]
    found = parsed(name, numbers)
    times = np.datetime64(first) + np.arange(3) * np.timedelta64(1, "h")
    np.testing.assert_array_equal(found.values, times[:2])
    assert repr(name) in found.notes[0]
    new = found.format.written(
        times.astype(found.values.dtype), np.array([0, 1, -1]), np.arange(3) % 2
    )
    step = numbers[1] - numbers[0]
    np.testing.assert_allclose(new.to_pylist(), [*numbers, numbers[1] + step], rtol=1e-12)
    assert new.type == (pa.int64() if isinstance(numbers[0], int) else pa.float64())


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("load", [44956.0, 44957.0]),
        ("time", [44956.0, 44957.0]),
        ("date", [12.0, 13.0]),
        ("ticks", [12, 13]),
        ("seconds", [3884066400, 3884070000]),
        ("year", [2019.0, 2020.5, 2020.6]),
        ("decimal_date", [2019.0, 2020.0]),
    ],
)
def test_other_numbers_are_no_times(name, numbers):
    found = parsed(name, numbers)
    assert found is None or "years" not in found.notes[0]


def test_nanoseconds_that_are_named_so_are_no_ticks():
    found = parsed("timestamp_ns", [638106588000000000, 638106624000000000])
    assert found.values[0].astype("datetime64[Y]") == np.datetime64("1990")


@pytest.mark.parametrize(
    ("numbers", "times"),
    [
        ([1949, 1949 + 1 / 12, 1949 + 1 / 6], ["1949-01-01", "1949-02-01", "1949-03-01"]),
        ([2019.25, 2019.5, 2019.75], ["2019-04-01", "2019-07-01", "2019-10-01"]),
        ([2019.0417, 2019.125, 2019.2083], ["2019-01-16", "2019-02-16", "2019-03-16"]),
    ],
)
def test_decimal_years_of_months_are_months(numbers, times):
    found = parsed("date", numbers)
    np.testing.assert_array_equal(found.values, np.array(times, "datetime64[D]"))
    step = numbers[2] - numbers[1]
    new = found.values[2:].astype("datetime64[M]") + round(12 * step)
    written = found.format.written(new.astype("datetime64[D]"), np.array([-1]), np.array([2]))
    np.testing.assert_allclose(written.to_pylist(), [numbers[2] + step], atol=1e-4)


def test_a_copy_of_the_times_is_no_feature(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{i / 8},{i / 4},{i / 8},{i % 5}" for i in range(20)]
    path.write_text("\n".join(["time,a,X_Value.1,b", *rows]))
    data = read_file(path, window=2)
    assert list(data.source.feature_names) == ["a", "b"]


def test_numbers_of_a_usual_name_that_are_dates_may_run_from_newest_to_oldest(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{1_700_000_000 - 3600 * i},{i}.5\n" for i in range(8)]
    path.write_text("unix,heat\n" + "".join(rows))
    loaded = read_file(path, window=2)
    assert loaded.roles[0].columns == ("unix",)
    assert loaded.roles[0].reason == "has a usual name, and contains dates as numbers"
    (times,) = loaded.steps["time"]
    assert times[-1] == np.datetime64("2023-11-14T22:13:20")
    assert (np.diff(times) == np.timedelta64(1, "h")).all()
    np.testing.assert_array_equal(loaded.source.series[0][:, 0], np.arange(8)[::-1] + 0.5)
