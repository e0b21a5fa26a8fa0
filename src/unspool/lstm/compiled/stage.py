"""The arguments of the stages of a program that are no recurrent layers.

A stage reads and writes vectors, arrays (B, width) of the whole batch, and sequences, which hold
one tile as ``[step][lane][unit]`` or the whole batch as (B, T, width).
"""

from typing import NamedTuple

import numpy as np

LAYER, DENSE, MASK, GRADIENT, LOSS = range(5)  # kinds of stages
LINEAR, RELU, TANH, SIGMOID, SOFTMAX = range(5)  # activations
SQUARED, ABSOLUTE, HUBER, BINARY, CATEGORICAL = range(5)  # losses


class Stage(NamedTuple):
    """A stage of a program: its kind, sizes, flags, and the addresses of arrays.

    Strides count values. An address of 0 means that there is no such array.
    """

    kind: int = 0
    layer: int = 0  # of LAYER: position among the records of the recurrent layers
    batch: int = 0
    inputs: int = 0
    outputs: int = 0
    activation: int = 0
    x: int = 0  # what is read
    x_batch: int = 0
    x_step: int = 0
    one_tile: int = 0  # x and its gradient hold one tile
    grad_x: int = 0
    adds: int = 0  # the gradient of x is added to what is there
    partial: int = 0  # of segment 0: gradients of the weights, whole vectors per row, and biases
    partial_batch: int = 0  # values from one segment to the next
    partial_size: int = 0
    # DENSE reads a vector, and MASK multiplies one.
    weight: int = 0
    bias: int = 0
    shift: int = 0  # (inputs,), subtracted from x, which is then multiplied by `scale`
    scale: int = 0
    mask: int = 0  # (B, inputs)
    out: int = 0
    out_batch: int = 0
    grad_out: int = 0
    grad_inputs: int = 0  # number of first inputs with a gradient
    # GRADIENT fills gradients with zeros, and adds up what two readers have added.
    other: int = 0
    count: int = 0  # values per sequence, or of a tile
    # LOSS reads a sequence, or a vector as a sequence of one step.
    steps: int = 0
    lengths: int = 0
    layers: int = 0
    table: int = 0  # per layer: inputs, outputs, activation, and the addresses of four arrays
    widest: int = 0  # largest number of inputs or outputs of a layer
    features: int = 0  # of a softmax
    target: int = 0  # (B, T, outputs) without gaps between steps, like the three below
    target_batch: int = 0
    target_step: int = 0
    error_weights: int = 0
    factors: int = 0  # of the outputs, to which `offsets` are added then
    offsets: int = 0
    loss: int = 0
    losses: int = 0  # one per segment
    gradients: int = 0  # whether to compute gradients as well


STAGE = np.dtype([(name, np.int64) for name in Stage._fields] + [("weight_of_loss", np.float64)])
FIELDS = 7  # numbers in a row of the table of a loss
