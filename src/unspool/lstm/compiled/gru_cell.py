"""The GRU in the kernels: what a step computes, forward and backward.

`unspool.lstm.compiled.recurrence` runs the steps; `unspool.lstm.compiled.cells` names the functions
that every kind of cell has. The equations are in `unspool.lstm.reference_gru`.

A step has four blocks of sums: m = U_n h + b_rn, z, r, and W_n x + b_n, in this order. U h goes to
the first three of them and W x to the last three, so each is one product. `w_hh` therefore has its
gates in the order n, z, r here, and the bias its blocks in the order rn, z, r, n; `w_ih` and
`w_context` have the order z, r, n. A step keeps m, z, r, n and h - n for the backward pass.
"""

from unspool.lstm.compiled.activations import (
    cell_activation,
    cell_slope,
    gate_slope,
    two_gates_of,
)
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
    """Pack the weights that `advance` and `add_context` multiply by: U, then W; and V."""
    hidden, features, width = args.hidden, args.features, args.context_size
    packed, context = pointer(args.packed, like[0]), pointer(args.packed_context, like[0])
    w_hh, w_ih = pointer(args.w_hh, like[0]), pointer(args.w_ih, like[0])
    packed_x = after(packed, padded(3 * hidden) * hidden)
    pack(packed, hidden, 0, w_hh, 3 * hidden, hidden, hidden, 1)
    pack(packed_x, features, 0, w_ih, 3 * hidden, features, features, 1)
    w_context = pointer(args.w_context, like[0])
    pack(context, width, 0, w_context, 3 * hidden, width, width, 1)


@compiled
def pack_transposed(args, like, cell):
    """Pack the transposed weights that the backward pass multiplies by."""
    gates, hidden = 3 * args.hidden, args.hidden
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
    there = after(out, args.hidden * lanes)
    packed = pointer(args.packed_context, like[0])
    product(there, there, packed, vectors, 3 * args.hidden, args.context_size, like)


@compiled
def advance(
    args, sums, kept, constant, read, state, c_old, c_new, lanes, ends, t, ragged, like, cell
):  # fmt: skip
    """Compute the gates of a step in `sums`, and the state after it.

    `read` has the hidden state that the gates read, and then the input; a mask does not change
    the state that z keeps. If there is a backward pass, `kept` receives what it needs.
    """
    hidden, block, features = args.hidden, args.hidden * lanes, args.features
    packed = pointer(args.packed, like[0])
    product(sums, constant, packed, read, 3 * hidden, hidden, like)
    for place in range(3 * block, 4 * block, lanes_of(sums)):
        store(sums, place, load(constant, place))
    if features:
        there, x = after(sums, block), after(read, block)
        packed_x = after(packed, padded(3 * hidden) * hidden)
        product(there, there, packed_x, x, 3 * hidden, features, like)
    activate(
        sums, kept, state, c_old, c_new, hidden, lanes, args.relu, args.hard, ends, t, ragged,
        args.reserve != 0, cell,
    )  # fmt: skip


@compiled
def activate(
    sums, kept, state, c_old, c_new, hidden, lanes, relu, hard, ends, t, ragged, keep, cell
):  # fmt: skip
    """Compute h from the sums, and write it to `state`; with `keep`, write the gates to `kept`.

    In a ragged step, lanes past their end keep their state.
    """
    size, block = lanes_of(sums), hidden * lanes
    for place in range(0, block, size):
        m = load(sums, place)
        z, r = two_gates_of(load(sums, place + block), load(sums, place + 2 * block), hard)
        n = cell_activation(fma(r, m, load(sums, place + 3 * block)), relu)
        old = load(state, place)
        difference = old - n
        h = fma(z, difference, n)
        if ragged:
            h = where_less(t, load(ends, place % lanes), h, old)
        store(state, place, h)
        if keep:
            store(kept, place, m)
            store(kept, place + block, z)
            store(kept, place + 2 * block, r)
            store(kept, place + 3 * block, n)
            store(kept, place + 4 * block, difference)


@compiled
def derive(
    args, gates, c_old, grad_gates, sums, grad_h, incoming, grad_c, terms, lanes, ends, t, ragged,
    cell,
):  # fmt: skip
    """Backpropagate one step: from the gradient of h after it to those of the gates.

    `incoming` is added to `grad_h`. Afterwards `grad_h` is the part that h before the step receives
    directly: z ∂h, and in lanes past their end the whole gradient.
    """
    size, block = lanes_of(gates), args.hidden * lanes
    relu, hard, pooled, stride = args.relu, args.hard, args.grad_pooled, block + size * lanes
    deviation, largest, smallest = args.deviation >= 0, args.largest >= 0, args.smallest >= 0
    for place in range(0, block, size):
        m = load(gates, place)
        z = load(gates, place + block)
        r = load(gates, place + 2 * block)
        n = load(gates, place + 3 * block)
        difference = load(gates, place + 4 * block)
        dh = load(grad_h, place) + load(incoming, place)
        if pooled:
            dh = dh + state_gradient(
                fma(z, difference, n), terms, place, stride, deviation, largest, smallest, ends,
                lanes, t, ragged,
            )  # fmt: skip
        dz = dh * difference * gate_slope(z, hard)
        dn = dh * (1.0 - z) * cell_slope(n, relu)
        dr = dn * m * gate_slope(r, hard)
        dm, before = dn * r, dh * z
        if ragged:
            end = load(ends, place % lanes)
            dm, dz = where_less(t, end, dm, 0.0), where_less(t, end, dz, 0.0)
            dr, dn = where_less(t, end, dr, 0.0), where_less(t, end, dn, 0.0)
            before = where_less(t, end, before, dh)
        store(grad_gates, place, dm)
        store(grad_gates, place + block, dz)
        store(grad_gates, place + 2 * block, dr)
        store(grad_gates, place + 3 * block, dn)
        store(sums, place, load(sums, place) + dm)
        store(sums, place + block, load(sums, place + block) + dz)
        store(sums, place + 2 * block, load(sums, place + 2 * block) + dr)
        store(sums, place + 3 * block, load(sums, place + 3 * block) + dn)
        store(grad_h, place, before)


@compiled
def add_gradients(
    args, partial, gates_grad, state_grad, rows, before, before_starts, x, x_starts, mask, starts,
    masked_grad, lanes, like, cell,
):  # fmt: skip
    """Add weight gradients of a step to `partial`, and Uᵀ of gate gradients to `state_grad`.

    `before` has the states before the step, and `x` its input, both with a row per sequence. The
    rows of a gradient are filled up to whole blocks with values that are not used. With a mask of
    the hidden state, `mask` has it as ``[row][lane]`` and `starts` where its rows begin;
    `masked_grad` is scratch.
    """
    hidden, features, size = args.hidden, args.features, lanes_of(partial)
    gates, width, x_width = padded(3 * hidden), rounded(hidden, size), rounded(features, size)
    for lane in range(lanes):
        row = after(rows, lane * width)
        copy_row(row, before, before_starts[lane], hidden)
        if args.h_mask:
            multiply_row(row, pointer(args.h_mask, like[0]), starts[lane], hidden)
    outer_sum(partial, width, gates_grad, gates, rows, lanes, like)
    if features:
        for lane in range(lanes):
            copy_row(after(rows, lane * x_width), x, x_starts[lane], features)
        there = after(partial, gates * width)
        outer_sum(there, x_width, after(gates_grad, hidden * lanes), gates, rows, lanes, like)
    packed = pointer(args.packed_back, like[0])
    if args.h_mask:
        fill(masked_grad, padded(hidden) * lanes, 0.0)
        product(masked_grad, masked_grad, packed, gates_grad, hidden, 3 * hidden, like)
        add_products_of(state_grad, masked_grad, mask, hidden * lanes)
    else:
        product(state_grad, state_grad, packed, gates_grad, hidden, 3 * hidden, like)


@compiled
def input_gradient(args, out, gates_grad, lanes, like, cell):
    """Add Wᵀ of the gate gradients to `out`."""
    packed, there = pointer(args.packed_back_x, like[0]), after(gates_grad, args.hidden * lanes)
    product(out, out, packed, there, args.features, 3 * args.hidden, like)


@compiled
def context_gradients(args, partial, out, sums, rows, lanes, like, cell):
    """Add the gradients of V to `partial`, and write Vᵀ of the summed gate gradients to `out`.

    `rows` has the contexts, a row per sequence.
    """
    hidden, size, there = args.hidden, lanes_of(partial), after(sums, args.hidden * lanes)
    gates, context_width = padded(3 * hidden), rounded(args.context_size, size)
    place = gates * (rounded(hidden, size) + rounded(args.features, size))
    outer_sum(after(partial, place), context_width, there, gates, rows, lanes, like)
    fill(out, padded(args.context_size) * lanes, 0.0)  # may overwrite the first of `rows`
    packed = pointer(args.packed_back_context, like[0])
    product(out, out, packed, there, args.context_size, 3 * hidden, like)


@compiled
def weights_size(args, size, cell):
    """Return the number of values of a segment's weight gradients, without the biases.

    They are those of U, of W and of V; rows are whole vectors of `size`.
    """
    width = rounded(args.hidden, size) + rounded(args.features, size)
    return padded(3 * args.hidden) * (width + rounded(args.context_size, size))
