"""What an `AnomalyDetector` trains on: the part held out, the windows, and the model."""

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

WINDOW = 64  # steps of a window, or a fifth of the steps to train on where that is less
SHARE = 5
FEWEST = 20  # steps to train on, below which a window is one step
PATCH = 8  # steps that the default model reads at once, or more for sequences of many steps
MOST_PATCHES = 32
MOST_CODES = 512  # that the "code" score compares with, spread evenly over the training windows
MOST_WINDOWS = 20_000  # that a rival is fitted on, spread evenly
MOST_VALUES = 1 << 27  # in them


def split(
    given: DetectorInput, share: float, window: int | str | None = None
) -> tuple[DetectorInput, DetectorInput]:
    """What to train on, and the last `share` of each series, or of the sequences, held out.

    Ends of series that are shorter than the `window` would be scored with padding before them,
    unlike the series to come. Where most are, the last series are held out as a whole, if `share`
    is at least one of them.
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
    """Where the last `share` of so many steps, series or sequences begins."""
    held_out = max(1, round(length * share))
    if held_out >= length:
        raise InputError(
            f"Expected more {what}, got n_samples={length}, of which `calibration_split` "
            f"{share:g} leaves none to train on; give more normal data."
        )
    return length - held_out


def window_of(training: DetectorInput, window: int | str) -> int:
    """Steps of a window, w; sequences are windows as they are."""
    if training.sequences is not None:
        return training.sequences.max_length
    longest = max(len(one) for one in training.series)
    if isinstance(window, str):
        steps = sum(len(one) for one in training.series)
        return max(1, min(WINDOW, steps // SHARE, longest)) if steps >= FEWEST else 1
    if window > longest:
        raise InputError(
            f"Expected a series of at least `window` {window} steps to train on, got {longest} "
            "without the part that is held out; give more normal data, or take a smaller window."
        )
    return window


@dataclass(frozen=True)
class Trained:
    """A model that was trained on normal data, with what a detector needs of it.

    Parameters
    ----------
    model : Model or a rival
    scaler : Scaler or None
        Of a rival, which has none of its own.
    codes : array of shape (M, L), or None
        Of training windows; None where the model has no codes.
    """

    model: Any
    scaler: Scaler | None
    codes: npt.NDArray[np.float32] | None


def train(detector: Any, training: DetectorInput, window: int) -> Trained:
    """Train the model of a detector's parameters, a clone, or the default one."""
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
    most = min(MOST_WINDOWS, max(1, MOST_VALUES // (window * source.n_features)))
    values, _ = source.take(_spread(len(source), most))
    return Trained(model.fit(scaler.apply(values)), scaler, None)


def default_model(detector: Any, training: DetectorInput, window: int) -> LSTMAutoencoder:
    """The model that is trained where none was given.

    Windows of a series are many and much alike: 750 updates are enough for them. Whole sequences
    get as many as an autoencoder has by default.
    """
    budget: dict[str, Any] = (
        {} if training.sequences is not None else {"steps_per_epoch": 25, "epochs": 30}
    )
    return LSTMAutoencoder(
        16,
        units=32,
        patch_size=max(PATCH, -(-window // MOST_PATCHES)) if window >= 2 * PATCH else 1,
        n_kernels=0,
        input_dropout=0.0,
        device=detector.device,
        verbose=detector.verbose,
        **budget,
    )


def codes_of(model: Any, training: DetectorInput, window: int) -> npt.NDArray[np.float32] | None:
    """Codes (M, L) of training windows, spread evenly over them."""
    if not isinstance(model, BaseAutoencoder):
        return None
    source = _windows(training, window)
    codes: npt.NDArray[np.float32] = model.transform(source[_spread(len(source), MOST_CODES)])
    return codes


def source_of(trained: Trained) -> WindowErrors | StepErrors:
    """What gives the errors of series."""
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
        lambda source: model._reconstructions(model._read(source, unwind=True)),
        model.transform,
        model.scaler_,
        loss,
        trained.codes,
    )


def _windows(given: DetectorInput, size: int) -> Source:
    """Windows over the series, or the sequences as they are."""
    if given.sequences is not None:
        return given.sequences
    long_enough = [one for one in given.series if len(one) >= size]
    if not long_enough:
        longest = max(len(one) for one in given.series)
        raise InputError(
            f"Expected a series of at least {size} steps to train on (a window and what is "
            f"forecast), got {longest} at most without the part that is held out; give longer "
            "ones, or take a smaller `window`."
        )
    return Windows(long_enough, size, feature_names=given.names)


def _spread(n: int, most: int) -> npt.NDArray[np.int64]:
    """At most so many of n indices, evenly."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))
