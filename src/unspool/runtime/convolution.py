"""Convolution, max pooling and upsampling of images (B, H, W, C), in NumPy."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from unspool.blueprint.convolutions import crop_before, padding
from unspool.blueprint.layers import Size

Array = npt.NDArray[np.float32]


class Convolution:
    """A convolution with padding "same".

    Parameters
    ----------
    weight : array of shape (O, I, height, width)
        The kernels.
    bias : array of shape (O,)
        The biases.
    stride : (int, int), default (1, 1)
        The stride.
    """

    def __init__(self, weight: Array, bias: Array, stride: Size = (1, 1)) -> None:
        self.kernel: Size = (weight.shape[2], weight.shape[3])
        self.matrix = np.ascontiguousarray(weight.transpose(2, 3, 1, 0).reshape(-1, len(weight)))
        self.bias, self.stride = bias, stride
        self.width = max(self.matrix.shape)  # largest number of values per pixel

    def __call__(self, images: Array) -> Array:
        """Return outputs (B, H / stride, W / stride, O) for images (B, H, W, I)."""
        sides = zip(images.shape[1:3], self.kernel, self.stride, strict=True)
        return self._of_padded(images, [padding(*side) for side in sides])

    def _of_padded(self, images: Array, edges: Sequence[tuple[int, int]]) -> Array:
        """Convolve images with zeros before and after each side."""
        (tall, wide), channels = self.kernel, images.shape[3]
        padded = np.pad(images, ((0, 0), *edges, (0, 0)))
        views = sliding_window_view(padded, (tall, wide), axis=(1, 2))
        views = views[:, :: self.stride[0], :: self.stride[1]].transpose(0, 1, 2, 4, 5, 3)
        columns = views.reshape(*views.shape[:3], tall * wide * channels)
        return np.asarray(columns @ self.matrix + self.bias)


class TransposedConvolution(Convolution):
    """A transposed convolution, whose output has `up` times the height and width of its input.

    It is a convolution of an image with zeros between the pixels, with the kernel turned around.

    Parameters
    ----------
    weight : array of shape (O, I, height, width)
        The kernels.
    bias : array of shape (O,)
        The biases.
    up : (int, int)
        The stride.
    """

    def __init__(self, weight: Array, bias: Array, up: Size) -> None:
        super().__init__(weight[:, :, ::-1, ::-1], bias)
        self.up = up

    def __call__(self, images: Array) -> Array:
        """Return outputs (B, H · up, W · up, O) for images (B, H, W, I)."""
        (tall, wide), (batch, height, width, channels) = self.up, images.shape
        spread = np.zeros((batch, height * tall, width * wide, channels), images.dtype)
        spread[:, ::tall, ::wide] = images
        before = [
            kernel - 1 - crop_before(kernel, up)
            for kernel, up in zip(self.kernel, self.up, strict=True)
        ]
        return self._of_padded(
            spread,
            [(b, kernel - 1 - b) for b, kernel in zip(before, self.kernel, strict=True)],
        )


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
