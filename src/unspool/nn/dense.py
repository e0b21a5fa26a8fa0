"""Dense layers, and their activations by Keras's names."""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import accumulate

import torch
from torch import Generator, Tensor, nn

from unspool import _checks
from unspool.blueprint.activations import Activation, MixedActivation
from unspool.errors import InputError
from unspool.lstm import dense
from unspool.nn.dropout import Dropout


# PyTorch's kernels of these three compute the last few numbers of an array by scalar code, which
# rounds in another way than vector code. exp, expm1 and erf have no such rest.
class Sigmoid(nn.Sigmoid):
    """Sigmoid that has the same bits at any place of an array in inference mode."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to each number."""
        if torch.is_inference_mode_enabled():
            return 1 / (1 + torch.exp(-x))
        return super().forward(x)


class ELU(nn.ELU):
    """ELU that has the same bits at any place of an array in inference mode."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to each number."""
        if torch.is_inference_mode_enabled():
            return torch.where(x > 0, x, torch.expm1(x))
        return super().forward(x)


class GELU(nn.GELU):
    """Exact GELU that has the same bits at any place of an array in inference mode."""

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to each number."""
        if torch.is_inference_mode_enabled():
            return x * (0.5 * (1 + torch.erf(x * 0.5**0.5)))
        return super().forward(x)


ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": Sigmoid,
    "elu": ELU,
    "gelu": GELU,
    "softmax": partial(nn.Softmax, dim=-1),  # over the features of a step
}


class FeatureActivations(nn.Module):
    """The activations of a `MixedActivation`, on the features of a step."""

    def __init__(self, plan: MixedActivation) -> None:
        super().__init__()
        self.plan = plan
        used = dict.fromkeys(name for name, _ in plan.groups)
        self.activations = nn.ModuleDict({name: ACTIVATIONS[name]() for name in used})

    def forward(self, x: Tensor) -> Tensor:
        """Apply the activations to outputs (..., F)."""
        applied: Tensor = self.plan.apply(
            x,
            lambda name, piece: self.activations[name](piece),
            # A module is traced by `unspool.interop.torch`, which cannot iterate over `split`.
            lambda whole, sizes: [
                whole[..., end - size : end]
                for size, end in zip(sizes, accumulate(sizes), strict=True)
            ],
            lambda pieces: torch.cat(pieces, -1),
        )
        return applied

    def extra_repr(self) -> str:
        """Describe which columns have which activation."""
        return ", ".join(f"{name}{list(columns)}" for name, columns in self.plan.groups)


def make_activation(name: Activation) -> nn.Module:
    """Create an activation; raise an `InputError` if there is none of this name."""
    if isinstance(name, MixedActivation):
        return FeatureActivations(name)
    if name not in ACTIVATIONS:
        raise InputError(_checks.unknown_name("activation", name, ACTIVATIONS))
    return ACTIVATIONS[name]()


class Dense(nn.Linear):
    """A linear layer with Keras's initial weights: Glorot-uniform weights and zero biases.

    In inference mode the output for a vector does not depend on the other vectors of the batch, to
    the last bit. The weights are float32, whatever PyTorch's default dtype is.

    Parameters
    ----------
    inputs : int
        Size of an input vector.
    outputs : int
        Size of an output vector.
    generator : torch.Generator, optional
        Random number generator for the initial weights. Default: PyTorch's global one.
    """

    def __init__(self, inputs: int, outputs: int, generator: Generator | None = None) -> None:
        super().__init__(
            inputs, outputs, device="meta"
        )  # allocates no weights, since they are drawn below
        self.weight = nn.Parameter(torch.empty(outputs, inputs, dtype=torch.float32))
        self.bias = nn.Parameter(torch.zeros(outputs, dtype=torch.float32))
        nn.init.xavier_uniform_(self.weight, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map vectors (…, inputs) to vectors (…, outputs)."""
        if torch.is_inference_mode_enabled():
            return dense.linear(x, self.weight, self.bias)
        return super().forward(x)


def apply_layers(layers: nn.Sequential, x: Tensor, dropout: Dropout | None) -> Tensor:
    """Apply dense layers with their activations, and dropout to what each but the first reads."""
    if dropout is None:
        output: Tensor = layers(x)
        return output
    for position, layer in enumerate(layers):
        if position and isinstance(layer, Dense):
            x = dropout.of_layer(x)
        x = layer(x)
    return x
