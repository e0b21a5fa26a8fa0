"""Scores of forecasts and labels, in NumPy."""

from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.data.sequences import FloatArray
from unspool.errors import InputError


def check_shapes(predicted: npt.NDArray[Any], truth: npt.NDArray[Any]) -> None:
    """Refuse a `y` of another shape than the predictions."""
    if predicted.shape != truth.shape:
        raise InputError(f"Expected `y` of shape {predicted.shape}, got {truth.shape}.")


def check_finite(y: FloatArray) -> None:
    """Refuse a `y` (N, ...) that contains NaN or infinity."""
    finite = np.isfinite(y).reshape(len(y), -1).all(axis=1)
    if not finite.all():
        first = int(np.argmin(finite))
        raise InputError(
            f"`y` contains NaN or infinity (first at index {first}); fill it or drop the sequence."
        )


def r2(truth: FloatArray, predicted: FloatArray) -> float:
    """Return the mean of R² over columns, as in scikit-learn's `r2_score`; NaN for one row.

    Missing values of the truth (NaN) do not count, nor do columns with fewer than two values.
    """
    present = ~np.isnan(truth)
    if not present.all():
        columns = [(truth[p, i], predicted[p, i]) for i, p in enumerate(present.T) if p.sum() > 1]
        each = [r2(known[:, None], of_known[:, None]) for known, of_known in columns]
        return float(np.mean(each)) if each else float("nan")
    if len(truth) < 2:
        return float("nan")
    squares = ((truth - predicted) ** 2).sum(axis=0)
    total = ((truth - truth.mean(axis=0)) ** 2).sum(axis=0)
    constant = np.where(squares == 0, 1.0, 0.0)
    share = np.where(total > 0, 1 - squares / np.where(total > 0, total, 1), constant)
    return float(share.mean())
