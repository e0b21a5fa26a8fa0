"""Recurrent layers, their encoders and decoders as ONNX operators.

The LSTM and the GRU of ONNX are time-major: sequences have shape (T, B, ·), and final states
(D, B, H) with D directions.
"""

from typing import Any

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
from unspool.interop.onnx.missing import fill_of, filled, marked
from unspool.interop.onnx.skip import normalized
from unspool.interop.onnx.step_convolutions import step_convolutions

States = list[tuple[str, ...]]  # h and c (of a GRU only h) of every layer

CELL_ACTIVATIONS = {"tanh": "Tanh", "relu": "Relu"}
LARGE = 3e38  # larger than every state
GATE_ACTIVATIONS = {"sigmoid": "Sigmoid", "hard_sigmoid": "HardSigmoid"}


def lstm_features(g: Graph, part: LSTMEncoder, weights: Weights, batch: Batch) -> str:
    """Return the pooled states of sequences (B, S · statistics), or the whole final state."""
    fill = fill_of(g, weights, "encoder.")
    by_step = batch._replace(x=filled(g, batch.x, fill))
    read = normalized(g, batch, part.normalization, fill)
    if fill and part.normalization != "none":
        fill = g.real(0)
    batch = batch._replace(x=marked(g, read, fill))
    if part.convolutions is not None:
        batch = step_convolutions(g, part.convolutions, weights, batch)
    else:
        batch = in_patches(g, batch, part.patch_size)
    x = g.transpose(batch.x, 1, 0, 2)
    states, finals = layers(g, part.lstm, weights, "encoder.lstm.", x, batch.lengths32)
    # An empty sequence was run for one step, but its state must be the initial one.
    finals = [
        tuple(g.op("Where", batch.has_steps, state, g.real(0)) for state in layer)
        for layer in finals
    ]
    last_states = [finals[-1][0]]
    if part.whole_state:
        last_states = [state for states in zip(*finals, strict=True) for state in states]
    rows = [g.reshape(g.transpose(state, 1, 0, 2), 0, -1) for state in last_states]
    last = g.concat(rows, 1)
    states = g.transpose(states, 1, 0, 2)
    features = [
        last if name == "last" else _pooled(g, name, states, batch) for name in part.statistics
    ]
    if part.kernels is not None:
        features.append(kernel_means(g, part.kernels, weights, by_step))
    return g.concat(features, 1)


def _pooled(g: Graph, statistic: str, states: str, batch: Batch) -> str:
    """Return a statistic (B, S) of states (B, T, S) over real steps; 0 if there are none."""
    axis = g.ints(1)  # in this opset an attribute of ReduceMax and ReduceMin
    if statistic in ("max", "min"):
        sign = -1 if statistic == "max" else 1
        real = g.op("Where", batch.real, states, g.real(sign * LARGE))
        extreme = g.op("ReduceMax" if sign < 0 else "ReduceMin", real, axes=[1], keepdims=0)
        return g.op("Where", batch.has_steps, extreme, g.real(0))
    count = g.op("Unsqueeze", g.op("Cast", batch.lengths, to=FLOAT), g.ints(1, 2))
    real = g.op("Where", batch.real, states, g.real(0))
    mean = g.op("Div", g.op("ReduceSum", real, axis, keepdims=1), count)
    if statistic == "mean":
        return g.op("Squeeze", mean, axis)
    difference = g.op("Where", batch.real, g.op("Sub", states, mean), g.real(0))
    square = g.op("ReduceSum", g.op("Mul", difference, difference), axis, keepdims=1)
    variance = g.op("Add", g.op("Div", square, count), g.real(VARIANCE_FLOOR))
    return g.op("Where", batch.has_steps, g.op("Squeeze", g.op("Sqrt", variance), axis), g.real(0))


def layers(
    g: Graph,
    part: Layers,
    weights: Weights,
    prefix: str,
    x: str,
    lengths: str | None = None,
    start: States | None = None,
) -> tuple[str, States]:
    """Run layers on x (T, B, ·); return the last layer's states (T, B, S) and all final states.

    If the part has a context, x starts with it at every step.
    """
    sigma, phi = GATE_ACTIVATIONS[part.recurrent_activation], CELL_ACTIVATIONS[part.activation]
    gru = part.cell == "gru"
    activations = [sigma, phi] if gru else [sigma, phi, phi]
    cell: dict[str, Any] = {
        "activations": activations * part.directions,
        "direction": "bidirectional" if part.bidirectional else "forward",
    }
    if gru:
        cell["linear_before_reset"] = 1  # r multiplies U h + b_rn
    if sigma == "HardSigmoid":
        # One value per activation, whether or not a runtime counts those without parameters.
        cell["activation_alpha"] = [1 / 6] * len(activations) * part.directions
        cell["activation_beta"] = [0.5] * len(activations) * part.directions
    finals: States = []
    for depth, (units, width) in enumerate(zip(part.units, part.widths, strict=True)):
        cell["hidden_size"] = units
        arrays = [g.weight(name, array) for name, array in _weights(part, weights, prefix, depth)]
        initial = start[depth] if start else ("",) * len(part.kind.states)
        x, *final = g.ops(
            1 + len(initial), part.kind.title, x, *arrays, lengths or "", *initial, **cell
        )
        finals.append(tuple(final))
        if part.bidirectional:  # (T, 2, B, H)
            x = g.reshape(g.transpose(x, 0, 2, 1, 3), 0, 0, width)
        else:
            x = g.op("Squeeze", x, g.ints(1))
    return x, finals


def _weights(part: Layers, weights: Weights, prefix: str, depth: int) -> list[tuple[str, Array]]:
    """Return W (D, G·H, ·), R (D, G·H, H) and B (D, 2·G·H) of a layer, with their names."""
    stem = f"{prefix}layers.{depth}."
    inputs, recurrent, biases, gates = [], [], [], len(part.kind.gates)
    for direction in range(part.directions):
        name = f"{stem}{direction}."
        names = [f"{name}weight_context", f"{name}weight_ih"]
        kernels = [weights[name] for name in names if name in weights]
        # A layer without inputs gets a column of zeros.
        inputs.append(
            np.concatenate(
                kernels or [np.zeros((gates * part.units[depth], 1), np.float32)], axis=1
            )
        )
        recurrent.append(weights[f"{name}weight_hh"])
        bias = weights[f"{name}bias"]
        first, second = bias, np.zeros_like(bias)
        if part.cell == "gru":  # the second bias is added to U h
            first, second = bias[: gates * part.units[depth]], second[: gates * part.units[depth]]
            second[2 * part.units[depth] :] = bias[gates * part.units[depth] :]
        biases.append(np.concatenate([_in_order(part, first), second]))
    return [
        (f"{stem}W", np.stack([_in_order(part, each) for each in inputs])),
        (f"{stem}R", np.stack([_in_order(part, each) for each in recurrent])),
        (f"{stem}B", np.stack(biases)),
    ]


def _in_order(part: Layers, weight: Array) -> Array:
    """Reorder the gates of an LSTM from i, f, c, o to i, o, f, c; ONNX has a GRU's as z, r, h."""
    if part.cell == "gru":
        return weight
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
    """Decode codes (B, L) to sequences (B, steps, F); if `steps` is None, to T steps."""
    prefix = f"decoders.{name}."
    if part.kind.flat:
        columns = [_pieces(g, part, code), *_known(g, part, batch)]
        _, finals = layers(g, part.lstm, weights, f"{prefix}lstm.", g.concat(columns, 2))
        last = g.op("Squeeze", finals[-1][0], g.ints(0))
        sequences = head(g, part.head, weights, f"{prefix}head.", last)
        return sequences if steps else g.split_first(sequences, batch.time, part.steps, 1)
    by_patch = in_patches(g, batch, part.patch_size)
    count = g.ints(part.pieces) if steps else by_patch.time
    if part.kind.reads == "previous":
        patches = _autoregressive(g, part, weights, prefix, code, batch, count)
    else:
        states, _ = layers(
            g,
            part.lstm,
            weights,
            f"{prefix}lstm.",
            _input(g, part, weights, code, batch, count, ahead=steps is not None),
            None if steps else by_patch.lengths32,
            _start(g, part, weights, prefix, code),
        )
        patches = head(g, part.head, weights, f"{prefix}head.", states, axes=2)
    if part.patch_size > 1:  # (P, B, size, F), or (P, B, size · F)
        patches = g.reshape(patches, 0, 0, part.patch_size * part.n_features)
    sequences = g.transpose(patches, 1, 0, 2)
    if part.patch_size > 1:
        sequences = g.reshape(sequences, 0, -1, part.n_features)
        sequences = g.first(sequences, steps or batch.time, 1)
    if part.reverse_target:
        sequences = g.op("ReverseSequence", sequences, batch.lengths, time_axis=1, batch_axis=0)
    return sequences


def _input(
    g: Graph,
    part: LSTMDecoder,
    weights: Weights,
    code: str,
    batch: Batch,
    count: str,
    *,
    ahead: bool,
) -> str:
    """Return the input of the first layer, (count, B, ·)."""
    if part.kind.code == "steps":
        pieces = _pieces(g, part, code)
        if not ahead:
            return g.split_first(pieces, count, part.pieces, 0)
        return g.concat([pieces, *_known(g, part, batch)], 2)
    columns = []
    if part.kind.repeats:
        shape = g.op("Concat", count, batch.batch, g.ints(part.latent_dim), axis=0)
        columns.append(g.op("Expand", code, shape))
    if part.kind.reads == "reversed_input":
        x = marked(g, batch.x, fill_of(g, weights, "encoder."))
        x = g.op("ReverseSequence", x, batch.lengths, time_axis=1, batch_axis=0)
        x = patched(g, x, batch.time, part.patch_size)
        if ahead:  # the input may be shorter than the forecast
            features = g.size(batch.x, 2)
            width = g.op("Mul", features, g.ints(part.patch_size * (2 if part.reads_masks else 1)))
            zeros = g.zeros(batch.batch, count, width)
            x = g.first(g.op("Concat", x, zeros, axis=1), count, 1)
        columns.append(g.transpose(x, 1, 0, 2))
    if part.reads_place:
        columns.append(_positions(g, count, batch))
    columns += _known(g, part, batch)
    return g.concat(columns or [g.zeros(count, batch.batch, g.ints(1))], 2)


def _known(g: Graph, part: LSTMDecoder, batch: Batch) -> list[str]:
    """Return the known features of each patch, (P, B, ·), if the decoder reads them."""
    if not part.n_known:
        return []
    known = patched(g, batch.known, g.ints(part.steps), part.patch_size)
    return [g.transpose(known, 1, 0, 2)]


def _positions(g: Graph, count: str, batch: Batch) -> str:
    """Return sines and cosines of the positions of patches, (count, B, 2 · WAVES)."""
    # ONNX Runtime refuses a Range with a constant count.
    ones = g.op("Expand", g.real(1), g.op("Concat", count, g.ints(1, 1), axis=0))
    steps = g.op("CumSum", ones, g.constant(0, np.int64), exclusive=1)
    waves = g.constant(2 * np.pi / PERIOD * np.arange(1, WAVES + 1), np.float32)
    angles = g.op("Mul", steps, waves)
    each = g.op("Concat", g.op("Sin", angles), g.op("Cos", angles), axis=2)
    return g.op("Expand", each, g.op("Concat", count, batch.batch, g.ints(2 * WAVES), axis=0))


def _pieces(g: Graph, part: LSTMDecoder, code: str) -> str:
    """Split codes into one piece per step, (steps, B, ·), padded with zeros at the end."""
    width = part.piece
    missing = part.pieces * width - part.latent_dim
    if missing:
        code = g.op("Pad", code, g.ints(0, 0, 0, missing))
    return g.transpose(g.reshape(code, 0, part.pieces, width), 1, 0, 2)


def _start(g: Graph, part: LSTMDecoder, weights: Weights, prefix: str, code: str) -> States | None:
    """Return the initial states (D, B, H) of every layer, for a decoder that starts from them."""
    if not part.kind.starts:
        return None
    if part.starts:
        code = dense(g, weights, f"{prefix}start.", code)
    lstm, count = part.lstm, len(part.lstm.kind.states)
    rows = g.ops(count * lstm.num_layers, "Split", code, g.ints(*count * lstm.widths), axis=1)
    each = [
        g.transpose(g.reshape(row, 0, lstm.directions, units), 1, 0, 2)
        for row, units in zip(rows, count * lstm.units, strict=True)
    ]
    return [tuple(each[depth :: lstm.num_layers]) for depth in range(lstm.num_layers)]


def _autoregressive(
    g: Graph, part: LSTMDecoder, weights: Weights, prefix: str, code: str, batch: Batch, count: str
) -> str:
    """Write patches (count, B, patch_size · F) in a loop that feeds each one to the next."""
    one, lstm, width = g.ints(1), part.lstm, part.patch_size * part.n_features
    start = _start(g, part, weights, prefix, code)
    if start is None:
        zeros = [g.zeros(one, batch.batch, g.ints(units)) for units in lstm.units]
        start = [(each,) * len(lstm.kind.states) for each in zeros]
    body = Graph(g)
    previous = body.fresh("previous")
    state = [tuple(body.fresh(name) for name in lstm.kind.states) for _ in start]

    index, condition = body.fresh("index"), body.fresh("condition")
    columns = [previous]
    if part.kind.repeats:
        columns.insert(0, g.op("Unsqueeze", code, g.ints(0)))
    for known in _known(g, part, batch):
        here = body.op("Gather", known, index, axis=0)
        columns.append(body.op("Unsqueeze", here, g.ints(0)))
    x = body.concat(columns, 2)
    states, next_state = layers(body, lstm, weights, f"{prefix}lstm.", x, start=state)
    step = head(body, part.head, weights, f"{prefix}head.", states, axes=2)
    if part.patch_size > 1:
        step = body.reshape(step, 0, 0, width)
    row = body.op("Squeeze", step, body.ints(0))

    carried = [body.typed(previous, np.float32, [1, None, width])]
    results = [body.typed(step, np.float32, [1, None, width])]
    for units, pair, next_pair in zip(lstm.units, state, next_state, strict=True):
        carried += [body.typed(each, np.float32, [1, None, units]) for each in pair]
        results += [body.typed(each, np.float32, [1, None, units]) for each in next_pair]
    results.append(body.typed(row, np.float32, [None, width]))
    next_condition = body.op("Identity", condition)
    graph = g.onnx.helper.make_graph(
        body.nodes,
        f"{prefix}step",
        [body.typed(index, np.int64, []), body.typed(condition, np.bool_, []), *carried],
        [body.typed(next_condition, np.bool_, []), *results],
    )
    first = g.zeros(one, batch.batch, g.ints(width))
    initial = [first, *(each for pair in start for each in pair)]
    return g.ops(len(initial) + 1, "Loop", scalar(g, count), "", *initial, body=graph)[-1]
