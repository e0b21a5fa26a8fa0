"""A training step as a program of stages, tile by tile, forward and backward.

Each tile of the batch runs through all stages, forward and backward, so that its states and gates
stay in the cache. Stages of a group do not depend on each other (the directions of a layer). If
there are fewer segments than threads, several threads run the same segment: each takes the next
stage of the group that nobody has taken, and goes on to the next group when all stages of the group
are done. A stage writes the same numbers whoever runs it, so the number of threads changes no bit;
and a thread that never begins holds nobody up.
"""

from typing import NamedTuple

import numpy as np

from unspool.lstm.compiled.atomic import fetch_add, load_atomic
from unspool.lstm.compiled.cells import pack_transposed, pack_weights
from unspool.lstm.compiled.dense_stage import (
    dense_backward,
    dense_forward,
    gradient_tile,
    mask_tile,
)
from unspool.lstm.compiled.jit import Kernel, compiled
from unspool.lstm.compiled.loss_stage import loss_tile, pack_table
from unspool.lstm.compiled.recurrence import backward_tile, forward_tile
from unspool.lstm.compiled.stage import DENSE, GRADIENT, LAYER, LOSS, MASK
from unspool.lstm.compiled.tiles import fill
from unspool.lstm.compiled.vector import after, pointer


class Program(NamedTuple):
    """The arguments of a program that are no arguments of its stages."""

    stages: int
    groups: int
    first_stages: int  # address of the first stage of each group, and the number of stages
    tiles: int
    segments: int
    shared: int  # whether several threads run the same segment, whose buffers it has
    gradients: int
    counters: int  # two for each stage of `pack`, and two for each group of each tile and pass


PROGRAM = np.dtype([(name, np.int64) for name in Program._fields])


@compiled
def pack_stage(stage, layer, like, cell):
    """Pack the weights of a stage."""
    if stage.kind == LAYER:
        pack_weights(layer, like, cell)
        if stage.gradients:
            pack_transposed(layer, like, cell)
    elif stage.kind == LOSS:
        pack_table(stage, like)


@compiled
def forward_stage(stage, layer, segment, tile, begins, workspace, like, cell):
    """Run a stage forward on a tile, the first one of its segment if `begins`."""
    partial = after(pointer(stage.partial, like[0]), segment * stage.partial_batch)
    if begins and stage.gradients:
        fill(partial, stage.partial_size, 0.0)
    if stage.kind == LAYER:
        forward_tile(layer, tile, workspace, like, cell)
    elif stage.kind == DENSE:
        dense_forward(stage, tile, workspace, like)
    elif stage.kind == MASK:
        mask_tile(stage, tile, False, like)
    elif stage.kind == GRADIENT:
        gradient_tile(stage, tile, False, like)
    else:
        losses = pointer(stage.losses, like[0])
        loss = loss_tile(stage, tile, partial, workspace, like)
        losses[segment] = loss if begins else losses[segment] + loss


@compiled
def backward_stage(stage, layer, segment, tile, workspace, like, cell):
    """Run a stage backward on a tile."""
    partial = after(pointer(stage.partial, like[0]), segment * stage.partial_batch)
    if stage.kind == LAYER:
        backward_tile(layer, tile, partial, workspace, like, cell)
    elif stage.kind == DENSE:
        dense_backward(stage, tile, partial, workspace, like)
    elif stage.kind == MASK:
        mask_tile(stage, tile, True, like)
    elif stage.kind == GRADIENT:
        gradient_tile(stage, tile, True, like)


@Kernel
def train(program, layers, stages, first_item, last_item, thread, workspace, like, cell):
    """Run work items: each is all tiles of a segment, forward and backward.

    `layers` and `stages` have the records of each set of buffers. An item beyond the number of
    segments helps with a segment that other threads run too.
    """
    args = program[0]
    packing, first_stages = pointer(args.counters, 1), pointer(args.first_stages, 1)
    k = fetch_add(packing, 1)
    while k < args.stages:
        pack_stage(stages[0, k], layers[0, stages[0, k].layer], like, cell)
        fetch_add(after(packing, 1), 1)
        k = fetch_add(packing, 1)
    while load_atomic(after(packing, 1)) < args.stages:
        pass
    passes = 2 * args.groups if args.gradients else args.groups
    for item in range(first_item, last_item):
        segment = item % args.segments
        buffers = segment if args.shared else thread
        first_tile = segment * args.tiles // args.segments
        for tile in range(first_tile, (segment + 1) * args.tiles // args.segments):
            for step in range(passes):
                group = step if step < args.groups else passes - 1 - step
                first_stage = first_stages[group]
                count = first_stages[group + 1] - first_stage
                taken = after(packing, 2 + 2 * (tile * passes + step))
                k = fetch_add(taken, 1)
                while k < count:
                    stage = stages[buffers, first_stage + k]
                    layer = layers[buffers, stage.layer]
                    if step < args.groups:
                        begins = tile == first_tile
                        forward_stage(stage, layer, segment, tile, begins, workspace, like, cell)
                    else:
                        backward_stage(stage, layer, segment, tile, workspace, like, cell)
                    fetch_add(after(taken, 1), 1)
                    k = fetch_add(taken, 1)
                while load_atomic(after(taken, 1)) < count:
                    pass


@Kernel
def collect(table, pieces, partial, partial_batch, segments, out, like):
    """Sum the gradients of the segments, in their order, without the padding of rows.

    `table` has five numbers for each piece: where it begins in a segment, its rows, the values from
    one row to the next, its columns, and where it begins in `out`.
    """
    table, gradients = pointer(table, 1), pointer(out, like[0])
    for piece in range(pieces):
        row = after(table, 5 * piece)
        width, columns = row[2], row[3]
        for k in range(row[1]):
            source = after(pointer(partial, like[0]), row[0] + k * width)
            there = after(gradients, row[4] + k * columns)
            for column in range(columns):
                there[column] = source[column]
            for _ in range(1, segments):
                source = after(source, partial_batch)
                for column in range(columns):
                    there[column] += source[column]
