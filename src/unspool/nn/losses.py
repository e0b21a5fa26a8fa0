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


def masked_sum(errors: Tensor, lengths: Tensor | None) -> tuple[Tensor, int]:
    """Add up errors (B, T, F) over real steps.

    Returns
    -------
    total : scalar tensor
    count : int
        How many values went into it: real steps times features.
    """
    if lengths is None:
        return errors.sum(), errors.numel()
    real = torch.arange(errors.shape[1], device=errors.device) < lengths[:, None]
    return errors[real].sum(), int(lengths.sum()) * errors.shape[2]
