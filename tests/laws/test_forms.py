"""The form of the data changes nothing: dtype, order in memory, container."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.laws.strategies import (
    STEPS,
    Configuration,
    assert_same,
    configurations,
    fit,
    fitted,
    futures_of,
    outputs,
)
from unspool import Sequences, Windows, as_sequences, runtime

# scikit-learn's warning of a frame given to a model of an array, which is what the law compares.
pytestmark = pytest.mark.filterwarnings("ignore:X has feature names")
DTYPES = ("f2", "f4", "f8", ">f4", ">f8", "i1", "u1", "i2", ">i4", "i8", "u8", "?", "longdouble")


def reversed_in_memory(values):
    return np.flip(np.flip(values).copy())


def every_other(values):
    return np.repeat(values, 2, axis=-1)[..., ::2]


def read_only(values):
    copied = values.copy()
    copied.flags.writeable = False
    return copied


def in_the_middle(values):
    """A part of a larger array, not contiguous in any axis."""
    larger = np.full([n + 3 for n in values.shape], 99, values.dtype)
    part = larger[tuple(slice(1, n + 1) for n in values.shape)]
    part[...] = values
    return part


def unaligned(values):
    buffer = bytearray(values.nbytes + 1)
    found = np.frombuffer(buffer, np.uint8)[1:].view(values.dtype).reshape(values.shape)
    found[...] = values
    return found


ORDERS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "reversed": reversed_in_memory,
    "every other": every_other,
    "read-only": read_only,
    "in the middle": in_the_middle,
    "unaligned": unaligned,
    "first axis last": lambda values: np.moveaxis(np.moveaxis(values, 0, -1).copy(), -1, 0),
}
CONTAINERS = {
    "array": lambda values: values,
    "masked array": np.ma.MaskedArray,
    "objects": lambda values: values.astype(object),
    "list": list,
    "nested lists": lambda values: values.tolist(),
    "tuple": tuple,
}
OF_SEQUENCES = {
    **CONTAINERS,
    "Sequences": Sequences,
    "tensor": lambda values: torch.tensor(np.ascontiguousarray(values.astype(np.float64))),
    "list of tensors": lambda values: [torch.tensor(one.astype(np.float64)) for one in values],
    "frames of pandas": lambda values: [pd.DataFrame(one.astype(np.float64)) for one in values],
    "frames of polars": lambda values: [
        pl.DataFrame({str(i): one[:, i].astype(np.float64) for i in range(one.shape[1])})
        for one in values
    ],
    "frame by instance and time": lambda values: pd.DataFrame(
        values.reshape(-1, values.shape[2]).astype(np.float64),
        index=pd.MultiIndex.from_product([range(len(values)), range(values.shape[1])]),
    ),
    "lists in cells": lambda values: pl.DataFrame(
        {str(i): values[:, :, i].astype(np.float64).tolist() for i in range(values.shape[2])}
    ),
}
OF_TABLES = {
    **CONTAINERS,
    "pandas": lambda values: pd.DataFrame(values.astype(np.float64)),
    "polars": lambda values: pl.DataFrame(
        {str(i): values[:, i].astype(np.float64) for i in range(values.shape[1])}
    ),
    "Arrow": lambda values: pa.table(
        {str(i): values[:, i].astype(np.float64) for i in range(values.shape[1])}
    ),
}


@st.composite
def numbers(draw, shape):
    """Numbers that each dtype holds exactly, in such a dtype and order."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    low, high = (0, 2) if dtype.kind == "b" else (0, 100) if dtype.kind == "u" else (-100, 100)
    values = rng.integers(low, high, shape)
    if dtype.kind == "f":
        values = values / 4
    return ORDERS[draw(st.sampled_from(sorted(ORDERS)))](values.astype(dtype))


def shape_of(configuration: Configuration, n):
    width = configuration.n_features
    return {
        "sequences": (n, STEPS, width),
        "table": (n, STEPS),
        "rows": (n, width),
        "images": (n, 4, 3, width),
    }[configuration.form]


models = configurations(excluded=("missing",), classifiers=True)


@given(models, st.integers(1, 6), st.data())
def test_outputs_do_not_depend_on_the_form_of_the_data(configuration, n, data):
    model, future = fitted(configuration), futures_of(configuration, n)
    values = data.draw(numbers(shape_of(configuration, n)))
    forms = {"sequences": OF_SEQUENCES, "images": CONTAINERS}.get(configuration.form, OF_TABLES)
    form = data.draw(st.sampled_from(sorted(forms)))
    expected = outputs(model, values.astype(np.float64), future)
    assert_same(expected, outputs(model, forms[form](values), future))
    light = runtime.Model(model.contents())
    np.testing.assert_array_equal(
        light.encode(forms[form](values)), light.encode(values.astype(np.float64))
    )


@given(models, st.data())
def test_the_weights_of_a_fit_do_not_depend_on_the_form_of_the_data(configuration, data):
    values = data.draw(numbers(shape_of(configuration, 6)))
    if configuration.in_unit_interval:
        values = (values > 0).astype(values.dtype)
    forms = {"sequences": OF_SEQUENCES, "images": CONTAINERS}.get(configuration.form, OF_TABLES)
    form = data.draw(st.sampled_from(sorted(forms)))
    given_values = [values.astype(np.float64), forms[form](values)]
    first, second = (
        fit(configuration.make(), configuration, one).module_.state_dict() for one in given_values
    )
    for name, weight in first.items():
        np.testing.assert_array_equal(second[name], weight, name)


@given(st.integers(1, 4), st.integers(1, 7), st.integers(1, 3), st.data())
def test_sequences_do_not_depend_on_the_form_of_the_data(n, steps, features, data):
    values = data.draw(numbers((n, steps, features)))
    form = data.draw(st.sampled_from(sorted(OF_SEQUENCES)))
    found = as_sequences(OF_SEQUENCES[form](values))
    np.testing.assert_array_equal(found.values, values.astype(np.float64))
    assert found.lengths.tolist() == [steps] * n


@given(st.integers(2, 20), st.integers(1, 3), st.booleans(), st.data())
def test_windows_do_not_depend_on_the_form_of_the_data(folder, steps, features, mapped, data):
    values = data.draw(numbers((steps, features)))
    series = values
    if mapped:
        np.save(folder / "series.npy", values)
        series = np.load(folder / "series.npy", mmap_mode="r")
    elif data.draw(st.booleans()):
        series = pd.DataFrame(values.astype(np.float64))
    size = data.draw(st.integers(1, steps))
    windows = Windows(series, size)
    got, _ = windows.take(np.arange(len(windows)))
    expected = np.lib.stride_tricks.sliding_window_view(values, size, axis=0).swapaxes(1, 2)
    np.testing.assert_array_equal(got, expected)
    if mapped and values.dtype.isnative:
        assert np.shares_memory(windows.series[0], series)
