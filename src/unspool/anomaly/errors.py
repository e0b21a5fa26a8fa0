"""Errors of series, from a trained network or from a simple rival: one class for each way."""

from collections.abc import Callable, Collection, Iterator
from itertools import chain
from typing import Any

import numpy as np

from unspool._losses import CROSSENTROPIES, LOSSES
from unspool.anomaly.scores import Errors, counts, trailing_weights
from unspool.data.convert import Source
from unspool.data.scaling import Scaler
from unspool.data.sequences import FloatArray, IntArray, Sequences
from unspool.data.windows import Windows
from unspool.errors import InputError

BATCH_VALUES = 1 << 22  # values that are made of a series at once
FURTHEST = 1e12  # scaled units from which on a value is no further away: squares stay in float32

# A cross-entropy is not 0 for what is perfectly reconstructed, and has no meaning outside 0-1.
ERRORS = {**LOSSES, **dict.fromkeys(CROSSENTROPIES, LOSSES["mse"])}

Pieces = Iterator[tuple[IntArray, FloatArray]]


class OfWindows:
    """Errors of windows, each reconstructed as a whole.

    Parameters
    ----------
    errors : callable
        Takes `Windows` or `Sequences`; gives indices (B,), ascending without gaps for `Windows`,
        and errors (B, T, F), batch by batch.
    scaler : Scaler
    distances : callable, optional
        Takes the same, gives the distance of each window's code to the nearest of training, (N,).
    by_feature : bool, default True
        Whether errors of features differ.
    """

    def __init__(
        self,
        errors: Callable[[Source], Pieces],
        scaler: Scaler,
        distances: Callable[[Source], FloatArray] | None = None,
        *,
        by_feature: bool = True,
    ) -> None:
        self.errors, self.distances, self.by_feature = errors, distances, by_feature
        self.scaler = scaler

    def of_series(self, series: FloatArray, size: int, kinds: Collection[str]) -> Errors:
        """Errors of a series (T, F) in windows of `size` steps, as far as `kinds` need them.

        A series that is shorter than a window, and for the "trailing" score its first steps, are
        padded at the front with copies of their first step to the size of a window; the model was
        trained on no other. Errors of the padding do not count.
        """
        n, features = max(1, len(series) - size + 1), series.shape[1]
        source: Source = Windows([series], size) if len(series) >= size else filled(series, size)
        real = min(size, len(series))
        windows = np.empty((n, features))
        steps = np.zeros_like(series, np.float64) if "step" in kinds else None
        trailing = np.empty(series.shape) if "trailing" in kinds else None
        weights = trailing_weights(real, size)
        for indices, errors in self.errors(source):
            own = errors[:, -real:]
            windows[indices] = own.mean(axis=1, dtype=np.float64)
            if steps is not None:
                first = indices[0]
                for place in range(real):
                    steps[first + place : first + place + len(own)] += own[:, place]
            if trailing is not None:
                trailing[real - 1 + indices] = _weighted(weights, own)
        if steps is not None:
            steps /= counts(n, real)[:, None]
        if trailing is not None:
            trailing[: real - 1] = self._of_first_steps(series[: real - 1], size)
        distances = None
        if "code" in kinds and self.distances is not None:
            distances = self.distances(source)
        return Errors(len(series), windows, steps, trailing, distances)

    def _of_first_steps(self, series: FloatArray, size: int) -> FloatArray:
        """Weighted mean errors (T, F) of the first step, the first two steps, and so on."""
        means = np.empty(series.shape)
        for ends in _batches(len(series), size * series.shape[1]):
            each = [filled(series[: end + 1], size).values for end in ends]
            for indices, errors in self.errors(Sequences(np.concatenate(each))):
                for row, one in zip(ends[indices], errors, strict=True):
                    own = one[None, -(row + 1) :]
                    means[row] = _weighted(trailing_weights(row + 1, size), own)[0]
        return means

    def of_sequences(self, sequences: Sequences, kinds: Collection[str]) -> list[Errors]:
        """Errors of sequences of one step or more, each a series that is one window."""
        found: list[Errors] = [Errors(0, np.empty((0, 0)))] * len(sequences)
        distances = None
        if "code" in kinds and self.distances is not None:
            distances = self.distances(sequences)[:, None]
        for indices, errors in self.errors(sequences):
            for i, length, one in zip(
                indices, sequences.lengths_of(indices), errors.astype(np.float64), strict=True
            ):
                own = one[:length]
                code = None if distances is None else distances[i]
                found[i] = Errors(int(length), own.mean(axis=0, keepdims=True), own, distances=code)
        return found


class OfSteps:
    """Errors of steps, each compared with what those before it led to expect.

    The error of a window is the mean of those of its steps.

    Parameters
    ----------
    errors : callable
        Takes a series (T, F) and the most steps that an expectation may depend on, w; gives the
        errors (T, F), none of which depends on later steps.
    scaler : Scaler
    at_first : callable, optional
        Takes a series (T, F), gives errors (T, F) that count where they are smaller and fewer than
        w steps come before.
    """

    by_feature = True

    def __init__(
        self,
        errors: Callable[[FloatArray, int], FloatArray],
        scaler: Scaler,
        at_first: Callable[[FloatArray], FloatArray] | None = None,
    ) -> None:
        self.errors, self.scaler, self.at_first = errors, scaler, at_first

    def of_series(self, series: FloatArray, size: int, kinds: Collection[str]) -> Errors:
        """Errors of a series (T, F) in windows of `size` steps."""
        steps = self.errors(series, size)
        if self.at_first is not None:
            first = self.at_first(series[:size])
            steps[: len(first)] = np.minimum(steps[: len(first)], first)
        return self._of_steps(steps, size)

    def _of_steps(self, steps: FloatArray, size: int) -> Errors:
        trailing, total = np.zeros(steps.shape), np.zeros(len(steps))
        for ago, weight in enumerate(trailing_weights(size, size)[::-1][: len(steps)]):
            trailing[ago:] += weight * steps[: len(steps) - ago]
            total[ago:] += weight
        size = min(size, len(steps))
        windows = np.zeros((len(steps) - size + 1, steps.shape[1]))
        for place in range(size):
            windows += steps[place : place + len(windows)]
        return Errors(len(steps), windows / size, steps, trailing / total[:, None])

    def of_sequences(self, sequences: Sequences, kinds: Collection[str]) -> list[Errors]:
        """Errors of sequences of one step or more, each a series that is one window."""
        lengths, rows = sequences.lengths, sequences.values
        each = [row[:length] for row, length in zip(rows, lengths, strict=True)]
        return [self._of_steps(self.errors(one, len(one)), len(one)) for one in each]


def of_network(
    reconstructions: Callable[[Source], Iterator[tuple[IntArray, FloatArray, FloatArray]]],
    encode: Callable[[Source], FloatArray],
    scaler: Scaler,
    loss: str,
    codes: FloatArray | None,
) -> OfWindows:
    """Errors of what a trained model reconstructs.

    Parameters
    ----------
    reconstructions : callable
        Takes a source; gives indices (B,), inputs and reconstructions (B, T, F), scaled.
    encode : callable
        Takes a source, gives codes (N, L).
    scaler : Scaler
    loss : str
        That the model was trained on; errors are its values, and squares for a cross-entropy.
    codes : array of shape (M, L), optional
        Of training, to which distances are measured.
    """

    def errors(source: Source) -> Pieces:
        for indices, x, again in reconstructions(source):
            yield indices, ERRORS[loss](again, x)

    if codes is None:
        return OfWindows(errors, scaler)
    return OfWindows(errors, scaler, lambda source: nearest(encode(source), codes))


def of_forecasts(
    forecast: Callable[[Source], FloatArray], horizon: int, scaler: Scaler, loss: str
) -> OfSteps:
    """Errors of forecasts, averaged over all those of a step.

    The first w steps of a series are forecast from fewer steps than the model was trained on, and
    badly. Their errors count as no larger than those of repeating the step before; or every series
    would begin with an alarm. The very first step, of which nothing is known, has an error of 0.
    Sequences are scored as the model was trained, with as many steps as there are.

    Parameters
    ----------
    forecast : callable
        Takes a source, gives what comes after its sequences, (N, K, F), in units of the data.
    horizon : int
        K.
    scaler : Scaler
    loss : str
    """

    def errors(series: FloatArray, size: int) -> FloatArray:
        total, found = np.zeros(series.shape), np.zeros(len(series))
        target = scaler.apply(series)
        past = series[:-1]
        short = _batches(min(size - 1, len(past)), size * past.shape[1])
        parts: Iterator[Source] = (
            Sequences.from_list([past[: end + 1] for end in ends]) for ends in short
        )
        whole = [Windows([past], size)] if len(past) >= size else []
        first = 1  # the step after the first sequence
        for source in chain(parts, whole):
            n = len(source)
            ahead = scaler.apply(forecast(source))
            for place in range(min(horizon, len(series) - first)):
                steps = slice(first + place, min(first + place + n, len(series)))
                some = ahead[: steps.stop - steps.start, place]
                total[steps] += ERRORS[loss](some, target[steps])
                found[steps] += 1
            first += n
        return total / np.maximum(found, 1)[:, None]

    def repeated(series: FloatArray) -> FloatArray:
        target = scaler.apply(series)
        found: FloatArray = ERRORS[loss](np.concatenate([target[:1], target[:-1]]), target)
        return found

    return OfSteps(errors, scaler, repeated)


def of_rival(rival: Any, scaler: Scaler) -> OfWindows | OfSteps:
    """Errors that a simple rival gives, see `unspool.anomaly.baselines`.

    One that gives a score for a window and nothing more has that for the error of all features.
    """
    if hasattr(rival, "step_errors"):
        return OfSteps(lambda series, size: rival.step_errors(scaler.apply(series)), scaler)

    def errors(source: Source) -> Pieces:
        check_of_one_length(source, rival)
        for indices in _batches(len(source), source.max_length * source.n_features):
            x = scaler.apply(source.take(indices)[0])
            if hasattr(rival, "reconstruct"):
                yield indices, (rival.reconstruct(x) - x) ** 2
            else:
                yield indices, np.broadcast_to(rival.window_scores(x)[:, None, None], x.shape)

    return OfWindows(errors, scaler, by_feature=hasattr(rival, "reconstruct"))


def _weighted(weights: FloatArray, errors: FloatArray) -> FloatArray:
    """Weighted means (B, F) of the errors (B, T, F) of steps."""
    means: FloatArray = np.tensordot(errors, weights, axes=(1, 0))
    return means


def check_of_one_length(source: Source, rival: Any) -> None:
    """Refuse sequences of several lengths, whose padding a simple rival would take for data."""
    if source.min_length < source.max_length:
        raise InputError(
            f"{type(rival).__name__} reads sequences of one length, got {source.min_length} to "
            f"{source.max_length} steps; cut them to one length, or take a model with LSTM layers."
        )


def within(values: Any, scaler: Scaler) -> Any:
    """Values (..., F) in the units of the data, none further away than `FURTHEST` scales.

    Nothing is copied where none is.
    """
    low, high = limits(scaler)
    axes = tuple(range(values.ndim - 1))
    if (values.min(axis=axes) >= low).all() and (values.max(axis=axes) <= high).all():
        return values
    return np.clip(values, low, high)


def limits(scaler: Scaler) -> tuple[FloatArray, FloatArray]:
    """The least and the largest value of each feature, (F,), that `within` leaves as they are."""
    with np.errstate(over="ignore"):  # beyond all numbers is no limit
        furthest = FURTHEST * scaler.scale
        return scaler.shift - furthest, scaler.shift + furthest


def filled(series: FloatArray, size: int) -> Sequences:
    """A series (T, F) as a sequence of `size` steps, its first step repeated before it.

    A model that is given short sequences as they are reconstructs them badly, and every series
    would begin with an alarm; reflected steps are no better than copies.
    """
    return Sequences(np.pad(series, ((size - len(series), 0), (0, 0)), "edge")[None])


def nearest(codes: FloatArray, known: FloatArray) -> FloatArray:
    """The distance of codes (N, L) to the nearest of those known (M, L)."""
    found = np.empty(len(codes))
    for some in _batches(len(codes), known.size):
        apart = codes[some, None].astype(np.float64) - known
        found[some] = np.sqrt((apart**2).sum(axis=2).min(axis=1))
    return found


def _batches(number: int, values: int) -> Iterator[IntArray]:
    """Indices of so many things in batches of at most `BATCH_VALUES`, of so many for each."""
    size = max(1, BATCH_VALUES // max(1, values))
    return (np.arange(start, min(start + size, number)) for start in range(0, number, size))
