"""`Futures`: sequences, each with the steps that follow it."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from unspool.data.convert import Source, plain
from unspool.data.frames import is_frame, labels_of, names_of
from unspool.data.scaling import Scaler
from unspool.data.sequences import FloatArray, IntArray, Sequences, as_floats
from unspool.data.stored import Stored
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
    future : array of shape (N, K, ·), optional
        The futures. By default the last K steps are cut off every sequence and are its future.
    holds : {"features", "targets", "responses", "known"}, default "features"
        Columns of `future`: all F features; the targets; quantities that are no features; or the
        features that are known ahead.
    targets : sequence of int, optional
        Places of the features that are forecast. Default: all features.
    known : sequence of int, default ()
        Places of the features that are known ahead.
    responses : Scaler, optional
        Scaling of quantities that are no features.

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
        self,
        source: Source,
        horizon: int,
        future: npt.NDArray[np.floating] | None = None,
        *,
        holds: Literal["features", "targets", "responses", "known"] = "features",
        targets: Sequence[int] | None = None,
        known: Sequence[int] = (),
        responses: Scaler | None = None,
    ) -> None:
        self.source, self.horizon, self.future = source, horizon, future
        self.holds, self.targets, self.known, self.responses = holds, targets, known, responses
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

    @property
    def blocks(self) -> IntArray | None:
        """Edges of runs of sequences that are read together; None if they are in memory."""
        return self.source.blocks

    @property
    def reads_ahead(self) -> bool:
        """Whether sequences that are not in memory may be read in another thread."""
        return self.source.reads_ahead

    def load(self, start: int, stop: int) -> "Futures":
        """Read the sequences from number `start` to `stop` into memory, with their futures."""
        future = None if self.future is None else self.future[start:stop]
        return self._with(self.source.load(start, stop), future)

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

    def targets_of(self, future: FloatArray) -> FloatArray:
        """Return the targets (B, K, F_out) of futures (B, K, ·), in the units of the data."""
        if self.holds == "features" and self.targets is not None:
            return future[..., list(self.targets)]
        return future

    def scaled(
        self, future: FloatArray, scaler: Scaler, *, limited: bool = False
    ) -> tuple[FloatArray | None, FloatArray | None]:
        """Return the scaled targets and the scaled known features of futures (B, K, ·).

        Parameters
        ----------
        future : array of shape (B, K, ·)
            Futures as `take_with_future` returns them.
        scaler : Scaler
            Scaling of all features.
        limited : bool, default False
            Whether to clip the targets if the scaler clips; known features are always clipped.
        """
        if self.holds == "responses":
            assert self.responses is not None
            responses = self.responses.apply(future)
            return scaler.limit(responses) if limited else responses, None
        if self.holds == "known":
            return None, scaler.limit(scaler.select(self.known).apply(future))
        if self.known:
            self._check_known(future)
        if self.holds == "targets":
            assert self.targets is not None
            targets, known = scaler.select(self.targets).apply(future), None
        else:
            scaled = scaler.apply(future)
            targets = self.targets_of(scaled)
            known = scaler.limit(scaled[..., list(self.known)]) if self.known else None
        return scaler.limit(targets) if limited else targets, known

    def _check_known(self, future: FloatArray) -> None:
        """Refuse missing values of known features in futures with all features (B, K, F)."""
        missing = np.isnan(future[..., list(self.known)]).any((0, 1))
        if missing.any():
            place = self.known[int(np.argmax(missing))]
            names = self.source.feature_names
            raise InputError(
                f"The known feature {names[place] if names else place!r} is missing in a step to "
                "forecast, but the forecast reads it at every step; fill it, or leave it out of "
                "`known`."
            )

    def take(self, indices: npt.ArrayLike) -> tuple[FloatArray, IntArray]:
        """Return a batch without the futures."""
        return self.take_with_future(indices)[:2]

    def chunks(self) -> Iterator[FloatArray]:
        """Iterate over every real step once, cut off or not, as arrays of shape (steps, F)."""
        return self.source.chunks()

    def __getitem__(self, mask: npt.NDArray[np.bool_]) -> "Futures":
        """Return the sequences in a boolean mask (N,), with their futures."""
        future = None if self.future is None else self.future[mask]
        return self._with(self.source[mask], future)

    def _with(self, source: Source, future: npt.NDArray[np.floating] | None) -> "Futures":
        return Futures(
            source,
            self.horizon,
            future,
            holds=self.holds,
            targets=self.targets,
            known=self.known,
            responses=self.responses,
        )

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


def is_stored(source: Source | Futures) -> bool:
    """Return whether values of sequences are read from a file when they are needed."""
    whole = source.source if isinstance(source, Futures) else source
    if isinstance(whole, Windows):
        return any(isinstance(one, Stored) for one in whole.series)
    return isinstance(whole.values, Stored)
