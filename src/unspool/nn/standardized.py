"""A linear layer whose inputs are standardised during training."""

import torch
from torch import Generator, Tensor, nn

from unspool.nn.dense import Dense

MIN_STD = 1e-3  # features with a smaller standard deviation are treated as constant
REFERENCE_INPUTS = 64  # number of inputs of a layer for which usual learning rates are chosen
CODE_STD = 0.5  # initial standard deviation of codes; with 1, decoders may saturate at once


class Standardized(Dense):
    """A linear layer that can start as principal components and train on standardised inputs.

    Adam changes every weight by the learning rate, whatever the size of its input. If inputs are
    far from zero or many, the output jumps. After `start`, inputs are therefore centred, and
    scaled so that a step changes the output as much as in a layer with `REFERENCE_INPUTS` inputs.
    `fold` merges the standardisation into the weights, which leaves a plain linear layer.
    """

    shift: Tensor | None
    scale: Tensor | None

    def __init__(self, inputs: int, outputs: int, generator: Generator | None = None) -> None:
        super().__init__(inputs, outputs, generator)
        self.register_buffer("shift", None, persistent=False)
        self.register_buffer("scale", None, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map vectors (B, inputs) to vectors (B, outputs)."""
        if self.shift is None or self.scale is None:
            return super().forward(x)
        return super().forward((x - self.shift) * self.scale)

    @property
    def _gain(self) -> float:
        return CODE_STD * min(1.0, REFERENCE_INPUTS / self.in_features)

    @torch.no_grad()
    def standardize(self, inputs: Tensor) -> Tensor:
        """Set shift and scale from training inputs (N, I); return these standardised on the CPU."""
        wide = inputs.cpu().double()  # some devices do not support float64
        mean, spread = wide.mean(0), wide.std(0, correction=0)
        inverse = torch.where(spread > MIN_STD, 1 / spread, 0.0)
        gain = self._gain
        self.shift, self.scale = mean.to(self.weight), (inverse * gain).to(self.weight)
        return (wide - mean) * inverse

    @torch.no_grad()
    def start(self, inputs: Tensor) -> None:
        """Make the outputs the principal components of training inputs (N, I).

        Their mean variance is ``CODE_STD ** 2``. Surplus outputs are 0.
        """
        standardized = self.standardize(inputs)
        variances, components = _principal_components(standardized, len(self.weight))
        components *= (variances > 1e-10 * variances[0])[:, None]
        components *= components.gather(1, components.abs().argmax(1, True)).sign()
        total = (variances.clamp(min=0).sum() / len(self.weight)).sqrt()
        self.weight.zero_()
        self.bias.zero_()
        if total > 0:
            self.weight[: len(components)] = (components * CODE_STD / total / self._gain).to(
                self.weight
            )

    @torch.no_grad()
    def unfold(self, inputs: Tensor, *, keep_constant: bool = False) -> None:
        """Undo `fold`: standardise by training inputs (N, I) without changing the outputs.

        The weights of constant inputs become 0; with `keep_constant` they keep their values, and
        training hardly changes them.
        """
        self.standardize(inputs)
        assert self.shift is not None
        assert self.scale is not None
        if keep_constant:
            self.scale = torch.where(self.scale > 0, self.scale, MIN_STD * self._gain)
        self.restore(self.shift, self.scale)

    @torch.no_grad()
    def restore(self, shift: Tensor, scale: Tensor) -> None:
        """Undo `fold` with a shift and a scale (I,) from before."""
        self.shift, self.scale = shift.to(self.weight), scale.to(self.weight)
        weight, scale = self.weight.cpu().double(), self.scale.cpu().double()
        self.bias.add_((weight @ self.shift.cpu().double()).to(self.bias))
        self.weight.copy_(torch.where(scale > 0, weight / scale, 0.0).to(self.weight))

    @torch.no_grad()
    def fold(self) -> None:
        """Merge the standardisation into the weights, without changing the outputs."""
        if self.shift is None:
            return
        weight, bias = self.folded()
        self.weight.copy_(weight)
        self.bias.copy_(bias)
        self.shift = self.scale = None

    @torch.no_grad()
    def folded(self) -> tuple[Tensor, Tensor]:
        """Return the weight and the bias that `fold` would set."""
        if self.shift is None or self.scale is None:
            return self.weight, self.bias
        weight = self.weight.cpu().double() * self.scale.cpu().double()
        bias = self.bias - (weight @ self.shift.cpu().double()).to(self.bias)
        return weight.to(self.weight), bias


@torch.no_grad()
def weights_as_saved(module: nn.Module) -> dict[str, Tensor]:
    """Return the weights of a module by name, without the standardisation of training."""
    weights = dict(module.state_dict())
    for name, layer in module.named_modules():
        if isinstance(layer, Standardized):
            prefix = f"{name}." if name else ""
            weights[f"{prefix}weight"], weights[f"{prefix}bias"] = layer.folded()
    return weights


def _principal_components(centred: Tensor, max_count: int) -> tuple[Tensor, Tensor]:
    """Compute the largest variances (K,) of data (N, I) and their directions (K, I).

    K is at most `max_count`. The smaller one of the two matrices of products is diagonalised.
    """
    count, inputs = centred.shape
    small = centred.T @ centred if inputs <= count else centred @ centred.T
    squares, vectors = torch.linalg.eigh(small)  # ascending
    squares = squares.flip(0)[:max_count].clamp(min=0)
    vectors = vectors.flip(1)[:, :max_count]
    if inputs <= count:
        return squares / count, vectors.T
    norms = squares.sqrt()[:, None]
    return squares / count, torch.where(norms > 0, vectors.T @ centred / norms, 0.0)
