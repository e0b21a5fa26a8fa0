"""Columns that together are a time are joined: dates and clocks, years and what follows them."""

import numpy as np
import pytest

from unspool import read_file
from unspool.errors import InputError


def read(folder, *lines, **options):
    path = folder / "table.csv"
    path.write_text("\n".join([*lines, ""]))
    return read_file(path, window=2, **options)


def check(data, first, last, features):
    times = data.steps["time"][0]
    assert (times[0], times[-1]) == (np.datetime64(first), np.datetime64(last))
    assert list(data.source.feature_names) == features


@pytest.mark.parametrize(
    ("clocks", "last"),
    [
        (["93000", "93500", "94000", "101500"], "10:15:00"),
        (["093000", "093500", "094000", "101500"], "10:15:00"),
        (["000000", "000005", "000010", "000059"], "00:00:59"),
        (["0930", "0935", "0940", "1015"], "10:15:00"),
        (["930", "935", "940", "1015"], "10:15:00"),
    ],
)
def test_digits_of_a_clock_are_hours_minutes_and_seconds(tmp_path, clocks, last):
    rows = [f"30.01.2023,{clock},{i}.5" for i, clock in enumerate(clocks)]
    data = read(tmp_path, "date,<TIME>,a", *rows)
    first = "2023-01-30T00:00" if clocks[0] == "000000" else "2023-01-30T09:30"
    check(data, first, f"2023-01-30T{last}", ["a"])


@pytest.mark.parametrize("clock", ["96100", "250000", "-5"])
def test_digits_that_are_no_clock_stay_a_feature(tmp_path, clock):
    rows = [f"2023-01-{day},{clock},1.5" for day in range(10, 15)]
    data = read(tmp_path, "date,time,a", *rows)
    assert list(data.source.feature_names) == ["time", "a"]


def test_a_column_of_am_and_pm_belongs_to_the_clock_before_it(tmp_path):
    rows = [f"1/30/2023,{clock},1.5" for clock in ("11:55,AM", "12:00,PM", "12:05,PM", "1:00,PM")]
    data = read(tmp_path, "date,clock,half,a", *rows)
    check(data, "2023-01-30T11:55", "2023-01-30T13:00", ["a"])


def test_the_joined_name_of_a_note_names_the_columns_of_the_time(tmp_path):
    rows = [f"2023-01-30,{hour}:00:00,1.5" for hour in (10, 11, 12)]
    data = read(tmp_path, "Day of,Start time,a", *rows, time="Day of Start time")
    check(data, "2023-01-30T10:00", "2023-01-30T12:00", ["a"])
    with pytest.raises(InputError, match="unknown column 'Day of End time'"):
        read(tmp_path, "Day of,Start time,a", *rows, time="Day of End time")


@pytest.mark.parametrize(
    ("names", "rows", "first", "last"),
    [
        (
            "year,doy,hour",
            ["2020,366,23", "2021,1,0", "2021,1,1"],
            "2020-12-31T23",
            "2021-01-01T01",
        ),
        ("year,day", ["2020,366", "2021,1", "2021,2"], "2020-12-31", "2021-01-02"),
        ("YEAR,WEEK", ["2020,53", "2021,1", "2021,2"], "2020-12-28", "2021-01-11"),
    ],
)
def test_a_year_with_a_day_of_the_year_or_a_week_is_a_time(tmp_path, names, rows, first, last):
    data = read(tmp_path, f"{names},a", *(f"{row},1.5" for row in rows))
    check(data, first, last, ["a"])
    data = read(tmp_path, f"{names},a", *(f"{row},1.5" for row in rows), time=names)
    check(data, first, last, ["a"])


@pytest.mark.parametrize("wrong", ["2021,366", "2021,0"])
def test_a_day_that_a_year_does_not_have_is_no_time(tmp_path, wrong):
    data = read(tmp_path, "year,doy,a", "2020,364,1.5", "2020,365,1.5", f"{wrong},1.5")
    assert "doy" in data.source.feature_names


@pytest.mark.parametrize(
    ("rows", "first", "last", "features"),
    [
        (
            [f"{2019 + i // 12},{i % 12 + 1},{i}.5" for i in range(20)],
            "2019-01-01",
            "2020-08-01",
            ["2"],
        ),
        (
            [f"7,2023,1,{1 + i // 24},{i % 24},0,{i}.5" for i in range(30)],
            "2023-01-01T00",
            "2023-01-02T05",
            ["0", "6"],
        ),
        (
            [f"2020,{360 + i},{i}.5,{i % 3}" for i in range(6)],
            "2020-12-25",
            "2020-12-30",
            ["2", "3"],
        ),
    ],
)
def test_parts_of_times_are_found_without_a_header(tmp_path, rows, first, last, features):
    check(read(tmp_path, *rows), first, last, features)


@pytest.mark.parametrize(
    "rows",
    [
        [f"{1990 + 7 * (i // 4)},{i % 4 + 1},{i}.5" for i in range(12)],  # steps of series
        [f"{2000 + i // 6},{(5 * i) % 12 + 1},{i}.5" for i in range(12)],  # falls
        [f"{150 + i // 6},{i % 6 + 1},{i}.5" for i in range(12)],  # too small
    ],
)
def test_other_whole_numbers_without_a_header_are_no_parts_of_times(tmp_path, rows):
    data = read(tmp_path, *rows)
    times = data.steps.get("time")
    assert times is None or times[0].dtype.kind != "M"
