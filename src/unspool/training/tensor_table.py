"""The addresses of many tensors in one table, so that a kernel visits all of them in one call."""

from collections.abc import Sequence

import numpy as np
import torch
from numba.core import config
from torch import Tensor

from unspool.data.sequences import IntArray
from unspool.lstm.compiled.optimizers import COUNT, SECOND, WEIGHT

BLOCK = 1 << 14  # maximum number of values of a row


def can_compile(tensors: Sequence[Tensor]) -> bool:
    """Return whether kernels can work on these tensors: float32, contiguous and on the CPU."""
    if config.DISABLE_JIT:  # type: ignore[attr-defined]  # read from the environment
        return False
    return all(one.is_cpu and one.dtype is torch.float32 and one.is_contiguous() for one in tensors)


class TensorTable:
    """A table for the kernels of `unspool.lstm.compiled.optimizers`.

    Parameters
    ----------
    sizes : sequence of int
        Number of values of each weight.
    """

    def __init__(self, sizes: Sequence[int]) -> None:
        starts = [(i, start) for i, size in enumerate(sizes) for start in range(0, size, BLOCK)]
        self.rows: IntArray = np.zeros((len(starts), SECOND + 1), np.int64)
        for row, (weight, start) in zip(self.rows, starts, strict=True):
            row[WEIGHT], row[COUNT] = weight, min(BLOCK, sizes[weight] - start)
        self.owners = self.rows[:, WEIGHT].copy()
        self.offsets = np.array([start * 4 for _, start in starts], np.int64)  # in bytes

    def __len__(self) -> int:
        return len(self.rows)

    def point(self, column: int, addresses: Sequence[int]) -> None:
        """Set the addresses of one tensor of each weight."""
        self.rows[:, column] = np.array(addresses, np.int64)[self.owners] + self.offsets
