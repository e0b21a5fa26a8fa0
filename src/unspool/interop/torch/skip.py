"""Normalisation of sequences and what leads to a forecast beside the code, for `torch.fx`."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from unspool import blueprint as plan
from unspool.blueprint.layers import VARIANCE_FLOOR
from unspool.interop.torch.layers import Batch


def level_of(x: Tensor, batch: Batch, normalization: str) -> tuple[Tensor, Tensor]:
    """Location and spread (B, 1, F) of sequences (B, T, F) over real steps, as in `unspool.nn`."""
    zero = torch.zeros_like(x[:, :1])
    if normalization == "none":
        return zero, zero + 1.0
    if normalization == "last":
        return batch.last(x).unsqueeze(1), zero + 1.0
    inside, begun = batch.inside.unsqueeze(2), (batch.lengths > 0).reshape(-1, 1, 1)
    count = batch.lengths.clamp(min=1).reshape(-1, 1, 1)
    mean = torch.where(inside, x, 0.0).sum(1, keepdim=True) / count
    apart = torch.where(inside, x - mean, 0.0)
    spread = ((apart * apart).sum(1, keepdim=True) / count + VARIANCE_FLOOR).sqrt()
    return mean, torch.where(begun, spread, 1.0)


def normalised(x: Tensor, batch: Batch, normalization: str) -> Tensor:
    """Sequences (B, T, F), each less its location and divided by its spread; zero past its end."""
    if normalization == "none":
        return x
    location, spread = level_of(x, batch, normalization)
    return torch.where(batch.inside.unsqueeze(2), (x - location) / spread, 0.0)


class Skip(nn.Module):
    """A sequence's level and a linear map of its last steps, added to what a decoder makes."""

    scale: Tensor
    weight: Tensor

    def __init__(self, part: plan.Skip) -> None:
        super().__init__()
        self.part = part
        self.register_buffer("scale", torch.ones(part.n_features))
        if part.steps:
            zeros = torch.zeros(part.n_features, part.horizon, part.columns)
            self.register_buffer("weight", zeros)

    def forward(self, output: Tensor, x: Tensor, batch: Batch) -> Tensor:
        """Forecasts (B, K, F) of a decoder's outputs, and sequences (B, T, F), scaled."""
        location, spread = self.level(x, batch)
        return location + spread * output

    def quantiles(self, output: Tensor, x: Tensor, batch: Batch) -> Tensor:
        """Quantiles (B, K, F, Q) of a decoder's outputs (B, K, F, Q)."""
        location, spread = self.level(x, batch)
        return location.unsqueeze(3) + spread.unsqueeze(3) * output

    def level(self, x: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """What is added to outputs (B, 1 or K, F), and what they are multiplied with (B, 1, F)."""
        location, spread = level_of(x, batch, self.part.normalization)
        spread = spread * self.scale
        if not self.part.steps:
            return location, spread
        apart = torch.where(batch.inside.unsqueeze(2), x - location, 0.0)
        padded = functional.pad(apart, (0, 0, self.part.steps, 0))
        # The last steps of a sequence stand from its length on.
        places = torch.ones_like(padded[:, : self.part.steps, :1], dtype=torch.int64).cumsum(1) - 1
        places = places + batch.lengths.long().reshape(-1, 1, 1)
        read = torch.take_along_dim(padded, places, 1)
        if self.part.normalization != "none":
            read = torch.cat([read, location], 1)
        linear = read.permute(2, 0, 1) @ self.weight.transpose(1, 2)
        return location + linear.permute(1, 2, 0), spread
