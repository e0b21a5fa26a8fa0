"""Convolutional encoders and decoders as ONNX operators, on images of shape (B, C, H, W)."""

import numpy as np

from unspool.blueprint import ConvDecoder, ConvEncoder
from unspool.blueprint.convolutions import crop_before, padding, shrunk
from unspool.blueprint.layers import Size
from unspool.interop.onnx.graph import Graph
from unspool.interop.onnx.layers import Weights, activate, dense


def conv_features(g: Graph, part: ConvEncoder, weights: Weights, x: str) -> str:
    """Return the last map of sequences (B, H · W, C), flattened with its channels last."""
    layers = part.layers
    images = g.transpose(g.reshape(x, 0, *layers.shape, part.n_inputs), 0, 3, 1, 2)
    for depth, stride in enumerate(layers.strides):
        prefix, size = f"encoder.convolutions.{depth}.", layers.sizes[depth]
        images = _convolution(g, weights, prefix, images, size, stride)
        images = activate(g, part.activation, images, 1)
        smaller = layers.sizes[depth + 1]
        images = _pool(g, layers.pools[depth], shrunk(size, stride), smaller, images)
    return g.reshape(g.transpose(images, 0, 2, 3, 1), 0, part.features)


def conv_decoder(g: Graph, part: ConvDecoder, weights: Weights, name: str, code: str) -> str:
    """Decode codes (B, L) to sequences (B, H · W, C)."""
    prefix = f"decoders.{name}."
    if part.starts:
        code = activate(g, part.activation, dense(g, weights, f"{prefix}start.", code))
    images = g.transpose(g.reshape(code, 0, *part.map_shape), 0, 3, 1, 2)
    size = part.map_shape[:2]
    for depth, layer in enumerate(part.convolutions):
        stem = f"{prefix}convolutions.{depth}."
        if depth:
            images = activate(g, part.activation, images, 1)
        if layer.transposed:
            images = _transposed(g, weights, stem, images, layer.up)
        else:
            images = _upsample(g, layer.up, images)
            images = _convolution(g, weights, stem, images, size)
        # Surplus pixels are cropped after the convolution, which reads them.
        if layer.up != (1, 1):
            images = g.op("Slice", images, g.ints(0, 0), g.ints(*layer.size), g.ints(2, 3))
        size = layer.size
    images = activate(g, part.output_activation, images, 1)
    return g.reshape(g.transpose(images, 0, 2, 3, 1), 0, part.max_steps, part.n_features)


def _convolution(
    g: Graph, weights: Weights, prefix: str, images: str, size: Size, stride: Size = (1, 1)
) -> str:
    """Apply a convolution to images of height and width `size`, padded as "same" in Keras."""
    weight, bias = weights[f"{prefix}weight"], weights[f"{prefix}bias"]
    kernel = weight.shape[2:]
    edges = [padding(*side) for side in zip(size, kernel, stride, strict=True)]
    pads = [before for before, _ in edges] + [after for _, after in edges]
    arrays = [g.weight(f"{prefix}weight", weight), g.weight(f"{prefix}bias", bias)]
    return g.op("Conv", images, *arrays, kernel_shape=kernel, strides=stride, pads=pads)


def _transposed(g: Graph, weights: Weights, prefix: str, images: str, up: Size) -> str:
    """Apply a transposed convolution, which enlarges images `up` times."""
    weight = np.ascontiguousarray(weights[f"{prefix}weight"].swapaxes(0, 1))
    kernel, bias = weight.shape[2:], weights[f"{prefix}bias"]
    sides = list(zip(kernel, up, strict=True))
    before = [crop_before(*side) for side in sides]
    after = [max(0, size - step) - b for (size, step), b in zip(sides, before, strict=True)]
    return g.op(
        "ConvTranspose",
        images,
        g.weight(f"{prefix}weight", weight),
        g.weight(f"{prefix}bias", bias),
        kernel_shape=kernel,
        strides=up,
        pads=[*before, *after],
        output_padding=[max(0, step - size) for size, step in sides],
    )


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
