"""`in_pieces` of estimators: long results for one part of the data after another."""

from collections.abc import Iterator
from typing import Any

from unspool._pieces import computation_of
from unspool._types import PieceMethod
from unspool.data.pieces import Piece


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
        return computation_of(self, method, X, start, arguments).pieces(start)
