"""Reading labels of sequences, and splitting sequences by class."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import assert_all_finite, check_consistent_length
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from unspool.data.convert import Source, check_more_than_a_step, plain
from unspool.data.frames import check_rows_are_sequences
from unspool.data.labels import known_labels
from unspool.data.sequences import IntArray
from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.estimators.training import split

Labels = npt.NDArray[Any]


def read_labels(y: Any, X: Any) -> tuple[Labels, IntArray]:
    """Return the sorted classes in the labels `y` of `X`, and the class index of each sequence.

    Returns
    -------
    classes : array of shape (C,)
    indices : array of shape (N,)

    Raises
    ------
    InputError, ValueError
        If labels are missing, not one per sequence, not finite, continuous, of types that cannot
        be sorted, or all equal.
    """
    if y is None:
        raise InputError(
            "EncoderClassifier requires y to be passed, but the target y is None; "
            "give one label per sequence."
        )
    y = column_or_1d(known_labels(y), warn=True)
    assert_all_finite(y, input_name="y")
    _check_number(X, y)
    if not len(y):
        raise InputError("Expected at least one sequence with a label, got none.")
    if y.dtype != object:
        check_classification_targets(y)
    elif all(isinstance(label, (float, np.floating)) for label in y):
        check_classification_targets(y.astype(np.float64))
    try:
        classes, indices = np.unique(y, return_inverse=True)
    except TypeError as error:
        raise InputError(
            f"Expected labels of one type that can be sorted, got other labels ({error}); convert "
            "all of them to strings."
        ) from None
    if len(classes) < 2:
        (only,) = classes.tolist()
        raise InputError(
            f"Expected labels of at least two classes in `y`, got one class: {only!r}."
        )
    return classes, indices.astype(np.int64)


def _check_number(X: Any, y: Labels) -> None:
    """Check that there is one label per sequence; if not, rows of `X` may be time steps."""
    values = plain(X)
    if len(values) != len(y) and isinstance(values, np.ndarray) and values.ndim == 2:
        check_rows_are_sequences(X)
        check_more_than_a_step(values)
    check_consistent_length(values, y)


def split_by_class(
    source: Source, classes: IntArray, share: float, rng: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Split indices into training and validation, with about the same share of each class.

    At least one sequence of each class is trained on, so if no class has two sequences, none is
    held out. Windows are split by time; windows of a class that the earlier part lacks are moved
    to it.

    Parameters
    ----------
    source : Sequences or Windows
    classes : array of shape (N,)
        Class index of each sequence, 0 to C - 1.
    share : float
        Share to validate on, at least 0 and below 1.
    rng : numpy Generator
    """
    if isinstance(source, Windows) and share:
        training, held_out = split(source, share, rng)
        missing = ~np.isin(classes[held_out], classes[training])
        return np.sort(np.r_[training, held_out[missing]]), held_out[~missing]
    counts = np.bincount(classes)
    exact = counts * share
    taken = exact.astype(np.int64)
    # The remainder is taken from the classes that rounding down affected most.
    left = max(1, round(len(classes) * share)) - taken.sum() if share else 0
    order = rng.permutation(len(counts))
    order = order[np.argsort(-(exact - taken)[order], kind="stable")]
    order = order[taken[order] < counts[order] - 1]
    taken[order[:left]] += 1
    held_out = np.concatenate(
        [rng.permutation(np.flatnonzero(classes == i))[:n] for i, n in enumerate(taken)]
    )
    return np.setdiff1d(np.arange(len(classes)), held_out), np.sort(held_out)
