"""`Piece`: a part of a long result."""

from typing import Any, NamedTuple


class Piece(NamedTuple):
    """A part of a result.

    Parameters
    ----------
    start, stop : int
        First sequence of the part, and the one after its last. With ``merge=True``, and for scores
        of series, they count time steps; the steps of each series follow those of the series
        before.
    values : ndarray of shape (stop - start, ...)
        The result for these sequences or steps.
    """

    start: int
    stop: int
    values: Any
