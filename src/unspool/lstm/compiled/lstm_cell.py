"""The LSTM in the kernels: what a step computes, forward and backward.

`unspool.lstm.compiled.recurrence` runs the steps; `unspool.lstm.compiled.cells` names the functions
that every kind of cell has. Gates are in the order i, f, c, o, and a step keeps these four and c
for the backward pass.
"""

from unspool.lstm.compiled.activations import cell_activation, cell_slope, gate_slope, gates_of
from unspool.lstm.compiled.jit import compiled
from unspool.lstm.compiled.statistics import state_gradient
from unspool.lstm.compiled.tiles import (
    add_products_of,
    copy_row,
    fill,
    multiply_row,
    outer_sum,
    pack,
    padded,
    product,
    rounded,
)
from unspool.lstm.compiled.vector import after, fma, lanes_of, load, pointer, store, where_less


@compiled
def pack_weights(args, like, cell):
    """Pack the weights that `advance` and `add_context` multiply by."""
    gates, depth = 4 * args.hidden, args.hidden + args.features
    packed, context = pointer(args.packed, like[0]), pointer(args.packed_context, like[0])
    w_hh, w_ih = pointer(args.w_hh, like[0]), pointer(args.w_ih, like[0])
    w_context, width = pointer(args.w_context, like[0]), args.context_size
    pack(packed, depth, 0, w_hh, gates, args.hidden, args.hidden, 1)
    pack(packed, depth, args.hidden, w_ih, gates, args.features, args.features, 1)
    pack(context, width, 0, w_context, gates, width, width, 1)


@compiled
def pack_transposed(args, like, cell):
    """Pack the transposed weights that the backward pass multiplies by."""
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
def add_context(out, args, vectors, lanes, like, cell):
    """Add V k to the sums `out`, for the contexts k in `vectors`."""
    packed = pointer(args.packed_context, like[0])
    product(out, out, packed, vectors, 4 * args.hidden, args.context_size, like)


@compiled
def advance(
    args, sums, kept, constant, read, state, c_old, c_new, lanes, ends, t, ragged, like, cell
):  # fmt: skip
    """Compute the gates of a step in `kept`, and the state after it.

    `read` has the hidden state that the gates read, and then the input.
    """
    hidden, depth = args.hidden, args.hidden + args.features
    product(kept, constant, pointer(args.packed, like[0]), read, 4 * hidden, depth, like)
    activate(
        kept, kept, state, c_old, c_new, hidden, lanes, args.relu, args.hard, ends, t, ragged,
        True, cell,
    )  # fmt: skip


@compiled
def activate(
    gates, kept, state, c_old, c_new, hidden, lanes, relu, hard, ends, t, ragged, keep, cell
):  # fmt: skip
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
def derive(
    args, gates, c_old, grad_gates, sums, grad_h, incoming, grad_c, terms, lanes, ends, t, ragged,
    cell,
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
def add_gradients(
    args, partial, gates_grad, state_grad, rows, before, before_starts, x, x_starts, mask, starts,
    masked_grad, lanes, like, cell,
):  # fmt: skip
    """Add weight gradients of a step to `partial`, and Uᵀ of gate gradients to `state_grad`.

    `before` has the states before the step, and `x` its input, both with a row per sequence. With a
    mask of the hidden state, `mask` has it as ``[row][lane]`` and `starts` where its rows begin;
    `masked_grad` is scratch.
    """
    hidden, features = args.hidden, args.features
    width = rounded(hidden + features, lanes_of(partial))
    for lane in range(lanes):
        row = after(rows, lane * width)
        copy_row(row, before, before_starts[lane], hidden)
        if args.h_mask:
            multiply_row(row, pointer(args.h_mask, like[0]), starts[lane], hidden)
        copy_row(after(row, hidden), x, x_starts[lane], features)
    outer_sum(partial, width, gates_grad, 4 * hidden, rows, lanes, like)
    packed = pointer(args.packed_back, like[0])
    if args.h_mask:
        fill(masked_grad, padded(hidden) * lanes, 0.0)
        product(masked_grad, masked_grad, packed, gates_grad, hidden, 4 * hidden, like)
        add_products_of(state_grad, masked_grad, mask, hidden * lanes)
    else:
        product(state_grad, state_grad, packed, gates_grad, hidden, 4 * hidden, like)


@compiled
def input_gradient(args, out, gates_grad, lanes, like, cell):
    """Add Wᵀ of the gate gradients to `out`."""
    packed = pointer(args.packed_back_x, like[0])
    product(out, out, packed, gates_grad, args.features, 4 * args.hidden, like)


@compiled
def context_gradients(args, partial, out, sums, rows, lanes, like, cell):
    """Add the gradients of V to `partial`, and write Vᵀ of the summed gate gradients to `out`.

    `rows` has the contexts, a row per sequence.
    """
    hidden, size = args.hidden, lanes_of(partial)
    context_width = rounded(args.context_size, size)
    place = 4 * hidden * rounded(hidden + args.features, size)
    outer_sum(after(partial, place), context_width, sums, 4 * hidden, rows, lanes, like)
    fill(out, padded(args.context_size) * lanes, 0.0)  # may overwrite the first of `rows`
    packed = pointer(args.packed_back_context, like[0])
    product(out, out, packed, sums, args.context_size, 4 * hidden, like)


@compiled
def weights_size(args, size, cell):
    """Return the number of values of a segment's weight gradients, without the biases.

    They are those of [U, W] and of V; rows are whole vectors of `size`.
    """
    width = rounded(args.hidden + args.features, size) + rounded(args.context_size, size)
    return 4 * args.hidden * width
