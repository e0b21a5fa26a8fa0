"""Level and linear map that forecasts use in addition to the code; `unspool.nn.skip` in NumPy."""

from collections.abc import Mapping

import numpy as np

from unspool import blueprint as plan
from unspool._types import NormalizationName
from unspool.data.levels import level_of
from unspool.runtime.missing import carried, filled
from unspool.runtime.recurrence import Array, BatchLengths


def normalised(
    x: Array, batch: BatchLengths, normalization: NormalizationName, fill: Array | None = None
) -> Array:
    """Return (B, T, F) minus location, divided by spread; zero past the end of a sequence."""
    if normalization == "none":
        return x
    return level_of(x, batch.lengths, normalization, fill).apply(x, batch.lengths)


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
        location, spread = level_of(x, batch.lengths, self.part.normalization, self.fill)
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
