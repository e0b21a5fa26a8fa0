"""Normalization of sequences, and the linear path to a forecast, for `torch.fx`."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from unspool import blueprint as plan
from unspool.blueprint.layers import VARIANCE_FLOOR
from unspool.interop.torch.layers import Batch
from unspool.interop.torch.missing import carried, filled


def level_of(
    x: Tensor, batch: Batch, normalization: str, fill: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return location and spread (B, 1, F) of x (B, T, F) over real steps, as in `unspool.nn`.

    With `fill` (F,), values may be missing.
    """
    zero = torch.zeros_like(x[:, :1])
    if normalization == "none":
        return zero, zero + 1.0
    if fill is not None:
        return _level_of_present(x, batch, normalization, fill)
    if normalization == "last":
        return batch.last(x).unsqueeze(1), zero + 1.0
    inside, has_steps = batch.inside.unsqueeze(2), (batch.lengths > 0).reshape(-1, 1, 1)
    count = batch.lengths.clamp(min=1).reshape(-1, 1, 1)
    mean = torch.where(inside, x, 0.0).sum(1, keepdim=True) / count
    difference = torch.where(inside, x - mean, 0.0)
    spread = ((difference * difference).sum(1, keepdim=True) / count + VARIANCE_FLOOR).sqrt()
    return mean, torch.where(has_steps, spread, 1.0)


def _level_of_present(
    x: Tensor, batch: Batch, normalization: str, fill: Tensor
) -> tuple[Tensor, Tensor]:
    """Return location and spread over the values that are not missing."""
    present = torch.logical_and(batch.inside.unsqueeze(2), torch.logical_not(x.isnan()))
    count = present.sum(1, keepdim=True)
    if normalization == "last":
        steps = torch.ones_like(present, dtype=torch.int64).cumsum(1) - 1
        place = torch.where(present, steps, 0).amax(1, keepdim=True)
        last = torch.where(count > 0, torch.take_along_dim(x, place, 1), fill)
        return last, torch.ones_like(last)
    divisor = count.clamp(min=1)
    mean = torch.where(present, x, 0.0).sum(1, keepdim=True) / divisor
    difference = torch.where(present, x - mean, 0.0)
    spread = ((difference * difference).sum(1, keepdim=True) / divisor + VARIANCE_FLOOR).sqrt()
    return torch.where(count > 0, mean, fill), torch.where(count > 0, spread, 1.0)


def normalized(x: Tensor, batch: Batch, normalization: str, fill: Tensor | None = None) -> Tensor:
    """Subtract the location of each sequence (B, T, F), and divide it by its spread."""
    if normalization == "none":
        return x
    location, spread = level_of(x, batch, normalization, fill)
    return torch.where(batch.inside.unsqueeze(2), (x - location) / spread, 0.0)


class Skip(nn.Module):
    """Adds the level of a sequence and a linear map of its last steps to a decoder's output."""

    scale: Tensor
    fill: Tensor | None
    weight: Tensor

    def __init__(self, part: plan.Skip) -> None:
        super().__init__()
        self.part = part
        self.register_buffer("scale", torch.ones(part.n_features))
        self.register_buffer("fill", torch.zeros(part.n_features) if part.missing else None)
        if part.steps:
            zeros = torch.zeros(part.n_features, part.horizon, part.columns)
            self.register_buffer("weight", zeros)

    def forward(self, output: Tensor, x: Tensor, batch: Batch) -> Tensor:
        """Return forecasts (B, K, F) of a decoder's output and of scaled sequences (B, T, F)."""
        location, spread = self.level(x, batch)
        return location + spread * output

    def quantiles(self, output: Tensor, x: Tensor, batch: Batch) -> Tensor:
        """Return quantiles (B, K, F, Q) of a decoder's output (B, K, F, Q)."""
        location, spread = self.level(x, batch)
        return location.unsqueeze(3) + spread.unsqueeze(3) * output

    def level(self, x: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the summand (B, 1 or K, F) and the factor (B, 1, F) of a decoder's output."""
        location, spread = level_of(x, batch, self.part.normalization, self.fill)
        spread = spread * self.scale
        if not self.part.steps:
            return location, spread
        centred = torch.where(batch.inside.unsqueeze(2), x - location, 0.0)
        padded = functional.pad(centred, (0, 0, self.part.steps, 0))
        # In `padded`, the last steps of a sequence start at the index of its length.
        indices = torch.ones_like(padded[:, : self.part.steps, :1], dtype=torch.int64).cumsum(1) - 1
        indices = indices + batch.lengths.long().reshape(-1, 1, 1)
        last = torch.take_along_dim(padded, indices, 1)
        if self.fill is not None:  # nothing is carried from before the start
            before = indices < self.part.steps
            rest = self.fill if self.part.normalization == "none" else 0.0
            last = filled(carried(torch.where(before, torch.nan, last), self.part.steps), rest)
            last = torch.where(before, 0.0, last)
        if self.part.normalization != "none":
            last = torch.cat([last, location], 1)
        linear = last.permute(2, 0, 1) @ self.weight.transpose(1, 2)
        return location + linear.permute(1, 2, 0), spread
