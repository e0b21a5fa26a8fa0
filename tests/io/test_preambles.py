"""Files whose first lines give the start, the sampling rate or the format are read by them."""

import numpy as np
import pytest

from unspool import read_file
from unspool.errors import InputError


def read(folder, text, name="table.csv", **options):
    path = folder / name
    path.write_text(text)
    return read_file(path, window=2, **options)


def test_computed_times_do_not_drift_with_the_number_of_rows(tmp_path):
    data = read(tmp_path, "1675077600.0\n64.0\n" + "0.5\n1.5\n" * 32_000)
    times = data.steps["time"][0]
    assert times[-1] - times[0] == np.timedelta64(999_984_375, "us")
    assert len(times) == 64_000


def test_a_skip_of_the_user_counts_more_than_a_start_and_a_rate(tmp_path):
    data = read(tmp_path, "1675077600.0\n4.0\n0.5\n1.5\n2.5\n", skip=0, header=0)
    assert data.source.series[0].shape == (5, 1)
    assert "time" not in data.steps


@pytest.mark.parametrize(
    "text",
    [
        "1675077600.0\n1675077601.0\n1675077602.0\n1675077603.0\n",  # times alone
        "1675077600.0\n0.0\n0.5\n1.5\n2.5\n",  # no rate
        "50.0\n4.0\n0.5\n1.5\n2.5\n",  # no start
        "1675077600.0,5.0\n4.0,4.0\n0.5,1.5\n2.5,3.5\n",  # a start in one column only
    ],
)
def test_other_first_rows_are_data(tmp_path, text):
    rows = text.count("\n")
    data = read(tmp_path, f"a,b\n{text}" if "," in text else f"a\n{text}", columns=["a"])
    assert len(data.source.series[0]) == rows
    data = read(tmp_path, text, columns=["0"])
    assert len(data.source.series[0]) == rows


def test_seconds_that_fall_do_not_follow_from_a_start_in_the_header(tmp_path):
    data = read(tmp_path, "1675077600.0, IBI\n1.0,0.5\n0.5,0.6\n0.7,0.5\n0.9,0.4\n")
    assert "time" not in data.steps
    assert data.source.series[0].shape == (4, 2)


def test_several_segments_of_labview_are_refused(tmp_path):
    block = "Channels\t1\t\n***End_of_Header***\t\t\nX_Value\tVoltage\tComment\n0.0\t1.5\t\n"
    text = "LabVIEW Measurement\t\nSeparator\tTab\n***End_of_Header***\t\n" + block + block
    with pytest.raises(InputError, match=r"several segments, of which the second begins above"):
        read(tmp_path, text, "two.lvm")


def test_labview_may_separate_by_commas_and_leave_out_the_times(tmp_path):
    text = (
        "LabVIEW Measurement\nSeparator,Comma\nDecimal_Separator,.\nX_Columns,No\n"
        "***End_of_Header***\nChannels,1\nDate,2023/01/30\nTime,11:20:00.5\nX0,0.25\n"
        "Delta_X,0.5\n***End_of_Header***\nX_Value,Voltage,Comment\n,1.5\n,2.5\n,3.5\n"
    )
    data = read(tmp_path, text, "one.lvm")
    times = data.steps["time"][0]
    assert times[0] == np.datetime64("2023-01-30T11:20:00.75")
    assert times[-1] == np.datetime64("2023-01-30T11:20:01.75")
    assert data.source.series[0].ravel().tolist() == [1.5, 2.5, 3.5]


def test_a_repeated_header_leaves_other_texts_in_columns_of_numbers_to_the_error(tmp_path):
    rows = "1,2\n3,4\n5,6\n"
    data = read(tmp_path, f"a,b\n{rows}a,b\n{rows}")
    assert data.source.series[0].tolist() == [[1, 2], [3, 4], [5, 6]] * 2
    with pytest.raises(InputError, match="mixes numbers and text, 'broken' in data row 4"):
        read(tmp_path, f"a,b\n{rows}broken,6\na,b\n{rows}")


def test_a_word_for_a_sum_is_left_out_below_dates_and_numbers_only(tmp_path):
    data = read(tmp_path, "a,b\n1,2\n3,4\n5,6\n7,8\nMean:,5\n")
    assert data.source.series[0].tolist() == [[1, 2], [3, 4], [5, 6], [7, 8]]
    data = read(tmp_path, "name,b\nbest,2\nworst,4\nmean,6\nmax,8\n", id="name", short="keep")
    assert len(data.source.series) == 4


@pytest.mark.parametrize(
    "lines",
    [
        ["Date\t2023/13/41", "Time\t12:00:00", "X0\t0"],
        ["Date\t2023/11/04", "Time\t25:61:61", "X0\t0"],
        ["Date\t2023/11/04", "Time\t12:00:00", "X0\tinf"],
    ],
)
def test_a_header_of_labview_with_impossible_times_is_no_traceback(tmp_path, lines):
    end = "***End_of_Header***"
    head = ["LabVIEW Measurement\t", "Separator\tTab", "X_Columns\tNo", end, "Channels\t1"]
    path = tmp_path / "a.lvm"
    rows = [f"\t{i}.5" for i in range(6)]
    path.write_text("\n".join([*head, *lines, "Delta_X\t0.1", end, "X_Value\tVolt", *rows]) + "\n")
    found = read_file(path, window=2)
    assert list(found.source.feature_names) == ["Volt"]
    assert len(found.source) == 5


@pytest.mark.parametrize("rate", ["1e-300", "nan"])
def test_an_impossible_rate_in_the_second_line_is_a_value(tmp_path, rate):
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["1500000000", rate, *map(str, range(6))]) + "\n")
    notes = read_file(path, window=2, missing="mask").notes
    assert not any("as the start" in note for note in notes)


def test_text_far_below_seconds_since_the_start_is_reported(tmp_path):
    path = tmp_path / "a.csv"
    rows = [f"{i}.5,0.8" for i in range(5000)]
    path.write_text("\n".join(["1500000000, IBI", *rows, "end,0.8"]) + "\n")
    with pytest.raises(InputError, match="'end' in data row 5001"):
        read_file(path, window=2)


def test_values_as_large_as_the_first_are_no_samples_after_a_start(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("1500000000\n60\n" + "1500000060\n61\n" * 5)
    assert not any("as the start" in note for note in read_file(path, window=2).notes)
