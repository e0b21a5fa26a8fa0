"""Batches of scaled sequences as tensors."""

from collections.abc import Iterator
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unspool.data.convert import Source
from unspool.data.futures import Futures
from unspool.data.scaling import Scaler
from unspool.data.sequences import FloatArray, IntArray


class Batch(NamedTuple):
    """A batch of sequences.

    `x` (B, T, F) is scaled. `lengths` (B,) is None if all steps are real. `y` is the second target,
    if there is one: the scaled future of the targets (B, K, F_out), or classes (B,). `future`
    (B, K, n_known) has the scaled features that are known for these steps, if there are any.
    """

    x: Tensor
    lengths: Tensor | None
    y: Tensor | None = None
    future: Tensor | None = None


class Batches:
    """Iterate over the sequences at `indices` in batches, shuffled if `rng` is given.

    A shuffled epoch has every sequence once, and every batch is a sample spread over all of the
    data. For n batches, the sequences in their order are cut into runs of n, and each batch gets
    one sequence of every run. Neighbours are similar (windows of one series, a file sorted by
    class), so such batches, and their gradients, differ less from one another than the batches of
    a plain permutation.

    Parameters
    ----------
    source : Sequences, Windows or Futures
        The sequences.
    scaler : Scaler
        Scaling that is applied to them.
    indices : array of shape (N,)
        Indices of the sequences to use.
    batch_size : int
        Maximum batch size. In order, only the last batch may be smaller. Shuffled, the sizes of
        batches differ by at most one.
    device : torch.device
        Device of the tensors.
    rng : numpy.random.Generator, optional
        Random number generator; shuffles the sequences in every epoch. Default: no shuffling.
    steps : int, optional
        Maximum number of batches of a shuffled epoch. If there are more, every epoch uses a fresh
        sample spread over the data. Default: no limit.
    classes : int array of shape (len(source),), optional
        Classes, the `y` of a batch. Default: `y` is the future if `source` is a `Futures`.
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
        for positions in stratified_batches(
            len(self.indices), self.steps, self.batch_size, self.rng
        ):
            yield self.gather(self.indices[positions])

    def gather(self, indices: IntArray) -> Batch:
        """Return the sequences at `indices` as one batch."""
        values, lengths, future = take(self.source, indices)
        y = known = None
        if self.classes is not None:
            y = self._tensor(self.classes[indices])
        elif future is not None:
            assert isinstance(self.source, Futures)
            of_targets, ahead = self.source.scaled(future, self.scaler)
            y, known = self._tensor(of_targets), self._tensor(ahead)
        scaled = self.scaler.apply(values)
        if (lengths == values.shape[1]).all():
            return Batch(self._tensor(scaled), None, y, known)
        scaled[np.arange(scaled.shape[1]) >= lengths[:, None]] = 0
        return Batch(self._tensor(scaled), self._tensor(lengths), y, known)

    @overload
    def _tensor(self, array: npt.NDArray[Any]) -> Tensor: ...

    @overload
    def _tensor(self, array: npt.NDArray[Any] | None) -> Tensor | None: ...

    def _tensor(self, array: npt.NDArray[Any] | None) -> Tensor | None:
        """Return an array as a tensor on the device."""
        return None if array is None else torch.from_numpy(array).to(self.device)


def take(
    source: Source | Futures, indices: IntArray
) -> tuple[FloatArray, IntArray, FloatArray | None]:
    """Return values, lengths, and the future if `source` has one."""
    if isinstance(source, Futures):
        return source.take_with_future(indices)
    return *source.take(indices), None


def stratified_batches(
    n: int, batches: int, size: int, rng: np.random.Generator
) -> Iterator[IntArray]:
    """Distribute 0 … n-1 over batches of at most `size`, each of which is spread over the range.

    If the batches are too small for all, a sample is distributed (see `sample`).

    Examples
    --------
    >>> batches = list(stratified_batches(7, 3, 3, np.random.default_rng(0)))
    >>> sorted(len(batch) for batch in batches)
    [2, 2, 3]
    """
    drawn = sample(np.arange(n), batches * size, rng)
    runs = -(-len(drawn) // batches)
    table = np.arange(runs * batches).reshape(runs, batches)
    for column in rng.permuted(table, axis=1).T:
        yield drawn[column[column < len(drawn)]]


def sample(indices: IntArray, count: int, rng: np.random.Generator) -> IntArray:
    """Draw `count` of `indices`, one of each of `count` equal parts; return all if they are fewer.

    Examples
    --------
    >>> sample(np.arange(100), 4, np.random.default_rng(0)) // 25
    array([0, 1, 2, 3])
    """
    if count >= len(indices):
        return indices
    edges = np.linspace(0, len(indices), count + 1).astype(np.int64)
    return indices[rng.integers(edges[:-1], edges[1:])]
