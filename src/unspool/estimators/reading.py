"""What an estimator accepts as `X`, held against what it was fitted on."""

from typing import Any

import numpy as np
from sklearn.utils.validation import check_array, validate_data

from unspool.data.convert import Source, as_source
from unspool.data.frames import as_frame
from unspool.data.sequences import FloatArray, Sequences
from unspool.data.windows import Windows
from unspool.errors import InputError


def is_table(X: Any) -> bool:
    """Whether scikit-learn's rules for tables apply: `X` is a frame, or an array but for 3-D."""
    if isinstance(X, (Sequences, Windows)):
        return False
    if isinstance(X, (list, tuple)):
        try:
            shapes = {np.shape(row) for row in X}
        except ValueError:  # ragged further inside: `as_source` says so
            return False
        return len(shapes) <= 1 and all(len(shape) < 2 for shape in shapes)
    ndim = X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
    return as_frame(X) is not None or ndim != 3


def read_for_fit(estimator: Any, X: Any) -> tuple[Source, bool]:
    """Read `X` for `fit`; set ``n_features_in_`` and, where names are known, feature names.

    Returns
    -------
    source : Sequences or Windows
    table : bool
        Whether `X` was a table (N, T), each row a sequence of one feature.
    """
    if is_table(X):
        array = validate_data(
            estimator, X, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan"
        )
        return as_source(array), True
    source = as_source(X)
    estimator.n_features_in_ = source.n_features
    if hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_  # those of an earlier fit
    if source.feature_names is not None:
        estimator.feature_names_in_ = np.array(source.feature_names, dtype=object)
    return source, False


def read_future(y: Any, n: int, n_features: int, horizon: int | None) -> tuple[FloatArray, int]:
    """Read what comes after the sequences, as (N, K, F), and how many axes `y` had.

    Parameters
    ----------
    y : array of shape (N, K, F), (N, K) for one feature, (N, F) for one step, or (N,) for both
    n, n_features : int
        Of the sequences.
    horizon : int, optional
        K, where it is to be that.
    """
    y = check_array(
        y, ensure_2d=False, allow_nd=True, dtype=[np.float64, np.float32], input_name="y"
    )
    if len(y) != n:
        raise InputError(
            f"Found input variables with inconsistent numbers of samples: [{n}, {len(y)}]; "
            "expected in `y` what comes after each sequence of `X`."
        )
    by_step = y.ndim == 2 and n_features > 1
    future = y[:, None] if by_step else y.reshape(n, -1, 1) if y.ndim < 3 else y
    fits = future.ndim == 3 and future.shape[2] == n_features and future.shape[1] > 0
    if not fits or horizon not in (None, future.shape[1]):
        steps = "K" if horizon is None else horizon
        raise InputError(
            f"Expected `y` of shape ({n}, {steps}, {n_features}), the next {steps} steps of every "
            f"sequence, got {y.shape}."
        )
    return future, y.ndim


def read_as_fitted(
    estimator: Any, X: Any, n_features: int, table: bool, *, cut: bool = False
) -> Source:
    """Read `X` for a fitted estimator, and refuse features it was not fitted on.

    A table is held to the columns of the table that `fit` saw, as everywhere in scikit-learn,
    unless `fit` cut off the last ones; sequences in any other form may have any length.
    """
    if table and not cut and is_table(X):
        array = validate_data(
            estimator,
            X,
            reset=False,
            dtype=[np.float64, np.float32],
            ensure_all_finite="allow-nan",
        )
        return as_source(array)
    source = as_source(X)
    if source.n_features != n_features:
        raise InputError(
            f"X has {source.n_features} features, but {type(estimator).__name__} is expecting "
            f"{n_features} features as input."
        )
    names = source.feature_names or ()
    known = () if table else tuple(getattr(estimator, "feature_names_in_", ()))
    if names and known and names != known:
        raise InputError(
            f"Expected the features {', '.join(known)}, in this order, got {', '.join(names)}; "
            "choose and order them as in `fit`."
        )
    return source
