"""The forward pass for small batches: the numbers of `recurrence` in another layout.

A tile costs the same however few of its lanes are used. Here the lanes of a vector are units
instead of sequences, and a block of sequences shares the weights while they are in registers.
Arrays are ``[sequence][row]``, each gate filled up with zeros to whole vectors:

    gates = constant + Wᵀ [h; x]        multiply
    c, h from the gates                 cells.activate
    statistics of h                     statistics.collect

Every sum adds its terms in the order of `tiles.product`, so that both compute the same bits.
"""

from unspool.lstm.compiled.cells import activate
from unspool.lstm.compiled.jit import Kernel, compiled
from unspool.lstm.compiled.record import Arguments
from unspool.lstm.compiled.statistics import (
    DEVIATION,
    RUNNING,
    STATISTICS,
    begin,
    collect,
    positions,
    variance,
)
from unspool.lstm.compiled.tiles import LARGE_BLOCK, SMALL_BLOCK, fill, rounded
from unspool.lstm.compiled.vector import (
    add_products,
    after,
    lanes_of,
    load_block,
    pointer,
    store_block,
)


@compiled
def gates_of(cell):
    """Return the number of gates of a kind of cell."""
    return 4 if len(cell) > 1 else 3


@compiled
def recurrent_size(hidden, size, like):
    """Return the number of values of the packed recurrent weights of a GRU."""
    return rounded(3 * rounded(hidden, size), len(like) * size) * hidden


@compiled
def lay_out(out, depth, first, weights, gates, hidden, columns, size, like):
    """Write weights (gates · H, columns) in the layout of `multiply`, as its columns from `first`.

    The layout consists of panels as wide as the vectors in `like`, each with `depth` rows.
    """
    high, width = rounded(hidden, size), len(like) * size
    for row in range(rounded(gates * high, width)):
        gate, unit = row // high, row % high
        place = row // width * width * depth + row % width
        for column in range(columns):
            real = unit < hidden and gate < gates
            value = weights[(gate * hidden + unit) * columns + column] if real else 0.0
            out[place + (first + column) * width] = value


@Kernel
def pack(record, like, cell):
    """Pack the weights that `forward` multiplies by."""
    args = record[0]
    packed, context = pointer(args.packed, like[0]), pointer(args.packed_context, like[0])
    hidden, features, context_size = args.hidden, args.features, args.context_size
    w_hh, w_ih = pointer(args.w_hh, like[0]), pointer(args.w_ih, like[0])
    w_context, size = pointer(args.w_context, like[0]), lanes_of(packed)
    gates = gates_of(cell)
    if gates == 4:
        lay_out(packed, hidden + features, 0, w_hh, 4, hidden, hidden, size, like)
        lay_out(packed, hidden + features, hidden, w_ih, 4, hidden, features, size, like)
    else:
        packed_x = after(packed, recurrent_size(hidden, size, like))
        lay_out(packed, hidden, 0, w_hh, gates, hidden, hidden, size, like)
        lay_out(packed_x, features, 0, w_ih, gates, hidden, features, size, like)
    lay_out(context, context_size, 0, w_context, gates, hidden, context_size, size, like)


@compiled
def multiply(out, start, packed, width, count, numbers, stride, depth, many, like):
    """out[s] = start[s] + Σ_k numbers[s][k] packed[k], for a block of sequences.

    `count` values of the `width` values of a row are computed, and those that fill the last panel.
    The block has LARGE_BLOCK sequences if `many`, else SMALL_BLOCK.
    """
    columns = len(like) * lanes_of(out)
    for column in range(0, count, columns):
        weights = after(packed, column * depth)
        if many:
            block = load_block(after(start, column), width, LARGE_BLOCK, like)
            for k in range(depth):
                block = add_products(
                    block, after(numbers, k), stride, after(weights, k * columns), LARGE_BLOCK, like
                )
            store_block(after(out, column), width, LARGE_BLOCK, like, block)
        else:
            small = load_block(after(start, column), width, SMALL_BLOCK, like)
            for k in range(depth):
                small = add_products(
                    small, after(numbers, k), stride, after(weights, k * columns), SMALL_BLOCK, like
                )
            store_block(after(out, column), width, SMALL_BLOCK, like, small)


@compiled
def steps_of(args, sequence):
    """Return the number of real steps of a sequence."""
    return pointer(args.lengths, 1)[sequence] if args.lengths else args.steps


@compiled
def copied(out, source, count):
    """Copy `count` values."""
    for k in range(count):
        out[k] = source[k]


@compiled
def copy_statistics(args, out, running, high, length):
    """Write the statistics of a sequence; for "std" the variance."""
    hidden = args.hidden
    for k in range(STATISTICS):
        place = positions(args)[k]
        for unit in range(hidden if place >= 0 else 0):
            value = running[k * high + unit]
            if k == DEVIATION:
                value = variance(value, length)
            out[place * hidden + unit] = value


@Kernel
def forward(record, first, last, workspace, like, cell):
    """Run the sequences from `first` to before `last` through all their steps."""
    args = record[0]
    size = lanes_of(pointer(0, like[0]))
    hidden, features, context_size = args.hidden, args.features, args.context_size
    high = rounded(hidden, size)  # units, rounded up to whole vectors
    gates_high = gates_of(cell) * high
    # Products with three gates fill their last panel with a vector that belongs to no gate.
    width, stride = 4 * high + (4 * high - gates_high and size), high + features + context_size
    constant = pointer(workspace, like[0])
    gates = after(constant, LARGE_BLOCK * width)
    c = after(gates, LARGE_BLOCK * width)
    state = after(c, LARGE_BLOCK * high)  # [h; x] of each sequence
    running = after(state, LARGE_BLOCK * stride)
    packed, context = pointer(args.packed, like[0]), pointer(args.packed_context, like[0])
    bias, x, h = pointer(args.bias, like[0]), pointer(args.x, like[0]), pointer(args.h, like[0])
    group = first
    while group < last:
        many = last - group > SMALL_BLOCK
        count, longest = min(last - group, LARGE_BLOCK if many else SMALL_BLOCK), 0
        fill(state, LARGE_BLOCK * stride, 0.0)
        fill(constant, LARGE_BLOCK * width, 0.0)
        for s in range(count):
            sequence = group + s
            for gate in range(4):
                copied(after(constant, s * width + gate * high), after(bias, gate * hidden), hidden)
            vectors = after(pointer(args.context, like[0]), sequence * context_size)
            copied(after(state, s * stride), vectors, context_size)
            longest = max(longest, steps_of(args, sequence))
        there = after(constant, 4 * high - gates_high)
        multiply(there, there, context, width, gates_high, state, stride, context_size, many, like)
        fill(state, LARGE_BLOCK * stride, 0.0)
        fill(c, LARGE_BLOCK * high, 0.0)
        for s in range(count):
            place = (group + s) * hidden
            copied(after(state, s * stride), after(pointer(args.h0, like[0]), place), hidden)
            if len(cell) > 1:
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
                if len(cell) > 1:
                    depth = hidden + features
                    multiply(
                        gates, constant, packed, width, width, state, stride, depth, many, like
                    )
                else:  # as `gru_cell.advance`
                    multiply(
                        gates, constant, packed, width, gates_high, state, stride, hidden, many,
                        like,
                    )  # fmt: skip
                    for s in range(LARGE_BLOCK if many else SMALL_BLOCK):
                        place = s * width + 3 * high
                        copied(after(gates, place), after(constant, place), high)
                    there, x_state = after(gates, high), after(state, hidden)
                    packed_x = after(packed, recurrent_size(hidden, size, like))
                    multiply(
                        there, there, packed_x, width, gates_high, x_state, stride, features, many,
                        like,
                    )  # fmt: skip
                for s in range(count):
                    if t < steps_of(args, group + s):
                        gates_s, c_s = after(gates, s * width), after(c, s * high)
                        activate(
                            gates_s, gates_s, after(state, s * stride), c_s, c_s, high, 1,
                            args.relu, args.hard, gates_s, t, False, len(cell) > 1, cell,
                        )  # fmt: skip
                        if args.pooled:
                            collect(
                                args, after(running, s * RUNNING * high),
                                after(state, s * stride), high, 1, gates_s, t, False,
                            )  # fmt: skip
            if args.h:
                for s in range(count):
                    length = steps_of(args, group + s)
                    step = length - 1 - t if args.reverse and t < length else t
                    place = (group + s) * args.h_batch + step * args.h_step
                    copied(after(h, place), after(state, s * stride), hidden)
        for s in range(count):
            place = (group + s) * hidden
            copied(after(pointer(args.h_n, like[0]), place), after(state, s * stride), hidden)
            if len(cell) > 1:
                copied(after(pointer(args.c_n, like[0]), place), after(c, s * high), hidden)
            if args.pooled:
                copy_statistics(
                    args, after(pointer(args.pooled, like[0]), place * args.statistics),
                    after(running, s * RUNNING * high), high, steps_of(args, group + s),
                )  # fmt: skip
        group += count


def packed_rows(hidden: int, size: int) -> int:
    """Return the rows of four gates of `hidden` units, each rounded up to vectors of `size`."""
    return 4 * (-(-hidden // size) * size)


def workspace_size(args: Arguments, size: int) -> int:
    """Return the values of workspace per thread, for vectors of `size`."""
    rows = packed_rows(args.hidden, size)
    rows += size  # see `forward`
    return LARGE_BLOCK * (3 * rows + args.features + args.context_size + RUNNING * rows // 4)
