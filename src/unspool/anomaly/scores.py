"""From the errors of a series to anomaly scores, in NumPy, for the detector and the runtime alike.

Dims, beside those of `unspool.data.sequences`: w steps of a window, and N = T - w + 1 windows of a
series, a step apart; a series shorter than a window is one window. Higher is more anomalous.
"""

from dataclasses import dataclass

import numpy as np

from unspool.data.sequences import FloatArray

KINDS = ("window", "step", "trailing", "code")

# The least error, in scaled units, that counts as normal for a feature. A feature that never moved
# in training is reconstructed almost exactly; without a bound, rounding would be an anomaly.
LEAST_SCALE = 1e-4

# Errors up to so many times the normal one count nearly in proportion, larger ones as logarithms.
# Over 35 series (NAB, SMD and others) 3 ranks as well as 1, and better where features are many.
RATIO = 3.0

# The weights of a "trailing" score fall to 1 / e from the end of a window over this share of it.
DECAY = 0.25


@dataclass(frozen=True)
class Errors:
    """Errors of a series in scaled units, as far as they are needed.

    Parameters
    ----------
    length : int
        Steps of the series, T.
    windows : array of shape (N, F)
        Mean error of each window.
    steps : array of shape (T, F), optional
        Error of each step, averaged over the windows that cover it.
    trailing : array of shape (T, F), optional
        Weighted mean error of the window that ends at each step; see `trailing_weights`.
    distances : array of shape (N,), optional
        From the code of each window to the nearest code of training.
    """

    length: int
    windows: FloatArray
    steps: FloatArray | None = None
    trailing: FloatArray | None = None
    distances: FloatArray | None = None

    def of_kind(self, kind: str) -> FloatArray:
        """The errors (N, F) or (T, F) that a kind of score is made of."""
        found = {"step": self.steps, "trailing": self.trailing}.get(kind, self.windows)
        assert found is not None
        return found


def trailing_weights(steps: int, window: int) -> FloatArray:
    """Weights (steps,) of the errors of a window's last steps, the oldest first; their sum is 1.

    What has just happened counts most: with equal weights a window of 64 steps tells of an
    anomaly only when much of it lies within.
    """
    weights = np.exp(np.arange(1 - steps, 1) / (DECAY * window))
    total: FloatArray = weights / weights.sum()
    return total


def normal_scale(kind: str, errors: list[Errors]) -> FloatArray:
    """The mean error of each feature (F,) over normal series."""
    scale: FloatArray = np.concatenate([one.of_kind(kind) for one in errors]).mean(axis=0)
    return np.maximum(scale, LEAST_SCALE)


def trailing_scale(errors: list[Errors], first: list[FloatArray], window: int) -> FloatArray:
    """The normal errors (w, F) of windows of one step, two steps, and so on up to a whole one.

    The first steps of a series are reconstructed worse, in windows that are filled up, so they
    have normal errors of their own.

    Parameters
    ----------
    errors : list of Errors
        Of normal series; what follows their first steps are whole windows.
    first : list of arrays (n, F), n up to w
        Errors of the first steps of stretches of normal series.
    window : int
        Steps of a window, w.
    """
    features = errors[0].windows.shape[1]
    total, count = np.zeros((window, features)), np.zeros((window, 1))
    for one in first:
        total[: len(one)] += one
        count[: len(one)] += 1
    whole = [one.of_kind("trailing")[window - 1 :] for one in errors]
    if sum(map(len, whole)):
        total[-1], count[-1] = np.concatenate(whole).sum(axis=0), sum(map(len, whole))
    known = np.flatnonzero(count)
    total[known[-1] + 1 :] = total[known[-1]] / count[known[-1]]  # no series has so many steps
    return np.maximum(total / np.maximum(count, 1), LEAST_SCALE)


def terms(kind: str, errors: Errors, scale: FloatArray) -> FloatArray:
    """What each feature contributes to the score of each step, (T, F); scores are their means.

    An error is divided by that of its feature on normal data, so that features which are hard to
    reconstruct do not drown the others. Its logarithm keeps one feature with a huge error from
    doing so.

    Parameters
    ----------
    kind : one of `KINDS`
        Of "code", which has no features, the terms are those of "window".
    errors : Errors
        With what the kind needs.
    scale : array of shape (F,), or (w, F) for the kind "trailing"
        As from `normal_scale` and `trailing_scale`.
    """
    if kind == "trailing":
        scale = scale[np.minimum(np.arange(errors.length), len(scale) - 1)]
    found = relative(errors.of_kind(kind), scale)
    return found if kind in ("step", "trailing") else overlap_mean(found, errors.length)


def scores(kind: str, errors: Errors, scale: FloatArray) -> FloatArray:
    """The score of each step, (T,); parameters are those of `terms`."""
    if kind == "code":
        assert errors.distances is not None
        return overlap_mean(errors.distances, errors.length)
    if kind == "window":  # the mean over features first, which takes less memory
        return overlap_mean(relative(errors.windows, scale).mean(axis=1), errors.length)
    found: FloatArray = terms(kind, errors, scale).mean(axis=1)
    return found


def relative(errors: FloatArray, scale: FloatArray) -> FloatArray:
    """Errors (..., F) as logarithms of 1 + their ratio to `RATIO` times the normal ones."""
    terms: FloatArray = np.log1p(errors / (RATIO * scale))
    return terms


def overlap_mean(windows: FloatArray, steps: int) -> FloatArray:
    """For each step the mean over the windows that cover it: (N, ...) becomes (T, ...).

    Sums are taken window by window: a cumulative sum would lose digits over a long series.
    """
    n = len(windows)
    size = steps - n + 1
    total = np.zeros((steps, *windows.shape[1:]))
    for place in range(size):
        total[place : place + n] += windows
    return total / counts(n, size).reshape(-1, *[1] * (windows.ndim - 1))


def counts(windows: int, size: int) -> FloatArray:
    """How many of so many windows cover each step, (T,)."""
    steps = np.arange(windows + size - 1)
    fewest = min(windows, size)
    return np.minimum(np.minimum(steps + 1, steps[::-1] + 1), fewest).astype(np.float64)
