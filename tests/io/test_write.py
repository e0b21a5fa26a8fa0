import os
import re

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.full_disk import FULL, full_disk
from unspool.errors import InputError
from unspool.io.files import read_file
from unspool.io.write import check_output_path, check_writable, write_table

KNOWN = "'.csv', '.npy', '.parquet', '.pq'"


def refused(text, call, *arguments, **named):
    with pytest.raises(InputError, match=f"^{re.escape(text)}$"):
        call(*arguments, **named)


def columns():
    return {
        "id": np.array(["a", "b"]),
        "start": np.array(["2024-01-01T10:00", "2024-01-01T11:00"], "datetime64[ns]"),
        "n": np.array([1, 2]),
        "z0": np.array([0.1, -1e-20]),
        "ok": [True, False],
    }


TEXT = "id,start,n,z0,ok\na,2024-01-01 10:00:00,1,0.1,true\nb,2024-01-01 11:00:00,2,-1e-20,false\n"


@pytest.mark.parametrize("name", ["a.csv", "a.CSV"])
def test_csv_is_written_with_a_header_and_exact_numbers(tmp_path, name):
    write_table(columns(), tmp_path / name)
    assert (tmp_path / name).read_text() == TEXT
    assert os.listdir(tmp_path) == [name]


def test_no_path_is_standard_output(capsys):
    write_table(columns(), None)
    assert capsys.readouterr() == (TEXT, "")


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_floats_in_csv_read_back_equal(tmp_path, dtype):
    rng = np.random.default_rng(0)
    values = (rng.normal(size=2000) * 10.0 ** rng.integers(-30, 30, 2000)).astype(dtype)
    values[:4] = [1 / 3, np.finfo(dtype).max, np.finfo(dtype).tiny, -0.0]
    write_table({"a": values}, tmp_path / "a.csv")
    read = read_file(tmp_path / "a.csv", window=1).source.series[0][:, 0]
    np.testing.assert_array_equal(read.astype(dtype), values)
    np.testing.assert_array_equal(np.signbit(read), np.signbit(values))
    assert len((tmp_path / "a.csv").read_text()) < 2000 * (25 if dtype == np.float64 else 16)


@pytest.mark.parametrize("text", ["a,b", 'say "c"', "two\nlines", "two\rlines"])
def test_text_that_needs_quotes_reads_back_equal(tmp_path, text):
    texts = np.array([text, "plain"])
    write_table({"x,y": texts, "n": np.arange(2)}, tmp_path / "a.csv")
    frame = pd.read_csv(tmp_path / "a.csv")
    assert frame["x,y"].tolist() == texts.tolist()


@pytest.mark.parametrize(
    ("unit", "first", "text"),
    [
        ("D", "2024-01-01", "2024-01-01"),
        ("m", "2024-01-01T10:00", "2024-01-01 10:00:00"),
        ("ns", "2024-01-01T10:00:00.5", "2024-01-01 10:00:00.500"),
        ("ns", "2024-01-01T10:00:00.000000007", "2024-01-01 10:00:00.000000007"),
    ],
)
def test_dates_keep_no_more_digits_than_they_need(tmp_path, unit, first, text):
    times = np.array([first, "NaT"], f"datetime64[{unit}]")
    write_table({"t": times, "n": [1, 2]}, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == f"t,n\n{text},1\n,2\n"


@pytest.mark.parametrize("ending", ["parquet", "pq"])
def test_parquet_keeps_types(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    write_table(
        columns() | {"f": np.float32([1, 2]), "m": np.array(["2024-01"] * 2, "M8[m]")}, path
    )
    table = pq.read_table(path)
    kinds = ["string", "timestamp[ns]", "int64", "double", "bool", "float", "timestamp[ms]"]
    assert [str(field.type) for field in table.schema] == kinds
    assert table["z0"].to_pylist() == [0.1, -1e-20]


def test_npy_holds_the_array_or_the_numeric_columns(tmp_path):
    array = np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32)
    write_table(columns(), tmp_path / "a.npy", array=array)
    read = np.load(tmp_path / "a.npy")
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, array)
    write_table(columns(), tmp_path / "b.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "b.npy"), [[1, 0.1, 1], [2, -1e-20, 0]])


def test_npy_without_numbers_is_refused_and_leaves_no_file(tmp_path):
    told = "A .npy file contains numbers, but no column is numeric; write .csv."
    refused(told, write_table, {"id": ["a"]}, tmp_path / "a.npy")
    told = "A .npy file contains numbers, but the array has dtype object; write .csv."
    array = np.array([None])
    refused(told, write_table, {"n": [1]}, tmp_path / "a.npy", array=array)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("ending", ["csv", "parquet", "npy"])
def test_a_failure_half_way_leaves_the_file_of_before_and_nothing_else(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    path.write_text("before")
    with full_disk():
        refused(f"{path}: {FULL}", write_table, {"n": np.arange(9000) / 7}, path)
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == [path.name]


def test_who_reads_the_file_of_before_is_not_disturbed(tmp_path):
    (tmp_path / "a.csv").write_text("before")
    with (tmp_path / "a.csv").open() as reader:
        write_table({"n": [1]}, tmp_path / "a.csv")
        assert reader.read() == "before"
    assert (tmp_path / "a.csv").read_text() == "n\n1\n"


def test_a_link_stays_a_link_and_the_mode_is_that_of_any_new_file(tmp_path):
    (tmp_path / "to").mkdir()
    (tmp_path / "a.csv").symlink_to(tmp_path / "to" / "b.csv")
    write_table({"n": [1]}, tmp_path / "a.csv")
    assert (tmp_path / "a.csv").is_symlink()
    assert (tmp_path / "to" / "b.csv").read_text() == "n\n1\n"
    (tmp_path / "c.csv").touch()
    assert (tmp_path / "to" / "b.csv").stat().st_mode == (tmp_path / "c.csv").stat().st_mode


def test_a_path_that_cannot_be_written_is_refused_before_and_while_writing(tmp_path):
    for call in (check_writable, lambda path: write_table({"n": [1]}, path)):
        path = tmp_path / "a.cvs"
        told = f"{path}: unknown ending '.cvs': did you mean '.csv'? Known are {KNOWN}."
        refused(told, call, path)
        path = tmp_path / "no" / "a.csv"
        refused(f"{path}: there is no folder {tmp_path / 'no'}; make it first.", call, path)
        path = tmp_path / "folder.csv"
        path.mkdir(exist_ok=True)
        refused(f"{path}: this is a folder; name a file in it.", call, path)
    assert os.listdir(tmp_path) == ["folder.csv"]


def test_a_folder_that_is_not_writable_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    told = f"{tmp_path / 'a'}: the folder {tmp_path} cannot be written to; choose another."
    refused(told, check_output_path, tmp_path / "a")


def test_a_place_that_can_be_written_passes_and_stays_empty(tmp_path):
    check_writable(None)
    check_writable(str(tmp_path / "a.parquet"))
    check_output_path(tmp_path / "model.unspool")
    assert os.listdir(tmp_path) == []


def test_columns_of_different_lengths_are_refused(tmp_path):
    path = tmp_path / "a.csv"
    refused("Expected at least one column to write, got none.", write_table, {}, path)
    told = (
        "Expected column 'b' of shape (2,), as 'a', got (3,).\nExpected column 'c' of shape "
        "(2,), as 'a', got (2, 1)."
    )
    ragged = {"a": [1, 2], "b": [1, 2, 3], "c": [[1], [2]]}
    refused(told, write_table, ragged, path)
    with pytest.raises(InputError, match=r"^Column 'a' cannot be written: "):
        write_table({"a": np.array([1j])}, path)
    assert os.listdir(tmp_path) == []
