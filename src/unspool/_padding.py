"""Padded sequences: read backwards, each from its own end, and cleared past it."""

import torch
from torch import Tensor


def reverse_within(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Turn round the real steps of every sequence (B, T, F) and leave its padding in place."""
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1], device=x.device)
    source = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
    return x.gather(1, source[:, :, None].expand_as(x))


def without_padding(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Sequences (B, T, F) with zeros past their ends."""
    if lengths is None:
        return x
    real = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
    return torch.where(real[:, :, None], x, 0.0)
