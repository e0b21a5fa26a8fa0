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


def level_of(
    x: FloatArray,
    lengths: IntArray,
    normalization: NormalizationName,
    fill: FloatArray | None = None,
) -> Level:
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
    fill : float32 array of shape (F,), optional
        If values may be missing (NaN): the location of a feature that has no value in a sequence.
        Location and spread are those of the values that are present.
    """
    if fill is not None:
        return _level_of_present(x, lengths, normalization, fill)
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


def _level_of_present(
    x: FloatArray, lengths: IntArray, normalization: NormalizationName, fill: FloatArray
) -> Level:
    """Return the level of the values that are not missing; see `level_of`."""
    zeros = np.zeros((len(x), 1, x.shape[2]), np.float32)
    if normalization == "none":
        return Level(zeros, zeros + 1)
    if not x.shape[1]:
        return Level(zeros + fill, zeros + 1)
    steps = np.arange(x.shape[1])[:, None]
    present = (steps < lengths[:, None, None]) & ~np.isnan(x)
    count = present.sum(axis=1, keepdims=True).astype(np.float32)
    if normalization == "last":
        place = np.where(present, steps, 0).max(axis=1, keepdims=True)
        last = np.take_along_axis(x, place, axis=1)
        return Level(np.where(count > 0, last, fill), zeros + 1)
    divisor = np.maximum(count, 1)
    mean = np.where(present, x, np.float32(0)).sum(axis=1, keepdims=True) / divisor
    centered = np.where(present, x - mean, np.float32(0))
    square = (centered * centered).sum(axis=1, keepdims=True) / divisor
    spread = np.sqrt(square + np.float32(VARIANCE_FLOOR))
    return Level(np.where(count > 0, mean, fill), np.where(count > 0, spread, zeros + 1))
