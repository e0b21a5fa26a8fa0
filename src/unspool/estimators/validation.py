"""scikit-learn's checks of `X` and `y`: columns of tables, futures, and `set_output`."""

from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.utils.validation import check_array, validate_data

from unspool._types import Missing
from unspool.data.convert import Source
from unspool.data.frames import is_frame
from unspool.data.futures import as_future
from unspool.data.sequences import FloatArray
from unspool.errors import InputError


def note_columns(estimator: Any, X: Any, values: FloatArray) -> None:
    """Set ``n_features_in_`` and ``feature_names_in_`` to the columns of a table.

    Parameters
    ----------
    estimator : Model
    X : as for `fit`
    values : array of shape (N, T)
        The numbers of `X`.
    """
    _validate(estimator, X, values, reset=True)


def check_columns(estimator: Any, X: Any, values: FloatArray, *, rows_are_sequences: bool) -> None:
    """Compare number and names of the columns of a table with those that `fit` saw.

    Parameters
    ----------
    estimator, X, values
        As for `note_columns`.
    rows_are_sequences : bool
        Whether a single column may be a series by mistake.
    """
    hint = ""
    if values.shape[1] == 1 and rows_are_sequences:
        hint = f" Give one series of {len(values)} steps as X.T, or as Windows(X, size)."
    _validate(estimator, X, values, reset=False, hint=hint)


def note_features(estimator: Any, source: Source) -> None:
    """Set ``n_features_in_`` and, if the features have names, ``feature_names_in_``."""
    estimator.n_features_in_ = source.n_features
    if hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_  # of an earlier fit
    if source.feature_names is not None:
        estimator.feature_names_in_ = np.array(source.feature_names, dtype=object)


def read_future(
    y: Any, source: Source, horizon: int | None, missing: Missing = "raise"
) -> tuple[FloatArray, int]:
    """Read the steps that follow the sequences, as (N, K, F), and the number of axes of `y`.

    Parameters
    ----------
    y : array of shape (N, K, F), (N, K) for one feature, (N, F) for one step, or (N,) for both
    source : Sequences or Windows
        The sequences.
    horizon : int, optional
        The required number of steps, K.
    missing : {"raise", "mask"}, default "raise"
        Whether values may be missing.
    """
    n, n_features = len(source), source.n_features
    y = as_future(y, source.feature_names)
    finite = "allow-nan" if missing == "mask" else True
    y = check_array(y, ensure_2d=False, allow_nd=True, input_name="y", ensure_all_finite=finite)
    if len(y) != n:
        raise InputError(
            f"Found input variables with inconsistent numbers of samples: [{n}, {len(y)}]; "
            "`y` must have the steps that follow each sequence of `X`."
        )
    by_step = y.ndim == 2 and n_features > 1
    future = y[:, None] if by_step else y.reshape(n, -1, 1) if y.ndim < 3 else y
    fits = future.ndim == 3 and future.shape[2] == n_features and future.shape[1] > 0
    if not fits or horizon not in (None, future.shape[1]):
        steps = "K" if horizon is None else horizon
        raise InputError(
            f"Expected `y` of shape ({n}, {steps}, {n_features}), the {steps} steps that follow "
            f"each sequence, got {y.shape}."
        )
    return future, y.ndim


def check_container(estimator: Any, X: Any) -> None:
    """Refuse to return codes as a frame if the rows of `X` are not its sequences.

    scikit-learn gives such a frame the index of `X` (`set_output`).
    """
    requested = getattr(estimator, "_sklearn_output_config", {}).get("transform")
    rows = getattr(getattr(X, "index", None), "nlevels", 1) == 1
    if not rows and (requested or get_config()["transform_output"]) != "default":
        raise InputError(
            "`set_output` gives codes the index of X, so it needs one sequence per row, but X has "
            "an index (instance, time); give as_sequences(X), or do not call `set_output`."
        )


def _validate(estimator: Any, X: Any, values: FloatArray, *, reset: bool, hint: str = "") -> None:
    try:
        validate_data(estimator, X if is_frame(X) else values, reset=reset, skip_check_array=True)
    except (TypeError, ValueError) as error:
        raise InputError(f"{error}{hint}") from None
