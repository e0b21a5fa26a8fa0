"""The form of data sets that are split into a training and a test part."""

from typing import Any, Generic, NamedTuple, TypeVar

import numpy.typing as npt

X = TypeVar("X")


class TrainTest(NamedTuple, Generic[X]):
    """A data set that is split into a training part and a test part.

    It is a named tuple, so it can be unpacked, in the order of the attributes.

    Attributes
    ----------
    X_train : array or Windows
        Training inputs; the function that returns them says which form they have.
    y_train : array of shape (N_train, ...)
        Class or target of each training input.
    X_test : array or Windows
        Test inputs, in the same form as `X_train`.
    y_test : array of shape (N_test, ...)
        Class or target of each test input.

    See Also
    --------
    make_sine_classes, make_sine_forecasts, load_digits, load_mnist, fetch_mnist

    Examples
    --------
    >>> from unspool.datasets import make_sine_forecasts
    >>> X_train, y_train, X_test, y_test = make_sine_forecasts()
    >>> X_train.shape, y_train.shape
    ((3596, 5, 1), (3596, 1))
    """

    X_train: X
    y_train: npt.NDArray[Any]
    X_test: X
    y_test: npt.NDArray[Any]
