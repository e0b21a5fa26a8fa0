"""Mapped files of any order of bytes and axes, and of any dtype, give the results of arrays."""

import numpy as np
import pytest

from unspool import DenseAutoencoder, Windows
from unspool.data import stored

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")
BASE = np.random.default_rng(0).normal(size=(600, 3)).cumsum(0) * 10
DTYPES = ["<f4", ">f4", ">f8", "<f2", "<i2", ">i4", "u1", "?"]
QUICK = {"hidden_units": (4,), "epochs": 1, "verbose": 0, "random_state": 0}


@pytest.fixture(scope="module")
def model():
    return DenseAutoencoder(2, **QUICK).fit(BASE.reshape(75, 8, 3))


def mapped(array, path):
    np.save(path, array)
    return np.load(path, mmap_mode="r")


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_mapped_file_has_the_results_of_the_array(dtype, order, model, tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "LARGE", 1)
    series = np.array(BASE.astype(dtype), order=order)
    here, there = Windows(series, 8, 4), Windows(mapped(series, tmp_path / "x.npy"), 8, 4)
    assert (here.blocks, len(there.blocks)) == (None, 2)
    np.testing.assert_array_equal(model.transform(there), model.transform(here))
    found, expected = (np.concatenate(list(one.chunks())) for one in (there, here))
    np.testing.assert_array_equal(found, expected)
    sequences = np.array(series.reshape(75, 8, 3), order=order)
    of_file = mapped(sequences, tmp_path / "y.npy")
    assert of_file.flags.f_contiguous == (order == "F")
    np.testing.assert_array_equal(model.transform(of_file), model.transform(sequences))
    fitted = [DenseAutoencoder(2, **QUICK).fit(one) for one in (of_file, sequences)]
    for name in ("shift", "scale"):
        one, other = (getattr(each.scaler_, name) for each in fitted)
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_pages_of_a_file_in_fortrans_order_are_released_after_a_few_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "RELEASED_BYTES", 8 * stored.CLUSTER)
    values = BASE.reshape(75, 8, 3)
    touched = {}
    for order in "CF":
        array = stored.MappedArray(mapped(np.array(values, order=order), tmp_path / "x.npy"))
        np.testing.assert_array_equal(array.read(3, 5), values[3:5])
        touched[order] = array._touched
    assert touched["C"] > 0
    assert touched["F"] == 0
