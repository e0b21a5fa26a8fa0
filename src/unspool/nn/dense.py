"""Dense layers and their activations, by their Keras names."""

from collections.abc import Callable, Mapping
from functools import partial

from torch import Generator, nn

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "softmax": partial(nn.Softmax, dim=-1),  # over the features of a step
}


def dense(inputs: int, outputs: int, generator: Generator | None = None) -> nn.Linear:
    """Build a linear layer, initialised as Keras does it: Glorot-uniform kernel, zero bias."""
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
