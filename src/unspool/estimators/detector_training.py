"""How an `AnomalyDetector` trains: held-out data, windows, and the model."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import clone
from sklearn.utils import check_random_state

from unspool import _checks
from unspool._durations import Duration
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
from unspool.data.steps_in_time import in_steps
from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.estimators.autoencoding import BaseAutoencoder
from unspool.estimators.base import Model
from unspool.estimators.checkpointing import seeds
from unspool.estimators.lstm_autoencoder import LSTMAutoencoder
from unspool.estimators.lstm_forecaster import LSTMForecaster
from unspool.training.checkpoint import Checkpoint

# `window` "auto" is MAX_WINDOW steps, or a WINDOWS-th of the training steps if that is less; with
# fewer than MIN_STEPS training steps a window is one step.
MAX_WINDOW, WINDOWS, MIN_STEPS = 64, 5, 20
# The default model reads patches of MIN_PATCH steps, or longer ones for more than MAX_PATCHES.
MIN_PATCH, MAX_PATCHES = 8, 32
MAX_CODES = 512  # training codes that the score "code" compares with
MAX_WINDOWS = 20_000  # training windows of a baseline
MAX_VALUES = 1 << 27  # values in these windows


def split(
    given: DetectorInput,
    share: float,
    window: int | Duration | None = None,
    dilation: int = 1,
    max_gap: Any = "auto",
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
        times, breaks = given.times, given.breaks
        whole = (
            replace(
                given, series=series[:at], times=times and times[:at], breaks=breaks and breaks[:at]
            ),
            replace(
                given, series=series[at:], times=times and times[at:], breaks=breaks and breaks[at:]
            ),
        )
        span = (
            WindowsOf(int(window), dilation).span
            if isinstance(window, (int, np.integer))
            else detector_windows(whole[0], window, dilation, max_gap).span
        )
        ends = [max(1, round(len(one) * share)) for one in series]
        if 2 * sum(end for end in ends if end < span) > sum(ends):
            return whole
    cuts = []
    for number, one in enumerate(series):
        where = f" of series {number}" if given.several else ""
        cuts.append(_cut(len(one), share, "steps" + where))
    return (
        given.of_steps([slice(at) for at in cuts]),
        given.of_steps([slice(at, None) for at in cuts]),
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


@dataclass(frozen=True)
class WindowsOf:
    """The windows of a detector.

    Parameters
    ----------
    size : int
        Number of steps of a window, w; for sequences, of the longest sequence.
    dilation : int
        Number of steps of a series from one step of a window to the next.
    max_gap : float or None
        Seconds between two steps above which no window contains both.
    """

    size: int
    dilation: int = 1
    max_gap: float | None = None

    @property
    def span(self) -> int:
        """Number of steps of a series from the first step of a window to its last."""
        return (self.size - 1) * self.dilation + 1

    def over(self, given: DetectorInput, more: int = 0) -> Source:
        """Return windows, lengthened by `more` steps, or the sequences themselves."""
        if given.sequences is not None:
            return given.sequences
        size = self.size + more
        span = replace(self, size=size).span
        kept = [i for i, one in enumerate(given.series) if len(one) >= span]
        if not kept:
            longest = max(len(one) for one in given.series)
            raise InputError(
                f"Expected a series of at least {span} training steps (a window and its forecast), "
                f"got at most {longest} without the held-out part; give longer series, or set a "
                "smaller `window`."
            )
        times = given.times if self.max_gap is not None else None
        return Windows(
            [given.series[i] for i in kept],
            size,
            dilation=self.dilation,
            times=times and [times[i] for i in kept],
            max_gap=self.max_gap,
            breaks=given.breaks and [given.breaks[i] for i in kept],
            feature_names=given.names,
            missing="mask",
        )


def detector_windows(
    training: DetectorInput, window: int | Duration, dilation: int, max_gap: Any
) -> WindowsOf:
    """Return the windows for the parameters of a detector."""
    if training.sequences is not None:
        return WindowsOf(training.sequences.max_length)
    auto = isinstance(window, str) and window == "auto"
    size, _, gap, _ = in_steps(
        1 if auto else window, 1, dilation, max_gap, training.times, given=False
    )
    parts = training.parts(dilation, gap)
    longest = parts.longest
    if auto:
        steps = sum(len(one) for one in training.series)
        size = max(1, min(MAX_WINDOW, steps // WINDOWS, longest)) if steps >= MIN_STEPS else 1
    if size > longest:
        between = " between two gaps" if gap is not None or training.breaks else ""
        each = f", {dilation} apart" if dilation > 1 else ""
        raise InputError(
            f"Expected a series of at least {size} training steps{each}, the `window`, got "
            f"{longest} without the held-out part{between}; give more normal data, or set a "
            "smaller `window`."
        )
    return WindowsOf(size, dilation, gap)


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


def train(
    detector: Any,
    training: DetectorInput,
    windows: WindowsOf,
    checkpoint: Checkpoint | None = None,
    callbacks: tuple[Any, ...] = (),
) -> Trained:
    """Train a clone of the detector's `model`, or the default model."""
    drawn = int(check_random_state(detector.random_state).randint(2**31))
    (seed,) = seeds(checkpoint, detector.random_state, [drawn])
    model = detector.model
    model = default_model(detector, training, windows.size) if model is None else clone(model)
    if model.get_params(deep=False).get("random_state", seed) is None:
        model.set_params(random_state=seed)
    if isinstance(model, Model):
        horizon = model._horizon()
        also: Any = {} if checkpoint is None else {"checkpoint": checkpoint.within("model")}
        if callbacks:
            also["callbacks"] = callbacks
        model.fit(windows.over(training, 1 if horizon is None else horizon), **also)
        return Trained(model, None, codes_of(model, training, windows))
    source = windows.over(training)
    check_one_length(source, model)
    scaler = Scaler.fit("standard", source.chunks(), source.n_features, source.chunks)
    most = min(MAX_WINDOWS, max(1, MAX_VALUES // (windows.size * source.n_features)))
    values, _ = source.take(_spread(len(source), most))
    return Trained(model.fit(scaler.apply(values)), scaler, None)


def role_complaint(model: Any) -> _checks.Complaint:
    """Complain about a model that predicts what no step of a series holds, or reads later steps."""
    form = getattr(model, "_form", None)
    own = _checks.is_one(getattr(model, "targets", None), ["y"])
    if own or (form is not None and form.n_responses):
        return (
            "A detector compares steps with their reconstruction or forecast, but this `model` "
            "predicts a quantity of `y` that is no feature; fit one that forecasts features."
        )
    if len(getattr(model, "known", ())):
        return (
            "A detector scores a step from the steps before it, but this `model` reads features "
            "of later steps (`known`); set known=()."
        )
    return None


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


def codes_of(
    model: Any, training: DetectorInput, windows: WindowsOf
) -> npt.NDArray[np.float32] | None:
    """Return codes (M, L) of training windows, at even distances."""
    if not isinstance(model, BaseAutoencoder):
        return None
    source = windows.over(training)
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
            model._form.targets,
        )
    return reconstruction_errors(
        lambda source: model._reconstructions(model._read(source, decodes=True)),
        model.transform,
        model.scaler_,
        loss,
        trained.codes,
        model._form.targets,
    )


def _spread(n: int, most: int) -> npt.NDArray[np.int64]:
    """At most `most` of n indices, at even distances."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64))
