"""LSTM layers, and the encoder and decoders made of them, as ONNX operators.

The operator is time-major: in here sequences are (T, B, ·), and final states (D, B, H) with D
directions.
"""

import numpy as np

from unspool.blueprint import Layers, LSTMDecoder, LSTMEncoder
from unspool.blueprint.layers import PERIOD, VARIANCE_FLOOR, WAVES
from unspool.interop.onnx.graph import Array, Graph
from unspool.interop.onnx.kernels import kernel_means
from unspool.interop.onnx.layers import (
    FLOAT,
    Batch,
    Weights,
    dense,
    head,
    in_patches,
    patched,
    scalar,
)
from unspool.interop.onnx.skip import normalised

States = list[tuple[str, str]]  # h and c of every layer

CELLS = {"tanh": "Tanh", "relu": "Relu"}
LARGE = 3e38  # beyond every state
GATES = {"sigmoid": "Sigmoid", "hard_sigmoid": "HardSigmoid"}


def lstm_features(g: Graph, part: LSTMEncoder, weights: Weights, batch: Batch) -> str:
    """The pooled states of sequences: (B, S · statistics), or the whole final state."""
    given = batch._replace(x=normalised(g, batch, part.normalization))
    batch = in_patches(g, given, part.patch_size)
    x = g.turned(batch.x, 1, 0, 2)
    states, finals = layers(g, part.lstm, weights, "encoder.lstm.", x, batch.lengths32)
    # A sequence of no steps ran one all the same: its state is still the initial one.
    finals = [
        (g.op("Where", batch.begun, h, g.real(0)), g.op("Where", batch.begun, c, g.real(0)))
        for h, c in finals
    ]
    wanted = [finals[-1][0]]
    if part.whole_state:
        wanted = [h for h, _ in finals] + [c for _, c in finals]
    width = part.lstm.whole_state if part.whole_state else part.lstm.width
    last = g.shaped(g.turned(g.joined(wanted, 0), 1, 0, 2), 0, width)
    states = g.turned(states, 1, 0, 2)
    found = [last if name == "last" else _over(g, name, states, batch) for name in part.statistics]
    if part.kernels is not None:
        found.append(kernel_means(g, part.kernels, weights, given))
    return g.joined(found, 1)


def _over(g: Graph, statistic: str, states: str, batch: Batch) -> str:
    """A statistic (B, S) of states (B, T, S) over real steps; 0 for a sequence of none."""
    axis = g.ints(1)  # which ReduceMax and ReduceMin, in this opset, take as an attribute
    if statistic in ("max", "min"):
        sign = -1 if statistic == "max" else 1
        real = g.op("Where", batch.real, states, g.real(sign * LARGE))
        found = g.op("ReduceMax" if sign < 0 else "ReduceMin", real, axes=[1], keepdims=0)
        return g.op("Where", batch.begun, found, g.real(0))
    count = g.op("Unsqueeze", g.op("Cast", batch.lengths, to=FLOAT), g.ints(1, 2))
    real = g.op("Where", batch.real, states, g.real(0))
    mean = g.op("Div", g.op("ReduceSum", real, axis, keepdims=1), count)
    if statistic == "mean":
        return g.op("Squeeze", mean, axis)
    apart = g.op("Where", batch.real, g.op("Sub", states, mean), g.real(0))
    square = g.op("ReduceSum", g.op("Mul", apart, apart), axis, keepdims=1)
    variance = g.op("Add", g.op("Div", square, count), g.real(VARIANCE_FLOOR))
    return g.op("Where", batch.begun, g.op("Squeeze", g.op("Sqrt", variance), axis), g.real(0))


def layers(
    g: Graph,
    part: Layers,
    weights: Weights,
    prefix: str,
    x: str,
    lengths: str | None = None,
    start: States | None = None,
) -> tuple[str, States]:
    """A stack of layers on sequences (T, B, ·): the last one's states (T, B, S), and all finals.

    A context is the first part of what the first layer reads at every step.
    """
    sigma, phi = GATES[part.recurrent_activation], CELLS[part.activation]
    cell = {
        "hidden_size": part.units,
        "activations": [sigma, phi, phi] * part.directions,
        "direction": "bidirectional" if part.bidirectional else "forward",
    }
    if sigma == "HardSigmoid":
        # One for each activation: right whether those without parameters are counted or not.
        cell["activation_alpha"] = [1 / 6] * 3 * part.directions
        cell["activation_beta"] = [0.5] * 3 * part.directions
    finals: States = []
    for depth in range(part.num_layers):
        own = [g.weight(name, array) for name, array in _weights(part, weights, prefix, depth)]
        h0, c0 = start[depth] if start else ("", "")
        x, h_n, c_n = g.ops(3, "LSTM", x, *own, lengths or "", h0, c0, **cell)
        finals.append((h_n, c_n))
        if part.bidirectional:  # (T, 2, B, H)
            x = g.shaped(g.turned(x, 0, 2, 1, 3), 0, 0, part.width)
        else:
            x = g.op("Squeeze", x, g.ints(1))
    return x, finals


def _weights(part: Layers, weights: Weights, prefix: str, depth: int) -> list[tuple[str, Array]]:
    """W (D, 4H, ·), R (D, 4H, H) and B (D, 8H) of a layer."""
    stem = f"{prefix}layers.{depth}."
    inputs, recurrent, biases = [], [], []
    for direction in range(part.directions):
        own = f"{stem}{direction}."
        names = [f"{own}weight_context", f"{own}weight_ih"]
        read = [weights[name] for name in names if name in weights]
        # A layer that reads nothing reads zeros.
        inputs.append(np.concatenate(read or [np.zeros((4 * part.units, 1), np.float32)], axis=1))
        recurrent.append(weights[f"{own}weight_hh"])
        bias = weights[f"{own}bias"]
        biases.append(np.concatenate([_iofc(bias), np.zeros_like(bias)]))
    return [
        (f"{stem}W", np.stack([_iofc(each) for each in inputs])),
        (f"{stem}R", np.stack([_iofc(each) for each in recurrent])),
        (f"{stem}B", np.stack(biases)),
    ]


def _iofc(weight: Array) -> Array:
    """From our order of the gates, i f c o, to that of ONNX."""
    i, f, c, o = np.split(weight, 4)
    return np.concatenate([i, o, f, c])


def lstm_decoder(
    g: Graph,
    part: LSTMDecoder,
    weights: Weights,
    name: str,
    code: str,
    batch: Batch,
    steps: str | None,
) -> str:
    """Sequences (B, steps, F) of codes (B, L); without `steps` those of the batch, T."""
    prefix = f"decoders.{name}."
    if part.kind.flat:
        _, finals = layers(g, part.lstm, weights, f"{prefix}lstm.", _pieces(g, part, code))
        last = g.op("Squeeze", finals[-1][0], g.ints(0))
        sequences = head(g, part.head, weights, f"{prefix}head.", last)
        return sequences if steps else g.first_of(sequences, batch.time, part.steps, 1)
    by_patch = in_patches(g, batch, part.patch_size)
    count = g.ints(part.pieces) if steps else by_patch.time
    if part.kind.reads == "previous":
        patches = _one_by_one(g, part, weights, prefix, code, batch, count)
    else:
        states, _ = layers(
            g,
            part.lstm,
            weights,
            f"{prefix}lstm.",
            _input(g, part, code, batch, count, ahead=steps is not None),
            None if steps else by_patch.lengths32,
            _start(g, part, weights, prefix, code),
        )
        patches = head(g, part.head, weights, f"{prefix}head.", states, axes=2)
    if part.patch_size > 1:  # (P, B, size, F), or (P, B, size · F)
        patches = g.shaped(patches, 0, 0, part.patch_size * part.n_features)
    sequences = g.turned(patches, 1, 0, 2)
    if part.patch_size > 1:
        sequences = g.shaped(sequences, 0, -1, part.n_features)
        sequences = g.first(sequences, steps or batch.time, 1)
    if part.reverse_target:
        sequences = g.op("ReverseSequence", sequences, batch.lengths, time_axis=1, batch_axis=0)
    return sequences


def _input(g: Graph, part: LSTMDecoder, code: str, batch: Batch, count: str, *, ahead: bool) -> str:
    """What the first layer reads, (count, B, ·)."""
    if part.kind.code == "steps":
        pieces = _pieces(g, part, code)
        return pieces if ahead else g.first_of(pieces, count, part.pieces, 0)
    read = []
    if part.kind.code == "context":
        shape = g.op("Concat", count, batch.batch, g.ints(part.latent_dim), axis=0)
        read.append(g.op("Expand", code, shape))
    if part.kind.reads == "reversed_input":
        back = g.op("ReverseSequence", batch.x, batch.lengths, time_axis=1, batch_axis=0)
        back = patched(g, back, batch.time, part.patch_size)
        if ahead:  # the past may be shorter than what comes after it
            none = g.zeros(batch.batch, count, g.ints(part.patch_size * part.n_features))
            back = g.first(g.op("Concat", back, none, axis=1), count, 1)
        read.append(g.turned(back, 1, 0, 2))
    if part.reads_place:
        read.append(_places(g, count, batch))
    return g.joined(read or [g.zeros(count, batch.batch, g.ints(1))], 2)


def _places(g: Graph, count: str, batch: Batch) -> str:
    """The places of patches, (count, B, 2 · WAVES)."""
    # Not a Range, which ONNX Runtime refuses for a count that is a constant.
    ones = g.op("Expand", g.real(1), g.op("Concat", count, g.ints(1, 1), axis=0))
    steps = g.op("CumSum", ones, g.constant(0, np.int64), exclusive=1)
    waves = g.constant(2 * np.pi / PERIOD * np.arange(1, WAVES + 1), np.float32)
    angles = g.op("Mul", steps, waves)
    each = g.op("Concat", g.op("Sin", angles), g.op("Cos", angles), axis=2)
    return g.op("Expand", each, g.op("Concat", count, batch.batch, g.ints(2 * WAVES), axis=0))


def _pieces(g: Graph, part: LSTMDecoder, code: str) -> str:
    """Codes cut into a piece for each step, (most steps, B, ·), the last ones filled with zeros."""
    width = part.lstm.inputs
    missing = part.pieces * width - part.latent_dim
    if missing:
        code = g.op("Pad", code, g.ints(0, 0, 0, missing))
    return g.turned(g.shaped(code, 0, part.pieces, width), 1, 0, 2)


def _start(g: Graph, part: LSTMDecoder, weights: Weights, prefix: str, code: str) -> States | None:
    """h and c of every layer, (D, B, H), that a code is or leads to."""
    if part.kind.code != "state":
        return None
    if part.starts:
        code = dense(g, weights, f"{prefix}start.", code)
    lstm = part.lstm
    whole = g.shaped(code, 0, 2 * lstm.num_layers * lstm.directions, lstm.units)
    each = g.ops(2 * lstm.num_layers, "Split", g.turned(whole, 1, 0, 2), axis=0)
    return list(zip(each[: lstm.num_layers], each[lstm.num_layers :], strict=True))


def _one_by_one(
    g: Graph, part: LSTMDecoder, weights: Weights, prefix: str, code: str, batch: Batch, count: str
) -> str:
    """Patches (count, B, patch_size · F) in the order of writing, each read by the next."""
    one, lstm, wide = g.ints(1), part.lstm, part.patch_size * part.n_features
    start = _start(g, part, weights, prefix, code)
    if start is None:
        none = g.zeros(one, batch.batch, g.ints(lstm.units))
        start = [(none, none)] * lstm.num_layers
    body = Graph(g)
    written = body.fresh("written")
    state = [(body.fresh("h"), body.fresh("c")) for _ in start]

    read = written
    if part.kind.code == "context":
        read = body.op("Concat", g.op("Unsqueeze", code, g.ints(0)), written, axis=2)
    states, after = layers(body, lstm, weights, f"{prefix}lstm.", read, start=state)
    step = head(body, part.head, weights, f"{prefix}head.", states, axes=2)
    if part.patch_size > 1:
        step = body.shaped(step, 0, 0, wide)
    number, go_on = body.fresh("step"), body.fresh("go_on")
    row = body.op("Squeeze", step, body.ints(0))

    sizes = [1, None, lstm.units]
    carried = [body.typed(written, np.float32, [1, None, wide])]
    carried += [body.typed(each, np.float32, sizes) for pair in state for each in pair]
    results = [body.typed(step, np.float32, [1, None, wide])]
    results += [body.typed(each, np.float32, sizes) for pair in after for each in pair]
    results.append(body.typed(row, np.float32, [None, wide]))
    going = body.op("Identity", go_on)
    graph = g.onnx.helper.make_graph(
        body.nodes,
        f"{prefix}step",
        [body.typed(number, np.int64, []), body.typed(go_on, np.bool_, []), *carried],
        [body.typed(going, np.bool_, []), *results],
    )
    first = g.zeros(one, batch.batch, g.ints(wide))
    initial = [first, *(each for pair in start for each in pair)]
    return g.ops(len(initial) + 1, "Loop", scalar(g, count), "", *initial, body=graph)[-1]
