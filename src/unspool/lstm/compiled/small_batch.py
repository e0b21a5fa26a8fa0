"""The forward pass for small batches: the numbers of `recurrence` in another layout.

A tile costs the same however few of its lanes are used. Here the lanes of a vector are units
instead of sequences, and a block of sequences shares the weights while they are in registers.
Arrays are ``[sequence][row]``, each gate filled up with zeros to whole vectors:

    gates = constant + Wᵀ [h; x]        multiply
    c, h from the gates                 cells.activate
    statistics of h                     statistics.collect

Every sum adds its terms in the order of `tiles.product`, so that both compute the same bits.

Weights are packed in **panels** as wide as `PANEL` vectors, each with a row for each input. The
packed weights of a layer serve any number of calls.
"""

from typing import NamedTuple

import numpy as np

from unspool.lstm.compiled.cells import activate
from unspool.lstm.compiled.denormals import flush_denormals, restore
from unspool.lstm.compiled.jit import Kernel, compiled, shared
from unspool.lstm.compiled.record import Record
from unspool.lstm.compiled.statistics import (
    DEVIATION,
    RUNNING,
    STATISTICS,
    begin,
    collect,
    positions,
    variance,
)
from unspool.lstm.compiled.tiles import LARGE_BLOCK, SMALL_BLOCK, fill, read_rows, rounded
from unspool.lstm.compiled.vector import (
    BYTES,
    add_products,
    after,
    lanes_of,
    load_block,
    pointer,
    store_block,
    whole_numbers,
)

PANEL = 4  # vectors


class Arguments(NamedTuple):
    """Arguments of the kernels: sizes, flags, and addresses; an address of 0 means no array.

    Strides count values. The features of a step are contiguous, and so are the units of a state.
    Other arrays have no gaps. See `record.Arguments` for the fields without a comment.
    """

    batch: int = 0
    steps: int = 0
    hidden: int = 0
    features: int = 0
    context_size: int = 0
    relu: int = 0
    hard: int = 0
    reverse: int = 0
    # Weights, which are packed unless they already are.
    packed: int = 0  # as `pack` writes it
    w_hh: int = 0
    w_ih: int = 0
    w_context: int = 0
    bias: int = 0
    # Inputs.
    x: int = 0
    x_batch: int = 0
    x_step: int = 0
    context: int = 0
    h0: int = 0  # zeros without an array
    c0: int = 0
    lengths: int = 0
    # Outputs.
    h: int = 0
    h_batch: int = 0
    h_step: int = 0
    h_n: int = 0
    c_n: int = 0
    pooled: int = 0
    pooled_batch: int = 0
    pooled_step: int = 0  # from one statistic to the next
    # Positions of the statistics, -1 if they are not requested.
    last: int = -1
    mean: int = -1
    deviation: int = -1
    largest: int = -1
    smallest: int = -1


RECORD = np.dtype([(name, np.int64) for name in Arguments._fields])


def as_record(args: Arguments) -> Record:
    """Return `args` as the kernels receive them: an array of one record."""
    return np.array(args, np.int64).view(RECORD)


# Sizes.


@compiled
def gates_of(cell):
    """Return the number of gates of a kind of cell."""
    return 4 if len(cell) > 1 else 3


@shared
def row_width(hidden: int, size: int) -> int:
    """Return the number of values of the sums of a sequence, including those that fill panels."""
    high = rounded(hidden, size)
    return high + rounded(3 * high, PANEL * size)


@shared
def matrix_size(hidden, columns, size):
    """Return the number of values of packed weights for `columns` inputs.

    Transposing squares of vectors writes past the last row.
    """
    high = rounded(hidden, size)
    return max(4 * high, rounded(3 * high, PANEL * size)) * columns + PANEL * size * size


@shared
def packed_places(hidden, features, size):
    """Return where the packed weights of h and x, of x alone (of a GRU) and of the context begin.

    The bias comes first.
    """
    whole = 4 * rounded(hidden, size)
    inputs = whole + matrix_size(hidden, hidden + features, size)
    return whole, inputs, inputs + matrix_size(hidden, features, size)


@shared
def packed_values(hidden, features, context_size, size):
    """Return the number of values of the packed weights of a layer."""
    whole = packed_places(hidden, features, size)[2]
    return whole + matrix_size(hidden, context_size, size)


@compiled
def aligned(address):
    """Return the first address from `address` on where a vector may begin."""
    return (address + BYTES - 1) // BYTES * BYTES


# Packing.


@compiled
def lay_out(out, weights, gates, shift, hidden, columns, panel, starts, like):
    """Write a panel of weights (gates · H, columns), transposed: a row for each column.

    Gate g is read from the gate ``g + shift`` of the weights. Whole squares of vectors are written.
    """
    size = lanes_of(out)
    high, width = rounded(hidden, size), PANEL * size
    for lane in range(width):
        gate, unit = (panel + lane) // high, (panel + lane) % high
        starts[lane] = -1
        if gate < gates and unit < hidden:
            starts[lane] = ((gate + shift) % gates * hidden + unit) * columns
    read_rows(out, width, weights, starts, columns)


@compiled
def write_packed(args, packed, starts, like, cell):
    """Write the weights that `forward` multiplies by, and the bias, to `packed`.

    A GRU has the candidate's part first, see `gru_cell`. `starts` has an integer for each lane of a
    panel.
    """
    hidden, features, context_size = args.hidden, args.features, args.context_size
    w_hh, w_ih = pointer(args.w_hh, like[0]), pointer(args.w_ih, like[0])
    w_context, bias = pointer(args.w_context, like[0]), pointer(args.bias, like[0])
    size, gates = lanes_of(packed), gates_of(cell)
    high, width = rounded(hidden, size), PANEL * size
    places = packed_places(hidden, features, size)
    both, inputs = after(packed, places[0]), after(packed, places[1])
    contexts = after(packed, places[2])
    fill(packed, 4 * high, 0.0)
    for gate in range(4):
        source = gate if gates == 4 else (gate + 3) % 4
        copied(after(packed, gate * high), after(bias, source * hidden), hidden)
    for panel in range(0, rounded(gates * high, width), width):
        if gates == 4:  # the inputs begin after the rows of h, and are written over their padding
            there = after(both, panel * (hidden + features))
            lay_out(there, w_hh, 4, 0, hidden, hidden, panel, starts, like)
            there = after(there, hidden * width)
            lay_out(there, w_ih, 4, 0, hidden, features, panel, starts, like)
        else:
            there = after(both, panel * hidden)
            lay_out(there, w_hh, 3, 2, hidden, hidden, panel, starts, like)
            there = after(inputs, panel * features)
            lay_out(there, w_ih, 3, 0, hidden, features, panel, starts, like)
        there = after(contexts, panel * context_size)
        lay_out(there, w_context, gates, 0, hidden, context_size, panel, starts, like)


@Kernel
def pack(record, out, memory, like, cell):
    """Write packed weights to the array `out`; `memory` is an array of `workspace_size` values."""
    there = pointer(aligned(out.ctypes.data), like[0])
    write_packed(record[0], there, pointer(memory.ctypes.data, 1), like, cell)


# Products.


@compiled
def multiply(out, start, packed, width, count, numbers, stride, depth, sequences, like):
    """out[s] = start[s] + Σ_k numbers[s][k] packed[k], for a block of sequences.

    `count` values of the `width` values of a row are computed, and those that fill the last panel.
    The block has one sequence, SMALL_BLOCK or LARGE_BLOCK, the smallest for `sequences`.
    """
    size = lanes_of(out)
    panel, pair = PANEL * size, (like[0], like[0])
    four = (like[0], like[0], like[0], like[0])
    if sequences == 1:
        whole = count // (2 * panel) * 2 * panel
        for column in range(0, whole, 2 * panel):
            one = load_block(after(start, column), 0, 1, four)
            other = load_block(after(start, column + panel), 0, 1, four)
            weights = after(packed, column * depth)
            others = after(weights, panel * depth)
            for k in range(depth):
                number = after(numbers, k)
                one = add_products(one, number, 0, after(weights, k * panel), 1, four)
                other = add_products(other, number, 0, after(others, k * panel), 1, four)
            store_block(after(out, column), 0, 1, four, one)
            store_block(after(out, column + panel), 0, 1, four, other)
        for column in range(whole, count, panel):
            one = load_block(after(start, column), 0, 1, four)
            weights = after(packed, column * depth)
            for k in range(depth):
                number = after(numbers, k)
                one = add_products(one, number, 0, after(weights, k * panel), 1, four)
            store_block(after(out, column), 0, 1, four, one)
        return
    for column in range(0, rounded(count, panel), 2 * size):
        weights = after(packed, column // panel * panel * depth + column % panel)
        if sequences > SMALL_BLOCK:
            block = load_block(after(start, column), width, LARGE_BLOCK, pair)
            for k in range(depth):
                block = add_products(
                    block, after(numbers, k), stride, after(weights, k * panel), LARGE_BLOCK, pair
                )
            store_block(after(out, column), width, LARGE_BLOCK, pair, block)
        else:
            small = load_block(after(start, column), width, SMALL_BLOCK, pair)
            for k in range(depth):
                small = add_products(
                    small, after(numbers, k), stride, after(weights, k * panel), SMALL_BLOCK, pair
                )
            store_block(after(out, column), width, SMALL_BLOCK, pair, small)


@compiled
def block_of(sequences):
    """Return the number of sequences that `multiply` computes."""
    if sequences == 1:
        return 1
    return SMALL_BLOCK if sequences <= SMALL_BLOCK else LARGE_BLOCK


@compiled
def sums_of(gates, constant, state, packed, hidden, features, width, stride, sequences, like, cell):
    """Compute the sums of all gates of a step: the constant, and the products with [h; x]."""
    size = lanes_of(gates)
    high = rounded(hidden, size)
    both, inputs, _ = packed_places(hidden, features, size)
    weights, depth = after(packed, both), hidden + features
    if len(cell) > 1:
        multiply(
            gates, constant, weights, width, 4 * high, state, stride, depth, sequences, like
        )  # fmt: skip
        return
    multiply(  # as `gru_cell.advance`
        gates, constant, weights, width, 3 * high, state, stride, hidden, sequences, like
    )
    for s in range(block_of(sequences)):
        place = s * width + 3 * high
        copied(after(gates, place), after(constant, place), high)
    there, x, weights = after(gates, high), after(state, hidden), after(packed, inputs)
    multiply(there, there, weights, width, 3 * high, x, stride, features, sequences, like)


@compiled
def copied(out, source, count):
    """Copy `count` values."""
    for k in range(count):
        out[k] = source[k]


# Running.


@compiled
def steps_of(args, sequence):
    """Return the number of real steps of a sequence."""
    return pointer(args.lengths, 1)[sequence] if args.lengths else args.steps


@compiled
def write_statistics(args, out, running, state, high, length):
    """Write the statistics of a sequence; for "std" the variance."""
    hidden = args.hidden
    for k in range(STATISTICS):
        place = positions(args)[k] * args.pooled_step
        for unit in range(hidden if place >= 0 else 0):
            value = running[k * high + unit]
            if k == DEVIATION:
                value = variance(value, length)
            out[place + unit] = value
    if args.last >= 0:
        copied(after(out, args.last * args.pooled_step), state, hidden)


@Kernel
def forward(record, memory, like, cell):
    """Run all sequences through all their steps.

    `memory` is an array of `workspace_size` values, and of `packed_size` more if the weights are
    not packed.
    """
    args, mode = record[0], flush_denormals()
    hidden, features, context_size = args.hidden, args.features, args.context_size
    constant = pointer(aligned(memory.ctypes.data), like[0])
    size, packed = lanes_of(constant), pointer(args.packed, like[0])
    if not args.packed:
        packed = constant
        constant = after(packed, packed_values(hidden, features, context_size, size))
        write_packed(args, packed, whole_numbers(constant), like, cell)
    high, width = rounded(hidden, size), row_width(hidden, size)
    stride = high + features + context_size
    gates = after(constant, LARGE_BLOCK * width)
    c = after(gates, LARGE_BLOCK * width)
    state = after(c, LARGE_BLOCK * high)  # [h; x] of each sequence
    running = after(state, LARGE_BLOCK * stride)
    context = pointer(args.context, like[0])
    x, h, has_c = pointer(args.x, like[0]), pointer(args.h, like[0]), len(cell) > 1
    group = 0
    while group < args.batch:
        count, longest = min(args.batch - group, LARGE_BLOCK), 0
        block = block_of(count)
        fill(constant, block * width, 0.0)
        fill(gates, block * width, 0.0)
        fill(c, block * high, 0.0)
        fill(state, block * stride, 0.0)
        for s in range(count):
            copied(after(constant, s * width), packed, 4 * high)
            longest = max(longest, steps_of(args, group + s))
        if context_size:
            for s in range(count):
                vector = after(context, (group + s) * context_size)
                copied(after(state, s * stride), vector, context_size)
            there = after(constant, 4 * high - gates_of(cell) * high)
            weights = after(packed, packed_places(hidden, features, size)[2])
            multiply(
                there, there, weights, width, gates_of(cell) * high, state, stride, context_size,
                count, like,
            )  # fmt: skip
            fill(state, block * stride, 0.0)
        for s in range(count):
            place = (group + s) * hidden
            if args.h0:
                copied(after(state, s * stride), after(pointer(args.h0, like[0]), place), hidden)
            if args.c0:
                copied(after(c, s * high), after(pointer(args.c0, like[0]), place), hidden)
            if args.pooled:
                begin(after(running, s * RUNNING * high), after(state, s * stride), high)
        for t in range(args.steps):
            if t >= longest and not args.h:
                break
            if t < longest:
                for s in range(count):
                    length = steps_of(args, group + s)
                    if t < length:
                        step = length - 1 - t if args.reverse else t
                        values = after(x, (group + s) * args.x_batch + step * args.x_step)
                        copied(after(state, s * stride + hidden), values, features)
                sums_of(
                    gates, constant, state, packed, hidden, features, width, stride, count, like,
                    cell,
                )  # fmt: skip
                for s in range(count):
                    if t < steps_of(args, group + s):
                        gates_s, state_s = after(gates, s * width), after(state, s * stride)
                        c_s = after(c, s * high)
                        activate(
                            gates_s, gates_s, state_s, c_s, c_s, high, 1, args.relu, args.hard,
                            gates_s, t, False, has_c, cell,
                        )  # fmt: skip
                        if args.pooled:
                            there = after(running, s * RUNNING * high)
                            collect(args, there, state_s, high, 1, gates_s, t, False)
            if args.h:
                for s in range(count):
                    length = steps_of(args, group + s)
                    step = length - 1 - t if args.reverse and t < length else t
                    place = (group + s) * args.h_batch + step * args.h_step
                    copied(after(h, place), after(state, s * stride), hidden)
        for s in range(count):
            place = (group + s) * hidden
            copied(after(pointer(args.h_n, like[0]), place), after(state, s * stride), hidden)
            if has_c:
                copied(after(pointer(args.c_n, like[0]), place), after(c, s * high), hidden)
            if args.pooled:
                write_statistics(
                    args, after(pointer(args.pooled, like[0]), (group + s) * args.pooled_batch),
                    after(running, s * RUNNING * high), after(state, s * stride), high,
                    steps_of(args, group + s),
                )  # fmt: skip
        group += count
    restore(mode)


def packed_size(hidden: int, features: int, context_size: int, size: int) -> int:
    """Return the length of an array for packed weights, for vectors of `size`."""
    values: int = packed_values(hidden, features, context_size, size)
    return values + size


def workspace_size(hidden: int, features: int, context_size: int, size: int) -> int:
    """Return the length of an array for the work on a few sequences, for vectors of `size`."""
    high, width = rounded(hidden, size), row_width(hidden, size)
    row: int = 2 * width + high + (high + features + context_size) + RUNNING * high
    return LARGE_BLOCK * row + (1 + 2 * PANEL) * size
