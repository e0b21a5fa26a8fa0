"""Results of a model on many sequences, computed for one run of neighbours after another."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from unspool import _checks
from unspool._types import PieceMethod, names
from unspool.data.convert import Source
from unspool.data.futures import is_stored
from unspool.data.merging import ends_of_series, overlap_means, window_before
from unspool.data.messages import listed
from unspool.data.pieces import Piece
from unspool.data.sequences import FloatArray
from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.estimators.batch_runner import BatchRunner, read_pieces


class InPieces:
    """A model that returns long results in pieces."""

    def in_pieces(
        self, method: PieceMethod, X: Any, *, start: int = 0, **arguments: Any
    ) -> Iterator[Piece]:
        """Call a method for one part of the data after another, so that memory is bounded.

        The values are those that the method returns for all of `X`, to the last bit. They are
        arrays, also if `set_output` has chosen another container for `transform`.

        Parameters
        ----------
        method : str
            Name of the method, one that the model has: "transform", "features", "reconstruct",
            "reconstruction_error", "impute", "forecast" or "predict_quantiles"; of a classifier
            "predict_proba" or "predict".
        X : array, list, frame, Sequences or Windows
            Sequences in any form that `fit` accepts. `Windows` over a memory-mapped array are
            read piece by piece, too.
        start : int, default 0
            Where to begin: 0, or the `stop` of a piece, after which an interrupted loop goes on.
        **arguments
            Other arguments of the method, such as ``per`` and ``merge``. Features that are known
            ahead (`future`) cannot be given.

        Returns
        -------
        iterator of Piece
            Tuples ``(start, stop, values)``: the result for the sequences from `start` to before
            `stop`, an array (stop - start, …). Sequences of unequal length have the steps of the
            longest one in the piece. With ``merge=True``, `start` and `stop` count time steps; the
            steps of each series follow those of the series before.

        Raises
        ------
        InputError
            If the model does not have the `method`, if the method does not have an argument, or as
            the method raises it.

        Examples
        --------
        >>> import numpy as np
        >>> from unspool import LSTMAutoencoder, Windows
        >>> series = np.sin(np.arange(2000.0) / 5)
        >>> model = LSTMAutoencoder(2, units=4, epochs=1, verbose=0, random_state=0)
        >>> model = model.fit(Windows(series, 24, 24))
        >>> codes = np.zeros((1977, 2), np.float32)  # or a memory-mapped array of any size
        >>> for piece in model.in_pieces("transform", Windows(series, 24)):
        ...     codes[piece.start : piece.stop] = piece.values
        >>> bool((codes == model.transform(Windows(series, 24))).all())
        True
        """
        known = [
            name for name in names(PieceMethod) if hasattr(self, name) and hasattr(self, f"_{name}")
        ]
        _checks.raise_all(_checks.choice("method", method, known), _checks.whole("start", start, 0))
        prepare = getattr(self, f"_{method}")
        accepted = [*inspect.signature(getattr(self, method)).parameters]
        accepted = [name for name in accepted if name not in ("X", "future")]
        for name in arguments:
            if name not in accepted:
                raise InputError(
                    f"`in_pieces` cannot call `{method}` with the argument {name!r}; it accepts "
                    f"{listed(accepted) if accepted else 'none'}."
                )
        computation: Computation = prepare(X, **arguments)
        return computation.pieces(start)


@dataclass(frozen=True)
class Computation:
    """How a result is computed, for all sequences at once or piece by piece.

    Parameters
    ----------
    runner : BatchRunner
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

    runner: BatchRunner
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
