"""Products of rows and a matrix, with the same bits for a row alone and in a batch."""

from typing import NamedTuple

import numpy as np

from unspool.lstm.compiled.jit import Kernel
from unspool.lstm.compiled.tiles import LARGE_BLOCK, fill, read_rows, rounded, row_starts
from unspool.lstm.compiled.vector import (
    add_products,
    after,
    lanes_of,
    load_block,
    pointer,
    store_block,
)


class Arguments(NamedTuple):
    """Arguments of the kernel: sizes, and addresses of arrays without gaps."""

    inputs: int
    outputs: int
    x: int  # (rows, inputs)
    weight: int  # (outputs, inputs)
    bias: int  # (outputs,)
    out: int  # (rows, outputs)


RECORD = np.dtype([(name, np.int64) for name in Arguments._fields])


@Kernel
def multiply(record, first, last, workspace, like):
    """out[r] = weight times x[r] + bias, for rows from `first` to before `last`.

    Outputs are processed in panels, one output for each lane of the vectors in the tuple `like`.
    The weights of a panel are transposed once, ``[input][output]``, and stay in the cache for all
    rows. The bias is added last: added first, a large one would cost digits in every sum.
    """
    args = record[0]
    inputs, outputs = args.inputs, args.outputs
    x, weight = pointer(args.x, like[0]), pointer(args.weight, like[0])
    bias, out = pointer(args.bias, like[0]), pointer(args.out, like[0])
    size = lanes_of(x)
    width = len(like) * size
    starts = pointer(workspace, 1)
    zeros = after(pointer(workspace, like[0]), 2 * width)
    panel_bias, ones = after(zeros, width), after(zeros, 2 * width)
    scratch = after(zeros, 3 * width)
    panel = after(scratch, LARGE_BLOCK * width)
    fill(zeros, width, 0.0)
    fill(ones, 1, 1.0)
    for column in range(0, outputs, width):
        there = min(width, outputs - column)
        row_starts(starts, outputs, column, width, inputs)
        read_rows(panel, width, weight, starts, inputs)
        fill(panel_bias, width, 0.0)
        for k in range(there):
            panel_bias[k] = bias[column + k]
        row = first
        while row < last:
            numbers, place = after(x, row * inputs), after(out, row * outputs + column)
            target, stride = (place, outputs) if there == width else (scratch, width)
            if row + LARGE_BLOCK <= last:
                height = LARGE_BLOCK
                block = load_block(zeros, 0, LARGE_BLOCK, like)
                for k in range(inputs):
                    block = add_products(
                        block, after(numbers, k), inputs, after(panel, k * width), LARGE_BLOCK, like
                    )
                block = add_products(block, ones, 0, panel_bias, LARGE_BLOCK, like)
                store_block(target, stride, LARGE_BLOCK, like, block)
            else:
                height = 1
                single = load_block(zeros, 0, 1, like)
                for k in range(inputs):
                    single = add_products(
                        single, after(numbers, k), inputs, after(panel, k * width), 1, like
                    )
                single = add_products(single, ones, 0, panel_bias, 1, like)
                store_block(target, stride, 1, like, single)
            if there < width:
                for one in range(height):
                    for k in range(there):
                        place[one * outputs + k] = scratch[one * width + k]
            row += height


def workspace_size(inputs: int, width: int, size: int) -> int:
    """Return the values of workspace per thread, for panels of `width` and vectors of `size`."""
    return width * (5 + LARGE_BLOCK + rounded(inputs, size))
