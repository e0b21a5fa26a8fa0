"""Scores of reconstructions, R² and skill, from sums over batches; NumPy alone."""

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypedDict

import numpy as np

from unspool.data.convert import Source
from unspool.data.scaling import Scaler, moments
from unspool.data.sequences import FloatArray, IntArray
from unspool.errors import InputError

ROUNDING_SHARE = 1e-12  # share of the sum of squares that rounding may cause
Reconstructions = Iterable[tuple[IntArray, FloatArray, FloatArray]]


class Scores(NamedTuple):
    """Scores of reconstructions: 1 is perfect, 0 is no better than a mean.

    Both are 1 - (sum of squared errors) / (sum of squared differences from the mean), over the
    real steps and features of all sequences, in scaled units.

    Parameters
    ----------
    explained : float
        R²; the mean is the mean of each feature over all steps of all sequences. NaN if all values
        are missing.
    skill : float
        Skill score; the mean is the mean sequence: the mean of each step and feature over all
        sequences. NaN if fewer than two sequences have a value.
    """

    explained: float
    skill: float


class SumsState(TypedDict):
    """The sums of a `ScoreSums` as plain numbers."""

    sequences: int
    errors: float
    differences: float
    squares: float
    steps: int
    real_sequences: int
    missing: list[int]


class ScoreSums:
    """Sums over the batches of reconstructions, from which `scores` are computed.

    Parameters
    ----------
    source : Sequences or Windows
        All sequences.
    scaler : Scaler
        Scaling of the inputs and the reconstructions.
    state : dict, optional
        `state` of sums over the first batches, to go on from.
    """

    def __init__(self, source: Source, scaler: Scaler, state: SumsState | None = None) -> None:
        self.source, self.scaler = source, scaler
        self._mean = scaler.apply(source.mean_sequence()).astype(np.float64)
        self.sequences = 0 if state is None else state["sequences"]
        self._errors = 0.0 if state is None else state["errors"]
        self._differences = 0.0 if state is None else state["differences"]
        self._squares = 0.0 if state is None else state["squares"]
        self._steps = 0 if state is None else state["steps"]
        self._real_sequences = 0 if state is None else state["real_sequences"]
        # Number of missing values of each feature.
        self._missing = np.zeros(source.n_features, np.int64)
        if state is not None:
            self._missing += state["missing"]

    def state(self) -> SumsState:
        """Return the sums as plain numbers, which JSON keeps to the last bit."""
        return {
            "sequences": self.sequences,
            "errors": float(self._errors),
            "differences": float(self._differences),
            "squares": float(self._squares),
            "steps": self._steps,
            "real_sequences": self._real_sequences,
            "missing": self._missing.tolist(),
        }

    def counted(self, part: Source, pieces: Reconstructions, first: int = 0) -> Iterator[Any]:
        """Yield batches of a part of the sequences, and add them to the sums.

        Parameters
        ----------
        part : Sequences or Windows
            The sequences that indices refer to.
        pieces : iterable of (indices (B,), inputs and reconstructions (B, T, F), scaled)
            Missing values (NaN in an input) do not count.
        first : int, default 0
            Number of the first sequence of `part`. Parts that were added before are not added
            again.
        """
        add = first >= self.sequences
        for piece in pieces:
            if add:
                self._add(part, *piece)
            yield piece

    def _add(
        self, part: Source, indices: IntArray, x: FloatArray, reconstruction: FloatArray
    ) -> None:
        real = np.arange(x.shape[1]) < part.lengths_of(indices)[:, None]
        mean = self._mean[: x.shape[1]]
        hidden = np.isnan(x) if self.source.has_missing else None
        if hidden is not None:
            self._missing += (hidden & real[:, :, None]).sum(axis=(0, 1))
            x = np.where(hidden, mean, x)
            reconstruction = np.where(hidden, x, reconstruction)
            self._squares -= float((x[hidden & real[:, :, None]].astype(np.float64) ** 2).sum())
        self._errors += float(((reconstruction - x)[real].astype(np.float64) ** 2).sum())
        self._differences += float(((x - mean)[real] ** 2).sum())
        self._squares += float((x[real].astype(np.float64) ** 2).sum())
        self._steps += int(real.sum())
        present = real if hidden is None else real & ~hidden.all(axis=2)
        self._real_sequences += int(present.any(axis=1).sum())
        self.sequences += len(indices)

    def scores(self) -> Scores:
        """Return the scores of all reconstructions."""
        if not self._steps:
            raise InputError(
                f"Expected at least one step to compare with, got none in {self.source!r}."
            )
        if not self._real_sequences:  # all values are missing
            return Scores(math.nan, math.nan)
        found = moments(self.source.chunks(), self.source.n_features)
        spread = found.spread / self.scaler.scale
        total = self._steps * float((spread**2).sum())
        total -= float((self._missing * spread**2).sum())
        explained = _explained(self._errors, total)
        if self._real_sequences < 2:
            return Scores(explained, math.nan)
        rounding = ROUNDING_SHARE * self._squares
        differences = self._differences if self._differences > rounding else 0.0
        return Scores(explained, _explained(self._errors, differences))


def scores(source: Source, pieces: Reconstructions, scaler: Scaler) -> Scores:
    """Return the scores of reconstructions, from batches as `ScoreSums.counted` describes them."""
    sums = ScoreSums(source, scaler)
    for _ in sums.counted(source, pieces):
        pass
    return sums.scores()


def _explained(errors: float, total: float) -> float:
    """Return the share of `total` that `errors` do not contain; 1 for 0 / 0."""
    if total == 0:
        return 1.0 if errors == 0 else 0.0
    return 1 - errors / total
