"""Texts and numbers become the times that a reader sees, and are written back unchanged."""

import numpy as np
import pyarrow as pa
import pytest

from unspool.errors import InputError
from unspool.io.options import TimeOptions
from unspool.io.time_columns import check_date_format, parse_times
from unspool.io.time_output import OutputTimes, in_order, with_features
from unspool.io.time_steps import usual_step

TEXTS = {
    "2021-03-01": "2021-03-01",
    "2021-03-01 00:00": "2021-03-01",
    "2021-03-01T13:00": "2021-03-01T13:00",
    "2021-03-01 13:00:00": "2021-03-01T13:00",
    "2021-03-01T13:00:00.5": "2021-03-01T13:00:00.5",
    "2021-03-01 13:00:00.123456": "2021-03-01T13:00:00.123456",
    "2021-03-01 13:00:00,123": "2021-03-01T13:00:00.123",
    "2021-03-01T13:00:00Z": "2021-03-01T13:00",
    "2021-03-01T13:00:00+01:00": "2021-03-01T12:00",
    "2021-03-01 13:00:00+0100": "2021-03-01T12:00",
    "2021-03-01 13:00:00 -0530": "2021-03-01T18:30",
    "2021-03-01 13:00 UTC": "2021-03-01T13:00",
    "2021-03-01 13:00:00 CET": "2021-03-01T12:00",
    "2021-03-01 13:00 EST": "2021-03-01T18:00",
    "2021-03-01 13:00 GMT+2": "2021-03-01T11:00",
    "2021-03-01_13:00:00": "2021-03-01T13:00",
    "2021-03-01 1300": "2021-03-01T13:00",
    "2021/03/01": "2021-03-01",
    "2021/3/1 1:05": "2021-03-01T01:05",
    "2021.03.01 13:00": "2021-03-01T13:00",
    "31.03.2021": "2021-03-31",
    "31.03.2021 13:00": "2021-03-31T13:00",
    "31.3.21 13:00:05": "2021-03-31T13:00:05",
    "31/03/2021 18.00.00": "2021-03-31T18:00",
    "31-03-2021": "2021-03-31",
    "03/31/2021": "2021-03-31",
    "3/31/21 0:00": "2021-03-31",
    "3/31/2021 1:00:00 PM": "2021-03-31T13:00",
    "3/31/2021 12:00 AM": "2021-03-31",
    "3/31/2021 12:30pm": "2021-03-31T12:30",
    "12/31/2020 24:00": "2021-01-01",
    "31/12/68 0:00": "2068-12-31",
    "31/12/69 0:00": "1969-12-31",
    "1-Mar-21": "2021-03-01",
    "01-MAR-2021 13:00:00": "2021-03-01T13:00",
    "1 March 2021": "2021-03-01",
    "01Mar2021": "2021-03-01",
    "1. March 2021": "2021-03-01",
    "Mar 1, 2021": "2021-03-01",
    "March 1st, 2021": "2021-03-01",
    "Mar 1, 2021 1:00 PM": "2021-03-01T13:00",
    "2021-Mar-01": "2021-03-01",
    "2021 Mar 1": "2021-03-01",
    "Mon, 01 Mar 2021 13:00:00 GMT": "2021-03-01T13:00",
    "Mon Mar  1 13:00:00 2021": "2021-03-01T13:00",
    "Mon Mar 1 13:00:00 UTC 2021": "2021-03-01T13:00",
    "01/Mar/2021:13:00:00 +0000": "2021-03-01T13:00",
    "20210301": "2021-03-01",
    "20210301 1300": "2021-03-01T13:00",
    "20210301 130005": "2021-03-01T13:00:05",
    "20210301T130000Z": "2021-03-01T13:00",
    "2021030113": "2021-03-01T13:00",
    "202103011300": "2021-03-01T13:00",
    "20210301130005": "2021-03-01T13:00:05",
    "2021-060": "2021-03-01",
    "202103": "2021-03-01",
    "2021-03": "2021-03-01",
    "2021/03": "2021-03-01",
    "03/2021": "2021-03-01",
    "2021M03": "2021-03-01",
    "March 2021": "2021-03-01",
    "Mar-21": "2021-03-01",
    "2021-Mar": "2021-03-01",
    "2021Q2": "2021-04-01",
    "2021-Q2": "2021-04-01",
    "Q2 2021": "2021-04-01",
    "2021-W05": "2021-02-01",
    "2020-W53-5": "2021-01-01",
    "Mar 1, 2021 @ 13:00:00.123": "2021-03-01T13:00:00.123",
    "2021-03-01 13:00:00 +0000 UTC": "2021-03-01T13:00",
    "2021-03-01 13:00:00.5 +0100 CET": "2021-03-01T12:00:00.5",
    "2021-03-01 13:00:00 +0300 +03 m=+0.000123": "2021-03-01T10:00",
    "Mon Mar 01 2021 13:00:00 GMT+0100 (Central European Standard Time)": "2021-03-01T12:00",
    "[01/Mar/2021:13:00:00 -0700]": "2021-03-01T20:00",
    "3/31/21 1:00p": "2021-03-31T13:00",
    "31.03.2021 12:00 - 31.03.2021 13:00": "2021-03-31T12:00",
    "31.03.2021 23:00 - 01.04.2021 00:00 (CET/CEST)": "2021-03-31T23:00",
    "31/03/2021 12:00:00 - 31/03/2021 13:00:00": "2021-03-31T12:00",
    "2021-03-31 12:00 – 13:00": "2021-03-31T12:00",
    "2021-03-31T12:00:00Z/2021-03-31T13:00:00Z": "2021-03-31T12:00",
    "2021-03-01 to 2021-03-08": "2021-03-01",
    "31-03 13:00:00": "2000-03-31T13:00",
    "Mar 31 13:00:05": "2000-03-31T13:00:05",
    "31 Mar 11:20": "2000-03-31T11:20",
}


def column(*cells):
    return pa.chunked_array([pa.array(list(cells))])


def read(*cells, name="when", **options):
    return parse_times(column(*cells), TimeOptions(**options), name)


@pytest.mark.parametrize(("text", "time"), TEXTS.items())
def test_a_text_is_the_time_that_a_reader_sees_and_is_written_back(text, time):
    found = read(text, text)
    assert found.values[0] == np.datetime64(time)
    assert found.format.written(None, np.arange(2)).to_pylist() == [text, text]


@pytest.mark.parametrize(("text", "time"), TEXTS.items())
def test_a_new_time_has_the_form_of_the_texts_of_the_file(text, time):
    found = read(text)
    again = found.format.written(found.values, np.array([-1]), np.array([0]))[0].as_py()
    assert again == text.replace("1st", "1st").replace("24:00", "00:00").replace(
        "12/31/2020", "12/31/2020" if "24:00" not in text else "01/01/2021"
    )


@pytest.mark.parametrize("text", ["hello", "13:00", "12.5", "192.168.1.1", "5-4-3", "a 2021-03-01"])
def test_other_text_is_no_time(text):
    assert read(text) is None


@pytest.mark.parametrize(
    "text", ["2021-02-30", "31/31/2021", "2021-13", "2021-03-01 25:00", "3/31/2021 13:00 PM"]
)
def test_a_time_that_does_not_exist_is_none(text):
    assert read(text) is None


def test_the_interval_of_a_new_time_has_its_start_and_the_usual_length():
    found = read("31.03.2021 22:00 - 31.03.2021 23:00", "31.03.2021 23:00 - 01.04.2021 00:00")
    new = found.values[1:] + np.timedelta64(1, "h")
    written = found.format.written(new, np.array([-1]), np.array([1]))
    assert written.to_pylist() == ["01.04.2021 00:00 - 01.04.2021 01:00"]
    found = read("2021-03-31 12:00 - 13:00")
    new = found.values + np.timedelta64(1, "h")
    written = found.format.written(new, np.array([-1]), np.array([0]))
    assert written.to_pylist() == ["2021-03-31 13:00 - 14:00"]


@pytest.mark.parametrize(
    ("texts", "times"),
    [
        (["Dec 31 23:59:00", "Jan 01 00:00:00"], ["2000-12-31T23:59", "2001-01-01"]),
        (["01-01 00:00:00", "31-12 23:59:00"], ["2000-01-01", "1999-12-31T23:59"]),
    ],
)
def test_times_without_a_year_go_on_at_the_turn_of_the_year(texts, times):
    found = read(*texts)
    np.testing.assert_array_equal(found.values, np.array(times, "datetime64[us]"))
    assert "with 2000 for the year, which is not given" in found.notes[0]


def test_the_order_of_day_and_month_is_decided_by_the_whole_column():
    halves = [f"{day:02d}/03/2021 {hour}:00" for day in range(1, 13) for hour in ("00", "12")]
    assert str(read(*halves).values[2])[:10] == "2021-03-02"
    assert "the day first, which makes the steps regular; --month-first" in read(*halves).notes[0]
    american = [f"03/{day:02d}/2021 {hour}:00" for day in range(1, 13) for hour in ("00", "12")]
    assert str(read(*american).values[2])[:10] == "2021-03-02"
    monthly = [f"01/{month:02d}/{year}" for year in (2020, 2021) for month in range(1, 13)]
    assert str(read(*monthly).values[1])[:10] == "2020-02-01"
    late = ["03/04/2021"] * 100 + ["13/04/2021"]
    assert str(read(*late).values[0])[:10] == "2021-04-03"
    assert read(*late).notes[0].endswith("the day first")


def test_dates_of_both_orders_are_equally_possible_and_the_note_says_so():
    found = read("1/3/21 0:00", "1/3/21 1:00")
    assert str(found.values[0])[:10] == "2021-03-01"
    assert found.notes == (
        "column 'when': '1/3/21 0:00' read as 2021-03-01 00:00:00, the day first, though both "
        "orders are possible; --month-first reads the month first",
    )
    assert str(read("1/3/21 0:00", day_first=False).values[0])[:10] == "2021-01-03"
    assert str(read("1/3/21 1:00 PM").values[0])[:10] == "2021-01-03"


@pytest.mark.parametrize(
    ("numbers", "unit"),
    [
        ([1614556800, 1614560400], "s"),
        ([1614556800000, 1614560400000], "ms"),
        ([1614556800000000, 1614560400000000], "us"),
        ([1614556800000000000, 1614560400000000000], "ns"),
        ([1614556800.5, 1614560400.25], "s"),
    ],
)
def test_numbers_since_1970_are_times_by_their_size(numbers, unit):
    found = read(*numbers)
    assert found.format.unit == unit
    assert found.values[0].astype("datetime64[s]") == np.datetime64("2021-03-01")
    assert found.format.written(None, np.arange(2)).to_pylist() == numbers
    new = found.format.written(found.values, np.array([-1, -1]), np.array([0, 0])).to_pylist()
    assert new == numbers


def test_compact_dates_are_times_and_other_numbers_are_not():
    assert read(20210301, 20210302).values[1] == np.datetime64("2021-03-02")
    assert read(202103, 202104).values[1] == np.datetime64("2021-04")
    assert read(2020, 2021).values[1] == np.datetime64("2021")
    for numbers in ([1, 2, 3], [20, 21], [0.5, 1.5], [20211301, 20211302], [2020, 2023]):
        assert read(*numbers) is None


def test_a_cell_that_is_no_time_makes_the_column_a_copied_text():
    cells = ["01.03.2021", "02.03.2021", "broken", "04.03.2021"]
    found = read(*cells)
    assert found.values is None
    assert "column 'when' is 'broken' in data row 3" in found.notes[0]
    assert found.format.written(None, np.arange(4)).to_pylist() == cells


def test_a_format_of_the_user_reads_what_is_not_found():
    assert read("2021|03|01 13h", date_format="%Y|%m|%d %Hh").values[0] == np.datetime64(
        "2021-03-01T13"
    )
    assert str(read("21-03-01", date_format="%d-%m-%y").values[0])[:10] == "2001-03-21"
    with pytest.raises(InputError, match="the directive %K is unknown"):
        check_date_format("%Y %K")


def test_offsets_are_kept_in_texts_and_give_zones_in_parquet():
    found = read("2021-03-01 00:00:00-05:00", "2021-03-02 00:00:00-05:00")
    assert str(found.values[0])[:13] == "2021-03-01T05"
    assert found.format.typed(found.values, np.arange(2)).type == pa.timestamp("us", "-05:00")
    two = read("2021-03-13 00:00:00-05:00", "2021-03-14 12:00:00-04:00")
    assert two.format.typed(two.values, np.arange(2)).type == pa.timestamp("us", "UTC")


def test_times_of_arrow_keep_their_type_and_their_zone():
    kind = pa.timestamp("ms", "Europe/Berlin")
    found = parse_times(column(np.datetime64("2021-07-01T10", "ms")).cast(kind), TimeOptions())
    assert found.format.typed(found.values, np.arange(1)).type == kind
    assert found.format.written(None, np.arange(1)).to_pylist() == ["2021-07-01 12:00:00+02:00"]


@pytest.mark.parametrize(
    ("times", "following"),
    [
        (["2021-01-01", "2021-02-01", "2021-03-01"], ["2021-04-01", "2021-05-01"]),
        (["2021-01-31", "2021-02-28", "2021-03-31"], ["2021-04-30", "2021-05-31"]),
        (["2020-01-01", "2020-04-01", "2020-07-01"], ["2020-10-01", "2021-01-01"]),
        (["2018-07-01", "2019-07-01", "2020-07-01"], ["2021-07-01", "2022-07-01"]),
        (["2021-03-01T00", "2021-03-01T01", "2021-03-01T02"], ["2021-03-01T03", "2021-03-01T04"]),
        (list(np.busday_offset("2021-03-01", range(15)).astype(str)), ["2021-03-22", "2021-03-23"]),
    ],
)
def test_the_times_after_a_series_continue_its_usual_step(times, following):
    times = np.array(times, "datetime64[s]")
    step = usual_step(times)
    assert step.irregular == 0
    np.testing.assert_array_equal(step.after(times[-1], 2), np.array(following, "datetime64[s]"))


def test_irregular_times_are_recognised_and_numbers_continue():
    times = np.array(["2021-03-01T00", "2021-03-01T01", "2021-03-01T05"], "datetime64[h]")
    assert usual_step(times).irregular == 0.5
    assert usual_step(np.array([0, 2, 4])).after(4, 2).tolist() == [6, 8]
    assert usual_step(np.array([5, 5])) is None


def test_a_feature_never_replaces_another_column():
    made = with_features({"time": 0, "id": 1}, {"time": 2, "time_new": 3, "a": 4}, "_new")
    assert made == {"time": 0, "id": 1, "time_new_new": 2, "time_new": 3, "a": 4}


def test_columns_are_put_in_another_order_with_their_times():
    found = read("2021-03-01", "2021-03-02")
    times = OutputTimes(found.format, found.values, np.arange(2))
    moved = in_order({"time": times, "a": np.array([1, 2])}, np.array([1, 0]))
    assert moved["time"].plain().to_pylist() == ["2021-03-02", "2021-03-01"]
    assert moved["a"].tolist() == [2, 1]
