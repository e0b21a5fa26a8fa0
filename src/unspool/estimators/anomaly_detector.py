"""`AnomalyDetector`: scores, thresholds and events over any model of unspool or a simple rival."""

from typing import Any, Self

import numpy as np
import torch

from unspool import _checks
from unspool.anomaly import scores as scoring
from unspool.anomaly.inputs import check_same_names, read_input
from unspool.anomaly.pipeline import check_same_form, highest_scores, leading_errors, series_errors
from unspool.anomaly.scores import SCORE_KINDS, SeriesErrors
from unspool.anomaly.threshold_kinds import THRESHOLD_KINDS
from unspool.anomaly.thresholds import Threshold, fit_without_warning
from unspool.data.sequences import FloatArray
from unspool.estimators import detector_file
from unspool.estimators.autoencoding import BaseAutoencoder
from unspool.estimators.base import Model
from unspool.estimators.detecting import Detects
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
)


class AnomalyDetector(Detects):
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
        code of 16 numbers.
    window : int or "auto", default "auto"
        Steps of a window, w, which the model reads as a sequence. "auto" is 64, or a fifth of the
        steps to train on where that is less, and no more than the longest series has. Sequences
        are windows as they are, and a fitted model has the windows that it was trained on.
    kind : {"window", "step", "trailing", "code"}, default "window"
        The kind of score.

        - "window" is for ranking: the mean score of all windows that cover a step. Where an
          anomaly lasts for many steps it finds most, but it rises up to w - 1 steps before an
          anomaly begins, and falls as long after its end.
        - "step" is for rates and for places: the error of the step itself, averaged over the
          windows that cover it. Its scores depend little on one another, so that thresholds keep
          what they promise; it ranks anomalies worse.
        - "trailing" is for online use: the score of the window that ends at the step, in which
          the latest errors weigh most. It does not depend on later steps, and `stream` gives the
          same score step by step.
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
        threshold of `detect`, or where that moves, the `rate` quantile of `score_samples` of
        held-out data. A number in (0, 0.5]: the share of the steps of `X` that `predict` calls
        anomalies in `fit`'s own data, where these are known to contain some; fewer where scores
        are equal.
    calibration_split : float, default 0.2
        Share of each series, from its end, that is held out (or of the sequences, the last ones);
        above 0 and below 1. Where most of these ends would be shorter than a window, the last
        series are held out as a whole instead, if this share is at least one of them.
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
        As in scikit-learn: the number of features of a step, F, and their names.

    Warns
    -----
    ThresholdWarning
        By `fit`, where held-out data cannot carry the rate asked for.

    Notes
    -----
    The error e of a window is the mean over its steps of the model's loss (the squared error by
    default), for each feature; m is the mean of e over held-out windows. The score of a window is
    the mean over features of log(1 + e / (3 m)), about 0.3 for normal data; the score of a step is
    the mean over the windows that cover it. The ratio makes up for features that are hard to
    reconstruct, the logarithm keeps a single feature from drowning the others. The kind "step"
    takes the errors of steps instead. In "trailing" scores the weights of errors fall to 1 / e over
    the last quarter of a window, and windows that begin before a series are filled with copies of
    its first step.

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
            _checks.choice("kind", self.kind, SCORE_KINDS),
            _checks.choice("threshold", self.threshold, THRESHOLD_KINDS),
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
        given = read_input(X)
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
        kinds = [kind for kind in SCORE_KINDS if kind not in without]
        _checks.raise_all(_checks.choice("kind", self.kind, kinds))
        if calibration is not None:
            training, held_out = given, self._like_fit(read_input(calibration), calibration)
            check_same_form(held_out, of_sequences=self._of_sequences)
            unseen = held_out  # by the codes, to which a window of theirs has no distance
        elif ready:
            training = held_out = unseen = given
            if "code" in kinds:
                training, unseen = split(given, self.calibration_split)
        else:
            training, held_out = split(given, self.calibration_split, self.window)
            unseen = held_out
        if ready:
            self.window_ = inner.max_length_
            trained = Trained(inner, None, codes_of(inner, training, self.window_))
        else:
            self.window_ = window_of(training, self.window)
            trained = train(self, training, self.window_)
        self.model_, self._scaler, self.codes_ = trained.model, trained.scaler, trained.codes

        source, whole = source_of(trained), self._of_sequences
        found = series_errors(source, held_out, self.window_, kinds, of_sequences=whole)
        scales = {kind: scoring.normal_scale(kind, found) for kind in kinds}
        if "trailing" in kinds:
            first = leading_errors(source, held_out.series, self.window_)
            scales["trailing"] = scoring.trailing_scale(found, first, self.window_)
        each = dict.fromkeys(kinds, found)
        if unseen is not held_out:
            each["code"] = series_errors(source, unseen, self.window_, ["code"], of_sequences=whole)
        normal = {kind: self._normal(kind, each[kind], scales[kind]) for kind in kinds}
        self.thresholds_ = {kind: self._calibrated(scores) for kind, scores in normal.items()}
        self.scales_ = scales
        self._warn_if_weak(self.kind)
        self.offset_ = self._offset(X, normal[self.kind])

    def _offset(self, X: Any, normal: list[FloatArray]) -> float:
        """The fixed threshold of `predict`, from the data of `fit` or scores of held-out data."""
        if not isinstance(self.contamination, str):
            scores = self.score_samples(X)
            each = scores if isinstance(scores, list) else [scores]
            return float(np.percentile(np.concatenate(each), 100 * self.contamination))
        if self.threshold != "moving":
            return -self.thresholds_[self.kind].start
        return float(np.percentile(-np.concatenate(normal), 100 * self.rate))

    def _normal(self, kind: str, found: list[SeriesErrors], scale: FloatArray) -> list[FloatArray]:
        """Scores of held-out data, from their errors: a list of one array for sequences."""
        scores = [scoring.step_scores(kind, one, scale) for one in found]
        return [highest_scores(scores)] if self._of_sequences else scores

    def _calibrated(self, normal: list[FloatArray]) -> Threshold:
        """The threshold for a kind of score, learned from its scores of held-out data."""
        return fit_without_warning(
            self.threshold,
            normal,
            self.rate,
            memory=self.memory,
            gap=self.gap,
            steps_per_period=self.period,
        )


def _is_rival(model: Any) -> bool:
    names = ("reconstruct", "window_scores", "step_errors")
    return not isinstance(model, type) and any(hasattr(model, name) for name in names)
