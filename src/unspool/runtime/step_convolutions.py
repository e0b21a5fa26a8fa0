"""Convolutions in front of an LSTM, in NumPy; `unspool.nn.step_convolutions` is the same."""

from collections.abc import Mapping

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from unspool import blueprint as plan
from unspool.runtime.dense import ACTIVATIONS
from unspool.runtime.recurrence import Array, BatchLengths

LOWEST = -3e38  # lower than every value that is pooled


class StepConvolutions:
    """Convolutions over steps, each followed by an activation and by max pooling.

    Parameters
    ----------
    part : blueprint.StepConvolutions
        Sizes, padding and activation.
    weights : mapping of str to array
        Weights by their names in the blueprint.
    """

    def __init__(self, part: plan.StepConvolutions, weights: Mapping[str, Array]) -> None:
        self.part, self.activation = part, ACTIVATIONS[part.activation]
        self.matrices = [
            np.ascontiguousarray(weights[f"{i}.weight"].reshape(filters, -1).T)
            for i, filters in enumerate(part.filters)
        ]
        self.biases = [weights[f"{i}.bias"] for i in range(len(part.filters))]
        self.width = max(max(matrix.shape) for matrix in self.matrices)

    def __call__(self, x: Array, batch: BatchLengths) -> tuple[Array, BatchLengths]:
        """Return the outputs (B, P, filters) for sequences (B, T, F), and their lengths."""
        lengths, part = batch.lengths, self.part
        if not x.shape[1]:
            return np.zeros((len(x), 0, part.filters[-1]), np.float32), batch
        for depth, (matrix, bias) in enumerate(zip(self.matrices, self.biases, strict=True)):
            edges, size = part.edges(depth), part.pools[depth]
            padded = np.pad(_cut(x, lengths, 0), ((0, 0), edges, (0, 0)))
            pieces = sliding_window_view(padded, part.kernels[depth], axis=1)
            x = self.activation(pieces.reshape(*pieces.shape[:2], -1) @ matrix + bias)
            lengths = np.maximum(lengths - part.surplus(depth), 0)
            if size > 1:
                x = _cut(x, lengths, LOWEST)
                missing = -x.shape[1] % size
                x = np.pad(x, ((0, 0), (0, missing), (0, 0)), constant_values=LOWEST)
                x = x.reshape(len(x), -1, size, x.shape[2]).max(axis=2)
                lengths = (lengths + part.rounding(depth)) // size
        return _cut(x, lengths, 0), BatchLengths(lengths, x.shape[1])


def _cut(x: Array, lengths: np.ndarray, value: float) -> Array:
    """Return sequences (B, T, F) with this value past their ends."""
    real = np.arange(x.shape[1]) < lengths[:, None]
    return np.where(real[:, :, None], x, np.float32(value))
