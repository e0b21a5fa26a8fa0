"""Layers that `torch.fx` can trace, and where the sequences of a batch end.

Padded batches run whole. Every layer and direction is an `nn.LSTM` of its own, which reads a
sequence with its padding at the end, turned round where it reads backwards; so a state never comes
out of padding. (Packed sequences would do as well, but a traced call of theirs cannot be unpickled,
and they leave torch's quick path.)
"""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from unspool import blueprint as plan
from unspool.blueprint.layers import (
    PERIOD,
    VARIANCE_FLOOR,
    WAVES,
    Size,
)
from unspool.nn.from_blueprint import build_head

LARGE = 3e38  # beyond every state

State = tuple[Tensor, Tensor]  # h and c, each (layers · directions, B, H)


class Batch(NamedTuple):
    """Where the sequences of a batch (B, T, F) end.

    Parameters
    ----------
    lengths : tensor of shape (B,)
    inside : tensor of shape (B, T)
        Whether a step is a real one.
    turned : tensor of shape (B, T)
        The steps from the last real one back, then the padding.
    """

    lengths: Tensor
    inside: Tensor
    turned: Tensor

    @classmethod
    def of(cls, x: Tensor, lengths: Tensor) -> "Batch":
        """That of sequences x (B, T, F)."""
        steps = torch.ones_like(x[:, :, 0], dtype=torch.int64).cumsum(1) - 1
        ends = lengths.unsqueeze(1)
        inside = steps < ends
        return cls(lengths, inside, torch.where(inside, ends - 1 - steps, steps))

    def in_patches(self, size: int) -> "Batch":
        """The same batch by patches of `size` steps, where it is (B, P, size · F)."""
        if size == 1:
            return self
        count = (self.inside.shape[1] + (size - 1)) // size
        lengths = (self.lengths + (size - 1)) // size
        return Batch.of(self.inside[:, :count].unsqueeze(2), lengths)

    def reversed(self, x: Tensor) -> Tensor:
        """Sequences (B, T, F), each turned round within its own length."""
        return torch.take_along_dim(x, self.turned.unsqueeze(2), 1)

    def last(self, x: Tensor) -> Tensor:
        """The last real steps (B, F) of sequences (B, T, F); zeros of those without any."""
        place = (self.lengths.long() - 1).clamp(min=0).reshape(-1, 1, 1)
        steps = torch.take_along_dim(x, place, 1).squeeze(1)
        return torch.where((self.lengths > 0).unsqueeze(1), steps, 0.0)

    def over(self, statistic: str, x: Tensor) -> Tensor:
        """A statistic (B, F) of sequences (B, T, F) over real steps: `unspool.lstm.pooling`."""
        inside, begun = self.inside.unsqueeze(2), (self.lengths > 0).unsqueeze(1)
        if statistic == "max":
            return torch.where(begun, torch.where(inside, x, -LARGE).amax(1), 0.0)
        if statistic == "min":
            return torch.where(begun, torch.where(inside, x, LARGE).amin(1), 0.0)
        count = self.lengths.clamp(min=1).unsqueeze(1)
        mean = torch.where(inside, x, 0.0).sum(1) / count
        if statistic == "mean":
            return mean
        apart = torch.where(inside, x - mean.unsqueeze(1), 0.0)
        spread = ((apart * apart).sum(1) / count + VARIANCE_FLOOR).sqrt()
        return torch.where(begun, spread, 0.0)


class Layers(nn.ModuleList):
    """LSTM layers, a list of directions for each.

    Parameters
    ----------
    part : blueprint's Layers
    holds : bool, default False
        Each layer reads one more column, 1 in the padding, which shuts the input gate and opens the
        forget gate: c stays what it was at the end.
    """

    def __init__(self, part: plan.Layers, *, holds: bool = False) -> None:
        first = part.inputs + part.context or 1  # PyTorch has no LSTM that reads nothing
        super().__init__(
            nn.ModuleList(
                nn.LSTM((part.width if depth else first) + holds, part.units, batch_first=True)
                for _ in range(part.directions)
            )
            for depth in range(part.num_layers)
        )
        self.holds = holds

    def forward(
        self, x: Tensor, batch: Batch | None = None, state: State | None = None
    ) -> tuple[Tensor, list[State]]:
        """States (B, T, S) of sequences; h (B, T, H) and c (B, H) of each layer and direction.

        Where there is no `batch`, all steps are real ones.
        """
        every: list[State] = []
        for layer in self:
            assert isinstance(layer, nn.ModuleList)
            written = []
            for direction, lstm in enumerate(layer):
                read = self._turned(x, batch) if direction else x
                if self.holds and batch is not None:
                    padding = torch.logical_not(batch.inside).unsqueeze(2).type_as(x)
                    read = torch.cat([read, padding], 2)
                place, start = len(every), None
                if state is not None:
                    start = (state[0][place : place + 1], state[1][place : place + 1])
                found = lstm(read, start)
                every.append((found[0], found[1][1][0]))
                written.append(self._turned(found[0], batch) if direction else found[0])
            x = torch.cat(written, 2)
        return x, every

    @staticmethod
    def _turned(x: Tensor, batch: Batch | None) -> Tensor:
        return x.flip(1) if batch is None else batch.reversed(x)


class Kernels(nn.ModuleList):
    """Means over time of a hard sigmoid of causal convolutions, as in `unspool.nn.random_kernels`.

    A convolution for each dilation; none of them is trained.
    """

    def __init__(self, part: plan.Kernels) -> None:
        super().__init__(
            nn.Conv1d(part.n_features, part.each, part.TAPS, dilation=dilation)
            for dilation in part.dilations
        )
        self.requires_grad_(requires_grad=False)
        self.part = part

    def forward(self, x: Tensor, batch: Batch) -> Tensor:
        """Means (B, K) over the real steps of sequences (B, T, F)."""
        found = []
        for dilation, convolution in zip(self.part.dilations, self, strict=True):
            before = (self.part.TAPS - 1) * dilation
            padded = functional.pad(x.transpose(1, 2), (before, 0), mode="replicate")
            found.append(functional.hardsigmoid(convolution(padded)))
        values = torch.where(batch.inside.unsqueeze(1), torch.cat(found, 1), 0.0)
        return values.sum(2) / batch.lengths.clamp(min=1).unsqueeze(1)


def head(part: plan.Head) -> nn.Sequential:
    """Dense layers and activations, without what `unspool.nn.Head` does to be quick."""
    return nn.Sequential(
        *(
            nn.Linear(one.in_features, one.out_features) if isinstance(one, nn.Linear) else one
            for one in build_head(part).children()
        )
    )


def convolutions(channels: list[int], kernel: Size) -> nn.ModuleList:
    """One for each pair of neighbouring `channels`."""
    return nn.ModuleList(nn.Conv2d(wide, narrow, kernel) for wide, narrow in pairwise(channels))


def same(convolution: nn.Module, images: Tensor, kernel: Size) -> Tensor:
    """A convolution of images (B, H, W, C) that leaves them as large, as Keras's "same"."""
    tall, wide = kernel
    above, left = (tall - 1) // 2, (wide - 1) // 2
    around = (left, wide - 1 - left, above, tall - 1 - above)
    maps: Tensor = convolution(functional.pad(images.permute(0, 3, 1, 2), around))
    return maps.permute(0, 2, 3, 1)


def patched(x: Tensor, size: int) -> Tensor:
    """Patches (B, P, size · F) of sequences (B, T, F), with zeros in their padding."""
    if size == 1:
        return x
    count = (x.shape[1] + (size - 1)) // size
    whole = functional.pad(x, (0, 0, 0, size - 1))[:, : count * size]
    return whole.reshape(x.shape[0], count, size * x.shape[2])


def places(like: Tensor) -> Tensor:
    """The places of patches (B, P, 2 · WAVES) for as many as there are in `like` (B, P)."""
    steps = torch.ones_like(like, dtype=torch.float64).cumsum(1) - 1
    waves = torch.ones_like(like[:, :1], dtype=torch.float64).unsqueeze(2).expand(-1, -1, WAVES)
    angles = steps.unsqueeze(2) * waves.cumsum(2) * (2 * torch.pi / PERIOD)
    return torch.cat([angles.sin(), angles.cos()], 2)


def up_to(steps: int, x: Tensor) -> Tensor:
    """Sequences (B, T, F) with zeros added at the end, (B, steps, F)."""
    return functional.pad(x, (0, 0, 0, steps))[:, :steps]
