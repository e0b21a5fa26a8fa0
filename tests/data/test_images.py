"""MNIST from files and from OpenML, and scikit-learn's digits."""

import gzip
import hashlib
import re
from http.client import IncompleteRead
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.datasets

from tests.data.idx_files import idx_bytes
from unspool.data.files import read_file
from unspool.data.images import digits, mnist
from unspool.errors import InputError

NAMES = [
    *("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    *("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
]


def arrays():
    """A set in MNIST's form: 6 images of 5x4 to train, 3 to test."""
    rng = np.random.default_rng(0)
    train, test = (rng.integers(0, 256, (n, 5, 4), np.uint8) for n in (6, 3))
    return [train, np.array([3, 1, 4, 1, 5, 9], np.uint8), test, np.array([2, 6, 5], np.uint8)]


def folder_of(tmp_path, contents, names=NAMES):
    for name, array in zip(names, contents, strict=True):
        (tmp_path / name).write_bytes(idx_bytes(array, gzipped=name.endswith(".gz")))
    return tmp_path


def refused(told, call, *arguments):
    with pytest.raises(InputError, match=f"^{re.escape(told)}$"):
        call(*arguments)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("dash", ["-", "."])
def test_the_four_files_in_every_spelling(tmp_path, dash, ending):
    names = [name.replace("-idx", f"{dash}idx") + ending for name in NAMES]
    train, y_train, test, y_test = contents = arrays()
    images = mnist(str(folder_of(tmp_path, contents, names)))
    assert images.train.dtype == images.test.dtype == np.float32
    assert images.y_train.dtype == images.y_test.dtype == np.int64
    np.testing.assert_array_equal(images.train, (train / np.float32(255)).astype(np.float32))
    np.testing.assert_array_equal(images.test, (test / np.float32(255)).astype(np.float32))
    assert images.y_train.tolist() == y_train.tolist()
    assert images.y_test.tolist() == y_test.tolist()


def test_a_folder_or_files_that_are_missing_are_named(tmp_path):
    absent = tmp_path / "no"
    refused(
        f"{absent}: there is no such folder; name the one with the files of MNIST.", mnist, absent
    )
    told = (
        f"{tmp_path}: expected the four files of MNIST, and {{}} missing (with .idx for -idx and "
        "with .gz at the end they would be found too); put them there or name another folder."
    )
    every = f"{NAMES[0]}, {NAMES[1]}, {NAMES[2]} and {NAMES[3]} are"
    refused(told.format(every), mnist, tmp_path)
    folder_of(tmp_path, arrays())
    (tmp_path / NAMES[1]).unlink()
    refused(told.format(f"{NAMES[1]} is"), mnist, tmp_path)
    (tmp_path / NAMES[2]).unlink()
    refused(told.format(f"{NAMES[1]} and {NAMES[2]} are"), mnist, tmp_path)


def test_files_that_are_something_else(tmp_path):
    train, y_train, test, y_test = contents = arrays()
    folder_of(tmp_path, [y_train, y_train, test, y_test])
    refused(
        f"{tmp_path / NAMES[0]}: expected images, bytes in 3 dimensions, got uint8 of shape "
        "(6,); check that it is what its name says.",
        mnist,
        tmp_path,
    )
    folder_of(tmp_path, [train, y_train, test, y_test.astype(np.int32)])
    refused(
        f"{tmp_path / NAMES[3]}: expected labels, bytes in 1 dimension, got int32 of shape "
        "(3,); check that it is what its name says.",
        mnist,
        tmp_path,
    )
    folder_of(tmp_path, [train, y_train[:-1], test, y_test])
    refused(
        f"{tmp_path / NAMES[1]}: expected 6 labels, one for each image in {NAMES[0]}, got 5; the "
        "files belong to different sets.",
        mnist,
        tmp_path,
    )
    folder_of(tmp_path, [train, y_train, test[:, :4], y_test])
    refused(
        f"{tmp_path / NAMES[2]}: expected images of 5x4 as in {NAMES[0]}, got 4x4; the files "
        "belong to different sets.",
        mnist,
        tmp_path,
    )
    folder_of(tmp_path, contents)
    (tmp_path / NAMES[3]).write_bytes(idx_bytes(y_test)[:-1])
    refused(
        f"{tmp_path / NAMES[3]}: its header says 3 values of 1 byte, 11 bytes in all, but the "
        "file has 10; download the file again.",
        mnist,
        tmp_path,
    )


@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_without_a_folder_scikit_learn_fetches_it(monkeypatch, dtype):
    calls = []

    def fetch(*arguments, **named):
        calls.append((arguments, named))
        # Row i is i mod 256 everywhere, but for its first pixel; a view, so that it takes no room.
        rows = np.arange(70_000, dtype=dtype)[:, None] % 256
        data = np.broadcast_to(rows, (70_000, 784))
        return SimpleNamespace(data=data, target=np.arange(70_000).astype(str).astype(object))

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    images = mnist()
    named = {"version": 1, "as_frame": False, "parser": "liac-arff"}
    assert calls == [(("mnist_784",), named)]
    assert images.train.shape == (60_000, 28, 28)
    assert images.test.shape == (10_000, 28, 28)
    assert images.train.dtype == images.test.dtype == np.float32
    np.testing.assert_array_equal(images.y_train, np.arange(60_000))
    np.testing.assert_array_equal(images.y_test, np.arange(60_000, 70_000))
    np.testing.assert_allclose(images.test[:, 9, 9], images.y_test % 256 / 255, rtol=1e-7)
    assert images.train[255].min() == images.train.max() == 1


def test_fetched_pixels_keep_their_places(monkeypatch):
    data = np.zeros((70_000, 784), np.uint8)
    data[60_001, 28 * 3 + 5] = 255  # row 3, column 5
    bunch = SimpleNamespace(data=data, target=np.full(70_000, "7", object))
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", lambda *_, **__: bunch)
    assert np.argwhere(mnist().test).tolist() == [[1, 3, 5]]


@pytest.mark.parametrize(
    "error", [OSError("no route"), ValueError("no such data set"), IncompleteRead(b"half")]
)
def test_a_fetch_that_fails_says_what_else_to_do(monkeypatch, error):
    def fetch(*_, **__):
        raise error

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", fetch)
    refused(
        f"MNIST cannot be fetched from openml.org ({error}); get its four files elsewhere and name "
        "their folder: mnist(folder).",
        mnist,
    )


def test_scikit_learn_s_digits_split_by_every_fifth_of_a_class():
    raw = sklearn.datasets.load_digits()
    seen = dict.fromkeys(range(10), 0)
    train, y_train, test, y_test = [], [], [], []
    for image, label in zip(raw.images, raw.target, strict=True):
        seen[label] += 1
        images, labels = (test, y_test) if seen[label] % 5 == 0 else (train, y_train)
        images.append([[value / 16 for value in row] for row in image])
        labels.append(label)
    got = digits()
    assert got.train.dtype == got.test.dtype == np.float32
    assert got.train.shape == (1442, 8, 8)
    assert got.test.shape == (355, 8, 8)
    np.testing.assert_array_equal(got.train, train)
    np.testing.assert_array_equal(got.test, test)
    assert got.y_train.tolist() == y_train
    assert got.y_test.tolist() == y_test
    assert np.bincount(got.y_test).tolist() == [35, 36, 35, 36, 36, 36, 36, 35, 34, 36]
    assert got.train.max() == 1


def test_mnist_as_it_was_published(shared_data):
    path = shared_data("mnist/train-images-idx3-ubyte.gz")
    images = mnist(path.parent)
    assert images.train.shape == (60_000, 28, 28)
    assert images.test.shape == (10_000, 28, 28)
    train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(images.y_train).tolist() == train
    test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(images.y_test).tolist() == test
    assert images.y_train[:8].tolist() == [5, 0, 4, 1, 9, 2, 1, 3]
    # The mean and deviation that half of the world normalises with.
    assert abs(images.train.mean(dtype=np.float64) - 0.1307) < 5e-5
    assert abs(images.train.std(dtype=np.float64) - 0.3081) < 5e-5
    content = gzip.decompress(path.read_bytes())
    assert hashlib.sha256(content).hexdigest().startswith("ba891046e6505d7a")
    pixels = np.rint(images.train * 255).astype(np.uint8).tobytes()
    assert pixels == content[16:]


def test_mnist_as_sequences_of_rows(shared_data):
    loaded = read_file(shared_data("mnist/t10k-images-idx3-ubyte.gz"))
    assert loaded.source.shape == (10_000, 28, 28)
    assert loaded.source.values.max() == 255
