"""Losses over the real steps of padded batches.

They are sums and counts: the mean over several batches is the sum of sums by the sum of counts.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from unspool._loss_parameter import (
    Loss,
    LossByFeature,
    LossFunction,
    is_by_step,
    loss_name,
)
from unspool._losses import MIN_PROBABILITY, OUTSIDE_SLOPE
from unspool.data.sequences import FloatArray
from unspool.errors import InputError

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


def loss_values(
    prediction: Tensor, target: Tensor, loss: Loss, lengths: Tensor | None = None
) -> Tensor:
    """Compute the values (B, T, F) of a loss before any mean.

    A function may return one value per step, (B, T, 1). It is called with predictions that equal
    the targets in the padding, so that the padding has no gradient, not even a NaN.
    """
    if isinstance(loss, str):
        return LOSSES[loss](prediction, target)
    if isinstance(loss, LossByFeature):
        return _values_by_feature(prediction, target, loss)
    if lengths is not None:
        real = torch.arange(target.shape[1], device=target.device) < lengths[:, None]
        prediction = torch.where(real[:, :, None], prediction, target)
    return values_of_function(prediction, target, loss)


def _values_by_feature(prediction: Tensor, target: Tensor, loss: LossByFeature) -> Tensor:
    by_loss = loss.columns_by_loss
    pieces = [
        LOSSES[name](prediction[..., list(columns)], target[..., list(columns)])
        for name, columns in by_loss.items()
    ]
    order = [column for columns in by_loss.values() for column in columns]
    values = torch.cat(pieces, -1)
    if order == sorted(order):
        return values
    return values[..., [order.index(column) for column in range(len(order))]]


def values_of_function(prediction: Tensor, target: Tensor, loss: LossFunction) -> Tensor:
    """Call a loss function of the user, and return its values (B, T, F) or (B, T, 1).

    Raises
    ------
    InputError
        If it does not return a tensor of one of the two shapes.
    """
    values = loss.known()(prediction, target)
    if not isinstance(values, Tensor):
        raise InputError(
            f"The loss function {loss.name!r} must return a tensor, got {type(values).__name__}."
        )
    if values.shape == target.shape:
        return values
    if values.shape == target.shape[:-1]:
        return values[..., None]
    shapes = f"{tuple(target.shape)}, or one for each step, {tuple(target.shape[:-1])}"
    if values.numel() == 1:
        raise InputError(
            f"The loss function {loss.name!r} must return a loss for each value, {shapes}, but it "
            "returned a single number; leave the mean out, in PyTorch's losses with "
            "reduction='none'."
        )
    raise InputError(
        f"The loss function {loss.name!r} must return a loss for each value, {shapes}, got shape "
        f"{tuple(values.shape)}."
    )


def check_function(loss: LossFunction, target: Tensor) -> None:
    """Check a loss function of the user on scaled values (B, T, F), before training.

    Raises
    ------
    InputError
        If it fails, does not return one loss for each value or for each step, if these are not
        finite, or if they have no finite gradient.
    """
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(target.shape, generator=generator).to(target) / 10
    prediction = (target + noise).requires_grad_()
    with torch.enable_grad():
        try:
            values = values_of_function(prediction, target, loss)
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"The loss function {loss.name!r} failed on tensors of shape "
                f"{tuple(target.shape)}: {type(error).__name__}: {error}"
            ) from error
        if not values.is_floating_point() or not values.isfinite().all():
            raise InputError(
                f"The loss function {loss.name!r} must return finite numbers, got NaN, infinity or "
                "whole numbers for a prediction near its target."
            )
        grad = None
        if values.requires_grad:
            (grad,) = torch.autograd.grad(values.sum(), prediction, allow_unused=True)
    if grad is None:
        raise InputError(
            f"The loss function {loss.name!r} has no gradient with respect to the prediction; "
            "compute it with functions of PyTorch, and do not detach the prediction."
        )
    if not grad.isfinite().all():
        raise InputError(
            f"The loss function {loss.name!r} has a gradient that is NaN or infinite for a "
            "prediction near its target."
        )


def numpy_function(loss: LossFunction) -> LossFunction:
    """Return a loss function of tensors as one of arrays."""
    function = loss.known()

    def of_arrays(prediction: FloatArray, target: FloatArray) -> FloatArray:
        with torch.no_grad():
            arrays = (np.ascontiguousarray(one) for one in (prediction, target))
            values: FloatArray = function(*map(torch.from_numpy, arrays)).numpy()
        return values

    return LossFunction(loss.name, of_arrays)


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


def metric(name: str, loss: Loss) -> Elementwise:
    """Return the function of a metric (a loss, or "accuracy") for a model trained on `loss`."""
    if name != "accuracy":
        return LOSSES[loss_name(name)]
    return _categorical_accuracy if is_by_step(loss) else _binary_accuracy


def present_in(target: Tensor, loss: Loss) -> Tensor:
    """Mask the values of a target (B, T, F) that are not missing and count in a loss.

    For a loss with one value per step, (B, T, 1): steps without missing values.
    """
    present = ~target.isnan()
    return present.all(2, keepdim=True) if is_by_step(loss) else present


def masked_sum(
    errors: Tensor, lengths: Tensor | None, error_weights: Tensor | None = None
) -> Tensor:
    """Sum errors (B, T, F) over real steps, times weights that broadcast to (B, T, F).

    An error of a whole step, (B, T, 1), gets the mean weight of its features.
    """
    if error_weights is not None:
        if errors.shape[-1] == 1:
            error_weights = error_weights.mean(-1, keepdim=True)
        errors = errors * error_weights
    if lengths is None:
        return errors.sum()
    real = torch.arange(errors.shape[1], device=errors.device) < lengths[:, None]
    return errors[real].sum()


def count_values(
    x: Tensor, lengths: Tensor | None, loss: Loss = "mse", present: Tensor | None = None
) -> int:
    """Count the values of `loss` in the real steps of x (B, T, F).

    For a function, `x` are its values, of which there may be one per step. If values may be
    missing, `present` is the result of `present_in` for this loss.
    """
    if present is not None:
        return int(masked_sum(present.long(), lengths))
    steps = math.prod(x.shape[:2]) if lengths is None else int(lengths.sum())
    if isinstance(loss, LossByFeature):
        return steps * loss.values_per_step
    return steps if is_by_step(loss) else steps * x.shape[2]
