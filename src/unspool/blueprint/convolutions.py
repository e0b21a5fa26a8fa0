"""Convolutions of encoders and decoders: their kernels, strides and pooling, and their sizes.

Sides of images are rounded up where a stride or a pool does not divide them, and surplus rows and
columns are cropped after decoding. Padding is that of Keras's "same" (docs/model-file.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from unspool.blueprint.layers import Size, Weights


@dataclass(frozen=True)
class Convolutions:
    """The convolutions of an encoder, each followed by max pooling.

    Parameters
    ----------
    shape : Size
        Height and width of an image; (T, 1) for sequences of at most T steps.
    filters : tuple of int
        Number of channels after each convolution.
    kernels, strides, pools : tuple of Size
        Size of the kernel, stride, and size of the pooling of each convolution.
    """

    shape: Size
    filters: tuple[int, ...]
    kernels: tuple[Size, ...]
    strides: tuple[Size, ...]
    pools: tuple[Size, ...]

    @property
    def factors(self) -> tuple[Size, ...]:
        """Factors by which each convolution and its pooling shrink an image."""
        return tuple(
            (stride[0] * pool[0], stride[1] * pool[1])
            for stride, pool in zip(self.strides, self.pools, strict=True)
        )

    @property
    def sizes(self) -> list[Size]:
        """Height and width of an image, and after each convolution with its pooling."""
        found = [self.shape]
        for factor in self.factors:
            found.append(shrunk(found[-1], factor))
        return found

    @property
    def map_shape(self) -> tuple[int, int, int]:
        """Shape of the last feature map, (H, W, filters)."""
        return *self.sizes[-1], self.filters[-1]

    @property
    def flat(self) -> int:
        """Number of values of the last feature map."""
        height, width, filters = self.map_shape
        return height * width * filters

    def weights(self, n_inputs: int) -> Weights:
        """Yield names and shapes of the weights of an encoder that reads `n_inputs` channels."""
        channels = pairwise([n_inputs, *self.filters])
        for depth, ((wide, narrow), kernel) in enumerate(zip(channels, self.kernels, strict=True)):
            yield f"convolutions.{depth}.weight", (narrow, wide, *kernel)
            yield f"convolutions.{depth}.bias", (narrow,)


class DecoderConvolution(NamedTuple):
    """A convolution of a decoder.

    Parameters
    ----------
    inputs, outputs : int
        Number of channels.
    kernel : Size
    up : Size
        Factors by which it enlarges an image.
    transposed : bool
        Whether it is a transposed convolution with the stride `up`; otherwise pixels are repeated
        `up` times before it.
    size : Size
        Height and width to which its output is cropped.
    """

    inputs: int
    outputs: int
    kernel: Size
    up: Size
    transposed: bool
    size: Size


def mirrored(
    encoder: Convolutions, n_features: int, *, transposed: bool
) -> list[DecoderConvolution]:
    """Return the convolutions of a decoder that writes `n_features` channels.

    With repeated pixels, a convolution of the last feature map precedes the others; with
    transposed convolutions, one without a stride follows them. Without a stride there is no
    difference between the two kinds of convolutions, and a plain one is used.
    """
    sizes, filters, kernels = encoder.sizes, encoder.filters, encoder.kernels
    factors, one = encoder.factors, (1, 1)
    back = range(len(filters))[::-1]
    channels = list(pairwise([filters[-1], *reversed(filters), n_features]))
    if transposed:
        layers = [(kernels[i], factors[i], sizes[i]) for i in back]
        layers.append((kernels[0], one, sizes[0]))
    else:
        layers = [(kernels[-1], one, sizes[-1])]
        layers += [(kernels[i], factors[i], sizes[i]) for i in back]
    return [
        DecoderConvolution(*channel, kernel, up, transposed and up != one, size)
        for channel, (kernel, up, size) in zip(channels, layers, strict=True)
    ]


def shrunk(size: Size, factor: Size) -> Size:
    """Return height and width divided by `factor`, rounded up."""
    return -(-size[0] // factor[0]), -(-size[1] // factor[1])


def padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return the numbers of zeros before and after a side that a convolution reads in addition.

    Examples
    --------
    >>> padding(9, 3, 1), padding(9, 3, 2), padding(8, 3, 2), padding(8, 2, 3)
    ((1, 1), (1, 1), (0, 1), (0, 0))
    """
    missing = max(0, (-(-side // stride) - 1) * stride + kernel - side)
    return missing // 2, missing - missing // 2


def crop_before(kernel: int, stride: int) -> int:
    """Return the number of values cropped at the start of the output of a transposed convolution.

    Output ``i · stride + d - crop_before`` has the product of input i and weight d; the output is
    `stride` times as long as the input.
    """
    return max(0, kernel - stride) // 2


def for_each(sizes: Size | Sequence[Size], count: int) -> tuple[Size, ...]:
    """Return the size of each of `count` convolutions: one for all, or a sequence of sizes."""
    first = sizes[0]
    return ((first, sizes[1]),) * count if isinstance(first, int) else tuple(sizes)  # type: ignore
