"""How an `AnomalyDetector` trains: held-out data, windows, and the model."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.utils import check_random_state

from unspool.anomaly.inputs import DetectorInput
from unspool.anomaly.model_errors import (
    StepErrors,
    WindowErrors,
    baseline_errors,
    check_one_length,
    forecast_errors,
    reconstruction_errors,
)
from unspool.data.convert import Source
from unspool.data.scaling import Scaler
from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.estimators.autoencoding import BaseAutoencoder
from unspool.estimators.base import Model
from unspool.estimators.lstm_autoencoder import LSTMAutoencoder
from unspool.estimators.lstm_forecaster import LSTMForecaster

# `window` "auto" is MAX_WINDOW steps, or a WINDOWS-th of the training steps if that is less; with
# fewer than MIN_STEPS training steps a window is one step.
MAX_WINDOW, WINDOWS, MIN_STEPS = 64, 5, 20
# The default model reads patches of MIN_PATCH steps, or longer ones for more than MAX_PATCHES.
MIN_PATCH, MAX_PATCHES = 8, 32
MAX_CODES = 512  # training codes that the score "code" compares with
MAX_WINDOWS = 20_000  # training windows of a baseline
MAX_VALUES = 1 << 27  # values in these windows


def split(
    given: DetectorInput, share: float, window: int | str | None = None
) -> tuple[DetectorInput, DetectorInput]:
    """Split into training data and the last `share` of each series, or of the sequences.

    Ends of series that are shorter than the `window` would be scored with padding before them,
    unlike later series. If most ends are shorter, the last series are held out as a whole instead,
    if `share` is at least one series.
    """
    if given.sequences is not None:
        at = _cut(len(given.sequences), share, "sequences")
        earlier, later = given.sequences[:at], given.sequences[at:]
        return replace(given, sequences=earlier), replace(given, sequences=later)
    series = given.series
    if window is not None and len(series) * share >= 1 and len(series) > 1:
        at = _cut(len(series), share, "series")
        whole = replace(given, series=series[:at]), replace(given, series=series[at:])
        size = window_of(whole[0], window) if isinstance(window, str) else window
        ends = [max(1, round(len(one) * share)) for one in series]
        if 2 * sum(end for end in ends if end < size) > sum(ends):
            return whole
    cuts = []
    for number, one in enumerate(series):
        where = f" of series {number}" if given.several else ""
        cuts.append((one, _cut(len(one), share, "steps" + where)))
    return (
        replace(given, series=[one[:at] for one, at in cuts]),
        replace(given, series=[one[at:] for one, at in cuts]),
    )


def _cut(length: int, share: float, what: str) -> int:
    """Return the index at which the last `share` of `length` steps, series or sequences begins."""
    held_out = max(1, round(length * share))
    if held_out >= length:
        raise InputError(
            f"Expected more {what}, got n_samples={length}; `calibration_split` {share:g} "
            "leaves none to train on; give more normal data."
        )
    return length - held_out


def window_of(training: DetectorInput, window: int | str) -> int:
    """Return the number of steps of a window, w; for sequences, of the longest sequence."""
    if training.sequences is not None:
        return training.sequences.max_length
    longest = max(len(one) for one in training.series)
    if isinstance(window, str):
        steps = sum(len(one) for one in training.series)
        return max(1, min(MAX_WINDOW, steps // WINDOWS, longest)) if steps >= MIN_STEPS else 1
    if window > longest:
        raise InputError(
            f"Expected a series of at least {window} training steps, the `window`, got {longest} "
            "without the held-out part; give more normal data, or set a smaller `window`."
        )
    return window


@dataclass(frozen=True)
class Trained:
    """A model that was trained on normal data, with its scaler and codes.

    Parameters
    ----------
    model : Model or baseline
    scaler : Scaler or None
        Scaling for a baseline; an unspool model contains a scaler.
    codes : array of shape (M, L), or None
        Codes of training windows; None if the model has no codes.
    """

    model: Any
    scaler: Scaler | None
    codes: npt.NDArray[np.float32] | None


def train(detector: Any, training: DetectorInput, window: int) -> Trained:
    """Train a clone of the detector's `model`, or the default model."""
    seed = int(check_random_state(detector.random_state).randint(2**31))
    model = detector.model
    model = default_model(detector, training, window) if model is None else clone(model)
    if model.get_params(deep=False).get("random_state", seed) is None:
        model.set_params(random_state=seed)
    if isinstance(model, Model):
        horizon = model._horizon()
        model.fit(_windows(training, window + (1 if horizon is None else horizon)))
        return Trained(model, None, codes_of(model, training, window))
    source = _windows(training, window)
    check_one_length(source, model)
    scaler = Scaler.fit("standard", source.chunks(), source.n_features, source.chunks)
    most = min(MAX_WINDOWS, max(1, MAX_VALUES // (window * source.n_features)))
    values, _ = source.take(_spread(len(source), most))
    return Trained(model.fit(scaler.apply(values)), scaler, None)


def default_model(detector: Any, training: DetectorInput, window: int) -> LSTMAutoencoder:
    """Return the model that is trained if `model` is None.

    Windows of a series are numerous and similar: 750 updates are enough. For sequences the number
    of updates is the default of the autoencoder.
    """
    budget: dict[str, Any] = (
        {} if training.sequences is not None else {"steps_per_epoch": 25, "epochs": 30}
    )
    return LSTMAutoencoder(
        16,
        units=32,
        patch_size=max(MIN_PATCH, -(-window // MAX_PATCHES)) if window >= 2 * MIN_PATCH else 1,
        n_kernels=0,
        input_dropout=0.0,
        missing=detector.missing,
        device=detector.device,
        verbose=detector.verbose,
        **budget,
    )


def codes_of(model: Any, training: DetectorInput, window: int) -> npt.NDArray[np.float32] | None:
    """Return codes (M, L) of training windows, at even distances."""
    if not isinstance(model, BaseAutoencoder):
        return None
    source = _windows(training, window)
    codes: npt.NDArray[np.float32] = model.transform(source[_spread(len(source), MAX_CODES)])
    return codes


def source_of(trained: Trained) -> WindowErrors | StepErrors:
    """Return the source of the errors of series."""
    model, scaler = trained.model, trained.scaler
    if scaler is not None:
        return baseline_errors(model, scaler)
    loss = model._loss
    if isinstance(model, LSTMForecaster):
        return forecast_errors(
            lambda source: model._forecasts(model._read(source)),
            model.horizon_,
            model.scaler_,
            loss,
        )
    return reconstruction_errors(
        lambda source: model._reconstructions(model._read(source, decodes=True)),
        model.transform,
        model.scaler_,
        loss,
        trained.codes,
    )


def _windows(given: DetectorInput, size: int) -> Source:
    """Return windows over the series, or the sequences themselves."""
    if given.sequences is not None:
        return given.sequences
    long_enough = [one for one in given.series if len(one) >= size]
    if not long_enough:
        longest = max(len(one) for one in given.series)
        raise InputError(
            f"Expected a series of at least {size} training steps (a window and its forecast), got "
            f"at most {longest} without the held-out part; give longer series, or set a smaller "
            "`window`."
        )
    return Windows(long_enough, size, feature_names=given.names, missing="mask")


def _spread(n: int, most: int) -> npt.NDArray[np.int64]:
    """At most `most` of n indices, at even distances."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))
