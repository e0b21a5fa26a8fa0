"""Dense layers on vectors, masks, and gradients with several readers, on one tile of a program."""

from unspool.lstm.compiled.activations import tanh
from unspool.lstm.compiled.jit import compiled
from unspool.lstm.compiled.stage import RELU, SIGMOID, TANH
from unspool.lstm.compiled.tiles import (
    LARGE_BLOCK,
    add_rows,
    copy_row,
    fill,
    outer_sum,
    padded,
    read_rows,
    rounded,
    row_starts,
    write_rows,
)
from unspool.lstm.compiled.vector import (
    add_products,
    after,
    fma,
    lanes_of,
    load,
    load_block,
    load_first,
    pointer,
    store,
    store_block,
    total,
    where_less,
)


@compiled
def activated(x, activation):
    """Return the activation with this number; NaN remains NaN."""
    if activation == RELU:
        return where_less(x, 0.0, 0.0, x)
    if activation == TANH:
        return tanh(x)
    if activation == SIGMOID:
        return fma(tanh(x * 0.5), 0.5, 0.5)
    return x


@compiled
def slope(y, activation):
    """Return the derivative of an activation where its value is `y`."""
    if activation == RELU:
        return where_less(0.0, y, 1.0, 0.0 * y)
    if activation == TANH:
        return 1.0 - y * y
    if activation == SIGMOID:
        return y * (1.0 - y)
    return 0.0 * y + 1.0


@compiled
def add_matrix(out, weight, row_stride, column_stride, vectors, rows, depth, like):
    """out[r] += Σ_k weight[r, k] vectors[k], for a matrix that is not packed."""
    lanes = len(like) * lanes_of(out)
    large = rows // LARGE_BLOCK * LARGE_BLOCK
    for row in range(0, large, LARGE_BLOCK):
        block = load_block(after(out, row * lanes), lanes, LARGE_BLOCK, like)
        numbers = after(weight, row * row_stride)
        for k in range(depth):
            there = after(numbers, k * column_stride)
            block = add_products(
                block, there, row_stride, after(vectors, k * lanes), LARGE_BLOCK, like
            )
        store_block(after(out, row * lanes), lanes, LARGE_BLOCK, like, block)
    for row in range(large, rows):
        single = load_block(after(out, row * lanes), lanes, 1, like)
        numbers = after(weight, row * row_stride)
        for k in range(depth):
            there = after(numbers, k * column_stride)
            single = add_products(single, there, row_stride, after(vectors, k * lanes), 1, like)
        store_block(after(out, row * lanes), lanes, 1, like, single)


@compiled
def standardized_rows(rows, args, starts, lanes, like):
    """Write the inputs of a tile as rows of whole vectors, after `shift` and `scale`."""
    size = lanes_of(rows)
    inputs, width = args.inputs, rounded(args.inputs, size)
    x, shift = pointer(args.x, like[0]), pointer(args.shift, like[0])
    scale = pointer(args.scale, like[0])
    for lane in range(lanes):
        row = after(rows, lane * width)
        copy_row(row, x, starts[lane], inputs)
        if args.scale:
            for k in range(0, inputs, size):
                there = min(size, inputs - k)
                moved = load(row, k) - load_first(shift, k, there)
                store(row, k, moved * load_first(scale, k, there))


@compiled
def dense_forward(args, tile, workspace, like):
    """Compute the outputs of a tile."""
    size = lanes_of(pointer(0, like[0]))
    lanes, inputs, outputs = len(like) * size, args.inputs, args.outputs
    starts, width = pointer(workspace, 1), rounded(inputs, size)
    rows = after(pointer(workspace, like[0]), 2 * lanes)
    values = after(rows, lanes * (width + size))
    out = after(values, lanes * (width + size))
    bias = pointer(args.bias, like[0])
    row_starts(starts, args.batch, tile * lanes, lanes, args.x_batch)
    standardized_rows(rows, args, starts, lanes, like)
    for lane in range(lanes):
        starts[lane] = lane * width
    read_rows(values, lanes, rows, starts, inputs)
    for unit in range(outputs):
        fill(after(out, unit * lanes), lanes, bias[unit])
    add_matrix(out, pointer(args.weight, like[0]), inputs, 1, values, outputs, inputs, like)
    for place in range(0, outputs * lanes, size):
        store(out, place, activated(load(out, place), args.activation))
    row_starts(starts, args.batch, tile * lanes, lanes, args.out_batch)
    write_rows(pointer(args.out, like[0]), starts, out, lanes, outputs)


@compiled
def dense_backward(args, tile, partial, workspace, like):
    """Backpropagate through the layer; add the gradients of its weights to `partial`."""
    size = lanes_of(pointer(0, like[0]))
    lanes, inputs, outputs = len(like) * size, args.inputs, args.outputs
    starts, width = pointer(workspace, 1), rounded(inputs, size)
    rows = after(pointer(workspace, like[0]), 2 * lanes)
    values = after(rows, lanes * (width + size))
    out = after(values, lanes * (width + size))
    grad = after(out, lanes * (outputs + 2 * size))
    row_starts(starts, args.batch, tile * lanes, lanes, args.out_batch)
    fill(grad, padded(outputs) * lanes, 0.0)
    read_rows(grad, lanes, pointer(args.grad_out, like[0]), starts, outputs)
    fill(after(grad, outputs * lanes), (padded(outputs) - outputs) * lanes, 0.0)
    read_rows(out, lanes, pointer(args.out, like[0]), starts, outputs)
    bias_sum = after(partial, padded(outputs) * width)
    for unit in range(outputs):
        for place in range(unit * lanes, (unit + 1) * lanes, size):
            change = load(grad, place) * slope(load(out, place), args.activation)
            store(grad, place, change)
            bias_sum[unit] += total(change)
    row_starts(starts, args.batch, tile * lanes, lanes, args.x_batch)
    standardized_rows(rows, args, starts, lanes, like)
    outer_sum(partial, width, grad, padded(outputs), rows, lanes, like)
    if args.grad_inputs:
        weight, scale = pointer(args.weight, like[0]), pointer(args.scale, like[0])
        fill(values, args.grad_inputs * lanes, 0.0)
        add_matrix(values, weight, 1, inputs, grad, args.grad_inputs, outputs, like)
        if args.scale:
            for unit in range(args.grad_inputs):
                for place in range(unit * lanes, (unit + 1) * lanes, size):
                    store(values, place, load(values, place) * scale[unit])
        grad_x = pointer(args.grad_x, like[0])
        add_rows(values, lanes, grad_x, starts, rows, args.grad_inputs)
        write_rows(grad_x, starts, values, lanes, args.grad_inputs)


@compiled
def mask_tile(args, tile, backwards, like):
    """out = x * mask for the sequences of a tile; backwards, the gradient of x gets the share."""
    lanes = len(like) * lanes_of(pointer(0, like[0]))
    first, last = tile * lanes, min((tile + 1) * lanes, args.batch)
    mask = pointer(args.mask, like[0])
    x, out = pointer(args.x, like[0]), pointer(args.out, like[0])
    grad_x, grad_out = pointer(args.grad_x, like[0]), pointer(args.grad_out, like[0])
    for place in range(first * args.inputs, last * args.inputs):
        if backwards:
            grad_x[place] += grad_out[place] * mask[place]
        else:
            out[place] = x[place] * mask[place]


@compiled
def gradient_tile(args, tile, backwards, like):
    """Fill the gradients of a tile with zeros; backwards, add those of the second reader."""
    lanes = len(like) * lanes_of(pointer(0, like[0]))
    first, last = 0, args.count
    if not args.one_tile:
        first, last = tile * lanes * args.count, min((tile + 1) * lanes, args.batch) * args.count
    grad, other = pointer(args.grad_x, like[0]), pointer(args.other, like[0])
    if not backwards:
        fill(after(grad, first), last - first, 0.0)
        if args.other:
            fill(after(other, first), last - first, 0.0)
    elif args.other:
        for place in range(first, last):
            grad[place] += other[place]


def dense_workspace(inputs: int, outputs: int, lanes: int, size: int) -> int:
    """Return the values of workspace per thread that a dense layer on vectors needs."""
    return lanes * (2 + 2 * (inputs + 3 * size) + 2 * (outputs + 3 * size))
