"""Normalisation of each sequence, and what is undone of it on its forecast."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from unspool.blueprint.layers import VARIANCE_FLOOR
from unspool.lstm.pooling import total


class Level(NamedTuple):
    """Location and spread of sequences: ``normalised = (x - location) / spread``.

    Parameters
    ----------
    location, spread : tensors of shape (B, 1, F)
    """

    location: Tensor
    spread: Tensor

    def apply(self, x: Tensor) -> Tensor:
        """Normalise sequences (B, T, F)."""
        return (x - self.location) / self.spread


def level_of(x: Tensor, lengths: Tensor | None, normalization: str) -> Level:
    """The level of sequences x (B, T, F) over their real steps; 0 and 1 of one without any.

    Parameters
    ----------
    normalization : {"none", "last", "standard"}
        Nothing, the last value, or mean and standard deviation. The latter is the square root of
        the variance plus a small constant, so that a constant sequence becomes zeros.
    """
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
    begun = (lengths > 0)[:, None, None]
    return Level(mean, torch.where(begun, (square + VARIANCE_FLOOR).sqrt(), 1.0))


def normalised(x: Tensor, lengths: Tensor | None, normalization: str) -> Tensor:
    """Sequences (B, T, F), each less its location and divided by its spread."""
    if normalization == "none":
        return x
    return level_of(x, lengths, normalization).apply(x)


def last_steps(x: Tensor, lengths: Tensor | None, count: int) -> tuple[Tensor, Tensor | None]:
    """The last `count` real steps (B, count, F) of sequences (B, T, F), zeros before their start.

    The second tensor (B, count, 1) says which of them are real; None where all are.
    """
    if lengths is None:
        missing = count - x.shape[1]
        if missing <= 0:
            return x[:, -missing:], None
        real = torch.arange(count, device=x.device)[None, :, None] >= missing
        return functional.pad(x, (0, 0, missing, 0)), real.expand(len(x), -1, -1)
    places = lengths[:, None] - count + torch.arange(count, device=x.device)
    real = (places >= 0)[:, :, None]
    if not x.shape[1]:
        return x.new_zeros(len(x), count, x.shape[2]), real
    steps = x.gather(1, places.clamp(min=0)[:, :, None].expand(-1, -1, x.shape[2]))
    return torch.where(real, steps, 0.0), real
