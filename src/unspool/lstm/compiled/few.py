"""The recurrence forward for a few sequences: the numbers of `recurrence`, laid out otherwise.

A tile costs the same however few of its lanes are used. Here the lanes of a vector are units, and
a block of sequences shares the weights while they are in registers. Arrays are ``[sequence][row]``,
each gate filled up with zeros to whole vectors:

    gates = constant + Wᵀ [h; x]        multiply
    c, h from the gates                 recurrence.activate
    statistics of h                     statistics.collect

Every sum has its terms in the order that `tiles.product` adds them in, so that both give the same
bits.
"""

from unspool.lstm.compiled.kernel import Kernel, compiled
from unspool.lstm.compiled.recurrence import Job, activate
from unspool.lstm.compiled.statistics import (
    DEVIATION,
    RUNNING,
    STATISTICS,
    begin,
    collect,
    places,
    variance,
)
from unspool.lstm.compiled.tiles import FEW, MANY, fill, rounded
from unspool.lstm.compiled.vector import (
    add_products,
    after,
    lanes_of,
    load_block,
    pointer,
    store_block,
)


@compiled
def lay_out(out, depth, first, weights, hidden, columns, size, like):
    """Write the columns of weights (4H, columns) for `multiply`, as its numbers from `first` on.

    Panels as wide as the vectors in `like` come one after the other, each with `depth` rows.
    """
    high, width = rounded(hidden, size), len(like) * size
    for row in range(4 * high):
        gate, unit = row // high, row % high
        place = row // width * width * depth + row % width
        for column in range(columns):
            value = weights[(gate * hidden + unit) * columns + column] if unit < hidden else 0.0
            out[place + (first + column) * width] = value


@Kernel
def pack(record, like):
    """Pack the weights that `forward` multiplies by."""
    job = record[0]
    packed, context = pointer(job.packed, like[0]), pointer(job.packed_context, like[0])
    hidden, features, context_size = job.hidden, job.features, job.context_size
    w_hh, w_ih = pointer(job.w_hh, like[0]), pointer(job.w_ih, like[0])
    w_context, size = pointer(job.w_context, like[0]), lanes_of(packed)
    lay_out(packed, hidden + features, 0, w_hh, hidden, hidden, size, like)
    lay_out(packed, hidden + features, hidden, w_ih, hidden, features, size, like)
    lay_out(context, context_size, 0, w_context, hidden, context_size, size, like)


@compiled
def multiply(out, start, packed, width, numbers, stride, depth, many, like):
    """out[s] = start[s] + Σ_k numbers[s][k] packed[k], for MANY sequences, or for FEW."""
    columns = len(like) * lanes_of(out)
    for column in range(0, width, columns):
        weights = after(packed, column * depth)
        if many:
            block = load_block(after(start, column), width, MANY, like)
            for k in range(depth):
                block = add_products(
                    block, after(numbers, k), stride, after(weights, k * columns), MANY, like
                )
            store_block(after(out, column), width, MANY, like, block)
        else:
            small = load_block(after(start, column), width, FEW, like)
            for k in range(depth):
                small = add_products(
                    small, after(numbers, k), stride, after(weights, k * columns), FEW, like
                )
            store_block(after(out, column), width, FEW, like, small)


@compiled
def steps_of(job, sequence):
    """The length of a sequence."""
    return pointer(job.lengths, 1)[sequence] if job.lengths else job.steps


@compiled
def copied(out, source, count):
    """Copy `count` values."""
    for k in range(count):
        out[k] = source[k]


@compiled
def copy_statistics(job, out, running, high, length):
    """Write the statistics of a sequence, a variance for "std"."""
    hidden = job.hidden
    for k in range(STATISTICS):
        place = places(job)[k]
        for unit in range(hidden if place >= 0 else 0):
            value = running[k * high + unit]
            if k == DEVIATION:
                value = variance(value, length)
            out[place * hidden + unit] = value


@Kernel
def forward(record, first, last, workspace, like):
    """Run the sequences from `first` to before `last` through all their steps."""
    job = record[0]
    size = lanes_of(pointer(0, like[0]))
    hidden, features, context_size = job.hidden, job.features, job.context_size
    high = rounded(hidden, size)  # units of a sequence, in whole vectors
    width, stride = 4 * high, high + features + context_size
    constant = pointer(workspace, like[0])
    gates = after(constant, MANY * width)
    c = after(gates, MANY * width)
    state = after(c, MANY * high)  # h and x side by side, of every sequence
    running = after(state, MANY * stride)
    packed, context = pointer(job.packed, like[0]), pointer(job.packed_context, like[0])
    bias, x, h = pointer(job.bias, like[0]), pointer(job.x, like[0]), pointer(job.h, like[0])
    group = first
    while group < last:
        many = last - group > FEW
        count, longest = min(last - group, MANY if many else FEW), 0
        fill(state, MANY * stride, 0.0)
        fill(constant, MANY * width, 0.0)
        for s in range(count):
            sequence = group + s
            for gate in range(4):
                copied(after(constant, s * width + gate * high), after(bias, gate * hidden), hidden)
            vectors = after(pointer(job.context, like[0]), sequence * context_size)
            copied(after(state, s * stride), vectors, context_size)
            longest = max(longest, steps_of(job, sequence))
        multiply(constant, constant, context, width, state, stride, context_size, many, like)
        fill(state, MANY * stride, 0.0)
        fill(c, MANY * high, 0.0)
        for s in range(count):
            place = (group + s) * hidden
            copied(after(state, s * stride), after(pointer(job.h0, like[0]), place), hidden)
            copied(after(c, s * high), after(pointer(job.c0, like[0]), place), hidden)
            if job.pooled:
                begin(after(running, s * RUNNING * high), after(state, s * stride), high)
        for t in range(job.steps):
            if t >= longest and not job.h:
                break
            if t < longest:
                for s in range(count):
                    length = steps_of(job, group + s)
                    if t < length:
                        step = length - 1 - t if job.reverse else t
                        values = after(x, (group + s) * job.x_batch + step * job.x_step)
                        copied(after(state, s * stride + hidden), values, features)
                depth = hidden + features
                multiply(gates, constant, packed, width, state, stride, depth, many, like)
                for s in range(count):
                    if t < steps_of(job, group + s):
                        own, own_c = after(gates, s * width), after(c, s * high)
                        activate(
                            own, after(state, s * stride), own_c, own_c, high, 1,
                            job.relu, job.hard, own, t, False,
                        )  # fmt: skip
                        if job.pooled:
                            collect(
                                job, after(running, s * RUNNING * high),
                                after(state, s * stride), high, 1, own, t, False,
                            )  # fmt: skip
            if job.h:
                for s in range(count):
                    length = steps_of(job, group + s)
                    step = length - 1 - t if job.reverse and t < length else t
                    place = (group + s) * job.h_batch + step * job.h_step
                    copied(after(h, place), after(state, s * stride), hidden)
        for s in range(count):
            place = (group + s) * hidden
            copied(after(pointer(job.h_n, like[0]), place), after(state, s * stride), hidden)
            copied(after(pointer(job.c_n, like[0]), place), after(c, s * high), hidden)
            if job.pooled:
                copy_statistics(
                    job, after(pointer(job.pooled, like[0]), place * job.statistics),
                    after(running, s * RUNNING * high), high, steps_of(job, group + s),
                )  # fmt: skip
        group += count


def packed_rows(hidden: int, size: int) -> int:
    """Gates of `hidden` units, each filled up to whole vectors of `size`."""
    return 4 * (-(-hidden // size) * size)


def workspace_size(job: Job, size: int) -> int:
    """Values of workspace."""
    rows = packed_rows(job.hidden, size)
    return MANY * (3 * rows + job.features + job.context_size + RUNNING * rows // 4)
