"""Random convolution kernels as ONNX operators."""

from unspool.blueprint import Kernels
from unspool.interop.onnx.graph import Graph
from unspool.interop.onnx.layers import FLOAT, Batch, Weights


def kernel_means(g: Graph, part: Kernels, weights: Weights, batch: Batch) -> str:
    """Return means (B, K) over real steps of a hard sigmoid of causal convolutions; 0 if none."""
    x, responses = g.transpose(batch.x, 0, 2, 1), []
    weight, bias = weights["encoder.kernels.weight"], weights["encoder.kernels.bias"]
    for i, dilation in enumerate(part.dilations):
        kernels = slice(i * part.each, (i + 1) * part.each)
        before = (part.TAPS - 1) * dilation
        response = g.op(
            "Conv",
            g.op("Pad", x, g.ints(0, 0, before, 0, 0, 0), mode="edge"),
            g.weight(f"encoder.kernels.{i}.weight", weight[kernels]),
            g.weight(f"encoder.kernels.{i}.bias", bias[kernels]),
            dilations=[dilation],
        )
        responses.append(g.op("HardSigmoid", response, alpha=1 / 6, beta=0.5))
    values = g.transpose(g.concat(responses, 1), 0, 2, 1)
    total = g.op("ReduceSum", g.op("Where", batch.real, values, g.real(0)), g.ints(1), keepdims=0)
    count = g.op("Unsqueeze", g.op("Cast", batch.lengths, to=FLOAT), g.ints(1))
    return g.op("Where", batch.has_steps, g.op("Div", total, count), g.real(0))
