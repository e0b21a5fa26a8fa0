"""scikit-learn's checks of `X` and `y`: columns of tables, futures, and `set_output`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import numpy as np
from sklearn import get_config
from sklearn.utils.validation import check_array, validate_data

from unspool.data.convert import Source
from unspool.data.forms import InputForm
from unspool.data.frames import is_frame
from unspool.data.futures import as_future
from unspool.data.sequences import FloatArray
from unspool.data.stored import Stored, Values
from unspool.errors import InputError


def note_columns(estimator: Any, X: Any, values: Values) -> None:
    """Set ``n_features_in_`` and ``feature_names_in_`` to the columns of a table.

    Parameters
    ----------
    estimator : Model
    X : as for `fit`
    values : array of shape (N, T)
        The numbers of `X`.
    """
    _validate(estimator, X, values, reset=True)


def check_columns(estimator: Any, X: Any, values: Values, *, rows_are_sequences: bool) -> None:
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


class Future(NamedTuple):
    """The steps that follow sequences, as `fit` was given them.

    Parameters
    ----------
    values : array of shape (N, K, ·)
    n_axes : int
        Number of axes of `y`.
    holds : {"features", "targets", "responses"}
        What the last axis of `values` is; see `Futures`.
    """

    values: FloatArray
    n_axes: int
    holds: Literal["features", "targets", "responses"]


def read_future(
    y: Any,
    source: Source,
    horizon: int | None,
    form: InputForm,
    *,
    may_respond: bool = False,
    responds: bool = False,
) -> Future:
    """Read the steps that follow the sequences.

    Parameters
    ----------
    y : array of shape (N, K, W), (N, K) if W is 1, (N, W) for one step, or (N,) for both
        W is the number of targets; of all features, if some are known ahead; or of quantities that
        are no features.
    source : Sequences or Windows
        The sequences.
    horizon : int, optional
        The required number of steps, K.
    form : InputForm
        The form of the sequences, with the targets; it says whether values may be missing.
    may_respond : bool, default False
        Whether `y` has quantities that are no features if its width is not that of `X`.
    responds : bool, default False
        Whether `y` has quantities that are no features, whatever its width.
    """
    n = len(source)
    holds: Literal["features", "targets", "responses"] = "features"
    width, names = form.n_features, source.feature_names
    if form.n_responses:
        holds, width, names = "responses", form.n_responses, None
    elif form.targets is not None and not form.known:
        holds, width, names = "targets", form.n_outputs, form.target_names
    y = as_future(y, names)
    finite = "allow-nan" if form.missing == "mask" else True
    with messages_of_sklearn():
        y = check_array(y, ensure_2d=False, allow_nd=True, input_name="y", ensure_all_finite=finite)
    if len(y) != n:
        raise InputError(
            f"Found input variables with inconsistent numbers of samples: [{n}, {len(y)}]; "
            "`y` must have the steps that follow each sequence of `X`."
        )
    other = form.targets is None and not form.known and _width_of(y, width) != width
    if not form.n_responses and (responds or (may_respond and other)):
        holds, width = "responses", y.shape[2] if y.ndim == 3 else 1
        if y.ndim == 2 and horizon == 1:
            width = y.shape[1]
    by_step = y.ndim == 2 and width > 1
    future = y[:, None] if by_step else y.reshape(n, -1, 1) if y.ndim < 3 else y
    fits = future.ndim == 3 and future.shape[2] == width and future.shape[1] > 0
    if not fits or horizon not in (None, future.shape[1]):
        steps = "K" if horizon is None else horizon
        why = " with all features, because some are known ahead" if form.known else ""
        raise InputError(
            f"Expected `y` of shape ({n}, {steps}, {width}), the {steps} steps that follow "
            f"each sequence{why}, got {y.shape}."
        )
    return Future(future, y.ndim, holds)


def _width_of(y: FloatArray, n_features: int) -> int:
    """Return the number of features in `y`, if it has as many axes as the features allow."""
    if y.ndim == 3:
        return int(y.shape[2])
    if y.ndim > 3:  # no future has so many axes
        return n_features
    return int(y.shape[1]) if y.ndim == 2 and n_features > 1 else 1


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


def _validate(estimator: Any, X: Any, values: Values, *, reset: bool, hint: str = "") -> None:
    given = X if is_frame(X) else values
    if isinstance(given, Stored):  # its first row has the same columns
        given = given[:1] if given.names is None else _named(given[:1], given.names)
    with messages_of_sklearn(hint):
        validate_data(estimator, given, reset=reset, skip_check_array=True)


@contextmanager
def messages_of_sklearn(hint: str = "") -> Iterator[None]:
    """Raise an `InputError` in place of a TypeError or ValueError, with its message and `hint`."""
    try:
        yield
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"{error}{hint}") from None


def _named(values: FloatArray, names: tuple[str, ...]) -> Any:
    """Return rows of a table with the names of its columns."""
    import pyarrow as pa

    return pa.table(dict(zip(names, values.T, strict=True)))
