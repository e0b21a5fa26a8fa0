"""Errors of series, from a trained network or from a baseline.

`WindowErrors` serves models that reconstruct windows, `StepErrors` models that predict steps.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool._loss_parameter import CROSSENTROPIES, Loss, LossByFeature, LossFunction
from unspool._losses import loss_values
from unspool.anomaly.missing import mean_of_present, weighted_mean
from unspool.anomaly.scores import SeriesErrors, shares_of, trailing_weights, window_counts
from unspool.data.convert import Source
from unspool.data.scaling import Scaler
from unspool.data.sequences import FloatArray, IntArray, Sequences
from unspool.data.windows import Windows
from unspool.errors import InputError

BATCH_VALUES = 1 << 22  # values computed at once
MAX_DISTANCE = 1e12  # values are clipped to this many scales, so that squares fit in float32

ErrorBatches = Iterator[tuple[IntArray, FloatArray]]


def loss_of_errors(loss: Loss) -> str | LossByFeature:
    """Return the loss whose values are the errors of a model that was trained on `loss`.

    It is the same loss, but squared differences instead of a cross-entropy, which is not 0 for a
    perfect reconstruction and is undefined outside 0-1, and instead of a function of the user,
    which may be negative and which the file of the detector does not contain.
    """
    if isinstance(loss, LossByFeature):
        return loss.with_squared_differences()
    return "mse" if isinstance(loss, LossFunction) or loss in CROSSENTROPIES else loss


class WindowErrors:
    """Compute errors of windows that the model reconstructs as a whole.

    Parameters
    ----------
    errors : callable
        Called with `Windows` or `Sequences`; yields batches of indices (B,) and errors (B, T, F).
        The indices of `Windows` ascend without gaps.
    scaler : Scaler
        Scaler of the model.
    distances : callable, optional
        Called with the same argument; returns the distance (N,) from the code of each window to
        the nearest code of training.
    by_feature : bool, default True
        Whether the errors differ between features.
    targets : sequence of int, optional
        Places of the features that the model writes, whose errors are computed; None means all.
    """

    def __init__(
        self,
        errors: Callable[[Source], ErrorBatches],
        scaler: Scaler,
        distances: Callable[[Source], FloatArray] | None = None,
        *,
        by_feature: bool = True,
        targets: Sequence[int] | None = None,
    ) -> None:
        self.errors, self.distances, self.by_feature = errors, distances, by_feature
        self.scaler, self.targets = scaler, targets

    def _of_targets(self, series: FloatArray) -> FloatArray:
        return series if self.targets is None else series[:, list(self.targets)]

    def of_series(self, series: FloatArray, size: int, kinds: Collection[str]) -> SeriesErrors:
        """Compute the errors of a series (T, F) in windows of `size` steps that `kinds` need.

        If a series is shorter than a window, copies of its first step pad it at the front to the
        size of a window, because the model was trained on windows of that size. For the
        "trailing" score the same is done for the first steps of every series. Errors of the
        padding are ignored.
        """
        n = max(1, len(series) - size + 1)
        features = series.shape[1] if self.targets is None else len(self.targets)
        source: Source
        if len(series) >= size:
            source = Windows([series], size, missing="mask")
        else:
            source = pad_front(series, size)
        real = min(size, len(series))
        windows = np.empty((n, features))
        steps = np.zeros((len(series), features)) if "step" in kinds else None
        trailing = np.empty((len(series), features)) if "trailing" in kinds else None
        weights = trailing_weights(real, size)
        shares = _shares(self._of_targets(series), size)
        for indices, padded in self.errors(source):
            errors = padded[:, -real:]
            windows[indices] = mean_of_present(errors, 1)
            if trailing is not None:
                trailing[real - 1 + indices] = weighted_mean(weights, errors)
            if steps is not None:
                first = indices[0]
                if shares is not None:
                    errors = errors * shares["window"][indices][:, None]
                for place in range(real):
                    steps[first + place : first + place + len(errors)] += errors[:, place]
        if steps is not None:
            steps /= window_counts(n, real)[:, None]
            if shares is not None:  # windows with more values weigh more
                known = shares["step"]
                steps = np.where(known > 0, steps / np.where(known > 0, known, 1), np.nan)
        if trailing is not None:
            trailing[: real - 1] = self._leading_errors(series[: real - 1], size, features)
        distances = None
        if "code" in kinds and self.distances is not None:
            distances = self.distances(source)
        empty = empty_steps(self._of_targets(series))
        return SeriesErrors(len(series), windows, steps, trailing, distances, empty, shares)

    def _leading_errors(self, series: FloatArray, size: int, features: int) -> FloatArray:
        """Compute the weighted mean errors (T, features) of the first 1, 2, …, T steps."""
        means = np.empty((len(series), features))
        for ends in _batches(len(series), size * series.shape[1]):
            padded = [pad_front(series[: end + 1], size).values for end in ends]
            for indices, errors in self.errors(_whole(np.concatenate(padded))):
                for row, one in zip(ends[indices], errors, strict=True):
                    real = one[None, -(row + 1) :]
                    means[row] = weighted_mean(trailing_weights(row + 1, size), real)[0]
        return means

    def of_sequences(self, sequences: Sequences, kinds: Collection[str]) -> list[SeriesErrors]:
        """Compute the errors of sequences of one step or more, each a series of one window."""
        results: list[SeriesErrors] = [SeriesErrors(0, np.empty((0, 0)))] * len(sequences)
        distances = None
        if "code" in kinds and self.distances is not None:
            distances = self.distances(sequences)[:, None]
        for indices, padded in self.errors(sequences):
            for i, length, one in zip(
                indices, sequences.lengths_of(indices), padded.astype(np.float64), strict=True
            ):
                errors = one[:length]
                window = mean_of_present(errors, 0)[None]
                distance = None if distances is None else distances[i]
                empty = empty_steps(self._of_targets(sequences.values[i, :length]))
                shares = _shares(errors, len(errors))
                results[i] = SeriesErrors(
                    int(length), window, errors, distances=distance, empty=empty, shares=shares
                )
        return results


class StepErrors:
    """Compute errors of steps that are compared with a prediction from the steps before them.

    The error of a window is the mean error of its steps.

    Parameters
    ----------
    errors : callable
        Called with a series (T, F) and the maximum number of steps, w, that a prediction may
        depend on; returns the errors (T, F). None of them depends on later steps.
    scaler : Scaler
        Scaler of the model.
    at_first : callable, optional
        Called with the first w steps of a series; returns errors that are used instead where they
        are smaller.
    """

    by_feature = True

    def __init__(
        self,
        errors: Callable[[FloatArray, int], FloatArray],
        scaler: Scaler,
        at_first: Callable[[FloatArray], FloatArray] | None = None,
    ) -> None:
        self.errors, self.scaler, self.at_first = errors, scaler, at_first

    def of_series(self, series: FloatArray, size: int, kinds: Collection[str]) -> SeriesErrors:
        """Compute the errors of a series (T, F) in windows of `size` steps."""
        steps = self.errors(series, size)
        if self.at_first is not None:
            first = self.at_first(series[:size])
            steps[: len(first)] = np.fmin(steps[: len(first)], first)
        return self._of_steps(steps, size)

    def _of_steps(self, steps: FloatArray, size: int) -> SeriesErrors:
        present = ~np.isnan(steps)
        known = np.where(present, steps, 0)
        trailing, total = np.zeros(steps.shape), np.zeros(steps.shape)
        for ago, weight in enumerate(trailing_weights(size, size)[::-1][: len(steps)]):
            trailing[ago:] += weight * known[: len(steps) - ago]
            total[ago:] += weight * present[: len(steps) - ago]
        shares = _shares(steps, size)
        if shares is not None:
            del shares["step"]  # each error is that of a single step
        size = min(size, len(steps))
        windows = np.zeros((len(steps) - size + 1, steps.shape[1]))
        count = np.zeros(windows.shape)
        for place in range(size):
            windows += known[place : place + len(windows)]
            count += present[place : place + len(windows)]
        return SeriesErrors(
            len(steps),
            np.where(count > 0, windows / np.maximum(count, 1), np.nan),
            steps,
            np.where(total > 0, trailing / np.where(total > 0, total, 1), np.nan),
            empty=None if present.all() else np.asarray(~present.any(axis=1)),
            shares=shares,
        )

    def of_sequences(self, sequences: Sequences, kinds: Collection[str]) -> list[SeriesErrors]:
        """Compute the errors of sequences of one step or more, each a series of one window."""
        lengths, rows = sequences.lengths, sequences.values
        each = [row[:length] for row, length in zip(rows, lengths, strict=True)]
        return [self._of_steps(self.errors(one, len(one)), len(one)) for one in each]


def reconstruction_errors(
    reconstructions: Callable[[Source], Iterator[tuple[IntArray, FloatArray, FloatArray]]],
    encode: Callable[[Source], FloatArray],
    scaler: Scaler,
    loss: Loss,
    codes: FloatArray | None,
    targets: Sequence[int] | None = None,
) -> WindowErrors:
    """Return the errors of an autoencoder's reconstructions.

    Parameters
    ----------
    reconstructions : callable
        Called with a source; yields batches of indices (B,), inputs and reconstructions
        (B, T, F), all scaled.
    encode : callable
        Called with a source; returns codes (N, L).
    scaler : Scaler
        Scaler of the model.
    loss : str, LossByFeature or LossFunction
        Loss of the training, which is also the error; see `loss_of_errors`.
    codes : array of shape (M, L), optional
        Codes of training windows, to which distances are measured.
    targets : sequence of int, optional
        Places of the features that the model writes, whose errors are computed; None means all.
    """

    of_errors = loss_of_errors(loss)

    def errors(source: Source) -> ErrorBatches:
        for indices, x, reconstruction in reconstructions(source):
            yield indices, loss_values(reconstruction, x, of_errors)

    if codes is None:
        return WindowErrors(errors, scaler, targets=targets)
    return WindowErrors(
        errors,
        scaler,
        lambda source: nearest_distances(encode(source), codes),
        targets=targets,
    )


def forecast_errors(
    forecast: Callable[[Source], FloatArray],
    horizon: int,
    scaler: Scaler,
    loss: Loss,
    targets: Sequence[int] | None = None,
) -> StepErrors:
    """Return the errors of a forecaster, averaged over all forecasts of a step.

    The first w steps of a series are forecast badly, from fewer steps than in training. Their
    error is limited to that of repeating the previous step; otherwise every series would begin
    with an alarm. The error of the very first step is 0, because nothing predicts it. For
    sequences a forecast uses all previous steps, as in training.

    Parameters
    ----------
    forecast : callable
        Called with a source; returns forecasts (N, K, F) in the units of the data.
    horizon : int
        Number of steps of a forecast, K.
    scaler : Scaler
        Scaler of the model.
    loss : str, LossByFeature or LossFunction
        Loss of the training, which is also the error; see `loss_of_errors`.
    targets : sequence of int, optional
        Places of the features that the model writes, whose errors are computed; None means all.
    """
    of_targets = scaler if targets is None else scaler.select(targets)

    def scaled_targets(series: FloatArray) -> FloatArray:
        return of_targets.apply(series if targets is None else series[:, list(targets)])

    of_errors = loss_of_errors(loss)

    def errors(series: FloatArray, size: int) -> FloatArray:
        target = scaled_targets(series)
        total, count = np.zeros(target.shape), np.zeros(len(series))
        past = series[:-1]
        short = _batches(min(size - 1, len(past)), size * past.shape[1])
        parts: Iterator[Source] = (
            Sequences(
                np.broadcast_to(past[: ends[-1] + 1], (len(ends), ends[-1] + 1, past.shape[1])),
                ends + 1,
                missing="mask",
            )
            for ends in short
        )
        whole = [Windows([past], size, missing="mask")] if len(past) >= size else []
        first = 1  # first step that the next source forecasts
        for source in chain(parts, whole):
            n = len(source)
            ahead = of_targets.apply(forecast(source))
            for place in range(min(horizon, len(series) - first)):
                steps = slice(first + place, min(first + place + n, len(series)))
                forecasts = ahead[: steps.stop - steps.start, place]
                total[steps] += loss_values(forecasts, target[steps], of_errors)
                count[steps] += 1
            first += n
        total[np.isnan(target)] = np.nan  # also of a step that nothing predicts
        return total / np.maximum(count, 1)[:, None]

    def persistence_errors(series: FloatArray) -> FloatArray:
        target = scaled_targets(series)
        previous = np.concatenate([target[:1], target[:-1]])
        return loss_values(previous, target, of_errors)

    return StepErrors(errors, scaler, persistence_errors)


def baseline_errors(baseline: Any, scaler: Scaler) -> WindowErrors | StepErrors:
    """Return the errors of a baseline; see `baselines` and `z_scores`.

    If a baseline computes only one score for a window, that is the error of every feature.
    """
    if hasattr(baseline, "step_errors"):
        return StepErrors(lambda series, size: baseline.step_errors(scaler.apply(series)), scaler)

    def errors(source: Source) -> ErrorBatches:
        check_one_length(source, baseline)
        for indices in _batches(len(source), source.max_length * source.n_features):
            x = scaler.apply(source.take(indices)[0])
            if hasattr(baseline, "reconstruct"):
                yield indices, (baseline.reconstruct(x) - x) ** 2
            else:
                yield indices, np.broadcast_to(baseline.window_scores(x)[:, None, None], x.shape)

    return WindowErrors(errors, scaler, by_feature=hasattr(baseline, "reconstruct"))


def empty_steps(series: FloatArray) -> npt.NDArray[np.bool_] | None:
    """Mask the steps (T,) of a series (T, F) that have no value; None if all have one."""
    empty = np.asarray(np.isnan(series).all(axis=1))
    return empty if empty.any() else None


def _shares(values: FloatArray, size: int) -> dict[str, FloatArray] | None:
    """Return the shares of present values of a series (T, F); None if all are present."""
    present = ~np.isnan(values)
    return None if present.all() else shares_of(present, size)


def check_one_length(source: Source, baseline: Any) -> None:
    """Raise for sequences of several lengths: a baseline would treat their padding as data."""
    if source.min_length < source.max_length:
        raise InputError(
            f"{type(baseline).__name__} needs sequences of one length, got {source.min_length} to "
            f"{source.max_length} steps; cut them to one length, or use a model with LSTM layers."
        )


def clip_to_limits(values: Any, scaler: Scaler) -> Any:
    """Clip values (..., F) in the units of the data to `MAX_DISTANCE` scales.

    If all values are within the limits, the same array is returned.
    """
    low, high = value_limits(scaler)
    axes = tuple(range(values.ndim - 1))
    if (values.min(axis=axes) >= low).all() and (values.max(axis=axes) <= high).all():
        return values
    return np.clip(values, low, high)


def value_limits(scaler: Scaler) -> tuple[FloatArray, FloatArray]:
    """Return the smallest and the largest value (F,) that `clip_to_limits` does not change."""
    with np.errstate(over="ignore"):  # an infinite limit clips nothing
        distance = MAX_DISTANCE * scaler.scale
        return scaler.shift - distance, scaler.shift + distance


def pad_front(series: FloatArray, size: int) -> Sequences:
    """Return a series (T, F) as one sequence of `size` steps, padded with copies of its first step.

    A model reconstructs sequences shorter than those of training badly, and every series would
    begin with an alarm. Reflected steps are no better than copies.
    """
    return _whole(np.pad(series, ((size - len(series), 0), (0, 0)), "edge")[None])


def _whole(values: FloatArray) -> Sequences:
    """Return sequences (N, T, F) of T real steps; values may be missing at their ends too."""
    return Sequences(values, np.full(len(values), values.shape[1]), missing="mask")


def nearest_distances(codes: FloatArray, known: FloatArray) -> FloatArray:
    """Return the distance (N,) from each code (N, L) to the nearest known code (M, L)."""
    distances = np.empty(len(codes))
    for batch in _batches(len(codes), known.size):
        differences = codes[batch, None].astype(np.float64) - known
        distances[batch] = np.sqrt((differences**2).sum(axis=2).min(axis=1))
    return distances


def _batches(count: int, values_each: int) -> Iterator[IntArray]:
    """Yield the indices 0 to count - 1 in batches of at most `BATCH_VALUES` values."""
    size = max(1, BATCH_VALUES // max(1, values_each))
    return (np.arange(start, min(start + size, count)) for start in range(0, count, size))
