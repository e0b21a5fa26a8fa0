"""Files that look a little like a special form, but are plain tables of time steps."""

import numpy as np
import pytest

from unspool import read_file
from unspool.errors import InputError


def write(tmp_path, header, *columns):
    """Write columns of numbers or texts below a header; return the path."""
    path = tmp_path / "plain.csv"
    lines = [header, *(",".join(map(str, row)) for row in zip(*columns, strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return path


def roles_of(path, **options):
    """Return the columns of each role of a file."""
    found = read_file(path, window=4, missing="interpolate", **options)
    roles: dict[str, list[str]] = {}
    for one in found.roles:
        roles.setdefault(one.role, []).extend(one.columns)
    return roles


STEPS = np.arange(60)
WAVE = np.round(np.sin(STEPS / 5), 3)


def test_a_meter_and_a_column_that_repeats_are_no_time_and_id(tmp_path):
    meter = np.cumsum(np.array([0, 1, 0, 2, 1] * 12))
    path = write(tmp_path, "meter,slot,temp", meter, STEPS % 4, WAVE)
    assert roles_of(path) == {"feature": ["meter", "slot", "temp"]}


@pytest.mark.parametrize("rate", [4, 12, 51.2, 360])
def test_seconds_of_a_recording_are_no_years(tmp_path, rate):
    path = write(tmp_path, "time,ecg", [f"{1500 + i / rate:.6f}" for i in STEPS], WAVE)
    times = read_file(path, window=4).index["start"]
    assert times.dtype.kind == "f"
    np.testing.assert_allclose(times[:3], [1500, 1500 + 1 / rate, 1500 + 2 / rate], atol=1e-6)


def test_a_pressure_like_the_year_is_a_feature(tmp_path):
    times = [f"2023-03-01 00:{i:02d}" for i in STEPS]
    path = write(tmp_path, "time,pressure", times, [f"{2023.15 + one / 50:.3f}" for one in WAVE])
    assert roles_of(path) == {"time": ["time"], "feature": ["pressure"]}


def test_tags_that_end_in_numbers_like_years_are_features(tmp_path):
    tags = [f"PT{2001 + i}" for i in range(4)]
    path = write(tmp_path, ",".join(tags), *[WAVE + i for i in range(4)])
    assert roles_of(path) == {"feature": tags}


def test_a_dropout_of_the_last_sensors_is_no_padding_of_rows(tmp_path):
    names = [f"s{i}" for i in range(1, 11)]
    columns = [[f"{one + i:.3f}" for one in WAVE] for i in range(10)]
    columns[8][5] = columns[9][5] = ""
    path = write(tmp_path, ",".join(names), *columns)
    assert roles_of(path) == {"feature": names}


def test_columns_start_and_increment_with_values_in_all_rows_are_features(tmp_path):
    path = write(tmp_path, "start,increment,value", STEPS % 7, STEPS % 3 + 1, WAVE)
    assert roles_of(path) == {"feature": ["start", "increment", "value"]}


def test_serial_numbers_are_no_dates_of_excel(tmp_path):
    path = write(tmp_path, "serial,temp", 40_000 + 2 * STEPS, WAVE)
    assert "time" not in roles_of(path)


def test_a_measurement_named_like_the_label_is_a_feature(tmp_path):
    path = write(tmp_path, "class,class_load,x", STEPS % 3, 7 * STEPS % 11, WAVE)
    assert roles_of(path)["feature"] == ["class_load", "x"]


def test_three_values_in_the_third_line_are_no_row_of_a_start_and_a_rate(tmp_path):
    path = tmp_path / "plain.csv"
    path.write_text("1500000000,1500000000\n64,64\n" + "1,2,3\n2,3,4\n3,4,5\n4,5,6\n5,6,7\n")
    assert not any("taken as the start" in note for note in read_file(path, window=2).notes)


def test_a_last_row_without_a_number_is_reported(tmp_path):
    path = write(tmp_path, "time,x", [f"2023-03-01 00:{i:02d}" for i in STEPS], WAVE)
    path.write_text(path.read_text() + "2023-03-01 01:00,broken\n")
    with pytest.raises(InputError, match="column 'x' mixes numbers and text, 'broken' in data row"):
        read_file(path, window=4)


def test_sizes_at_unequal_distances_are_no_years(tmp_path):
    names = [f"nm_{one}" for one in (1600, 1650, 1750, 1900)]
    path = write(tmp_path, ",".join(names), *[WAVE + i for i in range(4)])
    assert roles_of(path) == {"feature": names}


def test_steps_of_many_sensors_with_a_class_are_no_sequences_in_rows(tmp_path):
    values = np.random.default_rng(0).normal(size=(60, 16)).round(3) + 5
    path = tmp_path / "plain.csv"
    rows = [",".join(map(str, [i % 3, *row])) for i, row in enumerate(values)]
    path.write_text("\n".join(rows) + "\n")
    assert roles_of(path)["feature"][-16:] == [str(i) for i in range(1, 17)]
