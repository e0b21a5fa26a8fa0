"""Convolutions in front of an LSTM as ONNX operators."""

from unspool.blueprint import StepConvolutions
from unspool.interop.onnx.graph import Graph
from unspool.interop.onnx.layers import INT32, Batch, Weights, activate, real_steps

LOWEST = -3e38  # lower than every value that is pooled


def step_convolutions(g: Graph, part: StepConvolutions, weights: Weights, batch: Batch) -> Batch:
    """Return the outputs (B, P, filters) for the sequences of a batch, and their lengths.

    A batch has at least one step, and lengths are at least 1; see `Batch`.
    """
    zero, one = g.ints(0), g.ints(1)
    lengths = g.op("Where", g.op("Squeeze", batch.has_steps, one), batch.lengths, zero)
    x, real, time = batch.x, batch.real, batch.time
    for depth, (kernel, size) in enumerate(zip(part.kernels, part.pools, strict=True)):
        x = g.transpose(g.op("Where", real, x, g.real(0)), 0, 2, 1)
        names = [f"encoder.convolutions.{depth}.{name}" for name in ("weight", "bias")]
        arrays = [g.weight(name, weights[name]) for name in names]
        x = g.op("Conv", x, *arrays, kernel_shape=[kernel], pads=part.edges(depth))
        x = activate(g, part.activation, g.transpose(x, 0, 2, 1))
        if part.shortens:
            lengths = g.op("Max", g.op("Sub", lengths, g.ints(part.surplus(depth))), zero)
            real = real_steps(g, lengths, time)
        if size > 1:
            x = g.transpose(g.op("Where", real, x, g.real(LOWEST)), 0, 2, 1)
            surplus = g.op("Mod", g.op("Neg", time), g.ints(size))
            pads = g.op("Concat", g.ints(0, 0, 0, 0, 0), surplus, axis=0)
            x = g.op("Pad", x, pads, g.real(LOWEST))
            x = g.op("MaxPool", x, kernel_shape=[size], strides=[size])
            x = g.transpose(x, 0, 2, 1)
            lengths = g.op("Div", g.op("Add", lengths, g.ints(part.rounding(depth))), g.ints(size))
            time = g.op("Div", g.op("Add", time, g.ints(size - 1)), g.ints(size))
            real = real_steps(g, lengths, time)
    at_least_one = g.op("Max", lengths, one)
    return batch._replace(
        x=g.op("Where", real, x, g.real(0)),
        lengths=at_least_one,
        lengths32=g.op("Cast", at_least_one, to=INT32),
        real=real,
        has_steps=g.op("Unsqueeze", g.op("Greater", lengths, zero), one),
        time=time,
    )
