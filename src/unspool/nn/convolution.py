"""Convolutional encoders and decoders, of images and of sequences.

A sequence of T steps is an image of T pixels by one, so that there is one kind of convolution.
Images lie as (B, H, W, C), channels last: what oneDNN is quickest with, and what a sequence of
H · W pixels is already.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from unspool._padding import without_padding
from unspool.blueprint.layers import Size, sizes
from unspool.nn.decoder import Decoder, TeacherForcing
from unspool.nn.dense import ACTIVATIONS, Dense
from unspool.nn.encoder import Encoder
from unspool.nn.feedforward import pad_to

# These never turn an order round: the largest of a pool is the same before them and after.
MONOTONE = ("linear", "relu", "tanh", "sigmoid", "elu")

# The bias that a ReLU output starts from. From zero, a network that happens to be negative
# wherever an image is not black gives zeros and gets no gradient: 2 of 64 seeds stayed there on
# MNIST, of 128 with this none.
RELU_OUTPUT_BIAS = 0.3


class Convolution(nn.Module):
    """A convolution with stride 1 whose output is as large as its input, as Keras's "same".

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel : (int, int)
    up : (int, int), default (1, 1)
        Enlarge the image before that, each pixel to as many of the same value.
    generator : torch.Generator, optional
        Source of the initial weights: Glorot-uniform, zero bias, as in Keras.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Size,
        *,
        up: Size = (1, 1),
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.out_channels, self.kernel_size, self.up = outputs, kernel, up
        self.weight = nn.Parameter(torch.empty(outputs, inputs, *kernel, dtype=torch.float32))
        self.bias = nn.Parameter(torch.zeros(outputs, dtype=torch.float32))
        nn.init.xavier_uniform_(self.weight, generator=generator)

    def forward(self, images: Tensor) -> Tensor:
        """Images (B, H · up, W · up, outputs) of images (B, H, W, inputs).

        The large image is never made. Its pixels are copies, so that each pixel of the result is
        a sum over few pixels of the small one: as many convolutions of the small image as `up`
        has pixels, run as one, whose outputs are laid side by side.
        """
        (tall, wide), (height, width) = self.up, self.kernel_size
        rows, above, below = taps(height, tall)
        columns, left, right = taps(width, wide)
        weight: Tensor = self.weight
        if self.up != (1, 1):
            rows, columns = rows.to(weight), columns.to(weight)
            weight = torch.einsum("ocde,rdm,sen->rsocmn", weight, rows, columns).flatten(0, 2)
        read = images.permute(0, 3, 1, 2)
        if (above, left) != (below, right):
            read, above, left = functional.pad(read, (left, right, above, below)), 0, 0
        bias = self.bias.repeat(tall * wide)
        out = functional.conv2d(read, weight, bias, padding=(above, left)).permute(0, 2, 3, 1)
        if self.up == (1, 1):
            return out
        batch, low, narrow, _ = out.shape
        pieces = out.reshape(batch, low, narrow, tall, wide, -1).transpose(2, 3)
        return pieces.reshape(batch, low * tall, narrow * wide, -1)


def taps(kernel: int, up: int) -> tuple[Tensor, int, int]:
    """Which pixels of a row each tap of a kernel meets, once the row is `up` times as long.

    Returns
    -------
    reads : tensor of shape (up, kernel, M)
        1 where output r of the `up` outputs of a pixel reads by tap d the m-th of its M neighbours.
    before, after : int
        Neighbours on either side, M = before + 1 + after.

    Examples
    --------
    >>> reads, before, after = taps(3, 2)
    >>> reads.sum(1).int().tolist(), before, after
    ([[1, 2, 0], [0, 2, 1]], 1, 1)
    """
    pixels, ends = torch.arange(up, device="cpu"), torch.arange(kernel, device="cpu")
    place = pixels[:, None] + ends - (kernel - 1) // 2
    neighbour = place.div(up, rounding_mode="floor")
    first = -((-((kernel - 1) // 2)) // up)
    last = (up - 1 + kernel // 2) // up
    return functional.one_hot(neighbour + first, first + 1 + last), first, last


class Pool(nn.Module):
    """The largest of every so many pixels; those cut off at the far edges count as well.

    Parameters
    ----------
    kernel_size : (int, int)
    """

    def __init__(self, kernel_size: Size) -> None:
        super().__init__()
        self.kernel_size = kernel_size

    def forward(self, images: Tensor) -> Tensor:
        """Smaller images (B, H, W, C) of images."""
        if self.kernel_size == (1, 1):
            return images
        read = images.permute(0, 3, 1, 2)
        return functional.max_pool2d(read, self.kernel_size, ceil_mode=True).permute(0, 2, 3, 1)


class ConvEncoder(Encoder):
    """Wind images or sequences onto codes: convolutions, each followed by a pool.

    Parameters
    ----------
    n_features : int
        Channels, C.
    shape : (int, int)
        H and W of an image; T and 1 for sequences of at most T steps, which end in zeros.
    latent_dim : int, optional
        None makes the last map the code, flattened as (H, W, filters). Otherwise a linear layer
        leads from it to the code.
    filters : sequence of int, default (32,)
        Of each convolution.
    kernel, pool : (int, int)
    activation : str, default "relu"
        After each convolution, a name in `unspool.nn.dense.ACTIVATIONS`.
    variational, generator
        As for `Encoder`.
    """

    def __init__(
        self,
        n_features: int,
        shape: Size,
        latent_dim: int | None = None,
        *,
        filters: Sequence[int] = (32,),
        kernel: Size = (3, 3),
        pool: Size = (2, 2),
        activation: str = "relu",
        variational: bool = False,
        generator: Generator | None = None,
    ) -> None:
        height, width = sizes(shape, pool, len(filters))[-1]
        flat = height * width * filters[-1]
        super().__init__(flat, latent_dim or flat, variational=variational, generator=generator)
        self.shape, self.pixels = shape, shape[0] * shape[1]
        self.max_steps = self.pixels
        self.convolutions = nn.ModuleList(
            Convolution(wide, narrow, kernel, generator=generator)
            for wide, narrow in pairwise([n_features, *filters])
        )
        self.pool = Pool(pool)
        self.activation = ACTIVATIONS[activation]()
        self.pool_first = activation in MONOTONE  # there is less to do then

    def features(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """The last map of sequences (B, T, F), flattened."""
        images = self._images(x, lengths)
        for convolution in self.convolutions:
            if self.pool_first:
                images = self.activation(self.pool(convolution(images)))
            else:
                images = self.pool(self.activation(convolution(images)))
        return images.flatten(1)

    def feature_maps(self, x: Tensor, lengths: Tensor | None = None, layer: int = 0) -> Tensor:
        """What convolution `layer` makes of sequences (B, T, F), before the pool: (B, H, W, C)."""
        images = self._images(x, lengths)
        for convolution in self.convolutions[:layer]:
            images = self.pool(self.activation(convolution(images)))
        found: Tensor = self.activation(self.convolutions[layer](images))
        return found

    def _images(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        """Sequences (B, T, F) as images (B, H, W, F)."""
        whole = pad_to(self.pixels, without_padding(x, lengths))
        return whole.view(len(x), *self.shape, -1)


class ConvDecoder(Decoder):
    """Unwind codes to images or sequences: convolutions, before all but the first an enlargement.

    It is a `ConvEncoder` with these parameters turned round: a convolution with as many outputs
    as the last filters have, then for each pool an enlargement and a convolution, the last with
    the channels of the image. What pools had to round up is cut off again.

    Parameters
    ----------
    latent_dim : int or None
        None for codes that are the flattened map. Otherwise a dense layer leads from them to it.
    n_features, shape, filters, kernel, pool, activation, generator
        As for `ConvEncoder`.
    output_activation : str, default "linear"
        With "relu" the last bias starts above zero, so that there is a gradient.
    """

    def __init__(
        self,
        latent_dim: int | None,
        n_features: int,
        shape: Size,
        *,
        filters: Sequence[int] = (32,),
        kernel: Size = (3, 3),
        pool: Size = (2, 2),
        activation: str = "relu",
        output_activation: str = "linear",
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.max_steps = shape[0] * shape[1]
        *self.larger, smallest = sizes(shape, pool, len(filters))
        self.map_shape = (*smallest, filters[-1])
        flat = smallest[0] * smallest[1] * filters[-1]
        own = latent_dim not in (None, flat)
        self.start = Dense(latent_dim or flat, flat, generator) if own else None
        channels = [filters[-1], *reversed(filters), n_features]
        convolutions = [
            Convolution(wide, narrow, kernel, up=pool if i else (1, 1), generator=generator)
            for i, (wide, narrow) in enumerate(pairwise(channels))
        ]
        if output_activation == "relu":
            nn.init.constant_(convolutions[-1].bias, RELU_OUTPUT_BIAS)
        self.convolutions = nn.ModuleList(convolutions)
        self.activation = ACTIVATIONS[activation]()
        self.output_activation = ACTIVATIONS[output_activation]()

    def forward(
        self,
        code: Tensor,
        steps: int,
        lengths: Tensor | None = None,
        reversed_input: Tensor | None = None,
        teacher: TeacherForcing | None = None,
    ) -> Tensor:
        """Sequences (B, steps, F) of codes (B, L), see `Decoder.forward`."""
        if self.start is not None:
            code = self.activation(self.start(code))
        first, *others = self.convolutions
        images = first(code.view(len(code), *self.map_shape))
        for convolution, (height, width) in zip(others, reversed(self.larger), strict=True):
            images = convolution(self.activation(images))[:, :height, :width]
        sequences: Tensor = self.output_activation(images.flatten(1, 2))
        return sequences[:, :steps]
