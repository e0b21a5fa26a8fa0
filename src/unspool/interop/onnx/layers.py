"""Dense layers and activations as ONNX operators, and a batch of sequences as all parts read it."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from unspool.blueprint import Head
from unspool.data.scaling import Scaler
from unspool.interop.onnx.graph import Array, Graph

Weights = Mapping[str, Array]

NAMED = {"relu": "Relu", "tanh": "Tanh", "sigmoid": "Sigmoid", "elu": "Elu"}
FLOAT, INT32, DOUBLE = 1, 6, 11  # the numbers that ONNX has for these types


def activate(g: Graph, activation: str, x: str, axis: int = -1) -> str:
    """An activation by its name; softmax runs along `axis`, that of the features."""
    if activation == "linear":
        return x
    if activation == "softmax":
        return g.op("Softmax", x, axis=axis)
    if activation == "gelu":  # an operator of its own from opset 20 on
        share = g.op("Add", g.op("Erf", g.op("Mul", x, g.real(math.sqrt(0.5)))), g.real(1))
        return g.op("Mul", g.op("Mul", x, share), g.real(0.5))
    return g.op(NAMED[activation], x)


def dense(g: Graph, weights: Weights, prefix: str, x: str) -> str:
    """A linear layer along the last axis."""
    matrix = g.weight(f"{prefix}weight", weights[f"{prefix}weight"].T)
    bias = g.weight(f"{prefix}bias", weights[f"{prefix}bias"])
    return g.op("Add", g.op("MatMul", x, matrix), bias)


def head(g: Graph, part: Head, weights: Weights, prefix: str, x: str, axes: int = 1) -> str:
    """Dense layers along the last axis, behind `axes` others.

    Where the part has steps, the last axis becomes two, steps and features.
    """
    kept = [0] * axes
    for depth, activation in enumerate(part.activations):
        x = dense(g, weights, f"{prefix}{2 * depth}.", x)
        if part.steps is not None and depth == len(part.activations) - 1:
            x = g.shaped(x, *kept, part.steps, part.outputs)
        x = activate(g, activation, x)
    if part.steps is not None and not part.activations:
        x = g.shaped(x, *kept, part.steps, part.outputs)
    return x


class Batch(NamedTuple):
    """Sequences, scaled and with zeros past their ends, of one step and one sequence at least.

    ONNX Runtime crashes on an LSTM over no sequences, and takes the initial state for zero where
    a length is 0. So there is always one to run, with a length of at least 1, and what was not
    asked for is cut off at the end.
    """

    x: str  # (B, T, F)
    lengths: str  # (B,), int64, at least 1
    lengths32: str  # the same, int32
    real: str  # (B, T, 1), whether a step is one of the sequence's
    begun: str  # (B, 1), whether a sequence has any
    batch: str  # (1,), B
    time: str  # (1,), T
    asked: tuple[str, str]  # (1,) each, B and T as they came in


def read(g: Graph, scaler: Scaler) -> Batch:
    """The inputs `x` (B, T, F), in the units of the data, and `lengths` (B,)."""
    asked = g.size("x", 0), g.size("x", 1)
    batch, time = (g.op("Max", size, g.ints(1)) for size in asked)
    more = [g.op("Sub", size, given) for size, given in zip((batch, time), asked, strict=True)]
    pads = g.op("Concat", g.ints(0, 0, 0), *more, g.ints(0), axis=0)
    values = g.op("Pad", "x", pads)
    lengths = g.op("Pad", "lengths", g.op("Concat", g.ints(0), more[0], axis=0))

    real = _real(g, lengths, time)
    at_least_one = g.op("Max", lengths, g.ints(1))
    return Batch(
        # Chosen, not multiplied: what stands in the padding may be NaN.
        g.op("Where", real, _scaled(g, scaler, values), g.real(0)),
        at_least_one,
        g.op("Cast", at_least_one, to=INT32),
        real,
        g.op("Unsqueeze", g.op("Greater", lengths, g.ints(0)), g.ints(1)),
        batch,
        time,
        asked,
    )


def in_patches(g: Graph, batch: Batch, size: int) -> Batch:
    """The same sequences by patches of `size` steps: x is (B, P, size · F)."""
    if size == 1:
        return batch
    lengths, time = (_patches_of(g, each, size) for each in (batch.lengths, batch.time))
    real = g.op("And", _real(g, lengths, time), g.op("Unsqueeze", batch.begun, g.ints(2)))
    return batch._replace(
        x=patched(g, batch.x, batch.time, size),
        lengths=lengths,
        lengths32=g.op("Cast", lengths, to=INT32),
        real=real,
        time=time,
    )


def patched(g: Graph, x: str, time: str, size: int) -> str:
    """Patches (B, P, size · F) of sequences (B, T, F), zeros where a last one is incomplete."""
    if size == 1:
        return x
    whole = g.op("Mul", _patches_of(g, time, size), g.ints(size))
    pads = g.op("Concat", g.ints(0, 0, 0, 0), g.op("Sub", whole, time), g.ints(0), axis=0)
    filled = g.op("Pad", x, pads)
    wide = g.op("Mul", g.size(x, 2), g.ints(size))
    return g.op("Reshape", filled, g.op("Concat", g.ints(0, -1), wide, axis=0))


def _patches_of(g: Graph, steps: str, size: int) -> str:
    """How many patches so many steps fill."""
    return g.op("Div", g.op("Add", steps, g.ints(size - 1)), g.ints(size))


def _real(g: Graph, lengths: str, time: str) -> str:
    """Whether a step is one of its sequence's, (B, T, 1)."""
    steps = g.op("Range", g.constant(0, np.int64), scalar(g, time), g.constant(1, np.int64))
    real = g.op("Less", steps, g.op("Unsqueeze", lengths, g.ints(1)))
    return g.op("Unsqueeze", real, g.ints(2))


def scalar(g: Graph, size: str) -> str:
    """A size (1,) without its axis."""
    return g.op("Squeeze", size, g.ints(0))


def unscaled(g: Graph, scaler: Scaler, x: str) -> str:
    """Sequences in the units of the data again."""
    if _does_nothing(scaler):
        return x
    shift, scale = _weights(g, scaler)
    wide = g.op("Cast", x, to=DOUBLE)
    return g.op("Cast", g.op("Add", g.op("Mul", wide, scale), shift), to=FLOAT)


def _scaled(g: Graph, scaler: Scaler, x: str) -> str:
    """By way of float64: a shift can be large beside what is left."""
    if _does_nothing(scaler):
        return x
    shift, scale = _weights(g, scaler)
    wide = g.op("Cast", x, to=DOUBLE)
    return g.op("Cast", g.op("Div", g.op("Sub", wide, shift), scale), to=FLOAT)


def _does_nothing(scaler: Scaler) -> bool:
    return not scaler.shift.any() and bool((scaler.scale == 1).all())


def _weights(g: Graph, scaler: Scaler) -> tuple[str, str]:
    # A constant feature has the scale 1, and comes in as float32: less its own rounding it is 0.
    constant = scaler.shift.astype(np.float32).astype(np.float64)
    shift = np.where(scaler.scale == 1, constant, scaler.shift)
    return g.weight("scaler.shift", shift), g.weight("scaler.scale", scaler.scale)
