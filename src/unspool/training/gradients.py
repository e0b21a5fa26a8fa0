"""The norm of the gradients of a model, and clipping to it."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from unspool.lstm.compiled import optimizers as kernels
from unspool.training.tensor_table import TensorTable, can_compile

EPSILON = 1e-6  # added to the norm that gradients are divided by, as in PyTorch


class Gradients:
    """The gradients of some weights, which change from step to step.

    Gradients in float32 on the CPU are processed by kernels in one call. PyTorch needs one
    operation for each, and its threads would disturb those of other kernels.

    Parameters
    ----------
    parameters : sequence of nn.Parameter
        The weights. Those without a gradient are left out.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = parameters
        self.sizes: list[int] = []
        self.table = TensorTable([])

    def clip(self, limit: float | None = None) -> float | Tensor | None:
        """Scale the gradients to a norm of at most `limit`; return their norm before.

        A norm that is NaN or infinite is returned, and the gradients then remain unchanged.

        Parameters
        ----------
        limit : float, optional
            Largest norm over all weights. Default: no limit, only the norm is computed.

        Returns
        -------
        float, tensor or None
            The norm: a float if kernels have computed it, else a scalar tensor on the device. None
            without gradients.
        """
        gradients = [one.grad for one in self.parameters if one.grad is not None]
        if not gradients:
            return None
        if not can_compile(gradients):
            return _clip_in_pytorch(gradients, limit)
        sizes = [one.numel() for one in gradients]
        if sizes != self.sizes:
            self.sizes, self.table = sizes, TensorTable(sizes)
        table, rows = self.table.rows, len(self.table)
        self.table.point(kernels.GRADIENT, [one.data_ptr() for one in gradients])
        sums = np.empty(rows)
        kernels.sums_of_squares(table, sums)
        norm = math.sqrt(sums.sum())
        if limit is not None and math.isfinite(norm) and norm + EPSILON > limit:
            kernels.scale(table, np.float32(limit / (norm + EPSILON)))
        return norm


def _clip_in_pytorch(gradients: Sequence[Tensor], limit: float | None) -> Tensor:
    norm = torch.nn.utils.get_total_norm(gradients)
    if limit is not None and math.isfinite(norm):
        factor = (limit / (norm + EPSILON)).clamp(max=1.0)
        for one in gradients:
            one.mul_(factor)
    return norm
