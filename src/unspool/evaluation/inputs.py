"""Labels, scores and alarms of one series or several, as arrays (T,), each looked at."""

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
    """Labels or alarms as arrays (T,) of truth values, one for every series.

    Raises
    ------
    InputError
        For a value that is neither 0 nor 1, or a missing one.
    """
    flags = []
    for i, array in enumerate(_columns(name, values)):
        wrong = (array != 0) & (array != 1)  # NaN is
        if wrong.any():
            step = int(np.argmax(wrong))
            hint = " (`predict(X) == -1` are the alarms of a detector)" if array[step] == -1 else ""
            raise InputError(
                f"`{name}` must be 0 or 1, or False or True, at every step, got "
                f"{array[step]:g} at step {step}{_of(i)}{hint}."
            )
        flags.append(array.astype(bool))
    return flags


def read_scores(name: str, values: Any) -> list[FloatArray]:
    """Scores as float64 arrays (T,), one for every series; infinite ones are in order.

    Raises
    ------
    InputError
        For NaN, masked and missing scores.
    """
    scores: list[FloatArray] = []
    for i, array in enumerate(_columns(name, values)):
        missing = np.isnan(array)
        if missing.any():
            raise InputError(
                f"`{name}` must be a number at every step, got NaN at step "
                f"{int(np.argmax(missing))}{_of(i)}; leave such steps out of the labels too, or "
                "give them a score."
            )
        scores.append(array.astype(np.float64))
    return scores


def check_same_steps(labels: Sequence[Array], name: str, others: Sequence[Array]) -> None:
    """Raise unless there is one of `others`, as long, for every one of `labels`."""
    if len(labels) != len(others):
        raise InputError(
            f"`labels` and `{name}` must be of the same series, got {len(labels)} and "
            f"{len(others)} of them."
        )
    for i, (one, other) in enumerate(zip(labels, others, strict=True)):
        if len(one) != len(other):
            raise InputError(
                f"`labels` and `{name}` must have the same steps, got {len(one):,} and "
                f"{len(other):,}{_of(i)}."
            )


def mean_over_series(metric: Metric, labels: Any, scores: Any) -> float:
    """Mean of `metric` over the series where it is not NaN; NaN where there are none."""
    flags, numbers = read_flags("labels", labels), read_scores("scores", scores)
    check_same_steps(flags, "scores", numbers)
    values = [metric(one, its) for one, its in zip(flags, numbers, strict=True)]
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
                f"arrays, got shape {array.shape}{_of(i)}."
            )
    return [array[:, 0] for array in arrays]


def _of(i: int) -> str:
    return f" of series {i}" if i else ""
