"""The recurrence in compiled code: forward and backward for a range of tiles.

Sequences are cut into **tiles** of a few vectors' lanes, one sequence to a lane. A tile runs all
its steps before the next begins, so that weights and state stay in the cache. Inside a tile every
array is ``[row][lane]``, rows being units, gates or features; arrays outside are turned on the way
in and out. A step is

    forward:   gates = constant + W [h; x]       product
               c, h from the gates               activate
               statistics of h                   collect
    backward:  gate gradients from dh, dc        derive
               dW += gate gradients [h; x]ᵀ      outer_sum
               [dh; dx] = Wᵀ gate gradients      product

with gates in the order i, f, c, o and ``constant = bias + V k`` for a context k (see
`unspool.lstm.reference`, whose equations these are).

Statistics of the states over the steps (`statistics`) are taken where they are asked for.

A sequence's numbers depend on no other lane. Sums over sequences go to a segment's own partial
sum, and segments are cut by the batch alone: neither the threads nor their timing change a bit.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from unspool.lstm.compiled.activations import cell_activation, cell_slope, gate_slope, gates_of
from unspool.lstm.compiled.kernel import Kernel, compiled
from unspool.lstm.compiled.statistics import (
    PULLING,
    begin,
    collect,
    pull,
    spread_out,
    write_statistics,
)
from unspool.lstm.compiled.tiles import (
    copy_row,
    fill,
    lengths_in,
    outer_sum,
    pack,
    padded,
    product,
    read_rows,
    rounded,
    row_starts,
    step_starts,
    write_rows,
)
from unspool.lstm.compiled.vector import (
    after,
    fma,
    lanes_of,
    load,
    pointer,
    store,
    total,
    where_less,
)

Record = npt.NDArray[np.void]


class Job(NamedTuple):
    """What the kernels are told: sizes, flags, and where arrays begin, as addresses.

    Strides count values, not bytes. An address of 0 means that there is no such array. Kernels
    get it as a record, which costs them less to take in than a tuple of as many numbers.
    """

    batch: int
    steps: int
    hidden: int
    features: int
    context_size: int
    relu: int
    hard: int
    reverse: int
    segments: int
    turned: int = 0  # x is read from the other end than the steps
    local: int = 0  # h, its gradient and the reserve hold one tile, not the batch
    # Inputs. Features and units of a step lie side by side.
    w_hh: int = 0
    w_ih: int = 0
    w_context: int = 0
    x: int = 0
    x_batch: int = 0
    x_step: int = 0
    context: int = 0
    h0: int = 0
    c0: int = 0
    lengths: int = 0
    bias: int = 0
    packed: int = 0  # [w_hh, w_ih], for a product
    packed_context: int = 0
    # Outputs.
    h: int = 0
    h_batch: int = 0
    h_step: int = 0
    h_n: int = 0
    c_n: int = 0
    reserve: int = 0  # gates and c of every tile and step, for the backward pass
    # Statistics of the states, (B, K, H): how many, K, and the place of each, -1 where it is not
    # wanted. Gradients of the deviation need the mean.
    pooled: int = 0
    statistics: int = 0
    mean: int = -1
    deviation: int = -1
    largest: int = -1
    smallest: int = -1
    # Gradients.
    grad_pooled: int = 0
    grad_h: int = 0
    grad_h_batch: int = 0
    grad_h_step: int = 0
    grad_h_n: int = 0
    grad_c_n: int = 0
    grad_x: int = 0
    grad_x_batch: int = 0
    grad_x_step: int = 0
    grad_context: int = 0
    grad_h0: int = 0
    grad_c0: int = 0
    partial: int = 0  # of [w_hh, w_ih], of w_context and of the bias, one after the other
    packed_back: int = 0  # w_hh transposed, for a product
    packed_back_x: int = 0  # and w_ih
    packed_back_context: int = 0
    # What the dense layers after a decoder are to give.
    target: int = 0
    target_batch: int = 0
    target_step: int = 0


RECORD = np.dtype([(name, np.int64) for name in Job._fields])


def as_record(job: Job) -> Record:
    """`job` as kernels take it: an array of one record."""
    return np.array([job], RECORD)


@Kernel
def pack_forward(record, like):
    """Pack the weights that `forward` multiplies by."""
    job = record[0]
    gates, depth = 4 * job.hidden, job.hidden + job.features
    packed, context = pointer(job.packed, like[0]), pointer(job.packed_context, like[0])
    w_hh, w_ih = pointer(job.w_hh, like[0]), pointer(job.w_ih, like[0])
    w_context, width = pointer(job.w_context, like[0]), job.context_size
    pack(packed, depth, 0, w_hh, gates, job.hidden, job.hidden, 1)
    pack(packed, depth, job.hidden, w_ih, gates, job.features, job.features, 1)
    pack(context, width, 0, w_context, gates, width, width, 1)


@Kernel
def pack_backward(record, like):
    """Pack the transposed weights that `backward` multiplies by."""
    job = record[0]
    gates, hidden = 4 * job.hidden, job.hidden
    packed, packed_x = pointer(job.packed_back, like[0]), pointer(job.packed_back_x, like[0])
    context = pointer(job.packed_back_context, like[0])
    w_hh, w_ih = pointer(job.w_hh, like[0]), pointer(job.w_ih, like[0])
    w_context = pointer(job.w_context, like[0])
    pack(packed, gates, 0, w_hh, hidden, gates, 1, hidden)
    if job.grad_x:
        pack(packed_x, gates, 0, w_ih, job.features, gates, 1, job.features)
    pack(context, gates, 0, w_context, job.context_size, gates, 1, job.context_size)


@compiled
def tiles_of(job, like):
    """How many tiles the batch is."""
    lanes = len(like) * lanes_of(pointer(0, like[0]))
    return (job.batch + lanes - 1) // lanes


# Forward.


@compiled
def constants(out, job, starts, scratch, first, lanes, like):
    """The part of the gates that is the same at every step: the bias, and V k."""
    bias = pointer(job.bias, like[0])
    for gate in range(4 * job.hidden):
        fill(after(out, gate * lanes), lanes, bias[gate])
    if job.context_size:
        row_starts(starts, job.batch, first, lanes, job.context_size)
        read_rows(scratch, lanes, pointer(job.context, like[0]), starts, job.context_size)
        packed = pointer(job.packed_context, like[0])
        product(out, out, packed, scratch, 4 * job.hidden, job.context_size, like)


@compiled
def activate(gates, state, c_old, c_new, hidden, lanes, relu, hard, ends, t, ragged):
    """From what the gates add up to, to the gates, c and h; h goes to `state`."""
    size, block = lanes_of(gates), hidden * lanes
    for place in range(0, block, size):
        i, f, g, o = gates_of(
            load(gates, place),
            load(gates, place + block),
            load(gates, place + 2 * block),
            load(gates, place + 3 * block),
            relu,
            hard,
        )
        old = load(c_old, place)
        c = fma(i, g, f * old)
        h = o * cell_activation(c, relu)
        if ragged:
            end = load(ends, place % lanes)
            c = where_less(t, end, c, old)
            h = where_less(t, end, h, load(state, place))
        store(gates, place, i)
        store(gates, place + block, f)
        store(gates, place + 2 * block, g)
        store(gates, place + 3 * block, o)
        store(c_new, place, c)
        store(state, place, h)


@compiled
def forward_tile(job, tile, workspace, like):
    """Run the sequences of a tile through all their steps.

    `workspace` is the address of `workspace_size` values; `like` is a tuple of numbers of the
    arrays' type, as many as a tile has vectors.
    """
    size = lanes_of(pointer(0, like[0]))
    lanes = len(like) * size
    first, hidden, block = tile * lanes, job.hidden, job.hidden * lanes
    depth = hidden + job.features
    starts = pointer(workspace, 1)
    x_starts, h_starts = after(starts, lanes), after(starts, 2 * lanes)
    constant = after(pointer(workspace, like[0]), 6 * lanes)
    own_gates = after(constant, 4 * block)
    state = after(own_gates, 4 * block)
    own_c = after(state, (depth + size) * lanes)
    scratch = after(own_c, (hidden + size) * lanes)
    ends = after(scratch, (job.context_size + size) * lanes)
    running = after(ends, lanes)
    x, packed = pointer(job.x, like[0]), pointer(job.packed, like[0])
    h, reserve = pointer(job.h, like[0]), pointer(job.reserve, like[0])
    if job.local:
        h = after(h, -first * job.h_batch)
    else:
        reserve = after(reserve, tile * job.steps * 5 * block)

    shortest, longest = lengths_in(job, first, lanes, ends)
    constants(constant, job, starts, scratch, first, lanes, like)
    row_starts(starts, job.batch, first, lanes, hidden)
    row_starts(x_starts, job.batch, first, lanes, job.x_batch)
    row_starts(h_starts, job.batch, first, lanes, job.h_batch)
    read_rows(state, lanes, pointer(job.h0, like[0]), starts, hidden)
    read_rows(own_c, lanes, pointer(job.c0, like[0]), starts, hidden)
    if job.pooled:
        begin(running, state, block)
    c_old = own_c
    for t in range(job.steps):
        if t < longest:
            gates, c_new = own_gates, own_c
            if job.reserve:
                gates = after(reserve, t * 5 * block)
                c_new = after(gates, 4 * block)
            if job.features:
                shift = step_starts(
                    x_starts, job, first, lanes, t, job.reverse != job.turned,
                    job.x_batch, job.x_step, True,
                )  # fmt: skip
                read_rows(after(state, block), lanes, after(x, shift), x_starts, job.features)
            product(gates, constant, packed, state, 4 * hidden, depth, like)
            activate(
                gates, state, c_old, c_new, hidden, lanes, job.relu, job.hard,
                ends, t, t >= shortest,
            )  # fmt: skip
            if job.pooled:
                collect(job, running, state, block, lanes, ends, t, t >= shortest)
            c_old = c_new
        elif not job.h:
            break
        if job.h:
            shift = step_starts(
                h_starts, job, first, lanes, t, job.reverse, job.h_batch, job.h_step, False
            )
            write_rows(after(h, shift), h_starts, state, lanes, hidden)
    write_rows(pointer(job.h_n, like[0]), starts, state, lanes, hidden)
    write_rows(pointer(job.c_n, like[0]), starts, c_old, lanes, hidden)
    if job.pooled:
        write_statistics(job, running, starts, ends, first, lanes, like)


@Kernel
def forward(record, first_segment, last_segment, workspace, like):
    """Run the tiles of the segments from `first_segment` to before `last_segment`."""
    job = record[0]
    tiles = tiles_of(job, like)
    first_tile = first_segment * tiles // job.segments
    for tile in range(first_tile, last_segment * tiles // job.segments):
        forward_tile(job, tile, workspace, like)


# Backward.


@compiled
def derive(
    job, gates, c_old, grad_gates, sums, grad_h, incoming, grad_c, pulling, lanes, ends, t, ragged
):  # fmt: skip
    """From the gradients of h and c after a step to those of its gates and of c before it.

    `grad_h` takes in what came in for this step, and leaves holding what passes the step by: zero,
    but where a sequence has ended already.
    """
    size, block = lanes_of(gates), job.hidden * lanes
    relu, hard, pooled, stride = job.relu, job.hard, job.grad_pooled, block + size * lanes
    deviation, largest, smallest = job.deviation >= 0, job.largest >= 0, job.smallest >= 0
    for place in range(0, block, size):
        i = load(gates, place)
        f = load(gates, place + block)
        g = load(gates, place + 2 * block)
        o = load(gates, place + 3 * block)
        y = cell_activation(load(gates, place + 4 * block), relu)
        dh, dc = load(grad_h, place) + load(incoming, place), load(grad_c, place)
        if pooled:
            dh = dh + pull(
                o * y, pulling, place, stride, deviation, largest, smallest, ends, lanes, t, ragged
            )
        do = dh * y * gate_slope(o, hard)
        through = fma(dh * o, cell_slope(y, relu), dc)
        di = through * g * gate_slope(i, hard)
        df = through * load(c_old, place) * gate_slope(f, hard)
        dg = through * i * cell_slope(g, relu)
        before, past = through * f, dh * 0.0
        if ragged:
            end = load(ends, place % lanes)
            di, df = where_less(t, end, di, 0.0), where_less(t, end, df, 0.0)
            dg, do = where_less(t, end, dg, 0.0), where_less(t, end, do, 0.0)
            before, past = where_less(t, end, before, dc), where_less(t, end, 0.0, dh)
        store(grad_gates, place, di)
        store(grad_gates, place + block, df)
        store(grad_gates, place + 2 * block, dg)
        store(grad_gates, place + 3 * block, do)
        store(sums, place, load(sums, place) + di)
        store(sums, place + block, load(sums, place + block) + df)
        store(sums, place + 2 * block, load(sums, place + 2 * block) + dg)
        store(sums, place + 3 * block, load(sums, place + 3 * block) + do)
        store(grad_c, place, before)
        store(grad_h, place, past)


@compiled
def partial_size(job, size):
    """Values in a partial sum of the weights' gradients, whose rows are whole vectors."""
    width = rounded(job.hidden + job.features, size) + rounded(job.context_size, size)
    return 4 * job.hidden * (width + 1)


@compiled
def backward_tile(job, tile, partial, workspace, like):
    """Take the gradients back through what `forward_tile` ran; add the weights' to `partial`."""
    size = lanes_of(pointer(0, like[0]))
    lanes = len(like) * size
    first, hidden, block = tile * lanes, job.hidden, job.hidden * lanes
    features, context_size = job.features, job.context_size
    width, context_width = rounded(hidden + features, size), rounded(context_size, size)
    starts = pointer(workspace, 1)
    x_starts, h_starts = after(starts, lanes), after(starts, 2 * lanes)
    grad_starts, grad_x_starts = after(starts, 3 * lanes), after(starts, 4 * lanes)
    gates_grad = after(pointer(workspace, like[0]), 10 * lanes)
    sums = after(gates_grad, 4 * block)
    state_grad = after(sums, 4 * block)
    incoming = after(state_grad, (hidden + size) * lanes)
    c_grad = after(incoming, (hidden + size) * lanes)
    own_c = after(c_grad, (hidden + size) * lanes)
    x_grad = after(own_c, (hidden + size) * lanes)
    context_grad = after(x_grad, (features + size) * lanes)
    rows = after(context_grad, (context_size + size) * lanes)
    ends = after(rows, (max(width, context_width) + size) * lanes)
    pulling = after(ends, lanes)

    x, h = pointer(job.x, like[0]), pointer(job.h, like[0])
    reserve, grad_h = pointer(job.reserve, like[0]), pointer(job.grad_h, like[0])
    weights_sum = partial
    context_sum = after(weights_sum, 4 * hidden * width)
    bias_sum = after(context_sum, 4 * hidden * context_width)
    if job.local:
        h = after(h, -first * job.h_batch)
        grad_h = after(grad_h, -first * job.grad_h_batch)
    else:
        reserve = after(reserve, tile * job.steps * 5 * block)

    shortest, longest = lengths_in(job, first, lanes, ends)
    row_starts(starts, job.batch, first, lanes, hidden)
    read_rows(state_grad, lanes, pointer(job.grad_h_n, like[0]), starts, hidden)
    if job.grad_pooled:
        spread_out(job, pulling, starts, ends, state_grad, first, lanes, like)
        row_starts(starts, job.batch, first, lanes, hidden)
    row_starts(x_starts, job.batch, first, lanes, job.x_batch)
    row_starts(h_starts, job.batch, first, lanes, job.h_batch)
    row_starts(grad_starts, job.batch, first, lanes, job.grad_h_batch)
    row_starts(grad_x_starts, job.batch, first, lanes, job.grad_x_batch)
    fill(sums, 4 * block, 0.0)
    fill(incoming, block, 0.0)
    read_rows(own_c, lanes, pointer(job.c0, like[0]), starts, hidden)
    read_rows(c_grad, lanes, pointer(job.grad_c_n, like[0]), starts, hidden)
    for t in range(job.steps - 1, -1, -1):
        if job.grad_h:
            shift = step_starts(
                grad_starts, job, first, lanes, t, job.reverse,
                job.grad_h_batch, job.grad_h_step, False,
            )  # fmt: skip
            read_rows(incoming, lanes, after(grad_h, shift), grad_starts, hidden)
        if t >= longest:
            for place in range(0, block, size):
                passing = load(state_grad, place) + load(incoming, place)
                store(state_grad, place, passing)
            continue
        gates = after(reserve, t * 5 * block)
        c_old = after(gates, -block) if t else own_c
        derive(
            job, gates, c_old, gates_grad, sums, state_grad, incoming, c_grad, pulling, lanes,
            ends, t, t >= shortest,
        )  # fmt: skip
        before, before_starts = pointer(job.h0, like[0]), starts
        if t:
            shift = step_starts(
                h_starts, job, first, lanes, t - 1, job.reverse, job.h_batch, job.h_step, False
            )
            before, before_starts = after(h, shift), h_starts
        shift = step_starts(
            x_starts, job, first, lanes, t, job.reverse != job.turned,
            job.x_batch, job.x_step, True,
        )  # fmt: skip
        for lane in range(lanes):
            row = after(rows, lane * width)
            copy_row(row, before, before_starts[lane], hidden)
            copy_row(after(row, hidden), after(x, shift), x_starts[lane], features)
        outer_sum(weights_sum, width, gates_grad, 4 * hidden, rows, lanes, like)
        packed = pointer(job.packed_back, like[0])
        product(state_grad, state_grad, packed, gates_grad, hidden, 4 * hidden, like)
        if job.grad_x:
            fill(x_grad, padded(features) * lanes, 0.0)
            packed = pointer(job.packed_back_x, like[0])
            product(x_grad, x_grad, packed, gates_grad, features, 4 * hidden, like)
            grad_x = pointer(job.grad_x, like[0])
            shift = step_starts(
                grad_x_starts, job, first, lanes, t, job.reverse != job.turned,
                job.grad_x_batch, job.grad_x_step, True,
            )  # fmt: skip
            write_rows(after(grad_x, shift), grad_x_starts, x_grad, lanes, features)
    if job.grad_h0:
        write_rows(pointer(job.grad_h0, like[0]), starts, state_grad, lanes, hidden)
        write_rows(pointer(job.grad_c0, like[0]), starts, c_grad, lanes, hidden)
    for gate in range(4 * hidden):
        for place in range(gate * lanes, (gate + 1) * lanes, size):
            bias_sum[gate] += total(load(sums, place))
    if context_size:
        row_starts(starts, job.batch, first, lanes, context_size)
        context = pointer(job.context, like[0])
        for lane in range(lanes):
            copy_row(after(rows, lane * context_width), context, starts[lane], context_size)
        outer_sum(context_sum, context_width, sums, 4 * hidden, rows, lanes, like)
        fill(context_grad, padded(context_size) * lanes, 0.0)
        packed = pointer(job.packed_back_context, like[0])
        product(context_grad, context_grad, packed, sums, context_size, 4 * hidden, like)
        write_rows(pointer(job.grad_context, like[0]), starts, context_grad, lanes, context_size)


@Kernel
def backward(record, first_segment, last_segment, workspace, like):
    """Take the gradients back through what `forward` ran, to a partial sum for every segment."""
    job = record[0]
    tiles, size = tiles_of(job, like), partial_size(job, lanes_of(pointer(0, like[0])))
    for segment in range(first_segment, last_segment):
        partial = after(pointer(job.partial, like[0]), segment * size)
        fill(partial, size, 0.0)
        for tile in range(segment * tiles // job.segments, (segment + 1) * tiles // job.segments):
            backward_tile(job, tile, partial, workspace, like)


def workspace_size(job: Job, lanes: int, size: int) -> int:
    """Values of workspace for one thread: `lanes` a tile, `size` a vector."""
    values = lanes * (13 * job.hidden + 3 * (job.features + job.context_size) + 16 * size)
    return values + (lanes * PULLING * (job.hidden + size) if job.pooled else 0)
