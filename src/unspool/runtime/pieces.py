"""`in_pieces` of `Model`: long results for one part of the data after another."""

from collections.abc import Iterator
from typing import Any

from unspool._pieces import computation_of
from unspool._types import PieceMethod
from unspool.data.convert import Source
from unspool.data.futures import Futures
from unspool.data.pieces import Piece

PIECE_VALUES = 1 << 20  # values of the sequences of a piece


class Runs:
    """Runs of neighbouring sequences that bound memory."""

    def pieces(
        self, source: Source | Futures, size: int | None = None
    ) -> Iterator[tuple[int, int]]:
        """Yield first and end of runs of `size` sequences, by default of `PIECE_VALUES` values."""
        n, values = len(source), max(1, source.max_length * source.n_features)
        step = size or max(1, PIECE_VALUES // values)
        yield from ((start, min(start + step, n)) for start in range(0, n, step))


RUNS = Runs()


class InPieces:
    """A trained model that returns long results in pieces."""

    def in_pieces(
        self, method: PieceMethod, X: Any, *, start: int = 0, **arguments: Any
    ) -> Iterator[Piece]:
        """Call a method for one part of the data after another, so that memory is bounded.

        The values are those that the method returns for all of `X`, up to rounding in the last
        digits.

        Parameters
        ----------
        method : str
            Name of the method, one that the model can compute: "transform", "features",
            "reconstruct", "reconstruction_error", "impute", "forecast" or "predict_quantiles"; of a
            classifier "predict_proba" or "predict".
        X : array, list, frame, Sequences or Windows
            Sequences in any form that `Model` describes. `Windows` over a memory-mapped array are
            read piece by piece, too.
        start : int, default 0
            Where to begin: 0, or the `stop` of a piece, after which an interrupted loop goes on.
        **arguments
            Other arguments of the method, such as ``lengths``, ``per`` and ``merge``. Features that
            are known ahead (`future`) cannot be given.

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
            If the method does not have an argument, or as the method raises it.

        Examples
        --------
        >>> import numpy as np
        >>> from unspool import LSTMAutoencoder, Windows, runtime
        >>> series = np.sin(np.arange(2000.0) / 5)
        >>> trained = LSTMAutoencoder(2, units=4, epochs=1, verbose=0, random_state=0)
        >>> trained = trained.fit(Windows(series, 24, 24))
        >>> model = runtime.Model(trained.contents())
        >>> codes = np.zeros((1977, 2), np.float32)  # or a memory-mapped array of any size
        >>> for piece in model.in_pieces("transform", Windows(series, 24)):
        ...     codes[piece.start : piece.stop] = piece.values
        >>> bool(np.allclose(codes, trained.transform(Windows(series, 24)), atol=1e-5))
        True
        """
        return computation_of(self, method, X, start, arguments).pieces(start)
