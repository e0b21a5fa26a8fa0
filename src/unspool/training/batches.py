"""Batches of scaled sequences as tensors, gathered in one step each."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from unspool.data.convert import Source
from unspool.data.scaling import Scaler
from unspool.data.sequences import IntArray


class Batch(NamedTuple):
    """Sequences x (B, T, F), scaled; lengths (B,), or None where every sequence fills all T."""

    x: Tensor
    lengths: Tensor | None


class Batches:
    """The sequences at `indices`, batch by batch; shuffled anew at each pass where `rng` is given.

    Parameters
    ----------
    source : Sequences or Windows
    scaler : Scaler
    indices : array of shape (N,)
    batch_size : int
        The last batch of a pass may be smaller.
    device : torch.device
    rng : numpy Generator, optional
    """

    def __init__(
        self,
        source: Source,
        scaler: Scaler,
        indices: IntArray,
        batch_size: int,
        device: torch.device,
        rng: np.random.Generator | None = None,
    ) -> None:
        self.source, self.scaler, self.indices = source, scaler, indices
        self.batch_size, self.device, self.rng = batch_size, device, rng

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        order = self.indices if self.rng is None else self.rng.permutation(self.indices)
        for start in range(0, len(order), self.batch_size):
            yield self.gather(order[start : start + self.batch_size])

    def gather(self, indices: IntArray) -> Batch:
        """One batch of the sequences at `indices`."""
        values, lengths = self.source.take(indices)
        scaled = self.scaler.apply(values)
        if (lengths == values.shape[1]).all():
            return Batch(torch.from_numpy(scaled).to(self.device), None)
        scaled[np.arange(scaled.shape[1]) >= lengths[:, None]] = 0
        return Batch(
            torch.from_numpy(scaled).to(self.device), torch.from_numpy(lengths).to(self.device)
        )
