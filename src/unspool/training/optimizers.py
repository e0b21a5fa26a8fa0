"""Optimizers by their Keras names, with Keras's own defaults."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn, optim

from unspool.errors import InputError
from unspool.lstm.compiled import optimizers as kernels
from unspool.training.tensor_table import TensorTable, can_compile

# Keras 3's defaults, where they differ from PyTorch's. One difference remains: Keras adds RMSprop's
# epsilon inside the square root, PyTorch outside.
OPTIMIZERS: Mapping[str, partial[Any]] = {
    "rmsprop": partial(optim.RMSprop, lr=1e-3, alpha=0.9, eps=1e-7),
    "adam": partial(optim.Adam, lr=1e-3, betas=(0.9, 0.999), eps=1e-7),
    "adamw": partial(optim.AdamW, lr=1e-3, betas=(0.9, 0.999), eps=1e-7, weight_decay=4e-3),
    "nadam": partial(optim.NAdam, lr=1e-3, betas=(0.9, 0.999), eps=1e-7),
    "adamax": partial(optim.Adamax, lr=1e-3, betas=(0.9, 0.999), eps=1e-7),
    "adagrad": partial(optim.Adagrad, lr=1e-3, initial_accumulator_value=0.1, eps=1e-7),
    "adadelta": partial(optim.Adadelta, lr=1e-3, rho=0.95, eps=1e-7),
    "sgd": partial(optim.SGD, lr=1e-2),
}

# Names of the arrays of a weight's state, as in `torch.optim`.
STATES: Mapping[str, tuple[str, ...]] = {
    "rmsprop": ("square_avg",),
    "adam": ("exp_avg", "exp_avg_sq"),
    "nadam": ("exp_avg", "exp_avg_sq"),
    "adamax": ("exp_avg", "exp_inf"),
    "adagrad": ("sum",),
    "adadelta": ("square_avg", "acc_delta"),
    "sgd": (),
}
MOMENTUM_DECAY = 4e-3  # of NAdam, as in PyTorch and Keras


class Optimizer(Protocol):
    """What the training loop needs of an optimizer; those of `torch.optim` have it."""

    param_groups: list[dict[str, Any]]
    state: Any

    def zero_grad(self) -> None:
        """Remove the gradients."""

    def step(self) -> Any:
        """Change the weights by their gradients."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the weights by their numbers, and the learning rates."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue with a state of `state_dict`."""


def make_optimizer(
    name: str,
    parameters: Sequence[nn.Parameter],
    learning_rate: float | None = None,
    weight_decay: float | None = None,
) -> Optimizer:
    """Create the optimizer `name`; None uses Keras's default.

    Weights in float32 on the CPU have a `CompiledOptimizer`, all others one of `torch.optim`.

    `weight_decay` is for "adamw" alone. It is decoupled from the gradient and acts on all
    parameters, biases included, as in Keras.
    """
    given = {"lr": learning_rate, "weight_decay": weight_decay}
    options = {option: value for option, value in given.items() if value is not None}
    parameters = list(parameters)
    if can_compile(parameters):
        return CompiledOptimizer(name, parameters, **options)
    optimizer: Optimizer = OPTIMIZERS[name](parameters, foreach=True, **options)
    return optimizer


class CompiledOptimizer:
    """An optimizer whose step is one call of a kernel for all weights.

    Its results are those of `torch.optim` except for the rounding of the last digit, and its state
    has the same form, so that each can continue with the state of the other. It does not import
    `torch._dynamo`, which every optimizer of `torch.optim` does and which takes about a second.

    Parameters
    ----------
    name : str
        Name of the optimizer in `OPTIMIZERS`.
    parameters : sequence of nn.Parameter
        Weights in float32 on the CPU. Those without a gradient are left out of a step.
    **options
        Learning rate and other options, instead of those in `OPTIMIZERS`.
    """

    def __init__(self, name: str, parameters: Sequence[nn.Parameter], **options: Any) -> None:
        self.options: dict[str, Any] = {**OPTIMIZERS[name].keywords, **options}
        self.rule = "adam" if name == "adamw" else name
        self.parameters = list(parameters)
        self.param_groups = [{"params": self.parameters, "lr": self.options["lr"]}]
        self.state: dict[nn.Parameter, dict[str, Any]] = defaultdict(dict)
        self.weights: list[nn.Parameter] = []  # of the table: with a gradient in the last step
        self.addresses: list[int] = []  # of these weights
        self.table = TensorTable([])
        self.steps = self.products = np.zeros(0, np.float32)  # state["step"] and ["mu_product"]

    def zero_grad(self) -> None:
        """Remove the gradients."""
        for one in self.parameters:
            one.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Change the weights by their gradients.

        Raises
        ------
        InputError
            If weights are no longer in float32 on the CPU.
        """
        weights = [one for one in self.parameters if one.grad is not None]
        if [*map(id, weights)] != [*map(id, self.weights)]:
            self._use(weights)
        addresses = [one.data_ptr() for one in weights]
        if addresses != self.addresses:
            if not can_compile(weights):
                raise InputError(
                    "The weights are no longer contiguous float32 values on the CPU; do not move "
                    "or convert a model while it trains."
                )
            self.table.point(kernels.VALUES, addresses)
            self.addresses = addresses
        gradients = [one.grad.contiguous() for one in weights if one.grad is not None]
        self.table.point(kernels.GRADIENT, [one.data_ptr() for one in gradients])
        self.steps += 1
        numbers = np.array(self._numbers(), np.float32)
        rule = kernels.RULES.index(self.rule)
        kernels.update(rule, self.table.rows, numbers)
        torch.autograd.graph.increment_version(weights)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the weights by their numbers, and the learning rate."""
        numbers = {one: number for number, one in enumerate(self.parameters)}
        return {
            "state": {numbers[one]: state for one, state in self.state.items() if state},
            "param_groups": [{**self.param_groups[0], "params": [*numbers.values()]}],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue with a state of `state_dict`, whose tensors are not copied."""
        self.state.clear()
        for number, state in state_dict["state"].items():
            self.state[self.parameters[number]] = dict(state)
        self.param_groups[0]["lr"] = state_dict["param_groups"][0]["lr"]
        self.weights = []

    def _use(self, weights: list[nn.Parameter]) -> None:
        """Make a table of some weights and their states; new states begin with zeros."""
        self.table, self.weights = TensorTable([one.numel() for one in weights]), weights
        self.addresses = []
        self.steps, self.products = np.zeros((2, len(weights)), np.float32)
        initial = self.options.get("initial_accumulator_value", 0.0)
        for number, weight in enumerate(weights):
            state = self.state[weight]
            self.steps[number] = float(state.get("step", 0.0))
            self.products[number] = float(state.get("mu_product", 1.0))
            for name in STATES[self.rule]:
                kept = state.get(name)
                if kept is None:
                    kept = torch.full_like(weight, initial, memory_format=torch.contiguous_format)
                state[name] = kept.to(weight).contiguous()
            if self.rule != "sgd":
                state["step"] = torch.from_numpy(self.steps)[number]
            if self.rule == "nadam":
                state["mu_product"] = torch.from_numpy(self.products)[number]
        for column, name in enumerate(STATES[self.rule], kernels.FIRST):
            self.table.point(column, [self.state[one][name].data_ptr() for one in weights])

    def _numbers(self) -> list[list[float]]:
        """Return the numbers of the kernel for each weight, from the number of its steps."""
        rate, options = self.param_groups[0]["lr"], self.options
        numbers = NUMBERS[self.rule]
        if self.rule == "nadam":
            return [
                numbers(rate, options, step, product)
                for step, product in zip(self.steps.tolist(), self._products(), strict=True)
            ]
        by_step = {step: numbers(rate, options, step) for step in set(self.steps.tolist())}
        return [by_step[step] for step in self.steps.tolist()]

    def _products(self) -> list[float]:
        """Multiply the products of momentum, after the number of steps has risen."""
        beta = self.options["betas"][0]
        momenta = [momentum_of(beta, step) for step in self.steps.tolist()]
        self.products *= np.array(momenta, np.float32)
        products: list[float] = self.products.tolist()
        return products


# The numbers that a rule needs in a step, in the order of `kernels.update`.


def _of_rmsprop(rate: float, options: Mapping[str, Any], step: float) -> list[float]:
    alpha = options["alpha"]
    return [1, alpha, 1 - alpha, options["eps"], -rate, 0, 0, 0]


def _of_adam(rate: float, options: Mapping[str, Any], step: float) -> list[float]:
    first, second = options["betas"]
    decay = 1 - rate * options.get("weight_decay", 0.0)
    root = (1 - second**step) ** 0.5
    change = -rate / (1 - first**step)
    return [decay, 1 - first, second, 1 - second, root, options["eps"], change, 0]


def _of_nadam(rate: float, options: Mapping[str, Any], step: float, product: float) -> list[float]:
    first, second = options["betas"]
    momentum, following = momentum_of(first, step), momentum_of(first, step + 1)
    root = (1 - second**step) ** 0.5
    of_mean = -rate * following / (1 - product * following)
    of_gradient = -rate * (1 - momentum) / (1 - product)
    return [1, 1 - first, second, 1 - second, root, options["eps"], of_mean, of_gradient]


def _of_adamax(rate: float, options: Mapping[str, Any], step: float) -> list[float]:
    first, second = options["betas"]
    return [1, 1 - first, second, options["eps"], -rate / (1 - first**step), 0, 0, 0]


def _of_adagrad(rate: float, options: Mapping[str, Any], step: float) -> list[float]:
    return [1, options["eps"], -rate, 0, 0, 0, 0, 0]


def _of_adadelta(rate: float, options: Mapping[str, Any], step: float) -> list[float]:
    return [1, options["rho"], 1 - options["rho"], options["eps"], -rate, 0, 0, 0]


def _of_sgd(rate: float, options: Mapping[str, Any], step: float) -> list[float]:
    return [1, -rate, 0, 0, 0, 0, 0, 0]


def momentum_of(beta: float, step: float) -> float:
    """Return NAdam's momentum in a step: the schedule of Dozat (2016)."""
    return float(beta * (1.0 - 0.5 * 0.96 ** (step * MOMENTUM_DECAY)))


NUMBERS: Mapping[str, Callable[..., list[float]]] = {
    "rmsprop": _of_rmsprop,
    "adam": _of_adam,
    "nadam": _of_nadam,
    "adamax": _of_adamax,
    "adagrad": _of_adagrad,
    "adadelta": _of_adadelta,
    "sgd": _of_sgd,
}
