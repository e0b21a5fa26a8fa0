"""Losses over the real steps of padded batches, as sums and counts so that means stay honest."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from unspool._losses import BY_STEP, LEAST, SLOPE, loss_name

Elementwise = Callable[[Tensor, Tensor], Tensor]


def _mse(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.mse_loss(prediction, target, reduction="none")


def _mae(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.l1_loss(prediction, target, reduction="none")


def _huber(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.huber_loss(prediction, target, reduction="none")


class _BinaryCrossentropy(torch.autograd.Function):
    """Written out, since autograd takes three times as long over its dozen small operations.

    With p the prediction, t the target and q = p clamped to 0–1: ``-t log q - (1 - t) log(1 - q)``,
    whose slope is ``(q - t) / (q (1 - q))``; beyond 0–1 a line of slope `SLOPE` away from it.
    """

    @staticmethod
    def forward(ctx: Any, prediction: Tensor, target: Tensor) -> Tensor:
        inside = prediction.clamp(LEAST, 1 - LEAST)
        ctx.save_for_backward(prediction, inside, target)
        beyond = (prediction - inside).abs_()
        loss = torch.logit(inside).mul_(target).add_(torch.log1p(-inside)).neg_()
        return loss.add_(beyond, alpha=SLOPE)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        prediction, inside, target = ctx.saved_tensors
        slope = (inside - target).div_((1 - inside).mul_(inside))
        beyond = (prediction - inside).sign_().mul_(SLOPE)
        slope = torch.where(beyond == 0, slope, beyond)
        return slope.mul_(grads[0]), None


def _binary_crossentropy(prediction: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of numbers that should be in 0–1, and a slope back where they are not.

    An output that is not bounded (ReLU, as in the article on convolutional autoencoders) leaves
    0–1. Keras cuts it off there, and with it the gradient, so that nothing brings it back.
    """
    return cast(Tensor, _BinaryCrossentropy.apply(prediction, target))  # type: ignore[no-untyped-call]


def _categorical_crossentropy(prediction: Tensor, target: Tensor) -> Tensor:
    return -target * torch.log(prediction.clamp(min=LEAST))


LOSSES: Mapping[str, Elementwise] = {
    "mse": _mse,
    "mae": _mae,
    "huber": _huber,
    "binary_crossentropy": _binary_crossentropy,
    "categorical_crossentropy": _categorical_crossentropy,
}


def pinball(prediction: Tensor, target: Tensor, quantiles: Sequence[float]) -> Tensor:
    """Pinball losses (B, K, F) of quantiles (B, K, F, Q), their mean over `quantiles` (Q).

    Source: Koenker & Bassett 1978, "Regression Quantiles", equation 3.1.
    """
    apart = target[..., None] - prediction
    shares = apart.new_tensor(quantiles)
    return torch.maximum(shares * apart, (shares - 1) * apart).mean(-1)


def _binary_accuracy(prediction: Tensor, target: Tensor) -> Tensor:
    return ((prediction > 0.5) == (target > 0.5)).float()


def _categorical_accuracy(prediction: Tensor, target: Tensor) -> Tensor:
    """1 at the true feature where it is the likeliest, so that sums over features are right."""
    hit = prediction.argmax(-1, keepdim=True) == target.argmax(-1, keepdim=True)
    return functional.pad(hit.float(), (0, target.shape[-1] - 1))


def metric(name: str, loss: str) -> Elementwise:
    """The metric `name` of a model trained on `loss`: a loss, or "accuracy"."""
    if name != "accuracy":
        return LOSSES[loss_name(name)]
    return _categorical_accuracy if loss in BY_STEP else _binary_accuracy


def masked_sum(errors: Tensor, lengths: Tensor | None) -> Tensor:
    """Add up errors (B, T, F) over real steps."""
    if lengths is None:
        return errors.sum()
    real = torch.arange(errors.shape[1], device=errors.device) < lengths[:, None]
    return errors[real].sum()


def count_values(x: Tensor, lengths: Tensor | None, loss: str = "mse") -> int:
    """How many values of x (B, T, F) are real, or how many steps where `loss` goes by steps."""
    steps = math.prod(x.shape[:2]) if lengths is None else int(lengths.sum())
    return steps if loss in BY_STEP else steps * x.shape[2]
