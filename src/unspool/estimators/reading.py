"""What an estimator accepts as `X`, held against what it was fitted on."""

from typing import Any

import narwhals.stable.v1 as nw
import numpy as np
from sklearn.utils.validation import validate_data

from unspool.data.convert import Source, as_source
from unspool.data.sequences import Sequences
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
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    ndim = X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim
    return isinstance(frame, nw.DataFrame) or ndim != 3


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


def read_as_fitted(estimator: Any, X: Any, n_features: int, table: bool) -> Source:
    """Read `X` for a fitted estimator, and refuse features it was not fitted on.

    A table is held to the columns of the table that `fit` saw, as everywhere in scikit-learn;
    sequences in any other form may have any length.
    """
    if table and is_table(X):
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
