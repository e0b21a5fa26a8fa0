"""Batches of scaled sequences as tensors."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unspool.data.convert import Source
from unspool.data.futures import Futures
from unspool.data.scaling import Scaler
from unspool.data.sequences import FloatArray, IntArray
from unspool.training.blocks import BlockOrder, Blocks, Kept, Taken, take
from unspool.training.error_weights import ErrorWeights
from unspool.training.orders import (
    MAX_PADDING_IN_ORDER,
    LengthOrder,
    MixedOrder,
    batches_by_length,
    mixed_padding,
    order_of,
)


class Batch(NamedTuple):
    """A batch of sequences.

    `x` (B, T, F) is scaled. `lengths` (B,) is None if all steps are real. `y` is the second target,
    if there is one: the scaled future of the targets (B, K, F_out), or classes (B,). `future`
    (B, K, n_known) has the scaled features that are known for these steps, if there are any.

    `weights` broadcast to the targets (B, T, F_out) and `y_weights` to their future (B, K, F_out):
    the loss is the sum of each weight times its error, divided by the number of errors.
    `sequence_weights` (B,) are those of penalties on codes, and of classes. None means that all
    weights are 1.
    """

    x: Tensor
    lengths: Tensor | None
    y: Tensor | None = None
    future: Tensor | None = None
    weights: Tensor | None = None
    y_weights: Tensor | None = None
    sequence_weights: Tensor | None = None

    def target(
        self, decoder: str, select: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return what a decoder of the whole sequence writes, its lengths, and its weights.

        `select` selects the targets (..., F_out) of all features.
        """
        if decoder == "reconstruction":
            return select(self.x), self.lengths, self.weights
        assert self.y is not None
        return self.y, None, self.y_weights

    @property
    def time_steps(self) -> int | Tensor:
        """Number of time steps without padding; a tensor if the sequences are padded."""
        return self.x.shape[0] * self.x.shape[1] if self.lengths is None else self.lengths.sum()

    @property
    def counts(self) -> bool:
        """Whether an error has a weight above 0."""
        given = [one for one in (self.weights, self.y_weights) if one is not None]
        return not given or any(bool(one.any()) for one in given)


class Batches:
    """Iterate over the sequences at `indices` in batches, shuffled if `rng` is given.

    A shuffled epoch has every sequence once, and every batch is a sample spread over all of the
    data. For n batches, the sequences in their order are cut into runs of n, and each batch gets
    one sequence of every run. Neighbours are similar (windows of one series, a file sorted by
    class), so such batches, and their gradients, differ less from one another than the batches of
    a plain permutation. If more than three quarters of the steps would be padding, the sequences of
    a batch have similar lengths instead (`LengthOrder`). Sequences that are not in memory are read
    in blocks (`BlockOrder`); in order, a few of them are read once and kept in memory (`Kept`).

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
        batches of all lengths differ by at most one.
    device : torch.device
        Device of the tensors.
    rng : numpy.random.Generator, optional
        Random number generator; shuffles the sequences in every epoch. Default: no shuffling.
    steps : int, optional
        Maximum number of batches of a shuffled epoch. If there are more, every epoch uses a fresh
        sample spread over the data. Default: no limit.
    classes : int array of shape (len(source),), optional
        Classes, the `y` of a batch. Default: `y` is the future if `source` is a `Futures`.
    weights : ErrorWeights, optional
        Weights of the errors of all sequences of `source`.
    limited : bool, default True
        Whether to clip sequences and futures if the scaler clips (`Scaler.limit`).
    sizes : callable, optional
        Without `rng`: returns the maximum sizes of batches with these longest sequences. They are
        used instead of `batch_size`, from the shortest sequences to the longest, if several batches
        are needed and the longest sequence has more than twice the mean number of steps.
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
        weights: ErrorWeights | None = None,
        *,
        limited: bool = True,
        sizes: Callable[[IntArray], IntArray] | None = None,
    ) -> None:
        self.classes, self.weights, self.limited = classes, weights, limited
        self.source, self.scaler, self.indices = source, scaler, indices
        self.batch_size, self.device, self.rng = batch_size, device, rng
        n = len(indices)
        self._take: Callable[[IntArray], Taken] = partial(take, source)
        self.order: MixedOrder | LengthOrder | BlockOrder | None = None
        edges = source.blocks  # None if the sequences are in memory
        if edges is not None and rng is None and Kept.fits(source, indices):
            self._take = Kept(source, indices).take
        if edges is not None and rng is not None:
            if (indices[1:] < indices[:-1]).any():
                self.indices = np.sort(indices)
            blocks = Blocks(source, edges)
            self.order = BlockOrder(blocks, self.indices, batch_size, steps)
            self._take = blocks.take
            return
        ragged = source.min_length < source.max_length
        lengths = source.lengths_of(indices) if ragged else None
        if rng is not None:
            self.order = order_of(lengths, n, batch_size, steps)
            return
        self.in_order = [indices[start : start + batch_size] for start in range(0, n, batch_size)]
        if sizes is None or lengths is None or len(self.in_order) < 2:
            return
        if mixed_padding(lengths, n) > MAX_PADDING_IN_ORDER:
            self.in_order = [indices[one] for one in batches_by_length(lengths, sizes)]

    def __len__(self) -> int:
        return len(self.in_order if self.order is None else self.order)

    @property
    def note(self) -> str:
        """How batches are made, if they have similar lengths; otherwise ""."""
        return "" if self.order is None else self.order.note

    def __iter__(self) -> Iterator[Batch]:
        return self.epoch()

    def epoch(self, skip: int = 0) -> Iterator[Batch]:
        """Iterate over an epoch without its first `skip` batches, whose sequences are not read.

        The order is drawn as if they were read: with `rng` as it was at the start of an epoch,
        this continues that epoch.
        """
        for indices in islice(self._order(), skip, None):
            yield self.gather(indices)

    def _order(self) -> Iterator[IntArray]:
        """Yield the indices of the sequences of each batch of an epoch."""
        if self.order is None or self.rng is None:
            yield from self.in_order
            return
        for positions in self.order.epoch(self.rng):
            yield self.indices[positions]

    def gather(self, indices: IntArray) -> Batch:
        """Return the sequences at `indices` as one batch."""
        values, lengths, future = self._take(indices)
        y = known = None
        if self.classes is not None:
            y = self._tensor(self.classes[indices])
        elif future is not None:
            assert isinstance(self.source, Futures)
            of_targets, ahead = self.source.scaled(future, self.scaler, limited=self.limited)
            y, known = self._tensor(of_targets), self._tensor(ahead)
        scaled, real = self._scaled(values), None
        if (lengths != values.shape[1]).any():
            scaled[np.arange(scaled.shape[1]) >= lengths[:, None]] = 0
            real = self._tensor(lengths)
        if self.limited:
            scaled = self.scaler.read(scaled, lengths)
        batch = Batch(self._tensor(scaled), real, y, known)
        if self.weights is None:
            return batch
        weights, y_weights, of_sequences = map(self._tensor, self.weights.take(indices))
        if future is None:
            y_weights = None
        return batch._replace(weights=weights, y_weights=y_weights, sequence_weights=of_sequences)

    @overload
    def _tensor(self, array: npt.NDArray[Any]) -> Tensor: ...

    @overload
    def _tensor(self, array: npt.NDArray[Any] | None) -> Tensor | None: ...

    def _tensor(self, array: npt.NDArray[Any] | None) -> Tensor | None:
        """Return an array as a tensor on the device."""
        return None if array is None else torch.from_numpy(array).to(self.device)

    def _scaled(self, values: FloatArray) -> FloatArray:
        scaled = self.scaler.apply(values)
        return self.scaler.limit(scaled) if self.limited else scaled
