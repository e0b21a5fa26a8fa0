"""Missing values of a file are dropped, interpolated or refused, and gaps in time end windows."""

from pathlib import Path

import numpy as np
import pytest

from unspool import interpolate_missing, read_file
from unspool.data.gaps import gaps_in, spelled
from unspool.errors import InputError

HOUR = np.timedelta64(1, "h")
START = np.datetime64("2021-03-01T00:00:00")


def written(path: Path, times, values, *, name: str = "heat") -> Path:
    lines = [
        f"time,{name},speed",
        *(f"{t},{v},{i}" for i, (t, v) in enumerate(zip(times, values, strict=True))),
    ]
    path.write_text("\n".join(lines).replace("T", " ") + "\n")
    return path


def hourly(steps: int, *, gap_at: int | None = None, hours: int = 9):
    times = START + np.arange(steps) * HOUR
    if gap_at is not None:
        times[gap_at:] += hours * HOUR
    return times


@pytest.mark.parametrize("word", ["?", "-", "--", ".", "NA", "n/a", "None", "#N/A", ""])
def test_usual_words_in_a_column_of_numbers_are_missing_values(tmp_path, word):
    values = [1.5, word, 3.5, *range(4, 20)]
    path = written(tmp_path / "a.csv", hourly(len(values)), values)
    with pytest.raises(InputError, match=r"'heat' has no value in data row 2 .*1 missing in total"):
        read_file(path, window=4)
    data = read_file(path, window=4, missing="interpolate")
    assert data.source.series[0][1, 0] == 2.5
    assert "missing values interpolated by time: 1 in heat" in data.notes


def test_texts_of_the_user_are_missing_values_too(tmp_path):
    path = written(tmp_path / "a.csv", hourly(12), [1.0, "bad", *range(10)])
    data = read_file(path, window=4, missing="mask", missing_values=["bad"])
    assert np.isnan(data.source.series[0][1, 0])
    assert any("are missing values: 1 in heat" in note for note in data.notes)


def test_values_are_interpolated_by_time_and_not_by_row(tmp_path):
    times = np.array([START, START + HOUR, START + 4 * HOUR, START + 5 * HOUR])
    path = written(tmp_path / "a.csv", times, [0.0, "", 4.0, 5.0])
    data = read_file(path, window=2, missing="interpolate")
    assert data.source.series[0][:, 0].tolist() == [0.0, 1.0, 4.0, 5.0]


@pytest.mark.parametrize("at", [[0], [19], [5, 6, 7]])
def test_runs_above_the_limit_and_at_the_ends_are_refused_with_their_place(tmp_path, at):
    values = [*map(float, range(20))]
    for i in at:
        values[i] = ""
    path = written(tmp_path / "a.csv", hourly(20), values)
    with pytest.raises(
        InputError, match=f"{len(at)} missing value.*cannot be interpolated.*'heat'"
    ):
        read_file(path, window=4, missing="interpolate", interpolate_limit=2)


def test_dropped_steps_keep_times_and_labels_and_end_windows(tmp_path):
    path = tmp_path / "a.csv"
    lines = [f"{t},{'' if i in (5, 9) else i},{i % 2}" for i, t in enumerate(hourly(20))]
    path.write_text("\n".join(["time,heat,label", *lines]) + "\n")
    data = read_file(path, window=4, missing="drop")
    assert len(data.steps["time"][0]) == len(data.steps["label"][0]) == 18
    assert data.steps["label"][0].tolist() == [i % 2 for i in range(20) if i not in (5, 9)]
    firsts = [int(data.source[i][0, 0]) for i in range(len(data.source))]
    assert firsts == [0, 1, *range(10, 17)]
    assert any(note.startswith("2 steps with a missing value left out") for note in data.notes)


def test_a_file_without_any_complete_step_cannot_be_dropped(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("time,a,b\n" + "".join(f"{i},{i},\n" for i in range(9)))
    with pytest.raises(InputError, match="every step has a missing value"):
        read_file(path, window=2, missing="drop", columns=["a", "b"])


def test_numbers_that_look_like_codes_are_reported_and_not_changed(tmp_path):
    values = [*np.sin(np.arange(40)), -200, -200]
    data = read_file(written(tmp_path / "a.csv", hourly(42), values), window=4)
    assert (data.source.series[0][:, 0] == -200).sum() == 2
    assert any("give missing_values=[-200] (--missing -200)" in note for note in data.notes)
    path = written(tmp_path / "b.csv", hourly(42), [*np.arange(-210, -170), -200, -200])
    assert not any("missing_values" in note for note in read_file(path, window=4).notes)


def test_windows_do_not_cross_a_gap_in_regular_times(tmp_path):
    path = written(tmp_path / "a.csv", hourly(40, gap_at=20), range(40))
    data = read_file(path, window=8)
    assert len(data.source) == 26
    assert any(
        note.startswith("1 gap in time longer than 2h30min of 10h after 2021-03-01T19:00:00")
        for note in data.notes
    )
    assert len(read_file(path, window=8, max_gap=None).source) == 33
    assert data.source.max_gap is None


def test_a_missing_row_is_no_gap():
    times = np.delete(hourly(40), 20)
    assert gaps_in([times]) is None


def test_gaps_that_recur_and_irregular_times_end_no_window():
    hours = hourly(24 * 60)
    weekday = (hours.astype("datetime64[D]").astype(int) - 4) % 7 < 5
    assert gaps_in([hours[weekday]]) is None  # weekends
    days = START.astype("datetime64[D]") + np.arange(365)
    assert gaps_in([days[np.arange(365) % 7 < 5]]) is None  # business days
    months = np.arange("2000-01", "2010-01", dtype="datetime64[M]").astype("datetime64[D]")
    assert gaps_in([months]) is None
    irregular = START + np.cumsum(np.random.default_rng(0).integers(1, 90, 200)) * HOUR
    assert gaps_in([irregular]) is None
    assert gaps_in([np.r_[np.arange(9.0), 99.0]]) is None  # numbers


def test_a_gap_that_is_longer_than_recurring_ones_ends_windows():
    hours = hourly(24 * 60)
    weekday = (hours.astype("datetime64[D]").astype(int) - 4) % 7 < 5
    times = np.delete(hours[weekday], slice(500, 700))
    found = gaps_in([times])
    assert found is not None
    assert found.count == 1


def test_gaps_between_which_no_window_fits_are_ignored_with_a_warning(tmp_path):
    path = written(tmp_path / "a.csv", hourly(40, gap_at=20), range(40))
    data = read_file(path, window=30)
    assert len(data.source) == 11
    assert any("no window of 30 steps lies between two of them" in note for note in data.notes)


def test_series_in_memory_are_interpolated():
    X = np.array([[1.0, np.nan], [np.nan, 5.0], [3.0, np.nan], [np.nan, 7.0]])
    filled = interpolate_missing(X)
    np.testing.assert_array_equal(filled, [[1, np.nan], [2, 5], [3, 6], [np.nan, 7]])
    first, second = interpolate_missing([X, X[:, 0]], limit=1)
    assert (first[1, 0], second[1, 0]) == (2, 2)
    with pytest.raises(InputError, match="`limit`"):
        interpolate_missing(X, limit=0)


def test_durations_are_spelled_as_arguments():
    assert [spelled(one) for one in (9000, 32400, 1.5, 194400)] == ["2h30min", "9h", "1.5s", "2d6h"]
