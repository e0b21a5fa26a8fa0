"""Convolution and pooling layers, for images and sequences.

A sequence of T steps is treated as an image of height T and width 1, so that one kind of
convolution serves both. Images have the shape (B, H, W, C), channels last: oneDNN is fastest with
it, and it is a view of a sequence of H · W pixels.
"""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from unspool.blueprint.convolutions import crop_before, padding
from unspool.blueprint.layers import Size


class Convolution(nn.Module):
    """A convolution whose output has the size of its input, but for a stride or for upsampling.

    Padding is that of "same" in Keras. A stride s shortens a side of n pixels to n / s, rounded up.

    Parameters
    ----------
    inputs : int
        Number of input channels.
    outputs : int
        Number of output channels.
    kernel : (int, int)
        Height and width of the kernel.
    stride : (int, int), default (1, 1)
        Stride of the convolution; needs ``up=(1, 1)``.
    up : (int, int), default (1, 1)
        Upsample the input by these factors before the convolution, by repeating pixels.
    transposed : bool, default False
        Compute a transposed convolution with the stride `up` instead of repeating pixels.
    generator : torch.Generator, optional
        Random number generator for the initial weights, which are Glorot-uniform as in Keras.
        Default: PyTorch's global one.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: Size,
        *,
        stride: Size = (1, 1),
        up: Size = (1, 1),
        transposed: bool = False,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        self.out_channels, self.kernel_size = outputs, kernel
        self.stride, self.up, self.transposed = stride, up, transposed
        self.weight = nn.Parameter(torch.empty(outputs, inputs, *kernel, dtype=torch.float32))
        self.bias = nn.Parameter(torch.zeros(outputs, dtype=torch.float32))
        nn.init.xavier_uniform_(self.weight, generator=generator)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, H, W, inputs) to images (B, H / stride · up, W / stride · up, outputs).

        The upsampled image is never stored. Its pixels are copies or zeros, so that each output
        pixel is a sum over few input pixels. For each of the ``up`` offsets there is a convolution
        of the small image; all run as one, and their outputs are interleaved.
        """
        (tall, wide), (height, width) = self.up, self.kernel_size
        weight: Tensor = self.weight
        if self.up == (1, 1) and not self.transposed:
            above, below = padding(images.shape[1], height, self.stride[0])
            left, right = padding(images.shape[2], width, self.stride[1])
        else:
            read_by = transposed_taps if self.transposed else taps
            rows, above, below = read_by(height, tall)
            columns, left, right = read_by(width, wide)
            rows, columns = rows.to(weight), columns.to(weight)
            weight = torch.einsum("ocde,rdm,sen->rsocmn", weight, rows, columns).flatten(0, 2)
        read = images.permute(0, 3, 1, 2)
        if (above, left) != (below, right):
            read, above, left = functional.pad(read, (left, right, above, below)), 0, 0
        bias = self.bias.repeat(tall * wide)
        out = functional.conv2d(read, weight, bias, self.stride, (above, left)).permute(0, 2, 3, 1)
        if self.up == (1, 1):
            return out
        batch, low, narrow, _ = out.shape
        pieces = out.reshape(batch, low, narrow, tall, wide, -1).transpose(2, 3)
        return pieces.reshape(batch, low * tall, narrow * wide, -1)


def taps(kernel: int, up: int) -> tuple[Tensor, int, int]:
    """Find which pixels of a row each kernel weight reads after upsampling by `up`.

    Returns
    -------
    reads : tensor of shape (up, kernel, M)
        1 if output r of the `up` outputs of a pixel reads neighbour m of M through weight d.
    before, after : int
        Numbers of neighbours on either side; M = before + 1 + after.

    Examples
    --------
    >>> reads, before, after = taps(3, 2)
    >>> reads.sum(1).int().tolist(), before, after
    ([[1, 2, 0], [0, 2, 1]], 1, 1)
    """
    pixels, ends = torch.arange(up, device="cpu"), torch.arange(kernel, device="cpu")
    offset = pixels[:, None] + ends - (kernel - 1) // 2
    neighbour = offset.div(up, rounding_mode="floor")
    first = -((-((kernel - 1) // 2)) // up)
    last = (up - 1 + kernel // 2) // up
    return functional.one_hot(neighbour + first, first + 1 + last), first, last


def transposed_taps(kernel: int, stride: int) -> tuple[Tensor, int, int]:
    """Find which pixels of a row a transposed convolution reads; see `taps`.

    Examples
    --------
    >>> reads, before, after = transposed_taps(3, 2)
    >>> reads.sum(1).int().tolist(), before, after
    ([[1, 1], [0, 1]], 1, 0)
    """
    pixels, ends = torch.arange(stride, device="cpu"), torch.arange(kernel, device="cpu")
    crop = crop_before(kernel, stride)
    offset = pixels[:, None] + crop - ends
    neighbour = offset.div(stride, rounding_mode="floor")
    first, last = (kernel - 1 - crop) // stride, (stride - 1 + crop) // stride
    hits = (offset % stride == 0).long()[..., None]
    near = (neighbour + first).clamp(0, first + last)  # a weight without a hit is clamped
    return functional.one_hot(near, first + 1 + last) * hits, first, last


class Pool(nn.Module):
    """Max pooling; incomplete blocks at the far edges count too.

    Parameters
    ----------
    kernel_size : (int, int)
        Height and width of a block.
    """

    def __init__(self, kernel_size: Size) -> None:
        super().__init__()
        self.kernel_size = kernel_size

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, H, W, C) to smaller images."""
        if self.kernel_size == (1, 1):
            return images
        read = images.permute(0, 3, 1, 2)
        return functional.max_pool2d(read, self.kernel_size, ceil_mode=True).permute(0, 2, 3, 1)
