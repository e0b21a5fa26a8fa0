"""Dense layers and their activations, in NumPy."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.blueprint import Head
from unspool.blueprint.activations import Activation, MixedActivation

Array = npt.NDArray[np.floating[Any]]
Weights = Mapping[str, npt.NDArray[np.float32]]

_erfc = np.frompyfunc(math.erfc, 1, 1)


def _linear(x: Array) -> Array:
    return x


def _relu(x: Array) -> Array:
    return np.asarray(np.maximum(x, 0))


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x))


def _elu(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _gelu(x: Array) -> Array:
    """x times the cumulative normal distribution; `math` has the error function, NumPy has not."""
    return np.asarray(x * (0.5 * _erfc(x * -math.sqrt(0.5))).astype(x.dtype))


def _softmax(x: Array) -> Array:
    """Compute the softmax over the last axis."""
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


# These are named functions, so that models can be pickled.
ACTIVATIONS: Mapping[str, Callable[[Array], Array]] = {
    "linear": _linear,
    "relu": _relu,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "elu": _elu,
    "gelu": _gelu,
    "softmax": _softmax,
}


def activation(plan: Activation) -> Callable[[Array], Array]:
    """Return the function of an activation."""
    return FeatureActivations(plan) if isinstance(plan, MixedActivation) else ACTIVATIONS[plan]


class FeatureActivations:
    """The activations of a `MixedActivation`, on the features of a step."""

    def __init__(self, plan: MixedActivation) -> None:
        self.plan = plan

    def __call__(self, x: Array) -> Array:
        """Apply the activations to outputs (..., F)."""
        applied: Array = self.plan.apply(
            x,
            lambda name, piece: ACTIVATIONS[name](piece),
            lambda whole, sizes: np.split(whole, np.cumsum(sizes)[:-1], axis=-1),
            lambda pieces: np.concatenate(pieces, axis=-1),
        )
        return applied


class Dense:
    """A linear layer.

    Parameters
    ----------
    weights : mapping of str to array
        Weights of the model.
    prefix : str
        Prefix of the names of the weights of this layer.
    """

    def __init__(self, weights: Weights, prefix: str) -> None:
        self.weight, self.bias = weights[f"{prefix}weight"], weights[f"{prefix}bias"]

    def __call__(self, x: Array) -> Array:
        """Return outputs (…, O) for inputs (…, I)."""
        return np.asarray(x @ self.weight.T + self.bias)


class DenseLayers:
    """Dense layers with their activations; `unspool.nn.Head` in NumPy.

    Parameters
    ----------
    plan : blueprint.Head
        Blueprint of the layers.
    weights : mapping of str to array
        Weights of the model.
    prefix : str
        Prefix of the names of the weights of these layers.
    """

    def __init__(self, plan: Head, weights: Weights, prefix: str) -> None:
        self.plan = plan
        self.layers = [
            (Dense(weights, f"{prefix}{2 * depth}."), activation(name))
            for depth, name in enumerate(plan.activations)
        ]

    def __call__(self, x: Array) -> Array:
        """Return outputs (…, O) for inputs (…, I), or (…, steps, O) for sequences."""
        steps, outputs = self.plan.steps, self.plan.outputs
        for i, (layer, activation) in enumerate(self.layers, 1):
            x = layer(x)
            if steps is not None and i == len(self.layers):
                x = x.reshape(
                    *x.shape[:-1], steps, outputs
                )  # softmax applies to the features of a step
            x = activation(x)
        if steps is not None and not self.layers:
            x = x.reshape(*x.shape[:-1], steps, outputs)
        return x
