"""Results of a model on many sequences, computed for one run of neighbours after another.

The estimators and `unspool.runtime` both use it, and it needs NumPy alone.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from unspool import _checks
from unspool._types import PieceMethod, names
from unspool.data.ahead import read_ahead
from unspool.data.convert import Source
from unspool.data.futures import Futures, is_stored
from unspool.data.merging import ends_of_series, overlap_means, window_before
from unspool.data.messages import listed
from unspool.data.pieces import Piece
from unspool.data.sequences import FloatArray
from unspool.data.windows import Windows
from unspool.errors import InputError


class Runner(Protocol):
    """What divides sequences into runs of neighbours."""

    def pieces(
        self, source: Source | Futures, size: int | None = None
    ) -> Iterator[tuple[int, int]]:
        """Yield first and end of runs, which bound memory; `size` is a maximum batch size."""
        ...


@dataclass(frozen=True)
class Computation:
    """How a result is computed, for all sequences at once or piece by piece.

    Parameters
    ----------
    runner : Runner
        Divides the sequences into runs of neighbours.
    source : Sequences or Windows
        The sequences.
    of : callable
        Returns the values (n, ...) of n neighbouring sequences; the second argument is the number
        of the first of them.
    merge : bool, default False
        Whether values of windows are averaged into values of the steps of series.
    finished : callable, optional
        With `merge`, changes the averages (steps, ...); the first argument is the number of the
        first step.
    size : int, optional
        Maximum batch size, if it is not the default.
    """

    runner: Runner
    source: Source
    of: Callable[[Source, int], Any]
    merge: bool = False
    finished: Callable[[int, FloatArray], FloatArray] | None = None
    size: int | None = None

    def whole(self) -> Any:
        """Return the values (N, ...) of all sequences, or with `merge` a list of arrays."""
        if not self.merge:
            return self.of(self.source, 0)
        ends = ends_of_series(self._windows())
        found: FloatArray | None = None
        for start, stop, values in self.pieces():
            if found is None:
                found = np.empty((ends[-1], *values.shape[1:]), values.dtype)
            found[start:stop] = values
        assert found is not None  # windows have steps
        return np.split(found, ends[:-1])

    def pieces(self, start: int = 0) -> Iterator[Piece]:
        """Yield the values from sequence `start` on, or with `merge` from that step on, in order.

        `start` is 0 or the `stop` of a piece.
        """
        if self.merge:
            yield from self._merged(start)
            return
        for first, stop, values in self._parts(start):
            yield Piece(first, stop, values)

    def _merged(self, start: int) -> Iterator[Piece]:
        windows = self._windows()
        if start >= ends_of_series(windows)[-1]:
            return
        # No window before this one contains a step from `start` on.
        needed = min(window_before(windows, start), len(windows) - 1) if start else 0
        first = next(a for a, b in self.runner.pieces(windows, self.size) if a <= needed < b)
        batches = ((np.arange(a, b), values) for a, b, values in self._parts(first))
        for step, means in overlap_means(windows, batches, start, first):
            if self.finished is not None:
                means = self.finished(step, means)
            yield Piece(step, step + len(means), means)

    def _parts(self, start: int) -> Iterator[tuple[int, int, Any]]:
        runs = ((a, b) for a, b in self.runner.pieces(self.source, self.size) if b > start)
        if is_stored(self.source):
            parts = read_pieces(self.source, runs)
        else:
            parts = ((first, self.source[first:stop]) for first, stop in runs)
        for first, part in parts:
            yield first, first + len(part), self.of(part, first)

    def _windows(self) -> Windows:
        assert isinstance(self.source, Windows)
        return self.source


def check_merges(merge: bool, source: Source) -> bool:
    """Return `merge`; raise an `InputError` if the sequences are no windows to be merged."""
    if merge and not isinstance(source, Windows):
        raise InputError(f"`merge` needs Windows(series, size), got {source!r}.")
    return merge


def read_pieces(
    source: Source | Futures, pieces: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, Any]]:
    """Yield the first of each run of neighbouring sequences, and the run, which is read once.

    While a run is used, the next one is read.
    """

    def read(piece: tuple[int, int]) -> tuple[int, Any]:
        return piece[0], source.load(*piece)

    yield from read_ahead(read, pieces, ahead=source.reads_ahead)


def computation_of(
    model: Any, method: str, X: Any, start: int, arguments: Mapping[str, Any]
) -> Computation:
    """Return how a model computes the result of a method that `in_pieces` was given.

    The model has a method ``_name`` that returns the computation of its method ``name``.

    Raises
    ------
    InputError
        If the model does not have the method, or the method does not have an argument.
    """
    known = [
        name for name in names(PieceMethod) if hasattr(model, name) and hasattr(model, f"_{name}")
    ]
    _checks.raise_all(_checks.choice("method", method, known), _checks.whole("start", start, 0))
    accepted = [*inspect.signature(getattr(model, method)).parameters]
    accepted = [name for name in accepted if name not in ("X", "future")]
    for name in arguments:
        if name not in accepted:
            raise InputError(
                f"`in_pieces` cannot call `{method}` with the argument {name!r}; it accepts "
                f"{listed(accepted) if accepted else 'none'}."
            )
    computation: Computation = getattr(model, f"_{method}")(X, **arguments)
    return computation
