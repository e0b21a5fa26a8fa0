"""Optimizers by their Keras names, with Keras's own defaults."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from torch import nn, optim

# Keras 3's defaults, where they differ from PyTorch's. One difference remains: Keras adds RMSprop's
# epsilon inside the square root, PyTorch outside.
OPTIMIZERS: Mapping[str, Callable[..., optim.Optimizer]] = {
    "rmsprop": partial(optim.RMSprop, lr=1e-3, alpha=0.9, eps=1e-7),
    "adam": partial(optim.Adam, lr=1e-3, betas=(0.9, 0.999), eps=1e-7),
    "adamw": partial(optim.AdamW, lr=1e-3, betas=(0.9, 0.999), eps=1e-7, weight_decay=4e-3),
    "nadam": partial(optim.NAdam, lr=1e-3, betas=(0.9, 0.999), eps=1e-7),
    "adamax": partial(optim.Adamax, lr=1e-3, betas=(0.9, 0.999), eps=1e-7),
    "adagrad": partial(optim.Adagrad, lr=1e-3, initial_accumulator_value=0.1, eps=1e-7),
    "adadelta": partial(optim.Adadelta, lr=1e-3, rho=0.95, eps=1e-7),
    "sgd": partial(optim.SGD, lr=1e-2),
}


def make_optimizer(
    name: str,
    parameters: Iterable[nn.Parameter],
    learning_rate: float | None = None,
    weight_decay: float | None = None,
) -> optim.Optimizer:
    """Create the optimizer `name`; None uses Keras's default.

    `weight_decay` is decoupled from the gradient and acts on all parameters, biases included, as
    in Keras. It is meant for "adamw": "adam" would add it to the gradient.
    """
    given = {"lr": learning_rate, "weight_decay": weight_decay}
    options = {option: value for option, value in given.items() if value is not None}
    return OPTIMIZERS[name](parameters, foreach=True, **options)  # one kernel for many tensors
