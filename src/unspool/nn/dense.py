"""Dense layers and their activations, by their Keras names."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
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
    """Build a linear layer, initialised as Keras does it: Glorot-uniform kernel, zero bias.

    Like all modules here it is made in float32, whatever PyTorch's default dtype is.
    """
    layer = nn.Linear(inputs, outputs, device="meta")  # its own weights would be drawn elsewhere
    layer.weight = nn.Parameter(torch.empty(outputs, inputs, dtype=torch.float32))
    layer.bias = nn.Parameter(torch.zeros(outputs, dtype=torch.float32))
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    return layer
