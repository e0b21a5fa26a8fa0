"""`AnomalyDetector`: scores, thresholds and events over any model of unspool or a simple rival."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from unspool import _checks, model_file
from unspool.anomaly import errors as sources
from unspool.anomaly import scores as scoring
from unspool.anomaly.detection import Detection
from unspool.anomaly.reading import Given, read
from unspool.anomaly.scorer import Scorer, errors, highest
from unspool.anomaly.scores import KINDS, Errors
from unspool.anomaly.thresholds import KINDS as THRESHOLDS
from unspool.anomaly.thresholds import Threshold, fit_threshold
from unspool.data.frames import is_frame
from unspool.data.scaling import Scaler
from unspool.data.sequences import FloatArray, Sequences
from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.estimators.autoencoding import BaseAutoencoder
from unspool.estimators.base import Model
from unspool.estimators.kinds import MODELS, class_of
from unspool.estimators.lstm_autoencoder import LSTMAutoencoder
from unspool.estimators.lstm_forecaster import LSTMForecaster
from unspool.estimators.saving import (
    as_before_if_it_fails,
    is_seed,
    plain_parameters,
    unfrozen,
    with_parameters,
)
from unspool.model_file import Contents
from unspool.model_file.detector import PREFIX, plain_thresholds, restored_thresholds
from unspool.model_file.fitted import check_fields

WINDOW = 64  # steps of a window, or a tenth of the steps to train on where that is less
SHARE = 10
MOST_CODES = 512  # that the "code" score compares with, spread evenly over the training windows


class AnomalyDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """TODO."""

    def __init__(
        self,
        model: Any = None,
        *,
        window: int | str = "auto",
        kind: str = "window",
        threshold: str = "moving",
        rate: float = 0.01,
        period: float | None = None,
        memory: int = 1000,
        gap: int = 16,
        contamination: float | str = "auto",
        calibration_split: float = 0.2,
        random_state: int | np.random.RandomState | None = None,
        device: str | torch.device = "auto",
        verbose: int = 1,
    ) -> None:
        self.model = model
        self.window = window
        self.kind = kind
        self.threshold = threshold
        self.rate = rate
        self.period = period
        self.memory = memory
        self.gap = gap
        self.contamination = contamination
        self.calibration_split = calibration_split
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def _complaints(self) -> list[_checks.Complaint]:
        alarms = _checks.is_one(self.threshold, ["alarms"])
        complaints = [
            _checks.whole("window", self.window, 1, auto=True),
            _checks.choice("kind", self.kind, KINDS),
            _checks.choice("threshold", self.threshold, THRESHOLDS),
            _checks.number("rate", self.rate, 0, np.inf if alarms else 1, open_left=True),
            _checks.number("period", self.period, 0, none=True, open_left=True),
            _checks.whole("memory", self.memory, 1),
            _checks.whole("gap", self.gap, 1),
            _checks.number("calibration_split", self.calibration_split, 0, 1, open_left=True),
            _checks.seed("random_state", self.random_state),
        ]
        if not _checks.is_one(self.contamination, ["auto"]):
            one = _checks.number("", self.contamination, 0, 0.5, open_left=True, closed=True)
            if one is not None:
                complaints.append(
                    "contamination must be in (0, 0.5] or 'auto', got "
                    f"{_checks.shown(self.contamination)}."
                )
        if alarms and self.period is None:
            complaints.append(
                "`threshold` 'alarms' needs `period`, the number of steps in which `rate` alarms "
                "may come; give both."
            )
        model, rival = unfrozen(self.model), hasattr(self.model, "fit")
        ready = isinstance(model, Model) and model.__sklearn_is_fitted__()
        if model is not self.model and not ready:
            complaints.append("`model` is a FrozenEstimator of a model that is not fitted.")
        elif model is not None and not isinstance(model, Model) and not rival:
            complaints.append(
                "`model` must be an autoencoder, a forecaster or a rival of unspool.anomaly, or "
                f"None, got {_checks.shown(self.model)}."
            )
        return complaints

    def fit(self, X: Any, y: Any = None, *, calibration: Any = None) -> Self:
        """Train the model on normal data, and learn scales and thresholds from data held out.

        Parameters
        ----------
        X : see the class
        y : ignored
        calibration : as `X`, optional
            Normal data that scales and thresholds are learned from; without it the last part of
            `X` (`calibration_split`), on which the model is then not trained.

        Raises
        ------
        InputError
            For parameters or data that cannot be used. After any error the detector is what it
            was before.
        """
        _checks.raise_all(*self._complaints())
        with as_before_if_it_fails(self):
            self._fit(X, calibration)
        return self

    def _fit(self, X: Any, calibration: Any) -> None:
        self.__dict__.pop("scale_", None)  # until all is learned this is not a fitted detector
        given = read(X)
        self._note_features(X, given)
        inner = unfrozen(self.model)
        ready = inner if inner is not self.model else None
        if calibration is not None:
            training, held_out = given, self._like_fit(read(calibration), calibration)
        elif ready is not None:
            training, held_out = given, given
        else:
            training, held_out = self._split(given)
        self._of_sequences = given.sequences is not None
        self.window_ = self._window_of(training, ready)
        self.model_ = self._trained(training) if ready is None else ready
        self.codes_ = self._training_codes(training)
        found = errors(
            self._source(), held_out, self.window_, self._kinds(), of_sequences=self._of_sequences
        )
        scale = scoring.normal_scale(found)
        self.thresholds_ = {kind: self._calibrated(kind, found, scale) for kind in self._kinds()}
        _checks.raise_all(_checks.choice("kind", self.kind, self.thresholds_))
        self.scale_ = scale
        if isinstance(self.contamination, str):
            self.offset_ = -self.thresholds_[self.kind].start
        else:
            scores = self.score_samples(X)
            scores = np.concatenate(scores) if isinstance(scores, list) else scores
            self.offset_ = float(np.percentile(scores, 100 * self.contamination))

    def _kinds(self) -> tuple[str, ...]:
        """The kinds of score that this detector can give."""
        without = {"trailing"} if self._of_sequences else set()
        if self.codes_ is None:
            without.add("code")
        return tuple(kind for kind in KINDS if kind not in without)

    def anomaly_scores(self, X: Any, kind: str | None = None) -> Any:
        """How anomalous each step is, or each sequence; higher is more.

        Parameters
        ----------
        X : see the class
        kind : {"window", "step", "trailing", "code"}, optional
            The kind of score; the parameter `kind` by default.

        Returns
        -------
        array of shape (T,), float64, or a list of such where `X` is several series
            For sequences an array (N,): the highest score of their steps.
        """
        check_is_fitted(self)
        given = self._like_fit(read(X), X)
        return self._scorer().scores(given, self.kind if kind is None else kind)

    def contributions(self, X: Any, kind: str | None = None) -> Any:
        """What each feature contributes to the score of each step.

        Parameters
        ----------
        X, kind : as for `anomaly_scores`

        Returns
        -------
        array of shape (T, F), float64, or a list of such
            A score is the mean of its row; for the kind "code", which has no features, these are
            the contributions to the score "window". For sequences an array (N, F): those of the
            step with the highest score.

        Raises
        ------
        InputError
            Where the model is a rival that scores windows as a whole.
        """
        found = self.detect(X, kind).contributions
        if found is None:
            raise InputError(
                f"{type(self.model_).__name__} scores windows as a whole, and does not say what "
                "each feature contributes; take another model."
            )
        return found

    def score_samples(self, X: Any) -> Any:
        """How normal each step is, or each sequence: `anomaly_scores` with the opposite sign."""
        return self._each(self.anomaly_scores(X), np.negative)

    def decision_function(self, X: Any) -> Any:
        """`score_samples` less ``offset_``: below 0 where `predict` gives -1."""
        return self._each(self.score_samples(X), lambda scores: scores - self.offset_)

    def predict(self, X: Any) -> Any:
        """-1 for each step (or sequence) that is an anomaly by the fixed ``offset_``, 1 for others.

        scikit-learn compares with one number; `detect` compares with the threshold, which may
        move along a series.
        """
        return self._each(self.decision_function(X), lambda apart: np.where(apart < 0, -1, 1))

    def detect(self, X: Any, kind: str | None = None, *, times: Any = None) -> Detection:
        """Find anomalies by the parameter `threshold`.

        Parameters
        ----------
        X, kind : as for `anomaly_scores`
        times : array of shape (T,), or a list of such, optional
            The time of each step; that of the index of a frame by default.

        Returns
        -------
        Detection
            Scores, thresholds, alarms and events.
        """
        check_is_fitted(self)
        given = self._like_fit(read(X), X)
        return self._scorer().detect(given, self.kind if kind is None else kind, times)

    def _scorer(self) -> Scorer:
        """What runs this detector."""
        return Scorer(
            self._source(),
            self.window_,
            self._of_sequences,
            self.scale_,
            self.thresholds_,
            self.gap,
            self._names(),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the detector with its model to one file; `unspool.load` reads it back.

        `unspool.runtime` reads it too, as a model or as a detector.

        Parameters
        ----------
        path : path of the file

        Raises
        ------
        InputError
            For a detector over a rival, which no file holds.
        """
        model_file.write(path, self.contents())

    def contents(self) -> Contents:
        """The model and the detector as plain data, as a file holds them."""
        check_is_fitted(self)
        if not isinstance(self.model_, Model):
            raise InputError(
                f"A detector over {type(self.model_).__name__} cannot be saved; files hold the "
                "models of unspool. Fit it again where it is needed, or pickle it."
            )
        inner = self.model_.contents()
        numbers, tensors = plain_thresholds(self.thresholds_)
        tensors[f"{PREFIX}scale"] = self.scale_
        if self.codes_ is not None:
            tensors[f"{PREFIX}codes"] = self.codes_
        names = self._names()
        detector = {
            "parameters": self._plain_parameters(),
            "window": self.window_,
            "of_sequences": self._of_sequences,
            "offset": self.offset_,
            "feature_names_in": None if names is None else list(names),
            "thresholds": numbers,
        }
        return replace(inner, tensors={**inner.tensors, **tensors}, detector=detector)

    def _plain_parameters(self) -> dict[str, Any]:
        plain = {name: _checks.plain(value) for name, value in self.get_params(deep=False).items()}
        model = unfrozen(self.model)
        if model is not None:
            frozen = model is not self.model
            parameters = model._parameters if frozen else plain_parameters(model)
            plain["model"] = {"model": model._name, "parameters": parameters, "frozen": frozen}
        plain["random_state"] = self.random_state if is_seed(self.random_state) else None
        plain["device"] = str(self.device)
        return plain

    @classmethod
    def from_contents(cls, contents: Contents, device: str) -> Self:
        """Make a fitted detector of plain data, which has been looked at.

        The parameter `model` comes back as it was but for its training; the trained one is
        ``model_``.
        """
        detector = contents.detector
        assert detector is not None
        inner = class_of(contents.model, MODELS).from_contents(contents, device)
        parameters = dict(detector["parameters"])
        given = parameters["model"]
        if given is not None:
            check_fields("model", given, ("model", "parameters", "frozen"))
            if given["frozen"]:
                given = FrozenEstimator(inner)
            else:
                kind = class_of(given["model"], MODELS)
                given = with_parameters(kind, given["parameters"], device)
        found = with_parameters(cls, {**parameters, "model": given}, device)
        found.model_ = inner
        found.window_, found._of_sequences = detector["window"], detector["of_sequences"]
        found.offset_, found.n_features_in_ = detector["offset"], inner._n_features
        if detector["feature_names_in"] is not None:
            found.feature_names_in_ = np.array(detector["feature_names_in"], dtype=object)
        found.thresholds_ = restored_thresholds(detector["thresholds"], contents.tensors)
        found.codes_ = contents.tensors.get(f"{PREFIX}codes")
        found.scale_ = contents.tensors[f"{PREFIX}scale"]
        return found

    def _like_fit(self, given: Given, X: Any) -> Given:
        """`given`, read from `X`, if it has the features of `fit`, and is of the same kind."""
        if given.sequences is None and not given.several:
            self._check_columns(X, given, reset=False)
        elif given.n_features != self.n_features_in_:
            raise InputError(
                f"X has {given.n_features} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input."
            )
        names, known = given.names, self._names()
        if names and known and names != known:
            raise InputError(
                f"Expected the features {', '.join(known)}, in this order, got "
                f"{', '.join(names)}; choose and order them as in `fit`."
            )
        return given

    def _note_features(self, X: Any, given: Given) -> None:
        """Set ``n_features_in_``, and ``feature_names_in_`` where names are known."""
        self.__dict__.pop("feature_names_in_", None)  # those of an earlier fit
        if given.sequences is None and not given.several:
            self._check_columns(X, given, reset=True)
            return
        self.n_features_in_ = given.n_features
        if given.names is not None:
            self.feature_names_in_ = np.array(given.names, dtype=object)

    def _check_columns(self, X: Any, given: Given, *, reset: bool) -> None:
        """Look at columns and their names as scikit-learn does, or note them."""
        try:
            rows = X if is_frame(X) else given.series[0]
            validate_data(self, rows, reset=reset, skip_check_array=True)
        except (TypeError, ValueError) as error:
            raise InputError(str(error)) from None

    def _names(self) -> tuple[str, ...] | None:
        names = getattr(self, "feature_names_in_", None)
        return None if names is None else tuple(names)

    def _split(self, given: Given) -> tuple[Given, Given]:
        """What to train on, and the end of it, which is held out."""

        def cut(length: int) -> int:
            held_out = max(1, round(length * self.calibration_split))
            if held_out >= length:
                raise InputError(
                    f"Expected more steps (or sequences), got n_samples={length}, of which "
                    f"`calibration_split` {self.calibration_split:g} leaves none to train on; "
                    "give more normal data."
                )
            return length - held_out

        if given.sequences is not None:
            at = cut(len(given.sequences))
            return (
                replace(given, sequences=given.sequences[:at]),
                replace(given, sequences=given.sequences[at:]),
            )
        cuts = [cut(len(one)) for one in given.series]
        pairs = list(zip(given.series, cuts, strict=True))
        return (
            replace(given, series=[one[:at] for one, at in pairs]),
            replace(given, series=[one[at:] for one, at in pairs]),
        )

    def _window_of(self, training: Given, ready: Model | None) -> int:
        """Steps of a window, w."""
        if training.sequences is not None:
            return int(training.sequences.max_length)
        if ready is not None:
            return int(ready.max_length_)
        longest = max(len(one) for one in training.series)
        if self.window == "auto":
            steps = sum(len(one) for one in training.series)
            return max(1, min(WINDOW, steps // SHARE, longest))
        if self.window > longest:
            raise InputError(
                f"Expected series of at least `window` {self.window} steps to train on, got "
                f"{longest} without the part that is held out; give more normal data, or take a "
                "smaller window."
            )
        return int(self.window)

    def _trained(self, training: Given) -> Any:
        """A clone of the model that was given, or the default one, fitted."""
        seed = int(check_random_state(self.random_state).randint(2**31))
        model = self._default(training) if self.model is None else clone(self.model)
        if "random_state" in model.get_params(deep=False) and model.random_state is None:
            model.set_params(random_state=seed)
        if isinstance(model, Model):
            return model.fit(self._windows(training, getattr(model, "horizon", None) or 0))
        source = self._windows(training)
        self.scaler_ = Scaler.fit("standard", source.chunks(), source.n_features)
        return model.fit(self.scaler_.apply(source.take(np.arange(len(source)))[0]))

    def _windows(self, given: Given, more: int = 0) -> Windows | Sequences:
        """Windows over the series, or the sequences; with `more` steps, a future to forecast."""
        if given.sequences is not None:
            return given.sequences
        long_enough = [one for one in given.series if len(one) >= self.window_ + more]
        if not long_enough:
            raise InputError(
                f"Expected a series of at least {self.window_ + more} steps to train on, got "
                f"{max(len(one) for one in given.series)} at most; give longer ones, or take a "
                "smaller `window`."
            )
        return Windows(long_enough, self.window_ + more)

    def _default(self, training: Given) -> Model:
        """The model that is trained where none was given."""
        return LSTMAutoencoder(
            8,
            n_kernels=0,
            steps_per_epoch=25,
            epochs=max(1, 30),
            device=self.device,
            verbose=self.verbose,
        )

    def _training_codes(self, training: Given) -> npt.NDArray[np.float32] | None:
        """Codes (M, L) of training windows, spread evenly over them."""
        if not isinstance(self.model_, BaseAutoencoder):
            return None
        source = self._windows(training)
        some = np.unique(np.linspace(0, len(source) - 1, MOST_CODES).astype(np.int64))
        return self.model_.transform(source[some])

    def _source(self) -> sources.OfWindows | sources.OfSteps:
        """What gives errors."""
        model = self.model_
        if isinstance(model, LSTMForecaster):
            return sources.of_forecasts(
                lambda source: model._forecasts(model._read(source)),
                model.horizon_,
                model.scaler_,
                model._parameters["loss"],
            )
        if isinstance(model, Model):
            return sources.of_network(
                lambda source: model._reconstructions(model._read(source, unwind=True)),
                model.transform,
                model._parameters["loss"],
                self.codes_,
            )
        return sources.of_rival(model, self.scaler_)

    def _calibrated(self, kind: str, found: list[Errors], scale: FloatArray) -> Threshold:
        """The threshold for a kind of score, learned from the errors of normal data."""
        scores = [scoring.scores(kind, one, scale) for one in found]
        if self._of_sequences:
            scores = [highest(scores)]
        return fit_threshold(
            self.threshold,
            scores,
            self.rate,
            memory=self.memory,
            gap=self.gap,
            steps_per_period=self.period,
        )

    def _each(self, scores: Any, change: Callable[[FloatArray], Any]) -> Any:
        """`change` applied to an array of scores, or to each of a list."""
        return [change(one) for one in scores] if isinstance(scores, list) else change(scores)

    def __sklearn_is_fitted__(self) -> bool:
        """Only a fit that came to its end counts."""
        return hasattr(self, "scale_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
