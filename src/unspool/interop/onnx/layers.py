"""Dense layers, activations, scaling and batches of sequences as ONNX operators."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from unspool.blueprint import Head
from unspool.blueprint.activations import Activation, MixedActivation
from unspool.data.scaling import Scaler
from unspool.interop.onnx.graph import Array, Graph

Weights = Mapping[str, Array]

OPERATORS = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "elu": "Elu"}
FLOAT, INT32, BOOL, DOUBLE = 1, 6, 9, 11  # codes of these types in ONNX


def activate(g: Graph, activation: Activation, x: str, axis: int = -1) -> str:
    """Apply an activation; `axis` is the axis of the features."""
    if isinstance(activation, MixedActivation):
        applied: str = activation.apply(
            x,
            lambda name, piece: activate(g, name, piece, axis),
            lambda whole, sizes: _split(g, whole, sizes, axis),
            lambda pieces: g.op("Concat", *pieces, axis=axis),
        )
        return applied
    if activation == "linear":
        return x
    if activation == "softmax":
        return g.op("Softmax", x, axis=axis)
    if activation == "gelu":  # opset 20 has an operator for it
        factor = g.op("Add", g.op("Erf", g.op("Mul", x, g.real(math.sqrt(0.5)))), g.real(1))
        return g.op("Mul", g.op("Mul", x, factor), g.real(0.5))
    return g.op(OPERATORS[activation], x)


def _split(g: Graph, x: str, sizes: list[int], axis: int) -> list[str]:
    """Split x along an axis into parts of these sizes."""
    ends = np.cumsum(sizes).tolist()
    return [
        g.op("Slice", x, g.ints(end - size), g.ints(end), g.ints(axis))
        for size, end in zip(sizes, ends, strict=True)
    ]


def dense(g: Graph, weights: Weights, prefix: str, x: str) -> str:
    """Apply a linear layer to the last axis."""
    matrix = g.weight(f"{prefix}weight", weights[f"{prefix}weight"].T)
    bias = g.weight(f"{prefix}bias", weights[f"{prefix}bias"])
    return g.op("Add", g.op("MatMul", x, matrix), bias)


def head(g: Graph, part: Head, weights: Weights, prefix: str, x: str, axes: int = 1) -> str:
    """Apply dense layers to the last axis of x, which has `axes` other axes before it.

    If the part has steps, the last axis of the result is split into steps and features.
    """
    kept = [0] * axes
    for depth, activation in enumerate(part.activations):
        x = dense(g, weights, f"{prefix}{2 * depth}.", x)
        if part.steps is not None and depth == len(part.activations) - 1:
            x = g.reshape(x, *kept, part.steps, part.outputs)
        x = activate(g, activation, x)
    if part.steps is not None and not part.activations:
        x = g.reshape(x, *kept, part.steps, part.outputs)
    return x


class Batch(NamedTuple):
    """Scaled sequences with zeros in their padding; at least one sequence, at least one step.

    ONNX Runtime crashes on an LSTM over an empty batch, and ignores the initial state if a length
    is 0. Therefore an empty batch or time axis gets size 1 and lengths are at least 1; the outputs
    are sliced to the sizes of the inputs.
    """

    x: str  # (B, T, F)
    lengths: str  # (B,), int64, at least 1
    lengths32: str  # the lengths as int32
    real: str  # (B, T, 1), True at real steps
    has_steps: str  # (B, 1), True if a sequence has a real step
    batch: str  # (1,), B
    time: str  # (1,), T
    input_sizes: tuple[str, str]  # B and T of the inputs, (1,) each
    known: str = ""  # (B, K, n_known), scaled features that are known ahead, if there are any


def read(g: Graph, scaler: Scaler, known: Sequence[int] = ()) -> Batch:
    """Make a batch of the inputs, in the units of the data.

    They are `x` (B, T, F), `lengths` (B,) and, if features are known ahead, `future`
    (B, K, n_known); `known` has the places of these features.
    """
    sizes = g.size("x", 0), g.size("x", 1)
    batch, time = (g.op("Max", size, g.ints(1)) for size in sizes)
    missing = [g.op("Sub", a, b) for a, b in zip((batch, time), sizes, strict=True)]
    pads = g.op("Concat", g.ints(0, 0, 0), *missing, g.ints(0), axis=0)
    values = g.op("Pad", "x", pads)
    lengths = g.op("Pad", "lengths", g.op("Concat", g.ints(0), missing[0], axis=0))

    future = ""
    if known:
        pads = g.op("Concat", g.ints(0, 0, 0), missing[0], g.ints(0, 0), axis=0)
        future = _scaled(g, scaler.select(known), g.op("Pad", "future", pads), "known")
        if scaler.clip is not None:
            future = g.op("Clip", future, g.real(-scaler.clip), g.real(scaler.clip))
    real = real_steps(g, lengths, time)
    at_least_one = g.op("Max", lengths, g.ints(1))
    return Batch(
        # Where instead of Mul, since the padding may contain NaN.
        g.op("Where", real, _scaled(g, scaler, values), g.real(0)),
        at_least_one,
        g.op("Cast", at_least_one, to=INT32),
        real,
        g.op("Unsqueeze", g.op("Greater", lengths, g.ints(0)), g.ints(1)),
        batch,
        time,
        sizes,
        future,
    )


def of_targets(g: Graph, batch: Batch, targets: Sequence[int] | None) -> Batch:
    """Return the batch with the features that the decoders write; None means all."""
    if targets is None:
        return batch
    return batch._replace(x=g.op("Gather", batch.x, g.ints(*targets), axis=2))


def clipped(g: Graph, batch: Batch, clip: float) -> Batch:
    """Clip scaled sequences to ±`clip`; missing values stay NaN, whatever Clip makes of them."""
    limited = g.op("Clip", batch.x, g.real(-clip), g.real(clip))
    return batch._replace(x=g.op("Where", g.op("IsNaN", batch.x), batch.x, limited))


def in_patches(g: Graph, batch: Batch, size: int) -> Batch:
    """Group the steps of a batch into patches of `size` steps: x becomes (B, P, size · F)."""
    if size == 1:
        return batch
    lengths, time = (_patches_of(g, each, size) for each in (batch.lengths, batch.time))
    real = g.op("And", real_steps(g, lengths, time), g.op("Unsqueeze", batch.has_steps, g.ints(2)))
    return batch._replace(
        x=patched(g, batch.x, batch.time, size),
        lengths=lengths,
        lengths32=g.op("Cast", lengths, to=INT32),
        real=real,
        time=time,
    )


def patched(g: Graph, x: str, time: str, size: int) -> str:
    """Group sequences (B, T, F) into patches (B, P, size · F); zeros fill an incomplete patch."""
    if size == 1:
        return x
    padded_time = g.op("Mul", _patches_of(g, time, size), g.ints(size))
    pads = g.op("Concat", g.ints(0, 0, 0, 0), g.op("Sub", padded_time, time), g.ints(0), axis=0)
    padded = g.op("Pad", x, pads)
    width = g.op("Mul", g.size(x, 2), g.ints(size))
    return g.op("Reshape", padded, g.op("Concat", g.ints(0, -1), width, axis=0))


def _patches_of(g: Graph, steps: str, size: int) -> str:
    """Return the number of patches for a number of steps."""
    return g.op("Div", g.op("Add", steps, g.ints(size - 1)), g.ints(size))


def real_steps(g: Graph, lengths: str, time: str) -> str:
    """Return a mask (B, T, 1) that is True at real steps."""
    steps = g.op("Range", g.constant(0, np.int64), scalar(g, time), g.constant(1, np.int64))
    real = g.op("Less", steps, g.op("Unsqueeze", lengths, g.ints(1)))
    return g.op("Unsqueeze", real, g.ints(2))


def scalar(g: Graph, size: str) -> str:
    """Return a size (1,) with shape ()."""
    return g.op("Squeeze", size, g.ints(0))


def unscaled(g: Graph, scaler: Scaler, x: str, name: str = "scaler") -> str:
    """Convert sequences from the units of the model to the units of the data."""
    if _is_identity(scaler):
        return x
    shift, scale = _weights(g, scaler, name)
    wide = g.op("Cast", x, to=DOUBLE)
    return g.op("Cast", g.op("Add", g.op("Mul", wide, scale), shift), to=FLOAT)


def _scaled(g: Graph, scaler: Scaler, x: str, name: str = "scaler") -> str:
    """Scale sequences, in float64 because a shift can be much larger than the spread."""
    if _is_identity(scaler):
        return x
    shift, scale = _weights(g, scaler, name)
    wide = g.op("Cast", x, to=DOUBLE)
    return g.op("Cast", g.op("Div", g.op("Sub", wide, shift), scale), to=FLOAT)


def _is_identity(scaler: Scaler) -> bool:
    return not scaler.shift.any() and bool((scaler.scale == 1).all())


def _weights(g: Graph, scaler: Scaler, name: str) -> tuple[str, str]:
    # Inputs are float32. A constant feature (scale 1) must become 0, so its shift is rounded, too.
    constant = scaler.shift.astype(np.float32).astype(np.float64)
    shift = np.where(scaler.scale == 1, constant, scaler.shift)
    return g.weight(f"{name}.shift", shift), g.weight(f"{name}.scale", scaler.scale)
