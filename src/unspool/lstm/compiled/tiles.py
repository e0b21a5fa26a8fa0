"""Products inside a tile, and copying into and out of a tile.

A tile is ``[row][lane]``: one lane per sequence, where rows are units, gates or features.
"""

from unspool.lstm.compiled.jit import compiled, shared
from unspool.lstm.compiled.vector import (
    MANY_REGISTERS,
    add_products,
    after,
    columns_to_rows,
    fma,
    lanes_of,
    load,
    load_block,
    load_first,
    pointer,
    rows_to_columns,
    store,
    store_block,
)

SMALL_BLOCK = 4  # rows of a small block; the number of gates is a multiple of it
LARGE_BLOCK = 8 if MANY_REGISTERS else 4  # rows of a large block, which is two vectors wide


# Products.


@compiled
def padded(rows):
    """Return the number of rows of a product, rounded up to whole blocks."""
    return (rows + SMALL_BLOCK - 1) // SMALL_BLOCK * SMALL_BLOCK


@compiled
def pack(out, depth, first, source, rows, columns, row_stride, column_stride):
    """Write columns of a matrix in the layout of `product`, as its columns from `first` on.

    Blocks of LARGE_BLOCK rows come first, then blocks of SMALL_BLOCK rows, each column by column;
    the packed matrix has `depth` columns. Rows that fill the last block are zero.
    """
    for row in range(padded(rows)):
        height = LARGE_BLOCK if row < rows // LARGE_BLOCK * LARGE_BLOCK else SMALL_BLOCK
        block = row // height * height
        for column in range(columns):
            value = source[row * row_stride + column * column_stride] if row < rows else 0.0
            out[block * depth + (first + column) * height + row - block] = value


@compiled
def product(out, start, packed, vectors, rows, depth, like):
    """out[r] = start[r] + Σ_k packed[r, k] vectors[k], for `rows` rows and their padding.

    `like` is a tuple with one number per vector of a tile.
    """
    lanes = len(like) * lanes_of(out)
    large = rows // LARGE_BLOCK * LARGE_BLOCK
    for row in range(0, large, LARGE_BLOCK):
        block = load_block(after(start, row * lanes), lanes, LARGE_BLOCK, like)
        weights = after(packed, row * depth)
        for k in range(depth):
            block = add_products(
                block,
                after(weights, k * LARGE_BLOCK),
                1,
                after(vectors, k * lanes),
                LARGE_BLOCK,
                like,
            )
        store_block(after(out, row * lanes), lanes, LARGE_BLOCK, like, block)
    for row in range(large, rows, SMALL_BLOCK):
        block = load_block(after(start, row * lanes), lanes, SMALL_BLOCK, like)
        weights = after(packed, row * depth)
        for k in range(depth):
            block = add_products(
                block,
                after(weights, k * SMALL_BLOCK),
                1,
                after(vectors, k * lanes),
                SMALL_BLOCK,
                like,
            )
        store_block(after(out, row * lanes), lanes, SMALL_BLOCK, like, block)


@compiled
def outer_sum(out, width, gates, count, rows, lanes, like):
    """out[j] += Σ_b gates[j, b] rows[b], for `count` gates and rows of `width` values.

    `count` is a multiple of SMALL_BLOCK, and `width` a multiple of a vector.
    """
    size = lanes_of(out)
    pair, single = (like[0], like[0]), (like[0],)
    large = count // LARGE_BLOCK * LARGE_BLOCK
    for first in range(0, large, LARGE_BLOCK):
        numbers = after(gates, first * lanes)
        for column in range(0, width - size, 2 * size):
            there = after(out, first * width + column)
            block = load_block(there, width, LARGE_BLOCK, pair)
            for lane in range(lanes):
                block = add_products(
                    block,
                    after(numbers, lane),
                    lanes,
                    after(rows, lane * width + column),
                    LARGE_BLOCK,
                    pair,
                )
            store_block(there, width, LARGE_BLOCK, pair, block)
        if width // size % 2:
            there = after(out, first * width + width - size)
            block = load_block(there, width, LARGE_BLOCK, single)
            for lane in range(lanes):
                block = add_products(
                    block,
                    after(numbers, lane),
                    lanes,
                    after(rows, lane * width + width - size),
                    LARGE_BLOCK,
                    single,
                )
            store_block(there, width, LARGE_BLOCK, single, block)
    for first in range(large, count, SMALL_BLOCK):
        numbers = after(gates, first * lanes)
        for column in range(0, width, size):
            there = after(out, first * width + column)
            block = load_block(there, width, SMALL_BLOCK, single)
            for lane in range(lanes):
                block = add_products(
                    block,
                    after(numbers, lane),
                    lanes,
                    after(rows, lane * width + column),
                    SMALL_BLOCK,
                    single,
                )
            store_block(there, width, SMALL_BLOCK, single, block)


# Copying into and out of a tile.


@compiled
def row_starts(starts, batch, first, lanes, stride):
    """Set where each lane's row begins in an array with a row every `stride`; -1 if it has none."""
    for lane in range(lanes):
        starts[lane] = (first + lane) * stride if first + lane < batch else -1


@compiled
def step_starts(starts, args, first, lanes, t, backwards, batch_stride, step_stride, absent):
    """Set `starts` to where step `t` of each lane begins; return an offset to add to all of them.

    With `backwards`, a sequence is read from its last real step. Past the end of a sequence, the
    step is its own position, or -1 with `absent`. Without lengths, `starts` remain as `row_starts`
    set them.
    """
    if not args.lengths:
        return (args.steps - 1 - t if backwards else t) * step_stride
    lengths = pointer(args.lengths, 1)
    for lane in range(lanes):
        sequence, start = first + lane, -1
        if sequence < args.batch:
            length = lengths[sequence]
            step = length - 1 - t if backwards and t < length else t
            if t < length or not absent:
                start = sequence * batch_stride + step * step_stride
        starts[lane] = start
    return 0


@compiled
def read_rows(out, lanes, source, starts, count):
    """out[k][lane] = source[starts[lane] + k], zeros in lanes without a row.

    `out` is written up to a multiple of a vector.
    """
    size = lanes_of(out)
    if count < SMALL_BLOCK:
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
def add_rows(out, lanes, source, starts, scratch, count):
    """out[k][lane] += source[starts[lane] + k]; `scratch` is as large as `out`."""
    read_rows(scratch, lanes, source, starts, count)
    for place in range(0, count * lanes, lanes_of(out)):
        store(out, place, load(out, place) + load(scratch, place))


@compiled
def write_rows(out, starts, source, lanes, count):
    """out[starts[lane] + k] = source[k][lane], in lanes that have a row."""
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
    """Copy `count` values from `start` on in whole vectors, or zeros if `start` is negative.

    Up to a vector's length after the row is overwritten in `out`.
    """
    size = lanes_of(out)
    for k in range(0, count, size):
        there = min(size, count - k) if start >= 0 else 0
        store(out, k, load_first(source, max(start, 0) + k, there))


@compiled
def multiply_row(out, source, start, count):
    """Multiply `count` values by those of `source` from `start` on, or by zeros if it is negative.

    Up to a vector's length after the row is overwritten in `out`.
    """
    size = lanes_of(out)
    for k in range(0, count, size):
        there = min(size, count - k) if start >= 0 else 0
        store(out, k, load(out, k) * load_first(source, max(start, 0) + k, there))


@compiled
def multiply(out, values, factors, count):
    """out[k] = values[k] * factors[k] for `count` values in whole vectors."""
    for place in range(0, count, lanes_of(out)):
        store(out, place, load(values, place) * load(factors, place))


@compiled
def add_products_of(out, values, factors, count):
    """out[k] += values[k] * factors[k] for `count` values in whole vectors."""
    for place in range(0, count, lanes_of(out)):
        store(out, place, fma(load(values, place), load(factors, place), load(out, place)))


@shared
def rounded(count, size):
    """Return `count` rounded up to a multiple of `size`."""
    return (count + size - 1) // size * size


@compiled
def fill(out, count, value):
    """Set `count` values."""
    for place in range(count):
        out[place] = value


@compiled
def lengths_in(args, first, lanes, ends):
    """Write each lane's length to `ends`; return the shortest and the longest.

    A lane without a sequence has length 0.
    """
    lengths = pointer(args.lengths, 1)
    shortest, longest = args.steps, 0
    for lane in range(lanes):
        length = 0
        if first + lane < args.batch:
            length = lengths[first + lane] if args.lengths else args.steps
        shortest, longest = min(shortest, length), max(longest, length)
        ends[lane] = length
    return shortest, longest
