"""Means over time of dilated convolutions, computed for each sequence independently."""

from typing import NamedTuple

import numpy as np

from unspool.lstm.compiled.activations import hard_sigmoid
from unspool.lstm.compiled.jit import Kernel
from unspool.lstm.compiled.tiles import LARGE_BLOCK, fill, read_rows, rounded, row_starts
from unspool.lstm.compiled.vector import (
    add_products,
    after,
    lanes_of,
    load,
    load_block,
    pointer,
    store,
    store_block,
)


class Arguments(NamedTuple):
    """Arguments of the kernel: sizes, and addresses of arrays without gaps."""

    batch: int
    steps: int
    features: int
    taps: int
    each: int  # number of kernels of each dilation
    dilations: int  # number of dilations
    x: int  # (batch, steps, features)
    lengths: int  # (batch,), int64, or 0
    weight: int  # (dilations · each, taps, features)
    bias: int  # (dilations · each,)
    dilation: int  # (dilations,), int64
    out: int  # (batch, dilations · each)


RECORD = np.dtype([(name, np.int64) for name in Arguments._fields])


@Kernel
def means(record, first, last, workspace, like):
    """out[b, k] = mean over real steps of hard_sigmoid(bias[k] + weight[k] * x[b]).

    The convolution is causal: copies of its first step precede a sequence. Kernels are processed in
    panels, one kernel for each lane of the vectors in the tuple `like`. The weights of a panel are
    transposed once, ``[input][kernel]``, for the sequences from `first` to before `last`.
    """
    args = record[0]
    features, inputs = args.features, args.taps * args.features
    x, weight = pointer(args.x, like[0]), pointer(args.weight, like[0])
    bias, out = pointer(args.bias, like[0]), pointer(args.out, like[0])
    dilations = pointer(args.dilation, 1)
    size = lanes_of(x)
    width = len(like) * size
    starts = pointer(workspace, 1)
    panel_bias = after(pointer(workspace, like[0]), 2 * width)
    sums, block_sums = after(panel_bias, width), after(panel_bias, 2 * width)
    scratch = after(panel_bias, 3 * width)
    start = after(scratch, LARGE_BLOCK * width)
    panel = after(start, LARGE_BLOCK * width)
    padded = after(panel, rounded(inputs, size) * width)
    for group in range(args.dilations):
        dilation = dilations[group]
        before = (args.taps - 1) * dilation * features
        for column in range(0, args.each, width):
            kernel, there = group * args.each + column, min(width, args.each - column)
            row_starts(starts, group * args.each + args.each, kernel, width, inputs)
            read_rows(panel, width, weight, starts, inputs)
            fill(panel_bias, width, 0.0)
            for k in range(there):
                panel_bias[k] = bias[kernel + k]
            for row in range(LARGE_BLOCK):
                for lane in range(0, width, size):
                    store(start, row * width + lane, load(panel_bias, lane))
            for sequence in range(first, last):
                length = args.steps
                if args.lengths:
                    length = pointer(args.lengths, 1)[sequence]
                source = after(x, sequence * args.steps * features)
                values = after(padded, before)
                for k in range(before if length else 0):
                    padded[k] = source[k % features]
                for k in range(length * features):
                    values[k] = source[k]
                fill(after(values, length * features), LARGE_BLOCK * features, 0.0)
                fill(sums, width, 0.0)
                for t in range(0, length, LARGE_BLOCK):
                    block = load_block(start, width, LARGE_BLOCK, like)
                    for tap in range(args.taps):
                        numbers = after(padded, (t + tap * dilation) * features)
                        for f in range(features):
                            block = add_products(
                                block,
                                after(numbers, f),
                                features,
                                after(panel, (tap * features + f) * width),
                                LARGE_BLOCK,
                                like,
                            )
                    store_block(scratch, width, LARGE_BLOCK, like, block)
                    fill(block_sums, width, 0.0)
                    for row in range(min(LARGE_BLOCK, length - t)):
                        for lane in range(0, width, size):
                            activation = hard_sigmoid(load(scratch, row * width + lane))
                            store(block_sums, lane, load(block_sums, lane) + activation)
                    for lane in range(0, width, size):
                        store(sums, lane, load(sums, lane) + load(block_sums, lane))
                target = after(out, sequence * args.dilations * args.each + kernel)
                for k in range(there):
                    target[k] = sums[k] / max(length, 1)


def workspace_size(args: Arguments, largest_dilation: int, width: int, size: int) -> int:
    """Return the values of workspace per thread, for panels of `width` and vectors of `size`."""
    inputs = args.taps * args.features
    padded = (args.taps - 1) * largest_dilation + args.steps + LARGE_BLOCK
    whole: int = width * (5 + 2 * LARGE_BLOCK + rounded(inputs, size))
    return whole + padded * args.features
