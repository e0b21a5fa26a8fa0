"""The last stage of a program, on one tile: dense layers on each step, the loss and its gradient.

Step by step, so that the outputs of the layers stay in the cache.
"""

import math

from unspool._losses import MIN_PROBABILITY, OUTSIDE_SLOPE
from unspool.lstm.compiled.dense_stage import activated, slope
from unspool.lstm.compiled.jit import compiled
from unspool.lstm.compiled.stage import (
    ABSOLUTE,
    BINARY,
    CATEGORICAL,
    FIELDS,
    HUBER,
    SOFTMAX,
)
from unspool.lstm.compiled.tiles import (
    add_rows,
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
    lanes_of,
    load,
    pointer,
    store,
    total,
    where_less,
)


@compiled
def loss_of(error, kind):
    """Return the loss of a difference, and its derivative."""
    size = where_less(error, 0.0, 0.0 - error, error)
    sign = where_less(error, 0.0, -1.0, where_less(0.0, error, 1.0, error * 0.0))
    if kind == ABSOLUTE:
        return size, sign
    if kind == HUBER:
        square, line = error * error * 0.5, size - 0.5
        return where_less(size, 1.0, square, line), where_less(size, 1.0, error, sign)
    return error * error, error + error


@compiled
def softmax(values, features, outputs, lanes):
    """Replace each group of `features` rows by its softmax."""
    for first in range(0, outputs, features):
        for lane in range(lanes):
            largest, sum_ = values[first * lanes + lane], 0.0
            for row in range(first, first + features):
                largest = max(largest, values[row * lanes + lane])
            for row in range(first, first + features):
                value = math.exp(values[row * lanes + lane] - largest)
                values[row * lanes + lane] = value
                sum_ += value
            for row in range(first, first + features):
                values[row * lanes + lane] = values[row * lanes + lane] / sum_


@compiled
def through_softmax(grad, values, features, outputs, lanes):
    """Turn the gradient of softmaxes into that of what they were computed from."""
    for first in range(0, outputs, features):
        for lane in range(lanes):
            mean = 0.0
            for row in range(first, first + features):
                mean += grad[row * lanes + lane] * values[row * lanes + lane]
            for row in range(first, first + features):
                place = row * lanes + lane
                grad[place] = values[place] * (grad[place] - mean)


@compiled
def crossentropies(losses, grad, values, target, limits, kind, count):
    """Write the cross-entropies of `count` probabilities, and their derivatives.

    `limits` has the smallest and the largest probability, with the type of the values.
    """
    for place in range(count):
        p, t = values[place], target[place]
        if kind == CATEGORICAL:
            q = max(p, limits[0])
            losses[place] = -t * math.log(q)
            grad[place] = -t / q if p >= limits[0] else 0.0
        else:
            q = min(max(p, limits[0]), limits[1])
            outside = p - q
            loss = abs(outside) * OUTSIDE_SLOPE - math.log1p(-q)
            losses[place] = loss - t * math.log(q / (1.0 - q))
            grad[place] = (q - t) / ((1.0 - q) * q)
            if outside != 0.0:
                grad[place] = OUTSIDE_SLOPE if outside > 0.0 else -OUTSIDE_SLOPE


@compiled
def pack_table(args, like):
    """Pack the weights of the dense layers."""
    table = pointer(args.table, 1)
    for layer in range(args.layers):
        row = after(table, layer * FIELDS)
        inputs, outputs, weights = row[0], row[1], pointer(row[3], like[0])
        pack(pointer(row[5], like[0]), inputs, 0, weights, outputs, inputs, inputs, 1)
        if args.gradients:
            pack(pointer(row[6], like[0]), outputs, 0, weights, inputs, outputs, 1, inputs)


@compiled
def loss_tile(args, tile, partial, workspace, like):
    """Run the dense layers of a tile, and backpropagate the loss to what they read.

    Returns the summed loss of the tile.
    """
    size = lanes_of(pointer(0, like[0]))
    lanes = len(like) * size
    first, hidden, layers = tile * lanes, args.inputs, args.layers
    table = pointer(args.table, 1)
    features = after(table, (layers - 1) * FIELDS)[1]
    last_activation = after(table, (layers - 1) * FIELDS)[2]
    wide = (rounded(args.widest, size) + size) * lanes
    starts = pointer(workspace, 1)
    x_starts, row_places = after(starts, lanes), after(starts, 2 * lanes)
    values = after(pointer(workspace, like[0]), 6 * lanes)  # what is read, outputs of each layer
    constant = after(values, (layers + 1) * wide)
    sums = after(constant, layers * wide)
    slopes = after(sums, layers * wide)
    below = after(slopes, wide)
    target = after(below, wide)
    error_weights = slopes  # which are written after the weights have been read
    rows = after(target, wide)
    factors = rows  # which are written after the factors have been read
    ends = after(rows, wide)
    losses = after(ends, lanes)
    limits = after(losses, lanes)
    limits[0], limits[1] = MIN_PROBABILITY, 1.0 - MIN_PROBABILITY
    x = pointer(args.target, like[0])
    h, grad_h = pointer(args.x, like[0]), pointer(args.grad_x, like[0])
    if args.one_tile:
        h, grad_h = after(h, -first * args.x_batch), after(grad_h, -first * args.x_batch)

    _, longest = lengths_in(args, first, lanes, ends)
    row_starts(starts, args.batch, first, lanes, args.x_batch)
    row_starts(x_starts, args.batch, first, lanes, args.target_batch)
    for layer in range(layers):
        row = after(table, layer * FIELDS)
        bias = pointer(row[4], like[0])
        for unit in range(padded(row[1])):
            value = bias[unit] if unit < row[1] else 0.0
            fill(after(constant, layer * wide + unit * lanes), lanes, value)
    fill(sums, layers * wide, 0.0)
    fill(losses, lanes, 0.0)

    for t in range(args.steps if args.gradients else longest):
        if t >= longest:
            if not args.adds:
                for lane in range(lanes):
                    if starts[lane] >= 0:
                        fill(after(grad_h, t * args.x_step + starts[lane]), hidden, 0.0)
            continue
        read_rows(values, lanes, after(h, t * args.x_step), starts, hidden)
        for layer in range(layers):
            row = after(table, layer * FIELDS)
            above = after(values, (layer + 1) * wide)
            packed = pointer(row[5], like[0])
            start = after(constant, layer * wide)
            product(above, start, packed, after(values, layer * wide), row[1], row[0], like)
            if row[2] == SOFTMAX:
                softmax(above, args.features, row[1], lanes)
            else:
                for place in range(0, row[1] * lanes, size):
                    store(above, place, activated(load(above, place), row[2]))

        shift = step_starts(
            x_starts, args, first, lanes, t, False, args.target_batch, args.target_step, True
        )
        read_rows(target, lanes, after(x, shift), x_starts, features)
        if args.error_weights:
            w = pointer(args.error_weights, like[0])
            read_rows(error_weights, lanes, after(w, shift), x_starts, features)
        above = after(values, layers * wide)
        prediction = above
        if args.factors:
            w, offsets = pointer(args.factors, like[0]), pointer(args.offsets, like[0])
            read_rows(factors, lanes, after(w, shift), x_starts, features)
            read_rows(below, lanes, after(offsets, shift), x_starts, features)
            for place in range(0, features * lanes, size):
                product_ = load(factors, place) * load(above, place)
                store(below, place, load(below, place) + product_)
            prediction = below
        if args.loss >= BINARY:  # losses replace the targets, and derivatives the predictions
            crossentropies(target, below, prediction, target, limits, args.loss, features * lanes)
        for place in range(0, features * lanes, size):
            if args.loss >= BINARY:
                loss, grad = load(target, place), load(below, place)
            else:
                loss, grad = loss_of(load(prediction, place) - load(target, place), args.loss)
            if args.factors:
                grad = grad * load(factors, place)
            if args.error_weights:
                weight = load(error_weights, place)
                loss, grad = weight * loss, weight * grad
            end, lane = load(ends, place % lanes), place % lanes
            store(losses, lane, load(losses, lane) + where_less(t, end, loss, 0.0))
            store(below, place, where_less(t, end, grad * args.weight_of_loss, 0.0))

        if not args.gradients:
            continue
        if last_activation == SOFTMAX:
            through_softmax(below, above, args.features, features, lanes)
        offset = args.partial_size
        for layer in range(layers - 1, -1, -1):
            row = after(table, layer * FIELDS)
            inputs, outputs = row[0], row[1]
            width = rounded(inputs, size)
            above = after(values, (layer + 1) * wide)
            for place in range(0, outputs * lanes, size):
                grad = load(below, place) * slope(load(above, place), row[2])
                store(slopes, place, grad)
            fill(after(slopes, outputs * lanes), (padded(outputs) - outputs) * lanes, 0.0)
            there = after(sums, layer * wide)
            for place in range(0, outputs * lanes, size):
                store(there, place, load(there, place) + load(slopes, place))
            if layer:
                for lane in range(lanes):
                    row_places[lane] = lane * width
                write_rows(rows, row_places, after(values, layer * wide), lanes, inputs)
            else:
                for lane in range(lanes):
                    copy_row(
                        after(rows, lane * width), after(h, t * args.x_step), starts[lane], inputs
                    )
            offset -= padded(outputs) * (width + 1)
            outer_sum(after(partial, offset), width, slopes, padded(outputs), rows, lanes, like)
            fill(below, padded(inputs) * lanes, 0.0)
            product(below, below, pointer(row[6], like[0]), slopes, inputs, outputs, like)
        there = after(grad_h, t * args.x_step)
        if args.adds:
            add_rows(below, lanes, there, starts, slopes, hidden)
        write_rows(there, starts, below, lanes, hidden)

    if args.gradients:
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


def loss_workspace(layers: int, widest: int, lanes: int, size: int) -> int:
    """Return the values of workspace per thread that the dense layers and the loss need."""
    wide = (widest + 2 * size) * lanes
    return (3 * layers + 6) * wide + 9 * lanes
