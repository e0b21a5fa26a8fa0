"""Events from labels, and labels from time windows."""

import datetime
import json

import numpy as np
import pandas as pd
import polars as pl
import pytest

from unspool.errors import InputError
from unspool.evaluation import events_of, labels_from_windows

TIMES = ["2014-04-10 00:00:00", "2014-04-10 00:05:00", "2014-04-10 00:10:00", "2014-04-11"]


@pytest.mark.parametrize(
    ("labels", "events"),
    [
        ([], []),
        ([0], []),
        ([1], [(0, 1)]),
        ([1, 0, 0, 1], [(0, 1), (3, 4)]),
        ([0, 1, 1, 0, 1, 0], [(1, 3), (4, 5)]),
        ([True, True], [(0, 2)]),
    ],
)
def test_events_are_runs_of_ones(labels, events):
    found = events_of(np.array(labels))
    assert found.dtype == np.int64
    assert found.shape == (len(events), 2)
    assert [tuple(event) for event in found] == events


def test_labels_of_several_series_are_refused():
    with pytest.raises(InputError, match="`labels` of one series, got labels of 2 series"):
        events_of([[0, 1], [1, 0]])


def as_stamps(times):
    return [datetime.datetime.fromisoformat(time) for time in times]


@pytest.mark.parametrize(
    "read",
    [
        list,
        np.array,
        lambda times: np.array(times, "datetime64[s]"),
        as_stamps,
        lambda times: pd.to_datetime(times, format="ISO8601"),
        lambda times: pd.Series(pd.to_datetime(times, format="ISO8601"), dtype=object),
        lambda times: pl.Series(as_stamps(times)),
    ],
)
def test_steps_in_windows_as_nab_writes_them_are_ones(read):
    windows = json.loads(
        '[["2014-04-10 00:05:00.000000", "2014-04-10 00:07:00.000000"],'
        ' ["2014-04-10 00:10:00.000000", "2014-04-11 00:00:00.000000"]]'
    )
    labels = labels_from_windows(read(TIMES), windows)
    assert labels.dtype == np.int64
    assert labels.tolist() == [0, 1, 1, 1]  # both ends belong to a window


def test_windows_may_be_numbers_or_dates_overlap_or_be_empty():
    assert labels_from_windows(np.arange(6), [(1, 2), (2, 3.5)]).tolist() == [0, 1, 1, 1, 0, 0]
    day = datetime.date(2014, 4, 11)
    assert labels_from_windows(TIMES, [(day, day)]).tolist() == [0, 0, 0, 1]
    assert labels_from_windows(TIMES, []).tolist() == [0, 0, 0, 0]
    assert labels_from_windows([], []).tolist() == []


@pytest.mark.parametrize(
    ("times", "windows", "message"),
    [
        (TIMES, [("2014-04-10 00:06", "2014-04-10 00:07")], "No step lies in the window from"),
        ([], [(1, 2)], "`times` are empty"),
        (TIMES, [("2014-04-11", "2014-04-10")], "must not end before it starts"),
        (TIMES, [(1, 2)], "the same kind, got dates and numbers"),
        ([1, 2], [TIMES[:2]], "the same kind, got numbers and dates"),
        (TIMES, [TIMES[:3]], r"pairs of start and end, got shape \(1, 3\)"),
        (TIMES, TIMES[:2], r"pairs of start and end, got shape \(2,\)"),
        ([TIMES], [TIMES[:2]], r"`times` must be of shape \(T,\), got shape \(1, 4\)"),
        (["yesterday"], [], "`times` must be in ISO 8601.*got 'yesterday'"),
        (["2014-04-10T00:00Z"], [], "`times` must not have a time zone"),
        (pd.date_range("2024", periods=2, tz="UTC"), [], "`times` must not have a time zone"),
        ([1.0, np.nan], [], "`times` must not have missing values, got nan"),
        (
            pd.to_datetime(["2024", None], format="%Y"),
            [],
            "`times` must not have missing values, got NaT",
        ),
        (
            [datetime.datetime(2024, 1, 1), pd.NaT],
            [],
            "`times` must not have missing values, got NaT",
        ),
        ([None, TIMES[0]], [], "`times` must be dates, strings in ISO 8601 or numbers, got None"),
        ([1j], [], "`times` must be dates, strings in ISO 8601 or numbers, got complex128"),
    ],
)
def test_unusable_times_and_windows_are_refused(times, windows, message):
    with pytest.raises(InputError, match=message):
        labels_from_windows(times, windows)
