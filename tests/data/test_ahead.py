"""The next part of data in a file is read in a thread while the present part is used."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest

from unspool import Sequences, Windows
from unspool.data import windows as windows_module
from unspool.data.ahead import read_ahead
from unspool.data.stored_table import StoredTable
from unspool.errors import InputError

PATIENCE = 30  # seconds until a test that waits for a thread fails


class Reader:
    """Reads numbers, and knows which reads have begun."""

    def __init__(self, count):
        self.begun = [threading.Event() for _ in range(count)]
        self.threads = set()

    def __call__(self, number):
        self.threads.add(threading.get_ident())
        self.begun[number].set()
        if number == 7:
            raise InputError("Part 7 is damaged.")
        return number


def test_while_a_part_is_used_the_next_one_is_read_and_no_other():
    read = Reader(5)
    for number in read_ahead(read, range(5)):
        if number < 4:
            assert read.begun[number + 1].wait(PATIENCE)
        assert not any(one.is_set() for one in read.begun[number + 2 :])


def test_an_error_is_raised_in_the_place_of_its_part():
    parts = read_ahead(Reader(9), range(9))
    assert [next(parts) for _ in range(7)] == list(range(7))
    with pytest.raises(InputError, match="Part 7 is damaged"):
        next(parts)


def test_the_thread_ends_with_the_iteration():
    parts = read_ahead(Reader(5), range(5))
    next(parts)
    parts.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("unspool-read")]


def test_without_another_thread_parts_are_read_when_they_are_used():
    read = Reader(3)
    for number in read_ahead(read, range(3), ahead=False):
        assert [one.is_set() for one in read.begun] == [i <= number for i in range(3)]
    assert read.threads == {threading.get_ident()}


def test_objects_of_the_user_are_read_in_the_thread_that_uses_them(monkeypatch):
    threads = set()

    class Recordings:
        def __len__(self):
            return 50

        def take(self, indices):
            threads.add(threading.get_ident())
            return np.ones((len(indices), 5, 1))

    monkeypatch.setattr("unspool.data.sequences.CHUNK_VALUES", 10)
    assert sum(map(len, Sequences(Recordings()).chunks())) == 250
    assert threads == {threading.get_ident()}


def test_a_data_set_is_read_in_another_thread_with_the_same_values(tmp_path, monkeypatch):
    rows = np.arange(600.0).reshape(300, 2)
    rows[7] = np.nan
    a = pa.array(rows[:, 0], from_pandas=True)
    table = pa.table({"a": a, "b": np.nan_to_num(rows[:, 1]).astype(np.int32)})
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=90)
    monkeypatch.setattr(windows_module, "CHUNK_VALUES", 100)
    monkeypatch.setattr("unspool.data.stored_table.ROWS_AT_ONCE", 7)
    threads = set()
    read = StoredTable.read

    def noted(self, start, stop):
        threads.add(threading.get_ident())
        return read(self, start, stop)

    windows = Windows(pyarrow.dataset.dataset(tmp_path / "x.parquet"), 10, missing="mask")
    monkeypatch.setattr(StoredTable, "read", noted)
    rows[7, 1] = 0
    np.testing.assert_array_equal(np.concatenate(list(windows.chunks())), rows)
    assert threading.get_ident() not in threads
    assert windows.has_missing


def test_several_threads_read_one_data_set(tmp_path, monkeypatch):
    """Two iterations over the same data read at once, each with a thread that reads ahead."""
    rows = np.arange(4000.0)[:, None]
    pq.write_table(pa.table({"a": rows[:, 0]}), tmp_path / "x.parquet", row_group_size=10)
    monkeypatch.setattr("unspool.data.stored_table.KEPT_BYTES", 8000)
    table = StoredTable(pyarrow.dataset.dataset(tmp_path / "x.parquet"), ["a"])

    def read_all(first):
        for start in [*range(first, 3000, 400), *range(first, 3000, 300)]:
            np.testing.assert_array_equal(table.read(start, start + 900), rows[start : start + 900])

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(read_all, [0, 200, 400, 600]))
    finally:
        sys.setswitchinterval(interval)
