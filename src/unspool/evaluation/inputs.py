"""Reads labels, scores and alarms of one series or several as checked arrays of shape (T,)."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.data.series import as_series
from unspool.data.values import Array, FloatArray
from unspool.errors import InputError

BoolArray = npt.NDArray[np.bool_]
Metric = Callable[[BoolArray, FloatArray], float]


def read_flags(name: str, values: Any) -> list[BoolArray]:
    """Return labels or alarms as one boolean array (T,) for every series.

    Raises
    ------
    InputError
        If a value is missing, or neither 0 nor 1.
    """
    flags = []
    for i, array in enumerate(_columns(name, values)):
        wrong = (array != 0) & (array != 1)  # includes NaN
        if wrong.any():
            step = int(np.argmax(wrong))
            hint = " (for a detector use `predict(X) == -1`)" if array[step] == -1 else ""
            raise InputError(
                f"`{name}` must be 0 or 1, or False or True, at every step, got "
                f"{array[step]:g} at step {step}{_series_suffix(i)}{hint}."
            )
        flags.append(array.astype(bool))
    return flags


def read_scores(name: str, values: Any) -> list[FloatArray]:
    """Return scores as one float64 array (T,) for every series; infinite scores are allowed.

    Raises
    ------
    InputError
        If a score is NaN, masked or missing.
    """
    scores: list[FloatArray] = []
    for i, array in enumerate(_columns(name, values)):
        missing = np.isnan(array)
        if missing.any():
            raise InputError(
                f"`{name}` must be a number at every step, got NaN at step "
                f"{int(np.argmax(missing))}{_series_suffix(i)}; remove such steps from scores and "
                "labels, or give them a score."
            )
        scores.append(array.astype(np.float64))
    return scores


def check_same_steps(labels: Sequence[Array], name: str, others: Sequence[Array]) -> None:
    """Raise unless `labels` and `others` have the same number of series and of steps."""
    if len(labels) != len(others):
        raise InputError(
            f"`labels` and `{name}` must be of the same series, got {len(labels)} and "
            f"{len(others)} series."
        )
    for i, (one, other) in enumerate(zip(labels, others, strict=True)):
        if len(one) != len(other):
            raise InputError(
                f"`labels` and `{name}` must have the same number of steps, got {len(one):,} and "
                f"{len(other):,}{_series_suffix(i)}."
            )


def mean_over_series(metric: Metric, labels: Any, scores: Any) -> float:
    """Return the mean of `metric` over the series where it is not NaN; NaN if it always is."""
    all_flags, all_scores = read_flags("labels", labels), read_scores("scores", scores)
    check_same_steps(all_flags, "scores", all_scores)
    values = [metric(flags, scores) for flags, scores in zip(all_flags, all_scores, strict=True)]
    defined = [value for value in values if not math.isnan(value)]
    return sum(defined) / len(defined) if defined else math.nan


def _columns(name: str, values: Any) -> list[Array]:
    try:
        arrays, _ = as_series(values)
    except InputError as error:
        raise type(error)(f"`{name}`: {error}") from None
    for i, array in enumerate(arrays):
        if array.shape[1] != 1:
            raise InputError(
                f"`{name}` must be one number for every step, of shape (T,), or a list of such "
                f"arrays, got shape {array.shape}{_series_suffix(i)}."
            )
    return [array[:, 0] for array in arrays]


def _series_suffix(i: int) -> str:
    return f" of series {i}" if i else ""
