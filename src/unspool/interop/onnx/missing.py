"""Missing values, NaN in sequences, as ONNX operators; see `unspool.nn.missing`."""

from unspool.interop.onnx.graph import Graph
from unspool.interop.onnx.layers import FLOAT, Weights


def fill_of(g: Graph, weights: Weights, prefix: str) -> str:
    """Return what replaces missing values, (F,); "" if no value may be missing."""
    name = f"{prefix}fill"
    return g.weight(name, weights[name]) if name in weights else ""


def filled(g: Graph, x: str, fill: str) -> str:
    """Replace missing values of sequences (B, T, F) by `fill`; "" replaces nothing."""
    return g.op("Where", g.op("IsNaN", x), fill, x) if fill else x


def marked(g: Graph, x: str, fill: str) -> str:
    """Replace missing values of (B, T, F), and append indicators: (B, T, 2F)."""
    if not fill:
        return x
    hidden = g.op("IsNaN", x)
    indicators = g.op("Cast", hidden, to=FLOAT)
    return g.op("Concat", g.op("Where", hidden, fill, x), indicators, axis=2)


def carried(g: Graph, x: str, steps: int) -> str:
    """Replace missing values of (B, steps, F) by the last value before them, if there is one."""
    reach = 1
    while reach < steps:
        first = g.first(x, g.ints(reach), 1)
        earlier = g.op("Concat", first, g.first(x, g.ints(steps - reach), 1), axis=1)
        x = g.op("Where", g.op("IsNaN", x), earlier, x)
        reach *= 2
    return x
