"""The `sample_weight` of `fit`, read as weights of sequences or of their steps."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool.data.convert import Source
from unspool.data.forms import InputForm
from unspool.data.frames import is_frame
from unspool.data.futures import Futures
from unspool.data.sequences import FloatArray, IntArray, Sequences
from unspool.data.values import as_reals
from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.training.error_weights import ErrorWeights

NAME = "`sample_weight`"
WEIGHTS_OF_VALIDATION = "The `sample_weight` of `validation_data`"


def weights_of_sequences(given: Any, n: int, name: str = NAME) -> FloatArray | None:
    """Return weights (N,) of sequences; None if all are equal.

    Raises
    ------
    InputError
        If the weights have another shape, or are negative, infinite, NaN, or all zero.
    """
    if given is None:
        return None
    values = as_reals(given, name).astype(np.float64)
    if values.shape != (n,):
        raise InputError(
            f"{name} must have the shape ({n},), one weight for each sequence, got {values.shape}."
        )
    _check_values(name, [values], "sequence")
    return None if _all_equal([values], name) else values


def read_sample_weight(
    given: Any, source: Source, form: InputForm, name: str = NAME
) -> ErrorWeights | None:
    """Return weights of the sequences of `source` or of their steps; None if all are equal.

    Parameters
    ----------
    given : array or list, optional
        Weights as `fit` accepts them.
    source : Sequences or Windows
        The sequences of `X`, with the steps that will be cut off.
    form : InputForm
        Form of `X`.
    name : str
        Name of the weights in messages.

    Raises
    ------
    InputError
        If the weights have another shape, or are negative, infinite, NaN, or all zero.
    """
    if given is None:
        return None
    if isinstance(source, Windows):
        series = _of_series(given, source, name)
        if series is not None:
            _check_values(name, series, "step")
            equal = _all_equal(series, name)
            return None if equal else ErrorWeights(steps=windows_like(source, series))
    n, lengths = len(source), source.lengths_of(np.arange(len(source)))
    ragged = _is_ragged(given, source)
    values = _padded(given, source, name) if ragged else as_reals(given, name).astype(np.float64)
    if values.shape == (n,):
        one_each = weights_of_sequences(values, n, name)
        return None if one_each is None else ErrorWeights(one_each)
    padded = _as_steps(values, source, form, ragged=ragged)
    if padded is None:
        raise InputError(_wrong_shape(name, values, source, form))
    real = np.arange(padded.shape[1]) < lengths[:, None]
    padded = np.where(real, padded, 0)
    _check_values(name, padded, "step")
    if _all_equal([padded[real]], name):
        return None
    return ErrorWeights(steps=Sequences(padded[..., None], lengths))


def with_futures(weights: ErrorWeights | None, horizon: int, *, given: bool) -> ErrorWeights | None:
    """Return weights of sequences whose last `horizon` steps are cut off, unless `y` is given."""
    if weights is None or weights.steps is None or not horizon:
        return weights
    if given:
        raise InputError(
            f"{NAME} has a weight for each step of `X`, but with `y` the steps of `y` are the "
            "targets; give one weight for each sequence, or leave `y` out, so that the last steps "
            "of each sequence are the targets."
        )
    assert not isinstance(weights.steps, Futures)
    return ErrorWeights(steps=Futures(weights.steps, horizon))


def counted(model: Any, weights: ErrorWeights | None, n: int) -> npt.NDArray[np.bool_]:
    """Return which of N sequences have a weight above 0 among the steps that are targets."""
    if weights is None:
        return np.ones(n, bool)
    return weights.counted(reconstructs=model._reconstructs, every_step=model._every_step)


def without_zeros(
    model: Any,
    whole: Source,
    source: Source | Futures,
    weights: ErrorWeights | None,
    groups: IntArray | None,
) -> tuple[Source, Source | Futures, ErrorWeights | None, IntArray | None]:
    """Leave out the sequences whose targets have the weight 0.

    Raises
    ------
    InputError
        If none is left.
    """
    keep = counted(model, weights, len(whole))
    if weights is None or keep.all():
        return whole, source, weights, groups
    if not keep.any():
        raise InputError(
            f"Expected {NAME} above zero for some step of `X` that the model has to write, got "
            "zero for all of them."
        )
    if groups is not None:
        _, groups = np.unique(groups[keep], return_inverse=True)
    kept = whole[keep]
    return kept, kept if source is whole else source[keep], weights.only(keep), groups


def normalised(
    weights: ErrorWeights | None,
    features: FloatArray | None,
    source: Source | Futures,
    indices: IntArray,
    *,
    by_step: bool,
) -> ErrorWeights | None:
    """Return weights with a mean of 1 over the sequences at `indices`, None if all are 1.

    Parameters
    ----------
    weights : ErrorWeights, optional
        Weights of the sequences of `source`, or of their steps.
    features : array of shape (F,), optional
        Weights of the features, with a mean of 1.
    source : Sequences, Windows or Futures
    indices : array of int, shape (B,)
    by_step : bool
        Whether the model forecasts after every step.
    """
    if weights is None:
        return None if features is None else ErrorWeights(features=features)
    weights = replace(weights, features=features)
    if by_step:
        return weights.normalised_by_step(source, indices)
    return weights.normalised(source, indices)


def read_feature_weight(
    given: Any, n_features: int, names: Sequence[str] | None
) -> FloatArray | None:
    """Return the weights (F,) of the targets with a mean of 1; None if all are equal.

    The targets are the features, unless a model has other `targets`.

    Parameters
    ----------
    given : sequence of float, mapping of str to float, or None
        The parameter `feature_weight`, whose values have been checked.
    n_features : int
        Number of targets, F.
    names : sequence of str, optional
        Names of the targets.
    """
    if given is None:
        return None
    if isinstance(given, Mapping):
        known = names if names is not None and len(names) == n_features else None
        if known is None:
            raise InputError(
                "`feature_weight` names features, but the features that the model writes have no "
                f"names; give a list of {n_features} weights, or data with names."
            )
        unknown = [name for name in given if name not in known]
        if unknown:
            raise InputError(
                f"`feature_weight`: {_checks.unknown_name('feature', unknown[0], known)}"
            )
        weights = np.array([float(given.get(name, 1.0)) for name in known])
    else:
        weights = np.asarray(given, np.float64)
        if len(weights) != n_features:
            raise InputError(
                f"`feature_weight` must have {n_features} weights, one for each feature that the "
                f"model writes, got {len(weights)}."
            )
    if not weights.any():
        raise InputError(
            "Expected `feature_weight` above zero for some feature, got zero for each of them."
        )
    return None if (weights == weights[0]).all() else weights / weights.mean()


def _all_equal(values: Sequence[FloatArray], name: str) -> bool:
    """Return whether all weights are equal, so that they change nothing; refuse zeros alone."""
    low = min(float(one.min(initial=np.inf)) for one in values)
    high = max(float(one.max(initial=-np.inf)) for one in values)
    if high == 0:
        raise InputError(
            f"Expected {name} with at least one weight above zero, got zero for all of them."
        )
    return low >= high


def _of_series(given: Any, windows: Windows, name: str) -> list[FloatArray] | None:
    """Return weights of the steps of each series, None if `given` are not such weights."""
    series: list[FloatArray] = windows.series
    arrays: list[FloatArray]
    is_list = isinstance(given, (list, tuple)) and any(np.ndim(one) == 1 for one in given)
    if is_list and len(given) == len(series):
        arrays = [as_reals(one, name).astype(np.float64) for one in given]
    elif not is_list and len(series) == 1 and not is_frame(given):
        arrays = [as_reals(given, name).astype(np.float64)]
        if arrays[0].shape != (len(series[0]),) or len(arrays[0]) == len(windows):
            return None
    else:
        return None
    for i, (one, values) in enumerate(zip(arrays, series, strict=True)):
        if one.shape != (len(values),):
            raise InputError(
                f"{name} must have the shape ({len(values)},), one weight for each step, in series "
                f"{i}, got {one.shape}."
            )
    return arrays


def _is_ragged(given: Any, source: Source) -> bool:
    """Return whether `given` is a list of weights of the steps of each sequence."""
    is_list = isinstance(given, (list, tuple)) and len(given) == len(source)
    return is_list and any(np.ndim(one) == 1 for one in given)


def _padded(given: Sequence[Any], source: Source, name: str) -> FloatArray:
    """Return a list of weights of steps as an array (N, T), with zeros as padding."""
    lengths = source.lengths_of(np.arange(len(source)))
    padded = np.zeros((len(source), source.max_length))
    for i, (row, one, length) in enumerate(zip(padded, given, lengths, strict=True)):
        weights = as_reals(one, name).astype(np.float64)
        if weights.shape not in ((length,), (source.max_length,)):
            raise InputError(
                f"{name} must have {length} weights for sequence {i}, one for each step, got "
                f"shape {weights.shape}."
            )
        row[:length] = weights[:length]
    return padded


def _as_steps(
    values: FloatArray, source: Source, form: InputForm, *, ragged: bool
) -> FloatArray | None:
    """Return weights (N, T) of steps, None if `values` have another shape."""
    n, steps = len(source), _padded_length(source)
    image = form.image_shape
    if image is not None:
        shapes = [(n, *image[:2]), (n, *image[:2], 1)]
    else:
        shapes = [(n, steps, 1)]
        if not form.table or ragged:
            shapes += [(n, steps), (n, source.max_length)]
    return values.reshape(n, prod(values.shape[1:])) if values.shape in shapes else None


def _padded_length(source: Source) -> int:
    return source.values.shape[1] if isinstance(source, Sequences) else source.max_length


def _wrong_shape(name: str, values: FloatArray, source: Source, form: InputForm) -> str:
    n, steps = len(source), _padded_length(source)
    message = f"{name} must have the shape ({n},), one weight for each sequence"
    if form.image_shape is not None:
        height, width, _ = form.image_shape
        by_step = f"({n}, {height}, {width}), one for each pixel"
    elif form.table:
        by_step = f"({n}, {steps}, 1), one for each step"
    else:
        by_step = f"({n}, {steps}), one for each step"
    if isinstance(source, Windows):
        by_step += ", or be a list with the weights of the steps of each series"
    return f"{message} of `X`, or {by_step}, got {values.shape}."


def _check_values(name: str, rows: Sequence[FloatArray] | FloatArray, noun: str) -> None:
    """Refuse weights that are negative, infinite or NaN, and name the first of them."""
    for i, row in enumerate(rows):
        bad = np.flatnonzero(~(np.isfinite(row) & (row >= 0)))
        if not len(bad):
            continue
        first = int(bad[0])
        place = f"index {first}" if noun == "sequence" else f"step {first} of number {i}"
        value = row[first]
        if np.isfinite(value):
            raise InputError(f"{name} must be at least 0, got {value:g} (first at {place}).")
        raise InputError(f"{name} contains NaN or infinity (first at {place}).")


def windows_like(windows: Windows, series: Sequence[FloatArray]) -> Windows:
    """Return the same windows over other series of the same lengths.

    Parameters
    ----------
    windows : Windows
    series : sequence of arrays of shape (T_i,)
        A number for each step of each series of `windows`.
    """
    other: Windows = windows[:]
    other.series, other.feature_names = [one[:, None] for one in series], None
    return other
