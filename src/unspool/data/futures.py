"""`Futures`: sequences, each with the steps that follow it."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.data.convert import Source, plain
from unspool.data.frames import is_frame, labels_of, names_of
from unspool.data.sequences import FloatArray, IntArray, Sequences, as_floats
from unspool.data.windows import Windows
from unspool.errors import InputError


class Futures:
    """Sequences and their futures, with the methods of `Sequences` that models call.

    Parameters
    ----------
    source : Sequences or Windows
        The sequences.
    horizon : int
        Number of steps of the future, K.
    future : array of shape (N, K, F), optional
        The futures. By default the last K steps are cut off every sequence and are its future.

    Raises
    ------
    InputError
        If no step of a sequence would be left.

    Examples
    --------
    >>> from unspool.data.sequences import Sequences
    >>> past, lengths, future = Futures(Sequences(np.ones((2, 7, 3))), 2).take_with_future([0])
    >>> past.shape, lengths, future.shape
    ((1, 5, 3), array([5]), (1, 2, 3))
    """

    def __init__(
        self, source: Source, horizon: int, future: npt.NDArray[np.floating] | None = None
    ) -> None:
        self.source, self.horizon, self.future = source, horizon, future
        self.cut = 0 if future is not None else horizon
        if self.cut:
            check_longer_than(source, horizon)

    @property
    def n_features(self) -> int:
        """Number of features of a step, F."""
        return self.source.n_features

    @property
    def max_length(self) -> int:
        """Number of steps of the longest sequence, without its future."""
        return self.source.max_length - self.cut

    @property
    def min_length(self) -> int:
        """Number of steps of the shortest sequence, without its future."""
        return self.source.min_length - self.cut

    @property
    def has_missing(self) -> bool:
        """Whether a value of the sequences or of the futures is missing."""
        return self.source.has_missing or (self.future is not None and np.isnan(self.future).any())

    def __len__(self) -> int:
        return len(self.source)

    def lengths_of(self, indices: npt.ArrayLike) -> IntArray:
        """Return the number of steps of the sequences at `indices`, without their futures."""
        return self.source.lengths_of(indices) - self.cut

    def take_with_future(self, indices: npt.ArrayLike) -> tuple[FloatArray, IntArray, FloatArray]:
        """Return a batch: values (B, T, F), lengths (B,) and futures (B, K, F)."""
        values, lengths = self.source.take(indices)
        if self.future is not None:
            return values, lengths, self.future[np.asarray(indices)]
        lengths = lengths - self.cut
        places = lengths[:, None] + np.arange(self.horizon)
        future = np.take_along_axis(values, places[:, :, None], axis=1)
        return values[:, : lengths.max(initial=0)], lengths, future

    def take(self, indices: npt.ArrayLike) -> tuple[FloatArray, IntArray]:
        """Return a batch without the futures."""
        return self.take_with_future(indices)[:2]

    def chunks(self) -> Iterator[FloatArray]:
        """Iterate over every real step once, cut off or not, as arrays of shape (steps, F)."""
        return self.source.chunks()

    def mean_sequence(self) -> FloatArray:
        """Return the mean sequence without its future, (T, F), float64."""
        return self.source.mean_sequence()[: self.max_length]


def without_future(source: Source, horizon: int, longest: int) -> Source:
    """Return sequences without futures, for a model that was trained on such sequences.

    If a sequence has more than `longest` steps, all sequences are assumed to end with a future, as
    in training, and their last `horizon` steps are cut off. Otherwise they are returned unchanged:
    they are windows of the length that was encoded, or have been cut before.

    Parameters
    ----------
    source : Sequences or Windows
        The sequences.
    horizon : int
        Number of steps of the future, K.
    longest : int
        Number of steps of the longest sequence in training, without its future.

    Raises
    ------
    InputError
        If no step of a sequence would be left.
    """
    if source.max_length <= longest:
        return source
    check_longer_than(source, horizon)
    return source.without_end(horizon)


def check_longer_than(source: Source, horizon: int) -> None:
    """Refuse sequences that have no step before their last `horizon` steps."""
    if source.min_length <= horizon:
        raise InputError(
            f"Expected sequences of more than {horizon} steps, because the last {horizon} are "
            f"forecast, but the shortest has {source.min_length}; leave it out, lower `horizon`, "
            "or give the future as `y`."
        )


def as_future(y: Any, names: Sequence[str] | None) -> FloatArray:
    """Return the numbers of the futures `y` of sequences, with the axes of `y`.

    Parameters
    ----------
    y : array, list or frame
        The futures.
    names : sequence of F str, optional
        Names of the features. If the columns of `y` have the same names, they must have the same
        order.
    """
    levels = getattr(getattr(y, "index", None), "nlevels", 1)
    if levels > 1:
        raise InputError(
            f"Expected `y` in the order of the sequences of `X`, got a frame with an index of "
            f"{levels} levels, which is not compared with `X`; put it in that order and give an "
            "array (N, K, F)."
        )
    if isinstance(y, (list, tuple)) and any(map(is_frame, y)):
        y = plain(y)  # puts columns in the order of the first frame
    named = names_of(labels_of(y)) if is_frame(y) else getattr(y, "feature_names", None)
    if named and names and tuple(named) != tuple(names) and set(named) == set(names):
        raise InputError(
            f"Expected the features {', '.join(names)} of `y` in this order, as in `X`, got "
            f"{', '.join(named)}; order them alike."
        )
    if isinstance(y, (Sequences, Windows)):
        source = y
        y, lengths = source.take(np.arange(len(source)))
        if (lengths < y.shape[1]).any():
            raise InputError(
                "Expected futures of one length in `y`, got different lengths; cut them to one."
            )
    return as_floats(y, "`y`")
