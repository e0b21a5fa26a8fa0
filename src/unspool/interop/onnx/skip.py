"""Normalisation of sequences and what leads to a forecast beside the code, as ONNX operators.

The quantiles of a forecast lie in front, (B, Q, K, F), until they are given: so all that is of a
sequence or a feature is added to them as to a forecast.
"""

from unspool.blueprint import Skip
from unspool.blueprint.layers import VARIANCE_FLOOR
from unspool.interop.onnx.graph import Graph
from unspool.interop.onnx.layers import FLOAT, Batch, Weights


def normalised(g: Graph, batch: Batch, normalization: str) -> str:
    """Sequences (B, T, F), each less its location and divided by its spread."""
    if normalization == "none":
        return batch.x
    location, spread = _level(g, batch, normalization)
    apart = g.op("Sub", batch.x, location)
    apart = g.op("Div", apart, spread) if spread else apart
    return g.op("Where", batch.real, apart, g.real(0))


def skip(g: Graph, part: Skip, weights: Weights, output: str, batch: Batch, *, spread: bool) -> str:
    """Forecasts (B, K, F) of outputs (B, K, F); with `spread`, quantiles, both (B, Q, K, F)."""
    location, own = _level(g, batch, part.normalization)
    scale = g.weight("skip.scale", weights["skip.scale"])
    scale = g.op("Mul", own, scale) if own else scale
    if part.steps:
        # The last steps of a sequence, less its level; zeros before its start.
        none = g.zeros(batch.batch, g.ints(part.steps), g.ints(part.n_features))
        apart = g.op("Sub", batch.x, location) if location else batch.x
        apart = g.op("Where", batch.real, apart, g.real(0))
        padded = g.op("Concat", none, apart, axis=1)
        from_end = g.constant(range(part.steps), "int64")
        # A sequence of no steps has a length of 1 here, and a zero for its step.
        places = g.op("Add", g.op("Unsqueeze", batch.lengths, g.ints(1)), from_end)
        places = g.op("Unsqueeze", places, g.ints(2))
        shape = g.op("Concat", batch.batch, g.ints(part.steps, part.n_features), axis=0)
        read = g.op("GatherElements", padded, g.op("Expand", places, shape), axis=1)
        read = g.op("Concat", read, location, axis=1) if location else read
        maps = g.weight("skip.weight", weights["skip.weight"].swapaxes(1, 2))
        linear = g.turned(g.op("MatMul", g.turned(read, 2, 0, 1), maps), 1, 2, 0)
        location = g.op("Add", linear, location) if location else linear
    if spread:
        location = g.op("Unsqueeze", location, g.ints(1)) if location else ""
        scale = g.op("Unsqueeze", scale, g.ints(1)) if own else scale
    output = g.op("Mul", output, scale)
    return g.op("Add", output, location) if location else output


def each_sorted(g: Graph, output: str, features: int, quantiles: int) -> str:
    """Quantiles (B, Q, K, F), rising, of a decoder's outputs (B, K, F · Q)."""
    apart = g.shaped(output, 0, 0, features, quantiles)
    rising = g.ops(2, "TopK", apart, g.ints(quantiles), axis=3, largest=0, sorted=1)[0]
    return g.turned(rising, 0, 3, 1, 2)


def _level(g: Graph, batch: Batch, normalization: str) -> tuple[str, str]:
    """Location and spread (B, 1, F) of sequences; "" for what changes nothing."""
    if normalization == "none":
        return "", ""
    begun = g.op("Unsqueeze", batch.begun, g.ints(1))
    if normalization == "last":
        # Padding is zero, so the last step is the sum of what is not before it.
        steps = g.op("CumSum", g.op("Cast", batch.real, to=FLOAT), g.constant(1, "int64"))
        ends = g.op("Cast", g.op("Unsqueeze", batch.lengths, g.ints(1, 2)), to=FLOAT)
        last = g.op("And", g.op("Equal", steps, ends), batch.real)
        found = g.op("Where", last, batch.x, g.real(0))
        return g.op("ReduceSum", found, g.ints(1), keepdims=1), ""
    count = g.op("Cast", g.op("Unsqueeze", batch.lengths, g.ints(1, 2)), to=FLOAT)
    mean = g.op("Div", g.op("ReduceSum", batch.x, g.ints(1), keepdims=1), count)
    apart = g.op("Where", batch.real, g.op("Sub", batch.x, mean), g.real(0))
    square = g.op("ReduceSum", g.op("Mul", apart, apart), g.ints(1), keepdims=1)
    variance = g.op("Add", g.op("Div", square, count), g.real(VARIANCE_FLOOR))
    return mean, g.op("Where", begun, g.op("Sqrt", variance), g.real(1))
