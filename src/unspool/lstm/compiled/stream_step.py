"""A step of an encoder that reads one series step by step, from the values to the code.

One call of `advance` scales a step, runs it through all layers, updates the statistics of the
states and the means of the random kernels, and computes the code. The numbers of the layers and of
their statistics are those of `small_batch`.

The state of all layers and the statistics are in one array, so that an incomplete patch can be read
again from the state before it.
"""

import math
from typing import NamedTuple

import numpy as np

from unspool.lstm.compiled.activations import hard_sigmoid
from unspool.lstm.compiled.cells import CELLS, activate
from unspool.lstm.compiled.denormals import flush_denormals, restore
from unspool.lstm.compiled.jit import Kernel, compiled
from unspool.lstm.compiled.record import Record
from unspool.lstm.compiled.small_batch import copied, multiply, row_width, sums_of
from unspool.lstm.compiled.statistics import DEVIATION, STATISTICS, collect, positions, variance
from unspool.lstm.compiled.tiles import fill, rounded
from unspool.lstm.compiled.vector import after, lanes_of, load, pointer, store

READ, NOT_FINITE, TOO_LARGE = range(3)  # results of `advance`


class Layer(NamedTuple):
    """One layer; addresses are those of values in the state, and of packed weights."""

    hidden: int
    features: int
    relu: int
    hard: int
    packed: int  # see `small_batch.pack`
    state: int  # [h; x], of a whole number of vectors and the features
    c: int


class Arguments(NamedTuple):
    """Arguments of the kernels: sizes, flags, and addresses of arrays.

    Arrays have float32 values, except where a comment says otherwise. Matrices are packed in panels
    as `small_batch.multiply` reads them.
    """

    features: int = 0
    shift: int = 0  # float64, one value per feature
    scale: int = 0  # float64
    clip: int = 0  # two values, the limits of scaled values
    counter: int = 0  # int64, the number of steps so far
    # Layers.
    layers: int = 0
    patch_size: int = 1
    patch: int = 0
    state: int = 0
    saved: int = 0  # the state before the patch
    state_size: int = 0
    gates: int = 0  # working memory of the widest layer
    # The features that the code is made of.
    whole_state: int = 0
    running: int = 0  # statistics of the states, see `statistics`; 0 without statistics
    floor: int = 0  # one value, added to a variance
    last: int = -1
    mean: int = -1
    deviation: int = -1
    largest: int = -1
    smallest: int = -1
    found: int = 0
    # Random kernels, for each dilation `each` of them.
    groups: int = 0
    each: int = 0
    taps: int = 0
    dilations: int = 0  # int64
    kernels: int = 0  # the matrices of all dilations
    kernel_bias: int = 0  # whole panels for each dilation
    past: int = 0  # the last steps, in turn
    past_size: int = 0
    taken: int = 0  # the steps that a dilation reads
    response: int = 0
    means: int = 0  # float64, sums over the steps
    # The projection.
    width: int = 0  # number of the features that the code is made of
    code_size: int = 0
    projection: int = 0  # 0 without a projection
    projection_bias: int = 0
    product: int = 0
    zeros: int = 0


RECORD = np.dtype([(name, np.int64) for name in Arguments._fields])
LAYERS = np.dtype([(name, np.int64) for name in Layer._fields])


def as_record(args: Arguments) -> Record:
    """Return `args` as the kernels receive them: an array of one record."""
    return np.array(args, np.int64).view(RECORD)


@compiled
def scale_step(args, values, scaled):
    """Scale a step of float64 values; return whether its values are finite, also when scaled."""
    shift, scale = pointer(args.shift, 1.0), pointer(args.scale, 1.0)
    for f in range(args.features):
        if not math.isfinite(values[f]):
            return NOT_FINITE
        scaled[f] = (values[f] - shift[f]) / scale[f]
        if not math.isfinite(scaled[f]):
            return TOO_LARGE
    return READ


@compiled
def add_to_kernels(args, steps, x, like):
    """Add a step to the means of the random kernels."""
    features, inputs = args.features, args.taps * args.features
    past, taken = pointer(args.past, like[0]), pointer(args.taken, like[0])
    response, sums = pointer(args.response, like[0]), pointer(args.means, 1.0)
    dilations, size = pointer(args.dilations, 1), lanes_of(past)
    weights, bias = pointer(args.kernels, like[0]), pointer(args.kernel_bias, like[0])
    width = rounded(args.each, 4 * size)
    if steps == 0:  # the steps before the first are copies of it
        for place in range(args.past_size):
            copied(after(past, place * features), x, features)
    copied(after(past, steps % args.past_size * features), x, features)
    for group in range(args.groups):
        for tap in range(args.taps):
            place = (steps - dilations[group] * (args.taps - 1 - tap)) % args.past_size
            copied(after(taken, tap * features), after(past, place * features), features)
        multiply(
            response, after(bias, group * width), after(weights, group * width * inputs), 0, width,
            taken, 0, inputs, 1, like,
        )  # fmt: skip
        for place in range(0, width, size):
            store(response, place, hard_sigmoid(load(response, place)))
        for k in range(args.each):
            sums[group * args.each + k] += response[k]


@compiled
def write_features(args, layers, states, steps, like):
    """Write what the code is made of, after `states` states and `steps` steps."""
    found = pointer(args.found, like[0])
    size, last = lanes_of(found), layers[args.layers - 1]
    hidden, place = last.hidden, 0
    if args.whole_state:
        for which in range(args.whole_state):
            for depth in range(args.layers):
                layer = layers[depth]
                source = pointer(layer.c if which else layer.state, like[0])
                copied(after(found, place), source, layer.hidden)
                place += layer.hidden
    elif not args.running:
        copied(found, pointer(last.state, like[0]), hidden)
        place = hidden
    else:
        high, running = rounded(hidden, size), pointer(args.running, like[0])
        floor = pointer(args.floor, like[0])[0]
        for k in range(STATISTICS):
            out = after(found, positions(args)[k] * hidden)
            for unit in range(hidden if positions(args)[k] >= 0 else 0):
                out[unit] = 0.0
                if states:
                    out[unit] = running[k * high + unit]
                if k == DEVIATION and states:
                    out[unit] = variance(running[k * high + unit], states)
                    out[unit] = math.sqrt(out[unit] + floor)
            place += hidden if positions(args)[k] >= 0 else 0
        if args.last >= 0:
            copied(after(found, args.last * hidden), pointer(last.state, like[0]), hidden)
            place += hidden
    sums = pointer(args.means, 1.0)
    for k in range(args.groups * args.each):
        found[place + k] = sums[k] / max(steps, 1)


@compiled
def write_code(args, layers, code, like):
    """Write the code of all steps so far, before its activation."""
    steps = pointer(args.counter, 1)[0]
    write_features(args, layers, (steps + args.patch_size - 1) // args.patch_size, steps, like)
    found, product = pointer(args.found, like[0]), pointer(args.product, like[0])
    if args.projection:
        multiply(
            product, pointer(args.zeros, like[0]), pointer(args.projection, like[0]), 0,
            args.code_size, found, 0, args.width, 1, like,
        )  # fmt: skip
        bias = pointer(args.projection_bias, like[0])
        for k in range(args.code_size):
            code[k] = product[k] + bias[k]
    else:
        for k in range(args.code_size):
            code[k] = found[k]


@Kernel
def advance(record, layers, values, scaled, code, cell):
    """Read a step of float64 values; write its scaled values, and the code of all steps so far.

    Returns `READ`; or `NOT_FINITE` or `TOO_LARGE` if the step was not read.
    """
    args, like = record[0], (np.float32(0),)
    result = scale_step(args, values, scaled)
    if result != READ:
        return result
    mode = flush_denormals()
    counter, limits = pointer(args.counter, 1), pointer(args.clip, like[0])
    patch, state = pointer(args.patch, like[0]), pointer(args.state, like[0])
    steps, size = counter[0], lanes_of(state)
    place, states = steps % args.patch_size, steps // args.patch_size
    saved = pointer(args.saved, like[0])
    if args.patch_size > 1 and place:
        copied(state, saved, args.state_size)
    elif args.patch_size > 1:
        copied(saved, state, args.state_size)
        fill(patch, args.patch_size * args.features, 0.0)
    x = after(patch, place * args.features)
    for f in range(args.features):
        x[f] = min(max(scaled[f], limits[0]), limits[1])
    if args.groups:
        add_to_kernels(args, steps, x, like)
    x, gates = patch, pointer(args.gates, like[0])
    for depth in range(args.layers):
        layer = layers[depth]
        hidden, packed = layer.hidden, pointer(layer.packed, like[0])
        high, width = rounded(hidden, size), row_width(hidden, size)
        h, c = pointer(layer.state, like[0]), pointer(layer.c, like[0])
        copied(after(h, hidden), x, layer.features)
        constant = after(gates, width)
        copied(constant, packed, 4 * high)
        sums_of(gates, constant, h, packed, hidden, layer.features, width, 0, 1, like, cell)
        activate(
            gates, gates, h, c, c, high, 1, layer.relu, layer.hard, gates, 0, False, len(cell) > 1,
            cell,
        )  # fmt: skip
        x = h
        if args.running and depth == args.layers - 1:
            running = pointer(args.running, like[0])
            collect(args, running, h, high, 1, gates, states, False)
    counter[0] = steps + 1
    write_code(args, layers, code, like)
    restore(mode)
    return READ


@Kernel
def write_present_code(record, layers, code):
    """Write the code of all steps so far."""
    write_code(record[0], layers, code, (np.float32(0),))


def warmup() -> None:
    """Compile the kernels, or load them from disk, by running each of them once."""
    counter, values, code = np.zeros(1, np.int64), np.zeros(0), np.zeros(0, np.float32)
    layers = np.zeros((1, len(Layer._fields)), np.int64).view(LAYERS)[:, 0]
    layers["packed"] = layers["state"] = layers["c"] = code.__array_interface__["data"][0]
    record = as_record(Arguments(counter=counter.__array_interface__["data"][0]))
    advance(record, layers, values, code, code, CELLS["lstm"])
    write_present_code(record, layers, code)
