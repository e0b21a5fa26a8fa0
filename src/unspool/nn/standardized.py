"""A linear layer on features that are standardised while it is trained."""

import torch
from torch import Generator, Tensor

from unspool.nn.dense import Dense

MIN_STD = 1e-3  # standard deviation of a feature that says something
REFERENCE_INPUTS = 64  # inputs of a layer that learning rates are chosen for
CODE_STD = 0.5  # standard deviation that codes start with; with 1, decoders may saturate at once


class Standardized(Dense):
    """A linear layer that can start as principal components and train on standardised inputs.

    Adam moves every weight by the learning rate, whatever its input is like. Inputs far from zero,
    or many of them, let the output jump; so after `start` inputs are centred, and scaled to what
    `REFERENCE_INPUTS` inputs would move the output by. `fold` makes this a part of the weights, and what
    is left is a linear layer like any other.
    """

    shift: Tensor | None
    scale: Tensor | None

    def __init__(self, inputs: int, outputs: int, generator: Generator | None = None) -> None:
        super().__init__(inputs, outputs, generator)
        self.register_buffer("shift", None, persistent=False)
        self.register_buffer("scale", None, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Vectors (B, O) of vectors x (B, I)."""
        if self.shift is None or self.scale is None:
            return super().forward(x)
        return super().forward((x - self.shift) * self.scale)

    @property
    def _gain(self) -> float:
        return CODE_STD * min(1.0, REFERENCE_INPUTS / self.in_features)

    @torch.no_grad()
    def standardize(self, inputs: Tensor) -> Tensor:
        """Centre and scale by the inputs (N, I) of training sequences; these on the CPU."""
        wide = inputs.cpu().double()  # not every device has float64
        mean, spread = wide.mean(0), wide.std(0, correction=0)
        inverse = torch.where(spread > MIN_STD, 1 / spread, 0.0)
        gain = self._gain
        self.shift, self.scale = mean.to(self.weight), (inverse * gain).to(self.weight)
        return (wide - mean) * inverse

    @torch.no_grad()
    def start(self, inputs: Tensor) -> None:
        """Make the outputs the principal components of the inputs (N, I) of training sequences.

        Their mean variance is the square of `CODE_STD`. Where there are fewer components than
        outputs, the rest is 0.
        """
        standard = self.standardize(inputs)
        variances, components = _principal(standard, len(self.weight))
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
    def unfold(self, inputs: Tensor) -> None:
        """Train on standardised inputs again, from the weights that are there.

        For the inputs (N, I) of training sequences the outputs stay what they are.
        """
        self.standardize(inputs)
        assert self.shift is not None
        assert self.scale is not None
        weight, scale = self.weight.cpu().double(), self.scale.cpu().double()
        self.bias.add_((weight @ self.shift.cpu().double()).to(self.bias))
        self.weight.copy_(torch.where(scale > 0, weight / scale, 0.0).to(self.weight))

    @torch.no_grad()
    def fold(self) -> None:
        """Make centring and scaling a part of the weights."""
        if self.shift is None or self.scale is None:
            return
        weight = self.weight.cpu().double() * self.scale.cpu().double()
        self.bias.sub_((weight @ self.shift.cpu().double()).to(self.bias))
        self.weight.copy_(weight.to(self.weight))
        self.shift = self.scale = None


def _principal(centred: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The largest variances (K,) of data (N, I) and their directions (K, I), at most `most`.

    The smaller of the two matrices of products is diagonalised.
    """
    count, inputs = centred.shape
    small = centred.T @ centred if inputs <= count else centred @ centred.T
    squares, vectors = torch.linalg.eigh(small)  # ascending
    squares, vectors = squares.flip(0)[:most].clamp(min=0), vectors.flip(1)[:, :most]
    if inputs <= count:
        return squares / count, vectors.T
    lengths = squares.sqrt()[:, None]
    return squares / count, torch.where(lengths > 0, vectors.T @ centred / lengths, 0.0)
