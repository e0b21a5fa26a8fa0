"""Losses over the real steps of padded batches, as sums and counts so that means stay honest."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

Elementwise = Callable[[Tensor, Tensor], Tensor]

# Of what is under a logarithm, as in Keras. Below it the logarithm goes on as a line.
LEAST = 1e-7
SLOPE = 10.0


def _mse(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.mse_loss(prediction, target, reduction="none")


def _mae(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.l1_loss(prediction, target, reduction="none")


def _huber(prediction: Tensor, target: Tensor) -> Tensor:
    return functional.huber_loss(prediction, target, reduction="none")


def _log(probability: Tensor) -> Tensor:
    """The logarithm of numbers that should be in 0–1, and a slope back where they are not.

    An output that is not bounded (ReLU under cross-entropy, as in the article on convolutional
    autoencoders) leaves 0–1. Keras cuts it off there, and with it the gradient, so that nothing
    brings it back.
    """
    inside = probability.clamp(LEAST, 1)
    outside = functional.relu(LEAST - probability) + functional.relu(probability - 1)
    return torch.log(inside) - SLOPE * outside


def _binary_crossentropy(prediction: Tensor, target: Tensor) -> Tensor:
    return -(target * _log(prediction) + (1 - target) * _log(1 - prediction))


def _categorical_crossentropy(prediction: Tensor, target: Tensor) -> Tensor:
    return -target * _log(prediction)


LOSSES: Mapping[str, Elementwise] = {
    "mse": _mse,
    "mae": _mae,
    "huber": _huber,
    "binary_crossentropy": _binary_crossentropy,
    "categorical_crossentropy": _categorical_crossentropy,
}

# A distribution over the features of a step is one thing to get right, not F.
BY_STEP = ("categorical_crossentropy",)


def _binary_accuracy(prediction: Tensor, target: Tensor) -> Tensor:
    return ((prediction > 0.5) == (target > 0.5)).float()


def _categorical_accuracy(prediction: Tensor, target: Tensor) -> Tensor:
    """1 at the true feature where it is the likeliest, so that sums over features are right."""
    hit = prediction.argmax(-1, keepdim=True) == target.argmax(-1, keepdim=True)
    return functional.pad(hit.float(), (0, target.shape[-1] - 1))


def metric(name: str, loss: str) -> Elementwise:
    """The metric `name` of a model trained on `loss`: a loss, or "accuracy"."""
    if name != "accuracy":
        return LOSSES[name]
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


def step_errors(prediction: Tensor, target: Tensor, loss: str) -> Tensor:
    """Errors of steps (B, T): means over features, or the loss of a step."""
    errors = LOSSES[loss](prediction, target)
    return errors.sum(2) if loss in BY_STEP else errors.mean(2)
