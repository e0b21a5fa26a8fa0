"""How a fitted model runs on sequences, batch by batch; what a classifier uses of its encoder."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unspool._padding import without_padding
from unspool._pieces import read_pieces
from unspool.data.convert import Source
from unspool.data.futures import Futures, is_stored
from unspool.data.scaling import Scaler
from unspool.data.sequences import FloatArray, IntArray
from unspool.lstm import threads
from unspool.nn import Autoencoder, torch_settings
from unspool.nn.normalization import normalised
from unspool.training.batches import Batch, Batches
from unspool.training.orders import sample

# Limits of a batch without gradients: they bound the memory, and hardly affect the speed.
INFERENCE_STEPS = 1 << 16
INFERENCE_VALUES = 1 << 22
PIECE_BATCHES = 4  # full batches of a piece; one piece is used while the next one is read
SORTED_BATCHES = 8  # full batches of a piece of neighbours that are sorted by length together
FIRST_COUNT = 1024  # sequences whose lengths are read first to find the end of a piece
PADDED = 4  # largest ratio of the steps of a piece with padding to the limit without padding
INITIAL_SAMPLE = 2048  # number of training sequences from which initial weights are computed
SINGLE_THREAD_BATCH = 16  # largest batch that PyTorch runs in one thread anyway


@dataclass(frozen=True)
class BatchRunner:
    """Runs the module of a model on sequences.

    Parameters
    ----------
    module : Autoencoder
    scaler : Scaler
        Scales the sequences before the module reads them.
    n_features : int
        Features of a time step, F.
    """

    module: Autoencoder
    scaler: Scaler
    n_features: int

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(  # `parameters` also looks for shared weights
            weight.device
            for module in self.module.modules()
            for weight in module._parameters.values()
            if weight is not None
        )

    @property
    def code_length(self) -> int:
        """Length of a code, L."""
        return self.module.encoder.latent_dim

    def batch_size(self, steps: int, width: int = 0) -> int:
        """Return the batch size for sequences of `steps` steps of up to `width` numbers each."""
        values = max(1, steps) * max(self.n_features, width)
        return max(1, min(INFERENCE_STEPS // max(1, steps), INFERENCE_VALUES // values))

    def batch_sizes(self, steps: IntArray) -> IntArray:
        """Return the batch sizes (N,) for sequences of these numbers of steps."""
        steps = np.maximum(steps, 1)
        values = steps * self.n_features
        return np.maximum(np.minimum(INFERENCE_STEPS // steps, INFERENCE_VALUES // values), 1)

    def outputs(
        self, source: Source | Futures, compute: Callable[[Batch], Tensor], size: int | None = None
    ) -> Iterator[tuple[IntArray, Batch, FloatArray]]:
        """Yield the indices (B,) of each batch, the batch, and what `compute` returns for it.

        If the scaler clips or normalises, `compute` reads such a batch, and the batch that is
        yielded has the true values, to which errors refer.

        Sequences are read in runs of neighbours (`pieces`). Within each, sequences of similar
        length share a batch of at most `size` sequences.
        """
        # Sequences that are in a file are read once, and numbered from the first of their run.
        runs = self.pieces(source, size)
        parts: Iterable[tuple[int, Source | Futures, IntArray]]
        if is_stored(source):
            parts = ((a, part, np.arange(len(part))) for a, part in read_pieces(source, runs))
        else:
            parts = ((0, source, np.arange(a, b)) for a, b in runs)
        for first, part, order in parts:
            longest = source.max_length
            if source.min_length < longest:
                lengths = part.lengths_of(order)
                order, longest = order[np.argsort(lengths, kind="stable")], int(lengths.max())
            count = size or self.batch_size(longest)
            sizes = None if size else self.batch_sizes
            batches = Batches(
                part, self.scaler, order, count, self.device, limited=False, sizes=sizes
            )
            for indices, batch in zip(batches.in_order, batches, strict=True):
                read = self._read(batch)
                yield indices + first, batch, self.output(len(batch.x), compute, read)

    def pieces(
        self, source: Source | Futures, size: int | None = None
    ) -> Iterator[tuple[int, int]]:
        """Yield first and end of runs of neighbouring sequences, which bound memory.

        A run on its own is one run, with the same batches, so that a result computed run by run
        equals the result computed at once.
        """
        n, longest = len(source), source.max_length
        if source.min_length == longest:
            step = PIECE_BATCHES * (size or self.batch_size(longest))
            yield from ((start, min(start + step, n)) for start in range(0, n, step))
            return
        limit = SORTED_BATCHES * min(INFERENCE_STEPS, INFERENCE_VALUES // max(1, self.n_features))
        start = 0
        while start < n:
            stop = _end_of_piece(source, start, limit)
            yield start, stop
            start = stop

    def _read(self, batch: Batch) -> Batch:
        """Return what the module reads of a batch."""
        clip, x = self.scaler.clip, batch.x
        if clip is not None:
            x = x.clamp(-clip, clip)
        if self.scaler.normalization != "none":
            fill = x.new_zeros(x.shape[2]) if self.scaler.missing else None
            x = normalised(x, batch.lengths, self.scaler.normalization, fill)
            x = without_padding(x, batch.lengths)
        return batch._replace(x=x)

    def output(self, batch: int, compute: Callable[..., Tensor], *inputs: Any) -> FloatArray:
        """Run `compute` on the `inputs` of `batch` sequences, without gradients."""
        with torch_settings.inference(), self.threads(batch, training=False):
            output: FloatArray = compute(*inputs).cpu().numpy()
        return output

    def codes(self, source: Source) -> npt.NDArray[np.float32]:
        """Return the codes of sequences, (N, L)."""
        codes = np.empty((len(source), self.code_length), np.float32)
        encoder = self.module.encoder
        for indices, _, code in self.outputs(source, lambda one: encoder(one.x, one.lengths)):
            codes[indices] = code
        return codes

    def threads(
        self, batch: int, *, training: bool, h_mask: bool = False
    ) -> AbstractContextManager[None]:
        """Keep PyTorch from using the cores where compiled code does the work on a batch."""
        single = not training and batch <= SINGLE_THREAD_BATCH
        if single or not self.module.runs_compiled(batch, training=training, h_mask=h_mask):
            return nullcontext()
        return threads.pytorch_on_one_thread()

    @contextmanager
    def initial_sample(
        self, source: Source | Futures, training: IntArray, rng: np.random.Generator
    ) -> Iterator[Iterable[tuple[Tensor, Tensor | None]]]:
        """Provide batches of training sequences from which an encoder computes initial weights.

        Neighbouring sequences are alike, so every batch is spread over the data.
        """
        some = sample(training, INITIAL_SAMPLE, rng)
        size = self.batch_size(source.max_length)
        count = -(-len(some) // size)
        some = np.concatenate([some[first::count] for first in range(count)])
        batches = Batches(source, self.scaler, some, size, self.device, sizes=self.batch_sizes)
        with self.threads(len(some), training=True):
            yield ((batch.x, batch.lengths) for batch in batches)


def _end_of_piece(source: Source | Futures, start: int, limit: int) -> int:
    """Return the end of the longest run from `start` whose steps are at most `limit`.

    With padding, its steps are at most `PADDED` times the limit. A run has at least one sequence.
    """
    n, count = len(source), FIRST_COUNT
    while True:
        lengths = np.maximum(source.lengths_of(np.arange(start, min(start + count, n))), 1)
        padded = np.arange(1, len(lengths) + 1) * np.maximum.accumulate(lengths)
        fits = (np.cumsum(lengths) <= limit) & (padded <= PADDED * limit)
        if not fits.all():
            return start + max(1, int(fits.argmin()))
        if start + count >= n:
            return n
        count *= 4


def runner(model: Any) -> BatchRunner:
    """Return the runner of a model whose module has been made."""
    return BatchRunner(model.module_, model.scaler_, model._n_features)
