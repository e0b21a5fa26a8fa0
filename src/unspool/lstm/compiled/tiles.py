"""Products inside a tile, and the way into it and out.

A tile is ``[row][lane]``: a lane to each sequence, rows being units, gates or features.
"""

from unspool.lstm.compiled.kernel import compiled
from unspool.lstm.compiled.vector import (
    MANY_REGISTERS,
    add_products,
    after,
    columns_to_rows,
    lanes_of,
    load_block,
    load_first,
    pointer,
    rows_to_columns,
    store,
    store_block,
)

FEW = 4  # rows of a small block; gates come in fours
MANY = 8 if MANY_REGISTERS else 4  # rows of a large one, two vectors wide


# Products.


@compiled
def padded(rows):
    """Rows of a product, with those that fill its last block."""
    return (rows + FEW - 1) // FEW * FEW


@compiled
def pack(out, depth, first, source, rows, columns, row_stride, column_stride):
    """Lay columns of a matrix out for `product`, as its columns from `first` on, of `depth`.

    Blocks of MANY rows come first, then blocks of FEW, each column by column; rows that fill the
    last block are zero.
    """
    for row in range(padded(rows)):
        height = MANY if row < rows // MANY * MANY else FEW
        block = row // height * height
        for column in range(columns):
            value = source[row * row_stride + column * column_stride] if row < rows else 0.0
            out[block * depth + (first + column) * height + row - block] = value


@compiled
def product(out, start, packed, vectors, rows, depth, like):
    """out[r] = start[r] + Σ_k packed[r, k] vectors[k], for `rows` rows and those that pad them.

    `like` is a tuple of as many numbers as a tile has vectors.
    """
    lanes = len(like) * lanes_of(out)
    large = rows // MANY * MANY
    for row in range(0, large, MANY):
        block = load_block(after(start, row * lanes), lanes, MANY, like)
        weights = after(packed, row * depth)
        for k in range(depth):
            block = add_products(
                block, after(weights, k * MANY), 1, after(vectors, k * lanes), MANY, like
            )
        store_block(after(out, row * lanes), lanes, MANY, like, block)
    for row in range(large, rows, FEW):
        block = load_block(after(start, row * lanes), lanes, FEW, like)
        weights = after(packed, row * depth)
        for k in range(depth):
            block = add_products(
                block, after(weights, k * FEW), 1, after(vectors, k * lanes), FEW, like
            )
        store_block(after(out, row * lanes), lanes, FEW, like, block)


@compiled
def outer_sum(out, width, gates, count, rows, lanes, like):
    """out[j] += Σ_b gates[j, b] rows[b], for `count` gates and rows of `width` values.

    `count` is a multiple of FEW, `width` of a vector.
    """
    size = lanes_of(out)
    pair, single = (like[0], like[0]), (like[0],)
    large = count // MANY * MANY
    for first in range(0, large, MANY):
        numbers = after(gates, first * lanes)
        for column in range(0, width - size, 2 * size):
            there = after(out, first * width + column)
            block = load_block(there, width, MANY, pair)
            for lane in range(lanes):
                block = add_products(
                    block,
                    after(numbers, lane),
                    lanes,
                    after(rows, lane * width + column),
                    MANY,
                    pair,
                )
            store_block(there, width, MANY, pair, block)
        if width // size % 2:
            there = after(out, first * width + width - size)
            block = load_block(there, width, MANY, single)
            for lane in range(lanes):
                block = add_products(
                    block,
                    after(numbers, lane),
                    lanes,
                    after(rows, lane * width + width - size),
                    MANY,
                    single,
                )
            store_block(there, width, MANY, single, block)
    for first in range(large, count, FEW):
        numbers = after(gates, first * lanes)
        for column in range(0, width, size):
            there = after(out, first * width + column)
            block = load_block(there, width, FEW, single)
            for lane in range(lanes):
                block = add_products(
                    block,
                    after(numbers, lane),
                    lanes,
                    after(rows, lane * width + column),
                    FEW,
                    single,
                )
            store_block(there, width, FEW, single, block)


# Into a tile, and out of it.


@compiled
def row_starts(starts, batch, first, lanes, stride):
    """Where each lane's row begins in an array with one every `stride`; -1 where there is none."""
    for lane in range(lanes):
        starts[lane] = (first + lane) * stride if first + lane < batch else -1


@compiled
def step_starts(starts, job, first, lanes, t, backwards, batch_stride, step_stride, absent):
    """Set `starts` to where each lane's step `t` begins; return how far to move them, all alike.

    Where `backwards`, a sequence is read from its own end. Past a sequence's end a step stands in
    its own place or, where `absent`, nowhere. Without lengths `starts` stay as `row_starts` gave
    them.
    """
    if not job.lengths:
        return (job.steps - 1 - t if backwards else t) * step_stride
    lengths = pointer(job.lengths, 1)
    for lane in range(lanes):
        sequence, start = first + lane, -1
        if sequence < job.batch:
            length = lengths[sequence]
            step = length - 1 - t if backwards and t < length else t
            if t < length or not absent:
                start = sequence * batch_stride + step * step_stride
        starts[lane] = start
    return 0


@compiled
def read_rows(out, lanes, source, starts, count):
    """out[k][lane] = source[starts[lane] + k], zeros where there is none.

    Rows up to a multiple of a vector are written.
    """
    size = lanes_of(out)
    if count < FEW:
        for k in range(count):
            for lane in range(lanes):
                start = starts[lane]
                out[k * lanes + lane] = source[start + k] if start >= 0 else 0.0
        return
    for k in range(0, count, size):
        for lane in range(0, lanes, size):
            rows_to_columns(
                after(out, k * lanes + lane),
                lanes,
                after(source, k),
                after(starts, lane),
                min(size, count - k),
            )


@compiled
def write_rows(out, starts, source, lanes, count):
    """out[starts[lane] + k] = source[k][lane], where there is such a row."""
    size = lanes_of(out)
    for k in range(0, count, size):
        for lane in range(0, lanes, size):
            columns_to_rows(
                after(out, k),
                after(starts, lane),
                after(source, k * lanes + lane),
                lanes,
                min(size, count - k),
            )


@compiled
def copy_row(out, source, start, count):
    """Copy `count` values from `start` on, or zeros where it is negative, in whole vectors.

    What follows the row in `out` is overwritten, up to a vector's length.
    """
    size = lanes_of(out)
    for k in range(0, count, size):
        there = min(size, count - k) if start >= 0 else 0
        store(out, k, load_first(source, max(start, 0) + k, there))


@compiled
def rounded(count, size):
    """`count` made a multiple of `size`."""
    return (count + size - 1) // size * size


@compiled
def fill(out, count, value):
    """Set `count` values."""
    for place in range(count):
        out[place] = value


@compiled
def lengths_in(job, first, lanes, ends):
    """Write each lane's length to `ends`; return the shortest and the longest.

    A lane without a sequence has length 0.
    """
    lengths = pointer(job.lengths, 1)
    shortest, longest = job.steps, 0
    for lane in range(lanes):
        length = 0
        if first + lane < job.batch:
            length = lengths[first + lane] if job.lengths else job.steps
        shortest, longest = min(shortest, length), max(longest, length)
        ends[lane] = length
    return shortest, longest
