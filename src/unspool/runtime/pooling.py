"""Statistics of an encoder's states over the steps: `unspool.lstm.pooling` in NumPy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.blueprint.layers import VARIANCE_FLOOR
from unspool.runtime.recurrence import Array, Lengths


def pooled(statistics: Sequence[str], states: Array, last: Array, lengths: Lengths) -> Array:
    """Statistics (B, S · number of statistics) of states (T, S, B) over the real steps.

    A sequence of no steps has its initial state for the last, the mean, the largest and the
    smallest state.

    Parameters
    ----------
    statistics : sequence of {"last", "mean", "max", "min", "std"}
    states : array of shape (T, S, B)
        Zero past the end of a sequence.
    last : array of shape (B, S)
        The final states.
    lengths : array of shape (B,)
    """
    real = (np.arange(len(states))[:, None] < lengths)[:, None]  # (T, 1, B)
    count = np.maximum(lengths, 1).astype(np.float32)
    mean = states.sum(axis=0) / count

    def over(name: str) -> Array:
        found = last.T
        if name == "mean":
            found = mean
        elif name == "std":
            apart = np.where(real, states - mean, np.float32(0))
            found = np.sqrt((apart * apart).sum(axis=0) / count + np.float32(VARIANCE_FLOOR))
        elif name == "max":
            found = states.max(axis=0, where=real, initial=-np.inf)
        elif name == "min":
            found = states.min(axis=0, where=real, initial=np.inf)
        return found.T

    found = np.concatenate([over(name) for name in statistics], axis=1)
    none = [0 * last if name == "std" else last for name in statistics]
    begun = (lengths > 0)[:, None]
    return np.where(begun, found, np.concatenate(none, axis=1)).astype(np.float32, copy=False)


def pooled_parts(statistics: Sequence[str], states: Array, count: int, lengths: Lengths) -> Array:
    """Statistics (B, count · number of statistics · S) over each of `count` parts of a sequence.

    Parameters
    ----------
    statistics : sequence of {"mean", "max", "min", "std"}
    states : array of shape (T, S, B)
    count : int
        Parts, cut as `unspool.lstm.pooling.pooled_parts` says.
    lengths : array of shape (B,)
    """
    (steps, width, size), ends = states.shape, np.arange(count + 1) * lengths[:, None] // count
    first = ends[:, :-1]  # (B, count)
    sizes = np.minimum(np.maximum(ends[:, 1:] - first, 1), lengths[:, None])
    own = np.arange(sizes.max(initial=0))[:, None, None]
    places = np.minimum(first + own, max(steps - 1, 0))  # (steps of a part, B, count)
    parts = states.transpose(0, 2, 1)[places, np.arange(size)[:, None]]
    parts = parts * (own < sizes)[..., None]
    parts = parts.reshape(len(own), size * count, width).transpose(0, 2, 1)
    nothing = np.zeros((size * count, width), np.float32)
    return pooled(statistics, parts, nothing, sizes.ravel()).reshape(size, -1)


class RunningPool:
    """The statistics of states that come one step at a time, as `pooled` has them of all.

    Parameters
    ----------
    statistics : sequence of {"last", "mean", "max", "min", "std"}

    Source: Welford 1962, "Note on a Method for Calculating Corrected Sums of Squares".
    """

    def __init__(self, statistics: Sequence[str]) -> None:
        self.statistics, self.steps = tuple(statistics), 0

    def add(self, h: Array) -> None:
        """Read the state (S, B), or (S,), after the next step."""
        if self.statistics == ("last",):
            return
        self.steps += 1
        if self.steps == 1:
            self.largest, self.smallest = h.copy(), h.copy()
            self.mean, self.square = h.astype(np.float64), np.zeros(h.shape)
            return
        np.maximum(self.largest, h, out=self.largest)
        np.minimum(self.smallest, h, out=self.smallest)
        apart = h - self.mean
        self.mean += apart / self.steps
        self.square += apart * (h - self.mean)

    def pooled(self, last: Array) -> Array:
        """Statistics (B, S · number of statistics), with the final states `last` (B, S)."""
        if self.statistics == ("last",):
            return last
        if not self.steps:
            none = [0 * last if name == "std" else last for name in self.statistics]
            return np.concatenate(none, axis=1)
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
