"""Reads the `X` of a detector: a long series, several series, or whole sequences."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unspool import _checks
from unspool._types import Missing
from unspool.anomaly.outages import outage_breaks, outage_length
from unspool.anomaly.parts import Parts
from unspool.data.convert import as_sequences, check_has_columns, plain
from unspool.data.frames import ARRAYS, check_order_of_time, is_frame, labels_of, names_of
from unspool.data.sequences import MASK_HINT, IntArray, Sequences
from unspool.data.series import as_series, holds_series
from unspool.data.steps_in_time import Array, times_in_index
from unspool.data.stored import Stored, Values
from unspool.data.windows import Windows
from unspool.errors import InputError


@dataclass(frozen=True)
class DetectorInput:
    """The `X` of a detector, checked.

    Parameters
    ----------
    series : list of arrays of shape (T_i, F)
        The series; empty if `X` is whole sequences. With `stored` of `read_input`, those that are
        not in memory are a `Stored`.
    sequences : Sequences or None
        The sequences, if `X` is whole sequences.
    several : bool
        Whether `X` is several series, so that results are returned as a list.
    names : tuple of F strings, or None
        Feature names.
    times : list of arrays of shape (T_i,), or None
        Times of the steps of every series, if they are dates in the index of frames.
    breaks : list of arrays of int, or None
        Steps of every series at which it is cut, such as the first step after a gap.
    missing : {"raise", "mask"}, default "raise"
        Whether values may be missing.
    """

    series: list[Any]
    sequences: Sequences | None
    several: bool
    names: tuple[str, ...] | None
    times: list[Array] | None = None
    breaks: list[IntArray] | None = None
    missing: Missing = "raise"

    @property
    def n_features(self) -> int:
        """Number of features, F."""
        if self.sequences is not None:
            return self.sequences.n_features
        return int(self.series[0].shape[1])

    def parts(self, dilation: int, max_gap: float | None, window: int | None = None) -> Parts:
        """Return the parts of the series that windows are cut from.

        With `window`, its number of steps, series are also cut at outages; see `outage_breaks`.

        Raises
        ------
        InputError
            If gaps are to be found in series without times.
        """
        if max_gap is not None and self.times is None:
            raise InputError(
                f"The detector was fitted with a `max_gap` of {max_gap:g} s, and so it needs the "
                "times of the steps; give pandas frames with dates in their index, or fit it with "
                "`max_gap=None`."
            )
        breaks = self.breaks
        if window is not None:
            length = outage_length(window, dilation)
            found = [outage_breaks(one, length) for one in self.series]
            if any(map(len, found)):
                breaks = found if breaks is None else list(map(np.union1d, breaks, found))
        return Parts.of(self.series, dilation, max_gap, self.times, breaks)

    def one(self, number: int) -> "DetectorInput":
        """Return one of the series, as a list of one."""
        return replace(
            self,
            series=[self.series[number]],
            several=True,
            times=self.times and [self.times[number]],
            breaks=self.breaks and [self.breaks[number]],
        )

    def of_steps(self, slices: Sequence[slice]) -> "DetectorInput":
        """Return the steps in a slice of each series."""
        times, breaks = self.times, self.breaks
        lengths = [len(one) for one in self.series]
        return replace(
            self,
            series=[one[part] for one, part in zip(self.series, slices, strict=True)],
            times=times and [one[part] for one, part in zip(times, slices, strict=True)],
            breaks=breaks
            and [breaks_in(*one) for one in zip(breaks, slices, lengths, strict=True)],
        )

    def restored(self, results: Sequence[Any]) -> Any:
        """Return one result per series in the form of `X`: a list, or the single result."""
        return list(results) if self.several else results[0]


def breaks_in(breaks: IntArray, steps: slice, length: int) -> IntArray:
    """Return the breaks in a slice of a series of `length` steps, counted from its first step."""
    start, stop, _ = steps.indices(length)
    found: IntArray = breaks[(breaks > start) & (breaks < stop)] - start
    return found


def read_input(X: Any, missing: Missing = "raise", *, stored: bool = False) -> DetectorInput:
    """Read `X`.

    Parameters
    ----------
    X : array, frame or list of lists of numbers of shape (T, F), or pandas or polars Series (T,)
        One series: rows are steps. Several series are a list of arrays (T_i, F) or (T_i,), a list
        of frames, or a frame with the index (instance, time). Whole sequences are `Sequences` or
        an array of shape (N, T, F).
    missing : {"raise", "mask"}, default "raise"
        Whether values may be missing.
    stored : bool, default False
        Whether data that are not in memory stay so; their values are not checked then.

    Raises
    ------
    InputError
        If `X` is anything else, a series or sequence has no steps, or a value is infinite, or
        missing if none may be.
    """
    if isinstance(X, DetectorInput):
        return X
    if isinstance(X, Windows):
        raise InputError(
            "Expected series, got Windows; pass the series themselves, and the detector cuts "
            "windows (its parameter `window`)."
        )
    if isinstance(X, Sequences):
        if missing == "raise":
            X.check_complete()
        read = X if stored else _in_memory(X)
        return DetectorInput([], _with_steps(read), False, X.feature_names)
    shape = getattr(X, "shape", ())
    if len(shape) == 3 and not is_frame(X):
        sequences = as_sequences(X, missing)
        assert isinstance(sequences, Sequences)
        sequences = sequences if stored else _in_memory(sequences)
        return DetectorInput([], _with_steps(sequences), False, sequences.feature_names)
    levels = getattr(getattr(X, "index", None), "nlevels", 1)
    if levels > 1 or _lists_series(X):
        series, names = as_series(X, stored=stored)
        given = DetectorInput(series, None, True, names, times_in_index(X), missing=missing)
        for number, one in enumerate(series):
            check_finite(one, number, given)
        return given
    names = names_of(labels_of(X)) if is_frame(X) else None
    one = _one(X, stored=stored)
    given = DetectorInput([one], None, False, names, times_in_index(X), missing=missing)
    check_finite(one, None, given)
    return given


def _in_memory(sequences: Sequences) -> Sequences:
    """Return sequences, read as a whole if they are not in memory."""
    return sequences if sequences.blocks is None else sequences.load(0, len(sequences))


def _with_steps(sequences: Sequences) -> Sequences:
    """Return sequences, or raise if one of them has no step."""
    empty = np.flatnonzero(sequences.lengths == 0)
    if len(empty):
        raise InputError(f"Sequence {empty[0]} has no step to score; leave it out.")
    return sequences


def _lists_series(X: Any) -> bool:
    """Return whether `X` is a list of series, not one series as nested lists of numbers."""
    if not holds_series(X) or hasattr(X, "columns"):
        return False
    first = X[0] if len(X) else None
    return not isinstance(first, (list, tuple)) or any(isinstance(e, (list, tuple)) for e in first)


def _one(X: Any, *, stored: bool) -> Values:
    """Return one series as an array (T, F), or with `stored` one that is not in memory."""
    if len(getattr(X, "shape", ())) == 1 and not isinstance(X, ARRAYS):
        (one,), _ = as_series(X)  # a Series of pandas or polars
        return np.asarray(one)
    if 0 in getattr(X, "shape", ())[:1]:
        raise InputError(f"Expected at least one step, got none: 0 sample(s) (shape {X.shape}).")
    check_order_of_time(getattr(X, "index", None), "the series")
    try:
        values = plain(X)
        if isinstance(values, Stored) and not stored:
            values = np.asarray(values)
    except InputError as error:
        if getattr(X, "ndim", 2) == 1 or (isinstance(X, list) and np.ndim(X[:1]) == 1):
            raise InputError(
                f"Expected a series as (T, F), rows as steps, got an array of shape ({len(X)},). "
                "Reshape your data: for one feature use X.reshape(-1, 1)."
            ) from None
        raise error
    if not isinstance(values, (np.ndarray, Stored)) or values.ndim != 2:
        raise InputError(
            "Expected a series as (T, F), a list of those, or sequences (N, T, F), got "
            f"{_checks.shown(X)}."
        )
    check_has_columns(values)
    return values


def check_finite(series: Values, number: int | None, given: DetectorInput, first: int = 0) -> None:
    """Raise if a series in memory has no steps or a value is not finite.

    `first` is the number of its first step, for messages.
    """
    where = "" if number is None else f" in series {number}"
    if not len(series):
        raise InputError(f"Expected at least one step, got 0 sample(s){where}.")
    if series.dtype.kind != "f" or isinstance(series, Stored):
        return
    bad = np.isinf(series) if given.missing == "mask" else ~np.isfinite(series)
    if bad.any():
        step, feature = np.argwhere(bad)[0]
        hint = "" if np.isinf(series[step, feature]) else MASK_HINT
        name = feature if given.names is None else repr(given.names[feature])
        raise InputError(
            f"Expected finite numbers, got {series[step, feature]} (NaN or infinity) at step "
            f"{first + step}, feature {name}{where}; fill or drop such steps{hint}."
        )


def check_same_names(names: Sequence[str] | None, known: Sequence[str] | None) -> None:
    """Raise if the feature names are not those of `fit` in the same order."""
    if names is not None and known is not None and list(names) != list(known):
        raise InputError(
            f"Expected the features {', '.join(known)}, in this order, got {', '.join(names)}; "
            "choose and order them as in `fit`."
        )
