"""`ErrorWeights`: the weights of the errors of sequences, steps and features in the loss."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from unspool.data.convert import Source
from unspool.data.futures import Futures
from unspool.data.sequences import FloatArray, IntArray, Sequences
from unspool.data.windows import Windows

TAKE_SEQUENCES = 1024  # sequences whose weights are added up at once


class WeightsOfBatch(NamedTuple):
    """Weights of a batch, float32; None if all are 1.

    `errors` broadcast to (B, T, F_out), `y_errors` to the futures (B, K, F_out), and `sequences`
    are (B,).
    """

    errors: FloatArray | None
    y_errors: FloatArray | None
    sequences: FloatArray | None


@dataclass(frozen=True)
class ErrorWeights:
    """Weights of errors, which are multiplied with each other.

    Parameters
    ----------
    sequences : array of shape (N,), optional
        A weight for each sequence.
    steps : Sequences, Windows or Futures, optional
        A weight for each step: sequences of one feature with the lengths of the data. Either this
        or `sequences` is given, or neither.
    features : array of shape (F_out,), optional
        A weight for each target.
    factors : tuple of three floats
        Factors of the weights of steps, of futures and of sequences; see `normalised`.
    """

    sequences: FloatArray | None = None
    steps: Source | Futures | None = None
    features: FloatArray | None = None
    factors: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def take(self, indices: IntArray) -> WeightsOfBatch:
        """Return the weights of the sequences at `indices`."""
        steps, futures, sequences = self._raw(indices)
        by_step, by_future, by_sequence = self.factors
        return WeightsOfBatch(
            self._by_feature(steps, by_step),
            self._by_feature(futures, by_future),
            None if sequences is None else (sequences * by_sequence).astype(np.float32),
        )

    def normalised(self, source: Source | Futures, indices: IntArray) -> "ErrorWeights":
        """Return the same weights with a mean of 1 over the sequences at `indices`.

        The mean over real steps, the mean over futures and the mean over sequences are each 1, so
        that the loss of a batch is the sum of its weighted errors divided by their number, and all
        weights may be multiplied by any number.
        """
        if self.sequences is not None:
            lengths = source.lengths_of(indices)
            mean = self.sequences[indices].mean() if len(indices) else 1.0
            of_steps = (self.sequences[indices] * lengths).sum() / max(1, lengths.sum())
            return self._divided(of_steps, mean, mean)
        if self.steps is None:
            return self
        total, count = np.zeros(3), np.zeros(3)
        for some in _pieces(indices):
            steps, futures, sequences = self._raw(some)
            assert steps is not None
            assert futures is not None
            assert sequences is not None
            total += steps.sum(), futures.sum(), sequences.sum()
            count += self.steps.lengths_of(some).sum(), futures.size, len(some)
        return self._divided(*(total / np.maximum(count, 1)).tolist())

    def normalised_by_step(self, source: Source | Futures, indices: IntArray) -> "ErrorWeights":
        """Return the weights with a mean of 1 over the K steps that follow each step.

        For models that forecast after every step of a sequence.
        """
        if self.steps is None:
            weights = self.normalised(source, indices)
            by_step, _, by_sequence = weights.factors
            return replace(weights, factors=(by_step, by_step, by_sequence))
        total, count = 0.0, 0
        for some in _pieces(indices):
            steps, futures, _ = self._raw(some)
            assert steps is not None
            assert futures is not None
            lengths, horizon = self.steps.lengths_of(some), futures.shape[1]
            for weights, future, length in zip(
                steps[:, :, 0], futures[:, :, 0], lengths, strict=True
            ):
                joined = np.concatenate([weights[:length], future])
                ends = np.concatenate([[0.0], np.cumsum(joined)])[1:]
                total += (ends[horizon:] - ends[:-horizon]).sum()
                count += length * horizon
        return self._divided(*(total / max(1, count),) * 3)

    def only(self, keep: npt.NDArray[np.bool_]) -> "ErrorWeights":
        """Return the weights of the sequences in a mask (N,)."""
        sequences = None if self.sequences is None else self.sequences[keep]
        return replace(
            self, sequences=sequences, steps=None if self.steps is None else self.steps[keep]
        )

    def counted(self, *, reconstructs: bool, every_step: bool) -> npt.NDArray[np.bool_]:
        """Return which sequences (N,) have a weight above 0 among the steps that are targets.

        These are all steps, or only those of the future, or with `every_step` all but the first.
        """
        if self.sequences is not None:
            return self.sequences > 0
        assert self.steps is not None
        found = []
        for some in _pieces(np.arange(len(self.steps))):
            steps, futures, _ = self._raw(some)
            assert steps is not None
            assert futures is not None
            counts = futures.any(axis=(1, 2))
            if reconstructs or every_step:
                counts |= steps[:, 0 if reconstructs else 1 :].any(axis=(1, 2))
            found.append(counts)
        return np.concatenate(found)

    def of_statistics(self, source: Source) -> FloatArray | None:
        """Return a weight for each step of ``source.chunks()``, (S,), or None if all are 1.

        Windows count each step once, so weights of windows do not weigh steps.

        Parameters
        ----------
        source : Sequences or Windows
            The sequences, with the steps that are cut off.
        """
        steps = self.steps.source if isinstance(self.steps, Futures) else self.steps
        if self.sequences is not None and isinstance(source, Sequences):
            return np.repeat(self.sequences, source.lengths)
        if steps is None or isinstance(steps, Windows) != isinstance(source, Windows):
            return None
        return np.concatenate([chunk[:, 0] for chunk in steps.chunks()])

    def of_sequences(self) -> "ErrorWeights | None":
        """Return one weight for each sequence, the mean of its steps; without those of features."""
        if self.sequences is not None:
            return ErrorWeights(self.sequences)
        if self.steps is None:
            return None
        everything = np.arange(len(self.steps))
        raw = [self._raw(some)[2] for some in _pieces(everything)]
        return ErrorWeights(np.concatenate([one for one in raw if one is not None]))

    def _raw(
        self, indices: IntArray
    ) -> tuple[FloatArray | None, FloatArray | None, FloatArray | None]:
        """Return weights of steps (B, T, 1), of futures (B, K, 1), and of sequences (B,).

        The weight of a sequence is the mean of its steps and of its future.
        """
        if self.sequences is not None:
            weights = self.sequences[indices]
            return weights[:, None, None], weights[:, None, None], weights
        if self.steps is None:
            return None, None, None
        if isinstance(self.steps, Futures):
            steps, lengths, futures = self.steps.take_with_future(indices)
        else:
            steps, lengths = self.steps.take(indices)
            futures = np.zeros((len(steps), 0, 1))
        real = np.arange(steps.shape[1]) < lengths[:, None]
        steps = np.where(real[:, :, None], steps, 0)
        total = steps.sum(axis=(1, 2)) + futures.sum(axis=(1, 2))
        return steps, futures, total / np.maximum(1, lengths + futures.shape[1])

    def _by_feature(self, weights: FloatArray | None, factor: float) -> FloatArray | None:
        """Multiply the weights of steps by a factor and by those of the features."""
        if weights is None:
            if self.features is None:
                return None
            return self.features.astype(np.float32)[None, None]
        weights = weights * factor
        if self.features is not None:
            weights = weights * self.features
        return weights.astype(np.float32)

    def _divided(self, *means: float) -> "ErrorWeights":
        """Divide by means over steps, futures and sequences; a mean of 0 divides nothing."""
        steps, futures, sequences = (1 / mean if mean > 0 else 1.0 for mean in means)
        return replace(self, factors=(steps, futures, sequences))


def _pieces(indices: IntArray) -> Iterator[IntArray]:
    for start in range(0, len(indices), TAKE_SEQUENCES):
        yield indices[start : start + TAKE_SEQUENCES]
