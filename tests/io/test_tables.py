import re

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from unspool.data.sequences import Sequences
from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.io.files import read_file
from unspool.io.long_tables import sequences_from_table

OTHERS = "or leave the column out with `drop=['{}']`."
WAY_OUT = f"; correct such rows, {OTHERS}"


def no_value(column, row):
    """Return the message on the only missing value of a file."""
    return (
        f"column {column!r} has no value in data row {row} (its cell is empty or a word such as NA "
        f"or ?); 1 missing in total: 1 in {column}. Give missing='interpolate' (--on-missing "
        "interpolate), missing='drop' (--on-missing drop) or missing='mask' (--on-missing mask), "
        f"{OTHERS.format(column)}"
    )


def written(tmp_path, text):
    path = tmp_path / "a.csv"
    path.write_text(text)
    return path


def refused(path, text, **arguments):
    with pytest.raises(InputError, match=f"^{re.escape(f'{path}: {text}')}$"):
        read_file(path, **arguments)


def test_one_series_is_cut_into_windows_that_start_at_times(tmp_path):
    days = np.arange("2024-01-01", "2024-01-07", dtype="datetime64[D]")
    rows = "".join(f"{day},{i},{i * 0.5},{i % 2}\n" for i, day in enumerate(days))
    loaded = read_file(written(tmp_path, "date,a,b,label\n" + rows), window=3, stride=2)
    assert isinstance(loaded.source, Windows)
    assert loaded.source.feature_names == ("a", "b")
    np.testing.assert_array_equal(loaded.source[1], [[2, 1], [3, 1.5], [4, 2]])
    assert list(loaded.index) == ["start", "label"]
    np.testing.assert_array_equal(loaded.index["start"], days[[0, 2]])
    assert loaded.index["label"].tolist() == [0, 0]  # of steps 2 and 4
    np.testing.assert_array_equal(loaded.steps["time"][0], days)
    assert loaded.steps["label"][0].tolist() == [0, 1, 0, 1, 0, 1]
    assert loaded.series_ids is None
    assert loaded.notes[-1] == "the label of a window is the one at its last step"


def test_without_a_time_windows_start_at_numbers(tmp_path):
    loaded = read_file(written(tmp_path, "a,b\n1,2\n3,4\n5,6\n"), window=2)
    assert loaded.index["start"].tolist() == [0, 1]
    assert loaded.steps == {}


def test_one_series_that_nothing_cuts_is_refused(tmp_path):
    refused(
        written(tmp_path, "a\n" + "1\n" * 1234),
        "the table is one series of 1,234 steps; cut it into windows, for example with "
        "`window=96`, or, if each row is a sequence, give `rows=True`.",
    )


@pytest.mark.parametrize("mixed", [False, True])
def test_an_id_makes_sequences_in_the_order_of_first_appearance(tmp_path, mixed):
    rows = ["z,0,1", "z,1,2", "z,2,3", "a,0,4", "a,1,5"]
    rows = [rows[i] for i in (0, 3, 1, 2, 4)] if mixed else rows
    loaded = read_file(written(tmp_path, "id,t,v\n" + "\n".join(rows) + "\n"))
    assert isinstance(loaded.source, Sequences)
    assert loaded.source.lengths.tolist() == [3, 2]
    np.testing.assert_array_equal(loaded.source.values[:, :, 0], [[1, 2, 3], [4, 5, 0]])
    assert loaded.source.feature_names == ("v",)
    assert list(loaded.index) == ["id"]
    assert loaded.index["id"].tolist() == ["z", "a"]
    assert loaded.series_ids == ["z", "a"]
    assert [one.tolist() for one in loaded.steps["time"]] == [[0, 1, 2], [0, 1]]
    assert loaded.notes[-1] == "2 series, by column 'id'"


@pytest.mark.parametrize("mixed", [False, True])
def test_windows_of_several_series_carry_id_time_and_label(tmp_path, mixed):
    rows = ["7,10,1,x", "7,11,2,y", "7,12,3,x", "3,5,4,u", "3,6,5,v"]
    rows = [rows[i] for i in (0, 3, 1, 2, 4)] if mixed else rows
    path = written(tmp_path, "unit,cycle,v,class\n" + "\n".join(rows) + "\n")
    loaded = read_file(path, window=2)
    values, _ = loaded.source.take(np.arange(3))
    np.testing.assert_array_equal(values[:, :, 0], [[1, 2], [2, 3], [4, 5]])
    assert {name: column.tolist() for name, column in loaded.index.items()} == {
        "id": [7, 7, 3],
        "start": [10, 11, 5],
        "label": ["y", "x", "v"],
    }
    assert [one.tolist() for one in loaded.steps["label"]] == [["x", "y", "x"], ["u", "v"]]


@pytest.mark.parametrize(
    ("labels", "kept", "note"),
    [
        ("xxyy", ["x", "y"], "the label of a series is constant"),
        ("xzyy", ["z", "y"], "the label of a series is the one at its last step"),
    ],
)
def test_the_label_of_a_series(tmp_path, labels, kept, note):
    rows = "".join(f"{i},{label},1\n" for i, label in zip("aabb", labels, strict=True))
    loaded = read_file(written(tmp_path, "id,label,v\n" + rows))
    assert loaded.index["label"].tolist() == kept
    assert loaded.notes[-1] == note


def test_rows_are_sequences_and_empty_ends_are_padding(tmp_path):
    text = "name,date,s0,s1,s2,label\nu,2024-02-01,1,2,3,a\nv,2024-01-01,4,,,b\n"
    loaded = read_file(written(tmp_path, text), rows=True, id="name")
    assert loaded.source.lengths.tolist() == [3, 1]
    np.testing.assert_array_equal(loaded.source.values[:, :, 0], [[1, 2, 3], [4, 0, 0]])
    assert loaded.source.feature_names is None
    assert list(loaded.index) == ["id", "time", "label"]
    assert loaded.index["id"].tolist() == ["u", "v"]
    assert loaded.index["label"].tolist() == ["a", "b"]
    assert loaded.index["time"][0] == np.datetime64("2024-02-01")
    assert loaded.notes[-1] == "each of 2 rows read as a sequence of one feature"


def test_an_empty_cell_within_a_row_is_refused(tmp_path):
    path = written(tmp_path, "s0,s1,s2\n1,2,3\n1,,3\n")
    refused(path, no_value("s1", 2), rows=True)


@pytest.mark.parametrize(
    ("cell", "told"),
    [("", "is empty"), ("NaN", "is empty"), ("inf", "holds inf"), ("-inf", "holds -inf")],
)
def test_a_value_that_is_not_finite_is_reported_with_its_place(tmp_path, cell, told):
    path = written(tmp_path, f"a,b\n1,2\n3,4\n5,{cell}\n")
    infinite = "inf" in told
    message = (
        f"column 'b' {told} in data row 3{WAY_OUT.format('b')}" if infinite else no_value("b", 3)
    )
    refused(path, message, window=1)


def test_nan_in_parquet_is_a_missing_value(tmp_path):
    pq.write_table(pa.table({"a": [1.0, np.nan]}), tmp_path / "a.parquet")
    refused(tmp_path / "a.parquet", no_value("a", 2), window=1)


def test_columns_without_numbers_are_refused_with_an_example_and_advice(tmp_path):
    way_out = "leave the column out with `drop=['b']`, or name it with `time`, `id` or `label`."
    text = f"column 'b' contains text such as 'red', not numbers; {way_out}"
    path = written(tmp_path, "a,b\n1,red\n2,blue\n")
    refused(path, text, window=1, columns=["a", "b"])
    text = (
        "column 'b' mixes numbers and text, 'x1' in data row 3; correct the file, or give "
        f"`missing_values=['x1']` if it means that a value is missing, or {way_out}"
    )
    refused(written(tmp_path, "a,b\n1,5\n2,6\n3,x1\n4,?\n"), text, window=1)
    text = f"column 'b' contains date32[day] such as '2024-01-01', not numbers; {way_out}"
    path = written(tmp_path, "date,b,v\n2024-01-01,2024-01-01,1\n2024-01-02,2024-01-02,1\n")
    refused(path, text, window=1, columns=["b"])


def test_a_text_column_may_be_left_out(tmp_path):
    loaded = read_file(written(tmp_path, "a,b\n1,red\n2,blue\n"), window=1, columns=["a"])
    assert loaded.notes == (
        "columns that are not in `columns` are left out: b",
        "1 column as feature: a",
    )


def test_every_row_needs_its_series(tmp_path):
    path = written(tmp_path, "unit,v\n1,1\n1,2\n,3\n")
    refused(
        path,
        ("id column 'unit' is empty in data row 3; fill it, since every row belongs to a series."),
    )


def test_texts_that_are_no_times_are_copied_and_steps_are_not_ordered_by_them(tmp_path):
    loaded = read_file(written(tmp_path, "when,v\nnoon,1\nnight,2\n"), time="when", window=1)
    assert "time" not in loaded.steps
    assert loaded.time_format.written(None, np.arange(2)).to_pylist() == ["noon", "night"]
    assert loaded.notes[2] == (
        "column 'when' is 'noon' in data row 1, which cannot be read as a time: it is copied to "
        "outputs, but steps are not ordered by it; use --date-format or correct the file"
    )
    path = written(tmp_path, "id,t,v\na,0,1\na,1,2\nb,,3\n")
    assert "column 't' is empty in data row 3" in "".join(read_file(path, window=1).notes)
    refused(
        path,
        "windows are to be cut by time, but column 't' is empty in data row 3, which cannot be "
        "read as a time: it is copied to outputs, but steps are not ordered by it; use "
        "--date-format or correct the file; or give `window` and `stride` as numbers of steps.",
        window="1h",
    )


def test_truth_values_whole_numbers_and_fractions_become_one_float64_array(tmp_path):
    loaded = read_file(written(tmp_path, "a,b,c\n1,true,0.1\n2,false,7\n"), window=1)
    (series,) = loaded.source.series
    assert series.dtype == np.float64
    assert series.flags.c_contiguous
    np.testing.assert_array_equal(series, [[1, 1, 0.1], [2, 0, 7]])


def test_series_that_lie_together_are_views_of_one_array(tmp_path):
    loaded = read_file(written(tmp_path, "id,v\na,1\na,2\nb,3\n"), window=1)
    first, second = loaded.source.series
    assert first.base is not None
    assert first.base is second.base


def test_parquet_is_read_like_csv_and_keeps_float32(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        rng.normal(size=(9, 2)).astype(np.float32),
        columns=["a", "b"],
        index=pd.date_range("2024-01-01", periods=9),
    )
    frame["class"] = pd.Categorical(list("xxxyyyzzz"))
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_csv(tmp_path / "a.csv")
    loaded, text = (read_file(tmp_path / f"a.{end}", window=4) for end in ("parquet", "csv"))
    assert loaded.source.series[0].dtype == np.float32
    np.testing.assert_array_equal(loaded.source.series[0], text.source.series[0].astype(np.float32))
    np.testing.assert_array_equal(loaded.index["start"], text.index["start"])
    assert loaded.index["label"].tolist() == text.index["label"].tolist() == list("yyyzzz")


@pytest.mark.parametrize("encoded", [False, True])
def test_text_that_is_missing_in_a_label_is_empty_text(tmp_path, encoded):
    labels = pa.array(["x", None, "y"])
    labels = labels.dictionary_encode() if encoded else labels
    pq.write_table(pa.table({"v": [1, 2, 3], "label": labels}), tmp_path / "a.parquet")
    loaded = read_file(tmp_path / "a.parquet", window=1)
    assert loaded.index["label"].dtype.kind == "U"
    assert loaded.index["label"].tolist() == ["x", "", "y"]


def test_parquet_decimals_are_numbers_and_a_table_without_rows_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": pa.array([1, 2]).cast(pa.decimal128(21, 2))}), path)
    np.testing.assert_array_equal(read_file(path, window=1).source.series[0], [[1], [2]])
    pq.write_table(pa.table({"a": pa.array([], pa.float64())}), path)
    refused(path, "the table has no rows; write it again.", window=1)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, pa.table])
def test_a_frame_becomes_the_same_sequences(kind):
    frame = kind({"unit": [2, 1, 2], "t": [0, 0, 1], "v": [1.5, 3, 2], "w": [4, 6, 5]})
    if kind is pd.DataFrame:
        frame.index = ["x", "y", "z"]
    sequences = sequences_from_table(frame, id="unit", time="t")
    assert sequences.feature_names == ("v", "w")
    assert sequences.lengths.tolist() == [2, 1]
    np.testing.assert_array_equal(sequences[0], [[1.5, 4], [2, 5]])
    np.testing.assert_array_equal(sequences[1], [[3, 6]])
    only = sequences_from_table(frame, id="unit", columns=["w"])
    assert only.feature_names == ("w",)


def test_frames_that_cannot_be_sequences_are_refused():
    def error_of(frame, **arguments):
        with pytest.raises(InputError) as caught:
            sequences_from_table(frame, id="id", **arguments)
        return str(caught.value)

    frame = pd.DataFrame({"id": [1, 1], "t": [1, 0], "label": ["x", "y"]})
    assert error_of(frame, time="t", columns=["t"]) == (
        "column 't' is given as `time` and as `columns`; leave one out."
    )
    assert error_of(frame, columns=["t"], time="tt") == (
        "`time`: unknown column 'tt': did you mean 't'? Known are 'id', 'label', 't'."
    )
    assert error_of(frame.assign(v=0), time="t", columns=["v"]) == (
        "time goes back once in column 't', at data row 2, from 1 to 0; sort the table by 't'."
    )
    assert error_of(frame) == (
        "column 'label' contains text such as 'x', not numbers; name other features with `columns`."
    )
    assert error_of(frame.iloc[:0], columns=["t"]) == (
        "Expected at least one row, got an empty table."
    )
    assert error_of([[1, 2]]).startswith(
        "Expected a pandas or polars DataFrame or a pyarrow Table, got list, which cannot be read"
    )
