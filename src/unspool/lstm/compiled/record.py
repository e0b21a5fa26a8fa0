"""The arguments of the recurrence kernels, which they receive as a record."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Record = npt.NDArray[np.void]


class Arguments(NamedTuple):
    """Arguments of the kernels: sizes, flags, and the addresses of arrays.

    Strides count values, not bytes. An address of 0 means that there is no such array. Kernels
    receive the arguments as a record, which takes Numba less time to unpack than a tuple of this
    length.
    """

    batch: int
    steps: int
    hidden: int
    features: int
    context_size: int
    relu: int
    hard: int
    reverse: int
    segments: int
    flip_x: int = 0  # x is read in the opposite order of the states
    one_tile: int = 0  # h, its gradient and the reserve hold one tile instead of the batch
    x_one_tile: int = 0  # x and its gradient hold one tile
    adds: int = 0  # gradients of x, the context, h0 and c0 are added to what is there
    # Inputs. The features of a step are contiguous, and so are its units.
    w_hh: int = 0
    w_ih: int = 0
    w_context: int = 0
    x: int = 0
    x_batch: int = 0
    x_step: int = 0
    context: int = 0
    h0: int = 0  # 0 for zeros, as c0
    c0: int = 0
    start_batch: int = 0  # stride of h0, c0 and their gradients
    lengths: int = 0
    h_mask: int = 0  # (B, H), multiplies the state that the gates read
    bias: int = 0
    packed: int = 0  # [w_hh, w_ih], packed for a product
    packed_context: int = 0
    # Outputs.
    h: int = 0
    h_batch: int = 0
    h_step: int = 0
    h_n: int = 0  # not written if 0, as c_n
    c_n: int = 0
    end_batch: int = 0  # stride of h_n, c_n and their gradients
    reserve: int = 0  # gates and c of every tile and step, for the backward pass
    # Statistics of the states: the array, its strides between sequences and between
    # statistics, and the index of each statistic, -1 if it is not requested. The gradient of the
    # deviation needs the mean.
    pooled: int = 0
    pooled_batch: int = 0
    pooled_step: int = 0
    takes_root: int = 0  # of the variance
    mean: int = -1
    deviation: int = -1
    largest: int = -1
    smallest: int = -1
    # Gradients.
    grad_pooled: int = 0
    grad_h: int = 0
    grad_h_batch: int = 0
    grad_h_step: int = 0
    grad_h_n: int = 0  # 0 for zeros, as grad_c_n
    grad_c_n: int = 0
    grad_x: int = 0
    grad_x_batch: int = 0
    grad_x_step: int = 0
    grad_context: int = 0
    grad_h0: int = 0
    grad_c0: int = 0
    partial: int = 0  # per segment: gradients of [w_hh, w_ih], of w_context and of the bias
    packed_back: int = 0  # w_hh transposed and packed
    packed_back_x: int = 0  # w_ih transposed and packed
    packed_back_context: int = 0


RECORD = np.dtype([(name, np.int64) for name in Arguments._fields])


def as_record(args: Arguments) -> Record:
    """Return `args` as the kernels receive them: an array of one record."""
    return np.array([args], RECORD)
