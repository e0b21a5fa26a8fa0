"""Convolution, max pooling and upsampling of images (B, H, W, C), in NumPy."""

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from unspool.blueprint.layers import Size

Array = npt.NDArray[np.float32]


class Convolution:
    """A convolution with stride 1 and padding "same".

    Parameters
    ----------
    weight : array of shape (O, I, height, width)
        The kernels.
    bias : array of shape (O,)
        The biases.
    """

    def __init__(self, weight: Array, bias: Array) -> None:
        self.kernel: Size = (weight.shape[2], weight.shape[3])
        self.matrix = np.ascontiguousarray(weight.transpose(2, 3, 1, 0).reshape(-1, len(weight)))
        self.bias = bias
        self.width = max(self.matrix.shape)  # largest number of values per pixel

    def __call__(self, images: Array) -> Array:
        """Return outputs (B, H, W, O) for images (B, H, W, I)."""
        (tall, wide), (batch, height, width, channels) = self.kernel, images.shape
        before = (tall - 1) // 2, (wide - 1) // 2
        after = tall - 1 - before[0], wide - 1 - before[1]
        padded = np.pad(images, ((0, 0), *zip(before, after, strict=True), (0, 0)))
        views = sliding_window_view(padded, (tall, wide), axis=(1, 2)).transpose(0, 1, 2, 4, 5, 3)
        columns = views.reshape(batch, height, width, tall * wide * channels)
        return np.asarray(columns @ self.matrix + self.bias)


def upsample(images: Array, times: Size) -> Array:
    """Repeat every pixel `times[0]` times vertically and `times[1]` times horizontally."""
    return images.repeat(times[0], axis=1).repeat(times[1], axis=2)


def pool(images: Array, size: Size) -> Array:
    """Compute max pooling; sizes that do not divide are rounded up."""
    if size == (1, 1):
        return images
    batch, height, width, channels = images.shape
    low, narrow = -(-height // size[0]), -(-width // size[1])
    missing = low * size[0] - height, narrow * size[1] - width
    whole = np.pad(
        images, ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0)), constant_values=-np.inf
    )
    pieces = whole.reshape(batch, low, size[0], narrow, size[1], channels)
    return np.asarray(pieces.max(axis=(2, 4)))
