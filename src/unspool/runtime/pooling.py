"""Statistics of the states of an encoder over the steps; `unspool.lstm.pooling` in NumPy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.blueprint.layers import VARIANCE_FLOOR
from unspool.runtime.recurrence import Array, Lengths


def pooled(statistics: Sequence[str], states: Array, last: Array, lengths: Lengths) -> Array:
    """Return statistics (B, S · number of statistics) of states (T, S, B) over the real steps.

    For a sequence without steps, last, mean, maximum and minimum are its initial state.

    Parameters
    ----------
    statistics : sequence of {"last", "mean", "max", "min", "std"}
        The statistics.
    states : array of shape (T, S, B)
        States, zero past the end of a sequence.
    last : array of shape (B, S)
        Final states.
    lengths : array of shape (B,)
        Number of steps of every sequence.
    """
    real = (np.arange(len(states))[:, None] < lengths)[:, None]  # (T, 1, B)
    count = np.maximum(lengths, 1).astype(np.float32)
    mean = states.sum(axis=0) / count

    def over(name: str) -> Array:
        found = last.T
        if name == "mean":
            found = mean
        elif name == "std":
            centered = np.where(real, states - mean, np.float32(0))
            found = np.sqrt((centered * centered).sum(axis=0) / count + np.float32(VARIANCE_FLOOR))
        elif name == "max":
            found = states.max(axis=0, where=real, initial=-np.inf)
        elif name == "min":
            found = states.min(axis=0, where=real, initial=np.inf)
        return found.T

    found = np.concatenate([over(name) for name in statistics], axis=1)
    without_steps = [0 * last if name == "std" else last for name in statistics]
    has_steps = (lengths > 0)[:, None]
    values = np.where(has_steps, found, np.concatenate(without_steps, axis=1))
    return values.astype(np.float32, copy=False)


def pooled_parts(statistics: Sequence[str], states: Array, count: int, lengths: Lengths) -> Array:
    """Return statistics (B, count · number of statistics · S) over `count` parts of a sequence.

    Parameters
    ----------
    statistics : sequence of {"mean", "max", "min", "std"}
        The statistics.
    states : array of shape (T, S, B)
        States, zero past the end of a sequence.
    count : int
        Number of parts, cut as in `unspool.lstm.pooling.pooled_parts`.
    lengths : array of shape (B,)
        Number of steps of every sequence.
    """
    (steps, width, size), ends = states.shape, np.arange(count + 1) * lengths[:, None] // count
    first = ends[:, :-1]  # (B, count)
    sizes = np.minimum(np.maximum(ends[:, 1:] - first, 1), lengths[:, None])
    within = np.arange(sizes.max(initial=0))[:, None, None]
    places = np.minimum(first + within, max(steps - 1, 0))  # (steps of a part, B, count)
    parts = states.transpose(0, 2, 1)[places, np.arange(size)[:, None]]
    parts = parts * (within < sizes)[..., None]
    parts = parts.reshape(len(within), size * count, width).transpose(0, 2, 1)
    nothing = np.zeros((size * count, width), np.float32)
    return pooled(statistics, parts, nothing, sizes.ravel()).reshape(size, -1)


class RunningPool:
    """The statistics that `pooled` computes, updated step by step [1]_.

    Parameters
    ----------
    statistics : sequence of {"last", "mean", "max", "min", "std"}
        The statistics.

    References
    ----------
    .. [1] B. P. Welford (1962). "Note on a Method for Calculating Corrected Sums of Squares and
       Products", Technometrics 4(3).
    """

    def __init__(self, statistics: Sequence[str]) -> None:
        self.statistics, self.steps = tuple(statistics), 0

    def add(self, h: Array) -> None:
        """Add the state (S, B), or (S,), after the next step."""
        if self.statistics == ("last",):
            return
        self.steps += 1
        if self.steps == 1:
            self.largest, self.smallest = h.copy(), h.copy()
            self.mean, self.square = h.astype(np.float64), np.zeros(h.shape)
            return
        np.maximum(self.largest, h, out=self.largest)
        np.minimum(self.smallest, h, out=self.smallest)
        difference = h - self.mean
        self.mean += difference / self.steps
        self.square += difference * (h - self.mean)

    def pooled(self, last: Array) -> Array:
        """Return statistics (B, S · number of statistics), with the final states `last` (B, S)."""
        if self.statistics == ("last",):
            return last
        if not self.steps:
            without_steps = [0 * last if name == "std" else last for name in self.statistics]
            return np.concatenate(without_steps, axis=1)
        spread = np.sqrt(self.square / self.steps + VARIANCE_FLOOR)
        found: dict[str, npt.NDArray[np.floating[Any]]] = {
            "last": last.T,
            "mean": self.mean,
            "max": self.largest,
            "min": self.smallest,
            "std": spread,
        }
        shaped = [found[name].T.reshape(last.shape) for name in self.statistics]
        return np.concatenate(shaped, axis=1).astype(np.float32)
