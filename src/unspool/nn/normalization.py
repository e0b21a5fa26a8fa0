"""Normalisation of each sequence."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from unspool._types import NormalizationName
from unspool.blueprint.layers import VARIANCE_FLOOR
from unspool.lstm.pooling import total


class Level(NamedTuple):
    """Location and spread (B, 1, F) of sequences: ``normalised = (x - location) / spread``."""

    location: Tensor
    spread: Tensor

    def apply(self, x: Tensor) -> Tensor:
        """Normalise sequences (B, T, F)."""
        return (x - self.location) / self.spread


def level_of(
    x: Tensor,
    lengths: Tensor | None,
    normalization: NormalizationName,
    fill: Tensor | None = None,
) -> Level:
    """Compute location and spread of sequences x (B, T, F) over their real steps.

    They are 0 and 1 for a sequence without real steps.

    Parameters
    ----------
    normalization : {"none", "last", "standard"}
        "none": 0 and 1. "last": the last value and 1. "standard": the mean and the standard
        deviation, which is the square root of the variance plus a small constant, so that a
        constant sequence becomes zeros.
    fill : tensor of shape (F,), optional
        If values may be missing (NaN): the location of a feature that has no value in a sequence.
        Location and spread are those of the values that are present.
    """
    if fill is not None:
        return _level_of_present(x, lengths, normalization, fill)
    zeros = x.new_zeros(len(x), 1, x.shape[2])
    level = Level(zeros, torch.ones_like(zeros))
    if normalization == "none" or not x.shape[1]:
        return level
    if normalization == "last":
        if lengths is None:
            return level._replace(location=x[:, -1:])
        return level._replace(location=last_steps(x, lengths, 1)[0])
    if lengths is None:
        mean = total(x)[:, None] / x.shape[1]
        square = total((x - mean).square())[:, None] / x.shape[1]
        return Level(mean, (square + VARIANCE_FLOOR).sqrt())
    real = (torch.arange(x.shape[1], device=x.device) < lengths[:, None])[:, :, None]
    count = lengths.clamp(min=1)[:, None, None]
    mean = total(torch.where(real, x, 0.0))[:, None] / count
    square = total(torch.where(real, x - mean, 0.0).square())[:, None] / count
    has_steps = (lengths > 0)[:, None, None]
    return Level(mean, torch.where(has_steps, (square + VARIANCE_FLOOR).sqrt(), 1.0))


def _level_of_present(
    x: Tensor, lengths: Tensor | None, normalization: NormalizationName, fill: Tensor
) -> Level:
    """Compute location and spread over values that are not missing; see `level_of`."""
    zeros = x.new_zeros(len(x), 1, x.shape[2])
    level = Level(zeros, torch.ones_like(zeros))
    if normalization == "none":
        return level
    if not x.shape[1]:
        return level._replace(location=zeros + fill)
    steps = torch.arange(x.shape[1], device=x.device)[:, None]
    present = ~x.isnan()
    if lengths is not None:
        present = present & (steps < lengths[:, None, None])
    count = present.sum(1, keepdim=True)
    if normalization == "last":
        place = torch.where(present, steps, 0).amax(1, keepdim=True)
        return level._replace(location=torch.where(count > 0, x.gather(1, place), fill))
    mean = total(torch.where(present, x, 0.0))[:, None] / count.clamp(min=1)
    square = total(torch.where(present, x - mean, 0.0).square())[:, None] / count.clamp(min=1)
    spread = (square + VARIANCE_FLOOR).sqrt()
    return Level(torch.where(count > 0, mean, fill), torch.where(count > 0, spread, 1.0))


def normalised(
    x: Tensor,
    lengths: Tensor | None,
    normalization: NormalizationName,
    fill: Tensor | None = None,
) -> Tensor:
    """Normalise each of the sequences (B, T, F); missing values stay NaN. See `level_of`."""
    if normalization == "none":
        return x
    return level_of(x, lengths, normalization, fill).apply(x)


def last_steps(x: Tensor, lengths: Tensor | None, count: int) -> tuple[Tensor, Tensor | None]:
    """Take the last `count` real steps (B, count, F) of sequences (B, T, F).

    Steps before the start of a sequence are zeros. The second tensor (B, count, 1) is True at real
    steps; it is None if all are real.
    """
    if lengths is None:
        missing = count - x.shape[1]
        if missing <= 0:
            return x[:, -missing:], None
        real = torch.arange(count, device=x.device)[None, :, None] >= missing
        return functional.pad(x, (0, 0, missing, 0)), real.expand(len(x), -1, -1)
    indices = lengths[:, None] - count + torch.arange(count, device=x.device)
    real = (indices >= 0)[:, :, None]
    if not x.shape[1]:
        return x.new_zeros(len(x), count, x.shape[2]), real
    steps = x.gather(1, indices.clamp(min=0)[:, :, None].expand(-1, -1, x.shape[2]))
    return torch.where(real, steps, 0.0), real
