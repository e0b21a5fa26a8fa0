"""Losses over the real steps of padded batches.

They are sums and counts: the mean over several batches is the sum of sums by the sum of counts.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn import functional

from unspool._losses import BY_STEP, MIN_PROBABILITY, OUTSIDE_SLOPE, loss_name

Elementwise = Callable[[Tensor, Tensor], Tensor]


def _mse(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.mse_loss(prediction, target, reduction="none")


def _mae(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.l1_loss(prediction, target, reduction="none")


def _huber(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.huber_loss(prediction, target, reduction="none")


class _BinaryCrossentropy(torch.autograd.Function):
    """Binary cross-entropy with its gradient; autograd takes three times as long.

    With prediction p, target t, and q = p clipped to [0, 1], the loss is
    ``-t log q - (1 - t) log(1 - q)`` with the slope ``(q - t) / (q (1 - q))``. Outside [0, 1] it
    is linear, with slope `OUTSIDE_SLOPE` away from the interval.
    """

    @staticmethod
    def forward(ctx: Any, prediction: Tensor, target: Tensor) -> Tensor:
        inside = prediction.clamp(MIN_PROBABILITY, 1 - MIN_PROBABILITY)
        ctx.save_for_backward(prediction, inside, target)
        beyond = (prediction - inside).abs_()
        loss = torch.logit(inside).mul_(target).add_(torch.log1p(-inside)).neg_()
        return loss.add_(beyond, alpha=OUTSIDE_SLOPE)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        prediction, inside, target = ctx.saved_tensors
        slope = (inside - target).div_((1 - inside).mul_(inside))
        beyond = (prediction - inside).sign_().mul_(OUTSIDE_SLOPE)
        slope = torch.where(beyond == 0, slope, beyond)
        return slope.mul_(grads[0]), None


def _binary_crossentropy(prediction: Tensor, target: Tensor) -> Tensor:
    """Compute binary cross-entropy, with a gradient for predictions outside [0, 1] too.

    Unbounded outputs (ReLU, as in convolutional autoencoders) can leave [0, 1]. Keras clips them
    there, which removes the gradient, so that nothing brings them back.
    """
    return cast(Tensor, _BinaryCrossentropy.apply(prediction, target))  # type: ignore[no-untyped-call]


def _categorical_crossentropy(prediction: Tensor, target: Tensor) -> Tensor:
    return -target * torch.log(prediction.clamp(min=MIN_PROBABILITY))


LOSSES: Mapping[str, Elementwise] = {
    "mse": _mse,
    "mae": _mae,
    "huber": _huber,
    "binary_crossentropy": _binary_crossentropy,
    "categorical_crossentropy": _categorical_crossentropy,
}


def pinball(prediction: Tensor, target: Tensor, quantiles: Sequence[float]) -> Tensor:
    """Compute pinball losses (B, K, F) of quantiles (B, K, F, Q): the mean over `quantiles` (Q).

    Koenker & Bassett 1978, "Regression Quantiles", equation 3.1.
    """
    difference = target[..., None] - prediction
    levels = difference.new_tensor(quantiles)
    return torch.maximum(levels * difference, (levels - 1) * difference).mean(-1)


def _binary_accuracy(prediction: Tensor, target: Tensor) -> Tensor:
    return ((prediction > 0.5) == (target > 0.5)).float()


def _categorical_accuracy(prediction: Tensor, target: Tensor) -> Tensor:
    """1 at the first feature if the most likely feature is the true one, so that sums count."""
    hit = prediction.argmax(-1, keepdim=True) == target.argmax(-1, keepdim=True)
    return functional.pad(hit.float(), (0, target.shape[-1] - 1))


def metric(name: str, loss: str) -> Elementwise:
    """Return the function of a metric (a loss, or "accuracy") for a model trained on `loss`."""
    if name != "accuracy":
        return LOSSES[loss_name(name)]
    return _categorical_accuracy if loss in BY_STEP else _binary_accuracy


def present_in(target: Tensor, loss: str) -> Tensor:
    """Mask the values of a target (B, T, F) that are not missing and count in a loss.

    For a loss with one value per step, (B, T, 1): steps without missing values.
    """
    present = ~target.isnan()
    return present.all(2, keepdim=True) if loss in BY_STEP else present


def masked_sum(
    errors: Tensor, lengths: Tensor | None, error_weights: Tensor | None = None
) -> Tensor:
    """Sum errors (B, T, F) over real steps, times weights that broadcast to (B, T, F)."""
    if error_weights is not None:
        errors = errors * error_weights
    if lengths is None:
        return errors.sum()
    real = torch.arange(errors.shape[1], device=errors.device) < lengths[:, None]
    return errors[real].sum()


def count_values(
    x: Tensor, lengths: Tensor | None, loss: str = "mse", present: Tensor | None = None
) -> int:
    """Count the real values of x (B, T, F), or the real steps if `loss` has one value per step.

    If values may be missing, `present` is the result of `present_in` for this loss.
    """
    if present is not None:
        return int(masked_sum(torch.ones_like(present, dtype=torch.int64), lengths, present))
    steps = math.prod(x.shape[:2]) if lengths is None else int(lengths.sum())
    return steps if loss in BY_STEP else steps * x.shape[2]
