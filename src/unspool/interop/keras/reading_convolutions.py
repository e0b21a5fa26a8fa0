"""Reading single convolutional Keras layers: weights, strides, and where their kernels read.

A 1D layer becomes a convolution of images of width 1. A transposed convolution without a stride is
a convolution with the kernel turned around. Kernels of another size than that of the model are
written into larger ones with zeros around them (`fitted_in`), which changes no output.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from unspool.blueprint.convolutions import crop_before, padding
from unspool.blueprint.layers import Size
from unspool.interop.keras.graph import TRANSPOSED, Node, refuse
from unspool.interop.keras.reading_layers import Array, activation_of

MAX_STRIDE = 16  # larger ones must not be larger than the image or the sequence


class Conv(NamedTuple):
    """A convolution, transposed or not.

    Parameters
    ----------
    node : Node
    weight : array of shape (outputs, inputs, height, width)
    bias : array of shape (outputs,)
    activation : str
    stride : Size
    transposed : bool
        Whether it is a transposed convolution with a stride above 1.
    before : Size
        Numbers of rows and columns that the kernel reads before the first pixel, or, if it is
        transposed, that are cropped before the first output.
    added : bool
        Whether it is not in the Keras model, and returns what it reads; `node` follows it.
    """

    node: Node
    weight: Array
    bias: Array
    activation: str
    stride: Size = (1, 1)
    transposed: bool = False
    before: Size = (0, 0)
    added: bool = False

    @property
    def kernel(self) -> Size:
        """Height and width of the kernel."""
        return self.weight.shape[2], self.weight.shape[3]


def read_conv(node: Node) -> Conv:
    """Read a convolution, or a transposed convolution."""
    config, transposed = node.config, node.kind in TRANSPOSED
    wanted: dict[str, Any] = {
        "dilation_rate": 1,
        "padding": "same",
        "data_format": "channels_last",
    }
    wanted |= {"output_padding": None} if transposed else {"groups": 1}
    check_arguments(node, wanted)
    weight, *biases = (np.asarray(one, np.float32) for one in node.layer.get_weights())
    if weight.ndim == 3:
        weight = weight[:, None]
    weight = weight.transpose((2, 3, 0, 1) if transposed else (3, 2, 0, 1))
    bias = biases[0] if config["use_bias"] else np.zeros(len(weight), np.float32)
    if node.before is not None:
        weight = node.before.before_channels(weight)
    if node.after is not None:
        weight, bias = node.after.after(weight, bias)
    height, width = weight.shape[2:]
    down, right = (*np.atleast_1d(config["strides"]).tolist(), 1)[:2]
    if transposed:
        before = crop_before(height, down), crop_before(width, right)
        if (down, right) == (1, 1):
            transposed, weight = False, weight[:, :, ::-1, ::-1]
            before = height - 1 - before[0], width - 1 - before[1]
    else:
        sides = (*(size or 1 for size in node.inputs[0].shape[:-1]), 1)[:2]
        if max(down, right) > max(MAX_STRIDE, *sides):
            raise refuse(
                node, f"its `strides` is {config['strides']!r}, larger than what it reads."
            )
        before = padding(sides[0], height, down)[0], padding(sides[1], width, right)[0]
    return Conv(
        node,
        np.ascontiguousarray(weight, np.float32),
        bias.astype(np.float32),
        node.activation or activation_of(node),
        (down, right),
        transposed,
        before,
    )


def common_kernel(uses: list[tuple[Conv, Size]], *, image: bool) -> int:
    """Return the side of the smallest square kernel in which all these kernels fit.

    Each convolution comes with the height and width of what it reads.
    """
    least = max(max(conv.kernel) if image else conv.kernel[0] for conv, _ in uses)
    enough = 2 * (least + max(max(conv.stride) for conv, _ in uses)) + 2
    return next(
        side
        for side in range(least, enough)
        if all(_fits(conv, _square(side, image=image), size) for conv, size in uses)
    )


def fitted_in(conv: Conv, side: int, size: Size, *, image: bool) -> Conv:
    """Return a convolution of images of height and width `size` with a kernel of another side."""
    kernel = _square(side, image=image)
    if kernel == conv.kernel and _offsets(conv, kernel, size) == (0, 0):
        return conv
    top, left = _offsets(conv, kernel, size)
    weight = np.zeros((*conv.weight.shape[:2], *kernel), np.float32)
    weight[:, :, top : top + conv.kernel[0], left : left + conv.kernel[1]] = conv.weight
    return conv._replace(weight=weight)


def _square(side: int, *, image: bool) -> Size:
    return side, side if image else 1


def _offsets(conv: Conv, kernel: Size, size: Size) -> Size:
    """Return where a kernel begins within a larger one, in rows and columns."""
    found = []
    for axis in range(2):
        if conv.transposed:
            before = crop_before(kernel[axis], conv.stride[axis])
        else:
            before = padding(size[axis], kernel[axis], conv.stride[axis])[0]
        found.append(before - conv.before[axis])
    return found[0], found[1]


def _fits(conv: Conv, kernel: Size, size: Size) -> bool:
    offsets = _offsets(conv, kernel, size)
    return all(
        0 <= offset <= large - small
        for offset, large, small in zip(offsets, kernel, conv.kernel, strict=True)
    )


def one_or_each(sizes: list[int]) -> int | tuple[int, ...]:
    """Return the number that all convolutions share, or the number of each."""
    return tuple(sizes) if len({*sizes}) > 1 else sizes[0]


def read_pool(node: Node) -> tuple[int, ...]:
    """Read the size of a `MaxPooling` layer whose windows do not overlap."""
    size = tuple(np.atleast_1d(node.config["pool_size"]).tolist())
    check_arguments(node, {"strides": list(size), "data_format": "channels_last"})
    for pixels, pooled in zip(node.inputs[0].shape, size, strict=False):
        missing = -(pixels or 0) % pooled
        if missing and (node.config["padding"] != "same" or missing > 1):
            raise refuse(
                node,
                f"its input of {pixels} is not a multiple of its pool size {pooled}, and Keras and "
                "unspool treat the surplus pixels differently; use a multiple as the input size.",
            )
    return size


def read_up(node: Node) -> tuple[int, ...]:
    """Read the size of an `UpSampling` layer that repeats pixels."""
    config = node.config
    wanted = {"data_format": "channels_last", "interpolation": "nearest"}
    check_arguments(node, {name: value for name, value in wanted.items() if name in config})
    return tuple(np.atleast_1d(config["size"]).tolist())


def check_arguments(node: Node, wanted: Mapping[str, Any]) -> None:
    """Refuse a layer that has another value for one of these arguments."""
    for name, value in wanted.items():
        got = node.config[name]
        if isinstance(got, (list, tuple)):
            fits = list(got) == (value if isinstance(value, list) else [value] * len(got))
        else:
            fits = got == (value[0] if isinstance(value, list) else value)
        if not fits:
            raise refuse(node, f"its `{name}` is {got!r}; only {value!r} is supported.")
