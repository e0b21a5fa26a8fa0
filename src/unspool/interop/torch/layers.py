"""Layers that `torch.fx` can trace, for padded batches of sequences.

Each layer and direction is a separate `nn.LSTM` or `nn.GRU` over the padded batch. The backward
direction reads each sequence reversed within its length, so padding always comes last and no state
of a real step depends on it. Packed sequences are an alternative, but a traced call of them cannot
be unpickled, and they are slower in PyTorch.
"""

from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from unspool import blueprint as plan
from unspool.blueprint.convolutions import crop_before, padding
from unspool.blueprint.layers import (
    PERIOD,
    VARIANCE_FLOOR,
    WAVES,
    Size,
)
from unspool.nn.from_blueprint import build_head

LARGE = 3e38  # larger than every state
SATURATED = 1e9  # input of a gate at which its sigmoid is exactly 0 or 1

# h and c (of a GRU only h), (B, H) of each layer and direction.
State = tuple[list[Tensor], ...]


class Batch(NamedTuple):
    """Lengths of the sequences of a batch (B, T, F).

    Parameters
    ----------
    lengths : tensor of shape (B,)
        Number of real steps.
    inside : tensor of shape (B, T)
        True at real steps.
    reverse_order : tensor of shape (B, T)
        Indices of the real steps in reverse order, then of the padding.
    """

    lengths: Tensor
    inside: Tensor
    reverse_order: Tensor

    @classmethod
    def of(cls, x: Tensor, lengths: Tensor) -> "Batch":
        """Make the batch of sequences x (B, T, F)."""
        steps = torch.ones_like(x[:, :, 0], dtype=torch.int64).cumsum(1) - 1
        ends = lengths.unsqueeze(1)
        inside = steps < ends
        return cls(lengths, inside, torch.where(inside, ends - 1 - steps, steps))

    def in_patches(self, size: int) -> "Batch":
        """Return the batch of the sequences in patches of `size` steps, (B, P, size · F)."""
        if size == 1:
            return self
        count = (self.inside.shape[1] + (size - 1)) // size
        lengths = (self.lengths + (size - 1)) // size
        return Batch.of(self.inside[:, :count].unsqueeze(2), lengths)

    def reversed(self, x: Tensor) -> Tensor:
        """Reverse sequences (B, T, F), each within its length."""
        return torch.take_along_dim(x, self.reverse_order.unsqueeze(2), 1)

    def last(self, x: Tensor) -> Tensor:
        """Return the last real step (B, F) of sequences (B, T, F); zeros for empty ones."""
        index = (self.lengths.long() - 1).clamp(min=0).reshape(-1, 1, 1)
        steps = torch.take_along_dim(x, index, 1).squeeze(1)
        return torch.where((self.lengths > 0).unsqueeze(1), steps, 0.0)

    def pooled(self, statistic: str, x: Tensor) -> Tensor:
        """Return a statistic (B, F) of x (B, T, F) over real steps; see `unspool.lstm.pooling`."""
        inside, has_steps = self.inside.unsqueeze(2), (self.lengths > 0).unsqueeze(1)
        if statistic == "max":
            return torch.where(has_steps, torch.where(inside, x, -LARGE).amax(1), 0.0)
        if statistic == "min":
            return torch.where(has_steps, torch.where(inside, x, LARGE).amin(1), 0.0)
        count = self.lengths.clamp(min=1).unsqueeze(1)
        mean = torch.where(inside, x, 0.0).sum(1) / count
        if statistic == "mean":
            return mean
        difference = torch.where(inside, x - mean.unsqueeze(1), 0.0)
        spread = ((difference * difference).sum(1) / count + VARIANCE_FLOOR).sqrt()
        return torch.where(has_steps, spread, 0.0)


class Layers(nn.ModuleList):
    """LSTM or GRU layers, each of which is a list of directions.

    Parameters
    ----------
    part : unspool.blueprint.Layers
        Sizes of the layers.
    holds_state : bool, default False
        Whether each layer of an LSTM reads one more column, which is 1 in the padding. Its weights
        close the input gate and open the forget gate, so c keeps its value at the last real step.
    """

    def __init__(self, part: plan.Layers, *, holds_state: bool = False) -> None:
        first = part.inputs + part.context or 1  # nn.LSTM and nn.GRU need an input
        holds_state = holds_state and part.kind.has_c
        make = nn.LSTM if part.kind.has_c else nn.GRU
        super().__init__(
            nn.ModuleList(
                make(width + holds_state, units, batch_first=True) for _ in range(part.directions)
            )
            for width, units in zip([first, *part.widths], part.units, strict=False)
        )
        self.holds_state, self.has_c = holds_state, part.kind.has_c

    def forward(
        self, x: Tensor, batch: Batch | None = None, state: State | None = None
    ) -> tuple[Tensor, list[tuple[Tensor, ...]]]:
        """Return states (B, T, S) of x; h (B, T, H) and c (B, H) of each layer and direction.

        A GRU has h alone. Without `batch`, all steps are real.
        """
        states: list[tuple[Tensor, ...]] = []
        for layer in self:
            assert isinstance(layer, nn.ModuleList)
            outputs = []
            for direction, lstm in enumerate(layer):
                inputs = self._reversed(x, batch) if direction else x
                if self.holds_state and batch is not None:
                    padding = torch.logical_not(batch.inside).unsqueeze(2).type_as(x)
                    inputs = torch.cat([inputs, padding], 2)
                i, start = len(states), None
                if state is not None:
                    each = tuple(one[i].unsqueeze(0) for one in state)
                    start = each if self.has_c else each[0]
                result = lstm(inputs, start)  # (output, (h, c)), or (output, h)
                c = (result[1][1][0],) if self.has_c else ()
                states.append((result[0], *c))
                outputs.append(self._reversed(result[0], batch) if direction else result[0])
            x = torch.cat(outputs, 2)
        return x, states

    @staticmethod
    def _reversed(x: Tensor, batch: Batch | None) -> Tensor:
        return x.flip(1) if batch is None else batch.reversed(x)


class Kernels(nn.ModuleList):
    """Means over time of a hard sigmoid of causal convolutions, as in `unspool.nn.random_kernels`.

    There is one convolution per dilation, and none of them is trained.
    """

    def __init__(self, part: plan.Kernels) -> None:
        super().__init__(
            nn.Conv1d(part.n_features, part.each, part.TAPS, dilation=dilation)
            for dilation in part.dilations
        )
        self.requires_grad_(requires_grad=False)
        self.part = part

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        """Return means (B, K) over the real steps of sequences (B, T, F)."""
        responses = []
        for dilation, convolution in zip(self.part.dilations, self, strict=True):
            before = (self.part.TAPS - 1) * dilation
            padded = functional.pad(x.transpose(1, 2), (before, 0), mode="replicate")
            responses.append(functional.hardsigmoid(convolution(padded)))
        values = torch.where(batch.inside.unsqueeze(1), torch.cat(responses, 1), 0.0)
        return values.sum(2) / batch.lengths.clamp(min=1).unsqueeze(1)


def head(part: plan.Head) -> nn.Sequential:
    """Make dense layers and activations, without the optimizations of `unspool.nn.Head`."""
    return nn.Sequential(
        *(
            nn.Linear(layer.in_features, layer.out_features)
            if isinstance(layer, nn.Linear)
            else layer
            for layer in build_head(part).children()
        )
    )


def encoder_convolutions(part: plan.ConvEncoder) -> nn.ModuleList:
    """Make the convolutions of an encoder."""
    channels = pairwise([part.n_inputs, *part.layers.filters])
    kernels, strides = part.layers.kernels, part.layers.strides
    return nn.ModuleList(
        nn.Conv2d(wide, narrow, kernel, stride)
        for (wide, narrow), kernel, stride in zip(channels, kernels, strides, strict=True)
    )


def decoder_convolutions(part: plan.ConvDecoder) -> nn.ModuleList:
    """Make the convolutions of a decoder."""
    return nn.ModuleList(
        nn.ConvTranspose2d(
            layer.inputs,
            layer.outputs,
            layer.kernel,
            layer.up,
            output_padding=(
                max(0, layer.up[0] - layer.kernel[0]),
                max(0, layer.up[1] - layer.kernel[1]),
            ),
        )
        if layer.transposed
        else nn.Conv2d(layer.inputs, layer.outputs, layer.kernel)
        for layer in part.convolutions
    )


def same_convolution(convolution: Any, images: Tensor, size: Size) -> Tensor:
    """Apply a convolution to images (B, H, W, C) of height and width `size`, as "same" in Keras."""
    sides = zip(size, convolution.kernel_size, convolution.stride, strict=True)
    (above, below), (left, right) = [padding(*side) for side in sides]
    maps: Tensor = convolution(
        functional.pad(images.permute(0, 3, 1, 2), (left, right, above, below))
    )
    return maps.permute(0, 2, 3, 1)


def transposed_convolution(convolution: Any, images: Tensor, size: Size) -> Tensor:
    """Apply a transposed convolution, cropped as "same" in Keras and then to `size`."""
    sides = zip(convolution.kernel_size, convolution.stride, strict=True)
    top, left = [crop_before(*side) for side in sides]
    maps: Tensor = convolution(images.permute(0, 3, 1, 2))
    return maps.permute(0, 2, 3, 1)[:, top : top + size[0], left : left + size[1]]


def patched(x: Tensor, size: int) -> Tensor:
    """Group sequences (B, T, F) into patches (B, P, size · F), padded with zeros."""
    if size == 1:
        return x
    count = (x.shape[1] + (size - 1)) // size
    padded = functional.pad(x, (0, 0, 0, size - 1))[:, : count * size]
    return padded.reshape(x.shape[0], count, size * x.shape[2])


def positions(like: Tensor) -> Tensor:
    """Return sines and cosines (B, P, 2 · WAVES) of the positions of patches; `like` is (B, P)."""
    steps = torch.ones_like(like, dtype=torch.float64).cumsum(1) - 1
    waves = torch.ones_like(like[:, :1], dtype=torch.float64).unsqueeze(2).expand(-1, -1, WAVES)
    angles = steps.unsqueeze(2) * waves.cumsum(2) * (2 * torch.pi / PERIOD)
    return torch.cat([angles.sin(), angles.cos()], 2)


def up_to(steps: int, x: Tensor) -> Tensor:
    """Pad sequences (B, T, F) with zeros to (B, steps, F)."""
    return functional.pad(x, (0, 0, 0, steps))[:, :steps]
