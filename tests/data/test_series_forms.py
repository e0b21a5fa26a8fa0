"""Every form of one long series or several is read like plain arrays."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.dataset
import pytest
import torch
from torch.utils.data import TensorDataset

from tests.forms import (
    CUBE,
    DAYS,
    FRAME,
    PADDED,
    RAGGED,
    REFUSED,
    SAME,
    SERIES,
    by_instance,
    by_time,
    hidden,
    nested,
    trained,
)
from unspool import Windows
from unspool.data.convert import as_sequences
from unspool.data.series import chronological_split
from unspool.data.stored import MappedArray
from unspool.errors import InputError
from unspool.io.long_tables import sequences_from_table

OF_SERIES = {
    "frame": lambda: FRAME,
    "frame with dates as index": lambda: FRAME.set_index(DAYS),
    "frame with an index called time": lambda: FRAME.rename_axis("time"),
    "polars frame": lambda: pl.DataFrame(FRAME),
    "Arrow table": lambda: pa.table({"a": SERIES[:, 0], "b": SERIES[:, 1]}),
    "Arrow data set": lambda: pyarrow.dataset.dataset(
        pa.table({"a": SERIES[:, 0], "b": SERIES[:, 1]})
    ),
    "array that is not in memory": lambda: MappedArray(SERIES),
    "frame of Float64": lambda: FRAME.astype("Float64"),
    "masked array without a masked value": lambda: np.ma.MaskedArray(SERIES),
    "tensor with gradients": lambda: torch.tensor(SERIES, requires_grad=True),
    "bfloat16 tensor": lambda: torch.tensor(SERIES, dtype=torch.bfloat16),
    "list of one": lambda: [SERIES],
}
SEVERAL_SERIES = {
    **{
        form: SAME["ragged sequences"][1][form]
        for form in SAME["ragged sequences"][1]
        if form
        not in (
            "padded with NaN",
            "padded and masked",
            "list of masked arrays",
            "object that takes sequences",
            "padded array that is not in memory",
        )
    },
    "tuple of arrays": lambda: tuple(RAGGED),
    "pandas frame of arrays": lambda: nested(RAGGED),
}


@pytest.mark.parametrize(
    ("expected", "series"),
    [(SERIES, make) for make in OF_SERIES.values()]
    + [(RAGGED, make) for make in SEVERAL_SERIES.values()],
    ids=[*OF_SERIES, *SEVERAL_SERIES],
)
def test_windows_of_a_form_are_those_of_plain_arrays(expected, series):
    windows, plain = Windows(series(), 2), Windows(expected, 2)
    assert len(windows.series) == len(plain.series)
    np.testing.assert_array_equal(
        windows.take(np.arange(len(windows)))[0], plain[:].take(np.arange(len(plain)))[0]
    )
    model = trained("sequences")
    np.testing.assert_array_equal(model.plain.transform(windows), model.plain.transform(plain))
    codes = model.light_plain.encode(windows)
    np.testing.assert_array_equal(codes, model.light_plain.encode(plain))


OF_NO_SERIES = {
    **{
        form: REFUSED[form]
        for form in (
            "polars frame with dates",
            "frame with a column of date objects",
            "frame with three levels",
            "frame by (time, instance)",
            "frame by (instance, time) that goes back",
            "frame with a column twice",
            "frame with levels of columns",
            "cells of unequal length in a row",
            "dates",
            "NumPy's dates as objects",
            "complex numbers",
            "records",
            "nothing",
            "path",
            "dictionary",
            "generator",
            "lazy frame",
            "sparse matrix",
            "packed sequences",
        )
    },
    "data set": (TensorDataset(torch.tensor(CUBE)), r"X.tensors\[0\]"),
    "hidden numbers": (hidden(PADDED[2]), r"Series 0 holds nan at step 5, feature 0"),
    "missing numbers": (FRAME.astype("Int64", errors="ignore").replace(0, pd.NA), r"holds nan"),
    "times that go back": (FRAME.set_index(DAYS[::-1]), r"times that increase.*sort_index"),
    "array of series": (CUBE, r"give several series as list\(X\)"),
    "Windows": (Windows(SERIES, 4), r"got Windows; copy its entries to a list"),
}


@pytest.mark.parametrize("form", OF_NO_SERIES)
def test_what_is_no_series_is_refused_by_windows(form):
    X, way_out = OF_NO_SERIES[form]
    with pytest.raises(InputError, match=f"(?s){way_out}"):
        Windows(X, 2)


@pytest.mark.parametrize(
    ("frame", "named"),
    [
        (by_instance(RAGGED), {}),
        (by_time(RAGGED), {}),
        (by_instance(RAGGED), {"id": "instance"}),
        (by_instance(RAGGED), {"id": "instance", "time": "timepoint"}),
        (by_instance(RAGGED).reset_index(), {"id": "instance", "time": "timepoint"}),
        (by_time(RAGGED).reset_index(0), {"id": "instance", "time": "timepoint"}),
        (by_instance(RAGGED).reset_index(1), {"id": "instance", "time": "timepoint"}),
    ],
)
def test_an_index_says_which_series_a_row_of_a_table_belongs_to(frame, named):
    found = sequences_from_table(frame, columns=["b", "a"], **named)
    assert found.feature_names == ("b", "a")
    for one, expected in zip(found, RAGGED, strict=True):
        np.testing.assert_array_equal(one, expected[:, ::-1])


def test_a_table_of_one_series_needs_an_id():
    with pytest.raises(InputError, match=r"^Expected `id`.*\[frame\].*Windows\(frame, size\)"):
        sequences_from_table(FRAME.set_index(DAYS))
    with pytest.raises(InputError, match=r"^`columns`: unknown column 'c'"):
        sequences_from_table(by_instance(CUBE), columns=["a", "c"])


def test_instances_are_split_each_by_time():
    earlier, later = chronological_split(by_instance(RAGGED), 0.25)
    cut = [round(len(one) * 0.75) for one in RAGGED]
    for part, expected in (
        (earlier, [one[:n] for one, n in zip(RAGGED, cut, strict=True)]),
        (later, [one[n:] for one, n in zip(RAGGED, cut, strict=True)]),
    ):
        source = as_sequences(part)
        for one, plain in zip(source, [one for one in expected if len(one)], strict=True):
            np.testing.assert_array_equal(one, plain)
