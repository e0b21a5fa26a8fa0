"""Missing values, NaN in sequences, for `torch.fx`; see `unspool.nn.missing`."""

import torch
from torch import Tensor


def filled(x: Tensor, fill: Tensor | float | None) -> Tensor:
    """Replace missing values of sequences (B, T, F) by `fill`; None replaces nothing."""
    return x if fill is None else torch.where(x.isnan(), fill, x)


def marked(x: Tensor, fill: Tensor | float | None) -> Tensor:
    """Replace missing values of (B, T, F), and append indicators: (B, T, 2F)."""
    if fill is None:
        return x
    return torch.cat([filled(x, fill), x.isnan().type_as(x)], 2)


def carried(x: Tensor, steps: int) -> Tensor:
    """Replace missing values of (B, steps, F) by the last value before them, if there is one."""
    reach = 1
    while reach < steps:
        earlier = torch.cat([x[:, :reach], x[:, :-reach]], 1)
        x = torch.where(x.isnan(), earlier, x)
        reach *= 2
    return x
