"""MNIST from files and from OpenML, and the digits that scikit-learn ships."""

import re
from http.client import IncompleteRead
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.datasets

from tests.io.idx_files import idx_bytes
from unspool.datasets import fetch_mnist, load_digits, load_mnist
from unspool.errors import InputError

NAMES = [
    *("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    *("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
]


def arrays():
    """A set in the format of MNIST: 6 training and 3 test images of 5x4."""
    rng = np.random.default_rng(0)
    train, test = (rng.integers(0, 256, (n, 5, 4), np.uint8) for n in (6, 3))
    return [train, np.array([3, 1, 4, 1, 5, 9], np.uint8), test, np.array([2, 6, 5], np.uint8)]


def folder_of(tmp_path, contents, names=NAMES):
    for name, array in zip(names, contents, strict=True):
        (tmp_path / name).write_bytes(idx_bytes(array, gzipped=name.endswith(".gz")))
    return tmp_path


def assert_refused(message, call, *arguments):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        call(*arguments)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("dash", ["-", "."])
def test_the_four_files_are_found_in_every_spelling(tmp_path, dash, ending):
    names = [name.replace("-idx", f"{dash}idx") + ending for name in NAMES]
    train, y_train, test, y_test = contents = arrays()
    images = load_mnist(str(folder_of(tmp_path, contents, names)))
    assert images.X_train.dtype == images.X_test.dtype == np.float32
    assert images.y_train.dtype == images.y_test.dtype == np.int64
    np.testing.assert_array_equal(images.X_train, (train / np.float32(255)).astype(np.float32))
    np.testing.assert_array_equal(images.X_test, (test / np.float32(255)).astype(np.float32))
    assert images.y_train.tolist() == y_train.tolist()
    assert images.y_test.tolist() == y_test.tolist()


def test_a_missing_folder_and_missing_files_are_named(tmp_path):
    absent = tmp_path / "no"
    assert_refused(
        f"{absent}: there is no such folder; name the folder that holds the files of MNIST.",
        load_mnist,
        absent,
    )
    message = (
        f"{tmp_path}: expected the four files of MNIST, but {{}} missing (.idx instead of -idx and "
        "a .gz at the end are accepted too); put them there or name another folder."
    )
    every = f"{NAMES[0]}, {NAMES[1]}, {NAMES[2]} and {NAMES[3]} are"
    assert_refused(message.format(every), load_mnist, tmp_path)
    folder_of(tmp_path, arrays())
    (tmp_path / NAMES[1]).unlink()
    assert_refused(message.format(f"{NAMES[1]} is"), load_mnist, tmp_path)
    (tmp_path / NAMES[2]).unlink()
    assert_refused(message.format(f"{NAMES[1]} and {NAMES[2]} are"), load_mnist, tmp_path)


def test_files_that_hold_something_else_are_refused(tmp_path):
    train, y_train, test, y_test = contents = arrays()
    folder_of(tmp_path, [y_train, y_train, test, y_test])
    assert_refused(
        f"{tmp_path / NAMES[0]}: expected images, bytes in 3 dimensions, got uint8 of shape (6,); "
        "check that the file is what its name says.",
        load_mnist,
        tmp_path,
    )
    folder_of(tmp_path, [train, y_train, test, y_test.astype(np.int32)])
    assert_refused(
        f"{tmp_path / NAMES[3]}: expected labels, bytes in 1 dimension, got int32 of shape (3,); "
        "check that the file is what its name says.",
        load_mnist,
        tmp_path,
    )
    folder_of(tmp_path, [train, y_train[:-1], test, y_test])
    assert_refused(
        f"{tmp_path / NAMES[1]}: expected 6 labels, one for each image in {NAMES[0]}, got 5; the "
        "files belong to different sets.",
        load_mnist,
        tmp_path,
    )
    folder_of(tmp_path, [train, y_train, test[:, :4], y_test])
    assert_refused(
        f"{tmp_path / NAMES[2]}: expected images of 5x4 as in {NAMES[0]}, got 4x4; the files "
        "belong to different sets.",
        load_mnist,
        tmp_path,
    )
    folder_of(tmp_path, contents)
    (tmp_path / NAMES[3]).write_bytes(idx_bytes(y_test)[:-1])
    assert_refused(
        f"{tmp_path / NAMES[3]}: its header says 3 values of 1 byte, 11 bytes in all, but the "
        "file has 10; download the file again.",
        load_mnist,
        tmp_path,
    )


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_mnist_is_downloaded_by_scikit_learn(monkeypatch, dtype):
    calls = []

    def fetch(*arguments, **named):
        calls.append((arguments, named))
        # Row i is i mod 256 everywhere, but for its first pixel; a view, so that it takes no room.
        rows = np.arange(70_000, dtype=dtype)[:, None] % 256
        data = np.broadcast_to(rows, (70_000, 784))
        return SimpleNamespace(data=data, target=np.arange(70_000).astype(str).astype(object))

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    images = fetch_mnist()
    named = {"version": 1, "as_frame": False, "parser": "liac-arff"}
    assert calls == [(("mnist_784",), named)]
    assert images.X_train.shape == (60_000, 28, 28)
    assert images.X_test.shape == (10_000, 28, 28)
    assert images.X_train.dtype == images.X_test.dtype == np.float32
    np.testing.assert_array_equal(images.y_train, np.arange(60_000))
    np.testing.assert_array_equal(images.y_test, np.arange(60_000, 70_000))
    np.testing.assert_allclose(images.X_test[:, 9, 9], images.y_test % 256 / 255, rtol=1e-7)
    assert images.X_train[255].min() == images.X_train.max() == 1


def test_downloaded_pixels_keep_their_positions(monkeypatch):
    data = np.zeros((70_000, 784), np.uint8)
    data[60_001, 28 * 3 + 5] = 255  # row 3, column 5
    bunch = SimpleNamespace(data=data, target=np.full(70_000, "7", object))
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", lambda *_, **__: bunch)
    assert np.argwhere(fetch_mnist().X_test).tolist() == [[1, 3, 5]]


@pytest.mark.parametrize(
    "error", [OSError("no route"), ValueError("no such data set"), IncompleteRead(b"half")]
)
def test_a_failed_download_says_what_else_to_do(monkeypatch, error):
    def fetch(*_, **__):
        raise error

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    assert_refused(
        f"MNIST cannot be downloaded from openml.org ({error}); get its four files elsewhere and "
        "call load_mnist(folder).",
        fetch_mnist,
    )


def test_every_fifth_digit_of_a_class_is_a_test_image():
    raw = sklearn.datasets.load_digits()
    seen = dict.fromkeys(range(10), 0)
    train, y_train, test, y_test = [], [], [], []
    for image, label in zip(raw.images, raw.target, strict=True):
        seen[label] += 1
        images, labels = (test, y_test) if seen[label] % 5 == 0 else (train, y_train)
        images.append([[value / 16 for value in row] for row in image])
        labels.append(label)
    got = load_digits()
    assert got.X_train.dtype == got.X_test.dtype == np.float32
    assert got.X_train.shape == (1442, 8, 8)
    assert got.X_test.shape == (355, 8, 8)
    np.testing.assert_array_equal(got.X_train, train)
    np.testing.assert_array_equal(got.X_test, test)
    assert got.y_train.tolist() == y_train
    assert got.y_test.tolist() == y_test
    assert np.bincount(got.y_test).tolist() == [35, 36, 35, 36, 36, 36, 36, 35, 34, 36]
    assert got.X_train.max() == 1
