"""Losses over the real steps of padded batches, as sums and counts so that means stay honest."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

Elementwise = Callable[[Tensor, Tensor], Tensor]


def _mse(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.mse_loss(prediction, target, reduction="none")


def _mae(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.l1_loss(prediction, target, reduction="none")


def _huber(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.huber_loss(prediction, target, reduction="none")


LOSSES: Mapping[str, Elementwise] = {"mse": _mse, "mae": _mae, "huber": _huber}


def masked_sum(errors: Tensor, lengths: Tensor | None) -> Tensor:
    """Add up errors (B, T, F) over real steps."""
    if lengths is None:
        return errors.sum()
    real = torch.arange(errors.shape[1], device=errors.device) < lengths[:, None]
    return errors[real].sum()


def count_values(x: Tensor, lengths: Tensor | None) -> int:
    """How many values of x (B, T, F) are real: steps times features."""
    return x.numel() if lengths is None else int(lengths.sum()) * x.shape[2]
