"""A whole training step of an autoencoder of two LSTM layers, tile by tile.

For each tile: the encoder, the decoder, the dense layers on each step with the loss and its
gradient, and the backward pass through all of them. The states and gates of the tile stay in the
cache; a training step that runs layer by layer writes all of them to memory and reads them again.

The recurrence is that of `unspool.lstm.compiled.recurrence`; this file adds the dense layers, the
loss and the order.
"""

from typing import NamedTuple

from unspool.lstm.compiled.activations import tanh
from unspool.lstm.compiled.jit import Kernel, compiled
from unspool.lstm.compiled.recurrence import backward_tile, forward_tile, partial_size, tiles_of
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

LINEAR, RELU, TANH, SIGMOID = range(4)
SQUARED, ABSOLUTE, HUBER = range(3)


class DenseArguments(NamedTuple):
    """Arguments of the kernels for the dense layers and the loss.

    The table has a row of `FIELDS` numbers for each layer: inputs, outputs, activation, and the
    addresses of the weight, of the bias, of the packed weight and of the packed transposed weight.
    """

    layers: int
    table: int  # address
    widest: int  # largest number of inputs or outputs of a layer
    partial: int  # per segment: gradients of each layer's weight, in whole vectors, and bias
    partial_size: int
    loss: int  # SQUARED, ABSOLUTE or HUBER
    losses: int  # per segment: the sum of the losses
    error_weights: int  # address of the weights of the errors, with the strides of the target, or 0
    gradients: int  # whether to compute gradients as well


FIELDS = 7  # numbers in a row of the table


@compiled
def activated(x, activation):
    """Return the activation with this number."""
    if activation == RELU:
        return where_less(0.0, x, x, 0.0)
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
def loss_of(error, kind):
    """Return the loss with this number, and its derivative."""
    size = where_less(error, 0.0, 0.0 - error, error)
    sign = where_less(error, 0.0, -1.0, where_less(0.0, error, 1.0, error * 0.0))
    if kind == ABSOLUTE:
        return size, sign
    if kind == HUBER:
        square, line = error * error * 0.5, size - 0.5
        return where_less(size, 1.0, square, line), where_less(size, 1.0, error, sign)
    return error * error, error + error


@compiled
def add_up(sums, values, count):
    """sums[k] += values[k] for `count` values in whole vectors."""
    for place in range(0, count, lanes_of(sums)):
        store(sums, place, load(sums, place) + load(values, place))


@Kernel
def pack_dense(dense, like):
    """Pack the weights of the dense layers."""
    table = pointer(dense.table, 1)
    for layer in range(dense.layers):
        row = after(table, layer * FIELDS)
        inputs, outputs, weights = row[0], row[1], pointer(row[3], like[0])
        pack(pointer(row[5], like[0]), inputs, 0, weights, outputs, inputs, inputs, 1)
        pack(pointer(row[6], like[0]), outputs, 0, weights, inputs, outputs, 1, inputs)


@compiled
def dense_tile(args, dense, tile, partial, workspace, like):
    """Run the dense layers on the decoder's states, and backpropagate the loss to these states.

    `args` are those of the decoder, whose `grad_h` is written. The target is read from the first
    step to the last. Returns the summed loss of the tile.
    """
    size = lanes_of(pointer(0, like[0]))
    lanes = len(like) * size
    first, hidden, layers = tile * lanes, args.hidden, dense.layers
    table = pointer(dense.table, 1)
    features = after(table, (layers - 1) * FIELDS)[1]
    wide = (rounded(dense.widest, size) + size) * lanes
    starts = pointer(workspace, 1)
    x_starts, row_places = after(starts, lanes), after(starts, 2 * lanes)
    values = after(pointer(workspace, like[0]), 6 * lanes)  # states, then outputs of each layer
    constant = after(values, (layers + 1) * wide)
    sums = after(constant, layers * wide)
    slopes = after(sums, layers * wide)
    below = after(slopes, wide)
    target = after(below, wide)
    error_weights = slopes  # which are written after the weights have been read
    rows = after(target, wide)
    ends = after(rows, wide)
    losses = after(ends, lanes)
    x = pointer(args.target, like[0])
    w = pointer(dense.error_weights, like[0])
    h = after(pointer(args.h, like[0]), -first * args.h_batch)
    grad_h = after(pointer(args.grad_h, like[0]), -first * args.grad_h_batch)

    _, longest = lengths_in(args, first, lanes, ends)
    row_starts(starts, args.batch, first, lanes, hidden)
    row_starts(x_starts, args.batch, first, lanes, args.target_batch)
    for layer in range(layers):
        row = after(table, layer * FIELDS)
        bias = pointer(row[4], like[0])
        for unit in range(padded(row[1])):
            value = bias[unit] if unit < row[1] else 0.0
            fill(after(constant, layer * wide + unit * lanes), lanes, value)
    fill(sums, layers * wide, 0.0)
    fill(losses, lanes, 0.0)

    for t in range(args.steps if dense.gradients else longest):
        if t >= longest:
            for lane in range(lanes):
                if starts[lane] >= 0:
                    fill(after(grad_h, t * args.grad_h_step + starts[lane]), hidden, 0.0)
            continue
        read_rows(values, lanes, after(h, t * args.h_step), starts, hidden)
        for layer in range(layers):
            row = after(table, layer * FIELDS)
            above = after(values, (layer + 1) * wide)
            packed = pointer(row[5], like[0])
            start = after(constant, layer * wide)
            product(above, start, packed, after(values, layer * wide), row[1], row[0], like)
            for place in range(0, row[1] * lanes, size):
                store(above, place, activated(load(above, place), row[2]))

        shift = step_starts(
            x_starts, args, first, lanes, t, False, args.target_batch, args.target_step, True
        )
        read_rows(target, lanes, after(x, shift), x_starts, features)
        if dense.error_weights:
            read_rows(error_weights, lanes, after(w, shift), x_starts, features)
        above = after(values, layers * wide)
        for place in range(0, features * lanes, size):
            loss, grad = loss_of(load(above, place) - load(target, place), dense.loss)
            if dense.error_weights:
                weight = load(error_weights, place)
                loss, grad = weight * loss, weight * grad
            end, lane = load(ends, place % lanes), place % lanes
            store(losses, lane, load(losses, lane) + where_less(t, end, loss, 0.0))
            store(below, place, where_less(t, end, grad, 0.0))

        if not dense.gradients:
            continue
        offset = dense.partial_size
        for layer in range(layers - 1, -1, -1):
            row = after(table, layer * FIELDS)
            inputs, outputs = row[0], row[1]
            width = rounded(inputs, size)
            above = after(values, (layer + 1) * wide)
            for place in range(0, outputs * lanes, size):
                grad = load(below, place) * slope(load(above, place), row[2])
                store(slopes, place, grad)
            fill(after(slopes, outputs * lanes), (padded(outputs) - outputs) * lanes, 0.0)
            add_up(after(sums, layer * wide), slopes, outputs * lanes)
            if layer:
                for lane in range(lanes):
                    row_places[lane] = lane * width
                write_rows(rows, row_places, after(values, layer * wide), lanes, inputs)
            else:
                for lane in range(lanes):
                    copy_row(
                        after(rows, lane * width), after(h, t * args.h_step), starts[lane], inputs
                    )
            offset -= padded(outputs) * (width + 1)
            outer_sum(after(partial, offset), width, slopes, padded(outputs), rows, lanes, like)
            fill(below, padded(inputs) * lanes, 0.0)
            product(below, below, pointer(row[6], like[0]), slopes, inputs, outputs, like)
        write_rows(after(grad_h, t * args.grad_h_step), starts, below, lanes, hidden)

    if dense.gradients:
        offset = 0
        for layer in range(layers):
            row = after(table, layer * FIELDS)
            offset += padded(row[1]) * rounded(row[0], size)
            for unit in range(row[1]):
                for place in range(unit * lanes, (unit + 1) * lanes, size):
                    partial[offset + unit] += total(load(sums, layer * wide + place))
            offset += padded(row[1])
    loss = like[0]
    for place in range(0, lanes, size):
        loss += total(load(losses, place))
    return loss


@compiled
def multiply_rows(out, values, factors, args, tile, like):
    """out[b, k] = values[b, k] * factors[b, k] for the sequences of a tile; all are (B, H)."""
    lanes = len(like) * lanes_of(out)
    last = min((tile + 1) * lanes, args.batch)
    for place in range(tile * lanes * args.hidden, last * args.hidden):
        out[place] = values[place] * factors[place]


@Kernel
def train(records, dense, first_segment, last_segment, workspace, like, cell):
    """Compute loss and gradients of the tiles of the segments, summed per segment.

    `records` are the jobs of the encoder and of the decoder.
    """
    encoder, decoder = records[0], records[1]
    tiles, size = tiles_of(encoder, like), lanes_of(pointer(0, like[0]))
    encoder_size, decoder_size = (
        partial_size(encoder, size, cell),
        partial_size(decoder, size, cell),
    )
    losses = pointer(dense.losses, like[0])
    codes, mask = pointer(encoder.emitted, like[0]), pointer(encoder.emitted_mask, like[0])
    masked_codes = pointer(decoder.context, like[0])
    grad_codes = pointer(decoder.grad_context, like[0])
    for segment in range(first_segment, last_segment):
        encoder_sum = after(pointer(encoder.partial, like[0]), segment * encoder_size)
        decoder_sum = after(pointer(decoder.partial, like[0]), segment * decoder_size)
        dense_sum = after(pointer(dense.partial, like[0]), segment * dense.partial_size)
        if dense.gradients:
            fill(encoder_sum, encoder_size, 0.0)
            fill(decoder_sum, decoder_size, 0.0)
            fill(dense_sum, dense.partial_size, 0.0)
        losses[segment] = 0.0
        segments = encoder.segments
        for tile in range(segment * tiles // segments, (segment + 1) * tiles // segments):
            forward_tile(encoder, tile, workspace, like, cell)
            if encoder.emitted_mask:
                multiply_rows(masked_codes, codes, mask, encoder, tile, like)
            forward_tile(decoder, tile, workspace, like, cell)
            losses[segment] += dense_tile(decoder, dense, tile, dense_sum, workspace, like)
            if dense.gradients:
                backward_tile(decoder, tile, decoder_sum, workspace, like, cell)
                if encoder.emitted_mask:
                    multiply_rows(grad_codes, grad_codes, mask, encoder, tile, like)
                backward_tile(encoder, tile, encoder_sum, workspace, like, cell)


def workspace_size(dense: DenseArguments, lanes: int, size: int) -> int:
    """Return the values of workspace per thread that the dense layers need."""
    wide = (dense.widest + 2 * size) * lanes
    return (3 * dense.layers + 5) * wide + 8 * lanes
