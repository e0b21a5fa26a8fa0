"""`AnomalyDetector`: scores, thresholds and events over any model of unspool or a simple rival."""

import os
import warnings
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from unspool import _checks, model_file
from unspool.anomaly import scores as scoring
from unspool.anomaly.detection import Detection
from unspool.anomaly.reading import Given, check_same_names, read
from unspool.anomaly.scorer import Scorer, check_form, errors, first_errors, highest
from unspool.anomaly.scores import KINDS, Errors
from unspool.anomaly.threshold_kinds import KINDS as THRESHOLDS
from unspool.anomaly.thresholds import Threshold, fit_quietly
from unspool.anomaly.weakness import weakness
from unspool.data.frames import is_frame
from unspool.data.sequences import FloatArray
from unspool.errors import InputError, ThresholdWarning
from unspool.estimators import detector_file
from unspool.estimators.autoencoding import BaseAutoencoder
from unspool.estimators.base import Model
from unspool.estimators.detector_training import (
    Trained,
    codes_of,
    source_of,
    split,
    train,
    window_of,
)
from unspool.estimators.saving import (
    as_before_if_it_fails,
    python_numbers,
    unfrozen,
    warn_of_changes,
)
from unspool.model_file import Contents


class AnomalyDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc]
    """Find anomalies in series, or among sequences, with a model of what is normal.

    A model is trained on normal data. What it reconstructs badly (or forecasts badly) is an
    anomaly. The last part of the normal data is held out from training: it says how large errors
    are on normal data, for each feature, and where the threshold lies. Labels are never used.

    ``X`` is one of these:

    - *a series* (T, F): an array, a frame or nested lists. Rows are steps, in the order of time,
      columns are features (sensors). There is a score for each step. One feature is (T, 1).
    - *several series*: a list of those, or a frame with the index (instance, time). Results are
      lists. No window crosses from one to the next.
    - *sequences*: `Sequences`, or an array of shape (N, T, F). Each is scored as a whole, such as
      a heartbeat or a production cycle; there is a score for each sequence.

    Parameters
    ----------
    model : estimator, optional
        An autoencoder or a forecaster of unspool, or a rival of `unspool.anomaly.baselines`. A
        clone of it is trained. In scikit-learn's `FrozenEstimator`, a fitted model of unspool is
        taken as it is, and all of `X` is held-out data; the score "code" compares with codes of
        its first part, see `calibration_split`. By default an `LSTMAutoencoder` with a
        code of 8 numbers.
    window : int or "auto", default "auto"
        Steps of a window, w, which the model reads as a sequence. "auto" is 64, or a tenth of the
        steps to train on where that is less. Sequences are windows as they are, and a fitted
        model has the windows that it was trained on.
    kind : {"window", "step", "trailing", "code"}, default "window"
        The kind of score.

        - "window" is for ranking: the mean score of all windows that cover a step. Where an
          anomaly lasts for many steps it finds most, but it rises up to w - 1 steps before an
          anomaly begins, and falls as long after its end.
        - "step" is for rates and for places: the error of the step itself, averaged over the
          windows that cover it. Its scores depend little on one another, so that thresholds keep
          what they promise; it finds less.
        - "trailing" is for work on line: the score of the window that ends at the step. It knows
          nothing of what comes later, and `stream` gives the same score step by step.
        - "code" is the distance of a window's code to the nearest code of training. It sees
          patterns that are well reconstructed but were never seen before.
    threshold : {"moving", "quantile", "pareto", "alarms"}, default "moving"
        How `detect` sets the threshold; see `unspool.anomaly.thresholds` for what each promises.
        "moving" is a quantile of the last scores and follows drift; "quantile" is one of held-out
        scores, and "pareto" extrapolates their tail; "alarms" allows a number of alarms for each
        `period`.
    rate : float, default 0.005
        False alarms that the threshold allows: a share of normal steps, above 0 and below 1; for
        "alarms" their number in `period` steps.
    period : float, optional
        Steps of a period, for the threshold "alarms": 1440 for alarms per day of data by the
        minute.
    memory : int or "auto", default "auto"
        Scores that the threshold "moving" remembers. "auto": as many as hold one independent score
        above it, by the autocorrelation of held-out scores, from 500 to 20,000.
    gap : int, default 16
        Alarms less than so many steps apart are one event.
    contamination : float or "auto", default "auto"
        What sets ``offset_``, the fixed threshold of `predict`. "auto": held-out data. It is the
        threshold of `detect`, or where that moves, the `rate` quantile of `score_samples` of the
        held-out part. A number in (0, 0.5]: the share of the steps of `X` that `predict` calls
        anomalies in `fit`'s own data, where these are known to contain some; fewer where scores
        are equal.
    calibration_split : float, default 0.2
        Share of each series, from its end, that is held out (or of the sequences, the last ones);
        above 0 and below 1.
    random_state : int, RandomState or None
        Makes a fit repeatable, as for the models.
    device : str or torch.device, default "auto"
        Where the default model is trained and runs; a `model` has its own.
    verbose : int, default 1
        For the default model: 0 shows no progress bar.

    Attributes
    ----------
    model_ : the trained model
    window_ : int
        Steps of a window, w.
    scales_ : dict
        For each kind of score the mean error of each feature on held-out data, (F,), in the
        scaled units of the model; for "trailing" that of windows of 1 to w steps, (w, F).
    thresholds_ : dict
        The threshold of each kind of score, by its name. ``n_effective`` of one says how many
        independent scores it was learned from.
    offset_ : float
        `decision_function` is `score_samples` less this.
    codes_ : array of shape (M, L), or None
        Codes of training windows, for the kind "code".
    n_features_in_, feature_names_in_
        As scikit-learn has them: the F features of a step.

    Warns
    -----
    ThresholdWarning
        By `fit`, where held-out data cannot carry the rate asked for.

    Notes
    -----
    The error e of a window is the mean of its squared errors (of the model's loss), for each
    feature; m is its mean over held-out windows. The score is the mean over features of
    log(1 + e / m): about 0.7 for normal data. The ratio makes up for features that are hard to
    reconstruct, the logarithm keeps a single feature from drowning the others.

    References
    ----------
    Malhotra et al. 2016, "LSTM-based Encoder-Decoder for Multi-sensor Anomaly Detection", for
    errors of reconstructions; `detect` has no need of its assumption that they are Gaussian.

    Examples
    --------
    >>> import numpy as np
    >>> from unspool import AnomalyDetector
    >>> X = np.sin(np.arange(3000) / 9)[:, None]
    >>> X += np.random.default_rng(0).normal(size=X.shape) / 10
    >>> X[2500:2510] += 2
    >>> detector = AnomalyDetector(rate=0.2, random_state=0, verbose=0).fit(X[:2000])
    >>> int(detector.anomaly_scores(X[2000:]).argmax()) in range(490, 520)
    True
    """

    def __init__(
        self,
        model: Any = None,
        *,
        window: int | str = "auto",
        kind: str = "window",
        threshold: str = "moving",
        rate: float = 0.005,
        period: float | None = None,
        memory: int | str = "auto",
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
            _checks.whole("memory", self.memory, 1, auto=True),
            _checks.whole("gap", self.gap, 1),
            _checks.number("calibration_split", self.calibration_split, 0, 1, open_left=True),
            _checks.seed("random_state", self.random_state),
            _checks.whole("verbose", self.verbose, 0),
        ]
        if not _checks.is_one(self.contamination, ["auto"]) and _checks.number(
            "contamination", self.contamination, 0, 0.5, open_left=True, closed=True
        ):
            shown = _checks.shown(self.contamination)  # scikit-learn's checks ask for the words
            complaints.append(f"contamination must be in (0, 0.5] or 'auto', got {shown}.")
        if alarms and self.period is None:
            complaints.append(
                "`threshold` 'alarms' needs `period`, the number of steps in which `rate` alarms "
                "may come."
            )
        inner = unfrozen(self.model)
        ours = isinstance(inner, Model)
        if inner is not self.model and not (ours and inner.__sklearn_is_fitted__()):
            complaints.append(
                "`model` is a FrozenEstimator, which must hold a fitted model of unspool."
            )
        elif not ours and inner is not None and not _is_rival(inner):
            complaints.append(
                "`model` must be an autoencoder or a forecaster of unspool, a rival of "
                f"unspool.anomaly.baselines, or None, got {_checks.shown(self.model)}."
            )
        return complaints

    def fit(self, X: Any, y: Any = None, *, calibration: Any = None) -> Self:
        """Train the model on normal data, and learn scales and thresholds from what is held out.

        Parameters
        ----------
        X : see the class
            Normal data. Some anomalies among them do little harm to the model; in the part held
            out they raise the thresholds.
        y : ignored
        calibration : as `X`, optional
            Normal data to learn scales and thresholds from; the model is then trained on all of
            `X`. By default the last part of `X`, see `calibration_split`.

        Returns
        -------
        self

        Raises
        ------
        InputError
            For parameters or data that cannot be used.
        DivergedError
            When training diverges and earlier weights do not help. After any error the detector
            is what it was before.
        """
        _checks.raise_all(*self._complaints())
        with as_before_if_it_fails(self), python_numbers(self):
            self._fit(X, calibration)
        return self

    def _fit(self, X: Any, calibration: Any) -> None:
        """Train on one part of the data, learn scales and thresholds from the other."""
        self.__dict__.pop("scales_", None)  # until all is learned this is not a fitted detector
        self._parameters = detector_file.parameters_of(self)
        given = read(X)
        self._note_features(X, given)
        self._of_sequences = given.sequences is not None
        inner = unfrozen(self.model)
        ready = inner is not self.model
        if ready:
            known = getattr(inner, "feature_names_in_", ())
            if len(known) == given.n_features:  # those of a table (N, T) are of its steps
                check_same_names(given.names, known)
        without = {"trailing"} if self._of_sequences else set()
        if inner is not None and not isinstance(inner, BaseAutoencoder):
            without |= {"code"}
        kinds = [kind for kind in KINDS if kind not in without]
        _checks.raise_all(_checks.choice("kind", self.kind, kinds))
        if calibration is not None:
            training, held_out = given, self._like_fit(read(calibration), calibration)
            check_form(held_out, of_sequences=self._of_sequences)
            unseen = held_out  # by the codes, to which a window of theirs has no distance
        elif ready:
            training = held_out = unseen = given
            if "code" in kinds:
                training, unseen = split(given, self.calibration_split)
        else:
            training, held_out = split(given, self.calibration_split)
            unseen = held_out
        if ready:
            self.window_ = inner.max_length_
            trained = Trained(inner, None, codes_of(inner, training, self.window_))
        else:
            self.window_ = window_of(training, self.window)
            trained = train(self, training, self.window_)
        self.model_, self._scaler, self.codes_ = trained.model, trained.scaler, trained.codes

        source, whole = source_of(trained), self._of_sequences
        found = errors(source, held_out, self.window_, kinds, of_sequences=whole)
        scales = {kind: scoring.normal_scale(kind, found) for kind in kinds}
        if "trailing" in kinds:
            first = first_errors(source, held_out.series, self.window_)
            scales["trailing"] = scoring.trailing_scale(found, first, self.window_)
        each = dict.fromkeys(kinds, found)
        if unseen is not held_out:
            each["code"] = errors(source, unseen, self.window_, ["code"], of_sequences=whole)
        self.thresholds_ = {
            kind: self._calibrated(kind, each[kind], scales[kind]) for kind in kinds
        }
        self.scales_ = scales
        self._warn_if_weak(self.kind)
        in_it = calibration is not None and self.contamination == "auto"
        self.offset_ = self._offset(calibration if in_it else X, held_out)

    def _offset(self, X: Any, held_out: Given) -> float:
        """The fixed threshold of `predict`; `X` is, or ends with, what was held out."""
        if self.contamination == "auto" and self.threshold != "moving":
            return -self.thresholds_[self.kind].start
        scores = self.score_samples(X)
        each = scores if isinstance(scores, list) else [scores]
        if not isinstance(self.contamination, str):
            return float(np.percentile(np.concatenate(each), 100 * self.contamination))
        sequences = held_out.sequences
        ends = map(len, held_out.series if sequences is None else [sequences])
        each = [one[-end:] for one, end in zip(each, ends, strict=True)]
        return float(np.percentile(np.concatenate(each), 100 * self.rate))

    def _calibrated(self, kind: str, found: list[Errors], scale: FloatArray) -> Threshold:
        """The threshold for a kind of score, learned from the errors of normal data."""
        scores = [scoring.scores(kind, one, scale) for one in found]
        return fit_quietly(
            self.threshold,
            [highest(scores)] if self._of_sequences else scores,
            self.rate,
            memory=self.memory,
            gap=self.gap,
            steps_per_period=self.period,
        )

    def _warn_if_weak(self, kind: str) -> None:
        """Warn where the threshold for a kind of score cannot hold the rate that was asked for."""
        weak = weakness(self.thresholds_[kind])
        if weak is not None:
            warnings.warn(weak, ThresholdWarning, stacklevel=4)

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

        Raises
        ------
        InputError
            For an `X` that cannot be read, or has other features than that of `fit`; for a kind
            that the model does not have.
        """
        given, kind = self._asked(X, kind)
        return self._scorer().scores(given, kind)

    def contributions(self, X: Any, kind: str | None = None) -> Any:
        """What each feature contributes to the score of each step: which sensor it is.

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
            As `anomaly_scores` does; and where the model is a rival that scores windows as a
            whole.
        """
        found = self.detect(X, kind).contributions
        if found is None:
            raise InputError(
                f"{type(self.model_).__name__} scores windows as a whole, and does not say what "
                "each feature contributes; take another model."
            )
        return found

    def score_samples(self, X: Any) -> Any:
        """How normal each step is, or each sequence: `anomaly_scores` with the opposite sign.

        Parameters
        ----------
        X : see the class

        Returns
        -------
        array of shape (T,), or a list of such; (N,) for sequences
        """
        return _each(self.anomaly_scores(X), np.negative)

    def decision_function(self, X: Any) -> Any:
        """`score_samples` less ``offset_``: below 0 where `predict` gives -1.

        Parameters
        ----------
        X : see the class

        Returns
        -------
        array of shape (T,), or a list of such; (N,) for sequences
        """
        return _each(self.score_samples(X), lambda scores: scores - self.offset_)

    def predict(self, X: Any) -> Any:
        """-1 for each step (or sequence) that is an anomaly by the fixed ``offset_``, else 1.

        As scikit-learn has it, all are compared with one number. `detect` compares with
        `threshold`, which may move along a series.

        Parameters
        ----------
        X : see the class

        Returns
        -------
        array of int of shape (T,), or a list of such; (N,) for sequences
        """
        return _each(self.decision_function(X), lambda apart: np.where(apart < 0, -1, 1))

    def detect(self, X: Any, kind: str | None = None) -> Detection:
        """Find anomalies: scores above the `threshold`, merged into events.

        Parameters
        ----------
        X, kind : as for `anomaly_scores`

        Returns
        -------
        Detection
            Scores, thresholds, alarms, contributions and events.

        Raises
        ------
        InputError
            As `anomaly_scores` does.

        Warns
        -----
        ThresholdWarning
            For another kind of score than the parameter's, where held-out data cannot carry the
            rate asked for.
        """
        given, kind = self._asked(X, kind)
        found = self._scorer().detect(given, kind)
        if kind != self._parameters["kind"]:  # of which `fit` has warned
            self._warn_if_weak(kind)
        return found

    def stream(self) -> Any:
        """Score a series a step at a time, in NumPy; see `unspool.runtime.DetectorStream`.

        Scores and thresholds are those of the kind "trailing".

        Raises
        ------
        InputError
            For a detector of whole sequences, and for one over a rival.
        """
        from unspool.runtime.detector import Detector

        return Detector(self.contents()).stream()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the detector with its model to one file; `unspool.load` reads it back.

        Commands and functions that need a model read the file too, as that of the model.

        Parameters
        ----------
        path : path of the file

        Raises
        ------
        InputError
            For a detector over a rival, and for a path that cannot be written to.
        """
        model_file.write(path, self.contents())

    def contents(self) -> Contents:
        """The detector and its model as plain data, as a file holds them.

        Raises
        ------
        InputError
            For a detector over a rival.

        Warns
        -----
        ParametersChangedWarning
            Where `set_params` has changed some parameters since the fit.
        """
        check_is_fitted(self)
        contents = detector_file.contents_of(self)
        warn_of_changes(self._parameters, detector_file.parameters_of(self))
        return contents

    @classmethod
    def from_contents(cls, contents: Contents, device: str) -> Self:
        """Make a fitted detector of plain data, which has been looked at.

        The parameter `model` comes back as it was but for its training; the trained one is
        ``model_``.
        """
        return detector_file.restored(cls, contents, device)

    def _scorer(self) -> Scorer:
        """What runs this detector."""
        return Scorer(
            source_of(Trained(self.model_, self._scaler, self.codes_)),
            self.window_,
            self._of_sequences,
            self.scales_,
            self.thresholds_,
            self._parameters["gap"],
            self._names(),
        )

    def _asked(self, X: Any, kind: str | None) -> tuple[Given, str]:
        """What `X` holds, as in `fit`, and the kind of score, by default that of `fit`."""
        check_is_fitted(self)
        return self._like_fit(read(X), X), self._parameters["kind"] if kind is None else kind

    def _like_fit(self, given: Given, X: Any) -> Given:
        """`given`, read from `X`, if it has the features of `fit`."""
        if given.sequences is None and not given.several:
            self._check_columns(X, given, reset=False)
        elif given.n_features != self.n_features_in_:
            raise InputError(
                f"X has {given.n_features} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input."
            )
        check_same_names(given.names, self._names())
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
        """Look at the number and the names of columns as scikit-learn does, or note them."""
        try:
            rows = X if is_frame(X) else given.series[0]
            validate_data(self, rows, reset=reset, skip_check_array=True)
        except (TypeError, ValueError) as error:
            raise InputError(str(error)) from None

    def _names(self) -> tuple[str, ...] | None:
        names = getattr(self, "feature_names_in_", None)
        return None if names is None else tuple(names)

    def __sklearn_is_fitted__(self) -> bool:
        """Only a fit that came to its end counts."""
        return hasattr(self, "scales_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _is_rival(model: Any) -> bool:
    names = ("reconstruct", "window_scores", "step_errors")
    return not isinstance(model, type) and any(hasattr(model, name) for name in names)


def _each(scores: Any, change: Callable[[FloatArray], Any]) -> Any:
    """`change` applied to an array of scores, or to each of a list."""
    return [change(one) for one in scores] if isinstance(scores, list) else change(scores)
