"""What an estimator accepts as `X` and `y`, beside what it was fitted on."""

from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.utils.validation import check_array, validate_data

from unspool.data.convert import (
    Source,
    as_sequences,
    axes_of,
    check_has_columns,
    check_more_than_a_step,
    features_hint,
    plain,
)
from unspool.data.frames import check_rows_are_sequences, is_frame
from unspool.data.futures import as_future
from unspool.data.sequences import FloatArray, Sequences
from unspool.errors import InputError


def is_table(X: Any) -> bool:
    """Whether scikit-learn's rules for tables apply: `X` is an array or a frame (N, T)."""
    return len(axes_of(X)) == 1


def read_for_fit(estimator: Any, X: Any, *, with_future: bool) -> tuple[Source, bool]:
    """Read `X` for `fit`; set ``n_features_in_`` and, where names are known, feature names.

    Parameters
    ----------
    estimator : a model
    X : as for `fit`
    with_future : bool
        Whether a future is given for every row, so that rows are sequences for sure.

    Returns
    -------
    source : Sequences or Windows
    table : bool
        Whether `X` was a table (N, T), each row a sequence of one feature.
    """
    values = estimator._prepared(plain(X))
    table = isinstance(values, np.ndarray) and values.ndim == 2
    if table:
        check_has_columns(values)
        _check_columns(estimator, X, values, reset=True)
        if not estimator._reads_rows:
            check_rows_are_sequences(X)
            if not with_future:
                check_more_than_a_step(values)
        source: Source = Sequences(values[:, :, None])
    else:
        source = as_sequences(values)
        estimator.n_features_in_ = source.n_features
        if hasattr(estimator, "feature_names_in_"):
            del estimator.feature_names_in_  # those of an earlier fit
        if source.feature_names is not None:
            estimator.feature_names_in_ = np.array(source.feature_names, dtype=object)
    if source.max_length == 0:
        raise InputError(
            f"Expected a sequence with at least one step to learn from, got {source!r}; all their "
            "values are missing."
        )
    return source, table


def read_future(y: Any, source: Source, horizon: int | None) -> tuple[FloatArray, int]:
    """Read what comes after the sequences, as (N, K, F), and how many axes `y` had.

    Parameters
    ----------
    y : array of shape (N, K, F), (N, K) for one feature, (N, F) for one step, or (N,) for both
    source : Sequences or Windows
        The sequences.
    horizon : int, optional
        K, where it is to be that.
    """
    n, n_features = len(source), source.n_features
    y = as_future(y, source.feature_names)
    y = check_array(y, ensure_2d=False, allow_nd=True, input_name="y")
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


def read_as_fitted(estimator: Any, X: Any, *, starts: bool = False) -> tuple[Source, bool]:
    """Read `X` for a fitted estimator, and refuse features it was not fitted on.

    A table needs the columns of the table that `fit` saw, as everywhere in scikit-learn, unless
    `fit` cut off the last ones; sequences in any other form may have any length.

    Parameters
    ----------
    estimator : a fitted model
    X : as for `fit`
    starts : bool, default False
        Whether the sequences are to be continued, so that they may well have one step.

    Returns
    -------
    source : Sequences or Windows
    table : bool
        Whether `X` is a table, as it was in `fit`.
    """
    values = estimator._prepared(plain(X))
    table = isinstance(values, np.ndarray) and values.ndim == 2
    if table:
        check_has_columns(values)
        if not (estimator._reads_rows and estimator._table):
            check_rows_are_sequences(X)
        if estimator._table and not estimator._cut:
            _check_columns(estimator, X, values, reset=False)
            return Sequences(values[:, :, None]), True
        if estimator.max_length_ > 1 and not starts:
            check_more_than_a_step(values)
    shape = values.shape if isinstance(values, np.ndarray) else ()
    source = as_sequences(values)
    if source.n_features != estimator._n_features:
        raise InputError(
            f"X has {source.n_features} features, but {type(estimator).__name__} is expecting "
            f"{estimator._n_features} features as input"
            f"{features_hint(shape, estimator._n_features)}."
        )
    names = source.feature_names or ()
    known = () if estimator._table else tuple(getattr(estimator, "feature_names_in_", ()))
    if names and known and names != known:
        raise InputError(
            f"Expected the features {', '.join(known)}, in this order, got {', '.join(names)}; "
            "choose and order them as in `fit`."
        )
    return source, table and estimator._table


def check_container(estimator: Any, X: Any) -> None:
    """Refuse to put codes in a frame where the rows of `X` are not its sequences.

    scikit-learn gives that frame the index of `X` (`set_output`).
    """
    asked = getattr(estimator, "_sklearn_output_config", {}).get("transform")
    rows = getattr(getattr(X, "index", None), "nlevels", 1) == 1
    if not rows and (asked or get_config()["transform_output"]) != "default":
        raise InputError(
            "Expected a sequence in every row for `set_output`, which gives codes the index of X, "
            "got an index (instance, time); give as_sequences(X), or leave `set_output` out."
        )


def _check_columns(estimator: Any, X: Any, values: FloatArray, *, reset: bool) -> None:
    """Look at the number of columns and their names as scikit-learn does, or note them."""
    try:
        validate_data(estimator, X if is_frame(X) else values, reset=reset, skip_check_array=True)
    except (TypeError, ValueError) as error:
        hint = ""
        if values.shape[1] == 1 and not estimator._reads_rows:
            hint = f" One series of {len(values)} steps goes in as X.T, or with Windows(X, size)."
        raise InputError(f"{error}{hint}") from None
