"""Files whose time goes back: which are read, in which order, and with which notes."""

import re

import numpy as np
import pytest

from unspool.errors import InputError
from unspool.io.files import read_file


def written(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text)
    return path


def refused(path, text, **arguments):
    with pytest.raises(InputError, match=f"^{re.escape(f'{path}: {text}')}$"):
        read_file(path, **arguments)


def minutes(*numbers):
    """Times in 2014, given in minutes after midnight."""
    return np.datetime64("2014-01-07T00:00:00") + np.array(numbers, "m8[m]")


def table_of(tmp_path, times, name="when"):
    """A file with a row number as its only feature."""
    rows = "".join(f"{time},{i}\n" for i, time in enumerate(times))
    return written(tmp_path, f"{name},v\n" + rows)


def test_equal_times_are_accepted_and_unsorted_rows_are_refused(tmp_path):
    path = written(tmp_path, "when,v\n2024-01-01,1\n2024-01-01,2\n2024-01-03,3\n2024-01-02,4\n")
    back = "time goes back once in column 'when', at data row 4, from 2024-01-03 to 2024-01-02"
    ways = (
        "if the file contains several series, name the column of their ids with `id`; "
        "otherwise sort the file by 'when'"
    )
    way_out = ", or leave the column out with `drop=['when']`"
    refused(path, f"{back}; {ways}{way_out}.", window=1)
    refused(path, f"{back}; {ways}.", window=1, time="when", columns=["v"])
    loaded = read_file(path, window=2, columns=["v"])
    assert loaded.notes[-1] == f"{back}: steps are numbered instead"
    assert loaded.index["start"].tolist() == [0, 1, 2]
    assert loaded.steps == {}


def test_time_need_only_be_in_order_within_a_series(tmp_path):
    text = "id,t,v\na,5,1\nb,1,2\na,6,3\nb,{},4\n"
    assert len(read_file(written(tmp_path, text.format(2))).source) == 2
    loaded = read_file(written(tmp_path, text.format(0)))
    assert loaded.source.feature_names == ("t", "v")
    assert "column 't' taken as feature: its values fall, first in data row 2" in loaded.notes[1]


@pytest.mark.parametrize("columns", [None, ["v"]])
def test_a_clock_change_keeps_rows_and_times_and_is_in_the_notes(tmp_path, columns):
    times = minutes(*range(60, 180, 5), *range(120, 240, 5))  # 02:00 to 02:55 comes twice
    loaded = read_file(table_of(tmp_path, times), window=4, columns=columns)
    np.testing.assert_array_equal(loaded.steps["time"][0], times)
    np.testing.assert_array_equal(loaded.index["start"], times[:-3])
    np.testing.assert_array_equal(loaded.source.series[0][:, 0], np.arange(48))
    assert loaded.notes[-1] == (
        "time goes back once in column 'when', at data row 25, from 2014-01-07T02:55:00 to "
        "2014-01-07T02:00:00; rows are kept in the order of the file"
    )


def test_how_often_time_goes_back_is_counted_over_all_series(tmp_path):
    times = np.r_[0:40, 38:80, 78:100]
    rows = [f"{id},{time},{time}\n" for time in times for id in "ba"]
    path = written(tmp_path, "id,t,v\n" + "".join(rows))
    loaded = read_file(path, window=4, time="t")
    told = "; rows are kept in the order of the file"
    back = "time goes back 4 times in column 't', first at data row 81, from 39 to 38"
    assert back + told in loaded.notes
    np.testing.assert_array_equal(loaded.steps["time"], [times, times])
    # Numbers that nobody called times may be anything, such as a temperature called T.
    assert read_file(path, window=4).source.feature_names == ("t", "v")


def test_rows_from_newest_to_oldest_are_reversed_and_labels_with_them(tmp_path):
    days = np.arange("2024-01-01", "2024-01-07", dtype="datetime64[D]")
    rows = [
        f"{id},{day},{i + k},{i % 2}\n" for i, day in enumerate(days) for k, id in enumerate("ab")
    ]
    path = written(tmp_path, "id,date,v,label\n" + "".join(rows[::-1]))
    loaded = read_file(path, window=6)
    assert loaded.series_ids == ["b", "a"]
    np.testing.assert_array_equal(loaded.source[0][:, 0], np.arange(6) + 1)
    np.testing.assert_array_equal(loaded.source[1][:, 0], np.arange(6))
    np.testing.assert_array_equal(loaded.steps["time"], [days, days])
    assert loaded.steps["label"][0].tolist() == [0, 1, 0, 1, 0, 1]
    assert loaded.index["start"].tolist() == [days[0], days[0]]
    assert "time runs from newest to oldest in column 'date': rows are reversed" in loaded.notes
    assert all(one.flags.c_contiguous for one in loaded.source.series)


def test_a_clock_change_in_rows_from_newest_to_oldest(tmp_path):
    times = minutes(*range(60, 180, 5), *range(120, 240, 5))
    loaded = read_file(table_of(tmp_path, times[::-1]), window=4)
    np.testing.assert_array_equal(loaded.steps["time"][0], times)
    np.testing.assert_array_equal(loaded.source.series[0][:, 0], np.arange(48)[::-1])
    assert loaded.notes[-2:] == (
        "time runs from newest to oldest in column 'when': rows are reversed",
        "time goes back once in column 'when', at data row 24, from 2014-01-07T02:55:00 to "
        "2014-01-07T02:00:00; rows are kept in the reversed order",
    )


def test_numbers_that_fall_are_no_clock_even_if_named(tmp_path):
    path = table_of(tmp_path, range(9, 0, -1), "cycles_left")
    back = "time goes back 8 times in column 'cycles_left', first at data row 2, from 9 to 8; if "
    with pytest.raises(InputError, match=f"^{re.escape(f'{path}: {back}')}"):
        read_file(path, window=4, time="cycles_left")


# Five minutes a row, unless said otherwise.
LOGS = {
    "a stray row": np.r_[0:25, 23, 25:50] * 5,
    "ten steps back": np.concatenate([np.r_[i : i + 30, i + 28] for i in range(0, 300, 30)]) * 5,
    "1 % of 2,000 rows": np.concatenate([np.r_[i : i + 99, i + 97] for i in range(0, 1980, 99)])
    * 5,
    "a clock back by a day": np.r_[0:3000, 2712:6000] * 5,
    "a restart in 1970": np.r_[0:3000, -4_000_000:-3_999_990, 3000:4000] * 5,
    "an hour that comes twice, at each minute": np.r_[50:120, 60:130],
}
NOT_LOGS = {
    "two series, one after the other": np.r_[0:50, 3:53] * 5,
    "two series, one after the other, the second one short": np.r_[0:100, 0:5] * 5,
    "two series of an hour": np.r_[0:12, 0:12] * 5,
    "two series by turns": np.stack([np.r_[0:500], np.r_[0:500] - 0.4], axis=1).ravel() * 5,
    "2 % of 1,000 rows": np.concatenate([np.r_[i : i + 49, i + 47] for i in range(0, 980, 49)]) * 5,
    "in disorder": np.random.default_rng(0).permutation(200) * 5,
    "a clock back by a year": np.r_[0:3000, -102_120:-99_000] * 5,
}


@pytest.mark.parametrize("kind", LOGS)
def test_a_clock_set_back_now_and_then_is_read(tmp_path, kind):
    times = minutes(*LOGS[kind].astype(int))
    loaded = read_file(table_of(tmp_path, times), window=4)
    np.testing.assert_array_equal(loaded.steps["time"][0], times)
    assert any(note.startswith("time goes back ") for note in loaded.notes)


@pytest.mark.parametrize("kind", NOT_LOGS)
def test_series_that_nothing_tells_apart_are_refused_with_the_way_out(tmp_path, kind):
    with pytest.raises(InputError, match=r"time goes back .* with `id`; otherwise sort"):
        read_file(table_of(tmp_path, minutes(*NOT_LOGS[kind].astype(int))), window=4)


@pytest.mark.parametrize("rows", [3, 4, 5])
def test_two_short_series_of_every_hour_are_no_rows_from_newest_to_oldest(tmp_path, rows):
    """Backwards, each step would be the hour by which clocks change."""
    hours = minutes(*[60 * i for i in range(rows)] * 2)
    with pytest.raises(InputError, match=r"time goes back once in column 'when'"):
        read_file(table_of(tmp_path, hours), window=2)
