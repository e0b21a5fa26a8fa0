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


def head(g: Graph, part: Head, weights: Weights, prefix: str, x: str) -> str:
    """Dense layers along the last axis; where the part has steps, vectors become (B, steps, F)."""
    for depth, activation in enumerate(part.activations):
        x = dense(g, weights, f"{prefix}{2 * depth}.", x)
        if part.steps is not None and depth == len(part.activations) - 1:
            x = g.shaped(x, 0, part.steps, part.outputs)
        x = activate(g, activation, x)
    if part.steps is not None and not part.activations:
        x = g.shaped(x, 0, part.steps, part.outputs)
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

    steps = g.op("Range", g.constant(0, np.int64), scalar(g, time), g.constant(1, np.int64))
    real = g.op("Less", steps, g.op("Unsqueeze", lengths, g.ints(1)))
    real = g.op("Unsqueeze", real, g.ints(2))
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
