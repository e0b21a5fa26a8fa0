"""Windows by time, dilated windows and gaps, compared with a search over all rows."""

import datetime

import numpy as np
import pandas as pd
import polars as pl
import pytest

from unspool._durations import seconds
from unspool.data.merging import overlap_mean
from unspool.data.windows import Windows
from unspool.errors import InputError

START = np.datetime64("2024-03-01T00:00", "s")


def series_of(steps):
    return np.arange(2.0 * steps).reshape(steps, 2)


def contents(windows):
    values, lengths = windows.take(np.arange(len(windows)))
    return [one[:length].tolist() for one, length in zip(values, lengths, strict=True)]


def searched(series, distances, size, stride, dilation, gap, tail):
    """All windows without a gap by definition; a stride begins anew after each gap."""
    found, begin = [], 0
    ends = [*(np.flatnonzero(np.abs(distances) > gap) + 1).tolist(), len(series)]
    for end in ends:
        span = (size - 1) * dilation + 1
        starts = list(range(begin, end - span + 1, stride))
        if starts and tail and starts[-1] + span < end:
            starts.append(end - span)
        found += [series[start : start + span : dilation].tolist() for start in starts]
        begin = end
    return found


@pytest.mark.parametrize("seed", range(200))
def test_no_window_crosses_a_gap_and_no_other_window_is_missing(seed):
    rng = np.random.default_rng(seed)
    distances = rng.choice([1, 1, 1, 1, 2, 7, 30, -7], rng.integers(4, 60))
    size, stride, dilation = rng.integers(1, [7, 5, 5]).tolist()
    tail = bool(rng.integers(2))
    times = START + np.append(0, np.cumsum(distances)) * np.timedelta64(60, "s")
    series = series_of(len(times))
    expected = searched(series, distances, size, stride, dilation, 2, tail)
    span = (size - 1) * dilation + 1
    arguments = {"tail": tail, "dilation": dilation, "times": times, "max_gap": "2min"}
    if not expected:
        with pytest.raises(InputError, match=r"lies between two gaps|at least"):
            Windows(series, size, stride, **arguments)
        return
    windows = Windows(series, size, stride, **arguments)
    assert contents(windows) == expected
    everything = np.arange(len(windows))
    _, start = windows.place(everything)
    assert (windows.ends_of(everything) - start == span).all()
    for first in start:
        assert (abs(np.diff(times[first : first + span])) <= np.timedelta64(2, "m")).all()
    some = np.random.default_rng(0).permutation(everything)
    taken = [windows[int(i)].tolist() for i in some]
    assert taken == [expected[i] for i in some]


@pytest.mark.parametrize("seed", range(50))
def test_windows_by_time_on_a_regular_series_are_windows_by_steps(seed):
    rng = np.random.default_rng(seed)
    steps, size, stride, dilation = rng.integers([12, 1, 1, 1], [80, 7, 6, 3]).tolist()
    interval = int(rng.choice([1, 7, 60, 600]))
    series = series_of(steps)
    times = START + np.arange(steps) * np.timedelta64(interval, "s")
    by_steps = Windows(series, size, stride, dilation=dilation)
    by_time = Windows(
        series,
        f"{size * dilation * interval}s",
        datetime.timedelta(seconds=stride * interval),
        dilation=dilation,
        times=times,
    )
    assert (by_time.size, by_time.stride) == (size, stride)
    assert contents(by_time) == contents(by_steps)
    assert by_time.max_gap == 2.5 * interval


def test_a_dilation_of_1_changes_nothing():
    series = series_of(30)
    plain, dilated = Windows(series, 5, 3, tail=True), Windows(series, 5, 3, tail=True, dilation=1)
    assert contents(plain) == contents(dilated)
    assert repr(plain) == repr(dilated)


@pytest.mark.parametrize("picked", [slice(None), slice(1, 40, 3), np.array([4, 0, 13])])
def test_an_average_over_dilated_windows_stays_at_the_steps_of_the_series(picked):
    series = [series_of(31), series_of(19) + 500]
    windows = Windows(series, 4, 2, dilation=3)[picked]
    batches = ((part, windows.take(part)[0]) for part in np.array_split(np.arange(len(windows)), 3))
    total = 0
    for mean, one in zip(overlap_mean(windows, batches), series, strict=True):
        covered = np.isfinite(mean[:, 0])
        total += covered.sum()
        np.testing.assert_array_equal(mean[covered], one[covered])
    owner, start = windows.place(np.arange(len(windows)))
    steps = {(i, s + k) for i, s in zip(owner, start, strict=True) for k in (0, 3, 6, 9)}
    assert len(steps) == total


def test_dilated_windows_are_split_without_a_shared_step():
    windows = Windows(series_of(100), 5, dilation=4)
    earlier, later = windows.split(0.3)
    assert windows.ends_of(earlier).max() <= windows.place(later)[1].min()
    assert len(earlier)
    assert len(later)


def test_the_end_of_dilated_windows_is_cut_off_in_dilated_steps():
    windows = Windows(series_of(40), 6, dilation=3)
    shorter = windows.without_end(2)
    np.testing.assert_array_equal(shorter.take([5])[0], windows.take([5])[0][:, :4])
    assert sum(len(chunk) for chunk in shorter.chunks()) == 40 - 2 * 3


def test_statistics_leave_out_parts_that_are_in_no_window():
    times = np.arange(30.0)
    times[20:] += 100
    times[26:] += 100
    series = series_of(30)
    windows = Windows(series, 5, times=times, max_gap=1)
    np.testing.assert_array_equal(np.concatenate(list(windows.chunks())), series[:26])
    windows = Windows(series, 8, times=times, max_gap=1)
    np.testing.assert_array_equal(np.concatenate(list(windows.chunks())), series[:20])


def test_short_parts_between_gaps_are_kept_if_requested():
    times = np.arange(14.0)
    times[5:] += 100
    times[8:] += 100
    series = series_of(14)
    left_out = Windows(series, 5, times=times, max_gap=1)
    assert (left_out.min_length, len(left_out)) == (5, 3)
    kept = Windows(series, 5, times=times, max_gap=1, short="keep")
    assert kept.min_length == 3
    assert contents(kept)[1] == series[5:8].tolist()


def test_the_latest_window_begins_after_the_last_gap():
    times = np.arange(30.0)
    times[24:] += 100
    windows = Windows(series_of(30), 4, dilation=3, times=times, max_gap=1)
    (latest,) = windows.latest()
    np.testing.assert_array_equal(latest, series_of(30)[[26, 29]])
    (latest,) = Windows(series_of(30), 4, dilation=3).latest()
    np.testing.assert_array_equal(latest, series_of(30)[[20, 23, 26, 29]])


def test_times_are_read_from_the_index_of_frames_and_used_only_if_requested():
    index = pd.date_range("2024-01-01", periods=40, freq="10min")
    index = index.where(np.arange(40) < 25, index + pd.Timedelta(days=1))
    frame = pd.DataFrame({"a": np.arange(40.0), "b": 1.0}, index=index)
    assert len(Windows(frame, 6)) == 35  # across the gap, as without times
    by_time = Windows(frame, "1h")
    assert repr(by_time) == (
        "Windows(30 windows of 6 steps, stride 1, over 1 series, 2 features, no gap above 1500 s)"
    )
    expected = contents(by_time)
    numbers = frame.to_numpy()
    tables = pd.concat({"x": frame, "y": frame})
    local = frame.tz_localize("Asia/Tokyo")
    for other, times in (
        (numbers, index),
        (numbers, index.to_series().astype(str).tolist()),
        (numbers, pl.Series(index.to_numpy())),
        (numbers, local.index),
        (numbers, local.index.to_series()),
        (local, None),
        (frame.to_period("10min"), None),
    ):
        assert contents(Windows(other, pd.Timedelta("1h"), times=times)) == expected
    assert contents(Windows(tables, "60 minutes")) == expected + expected
    assert contents(Windows([frame, frame], np.timedelta64(1, "h"))) == expected + expected
    assert contents(Windows([numbers, numbers], "1h", times=[index, index])) == expected + expected
    assert len(Windows(frame, "1h", max_gap=None)) == 35
    assert len(Windows(frame, 6, max_gap="1h")) == 30
    assert len(Windows(numbers, 6, times=index)) == 30


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("6h", 21600),
        ("1.5 h", 5400),
        ("1d12h", 129600),
        ("2 days 30 min", 174600),
        ("250ms", 0.25),
        ("1W", 604800),
        (datetime.timedelta(hours=2), 7200),
        (pd.Timedelta("90s"), 90),
        (np.timedelta64(3, "D"), 259200),
        ("6", None),
        ("h", None),
        ("6 apples", None),
        ("-1h", None),
        ("0s", None),
        ("", None),
        (np.timedelta64(1, "M"), None),
        (np.timedelta64("NaT"), None),
        (6, None),
    ],
)
def test_durations_are_read(text, expected):
    assert seconds(text) == expected


TIMES = START + np.arange(20) * np.timedelta64(60, "s")
IRREGULAR = START + np.cumsum(np.r_[0, np.resize([60, 60, 200], 19)]) * np.timedelta64(1, "s")
REFUSED = [
    ({"size": "6"}, "`size` must be a whole number of steps of at least 1 or a duration above 0"),
    ({"size": "-1h"}, "`size` must be a whole number of steps of at least 1 or a duration above 0"),
    ({"size": 3, "stride": "x"}, "`stride` must be a whole number of steps of at least 1 or a dur"),
    ({"size": 3, "dilation": 0}, "`dilation` must be a whole number of at least 1, got 0."),
    ({"size": 3, "max_gap": "soon"}, "`max_gap` must be a duration above 0 such as '2h', a number"),
    ({"size": 3, "max_gap": -1}, "`max_gap` must be a duration above 0 such as '2h', a number"),
    ({"size": "1h"}, "A window that is a duration needs the times of the steps; give a pand"),
    ({"size": 3, "stride": "1h"}, "A stride that is a duration needs the times of the steps; give"),
    ({"size": 3, "max_gap": "1h"}, "`max_gap` needs the times of the steps; give a pand"),
    ({"size": "1h", "times": np.arange(20)}, "The window is a duration, but the times are numbers"),
    ({"size": 3, "max_gap": "1h", "times": np.arange(20)}, "`max_gap` is a duration, but the"),
    ({"size": "20s", "times": TIMES}, "The window of 20 s is shorter than a step of 60 s (the med"),
    ({"size": "3min", "times": IRREGULAR, "max_gap": None}, "The window is a duration, but "
     "the times are irregular: 32% of their distances differ by more than half from the"),
    ({"size": "3min", "times": TIMES[:1].repeat(20)}, "The window is a duration, but no time is"),
    ({"size": 3, "times": TIMES[:5]}, "Expected `times` of series 0 as 20 dates or numbers, one"),
    ({"size": 3, "times": [TIMES, TIMES]}, "Expected `times` as a list of 1 arrays, one for"),
    ({"size": 3, "times": ["x"] * 20}, "Expected `times` of series 0 as dates or numbers, got ["),
    ({"size": 3, "times": np.full(20, np.nan)}, "`times` of series 0 has no time at step 0; every"),
    ({"size": 3, "times": np.arange(0.0, 60, 3), "max_gap": 1}, "No window of 3 steps lies between "
     "two gaps of more than 1; choose a smaller window or a larger `max_gap`, or keep short parts"),
    ({"size": 3, "times": [[None, []]]}, "Expected numbers in `times` of series 0, but NumPy can"),
    ({"size": 3, "times": "noon"}, "Expected `times` of series 0 as an array, a list of arrays or"),
    ({"size": 3, "breaks": np.array(2)}, "Expected `breaks` as a list of 1 arrays of steps, one "
     "for each series, got array(2)."),
    ({"size": 3, "breaks": [[1], [2]]}, "Expected `breaks` as a list of 1 arrays of steps, one "
     "for each series, got 2."),
    ({"size": 3, "breaks": [[0.5]]}, "Expected `breaks` of series 0 as whole numbers, got [0.5]."),
    ({"size": 3, "breaks": [[[1], [1, 2]]]}, "Expected numbers in `breaks` of series 0, but NumPy"),
    ({"size": 3, "breaks": [[20]]}, "Expected `breaks` of series 0 from 0 to 19, the numbers of "
     "its steps, got 20 to 20."),
    ({"size": 20, "breaks": [[9]]}, "No window of 20 steps lies between two breaks of the series "
     "(gaps in time or missing values); choose a smaller window, or keep short parts as one"),
    ({"size": 5, "dilation": 6}, "Expected a series of at least 25 steps (the window), got 20 in"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_windows_that_cannot_be_cut_are_refused_with_a_reason(arguments, message):
    with pytest.raises(InputError) as caught:
        Windows(series_of(20), **arguments)
    assert str(caught.value).startswith(message)
