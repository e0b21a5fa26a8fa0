"""Reading labels of sequences, and splitting sequences by class."""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.utils import assert_all_finite, check_consistent_length
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from unspool import _checks
from unspool.data.convert import Source, check_more_than_a_step, plain
from unspool.data.frames import check_rows_are_sequences
from unspool.data.labels import known_labels, labels_like
from unspool.data.overlap import window_shift
from unspool.data.sequences import FloatArray, IntArray
from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.estimators.base import Model, sequences_of
from unspool.estimators.held_out import split, split_by_group
from unspool.estimators.sample_weight import WEIGHTS_OF_VALIDATION, weights_of_sequences
from unspool.estimators.validation import messages_of_sklearn
from unspool.estimators.validation_data import check_has_steps, parts_of, warn_if_shared

Labels = npt.NDArray[Any]


def read_labels(y: Any, X: Any) -> tuple[Labels, IntArray]:
    """Return the sorted classes in the labels `y` of `X`, and the class index of each sequence.

    Returns
    -------
    classes : array of shape (C,)
    indices : array of shape (N,)

    Raises
    ------
    InputError
        If labels are missing, not one per sequence, not finite, continuous, of types that cannot
        be sorted, or all equal.
    """
    classes, indices = _sorted(_read(y, X))
    if len(classes) < 2:
        (only,) = classes.tolist()
        raise InputError(
            f"Expected labels of at least two classes in `y`, got one class: {only!r}."
        )
    return classes, indices.astype(np.int64)


def read_known_labels(y: Any, X: Any, classes: Labels) -> IntArray:
    """Return the class index of each sequence, for labels `y` that are among `classes`.

    Raises
    ------
    InputError
        As `read_labels`, and if a label is none of `classes`.
    """
    labels = labels_like(_read(y, X), classes)
    unknown = labels[~np.isin(labels, classes)]
    if len(unknown):
        raise InputError(
            f"`y` contains the label {unknown[:1].tolist()[0]!r}, which is none of the classes "
            f"{_checks.shown(classes.tolist())}; give all labels as `classes` in the first call."
        )
    return np.searchsorted(classes, labels).astype(np.int64)


def read_classes(classes: Any) -> Labels:
    """Return the sorted labels in the `classes` of `partial_fit`.

    Raises
    ------
    InputError
        If there are fewer than two, or if they cannot be sorted.
    """
    with messages_of_sklearn():
        labels = column_or_1d(known_labels(classes))
    found, _ = _sorted(labels)
    if len(found) < 2:
        raise InputError(
            f"Expected at least two labels in `classes`, got {_checks.shown(found.tolist())}."
        )
    return found


def _read(y: Any, X: Any) -> Labels:
    """Return the labels `y`, one for each sequence of `X`."""
    if y is None:
        raise InputError(
            "EncoderClassifier requires y to be passed, but the target y is None; "
            "give one label per sequence."
        )
    with messages_of_sklearn():
        y = column_or_1d(known_labels(y), warn=True)
        assert_all_finite(y, input_name="y")
    _check_number(X, y)
    if not len(y):
        raise InputError("Expected at least one sequence with a label, got none.")
    of_floats = y.dtype == object and all(isinstance(one, (float, np.floating)) for one in y)
    if y.dtype != object or of_floats:
        with messages_of_sklearn():
            check_classification_targets(y.astype(np.float64) if of_floats else y)
    labels: Labels = y
    return labels


def _sorted(labels: Labels) -> tuple[Labels, npt.NDArray[np.intp]]:
    """Return the labels that occur, and the index of each label."""
    try:
        classes, indices = np.unique(labels, return_inverse=True)
    except TypeError as error:
        raise InputError(
            f"Expected labels of one type that can be sorted, got other labels ({error}); convert "
            "all of them to strings."
        ) from None
    return classes, indices


def _check_number(X: Any, y: Labels) -> None:
    """Check that there is one label per sequence; if not, rows of `X` may be time steps."""
    values = plain(X)
    if len(values) != len(y) and isinstance(values, np.ndarray) and values.ndim == 2:
        check_rows_are_sequences(X)
        check_more_than_a_step(values)
    with messages_of_sklearn():
        check_consistent_length(values, y)


def read_validation(
    model: Model, classes: Labels, training: Source, validation_data: Any
) -> tuple[Source, IntArray, FloatArray | None]:
    """Return the sequences of `validation_data`, the class index of each, and their weights."""
    X, y, sample_weight = parts_of(validation_data)
    source = sequences_of(model, X)
    check_has_steps(source)
    warn_if_shared(training, source)
    weights = weights_of_sequences(sample_weight, len(source), WEIGHTS_OF_VALIDATION)
    return source, read_validation_labels(y, classes, len(source)), weights


def read_validation_labels(y: Any, classes: Labels, n: int) -> IntArray:
    """Return the class index of each of the N validation sequences.

    Raises
    ------
    InputError
        If labels are missing, not one per sequence, or not among the `classes` of `fit`.
    """
    if y is None:
        raise InputError(
            "`validation_data` of a classifier must be a tuple (X_val, y_val) with one label for "
            "each sequence of X_val."
        )
    labels = labels_like(y, classes)
    if labels.shape != (n,):
        raise InputError(
            f"y_val must have the shape ({n},), one label per sequence of X_val, got "
            f"{labels.shape}."
        )
    unknown = labels[~np.isin(labels, classes)]
    if len(unknown):
        raise InputError(
            f"y_val contains the label {unknown[:1].tolist()[0]!r}, which `y` does not contain; "
            "leave such sequences out."
        )
    return np.searchsorted(classes, labels).astype(np.int64)


def with_a_weight(classes: Labels, indices: IntArray) -> tuple[Labels, IntArray]:
    """Return the classes that occur in sequences with a weight above 0, and their class indices.

    Raises
    ------
    InputError
        If only one class is left.
    """
    used, left = np.unique(indices, return_inverse=True)
    if len(used) < 2:
        (only,) = classes[used].tolist()
        raise InputError(
            "Expected labels of at least two classes among the sequences with a `sample_weight` "
            f"above zero, got one class: {only!r}."
        )
    return classes[used], left.astype(np.int64)


def weights_of_classes(
    class_weight: Any, classes: Labels, indices: IntArray, weights: FloatArray | None
) -> FloatArray | None:
    """Return the weight of each class, (C,), or None if all are 1.

    Parameters
    ----------
    class_weight : "balanced", mapping of labels to float, or None
        "balanced" gives all classes with a sequence the same sum of weights.
    classes : array of shape (C,)
    indices : array of shape (N,)
        Class index of each sequence.
    weights : array of shape (N,), optional
        Weights of the sequences.

    Raises
    ------
    InputError
        If a class has no weight although there is a weight for a label that is no class, or if the
        weights of all classes are zero.
    """
    if class_weight is None:
        return None
    if isinstance(class_weight, str):
        sums = np.bincount(indices, weights, len(classes))
        ones = np.ones(len(classes))  # of classes that a call of `partial_fit` lacks
        return np.asarray(np.divide(sums.sum(), len(classes) * sums, out=ones, where=sums > 0))
    labels = classes.tolist()
    missing = [label for label in labels if label not in class_weight]
    unknown = [label for label in class_weight if label not in labels]
    if missing and unknown:
        raise InputError(
            f"`class_weight` has a weight for {unknown[0]!r}, which is no label in `y`, but none "
            f"for the label {missing[0]!r}; correct the label."
        )
    found = np.array([float(class_weight.get(label, 1.0)) for label in labels])
    if not found.any():
        raise InputError(
            "Expected `class_weight` above zero for some label in `y`, got zero for each of them."
        )
    return found


def split_by_class(
    source: Source,
    classes: IntArray,
    share: float,
    rng: np.random.Generator,
    groups: IntArray | None = None,
) -> tuple[IntArray, IntArray]:
    """Split indices into training and validation, with about the same share of each class.

    At least one sequence of each class is trained on, so if no class has two sequences, none is
    held out. With `groups`, whole groups are held out. Windows, and rows that are windows of one
    series, are split by time; those of a class that the earlier part lacks are moved to it.

    Parameters
    ----------
    source : Sequences or Windows
    classes : array of shape (N,)
        Class index of each sequence, 0 to C - 1.
    share : float
        Share to validate on, at least 0 and below 1.
    rng : numpy Generator
    groups : int array of shape (N,), optional
        Number of the group of each sequence, 0 to G - 1.
    """
    if share and groups is not None:
        training, held_out = split_by_group(source, groups, share, rng, classes)
        if len(np.unique(classes[training])) < len(np.unique(classes)):
            raise InputError(
                "`groups` leaves no sequence of some class to train on, because windows of other "
                "groups overlap them; give all windows of a series the same group, or set "
                "validation_split=0."
            )
        return training, held_out
    if share and (isinstance(source, Windows) or window_shift(source) is not None):
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
