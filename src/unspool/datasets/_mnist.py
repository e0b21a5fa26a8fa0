"""MNIST, from its four files or from OpenML."""

from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool._optional import import_optional
from unspool.datasets._train_test import TrainTest
from unspool.errors import InputError
from unspool.io.idx import read_idx

N_TRAIN = 60_000  # OpenML has the training images before the 10,000 test images
FILES = (
    ("train-images", "idx3"),
    ("train-labels", "idx1"),
    ("t10k-images", "idx3"),
    ("t10k-labels", "idx1"),
)

Images = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]


def load_mnist(folder: str | Path) -> TrainTest[Images]:
    """Load MNIST, or a set in the same format, from its four IDX files.

    Parameters
    ----------
    folder : str or Path
        Folder with the files ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
        ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``. Names with a dot instead of the
        dash before ``idx`` are accepted too, and so are gzipped files that end in ``.gz``.

    Returns
    -------
    TrainTest
        ``X_train`` and ``X_test``, float32 images of shape (N, H, W) from 0 to 1; ``y_train`` and
        ``y_test``, int64 labels of shape (N,). For MNIST, N is 60000 and 10000, H and W are 28.

    Raises
    ------
    InputError
        If the folder or a file is missing, if a file is damaged, or if the files do not belong
        together.

    See Also
    --------
    fetch_mnist : Download MNIST.
    load_digits : Smaller images of digits that are shipped with scikit-learn.

    Notes
    -----
    Fashion-MNIST and other sets with the same file names can be loaded as well.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document
       Recognition", Proceedings of the IEEE 86(11), 1998, https://doi.org/10.1109/5.726791

    Examples
    --------
    >>> from unspool.datasets import load_mnist
    >>> load_mnist("MNIST/raw").X_train.shape  # doctest: +SKIP
    (60000, 28, 28)
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(
            f"{folder}: there is no such folder; name the folder that holds the files of MNIST."
        )
    spellings = [_spellings(*parts) for parts in FILES]
    found = [[folder / name for name in names if (folder / name).is_file()] for names in spellings]
    missing = [names[0] for names, paths in zip(spellings, found, strict=True) if not paths]
    if missing:
        raise InputError(
            f"{folder}: expected the four files of MNIST, but {_joined(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} missing (.idx instead of -idx and a .gz at "
            "the end are accepted too); put them there or name another folder."
        )
    train, y_train, test, y_test = (paths[0] for paths in found)
    images = TrainTest(*_images_and_labels(train, y_train), *_images_and_labels(test, y_test))
    if images.X_train.shape[1:] != images.X_test.shape[1:]:
        raise InputError(
            f"{test}: expected images of {_size(images.X_train)} as in {train.name}, got "
            f"{_size(images.X_test)}; the files belong to different sets."
        )
    return images


def fetch_mnist() -> TrainTest[Images]:
    """Download MNIST from openml.org, once.

    scikit-learn downloads the data (``sklearn.datasets.fetch_openml``) and keeps it in its data
    folder, from which later calls read it. The data is a text file, which takes a while to parse.

    Returns
    -------
    TrainTest
        ``X_train`` (60000, 28, 28) and ``X_test`` (10000, 28, 28), float32 from 0 to 1; ``y_train``
        (60000,) and ``y_test`` (10000,), int64, the digits 0 to 9.

    Raises
    ------
    InputError
        If the download fails, or scikit-learn is not installed.

    See Also
    --------
    load_mnist : Load MNIST from files, without a network.
    load_digits : Smaller images of digits that are shipped with scikit-learn.

    References
    ----------
    .. [1] Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, "Gradient-Based Learning Applied to Document
       Recognition", Proceedings of the IEEE 86(11), 1998, https://doi.org/10.1109/5.726791

    Examples
    --------
    >>> from unspool.datasets import fetch_mnist
    >>> fetch_mnist().X_train.shape  # doctest: +SKIP
    (60000, 28, 28)
    """
    fetch_openml = import_optional("sklearn.datasets", "train").fetch_openml
    try:
        # The parser liac-arff does not need pandas.
        bunch = fetch_openml("mnist_784", version=1, as_frame=False, parser="liac-arff")
    except (OSError, HTTPException, ValueError) as error:
        raise InputError(
            f"MNIST cannot be downloaded from openml.org ({error}); get its four files elsewhere "
            "and call load_mnist(folder)."
        ) from error
    images, y = _scaled(bunch.data).reshape(-1, 28, 28), bunch.target.astype(np.int64)
    return TrainTest(images[:N_TRAIN], y[:N_TRAIN], images[N_TRAIN:], y[N_TRAIN:])


def _images_and_labels(images: Path, labels: Path) -> tuple[Images, Labels]:
    """Read a file of images as (N, H, W) from 0 to 1, and its file of labels as (N,)."""
    values, y = read_idx(images), read_idx(labels)
    for path, array, ndim, what in [(images, values, 3, "images"), (labels, y, 1, "labels")]:
        if array.dtype != np.uint8 or array.ndim != ndim:
            raise InputError(
                f"{path}: expected {what}, bytes in {ndim} dimension{'s' if ndim > 1 else ''}, got "
                f"{array.dtype} of shape {array.shape}; check that the file is what its name says."
            )
    if len(values) != len(y):
        raise InputError(
            f"{labels}: expected {len(values):,} labels, one for each image in {images.name}, got "
            f"{len(y):,}; the files belong to different sets."
        )
    return _scaled(values), y.astype(np.int64)


def _scaled(values: npt.NDArray[Any]) -> Images:
    """Divide values from 0 to 255 by 255, in float32 without a float64 copy."""
    scaled: Images = np.divide(values, 255, dtype=np.float32, casting="same_kind")
    return scaled


def _spellings(stem: str, kind: str) -> list[str]:
    return [f"{stem}{dash}{kind}-ubyte{ending}" for ending in ("", ".gz") for dash in "-."]


def _joined(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _size(images: npt.NDArray[Any]) -> str:
    return "x".join(map(str, images.shape[1:]))
