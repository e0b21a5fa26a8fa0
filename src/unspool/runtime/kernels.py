"""Random convolution kernels; `unspool.nn.random_kernels` in NumPy."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from unspool import blueprint as plan
from unspool.runtime.recurrence import Array, BatchLengths


class Kernels:
    """Means over time of a hard sigmoid of causal convolutions.

    Parameters
    ----------
    part : blueprint.Kernels
        Blueprint of the kernels.
    weights : mapping of str to array
        "weight" (K, F, taps) and "bias" (K,).
    """

    def __init__(self, part: plan.Kernels, weights: Mapping[str, Array]) -> None:
        self.part = part
        rows = weights["weight"].transpose(2, 1, 0).reshape(-1, part.width)  # (taps · F, K)
        self.weight, self.bias = np.ascontiguousarray(rows), weights["bias"]
        self.width = len(self.weight) + part.each  # largest number of values per step

    def __call__(self, x: Array, batch: BatchLengths) -> Array:
        """Return means (B, K) of sequences (B, T, F) whose padding is zero."""
        part, size, steps = self.part, *x.shape[:2]
        means = np.zeros((size, part.width), np.float32)
        if not steps:
            return means
        real = np.arange(steps) < batch.lengths[:, None]
        count = np.maximum(batch.lengths, 1).astype(np.float32)[:, None]
        for place, dilation in enumerate(part.dilations):
            columns = slice(place * part.each, (place + 1) * part.each)
            before = (part.TAPS - 1) * dilation
            padded = np.pad(x, ((0, 0), (before, 0), (0, 0)), mode="edge")
            taps = [padded[:, tap * dilation :][:, :steps] for tap in range(part.TAPS)]
            read = np.concatenate(taps, axis=2)
            values = hard_sigmoid(read @ self.weight[:, columns] + self.bias[columns])
            values[~real] = 0
            means[:, columns] = values.sum(axis=1) / count
        return means


class RunningKernels:
    """The means that `Kernels` computes, updated step by step.

    Parameters
    ----------
    kernels : Kernels
        The kernels.
    series : int
        Number of sequences that are read in parallel.
    """

    def __init__(self, kernels: Kernels, series: int) -> None:
        self.kernels, part = kernels, kernels.part
        before = (part.TAPS - 1) * max(part.dilations)
        self.past = np.zeros((before + 1, series, part.n_features), np.float32)
        self.sums: npt.NDArray[np.float64] = np.zeros((series, part.width))
        self.steps = 0

    def add(self, x: Array) -> None:
        """Read the next step (series, F), scaled."""
        part = self.kernels.part
        if not self.steps:  # the steps before the first are copies of it
            self.past[:] = x
        self.past[self.steps % len(self.past)] = x
        for place, dilation in enumerate(part.dilations):
            columns = slice(place * part.each, (place + 1) * part.each)
            steps = self.steps - dilation * np.arange(part.TAPS)[::-1]
            read = np.concatenate(list(self.past[steps % len(self.past)]), axis=1)
            response = read @ self.kernels.weight[:, columns] + self.kernels.bias[columns]
            self.sums[:, columns] += hard_sigmoid(response)
        self.steps += 1

    @property
    def means(self) -> Array:
        """The means so far, (series, K)."""
        return (self.sums / max(self.steps, 1)).astype(np.float32)


def hard_sigmoid(x: Array) -> Array:
    """Compute the hard sigmoid: 0 below -3, 1 above 3, linear in between."""
    clipped: Array = np.clip(x / np.float32(6) + np.float32(0.5), 0, 1)
    return clipped
