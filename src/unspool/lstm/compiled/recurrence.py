"""The recurrence in compiled code: forward and backward passes over a range of tiles.

The batch is cut into **tiles** of a few vectors' lanes, one sequence per lane. A tile runs all its
steps before the next tile begins, so that weights and state stay in the cache. Inside a tile every
array is ``[row][lane]``, where rows are units, gates or features; other arrays are transposed on
the way in and out. One step is

    forward:   gates = constant + W [m h; x]     advance
               c, h from the gates               advance
               statistics of h                   collect
    backward:  gate gradients from dh, dc        derive
               dW += gate gradients [m h; x]ᵀ    add_gradients
               [m dh; dx] = Wᵀ gate gradients    add_gradients, input_gradient

with ``constant = bias + V k`` for a context k, and a mask m of the hidden state, if there is one.
The functions of a step depend on the kind of cell
(`cells`): `lstm_cell` or `gru_cell`. A cell has four blocks of sums, of H rows each, and keeps five
blocks per step for the backward pass. Statistics of the states (`statistics`) are computed if
requested.

The numbers of a sequence do not depend on other lanes. Sums over sequences are kept per segment,
and segments depend on the batch alone, so neither the number of threads nor their timing changes a
bit of the result.
"""

from unspool.lstm.compiled.cells import (
    add_context,
    add_gradients,
    advance,
    context_gradients,
    derive,
    input_gradient,
    pack_transposed,
    pack_weights,
    weights_size,
)
from unspool.lstm.compiled.jit import Kernel, compiled
from unspool.lstm.compiled.record import Arguments
from unspool.lstm.compiled.statistics import (
    GRADIENT_TERMS,
    begin,
    collect,
    gradient_terms,
    write_statistics,
)
from unspool.lstm.compiled.tiles import (
    SMALL_BLOCK,
    add_rows,
    copy_row,
    fill,
    lengths_in,
    multiply,
    padded,
    read_rows,
    rounded,
    row_starts,
    step_starts,
    write_rows,
)
from unspool.lstm.compiled.vector import (
    after,
    lanes_of,
    load,
    pointer,
    store,
    total,
)


@Kernel
def pack_forward(record, like, cell):
    """Pack the weights that `forward` multiplies by."""
    pack_weights(record[0], like, cell)


@Kernel
def pack_backward(record, like, cell):
    """Pack the transposed weights that `backward` multiplies by."""
    pack_transposed(record[0], like, cell)


@compiled
def tiles_of(args, like):
    """Return the number of tiles in the batch."""
    lanes = len(like) * lanes_of(pointer(0, like[0]))
    return (args.batch + lanes - 1) // lanes


# Forward.


@compiled
def constants(out, args, starts, scratch, first, lanes, like, cell):
    """Compute the part of the gates that is the same at every step: the bias plus V k."""
    bias = pointer(args.bias, like[0])
    for gate in range(4 * args.hidden):
        fill(after(out, gate * lanes), lanes, bias[gate])
    if args.context_size:
        row_starts(starts, args.batch, first, lanes, args.context_size)
        read_rows(scratch, lanes, pointer(args.context, like[0]), starts, args.context_size)
        add_context(out, args, scratch, lanes, like, cell)


@compiled
def read_or_zero(out, lanes, address, starts, count, like):
    """out[k][lane] = array[starts[lane] + k], or zeros if the address of the array is 0."""
    if address:
        read_rows(out, lanes, pointer(address, like[0]), starts, count)
    else:
        fill(out, count * lanes, 0.0)


@compiled
def forward_tile(args, tile, workspace, like, cell):
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
    state = after(step_gates, 4 * block + SMALL_BLOCK * lanes)
    initial_c = after(state, (depth + size) * lanes)
    scratch = after(initial_c, (hidden + size) * lanes)
    ends = after(scratch, (args.context_size + size) * lanes)
    mask = after(ends, lanes)
    read = after(mask, (hidden + size) * lanes)  # what the gates read: the state and the input
    running = after(read, (depth + size) * lanes)
    if not args.h_mask:
        read = state
    x, has_c = pointer(args.x, like[0]), len(cell) > 1
    h, reserve = pointer(args.h, like[0]), pointer(args.reserve, like[0])
    if args.one_tile:
        h = after(h, -first * args.h_batch)
    else:
        reserve = after(reserve, tile * args.steps * 5 * block)
    if args.x_one_tile:
        x = after(x, -first * args.x_batch)

    shortest, longest = lengths_in(args, first, lanes, ends)
    constants(constant, args, starts, scratch, first, lanes, like, cell)
    row_starts(starts, args.batch, first, lanes, args.start_batch)
    row_starts(x_starts, args.batch, first, lanes, args.x_batch)
    row_starts(h_starts, args.batch, first, lanes, args.h_batch)
    read_or_zero(state, lanes, args.h0, starts, hidden, like)
    if has_c:
        read_or_zero(initial_c, lanes, args.c0, starts, hidden, like)
    if args.h_mask:
        row_starts(starts, args.batch, first, lanes, hidden)
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
            advance(
                args, step_gates, gates, constant, read, state, c_old, c_new, lanes, ends, t,
                t >= shortest, like, cell,
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
    row_starts(starts, args.batch, first, lanes, args.end_batch)
    if args.h_n:
        write_rows(pointer(args.h_n, like[0]), starts, state, lanes, hidden)
    if has_c and args.c_n:
        write_rows(pointer(args.c_n, like[0]), starts, c_old, lanes, hidden)
    if args.pooled:
        write_statistics(args, running, starts, ends, first, lanes, like)


@Kernel
def forward(record, first_segment, last_segment, workspace, like, cell):
    """Run the tiles of the segments from `first_segment` to before `last_segment`."""
    args = record[0]
    tiles = tiles_of(args, like)
    first_tile = first_segment * tiles // args.segments
    for tile in range(first_tile, last_segment * tiles // args.segments):
        forward_tile(args, tile, workspace, like, cell)


# Backward.


@compiled
def partial_size(args, size, cell):
    """Return the number of values of a segment's gradients of weights and of the four biases."""
    return weights_size(args, size, cell) + 4 * args.hidden


@compiled
def backward_tile(args, tile, partial, workspace, like, cell):
    """Backpropagate through a tile after `forward_tile`; add the weight gradients to `partial`."""
    size = lanes_of(pointer(0, like[0]))
    lanes = len(like) * size
    first, hidden, block = tile * lanes, args.hidden, args.hidden * lanes
    features, context_size = args.features, args.context_size
    width, context_width = rounded(hidden + features, size), rounded(context_size, size)
    starts = pointer(workspace, 1)
    x_starts, h_starts = after(starts, lanes), after(starts, 2 * lanes)
    grad_starts, grad_x_starts = after(starts, 3 * lanes), after(starts, 4 * lanes)
    initial_starts = after(starts, 5 * lanes)
    gates_grad = after(pointer(workspace, like[0]), 12 * lanes)
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
    masked_grad = after(mask, (hidden + size) * lanes)
    terms = after(masked_grad, (hidden + size) * lanes)

    x, h = pointer(args.x, like[0]), pointer(args.h, like[0])
    reserve, grad_h = pointer(args.reserve, like[0]), pointer(args.grad_h, like[0])
    grad_x = pointer(args.grad_x, like[0])
    bias_sum, has_c = after(partial, weights_size(args, size, cell)), len(cell) > 1
    if args.one_tile:
        h = after(h, -first * args.h_batch)
        grad_h = after(grad_h, -first * args.grad_h_batch)
    else:
        reserve = after(reserve, tile * args.steps * 5 * block)
    if args.x_one_tile:
        x = after(x, -first * args.x_batch)
        grad_x = after(grad_x, -first * args.grad_x_batch)

    shortest, longest = lengths_in(args, first, lanes, ends)
    row_starts(starts, args.batch, first, lanes, args.end_batch)
    read_or_zero(state_grad, lanes, args.grad_h_n, starts, hidden, like)
    if has_c:
        read_or_zero(c_grad, lanes, args.grad_c_n, starts, hidden, like)
    if args.grad_pooled:
        gradient_terms(args, terms, starts, ends, state_grad, first, lanes, like)
    row_starts(x_starts, args.batch, first, lanes, args.x_batch)
    row_starts(h_starts, args.batch, first, lanes, args.h_batch)
    row_starts(grad_starts, args.batch, first, lanes, args.grad_h_batch)
    row_starts(grad_x_starts, args.batch, first, lanes, args.grad_x_batch)
    fill(sums, 4 * block, 0.0)
    fill(incoming, block, 0.0)
    row_starts(initial_starts, args.batch, first, lanes, args.start_batch)
    if has_c:
        read_or_zero(initial_c, lanes, args.c0, initial_starts, hidden, like)
    row_starts(starts, args.batch, first, lanes, hidden)
    if args.h_mask:
        read_rows(mask, lanes, pointer(args.h_mask, like[0]), starts, hidden)
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
            ends, t, t >= shortest, cell,
        )  # fmt: skip
        before, before_starts = pointer(args.h0, like[0]), initial_starts
        if not t and not args.h0:
            for lane in range(lanes):
                before_starts[lane] = -1
        if t:
            shift = step_starts(
                h_starts, args, first, lanes, t - 1, args.reverse, args.h_batch, args.h_step, False
            )
            before, before_starts = after(h, shift), h_starts
        shift = step_starts(
            x_starts, args, first, lanes, t, args.reverse != args.flip_x,
            args.x_batch, args.x_step, True,
        )  # fmt: skip
        add_gradients(
            args, partial, gates_grad, state_grad, rows, before, before_starts, after(x, shift),
            x_starts, mask, starts, masked_grad, lanes, like, cell,
        )  # fmt: skip
        if args.grad_x:
            shift = step_starts(
                grad_x_starts, args, first, lanes, t, args.reverse != args.flip_x,
                args.grad_x_batch, args.grad_x_step, True,
            )  # fmt: skip
            there = after(grad_x, shift)
            fill(x_grad, padded(features) * lanes, 0.0)
            if args.adds:
                read_rows(x_grad, lanes, there, grad_x_starts, features)
            input_gradient(args, x_grad, gates_grad, lanes, like, cell)
            write_rows(there, grad_x_starts, x_grad, lanes, features)
    if args.grad_h0:
        row_starts(initial_starts, args.batch, first, lanes, args.start_batch)
        grad_h0, grad_c0 = pointer(args.grad_h0, like[0]), pointer(args.grad_c0, like[0])
        if args.adds:
            add_rows(state_grad, lanes, grad_h0, initial_starts, incoming, hidden)
            if has_c:
                add_rows(c_grad, lanes, grad_c0, initial_starts, incoming, hidden)
        write_rows(grad_h0, initial_starts, state_grad, lanes, hidden)
        if has_c:
            write_rows(grad_c0, initial_starts, c_grad, lanes, hidden)
    for gate in range(4 * hidden):
        for place in range(gate * lanes, (gate + 1) * lanes, size):
            bias_sum[gate] += total(load(sums, place))
    if context_size:
        row_starts(starts, args.batch, first, lanes, context_size)
        context = pointer(args.context, like[0])
        for lane in range(lanes):
            copy_row(after(rows, lane * context_width), context, starts[lane], context_size)
        context_gradients(args, partial, context_grad, sums, rows, lanes, like, cell)
        grad_context = pointer(args.grad_context, like[0])
        if args.adds:
            add_rows(context_grad, lanes, grad_context, starts, rows, context_size)
        write_rows(grad_context, starts, context_grad, lanes, context_size)


@Kernel
def backward(record, first_segment, last_segment, workspace, like, cell):
    """Backpropagate through the segments after `forward`; write the sums of each segment."""
    args = record[0]
    tiles, size = tiles_of(args, like), partial_size(args, lanes_of(pointer(0, like[0])), cell)
    for segment in range(first_segment, last_segment):
        partial = after(pointer(args.partial, like[0]), segment * size)
        fill(partial, size, 0.0)
        for tile in range(segment * tiles // args.segments, (segment + 1) * tiles // args.segments):
            backward_tile(args, tile, partial, workspace, like, cell)


def workspace_size(args: Arguments, lanes: int, size: int) -> int:
    """Return the values of workspace per thread, for tiles of `lanes` and vectors of `size`."""
    values = lanes * (15 * args.hidden + 4 * (args.features + args.context_size) + 18 * size)
    return values + (lanes * GRADIENT_TERMS * (args.hidden + size) if args.pooled else 0)
