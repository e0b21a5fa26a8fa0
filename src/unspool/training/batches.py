"""Batches of scaled sequences as tensors, gathered in one step each."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from unspool.data.convert import Source
from unspool.data.futures import Futures
from unspool.data.scaling import Scaler
from unspool.data.sequences import FloatArray, IntArray


class Batch(NamedTuple):
    """Sequences x (B, T, F), scaled; lengths (B,), or None where every sequence fills all T.

    y is what is to be learned besides: the future (B, K, F), scaled, or classes (B,).
    """

    x: Tensor
    lengths: Tensor | None
    y: Tensor | None = None


class Batches:
    """The sequences at `indices`, batch by batch; shuffled anew at each pass where `rng` is given.

    A shuffled pass has every sequence once, and in every batch a sample spread over all of the
    data: the sequences are cut, in their order, into runs as long as there are batches, and each
    batch draws one from every run. Neighbours are alike (windows of one series, a file sorted by
    class), so such batches differ less from one another than those of a plain permutation, and
    so do their gradients.

    Parameters
    ----------
    source : Sequences, Windows or Futures
    scaler : Scaler
    indices : array of shape (N,)
    batch_size : int
        Most sequences in a batch. In order, all batches but the last have as many; shuffled, they
        are of equal size, give or take one.
    device : torch.device
    rng : numpy Generator, optional
    classes : whole-number array of shape (len(source),), optional
        The y of a batch. Without it that is the future, for a source that is `Futures`.
    steps : int, optional
        Most batches in a shuffled pass. Where there are more, a pass is over a sample, spread
        over the data and drawn anew each time.
    """

    def __init__(
        self,
        source: Source | Futures,
        scaler: Scaler,
        indices: IntArray,
        batch_size: int,
        device: torch.device,
        rng: np.random.Generator | None = None,
        steps: int | None = None,
        classes: IntArray | None = None,
    ) -> None:
        self.classes = classes
        self.source, self.scaler, self.indices = source, scaler, indices
        self.batch_size, self.device, self.rng = batch_size, device, rng
        self.steps = -(-len(indices) // batch_size)
        if rng is not None and steps is not None:
            self.steps = min(steps, self.steps)

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Batch]:
        if self.rng is None:
            for start in range(0, len(self.indices), self.batch_size):
                yield self.gather(self.indices[start : start + self.batch_size])
            return
        for places in stratified_batches(len(self.indices), self.steps, self.batch_size, self.rng):
            yield self.gather(self.indices[places])

    def gather(self, indices: IntArray) -> Batch:
        """One batch of the sequences at `indices`."""
        values, lengths, future = take(self.source, indices)
        y = None
        if self.classes is not None:
            y = torch.from_numpy(self.classes[indices]).to(self.device)
        elif future is not None:
            y = torch.from_numpy(self.scaler.apply(future)).to(self.device)
        scaled = self.scaler.apply(values)
        if (lengths == values.shape[1]).all():
            return Batch(torch.from_numpy(scaled).to(self.device), None, y)
        scaled[np.arange(scaled.shape[1]) >= lengths[:, None]] = 0
        return Batch(
            torch.from_numpy(scaled).to(self.device), torch.from_numpy(lengths).to(self.device), y
        )


def take(
    source: Source | Futures, indices: IntArray
) -> tuple[FloatArray, IntArray, FloatArray | None]:
    """Values, lengths, and the future where `source` has one."""
    if isinstance(source, Futures):
        return source.take_with_future(indices)
    return *source.take(indices), None


def stratified_batches(
    n: int, batches: int, size: int, rng: np.random.Generator
) -> Iterator[IntArray]:
    """Deal 0 … n-1 out to batches of at most `size`, each spread over all of them.

    Where they do not all fit, as many as do are drawn first: one from each of as many equal parts.

    Examples
    --------
    >>> dealt = list(stratified_batches(7, 3, 3, np.random.default_rng(0)))
    >>> sorted(len(batch) for batch in dealt)
    [2, 2, 3]
    """
    drawn = sample(np.arange(n), batches * size, rng)
    runs = -(-len(drawn) // batches)
    table = np.arange(runs * batches).reshape(runs, batches)
    for column in rng.permuted(table, axis=1).T:
        yield drawn[column[column < len(drawn)]]


def sample(indices: IntArray, count: int, rng: np.random.Generator) -> IntArray:
    """Draw `count` of `indices`, one from each of as many equal parts; all where there are fewer.

    Examples
    --------
    >>> sample(np.arange(100), 4, np.random.default_rng(0)) // 25
    array([0, 1, 2, 3])
    """
    if count >= len(indices):
        return indices
    edges = np.linspace(0, len(indices), count + 1).astype(np.int64)
    return indices[rng.integers(edges[:-1], edges[1:])]
