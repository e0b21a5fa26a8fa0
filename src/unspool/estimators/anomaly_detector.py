"""`AnomalyDetector`: scores, thresholds and events, with an unspool model or a baseline."""

import os
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import torch

from unspool import _checks
from unspool._durations import Duration
from unspool._types import (
    Auto,
    Missing,
    ScoreKind,
    ThresholdKind,
)
from unspool.anomaly import scores as scoring
from unspool.anomaly.inputs import check_same_names, read_input
from unspool.anomaly.missing import known_scores
from unspool.anomaly.parts import Parts
from unspool.anomaly.pipeline import check_same_form, highest_scores, leading_errors, series_errors
from unspool.anomaly.scores import SCORE_KINDS, SeriesErrors
from unspool.anomaly.thresholds import Threshold, fit_without_warning
from unspool.blueprint import definition
from unspool.data.sequences import FloatArray
from unspool.estimators import detector_file
from unspool.estimators.autoencoding import BaseAutoencoder
from unspool.estimators.base import Model
from unspool.estimators.checkpointing import held, read_checkpoint_arguments
from unspool.estimators.detecting import Detects
from unspool.estimators.detector_training import (
    Trained,
    WindowsOf,
    codes_of,
    detector_windows,
    role_complaint,
    source_of,
    split,
    train,
)
from unspool.estimators.saving import unfrozen
from unspool.estimators.stopping import fitting
from unspool.estimators.user_callbacks import read_callbacks
from unspool.training.checkpoint import Checkpoint

# What the warning of an interruption says in the end.
CALIBRATED = (
    "the best weights so far are kept, and scales and thresholds are those of this model; call "
    "`fit` again for a fully trained one."
)
CALIBRATED_SO_FAR = (
    "the best weights so far are kept, and scales and thresholds are those of this model; the same "
    "call of `fit` continues from the checkpoint."
)


class AnomalyDetector(Detects):
    """Detector of anomalies in series, or among sequences, with a model of normal data.

    A model is trained on normal data; whatever it reconstructs or forecasts badly is an anomaly
    [1]_. The last part of the normal data is held out from training: it determines the usual error
    of each feature and the threshold. Labels are never used.

    ``X`` is one of these:

    - *a series* (T, F): an array, a frame or nested lists. Rows are time steps in order, columns
      are features (sensors). There is one score per step. A series of one feature is (T, 1).
    - *several series*: a list of series, or a frame with the index (instance, time). Results are
      lists, and no window crosses from one series to the next.
    - *sequences*: `Sequences`, or an array of shape (N, T, F). Each is scored as a whole, such as a
      heartbeat or a production cycle; there is one score per sequence.

    Parameters
    ----------
    model : estimator, optional
        The model to train: an unspool autoencoder or forecaster, or a baseline of
        `unspool.anomaly`. `fit` trains a clone of it. A fitted unspool model in
        scikit-learn's `FrozenEstimator` is used as it is, and all of `X` is held-out data; the
        score "code" then compares with the codes of the first part of `X`, see `calibration_split`.
        None means an `LSTMAutoencoder` with a code of 16 numbers.
    window : int of at least 1, duration or "auto", default "auto"
        Number of steps of a window, w, which the model reads as a sequence. "auto" is 64, or a
        fifth of the training steps if that is less, and at most the length of the longest series.
        A duration such as "6h" needs frames with dates in their index; `Windows` says how it
        becomes a number of steps. Sequences are not cut into windows, and a frozen model keeps the
        window length and the dilation that it was trained on.
    dilation : int, default 1
        Number of steps of the series from one step of a window to the next. Windows start at every
        step, so all steps are scored; the windows that cover a step are those that contain it.
    max_gap : duration, float, "auto" or None, default "auto"
        Largest distance between the times of two neighbouring steps in a window, a number in
        seconds. The steps before and after a larger one are scored like two series. "auto" is 2.5
        times the median distance if `window` is a duration, and otherwise None, no limit.
    kind : {"window", "step", "trailing", "code"}, default "window"
        The kind of anomaly score:

        - "window": the mean score of all windows that cover a step, for ranking. It finds most of
          an anomaly that lasts for many steps, but rises up to w - 1 steps before the anomaly
          begins and falls up to w - 1 steps after it ends.
        - "step": the error of the step alone, averaged over the windows that cover it, for
          false-alarm rates and exact positions. Its scores are only weakly correlated, so
          thresholds keep their rate; it ranks anomalies worse.
        - "trailing": the score of the window that ends at the step, with more weight on the latest
          errors, for online use. It does not depend on later steps, and `stream` returns the same
          scores step by step.
        - "code": the distance from the code of a window to the nearest code of training. It finds
          patterns that are reconstructed well but were never seen in training.
    threshold : {"moving", "quantile", "pareto", "alarms"}, default "moving"
        How `detect` sets the threshold, see `unspool.anomaly.fit_threshold`. "moving" is a quantile
        of the latest scores and follows drift; "quantile" is a quantile of held-out scores;
        "pareto" extrapolates their tail; "alarms" allows a number of alarms in each `period`.
    rate : float, default 0.005
        Allowed false alarms, above 0: a share of normal steps, below 1; for "alarms" their number
        in `period` steps.
    period : float, optional
        Number of steps in a period, for the threshold "alarms": 1440 allows `rate` alarms per day
        if there is one step per minute.
    memory : int or "auto", default "auto"
        Number of latest scores that the threshold "moving" uses. "auto" is the number that contains
        one independent score above the threshold, by the autocorrelation of held-out scores, from
        500 to 20,000.
    gap : int, default 16
        Alarms less than this number of steps apart are one event.
    contamination : float or "auto", default "auto"
        How to set ``offset_``, the fixed threshold of `predict`. "auto" uses held-out data: the
        threshold of `detect`, or for "moving" the `rate` quantile of `score_samples` of held-out
        data. A number in (0, 0.5] is the share of the steps of the `X` of `fit` that `predict`
        reports as anomalies; with equal scores, fewer.
    calibration_split : float, default 0.2
        Share of each series, from its end, or of the last sequences, to hold out; above 0 and below
        1. If most of these ends would be shorter than a window and the share is at least one
        series, the last series are held out as a whole.
    missing : {"raise", "mask"}, default "raise"
        Whether the default model accepts missing values (NaN); a given `model` has a separate
        `missing`, which the detector follows. With "mask", errors are means over the values that
        are present. A step without any value has the score NaN and raises no alarm.
    random_state : int, RandomState or None, default None
        Seed of the model's training if its `random_state` is None; an integer makes `fit`
        repeatable.
    device : str or torch.device, default "auto"
        Device of the default model. "auto" uses a GPU if there is one. A given `model` has a
        separate `device`.
    verbose : int, default 1
        0 shows no progress bar for the default model.

    Attributes
    ----------
    model_ : estimator
        The trained model.
    window_ : int
        Number of steps of a window, w.
    dilation_ : int
        Number of steps of the series from one step of a window to the next.
    max_gap_ : float or None
        Largest distance of two times in a window, in seconds; None without a limit.
    scales_ : dict
        Mean error of each feature on held-out data for each kind of score, (F,), in the scaled
        units of the model; for "trailing" the mean errors of windows of 1 to w steps, (w, F).
    thresholds_ : dict
        Threshold of each kind of score, by its name. ``n_effective`` of a threshold is the number
        of independent scores that it was learned from.
    offset_ : float
        `decision_function` is `score_samples` minus this.
    codes_ : ndarray of shape (M, L) or None
        Codes of training windows, for the kind "code".
    interrupted_ : bool
        Whether Ctrl-C or SIGTERM ended the training of the model in the last fit early.
    n_features_in_ : int
        Number of features of a step, F.
    feature_names_in_ : ndarray of str
        Names of the features, if `X` has names.

    Warns
    -----
    ThresholdWarning
        By `fit`, if the held-out data are too few for the requested rate.

    See Also
    --------
    unspool.evaluation.evaluate : Compare scores and alarms with labels.
    unspool.runtime.load_detector : Run a saved detector with NumPy alone.

    Notes
    -----
    The error e of a window is the mean over its steps of the model's loss (by default the squared
    error), for each feature; m is the mean of e over held-out windows. The score of a window is the
    mean over features of log(1 + e / (3 m)), about 0.3 for normal data; the score of a step is the
    mean over the windows that cover it. The ratio corrects for features that are hard to
    reconstruct, and the logarithm keeps one feature from dominating the others. The kind "step"
    uses the errors of steps instead. For "trailing" scores the weights of errors fall to 1 / e over
    the last quarter of a window, and windows that begin before a series are padded with copies of
    its first step.

    Unlike in [1]_, `detect` does not assume that errors are Gaussian.

    References
    ----------
    .. [1] Malhotra, P., et al. (2016). LSTM-based Encoder-Decoder for Multi-sensor Anomaly
           Detection. ICML Anomaly Detection Workshop.

    Examples
    --------
    >>> import numpy as np
    >>> from unspool import AnomalyDetector, DenseAutoencoder
    >>> X = np.sin(np.arange(3000) / 9)[:, None]
    >>> X += np.random.default_rng(0).normal(size=X.shape) / 10
    >>> X[2500:2510] += 2
    >>> model = DenseAutoencoder(8, epochs=20, verbose=0)  # the default is an LSTMAutoencoder
    >>> detector = AnomalyDetector(model, rate=0.2, random_state=0, verbose=0).fit(X[:2000])
    >>> int(detector.anomaly_scores(X[2000:]).argmax()) in range(490, 520)
    True
    """

    def __init__(
        self,
        model: Any = None,
        *,
        window: int | Duration | Auto = "auto",
        dilation: int = 1,
        max_gap: float | Duration | Auto | None = "auto",
        kind: ScoreKind = "window",
        threshold: ThresholdKind = "moving",
        rate: float = 0.005,
        period: float | None = None,
        memory: int | Auto = "auto",
        gap: int = 16,
        contamination: float | Auto = "auto",
        calibration_split: float = 0.2,
        missing: Missing = "raise",
        random_state: int | np.random.RandomState | None = None,
        device: str | torch.device = "auto",
        verbose: int = 1,
    ) -> None:
        self.model = model
        self.window = window
        self.dilation = dilation
        self.max_gap = max_gap
        self.kind = kind
        self.threshold = threshold
        self.rate = rate
        self.period = period
        self.memory = memory
        self.gap = gap
        self.contamination = contamination
        self.calibration_split = calibration_split
        self.missing = missing
        self.random_state = random_state
        self.device = device
        self.verbose = verbose

    def _complaints(self) -> list[_checks.Complaint]:
        """List everything that is wrong with the parameters."""
        complaints = definition("AnomalyDetector").complaints(self.get_params(deep=False))
        inner = unfrozen(self.model)
        is_model = isinstance(inner, Model)
        if inner is not self.model and not (is_model and inner.__sklearn_is_fitted__()):
            complaints.append(
                "`model` is a FrozenEstimator, which must hold a fitted unspool model."
            )
        elif not is_model and inner is not None and not _is_baseline(inner):
            complaints.append(
                "`model` must be an unspool autoencoder or forecaster, a baseline of "
                f"unspool.anomaly, or None, got {_checks.shown(self.model)}."
            )
        if (
            self.missing == "mask"
            and inner is not None
            and not (is_model and inner.missing == "mask")
        ):
            way = (
                "set it in the model too" if is_model else "baselines do not accept missing values"
            )
            complaints.append(
                "`missing` 'mask' needs a `model` with missing='mask' or None, got "
                f"{_checks.shown(inner)}; {way}."
            )
        if isinstance(inner, Model):
            complaints.append(role_complaint(inner))
        return complaints

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        calibration: Any = None,
        callbacks: Sequence[Any] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int | Duration = "1min",
    ) -> Self:
        """Train the model on normal data, and learn scales and thresholds from held-out data.

        Parameters
        ----------
        X : array of shape (T, F) or (N, T, F), frame, list of them, or Sequences
            Normal data, in one of the forms that the class describes. A few anomalies do little
            harm to the model; in the held-out part they raise the thresholds.
        y : None
            Ignored; it exists for scikit-learn's API.
        calibration : array, frame, list of them, or Sequences, optional
            Normal data to learn scales and thresholds from, in the form of `X`; the model is then
            trained on all of `X`. None holds out the last part of `X`, see `calibration_split`.
            There is no `validation_data`: the model is validated on a part of its training windows,
            see its `validation_split`, and never on calibration data, whose errors must be those
            of data that had no influence on the weights.
        callbacks : sequence of callable or object, optional
            Functions and objects that are called while `model` is trained, as in
            `LSTMAutoencoder.fit`. Their argument `model` is the model of the detector, which
            encodes and can be saved; scores exist only when `fit` has ended. A baseline, or a model
            that is fitted already, is not trained and has no callbacks.
        checkpoint : str or path, optional
            File to which the state of the training of `model` is written, and from which it
            continues if it exists, as in `LSTMAutoencoder.fit`. Parameters of the detector that
            the training does not depend on may change, such as `rate`. A baseline, or a model that
            is fitted already, is not trained and has no checkpoint.
        checkpoint_every : int or duration, default "1min"
            Time between two checkpoints, such as "10min", or number of batches; see
            `LSTMAutoencoder.fit`.

        Returns
        -------
        Self
            The fitted detector.

        Raises
        ------
        InputError
            If a parameter or the data cannot be used.
        DivergedError
            If training diverges and earlier weights do not help. After any error the detector is as
            it was before.
        KeyboardInterrupt
            If Ctrl-C ends `fit` before anything usable is trained, or if it is pressed twice. For
            SIGTERM, `SystemExit`. The detector is then as it was before.
        ModelFileError
            If the file `checkpoint` is damaged or is no checkpoint.

        Warns
        -----
        InterruptedWarning
            If Ctrl-C or SIGTERM ended the training of the model early. Scales and thresholds are
            those of the best weights so far, and ``interrupted_`` is True.
        ThresholdWarning
            If the held-out data are too few for the requested rate.
        CheckpointWarning
            If a checkpoint cannot be written, or was written by other versions of packages.
        """
        _checks.raise_all(
            *self._complaints(),
            self._training_complaint("callbacks", callbacks),
            self._training_complaint("checkpoint", checkpoint),
        )
        called = read_callbacks(callbacks)
        opened = read_checkpoint_arguments(self, checkpoint, checkpoint_every)
        with held(opened):
            with fitting(self, CALIBRATED if opened is None else CALIBRATED_SO_FAR):
                self._fit(X, calibration, opened, called)
            if opened is not None and not self.interrupted_:
                opened.finish()
        return self

    def _training_complaint(self, name: str, given: Any) -> _checks.Complaint:
        """Complain about an argument for the training of a model that is not trained in steps."""
        inner = unfrozen(self.model)
        if given is None or inner is None or (isinstance(inner, Model) and inner is self.model):
            return None
        return (
            f"`{name}` needs a model that `fit` trains step by step, but `model` is "
            f"{_checks.shown(self.model)}; leave `{name}` out."
        )

    def _fit(
        self,
        X: Any,
        calibration: Any,
        checkpoint: Checkpoint | None = None,
        callbacks: tuple[Any, ...] = (),
    ) -> None:
        """Train on one part of the data, learn scales and thresholds from the other."""
        self.__dict__.pop("scales_", None)  # the detector counts as fitted once all is learned
        self._parameters = detector_file.parameters_of(self)
        given = read_input(X, self._missing())
        self._note_features(X, given)
        self._of_sequences = given.sequences is not None
        inner = unfrozen(self.model)
        ready = inner is not self.model
        if ready:
            known = getattr(inner, "feature_names_in_", ())
            if len(known) == given.n_features:  # the names of a table (N, T) name steps
                check_same_names(given.names, known)
        without = {"trailing"} if self._of_sequences else set()
        if inner is not None and not isinstance(inner, BaseAutoencoder):
            without |= {"code"}
        kinds = [kind for kind in SCORE_KINDS if kind not in without]
        _checks.raise_all(_checks.choice("kind", self.kind, kinds))
        if calibration is not None:
            training, held_out = (
                given,
                self._like_fit(read_input(calibration, self._missing()), calibration),
            )
            check_same_form(held_out, of_sequences=self._of_sequences)
            unseen = held_out  # by the codes: a training window has no distance to its code
        elif ready:
            training = held_out = unseen = given
            if "code" in kinds:
                training, unseen = split(given, self.calibration_split)
        else:
            training, held_out = split(
                given, self.calibration_split, self.window, self.dilation, self.max_gap
            )
            unseen = held_out
        if ready:
            size, dilation = inner.max_length_, inner.dilation_
            gap = detector_windows(training, 1, dilation, self.max_gap).max_gap
            windows = WindowsOf(size, dilation, gap)
            trained = Trained(inner, None, codes_of(inner, training, windows))
        else:
            windows = detector_windows(training, self.window, self.dilation, self.max_gap)
            trained = train(self, training, windows, checkpoint, callbacks)
        self.window_, self.dilation_ = windows.size, windows.dilation
        self.max_gap_ = windows.max_gap
        self.model_, self._scaler, self.codes_ = trained.model, trained.scaler, trained.codes

        source, whole = source_of(trained), self._of_sequences
        parts = None if whole else held_out.parts(self.dilation_, self.max_gap_, self.window_)
        found = series_errors(source, held_out, parts, self.window_, kinds)
        scales = {kind: scoring.normal_scale(kind, found) for kind in kinds}
        if parts is not None:
            first = leading_errors(source, parts.cut(held_out.series), self.window_)
            scales["trailing"] = scoring.trailing_scale(found, first, self.window_)
        each = dict.fromkeys(kinds, (found, parts))
        if unseen is not held_out:
            parts = None if whole else unseen.parts(self.dilation_, self.max_gap_, self.window_)
            each["code"] = series_errors(source, unseen, parts, self.window_, ["code"]), parts
        normal = {kind: self._normal(kind, *each[kind], scales[kind]) for kind in kinds}
        self.thresholds_ = {kind: self._calibrated(scores) for kind, scores in normal.items()}
        self.scales_ = scales
        self._warn_if_weak(self.kind)
        self.offset_ = self._offset(X, normal[self.kind])

    def _offset(self, X: Any, normal: list[FloatArray]) -> float:
        """Return the fixed threshold of `predict`, from the data of `fit` or held-out scores."""
        if not isinstance(self.contamination, str):
            scores = self.score_samples(X)
            each = scores if isinstance(scores, list) else [scores]
            return float(np.nanpercentile(np.concatenate(each), 100 * self.contamination))
        if self.threshold != "moving":
            return -self.thresholds_[self.kind].start
        return float(np.percentile(-np.concatenate(normal), 100 * self.rate))

    def _normal(
        self, kind: str, found: list[SeriesErrors], parts: Parts | None, scale: FloatArray
    ) -> list[FloatArray]:
        """Return the scores of held-out data from their errors, as a list of arrays."""
        scores = [scoring.step_scores(kind, one, scale) for one in found]
        return known_scores([highest_scores(scores)] if parts is None else parts.joined(scores))

    def _calibrated(self, normal: list[FloatArray]) -> Threshold:
        """Return the threshold for a kind of score, learned from its scores of held-out data."""
        return fit_without_warning(
            self.threshold,
            normal,
            self.rate,
            memory=self.memory,
            gap=self.gap,
            steps_per_period=self.period,
        )


def _is_baseline(model: Any) -> bool:
    names = ("reconstruct", "window_scores", "step_errors")
    return not isinstance(model, type) and any(hasattr(model, name) for name in names)
