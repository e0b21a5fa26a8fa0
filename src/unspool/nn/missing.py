"""Missing values: NaN in sequences that a model with ``missing="mask"`` reads.

A value that is missing is NaN in every tensor until it is replaced here, so what a masked array
holds below its mask cannot influence any result.
"""

import torch
from torch import Tensor


def filled(x: Tensor, fill: Tensor | None) -> Tensor:
    """Replace missing values of sequences (B, T, F) by `fill` (F,); None replaces nothing."""
    return x if fill is None else torch.where(x.isnan(), fill, x)


def marked(x: Tensor, fill: Tensor | None) -> Tensor:
    """Replace missing values by `fill` (F,), and append indicators: (B, T, F) to (B, T, 2F).

    An indicator is 1 where a value is missing, else 0. A `fill` of None changes nothing.
    """
    if fill is None:
        return x
    hidden = x.isnan()
    return torch.cat([torch.where(hidden, fill, x), hidden.to(x)], -1)


def carried(x: Tensor) -> Tensor:
    """Replace missing values of (B, T, F) by the last value before them, if there is one."""
    reach = 1
    while reach < x.shape[1]:  # values are carried by up to 1, 3, 7, … steps
        earlier = torch.cat([x[:, :reach], x[:, :-reach]], 1)
        x = torch.where(x.isnan(), earlier, x)
        reach *= 2
    return x
