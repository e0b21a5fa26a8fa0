"""Images of digits: MNIST from its files or from OpenML, and the small ones of scikit-learn."""

from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unspool.data.idx import read_idx
from unspool.errors import InputError

TRAIN = 60_000  # images of MNIST; OpenML has them in front of the 10,000 for testing
FILES = (
    ("train-images", "idx3"),
    ("train-labels", "idx1"),
    ("t10k-images", "idx3"),
    ("t10k-labels", "idx1"),
)


class Images(NamedTuple):
    """Images (N, H, W), float32 from 0 to 1, and their classes (N,), for training and testing."""

    train: npt.NDArray[np.float32]
    y_train: npt.NDArray[np.int64]
    test: npt.NDArray[np.float32]
    y_test: npt.NDArray[np.int64]


def mnist(folder: str | Path | None = None) -> Images:
    """Read MNIST from its four files, or fetch it.

    Parameters
    ----------
    folder : str or Path, optional
        Where `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`, `t10k-images-idx3-ubyte` and
        `t10k-labels-idx1-ubyte` are; a dot for the dash before `idx` and a `.gz` behind are found
        too. Sets of the same form, like Fashion-MNIST, can be read as well. Without a folder,
        scikit-learn fetches MNIST from openml.org and keeps it in its own data folder. It comes as
        text and is read by a parser that does without pandas, which takes its time.

    Returns
    -------
    Images
        60,000 to train and 10,000 to test, of 28×28.

    Raises
    ------
    InputError
        Where a file is missing or damaged, or files do not fit together; where nothing could be
        fetched.

    Examples
    --------
    >>> mnist("MNIST/raw").train.shape  # doctest: +SKIP
    (60000, 28, 28)
    """
    return _fetched() if folder is None else _from_folder(Path(folder))


def digits() -> Images:
    """Take the digits that come with scikit-learn, for work without a network.

    Every fifth image of each class is for testing, so the split is the same at any time and
    stratified.

    Returns
    -------
    Images
        1442 to train and 355 to test, of 8×8.

    Source: scikit-learn's `load_digits`, the test set of "Optical Recognition of Handwritten
    Digits" (E. Alpaydin, C. Kaynak, UCI); its values 0 to 16 are divided by 16.

    Examples
    --------
    >>> images = digits()
    >>> images.train.shape, images.test.shape
    ((1442, 8, 8), (355, 8, 8))
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    y = bunch.target.astype(np.int64)
    testing = np.zeros(len(y), bool)
    for one in np.unique(y):
        testing[np.flatnonzero(y == one)[4::5]] = True
    images = (bunch.images / 16).astype(np.float32)
    return Images(images[~testing], y[~testing], images[testing], y[testing])


def _from_folder(folder: Path) -> Images:
    if not folder.is_dir():
        raise InputError(
            f"{folder}: there is no such folder; name the one with the files of MNIST."
        )
    spelled = [_spellings(*parts) for parts in FILES]
    found = [[folder / name for name in names if (folder / name).is_file()] for names in spelled]
    missing = [names[0] for names, paths in zip(spelled, found, strict=True) if not paths]
    if missing:
        raise InputError(
            f"{folder}: expected the four files of MNIST, and {_joined(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing (with .idx for -idx and with .gz at "
            "the end they would be found too); put them there or name another folder."
        )
    train, y_train, test, y_test = (paths[0] for paths in found)
    images = Images(*_labelled(train, y_train), *_labelled(test, y_test))
    if images.train.shape[1:] != images.test.shape[1:]:
        raise InputError(
            f"{test}: expected images of {_size(images.train)} as in {train.name}, got "
            f"{_size(images.test)}; the files belong to different sets."
        )
    return images


def _labelled(images: Path, labels: Path) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """A file of images as (N, H, W) from 0 to 1, and its file of labels."""
    values, y = read_idx(images), read_idx(labels)
    for path, array, ndim, what in [(images, values, 3, "images"), (labels, y, 1, "labels")]:
        if array.dtype != np.uint8 or array.ndim != ndim:
            raise InputError(
                f"{path}: expected {what}, bytes in {ndim} dimension{'s' if ndim > 1 else ''}, got "
                f"{array.dtype} of shape {array.shape}; check that it is what its name says."
            )
    if len(values) != len(y):
        raise InputError(
            f"{labels}: expected {len(values):,} labels, one for each image in {images.name}, got "
            f"{len(y):,}; the files belong to different sets."
        )
    return _shares(values), y.astype(np.int64)


def _fetched() -> Images:
    """MNIST as scikit-learn fetches it."""
    from sklearn.datasets import fetch_openml

    try:
        # liac-arff is the parser that does without pandas.
        bunch = fetch_openml("mnist_784", version=1, as_frame=False, parser="liac-arff")
    except (OSError, HTTPException, ValueError) as error:
        raise InputError(
            f"MNIST cannot be fetched from openml.org ({error}); get its four files elsewhere and "
            "name their folder: mnist(folder)."
        ) from error
    images, y = _shares(bunch.data).reshape(-1, 28, 28), bunch.target.astype(np.int64)
    return Images(images[:TRAIN], y[:TRAIN], images[TRAIN:], y[TRAIN:])


def _shares(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Values 0 to 255 as float32 from 0 to 1, without a detour over float64."""
    shares: npt.NDArray[np.float32] = np.divide(values, 255, dtype=np.float32, casting="same_kind")
    return shares


def _spellings(stem: str, kind: str) -> list[str]:
    return [f"{stem}{dash}{kind}-ubyte{ending}" for ending in ("", ".gz") for dash in "-."]


def _joined(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _size(images: npt.NDArray[Any]) -> str:
    return "x".join(map(str, images.shape[1:]))
