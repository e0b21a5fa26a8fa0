"""Means and thresholds of errors and scores that are NaN where values are missing. NumPy alone."""

import numpy as np

from unspool.anomaly.threshold_kinds import Threshold
from unspool.data.sequences import FloatArray


def mean_of_present(values: FloatArray, axis: int) -> FloatArray:
    """Return means over an axis without NaN, in float64; NaN where there is nothing else."""
    present = ~np.isnan(values)
    if present.all():
        means: FloatArray = values.mean(axis=axis, dtype=np.float64)
        return means
    count = present.sum(axis=axis)
    total = values.sum(axis=axis, dtype=np.float64, where=present)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def weighted_mean(weights: FloatArray, errors: FloatArray) -> FloatArray:
    """Return weighted means (…, F) over the steps of errors (…, T, F), without NaN."""
    present = ~np.isnan(errors)
    if present.all():
        means: FloatArray = np.tensordot(errors, weights, axes=(-2, 0))
        return means
    known = np.tensordot(present.astype(np.float64), weights, axes=(-2, 0))
    total = np.tensordot(np.where(present, errors, 0), weights, axes=(-2, 0))
    return np.where(known > 0, total / np.where(known > 0, known, 1), np.nan)


def known_scores(scores: list[FloatArray]) -> list[FloatArray]:
    """Return the scores of each series without those of steps that have no value."""
    return [one[~np.isnan(one)] for one in scores]


def thresholds_over(threshold: Threshold, scores: FloatArray) -> FloatArray:
    """Return the threshold of each step (T,); a score of NaN changes none."""
    if not np.isnan(scores).any():
        return threshold.over(scores)
    running = threshold.running()
    return np.array(
        [running.level if one != one else running.update(one) for one in scores.tolist()]
    )
