"""The small images of digits that are shipped with scikit-learn."""

import numpy as np
import numpy.typing as npt

from unspool._optional import import_optional
from unspool.datasets._train_test import TrainTest


def load_digits() -> TrainTest[npt.NDArray[np.float32]]:
    """Load the 8×8 images of digits that are shipped with scikit-learn, split for training.

    Every fifth image of each class is a test image, so the split is stratified and always the same.
    No network is needed.

    Returns
    -------
    TrainTest
        ``X_train`` (1442, 8, 8) and ``X_test`` (355, 8, 8), float32 from 0 to 1; ``y_train``
        (1442,) and ``y_test`` (355,), int64, the digits 0 to 9.

    Raises
    ------
    InputError
        If scikit-learn is not installed.

    See Also
    --------
    load_mnist, fetch_mnist : Larger images of digits, 28×28.

    Notes
    -----
    The images are those of ``sklearn.datasets.load_digits``, the test set of [1]_. Their values,
    0 to 16, are divided by 16.

    References
    ----------
    .. [1] E. Alpaydin, C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine
       Learning Repository, 1998, https://doi.org/10.24432/C50P49

    Examples
    --------
    >>> from unspool.datasets import load_digits
    >>> digits = load_digits()
    >>> digits.X_train.shape, digits.X_test.shape
    ((1442, 8, 8), (355, 8, 8))
    """
    bunch = import_optional("sklearn.datasets", "train").load_digits()
    y = bunch.target.astype(np.int64)
    is_test = np.zeros(len(y), bool)
    for digit in np.unique(y):
        is_test[np.flatnonzero(y == digit)[4::5]] = True
    images = (bunch.images / 16).astype(np.float32)
    return TrainTest(images[~is_test], y[~is_test], images[is_test], y[is_test])
