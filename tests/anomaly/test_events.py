import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.full_disk import FULL, full_disk
from unspool.anomaly.events import Event, events_table, find_events, write_events
from unspool.errors import InputError

SCORES = np.array([0, 5, 7, 0, 0, 6, 0, 0, 0, 9, 9.0])
LEVELS = np.array([4, 4, 6, 4, 4, 4, 4, 4, 4, 8, 3.0])
PARTS = np.column_stack([np.arange(11.0), np.ones(11), np.zeros(11)])
TIMES = np.datetime64("2014-02-10T00:00") + np.arange(11) * np.timedelta64(5, "m")


def bounds(events):
    return [(one.series, one.start, one.peak, one.end) for one in events]


def found(**named):
    return find_events([SCORES], [LEVELS], [PARTS], names=["pressure", "flow", "heat"], **named)


def test_alarms_less_than_a_gap_apart_are_one_event():
    assert bounds(found(gap=3)) == [(0, 1, 2, 3), (0, 5, 5, 6), (0, 9, 9, 11)]
    assert bounds(found(gap=4)) == [(0, 1, 2, 6), (0, 9, 9, 11)]
    assert bounds(found(gap=5)) == [(0, 1, 9, 11)]
    assert bounds(found()) == [(0, 1, 9, 11)]


def test_an_event_has_the_height_of_its_peak_and_the_threshold_that_it_began_with():
    first, second = found(gap=4)
    assert (first.height, first.threshold) == (7, 4)
    assert (second.height, second.threshold) == (9, 8)


def test_a_score_equal_to_its_threshold_is_neither_alarm_nor_peak():
    assert find_events([[4.0, 4.0]], [4.0]) == []
    (event,) = find_events([[5.0, 4.0, 6.0]], [[4.0, 4.0, 4.0]], gap=5)
    assert (event.start, event.peak, event.end, event.height) == (0, 2, 3, 6)


def test_an_event_lasts_while_the_score_is_above_the_threshold_that_it_began_with():
    scores = np.array([1, 5, 7, 9, 6, 5, 4, 6, 1.0])
    level = np.array([4, 4, 8, 8, 8, 8, 8, 8, 8.0])
    assert bounds(find_events([scores], [level], gap=1)) == [(0, 1, 3, 6)]
    assert bounds(find_events([scores], [np.r_[level[:7], 5, 8]], gap=3)) == [(0, 1, 3, 8)]
    assert bounds(find_events([scores], [np.r_[level[:7], 5, 8]], gap=1)) == [
        (0, 1, 3, 6),
        (0, 7, 7, 8),
    ]


def test_features_are_shares_over_all_steps_of_the_event_the_largest_first():
    (event,) = found()
    shares = {"pressure": 5.5 / 6.5, "flow": 1 / 6.5, "heat": 0}  # means of steps 1 to 10
    assert dict(event.features) == pytest.approx(shares)
    assert [name for name, _ in event.features] == ["pressure", "flow", "heat"]
    assert sum(share for _, share in event.features) == pytest.approx(1)
    (event,) = find_events([[0, 5.0]], [1], [[[1, 1], [0.5, 1.5]]])
    assert event.features == (("feature 1", 0.75), ("feature 0", 0.25))
    (event,) = find_events([[5.0]], [1], [[[0, 0]]])
    assert event.features == ()


def test_events_of_several_series_have_the_number_of_their_series():
    events = find_events([SCORES, [], [9.0]], [LEVELS, [], 1.0], gap=2)
    assert bounds(events)[-1] == (2, 0, 0, 1)
    assert {one.series for one in events[:-1]} == {0}


def test_a_table_has_the_last_step_of_an_event_as_its_end():
    table = events_table(found(gap=4))
    assert list(table) == ["start", "peak", "end", "steps", "height", "threshold", "features"]
    rows = [tuple(values[i] for values in table.values()) for i in range(2)]
    assert rows[0] == (1, 2, 5, 5, 7, 4, "pressure 75 %, flow 25 %, heat 0 %")
    assert rows[1][:4] == (9, 9, 10, 2)


def test_a_table_has_times_and_the_names_of_series():
    events = find_events([SCORES, [0.0, 9.0]], [LEVELS, 1.0], gap=4)
    times = [TIMES, np.array(["2020-01-01", "2020-01-02"], "datetime64[D]")]
    table = events_table(events, times, ["north", "south"])
    assert table["series"].tolist() == ["north", "north", "south"]
    assert table["end"].tolist() == [
        pd.Timestamp("2014-02-10 00:25"),
        pd.Timestamp("2014-02-10 00:50"),
        pd.Timestamp("2020-01-02"),
    ]
    assert table["steps"].tolist() == [5, 2, 1]


def test_a_csv_file_has_the_columns_of_the_table(tmp_path):
    write_events(found(gap=4), tmp_path / "events.csv", times=[TIMES])
    assert (tmp_path / "events.csv").read_text() == (
        "start,peak,end,steps,height,threshold,features\n"
        '2014-02-10 00:05:00,2014-02-10 00:10:00,2014-02-10 00:25:00,5,7,4,'
        '"pressure 75 %, flow 25 %, heat 0 %"\n'
        '2014-02-10 00:45:00,2014-02-10 00:45:00,2014-02-10 00:50:00,2,9,8,'
        '"pressure 90 %, flow 10 %, heat 0 %"\n'
    )  # fmt: skip


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (TIMES, "2014-02-10T00:05:00"),
        (TIMES.astype("datetime64[ns]"), "2014-02-10T00:05:00"),
        (TIMES.astype("datetime64[ns]") + 1, "2014-02-10T00:05:00.000000001"),
        (
            pd.date_range("2014-02-10", periods=11, freq="5min", tz="UTC"),
            "2014-02-10T00:05:00+00:00",
        ),
        (np.arange(11) / 2, 0.5),
    ],
)
def test_a_json_file_has_an_object_for_each_event(tmp_path, times, expected):
    write_events(found(gap=4), tmp_path / "events.json", times=[times], series=["Süd"])
    text = (tmp_path / "events.json").read_text(encoding="utf-8")
    assert '"series": "Süd"' in text
    first, second = json.loads(text)
    features = first.pop("features")
    assert first.pop("start") == expected
    assert {first.pop("peak"), first.pop("end")}.isdisjoint({expected})
    assert first == {"series": "Süd", "steps": 5, "height": 7.0, "threshold": 4.0}
    assert features == [
        {"name": "pressure", "share": 0.75},
        {"name": "flow", "share": 0.25},
        {"name": "heat", "share": 0.0},
    ]
    assert second["steps"] == 2


def test_no_events_are_a_table_of_the_same_columns(tmp_path, capsys):
    write_events([], tmp_path / "events.csv", times=[TIMES], series=["a"])
    header = "series,start,peak,end,steps,height,threshold,features\n"
    assert (tmp_path / "events.csv").read_text() == header
    table, full = events_table([], [TIMES]), events_table(found(), [TIMES])
    assert {name: one.dtype.kind for name, one in table.items()} == {
        name: one.dtype.kind for name, one in full.items()
    }
    write_events([], tmp_path / "events.json")
    assert json.loads((tmp_path / "events.json").read_text()) == []
    write_events([], None)
    assert capsys.readouterr().out == "start,peak,end,steps,height,threshold,features\n"


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_a_failed_write_leaves_the_old_file_and_no_partial_one(tmp_path, ending):
    path = tmp_path / f"events.{ending}"
    path.write_text("before")
    with full_disk(), pytest.raises(InputError, match=FULL):
        write_events(found() * 60, path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def event(**changed):
    return replace(Event(0, 1, 1, 3, height=1.0, threshold=0.5), **changed)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: find_events([[1.0, np.nan]], [0.0]),
            "Expected finite numbers in the scores of series 0, got nan at step 1",
        ),
        (lambda: find_events([[1.0]], []), "Expected thresholds of 1 series, got thresholds of 0."),
        (
            lambda: find_events([[1.0]], [0.0], []),
            "Expected contributions of 1 series, got contributions of 0.",
        ),
        (
            lambda: find_events([[1.0]], [[0.0, 1.0]]),
            "Expected thresholds of shape (1,) like the scores of series 0, got (2,).",
        ),
        (
            lambda: find_events([[1.0, 2.0]], [[0.0, np.inf]]),
            "Expected finite numbers in the thresholds of series 0, got inf at step 1",
        ),
        (
            lambda: find_events([[1.0, 2.0]], [0.0], [[1.0, 2.0]]),
            "Expected contributions of shape (2, F) like the scores of series 0, got (2,).",
        ),
        (
            lambda: find_events([[1.0]], [0.0], [[["x"]]]),
            "Expected real numbers in the contributions of series 0, got dtype <U1; convert text "
            "to numbers with X.astype(float).",
        ),
        (
            lambda: find_events([[1.0]], [0.0], [[[1.0, -1.0]]]),
            "Expected contributions of 0 or more, got -1.0 at step 0, feature 1 of series 0.",
        ),
        (
            lambda: find_events([[1.0]], [0.0], [[[1.0, 1.0]]], names=["a"]),
            "Expected 2 feature names, got 1: ['a'].",
        ),
        (
            lambda: find_events([[1.0]], [0.0], gap=-1),
            "`gap` must be a whole number of at least 0, got -1.",
        ),
        (
            lambda: events_table([event(series=1)]),
            "An event belongs to series 1, but `series` names 0 series; name all of them.",
        ),
        (
            lambda: events_table([event(series=2)], series=["a", "b"]),
            "An event belongs to series 2, but `series` names 2 series; name all of them.",
        ),
        (
            lambda: events_table([event()], times=[TIMES[:2]]),
            "An event of series 0 ends at step 3, but `times` has 2 steps of that series; pass the "
            "times of all steps.",
        ),
        (
            lambda: events_table([event()], times=[]),
            "An event of series 0 ends at step 3, but `times` has 0 steps of that series; pass the "
            "times of all steps.",
        ),
        (
            lambda: write_events([], "events.txt"),
            "events.txt: unknown ending '.txt': known are '.csv', '.json'.",
        ),
        (
            lambda: write_events([], "/nowhere/events.json"),
            "/nowhere/events.json: there is no folder /nowhere; make it first.",
        ),
    ],
)
def test_arguments_that_do_not_match_are_refused(call, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        call()
