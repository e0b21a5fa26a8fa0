"""Dense layers and their activations, by their Keras names."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Generator, Tensor, nn

from unspool.lstm import dense

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "softmax": partial(nn.Softmax, dim=-1),  # over the features of a step
}


class Dense(nn.Linear):
    """A linear layer, initialised as Keras does it: Glorot-uniform kernel, zero bias.

    In inference mode what it gives for a vector is the same to the bit alone and among others.
    Like all modules here it is made in float32, whatever PyTorch's default dtype is.

    Parameters
    ----------
    inputs, outputs : int
    generator : torch.Generator, optional
        Source of the initial weights.
    """

    def __init__(self, inputs: int, outputs: int, generator: Generator | None = None) -> None:
        super().__init__(inputs, outputs, device="meta")  # its weights are drawn below
        self.weight = nn.Parameter(torch.empty(outputs, inputs, dtype=torch.float32))
        self.bias = nn.Parameter(torch.zeros(outputs, dtype=torch.float32))
        nn.init.xavier_uniform_(self.weight, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Vectors (…, O) of vectors x (…, I)."""
        if torch.is_inference_mode_enabled():
            return dense.linear(x, self.weight, self.bias)
        return super().forward(x)
