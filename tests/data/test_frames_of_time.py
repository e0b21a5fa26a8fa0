"""Frames whose index or column says that rows are time steps, and other frames."""

import numpy as np
import pandas as pd
import pytest

from unspool import Windows, sequences_from_table
from unspool.data.convert import as_sequences
from unspool.errors import InputError

VALUES = np.random.default_rng(0).normal(size=(12, 3))
HOURS = pd.date_range("2024-01-30", periods=12, freq="h")


def frame(index=None, columns=("a", "b", "c")):
    return pd.DataFrame(VALUES, index=index, columns=list(columns))


WRITTEN = [
    "%Y-%m-%d %H:%M", "%Y/%m/%d", "%d.%m.%Y", "%m/%d/%y", "%H:%M:%S", "%Y%m%dT%H%M", "%d %b %Y",
    "%b %d, %Y", "%I:%M %p", "%Y-%m",
]  # fmt: skip


@pytest.mark.parametrize("written", WRITTEN)
def test_dates_as_text_in_the_index(written):
    with pytest.raises(InputError, match="since its index contains times; cut it into windows"):
        as_sequences(frame(HOURS.strftime(written)))


@pytest.mark.parametrize("name", ["t", "step", "Time (s)", "seconds"])
def test_an_index_of_numbers_whose_name_means_time_is_a_time(name):
    with pytest.raises(InputError, match="since its index contains times"):
        as_sequences(frame(pd.Index(np.arange(12) / 2, name=name)))


@pytest.mark.parametrize("name", ["time", "Timestamp", "Time (s)"])
def test_the_advice_for_a_column_whose_name_means_time_drops_it_first(name):
    with pytest.raises(InputError, match="drop that column, and cut it into windows"):
        as_sequences(frame(columns=("a", name, "c")))


@pytest.mark.parametrize(
    "index", [None, list("abcdefghijkl"), [f"pump {i}" for i in range(12)], range(3, 15)]
)
def test_other_frames_have_a_sequence_in_every_row(index):
    assert as_sequences(frame(index)).shape == (12, 3, 1)
    steps = frame(index, columns=("time_0", "time_1", "time_2"))  # the steps of a sequence
    assert as_sequences(steps).shape == (12, 3, 1)


def test_windows_over_a_column_whose_cells_are_series():
    cells = pd.Series([np.arange(5.0), np.arange(7.0)])
    windows = Windows(cells, 3)
    assert (len(windows), len(windows.series)) == (3 + 5, 2)


def test_times_that_go_back_in_a_list_of_columns_of_one_length():
    one = pd.Series(VALUES[:, 0], index=HOURS)
    with pytest.raises(InputError, match="in the index of sequence 1 times go back"):
        as_sequences([one, one[::-1]])


def test_a_long_table_needs_columns_with_names():
    table = pd.DataFrame({"id": [0, 0, 1], 0: [1.0, 2.0, 3.0]})
    with pytest.raises(InputError) as caught:
        sequences_from_table(table, id="id")
    assert str(caught.value) == (
        "Expected columns named by strings, got 0; give frame.rename(columns=str)."
    )


def test_a_column_of_instances_is_a_table_of_one():
    index = pd.MultiIndex.from_product([range(3), range(4)], names=["instance", "time"])
    column = pd.Series(VALUES[:, 0], index=index, name="a")
    assert sequences_from_table(column, columns=["a"]).shape == (3, 4, 1)
