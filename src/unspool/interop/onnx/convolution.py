"""Convolutional encoders and decoders as ONNX operators, on images of shape (B, C, H, W)."""

from unspool.blueprint import ConvDecoder, ConvEncoder
from unspool.blueprint.layers import Size, sizes
from unspool.interop.onnx.graph import Graph
from unspool.interop.onnx.layers import Weights, activate, dense


def conv_features(g: Graph, part: ConvEncoder, weights: Weights, x: str) -> str:
    """Return the last map of sequences (B, H · W, C), flattened with its channels last."""
    images = g.transpose(g.reshape(x, 0, *part.shape, part.n_inputs), 0, 3, 1, 2)
    shapes = sizes(part.shape, part.pool, len(part.filters))
    for depth, shape in enumerate(shapes[:-1]):
        images = _convolution(g, weights, f"encoder.convolutions.{depth}.", part.kernel, images)
        images = activate(g, part.activation, images, 1)
        images = _pool(g, part.pool, shape, shapes[depth + 1], images)
    return g.reshape(g.transpose(images, 0, 2, 3, 1), 0, part.features)


def conv_decoder(g: Graph, part: ConvDecoder, weights: Weights, name: str, code: str) -> str:
    """Decode codes (B, L) to sequences (B, H · W, C)."""
    prefix = f"decoders.{name}."
    if part.starts:
        code = activate(g, part.activation, dense(g, weights, f"{prefix}start.", code))
    images = g.transpose(g.reshape(code, 0, *part.map_shape), 0, 3, 1, 2)
    *larger, _ = sizes(part.shape, part.pool, len(part.filters))
    images = _convolution(g, weights, f"{prefix}convolutions.0.", part.kernel, images)
    for depth, (height, width) in enumerate(reversed(larger), 1):
        images = _upsample(g, part.pool, activate(g, part.activation, images, 1))
        stem = f"{prefix}convolutions.{depth}."
        images = _convolution(g, weights, stem, part.kernel, images)
        # Surplus pixels are cropped after the convolution, which reads them.
        images = g.op("Slice", images, g.ints(0, 0), g.ints(height, width), g.ints(2, 3))
    images = activate(g, part.output_activation, images, 1)
    return g.reshape(g.transpose(images, 0, 2, 3, 1), 0, part.max_steps, part.n_features)


def _convolution(g: Graph, weights: Weights, prefix: str, kernel: Size, images: str) -> str:
    """Apply a convolution that keeps the size; an even kernel is padded as in Keras."""
    before, after = [(size - 1) // 2 for size in kernel], [size // 2 for size in kernel]
    arrays = [
        g.weight(f"{prefix}{name}", weights[f"{prefix}{name}"]) for name in ("weight", "bias")
    ]
    return g.op("Conv", images, *arrays, kernel_shape=kernel, pads=[*before, *after])


def _pool(g: Graph, pool: Size, shape: Size, smaller: Size, images: str) -> str:
    """Apply max pooling; an incomplete window at the far edges is pooled, too."""
    if pool == (1, 1):
        return images
    missing = [count * size - side for count, size, side in zip(smaller, pool, shape, strict=True)]
    return g.op("MaxPool", images, kernel_shape=pool, strides=pool, pads=[0, 0, *missing])


def _upsample(g: Graph, up: Size, images: str) -> str:
    """Repeat each pixel."""
    if up == (1, 1):
        return images
    scales = g.constant([1, 1, *up], "float32")
    return g.op(
        "Resize",
        images,
        "",
        scales,
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )
