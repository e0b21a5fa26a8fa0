import re

import numpy as np
import pytest

from unspool.data.sequences import MASK_HINT
from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.io.files import read_file


def npy(tmp_path, array):
    path = tmp_path / "a.npy"
    np.save(path, array)
    return path


def npz(tmp_path, **arrays):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    return path


def refused(path, text, **arguments):
    with pytest.raises(InputError, match=f"^{re.escape(f'{path}: {text}')}$"):
        read_file(path, **arguments)


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape)


def test_three_dimensions_are_sequences(tmp_path):
    values = numbers(4, 5, 2)
    values[1, 3:] = np.nan
    loaded = read_file(npy(tmp_path, values))
    assert loaded.source.lengths.tolist() == [5, 3, 5, 5]
    np.testing.assert_array_equal(loaded.source[0], values[0])
    assert loaded.index == {}
    assert loaded.notes == ("array of 4x5x2 read as 4 sequences of 5 steps, 2 features",)


def test_two_dimensions_are_sequences_of_one_feature_without_a_window(tmp_path):
    values = numbers(4, 5).astype(np.float32)
    loaded = read_file(npy(tmp_path, values))
    np.testing.assert_array_equal(loaded.source.values[:, :, 0], values)
    assert loaded.source.values.dtype == np.float32
    assert loaded.notes == (
        "array of 4x5 read as 4 sequences of 5 steps, one feature; with a window: one series of 5 "
        "features",
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int16])
def test_two_dimensions_with_a_window_are_one_series_that_stays_in_the_file(tmp_path, dtype):
    values = (numbers(50, 3) * 100).astype(dtype)
    path = npy(tmp_path, values)
    loaded = read_file(path, window=10)
    assert loaded.source.shape == (41, 10, 3)
    (series,) = loaded.source.series
    assert series.dtype == dtype
    assert loaded.notes == ("read as one series of 50 steps, 3 features",)
    # A change to the file is seen, since nothing was copied.
    np.lib.format.open_memmap(path, mode="r+")[7, 1] = 5
    assert series[7, 1] == 5


def test_one_dimension_is_a_series_of_one_feature(tmp_path):
    loaded = read_file(npy(tmp_path, np.arange(9.0)), window=4, stride=5)
    np.testing.assert_array_equal(loaded.source.take([1])[0][0, :, 0], [5, 6, 7, 8])
    assert loaded.index["start"].tolist() == [0, 5]
    assert loaded.notes == ("read as one series of 9 steps, 1 feature",)
    refused(
        npy(tmp_path, np.arange(2000.0)),
        (
            "the array is one series of 2,000 steps; cut it into windows, for example with "
            "`window=96`."
        ),
    )


def test_three_dimensions_with_a_window_are_many_series(tmp_path):
    values = numbers(3, 6, 2)
    loaded = read_file(npz(tmp_path, X=values, lengths=[6, 5, 4], y=["a", "b", "c"]), window=4)
    assert isinstance(loaded.source, Windows)
    assert loaded.index["id"].tolist() == [0, 0, 0, 1, 1, 2]
    assert loaded.index["start"].tolist() == [0, 1, 2, 0, 1, 0]
    assert loaded.index["label"].tolist() == list("aaabbc")
    np.testing.assert_array_equal(loaded.source[4], values[1, 1:5])


def test_rows_reads_two_dimensions_as_sequences_under_a_window_too(tmp_path):
    path = npy(tmp_path, numbers(3, 6))
    loaded = read_file(path, window=4, rows=True)
    assert loaded.source.shape == (9, 4, 1)
    assert loaded.notes[0] == "array of 3x6 read as 3 sequences of 6 steps, one feature"
    refused(
        npy(tmp_path, numbers(3, 6, 2)),
        "`rows` reads the rows of a 2-D array, got an array of 3x6x2; leave `rows` out.",
        rows=True,
    )


@pytest.mark.parametrize("values", ["X", "values", "anything"])
@pytest.mark.parametrize("labels", ["y", "labels"])
def test_npz_by_its_usual_names(tmp_path, values, labels):
    array = numbers(3, 4, 2)
    path = npz(tmp_path, **{values: array, labels: np.arange(3), "lengths": np.array([4, 2, 0])})
    loaded = read_file(path)
    assert loaded.source.lengths.tolist() == [4, 2, 0]
    np.testing.assert_array_equal(loaded.source[1], array[1, :2])
    assert loaded.index["label"].tolist() == [0, 1, 2]
    assert loaded.notes[-1] == "the file has labels"


def test_npz_with_a_label_for_every_step_of_a_long_series(tmp_path):
    loaded = read_file(npz(tmp_path, X=numbers(6, 2), y=np.arange(6) * 10), window=4)
    assert loaded.index["label"].tolist() == [30, 40, 50]
    assert loaded.steps["label"][0].tolist() == [0, 10, 20, 30, 40, 50]
    refused(
        npz(tmp_path, X=numbers(6, 2), y=np.arange(5)),
        "expected labels as 6 values, one for each step, got shape (5,).",
        window=4,
    )


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        (
            {"train": np.ones((2, 3)), "test": np.ones((2, 3))},
            "the file contains several arrays: 'train' (2x3), 'test' (2x3); name one of them with "
            "`key` (--key NAME).",
        ),
        (
            {"X": np.ones((2, 3)), "ids": np.arange(2)},
            "expected the values as 'X' or 'values' (or as the only array), and optionally "
            "'lengths' and 'y' or 'labels', got 'ids'; name the array with `key` (--key "
            "NAME).",
        ),
        (
            {"X": np.ones((2, 3)), "values": np.ones((2, 3))},
            "both 'X' and 'values' may be the values; keep one.",
        ),
        (
            {"X": np.ones((2, 3)), "y": np.arange(2), "labels": np.arange(2)},
            "both 'y' and 'labels' may be the labels; keep one.",
        ),
        (
            {"X": np.ones((2, 3)), "y": np.arange(3)},
            "Expected label as 2 values, one for each sequence, got shape (3,).",
        ),
        (
            {"X": np.ones((2, 3, 1)), "lengths": np.array([3, 4])},
            "Expected `lengths` from 0 to 3 (the steps of `values`), got 3 to 4.",
        ),
    ],
)
def test_npz_with_other_names_is_refused(tmp_path, arrays, told):
    refused(npz(tmp_path, **arrays), told)


def test_lengths_with_one_long_series_are_refused(tmp_path):
    refused(
        npz(tmp_path, X=numbers(6, 2), lengths=np.arange(6)),
        "the file has 'lengths' of sequences, but with a window the array is read as one "
        "series; leave 'lengths' out, or read rows as sequences with `rows=True`.",
        window=2,
    )


@pytest.mark.parametrize("window", [None, 2])
def test_pickled_objects_are_refused(tmp_path, window):
    ragged = np.array([np.ones(2), np.ones(3)], dtype=object)
    told = (
        "the file contains pickled Python objects, which can run code when they are loaded and "
        "are not read; save numbers: an array (N, T, F), or .npz with `X` and `lengths`."
    )
    refused(npy(tmp_path, ragged), told, window=window)
    refused(npz(tmp_path, X=ragged), told, window=window)


def test_arrays_of_other_shapes_or_dtypes_are_refused(tmp_path):
    refused(
        npy(tmp_path, np.ones((2, 2, 2, 2))),
        "expected an array of 1 to 3 dimensions, got 4 (2x2x2x2); reshape it to (N, T, F).",
    )
    refused(
        npy(tmp_path, np.array(1.0)),
        "expected an array of 1 to 3 dimensions, got 0 (); reshape it to (N, T, F).",
    )
    refused(npy(tmp_path, np.ones((0, 3))), "the array of shape (0, 3) is empty; write it again.")
    refused(
        npy(tmp_path, np.array(["a"])),
        "expected an array of real numbers, got dtype <U1; convert it to numbers.",
    )
    refused(
        npy(tmp_path, np.ones((2, 2), complex)),
        "expected an array of real numbers, got dtype complex128; convert it to numbers.",
    )
    values = numbers(2, 3, 2)
    values[1, 1, 0] = np.nan
    refused(
        npy(tmp_path, values),
        "Sequence 1 holds nan at step 1, feature 0; fill or drop such "
        f"steps{MASK_HINT} (only steps at the "
        "end that are NaN in every feature count as padding).",
    )


def test_files_that_are_not_what_their_ending_says(tmp_path):
    (tmp_path / "a.npy").write_text("1,2\n")
    told = "this is not a .npy file (its first bytes differ); write it with numpy.save."
    refused(tmp_path / "a.npy", told)
    (tmp_path / "a.npz").write_text("1,2\n")
    told = "this is not a .npz file (its first bytes differ); write it with numpy.savez."
    refused(tmp_path / "a.npz", told)
    path = npy(tmp_path, numbers(9, 9))
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match=f"^{re.escape(str(path))}: the array cannot be read: "):
        read_file(path)
