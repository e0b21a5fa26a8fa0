"""Reverse padded sequences within their lengths, and set padding to zero."""

import torch
from torch import Tensor


def reverse_within(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Reverse the real steps of every sequence (B, T, F); padding stays at the end."""
    if lengths is None:
        return x.flip(1)
    steps = torch.arange(x.shape[1], device=x.device)
    source = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
    return x.gather(1, source[:, :, None].expand_as(x))


def without_padding(x: Tensor, lengths: Tensor | None, value: float = 0.0) -> Tensor:
    """Set the padding of sequences (B, T, F) to zero, or to another value."""
    if lengths is None:
        return x
    real = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
    return torch.where(real[:, :, None], x, value)
