"""Level and linear map that forecasts use in addition to the code; `unspool.nn.skip` in NumPy."""

from collections.abc import Mapping

import numpy as np

from unspool import blueprint as plan
from unspool.blueprint.layers import VARIANCE_FLOOR
from unspool.runtime.missing import carried, filled
from unspool.runtime.recurrence import Array, BatchLengths


def level_of(
    x: Array, batch: BatchLengths, normalization: str, fill: Array | None = None
) -> tuple[Array, Array]:
    """Return the location and spread (B, 1, F) of sequences (B, T, F) over their real steps.

    They are 0 and 1 for a sequence without steps, and for normalization "none".

    Parameters
    ----------
    x : array of shape (B, T, F)
        Sequences, zero past their ends.
    batch : BatchLengths
        Their lengths.
    normalization : {"none", "last", "standard"}
        The last value, or mean and standard deviation.
    fill : array of shape (F,), optional
        If values may be missing (NaN): the location of a feature that has no value in a sequence.
    """
    if fill is not None:
        return _level_of_present(x, batch, normalization, fill)
    location = np.zeros((len(x), 1, x.shape[2]), np.float32)
    spread = np.ones_like(location)
    if normalization == "none" or not x.shape[1]:
        return location, spread
    ends = batch.lengths[:, None, None]
    if normalization == "last":
        last = np.take_along_axis(x, np.maximum(ends - 1, 0), axis=1)
        return np.where(ends > 0, last, location), spread
    count = np.maximum(ends, 1).astype(np.float32)
    mean = x.sum(axis=1, keepdims=True) / count
    real = np.arange(x.shape[1])[:, None] < ends
    centered = np.where(real, x - mean, np.float32(0))
    square = (centered * centered).sum(axis=1, keepdims=True) / count
    return mean, np.where(ends > 0, np.sqrt(square + np.float32(VARIANCE_FLOOR)), spread)


def _level_of_present(
    x: Array, batch: BatchLengths, normalization: str, fill: Array
) -> tuple[Array, Array]:
    """Return location and spread of the values that are not missing; see `level_of`."""
    zeros = np.zeros((len(x), 1, x.shape[2]), np.float32)
    if normalization == "none":
        return zeros, zeros + 1
    if not x.shape[1]:
        return zeros + fill, zeros + 1
    steps = np.arange(x.shape[1])[:, None]
    present = (steps < batch.lengths[:, None, None]) & ~np.isnan(x)
    count = present.sum(axis=1, keepdims=True).astype(np.float32)
    if normalization == "last":
        place = np.where(present, steps, 0).max(axis=1, keepdims=True)
        return np.where(count > 0, np.take_along_axis(x, place, axis=1), fill), zeros + 1
    divisor = np.maximum(count, 1)
    mean = np.where(present, x, np.float32(0)).sum(axis=1, keepdims=True) / divisor
    centered = np.where(present, x - mean, np.float32(0))
    square = (centered * centered).sum(axis=1, keepdims=True) / divisor
    spread = np.sqrt(square + np.float32(VARIANCE_FLOOR))
    return np.where(count > 0, mean, fill), np.where(count > 0, spread, zeros + 1)


def normalised(
    x: Array, batch: BatchLengths, normalization: str, fill: Array | None = None
) -> Array:
    """Return (B, T, F) minus location, divided by spread; zero past the end of a sequence."""
    if normalization == "none":
        return x
    location, spread = level_of(x, batch, normalization, fill)
    real = np.arange(x.shape[1])[:, None] < batch.lengths[:, None, None]
    return np.where(real, (x - location) / spread, np.float32(0))


class Skip:
    """Adds the level of a sequence and a linear map of its last steps to the output of a decoder.

    Parameters
    ----------
    part : blueprint.Skip
        Blueprint of the map.
    weights : mapping of str to array
        "scale" (F,) and, for a map, "weight".
    """

    def __init__(self, part: plan.Skip, weights: Mapping[str, Array]) -> None:
        self.part, self.scale, self.weight = part, weights["scale"], weights.get("weight")
        self.fill = weights["fill"] if part.missing else None

    def __call__(self, output: Array, x: Array, batch: BatchLengths) -> Array:
        """Return forecasts (B, K, F) of outputs (B, K, F), or quantiles of outputs (B, K, F, Q)."""
        location, spread = level_of(x, batch, self.part.normalization, self.fill)
        spread = spread * self.scale
        if self.weight is not None:
            location = location + self._linear(x, batch, location)
        if output.ndim == 4:
            location, spread = location[..., None], spread[..., None]
        return np.asarray(location + spread * output, np.float32)

    def _linear(self, x: Array, batch: BatchLengths, level: Array) -> Array:
        """Return the linear map (B, K, F) of the last steps minus the level."""
        assert self.weight is not None
        steps = self.part.steps
        places = (batch.lengths[:, None] - steps + np.arange(steps))[:, :, None]
        if not x.shape[1]:  # as if each sequence had one step, which is its level
            x = np.broadcast_to(level, (len(x), 1, level.shape[2]))
        read = np.take_along_axis(x, np.maximum(places, 0), axis=1) - level
        if self.fill is not None:  # nothing is carried from before the start
            rest = self.fill if self.part.normalization == "none" else np.zeros_like(self.fill)
            read = filled(carried(np.where(places >= 0, read, np.float32(np.nan))), rest)
        read = np.where(places >= 0, read, np.float32(0))
        if self.part.normalization != "none":
            read = np.concatenate([read, level], axis=1)
        maps = read.transpose(2, 0, 1) @ self.weight.swapaxes(1, 2)
        return np.asarray(maps.transpose(1, 2, 0), np.float32)
