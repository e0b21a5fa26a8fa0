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


@dataclass(frozen=True)
class Errors:
    """Errors of a series in scaled units.

    Parameters
    ----------
    length : int
        Steps of the series, T.
    windows : array of shape (N, F)
        Mean error of each window.
    steps : array of shape (T, F), optional
        Error of each step, averaged over the windows that cover it.
    prefixes : array of shape (min(w - 1, T), F), optional
        Mean errors of the first step, of the first two steps, and so on: what a causal score has
        to go by before a window is full.
    distances : array of shape (N,), optional
        From the code of each window to the nearest code of training.
    """

    length: int
    windows: FloatArray
    steps: FloatArray | None = None
    prefixes: FloatArray | None = None
    distances: FloatArray | None = None


def normal_scale(errors: list[Errors]) -> FloatArray:
    """The mean error of each feature (F,) over all windows of normal series."""
    windows = np.concatenate([one.windows for one in errors])
    scale: FloatArray = np.maximum(windows.mean(axis=0), LEAST_SCALE)
    return scale


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
    scale : array of shape (F,)
        As from `normal_scale`.
    """
    if kind == "step":
        assert errors.steps is not None
        return relative(errors.steps, scale)
    windows = relative(errors.windows, scale)
    if kind != "trailing":
        return overlap_mean(windows, errors.length)
    assert errors.prefixes is not None
    first = relative(errors.prefixes, scale)
    return np.concatenate([first, windows[: errors.length - len(first)]])


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
    """Errors (..., F) as logarithms of 1 + their ratio to the normal ones."""
    terms: FloatArray = np.log1p(errors / scale)
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
