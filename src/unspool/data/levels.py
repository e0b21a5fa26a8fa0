"""Level of each sequence, by which it is normalised, in NumPy."""

from typing import NamedTuple

import numpy as np

from unspool._types import NormalizationName
from unspool.blueprint.layers import VARIANCE_FLOOR
from unspool.data.values import FloatArray, IntArray


class Level(NamedTuple):
    """Location and spread (B, 1, F) of sequences: ``normalised = (x - location) / spread``."""

    location: FloatArray
    spread: FloatArray

    def apply(self, x: FloatArray, lengths: IntArray) -> FloatArray:
        """Normalise sequences (B, T, F), with zeros past their ends."""
        real = np.arange(x.shape[1])[:, None] < lengths[:, None, None]
        return np.where(real, (x - self.location) / self.spread, np.float32(0))

    def undo(self, normalised: FloatArray) -> FloatArray:
        """Convert normalised sequences (B, T, F) back."""
        return normalised * self.spread + self.location


def level_of(x: FloatArray, lengths: IntArray, normalization: NormalizationName) -> Level:
    """Return the level of sequences (B, T, F), zero past their ends, over their real steps.

    Location and spread are 0 and 1 for a sequence without steps, and for normalization "none".

    Parameters
    ----------
    x : float32 array of shape (B, T, F)
        Sequences, scaled.
    lengths : array of int, shape (B,)
        Their numbers of steps.
    normalization : {"none", "last", "standard"}
        The last value, or mean and standard deviation.
    """
    location = np.zeros((len(x), 1, x.shape[2]), np.float32)
    spread = np.ones_like(location)
    if normalization == "none" or not x.shape[1]:
        return Level(location, spread)
    ends = lengths[:, None, None]
    if normalization == "last":
        last = np.take_along_axis(x, np.maximum(ends - 1, 0), axis=1)
        return Level(np.where(ends > 0, last, location), spread)
    count = np.maximum(ends, 1).astype(np.float32)
    mean = x.sum(axis=1, keepdims=True) / count
    real = np.arange(x.shape[1])[:, None] < ends
    centered = np.where(real, x - mean, np.float32(0))
    square = (centered * centered).sum(axis=1, keepdims=True) / count
    return Level(mean, np.where(ends > 0, np.sqrt(square + np.float32(VARIANCE_FLOOR)), spread))
