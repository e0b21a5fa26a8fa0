"""Convolutions in front of an LSTM, as layers that `torch.fx` can trace."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from unspool import blueprint as plan
from unspool.interop.torch.layers import LARGE, Batch
from unspool.nn.dense import ACTIVATIONS


class StepConvolutions(nn.ModuleList):
    """One `nn.Conv1d` for each convolution; see `unspool.nn.step_convolutions`."""

    def __init__(self, part: plan.StepConvolutions) -> None:
        channels = [part.inputs, *part.filters]
        super().__init__(
            nn.Conv1d(wide, narrow, kernel)
            for wide, narrow, kernel in zip(channels, part.filters, part.kernels, strict=False)
        )
        self.part, self.activation = part, ACTIVATIONS[part.activation]()

    def forward(self, x: Tensor, batch: Batch) -> tuple[Tensor, Batch]:
        """Return the outputs (B, P, filters) for sequences (B, T, F), and their batch."""
        for depth, (size, convolution) in enumerate(zip(self.part.pools, self, strict=False)):
            read = torch.where(batch.inside.unsqueeze(2), x, 0.0).transpose(1, 2)
            maps = convolution(functional.pad(read, self.part.edges(depth))).transpose(1, 2)
            x = self.activation(maps)
            if self.part.shortens:
                lengths = (batch.lengths - self.part.surplus(depth)).clamp(min=0)
                batch = Batch.of(x, lengths)
            if size > 1:
                x = torch.where(batch.inside.unsqueeze(2), x, -LARGE).transpose(1, 2)
                x = functional.pad(x, (0, size - 1), value=-LARGE)
                x = functional.max_pool1d(x, size).transpose(1, 2)
                batch = Batch.of(x, (batch.lengths + self.part.rounding(depth)) // size)
        return torch.where(batch.inside.unsqueeze(2), x, 0.0), batch
