"""Normalization of sequences, and the linear path to a forecast, as ONNX operators.

Quantiles have shape (B, Q, K, F) inside the graph, so that a level (B, 1, F) or a forecast
(B, K, F) is added to them by broadcasting.
"""

from unspool.blueprint import Skip
from unspool.blueprint.layers import VARIANCE_FLOOR
from unspool.interop.onnx.graph import Graph
from unspool.interop.onnx.layers import FLOAT, Batch, Weights
from unspool.interop.onnx.missing import carried, fill_of, filled


def normalized(g: Graph, batch: Batch, normalization: str, fill: str = "") -> str:
    """Subtract the location of each sequence (B, T, F), and divide it by its spread."""
    if normalization == "none":
        return batch.x
    location, spread = level(g, batch, normalization, fill)
    x = g.op("Sub", batch.x, location)
    x = g.op("Div", x, spread) if spread else x
    return g.op("Where", batch.real, x, g.real(0))


def skip(
    g: Graph, part: Skip, weights: Weights, output: str, batch: Batch, *, quantiles: bool
) -> str:
    """Scale an output (B, K, F), or quantiles (B, Q, K, F), and add level and linear map."""
    fill = fill_of(g, weights, "skip.")
    location, spread = level(g, batch, part.normalization, fill)
    scale = g.weight("skip.scale", weights["skip.scale"])
    scale = g.op("Mul", spread, scale) if spread else scale
    if part.steps:
        # The last steps of each sequence without its level, preceded by zeros.
        zeros = g.zeros(batch.batch, g.ints(part.steps), g.ints(part.n_features))
        centred = g.op("Sub", batch.x, location) if location else batch.x
        centred = g.op("Where", batch.real, centred, g.real(0))
        padded = g.op("Concat", zeros, centred, axis=1)
        from_end = g.constant(range(part.steps), "int64")
        # An empty sequence has length 1 here, and a zero for its step.
        indices = g.op("Add", g.op("Unsqueeze", batch.lengths, g.ints(1)), from_end)
        indices = g.op("Unsqueeze", indices, g.ints(2))
        shape = g.op("Concat", batch.batch, g.ints(part.steps, part.n_features), axis=0)
        last = g.op("GatherElements", padded, g.op("Expand", indices, shape), axis=1)
        if fill:  # nothing is carried from before the start
            before = g.op("Less", indices, g.ints(part.steps))
            rest = g.real(0) if location else fill
            last = carried(g, g.op("Where", before, g.real(float("nan")), last), part.steps)
            last = g.op("Where", before, g.real(0), filled(g, last, rest))
        last = g.op("Concat", last, location, axis=1) if location else last
        maps = g.weight("skip.weight", weights["skip.weight"].swapaxes(1, 2))
        linear = g.transpose(g.op("MatMul", g.transpose(last, 2, 0, 1), maps), 1, 2, 0)
        location = g.op("Add", linear, location) if location else linear
    if quantiles:
        location = g.op("Unsqueeze", location, g.ints(1)) if location else ""
        scale = g.op("Unsqueeze", scale, g.ints(1)) if spread else scale
    output = g.op("Mul", output, scale)
    return g.op("Add", output, location) if location else output


def sorted_quantiles(g: Graph, output: str, features: int, quantiles: int) -> str:
    """Sort a decoder's outputs (B, K, F · Q) into quantiles (B, Q, K, F)."""
    split = g.reshape(output, 0, 0, features, quantiles)
    rising = g.ops(2, "TopK", split, g.ints(quantiles), axis=3, largest=0, sorted=1)[0]
    return g.transpose(rising, 0, 3, 1, 2)


def level(g: Graph, batch: Batch, normalization: str, fill: str = "") -> tuple[str, str]:
    """Return location and spread (B, 1, F) of sequences; "" if there is none."""
    if normalization == "none":
        return "", ""
    if fill:
        return _level_of_present(g, batch, normalization, fill)
    has_steps = g.op("Unsqueeze", batch.has_steps, g.ints(1))
    if normalization == "last":
        # The last step is the only one whose number equals the length.
        steps = g.op("CumSum", g.op("Cast", batch.real, to=FLOAT), g.constant(1, "int64"))
        ends = g.op("Cast", g.op("Unsqueeze", batch.lengths, g.ints(1, 2)), to=FLOAT)
        last = g.op("And", g.op("Equal", steps, ends), batch.real)
        values = g.op("Where", last, batch.x, g.real(0))
        return g.op("ReduceSum", values, g.ints(1), keepdims=1), ""
    count = g.op("Cast", g.op("Unsqueeze", batch.lengths, g.ints(1, 2)), to=FLOAT)
    mean = g.op("Div", g.op("ReduceSum", batch.x, g.ints(1), keepdims=1), count)
    difference = g.op("Where", batch.real, g.op("Sub", batch.x, mean), g.real(0))
    square = g.op("ReduceSum", g.op("Mul", difference, difference), g.ints(1), keepdims=1)
    variance = g.op("Add", g.op("Div", square, count), g.real(VARIANCE_FLOOR))
    return mean, g.op("Where", has_steps, g.op("Sqrt", variance), g.real(1))


def _level_of_present(g: Graph, batch: Batch, normalization: str, fill: str) -> tuple[str, str]:
    """Return location and spread of the values that are not missing."""
    time = g.ints(1)
    present = g.op("And", batch.real, g.op("Not", g.op("IsNaN", batch.x)))
    numbers = g.op("Cast", present, to=FLOAT)
    count = g.op("ReduceSum", numbers, time, keepdims=1)
    known = g.op("Greater", count, g.real(0))
    if normalization == "last":
        steps = g.op("CumSum", g.op("Cast", batch.real, to=FLOAT), g.constant(1, "int64"))
        last = g.op("ReduceMax", g.op("Mul", steps, numbers), axes=[1], keepdims=1)
        # The step of the last value is the only one with its number.
        ends = g.op("And", present, g.op("Equal", steps, last))
        values = g.op("ReduceSum", g.op("Where", ends, batch.x, g.real(0)), time, keepdims=1)
        return g.op("Where", known, values, fill), ""
    divisor = g.op("Max", count, g.real(1))
    total = g.op("ReduceSum", g.op("Where", present, batch.x, g.real(0)), time, keepdims=1)
    mean = g.op("Div", total, divisor)
    difference = g.op("Where", present, g.op("Sub", batch.x, mean), g.real(0))
    square = g.op("ReduceSum", g.op("Mul", difference, difference), time, keepdims=1)
    variance = g.op("Add", g.op("Div", square, divisor), g.real(VARIANCE_FLOOR))
    spread = g.op("Where", known, g.op("Sqrt", variance), g.real(1))
    return g.op("Where", known, mean, fill), spread
