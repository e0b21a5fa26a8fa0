"""`Futures`: sequences, each with the steps that come after it."""

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
    """Sequences and what comes after them; it answers to what a `Sequences` answers to.

    Parameters
    ----------
    source : Sequences or Windows
    horizon : int
        Steps of the future, K.
    future : array of shape (N, K, F), optional
        Without it the last K steps of every sequence are cut off, and are its future.

    Raises
    ------
    InputError
        Where a sequence would be left without a step.

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
        """Features of a step, F."""
        return self.source.n_features

    @property
    def max_length(self) -> int:
        """Steps of the longest sequence, without its future."""
        return self.source.max_length - self.cut

    @property
    def min_length(self) -> int:
        """Steps of the shortest sequence, without its future."""
        return self.source.min_length - self.cut

    def __len__(self) -> int:
        return len(self.source)

    def lengths_of(self, indices: npt.ArrayLike) -> IntArray:
        """Lengths of the sequences at `indices`, without their futures."""
        return self.source.lengths_of(indices) - self.cut

    def take_with_future(self, indices: npt.ArrayLike) -> tuple[FloatArray, IntArray, FloatArray]:
        """A batch: values (B, T, F), lengths (B,) and futures (B, K, F)."""
        values, lengths = self.source.take(indices)
        if self.future is not None:
            return values, lengths, self.future[np.asarray(indices)]
        lengths = lengths - self.cut
        places = lengths[:, None] + np.arange(self.horizon)
        future = np.take_along_axis(values, places[:, :, None], axis=1)
        return values[:, : lengths.max(initial=0)], lengths, future

    def take(self, indices: npt.ArrayLike) -> tuple[FloatArray, IntArray]:
        """A batch without the futures."""
        return self.take_with_future(indices)[:2]

    def chunks(self) -> Iterator[FloatArray]:
        """Every real step once, those cut off too, as arrays of shape (steps, F)."""
        return self.source.chunks()

    def mean_sequence(self) -> FloatArray:
        """The mean of each step, (T, F), float64."""
        return self.source.mean_sequence()[: self.max_length]


def without_future(source: Source, horizon: int, longest: int) -> Source:
    """Sequences as they were encoded in training, where their last `horizon` steps were cut off.

    Where one has more than `longest` steps, the most that were encoded, all of them end with a
    future, as they did in training, and it is cut off. Otherwise they are taken whole: windows of
    the length that was encoded, or sequences that are cut already, lose nothing.

    Parameters
    ----------
    source : Sequences or Windows
    horizon : int
        Steps of the future, K.
    longest : int
        Steps of the longest sequence in training, without its future.

    Raises
    ------
    InputError
        Where a sequence with a future would be left without a step.
    """
    if source.max_length <= longest:
        return source
    check_longer_than(source, horizon)
    return source.without_end(horizon)


def check_longer_than(source: Source, horizon: int) -> None:
    """Refuse sequences that would have no step left without their last `horizon`."""
    if source.min_length <= horizon:
        raise InputError(
            f"Expected sequences of more than {horizon} steps, the last {horizon} of which are to "
            f"be predicted, but the shortest has {source.min_length}; leave it out, lower "
            "`horizon`, or give the future as `y`."
        )


def as_future(y: Any, names: Sequence[str] | None) -> FloatArray:
    """The numbers of what comes after sequences, on the axes that `y` has.

    Parameters
    ----------
    y : array, frame or anything that holds numbers
    names : sequence of F strings, optional
        Of the features; columns that have the same names must have the same order.
    """
    levels = getattr(getattr(y, "index", None), "nlevels", 1)
    if levels > 1:
        raise InputError(
            f"Expected `y` in the order of the sequences of `X`, got a frame with an index of "
            f"{levels} levels, which cannot be matched with them; bring it in that order and give "
            "an array (N, K, F)."
        )
    if isinstance(y, (list, tuple)) and any(map(is_frame, y)):
        y = plain(y)  # with columns in one order
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
            raise InputError("Expected futures of one length in `y`, got others; cut them alike.")
    return as_floats(y, "`y`")
