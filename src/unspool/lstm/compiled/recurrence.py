"""The recurrence in compiled code: forward and backward passes over a range of tiles.

The batch is cut into **tiles** of a few vectors' lanes, one sequence per lane. A tile runs all its
steps before the next tile begins, so that weights and state stay in the cache. Inside a tile every
array is ``[row][lane]``, where rows are units, gates or features; other arrays are transposed on
the way in and out. One step is

    forward:   gates = constant + W [m h; x]     product
               c, h from the gates               activate
               statistics of h                   collect
    backward:  gate gradients from dh, dc        derive
               dW += gate gradients [m h; x]ᵀ    outer_sum
               [dh; dx] = Wᵀ gate gradients      product
               dh = m dh

with gates in the order i, f, c, o, ``constant = bias + V k`` for a context k, and a mask m of the
hidden state, if there is one; the equations are in `unspool.lstm.reference`. Statistics of the
states (`statistics`) are computed if requested.

The numbers of a sequence do not depend on other lanes. Sums over sequences are kept per segment,
and segments depend on the batch alone, so neither the number of threads nor their timing changes a
bit of the result.
"""

from unspool.lstm.compiled.activations import cell_activation, cell_slope, gate_slope, gates_of
from unspool.lstm.compiled.jit import Kernel, compiled
from unspool.lstm.compiled.record import Arguments
from unspool.lstm.compiled.statistics import (
    GRADIENT_TERMS,
    begin,
    collect,
    gradient_terms,
    state_gradient,
    write_statistics,
)
from unspool.lstm.compiled.tiles import (
    copy_row,
    fill,
    lengths_in,
    multiply,
    multiply_row,
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


@Kernel
def pack_forward(record, like):
    """Pack the weights that `forward` multiplies by."""
    args = record[0]
    gates, depth = 4 * args.hidden, args.hidden + args.features
    packed, context = pointer(args.packed, like[0]), pointer(args.packed_context, like[0])
    w_hh, w_ih = pointer(args.w_hh, like[0]), pointer(args.w_ih, like[0])
    w_context, width = pointer(args.w_context, like[0]), args.context_size
    pack(packed, depth, 0, w_hh, gates, args.hidden, args.hidden, 1)
    pack(packed, depth, args.hidden, w_ih, gates, args.features, args.features, 1)
    pack(context, width, 0, w_context, gates, width, width, 1)


@Kernel
def pack_backward(record, like):
    """Pack the transposed weights that `backward` multiplies by."""
    args = record[0]
    gates, hidden = 4 * args.hidden, args.hidden
    packed, packed_x = pointer(args.packed_back, like[0]), pointer(args.packed_back_x, like[0])
    context = pointer(args.packed_back_context, like[0])
    w_hh, w_ih = pointer(args.w_hh, like[0]), pointer(args.w_ih, like[0])
    w_context = pointer(args.w_context, like[0])
    pack(packed, gates, 0, w_hh, hidden, gates, 1, hidden)
    if args.grad_x:
        pack(packed_x, gates, 0, w_ih, args.features, gates, 1, args.features)
    pack(context, gates, 0, w_context, args.context_size, gates, 1, args.context_size)


@compiled
def tiles_of(args, like):
    """Return the number of tiles in the batch."""
    lanes = len(like) * lanes_of(pointer(0, like[0]))
    return (args.batch + lanes - 1) // lanes


# Forward.


@compiled
def constants(out, args, starts, scratch, first, lanes, like):
    """Compute the part of the gates that is the same at every step: the bias plus V k."""
    bias = pointer(args.bias, like[0])
    for gate in range(4 * args.hidden):
        fill(after(out, gate * lanes), lanes, bias[gate])
    if args.context_size:
        row_starts(starts, args.batch, first, lanes, args.context_size)
        read_rows(scratch, lanes, pointer(args.context, like[0]), starts, args.context_size)
        packed = pointer(args.packed_context, like[0])
        product(out, out, packed, scratch, 4 * args.hidden, args.context_size, like)


@compiled
def activate(gates, state, c_old, c_new, hidden, lanes, relu, hard, ends, t, ragged):
    """Apply the activations to the sums in `gates`, and compute c and h; h is written to `state`.

    In a ragged step, lanes past their end keep their state.
    """
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
def forward_tile(args, tile, workspace, like):
    """Run the sequences of a tile through all their steps.

    `workspace` is the address of `workspace_size` values. `like` is a tuple with one number per
    vector of a tile, whose type is that of the arrays.
    """
    size = lanes_of(pointer(0, like[0]))
    lanes = len(like) * size
    first, hidden, block = tile * lanes, args.hidden, args.hidden * lanes
    depth = hidden + args.features
    starts = pointer(workspace, 1)
    x_starts, h_starts = after(starts, lanes), after(starts, 2 * lanes)
    constant = after(pointer(workspace, like[0]), 6 * lanes)
    step_gates = after(constant, 4 * block)
    state = after(step_gates, 4 * block)
    initial_c = after(state, (depth + size) * lanes)
    scratch = after(initial_c, (hidden + size) * lanes)
    ends = after(scratch, (args.context_size + size) * lanes)
    mask = after(ends, lanes)
    read = after(mask, (hidden + size) * lanes)  # the state and the input that the gates read
    running = after(read, (depth + size) * lanes)
    if not args.h_mask:
        read = state
    x, packed = pointer(args.x, like[0]), pointer(args.packed, like[0])
    h, reserve = pointer(args.h, like[0]), pointer(args.reserve, like[0])
    if args.one_tile:
        h = after(h, -first * args.h_batch)
    else:
        reserve = after(reserve, tile * args.steps * 5 * block)

    shortest, longest = lengths_in(args, first, lanes, ends)
    constants(constant, args, starts, scratch, first, lanes, like)
    row_starts(starts, args.batch, first, lanes, hidden)
    row_starts(x_starts, args.batch, first, lanes, args.x_batch)
    row_starts(h_starts, args.batch, first, lanes, args.h_batch)
    read_rows(state, lanes, pointer(args.h0, like[0]), starts, hidden)
    read_rows(initial_c, lanes, pointer(args.c0, like[0]), starts, hidden)
    if args.h_mask:
        read_rows(mask, lanes, pointer(args.h_mask, like[0]), starts, hidden)
    if args.pooled:
        begin(running, state, block)
    c_old = initial_c
    for t in range(args.steps):
        if t < longest:
            gates, c_new = step_gates, initial_c
            if args.reserve:
                gates = after(reserve, t * 5 * block)
                c_new = after(gates, 4 * block)
            if args.features:
                shift = step_starts(
                    x_starts, args, first, lanes, t, args.reverse != args.flip_x,
                    args.x_batch, args.x_step, True,
                )  # fmt: skip
                read_rows(after(read, block), lanes, after(x, shift), x_starts, args.features)
            if args.h_mask:
                multiply(read, state, mask, block)
            product(gates, constant, packed, read, 4 * hidden, depth, like)
            activate(
                gates, state, c_old, c_new, hidden, lanes, args.relu, args.hard,
                ends, t, t >= shortest,
            )  # fmt: skip
            if args.pooled:
                collect(args, running, state, block, lanes, ends, t, t >= shortest)
            c_old = c_new
        elif not args.h:
            break
        if args.h:
            shift = step_starts(
                h_starts, args, first, lanes, t, args.reverse, args.h_batch, args.h_step, False
            )
            write_rows(after(h, shift), h_starts, state, lanes, hidden)
    write_rows(pointer(args.h_n, like[0]), starts, state, lanes, hidden)
    write_rows(pointer(args.c_n, like[0]), starts, c_old, lanes, hidden)
    if args.pooled:
        write_statistics(args, running, starts, ends, first, lanes, like)


@Kernel
def forward(record, first_segment, last_segment, workspace, like):
    """Run the tiles of the segments from `first_segment` to before `last_segment`."""
    args = record[0]
    tiles = tiles_of(args, like)
    first_tile = first_segment * tiles // args.segments
    for tile in range(first_tile, last_segment * tiles // args.segments):
        forward_tile(args, tile, workspace, like)


# Backward.


@compiled
def derive(
    args, gates, c_old, grad_gates, sums, grad_h, incoming, grad_c, terms, lanes, ends, t, ragged
):  # fmt: skip
    """Backpropagate one step: from gradients of h and c after it to those of gates and old c.

    `incoming` is added to `grad_h`. Afterwards `grad_h` is zero, except in lanes past their end,
    whose gradient passes the step unchanged.
    """
    size, block = lanes_of(gates), args.hidden * lanes
    relu, hard, pooled, stride = args.relu, args.hard, args.grad_pooled, block + size * lanes
    deviation, largest, smallest = args.deviation >= 0, args.largest >= 0, args.smallest >= 0
    for place in range(0, block, size):
        i = load(gates, place)
        f = load(gates, place + block)
        g = load(gates, place + 2 * block)
        o = load(gates, place + 3 * block)
        y = cell_activation(load(gates, place + 4 * block), relu)
        dh, dc = load(grad_h, place) + load(incoming, place), load(grad_c, place)
        if pooled:
            dh = dh + state_gradient(
                o * y, terms, place, stride, deviation, largest, smallest, ends, lanes, t, ragged
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
def mask_gradient(grad_h, mask, block, lanes, ends, t, ragged):
    """Multiply the gradient of the state by the mask, except in lanes past their end."""
    for place in range(0, block, lanes_of(grad_h)):
        grad = load(grad_h, place)
        masked = grad * load(mask, place)
        if ragged:
            masked = where_less(t, load(ends, place % lanes), masked, grad)
        store(grad_h, place, masked)


@compiled
def partial_size(args, size):
    """Return the number of values of a segment's weight gradients, whose rows are whole vectors."""
    width = rounded(args.hidden + args.features, size) + rounded(args.context_size, size)
    return 4 * args.hidden * (width + 1)


@compiled
def backward_tile(args, tile, partial, workspace, like):
    """Backpropagate through a tile after `forward_tile`; add the weight gradients to `partial`."""
    size = lanes_of(pointer(0, like[0]))
    lanes = len(like) * size
    first, hidden, block = tile * lanes, args.hidden, args.hidden * lanes
    features, context_size = args.features, args.context_size
    width, context_width = rounded(hidden + features, size), rounded(context_size, size)
    starts = pointer(workspace, 1)
    x_starts, h_starts = after(starts, lanes), after(starts, 2 * lanes)
    grad_starts, grad_x_starts = after(starts, 3 * lanes), after(starts, 4 * lanes)
    gates_grad = after(pointer(workspace, like[0]), 10 * lanes)
    sums = after(gates_grad, 4 * block)
    state_grad = after(sums, 4 * block)
    incoming = after(state_grad, (hidden + size) * lanes)
    c_grad = after(incoming, (hidden + size) * lanes)
    initial_c = after(c_grad, (hidden + size) * lanes)
    x_grad = after(initial_c, (hidden + size) * lanes)
    context_grad = after(x_grad, (features + size) * lanes)
    rows = after(context_grad, (context_size + size) * lanes)
    ends = after(rows, (max(width, context_width) + size) * lanes)
    mask = after(ends, lanes)
    terms = after(mask, (hidden + size) * lanes)

    x, h = pointer(args.x, like[0]), pointer(args.h, like[0])
    reserve, grad_h = pointer(args.reserve, like[0]), pointer(args.grad_h, like[0])
    weights_sum = partial
    context_sum = after(weights_sum, 4 * hidden * width)
    bias_sum = after(context_sum, 4 * hidden * context_width)
    if args.one_tile:
        h = after(h, -first * args.h_batch)
        grad_h = after(grad_h, -first * args.grad_h_batch)
    else:
        reserve = after(reserve, tile * args.steps * 5 * block)

    shortest, longest = lengths_in(args, first, lanes, ends)
    row_starts(starts, args.batch, first, lanes, hidden)
    read_rows(state_grad, lanes, pointer(args.grad_h_n, like[0]), starts, hidden)
    if args.grad_pooled:
        gradient_terms(args, terms, starts, ends, state_grad, first, lanes, like)
        row_starts(starts, args.batch, first, lanes, hidden)
    row_starts(x_starts, args.batch, first, lanes, args.x_batch)
    row_starts(h_starts, args.batch, first, lanes, args.h_batch)
    row_starts(grad_starts, args.batch, first, lanes, args.grad_h_batch)
    row_starts(grad_x_starts, args.batch, first, lanes, args.grad_x_batch)
    fill(sums, 4 * block, 0.0)
    fill(incoming, block, 0.0)
    read_rows(initial_c, lanes, pointer(args.c0, like[0]), starts, hidden)
    read_rows(c_grad, lanes, pointer(args.grad_c_n, like[0]), starts, hidden)
    h_mask = pointer(args.h_mask, like[0])
    if args.h_mask:
        read_rows(mask, lanes, h_mask, starts, hidden)
    for t in range(args.steps - 1, -1, -1):
        if args.grad_h:
            shift = step_starts(
                grad_starts, args, first, lanes, t, args.reverse,
                args.grad_h_batch, args.grad_h_step, False,
            )  # fmt: skip
            read_rows(incoming, lanes, after(grad_h, shift), grad_starts, hidden)
        if t >= longest:
            for place in range(0, block, size):
                passing = load(state_grad, place) + load(incoming, place)
                store(state_grad, place, passing)
            continue
        gates = after(reserve, t * 5 * block)
        c_old = after(gates, -block) if t else initial_c
        derive(
            args, gates, c_old, gates_grad, sums, state_grad, incoming, c_grad, terms, lanes,
            ends, t, t >= shortest,
        )  # fmt: skip
        before, before_starts = pointer(args.h0, like[0]), starts
        if t:
            shift = step_starts(
                h_starts, args, first, lanes, t - 1, args.reverse, args.h_batch, args.h_step, False
            )
            before, before_starts = after(h, shift), h_starts
        shift = step_starts(
            x_starts, args, first, lanes, t, args.reverse != args.flip_x,
            args.x_batch, args.x_step, True,
        )  # fmt: skip
        for lane in range(lanes):
            row = after(rows, lane * width)
            copy_row(row, before, before_starts[lane], hidden)
            if args.h_mask:
                multiply_row(row, h_mask, starts[lane], hidden)
            copy_row(after(row, hidden), after(x, shift), x_starts[lane], features)
        outer_sum(weights_sum, width, gates_grad, 4 * hidden, rows, lanes, like)
        packed = pointer(args.packed_back, like[0])
        product(state_grad, state_grad, packed, gates_grad, hidden, 4 * hidden, like)
        if args.h_mask:
            mask_gradient(state_grad, mask, block, lanes, ends, t, t >= shortest)
        if args.grad_x:
            fill(x_grad, padded(features) * lanes, 0.0)
            packed = pointer(args.packed_back_x, like[0])
            product(x_grad, x_grad, packed, gates_grad, features, 4 * hidden, like)
            grad_x = pointer(args.grad_x, like[0])
            shift = step_starts(
                grad_x_starts, args, first, lanes, t, args.reverse != args.flip_x,
                args.grad_x_batch, args.grad_x_step, True,
            )  # fmt: skip
            write_rows(after(grad_x, shift), grad_x_starts, x_grad, lanes, features)
    if args.grad_h0:
        write_rows(pointer(args.grad_h0, like[0]), starts, state_grad, lanes, hidden)
        write_rows(pointer(args.grad_c0, like[0]), starts, c_grad, lanes, hidden)
    for gate in range(4 * hidden):
        for place in range(gate * lanes, (gate + 1) * lanes, size):
            bias_sum[gate] += total(load(sums, place))
    if context_size:
        row_starts(starts, args.batch, first, lanes, context_size)
        context = pointer(args.context, like[0])
        for lane in range(lanes):
            copy_row(after(rows, lane * context_width), context, starts[lane], context_size)
        outer_sum(context_sum, context_width, sums, 4 * hidden, rows, lanes, like)
        fill(context_grad, padded(context_size) * lanes, 0.0)
        packed = pointer(args.packed_back_context, like[0])
        product(context_grad, context_grad, packed, sums, context_size, 4 * hidden, like)
        write_rows(pointer(args.grad_context, like[0]), starts, context_grad, lanes, context_size)


@Kernel
def backward(record, first_segment, last_segment, workspace, like):
    """Backpropagate through the segments after `forward`; write the sums of each segment."""
    args = record[0]
    tiles, size = tiles_of(args, like), partial_size(args, lanes_of(pointer(0, like[0])))
    for segment in range(first_segment, last_segment):
        partial = after(pointer(args.partial, like[0]), segment * size)
        fill(partial, size, 0.0)
        for tile in range(segment * tiles // args.segments, (segment + 1) * tiles // args.segments):
            backward_tile(args, tile, partial, workspace, like)


def workspace_size(args: Arguments, lanes: int, size: int) -> int:
    """Return the values of workspace per thread, for tiles of `lanes` and vectors of `size`."""
    values = lanes * (15 * args.hidden + 4 * (args.features + args.context_size) + 18 * size)
    return values + (lanes * GRADIENT_TERMS * (args.hidden + size) if args.pooled else 0)
