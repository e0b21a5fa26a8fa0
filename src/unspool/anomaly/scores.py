"""Anomaly scores from the errors of a model, with NumPy alone, for the estimator and the runtime.

Dimensions in addition to those of `unspool.data.sequences`: a window has w steps, and a series of T
steps has N = T - w + 1 windows, one starting at each step; a series shorter than a window is one
window. A higher score is more anomalous.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unspool._types import ScoreKind, names
from unspool.anomaly.missing import mean_of_present
from unspool.data.sequences import FloatArray
from unspool.errors import InputError

SCORE_KINDS = names(ScoreKind)

# Lower limit of the normal error of a feature, in scaled units. A feature that is constant in
# training is reconstructed almost exactly; without a limit, rounding would be an anomaly.
MIN_SCALE = 1e-4

# Errors up to RATIO times the normal error enter nearly in proportion, larger ones logarithmically.
# On 35 series (NAB, SMD and others) 3 ranks as well as 1, and better with many features.
RATIO = 3.0

# The weights of a "trailing" score fall to 1 / e over the last DECAY of a window.
DECAY = 0.25


@dataclass(frozen=True)
class SeriesErrors:
    """Errors of a series in scaled units. Errors that no score needs are None.

    Parameters
    ----------
    length : int
        Number of steps of the series, T.
    windows : array of shape (N, F)
        Mean error of each window.
    steps : array of shape (T, F), optional
        Error of each step, averaged over the windows that cover it.
    trailing : array of shape (T, F), optional
        Weighted mean error of the window that ends at each step; see `trailing_weights`.
    distances : array of shape (N,), optional
        Distance from the code of each window to the nearest code of training.
    empty : bool array of shape (T,), optional
        Steps that have no value, whose score is NaN. Errors are NaN where values are missing.
    shares : dict of str to array, optional
        For "window", "step" and "trailing": the share of the values that are present among those
        whose mean is the error, in the shape of the errors. Without it all are present.
    """

    length: int
    windows: FloatArray
    steps: FloatArray | None = None
    trailing: FloatArray | None = None
    distances: FloatArray | None = None
    empty: npt.NDArray[np.bool_] | None = None
    shares: Mapping[str, FloatArray] | None = None

    def of_kind(self, kind: str) -> FloatArray:
        """Return the errors (N, F) or (T, F) from which a kind of score is computed."""
        errors = {"step": self.steps, "trailing": self.trailing}.get(kind, self.windows)
        assert errors is not None
        return errors

    def completed(self, kind: str, scale: FloatArray) -> FloatArray:
        """Return the errors of a kind, in which a missing value has the normal error `scale`.

        A window with few values is reconstructed badly, and its mean error varies widely. If it
        counted as a whole window, scores would rise on both sides of an outage.
        """
        errors = self.of_kind(kind)
        share = (self.shares or {}).get(kind if kind in ("step", "trailing") else "window")
        return errors if share is None else with_normal(errors, share, scale)


def trailing_weights(steps: int, window: int) -> FloatArray:
    """Return weights (steps,) for the errors of the last steps, oldest first; their sum is 1.

    The latest step weighs most: with equal weights, the score of a window of 64 steps would rise
    only when much of it lies within the anomaly.
    """
    weights = np.exp(np.arange(1 - steps, 1) / (DECAY * window))
    total: FloatArray = weights / weights.sum()
    return total


def normal_scale(kind: str, errors: list[SeriesErrors]) -> FloatArray:
    """Return the mean error of each feature (F,) over normal series."""
    scale = mean_of_present(np.concatenate([one.of_kind(kind) for one in errors]), 0)
    return np.maximum(_of_all_features(scale), MIN_SCALE)


def _of_all_features(scale: FloatArray) -> FloatArray:
    """Replace the normal errors (F,) of features without a value by the mean of the others."""
    if np.isnan(scale).all():
        raise InputError(
            "All values of the held-out data are missing, so no normal error can be learned; hold "
            "out more data, or give `calibration` data with values."
        )
    return np.where(np.isnan(scale), mean_of_present(scale, 0), scale)


def trailing_scale(errors: list[SeriesErrors], first: list[FloatArray], window: int) -> FloatArray:
    """Return the normal errors (w, F) of windows with 1, 2, …, w real steps.

    The first steps of a series are reconstructed worse, because their windows are padded, so they
    have separate normal errors.

    Parameters
    ----------
    errors : list of SeriesErrors
        Errors of normal series. Those after the first w - 1 steps count as errors of whole
        windows.
    first : list of arrays of shape (n, F), n up to w
        Errors of the first steps of stretches of normal series.
    window : int
        Number of steps of a window, w.
    """
    features = errors[0].windows.shape[1]
    total, count = np.zeros((window, features)), np.zeros((window, features))
    for one in first:
        total[: len(one)] += np.nan_to_num(one)
        count[: len(one)] += ~np.isnan(one)
    whole = [one.of_kind("trailing")[window - 1 :] for one in errors]
    if sum(map(len, whole)):
        after = np.concatenate(whole)
        total[-1], count[-1] = np.nan_to_num(after).sum(axis=0), (~np.isnan(after)).sum(axis=0)
    scale = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    known = np.flatnonzero(count.any(axis=1))
    last = _of_all_features(scale[known[-1]] if len(known) else scale[-1])
    scale[known[-1] :] = last  # no series is longer
    return np.maximum(np.where(np.isnan(scale), last, scale), MIN_SCALE)


def contributions(kind: str, errors: SeriesErrors, scale: FloatArray) -> FloatArray:
    """Return what each feature contributes to the score of each step, (T, F).

    A score is the mean of its contributions. The error of a feature is divided by its error on
    normal data, so that features which are hard to reconstruct do not dominate. The logarithm
    keeps one feature with a huge error from dominating.

    Parameters
    ----------
    kind : {"window", "step", "trailing", "code"}
        The kind of score. Codes have no features: for "code", the contributions are those of
        "window".
    errors : SeriesErrors
        Errors of the series, with those that the kind needs.
    scale : array of shape (F,), or (w, F) for the kind "trailing"
        Result of `normal_scale` or `trailing_scale`.
    """
    if kind == "trailing":
        scale = scale[np.minimum(np.arange(errors.length), len(scale) - 1)]
    ratios = log_ratios(errors.completed(kind, scale), scale)
    if kind not in ("step", "trailing"):
        ratios = overlap_mean(ratios, errors.length)
    return _without_empty(ratios, errors)


def step_scores(kind: str, errors: SeriesErrors, scale: FloatArray) -> FloatArray:
    """Return the score of each step, (T,); the parameters are those of `contributions`."""
    if kind == "code":
        assert errors.distances is not None
        return _without_empty(overlap_mean(errors.distances, errors.length), errors)
    if kind == "window":  # averages over features first, which takes less memory
        of_windows = mean_of_present(log_ratios(errors.completed(kind, scale), scale), 1)
        return _without_empty(overlap_mean(of_windows, errors.length), errors)
    return mean_of_present(contributions(kind, errors, scale), 1)


def _without_empty(values: FloatArray, errors: SeriesErrors) -> FloatArray:
    """Replace values (T, …) of steps that have no value by NaN."""
    if errors.empty is not None:
        values[errors.empty] = np.nan
    return values


def with_normal(errors: FloatArray, share: FloatArray, scale: FloatArray) -> FloatArray:
    """Return mean errors (..., F) of a `share` of values, with the normal error for the others."""
    completed: FloatArray = share * errors + (1 - share) * scale
    return completed


def shares_of(present: npt.NDArray[np.bool_], size: int) -> dict[str, FloatArray]:
    """Return the shares of present values among those of each error of a series.

    Parameters
    ----------
    present : bool array of shape (T, F)
        Which values are present.
    size : int
        Number of steps of a window, w.

    Returns
    -------
    dict of str to array
        "window" (N, F), "step" (T, F), the mean over the windows that cover a step, and "trailing"
        (T, F), weighted as the errors.
    """
    steps = len(present)
    real = min(size, steps)
    windows = np.zeros((steps - real + 1, present.shape[1]))
    for place in range(real):
        windows += present[place : place + len(windows)]
    windows /= real
    trailing, possible = np.zeros(present.shape), np.zeros((steps, 1))
    for ago, weight in enumerate(trailing_weights(size, size)[::-1][:steps]):
        trailing[ago:] += weight * present[: steps - ago]
        possible[ago:] += weight
    return {
        "window": windows,
        "step": overlap_mean(windows, steps),
        "trailing": trailing / possible,
    }


def log_ratios(errors: FloatArray, scale: FloatArray) -> FloatArray:
    """Return log(1 + errors / (RATIO · scale)) for errors (..., F)."""
    ratios: FloatArray = np.log1p(errors / (RATIO * scale))
    return ratios


def overlap_mean(windows: FloatArray, steps: int) -> FloatArray:
    """Average values of windows (N, ...) over the windows that cover each step, (T, ...).

    Windows whose value is NaN do not count. Sums are taken window by window: a cumulative sum would
    lose digits over a long series.
    """
    n = len(windows)
    size = steps - n + 1
    total = np.zeros((steps, *windows.shape[1:]))
    present = ~np.isnan(windows)
    if not present.all():
        count, windows = np.zeros_like(total), np.where(present, windows, 0)
        for place in range(size):
            total[place : place + n] += windows
            count[place : place + n] += present
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)
    for place in range(size):
        total[place : place + n] += windows
    return total / window_counts(n, size).reshape(-1, *[1] * (windows.ndim - 1))


def window_counts(windows: int, size: int) -> FloatArray:
    """Return how many windows of `size` steps cover each step, (T,)."""
    steps = np.arange(windows + size - 1)
    at_most = min(windows, size)
    return np.minimum(np.minimum(steps + 1, steps[::-1] + 1), at_most).astype(np.float64)
