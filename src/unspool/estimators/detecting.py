"""What a fitted anomaly detector can do: score, detect, stream and save."""

import os
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from unspool import model_file
from unspool._types import DetectorPieceMethod, Missing, ScoreKind
from unspool.anomaly.detection import Detection
from unspool.anomaly.inputs import DetectorInput, check_same_names, read_input
from unspool.anomaly.pipeline import DetectionPipeline
from unspool.anomaly.rate_warning import rate_warning
from unspool.anomaly.score_pieces import changed_scores, check_piece_arguments, score_pieces
from unspool.anomaly.thresholds import Threshold
from unspool.data.frames import is_frame
from unspool.data.pieces import Piece
from unspool.data.scaling import Scaler
from unspool.data.sequences import FloatArray, IntArray
from unspool.data.stored import Stored
from unspool.errors import InputError, ThresholdWarning
from unspool.estimators import detector_file
from unspool.estimators.detector_training import Trained, source_of
from unspool.estimators.saving import unfrozen, warn_of_changes
from unspool.model_file import Contents

if TYPE_CHECKING:
    from unspool.runtime.detector_stream import DetectorStream

Scores = FloatArray | list[FloatArray]


class Detects(OutlierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A detector with scikit-learn's API of outlier detectors; see `AnomalyDetector`."""

    model_: Any
    window_: int
    dilation_: int
    max_gap_: float | None
    scales_: dict[str, FloatArray]
    thresholds_: dict[str, Threshold]
    offset_: float
    codes_: npt.NDArray[np.float32] | None
    model: Any
    missing: Missing
    _scaler: Scaler | None
    _of_sequences: bool
    _parameters: dict[str, Any]  # the parameters at `fit`; `set_params` may have changed them since

    def _warn_if_weak(self, kind: str) -> None:
        """Warn the caller of `fit` or `detect` if a threshold cannot keep the requested rate."""
        weak = rate_warning(self.thresholds_[kind])
        if weak is not None:
            warnings.warn(weak, ThresholdWarning, stacklevel=4)

    def anomaly_scores(self, X: Any, kind: ScoreKind | None = None) -> Scores:
        """Return the anomaly score of each step or sequence; a higher score is more anomalous.

        Parameters
        ----------
        X : array of shape (T, F) or (N, T, F), frame, list of them, or Sequences
            Data in one of the forms that the class describes.
        kind : {"window", "step", "trailing", "code"}, optional
            The kind of score; None means the parameter `kind`.

        Returns
        -------
        ndarray of shape (T,), or list of ndarray
            Scores, float64; a list if `X` is several series. For sequences an array (N,) of the
            highest score of their steps.

        Raises
        ------
        InputError
            If `X` cannot be read or has other features than the `X` of `fit`, or if the model does
            not have that `kind` of score.
        """
        given, chosen = self._requested(X, kind)
        scores: Scores = self._scorer().scores(given, chosen)
        return scores

    def contributions(self, X: Any, kind: ScoreKind | None = None) -> Scores:
        """Return the contribution of each feature to the score of each step.

        Parameters
        ----------
        X : array of shape (T, F) or (N, T, F), frame, list of them, or Sequences
            Data in one of the forms that the class describes.
        kind : {"window", "step", "trailing", "code"}, optional
            The kind of score; None means the parameter `kind`.

        Returns
        -------
        ndarray of shape (T, F_out), or list of ndarray
            Contributions of the F_out targets of the model, by default all features, float64; a
            list if `X` is several series. The score of a step is the mean of its row; for the kind
            "code", whose score has no features, these are the contributions to the score "window".
            For sequences an array (N, F) of the step with the highest score.

        Raises
        ------
        InputError
            If `X` cannot be read or has other features than the `X` of `fit`, if the model does not
            have that `kind` of score, or if the model is a baseline that scores windows as a whole.
        """
        found: Scores | None = self._detected(X, kind).contributions
        if found is None:
            raise InputError(
                f"{type(self.model_).__name__} scores windows as a whole, without contributions of "
                "features; use another model."
            )
        return found

    def score_samples(self, X: Any) -> Scores:
        """Return the normality of each step or sequence: `anomaly_scores` with the opposite sign.

        Parameters
        ----------
        X : array of shape (T, F) or (N, T, F), frame, list of them, or Sequences
            Data in one of the forms that the class describes.

        Returns
        -------
        ndarray of shape (T,), or list of ndarray
            Negative scores; a list if `X` is several series, an array (N,) for sequences.

        Raises
        ------
        InputError
            If `X` cannot be read or has other features than the `X` of `fit`.
        """
        scores: Scores = _each(self.anomaly_scores(X), np.negative)
        return scores

    def decision_function(self, X: Any) -> Scores:
        """`score_samples` minus ``offset_``: negative values are anomalies.

        Parameters
        ----------
        X : array of shape (T, F) or (N, T, F), frame, list of them, or Sequences
            Data in one of the forms that the class describes.

        Returns
        -------
        ndarray of shape (T,), or list of ndarray
            Values that are negative if `predict` returns -1; a list if `X` is several series, an
            array (N,) for sequences.

        Raises
        ------
        InputError
            If `X` cannot be read or has other features than the `X` of `fit`.
        """
        values: Scores = _each(self.score_samples(X), lambda scores: scores - self.offset_)
        return values

    def predict(self, X: Any) -> IntArray | list[IntArray]:
        """Classify each step, or each sequence, as an anomaly (-1) or as normal (1).

        As in scikit-learn, all scores are compared with one number, ``offset_``. `detect` compares
        them with `threshold`, which may move along a series.

        Parameters
        ----------
        X : array of shape (T, F) or (N, T, F), frame, list of them, or Sequences
            Data in one of the forms that the class describes.

        Returns
        -------
        ndarray of shape (T,) of int, or list of ndarray
            -1 or 1; a list if `X` is several series, an array (N,) for sequences.

        Raises
        ------
        InputError
            If `X` cannot be read or has other features than the `X` of `fit`.
        """
        signs: IntArray | list[IntArray] = _each(
            self.decision_function(X), lambda values: np.where(values < 0, -1, 1)
        )
        return signs

    def detect(self, X: Any, kind: ScoreKind | None = None) -> Detection:
        """Detect anomalies: scores above the `threshold`, merged into events.

        Parameters
        ----------
        X : array of shape (T, F) or (N, T, F), frame, list of them, or Sequences
            Data in one of the forms that the class describes.
        kind : {"window", "step", "trailing", "code"}, optional
            The kind of score; None means the parameter `kind`.

        Returns
        -------
        Detection
            Scores, thresholds, alarms, contributions and events.

        Raises
        ------
        InputError
            If `X` cannot be read or has other features than the `X` of `fit`, or if the model does
            not have that `kind` of score.

        Warns
        -----
        ThresholdWarning
            If `kind` differs from the parameter, and the held-out data are too few for its rate.
        """
        return self._detected(X, kind)

    def _detected(self, X: Any, kind: str | None) -> Detection:
        """Detect anomalies; `detect` describes the arguments."""
        given, kind = self._requested(X, kind)
        found = self._scorer().detect(given, kind)
        if kind != self._parameters["kind"]:  # `fit` has warned of that one
            self._warn_if_weak(kind)
        return found

    def in_pieces(
        self,
        method: DetectorPieceMethod,
        X: Any,
        kind: ScoreKind | None = None,
        *,
        start: int = 0,
    ) -> Iterator[Piece]:
        """Score one part of long data after another, so that memory is bounded.

        The values are those of the method for all of `X`, up to rounding in the last digits: a step
        is scored with the steps around it that its score depends on, and no others. Thresholds that
        move, events and contributions need all scores; `detect` computes them.

        Parameters
        ----------
        method : {"anomaly_scores", "score_samples", "decision_function", "predict"}
            Name of the method.
        X : array, frame, list or Sequences
            Data in one of the forms that the class describes. Memory-mapped arrays, data sets of
            h5py and zarr and `pyarrow.dataset` are read in pieces.
        kind : {"window", "step", "trailing", "code"}, optional
            The kind of score of "anomaly_scores"; None means the kind of the detector.
        start : int, default 0
            Where to begin: 0, or the `stop` of a piece, after which an interrupted loop goes on.

        Returns
        -------
        iterator of Piece
            Tuples ``(start, stop, values)``: the result for the steps from `start` to before
            `stop`, an array (stop - start,). The steps of each series follow those of the series
            before. For sequences, `start` and `stop` count sequences.

        Raises
        ------
        InputError
            If `X` cannot be read or has other features, if the detector has no such
            score, or if its model is a baseline, which may read the whole series.

        Examples
        --------
        >>> import numpy as np
        >>> from unspool import AnomalyDetector, DenseAutoencoder
        >>> X = np.sin(np.arange(600) / 5)[:, None]
        >>> model = DenseAutoencoder(4, epochs=5, verbose=0)
        >>> detector = AnomalyDetector(model, window=20, rate=0.2, random_state=0).fit(X)
        >>> scores = np.zeros(600)  # or a memory-mapped array of any size
        >>> for piece in detector.in_pieces("anomaly_scores", X):
        ...     scores[piece.start : piece.stop] = piece.values
        >>> bool(np.allclose(scores, detector.anomaly_scores(X)))
        True
        """
        check_piece_arguments(method, kind, start)
        given, chosen = self._requested(X, kind, stored=True)
        if self._scaler is not None:
            raise InputError(
                f"{type(self.model_).__name__} may read the whole series for a score, so "
                f"`in_pieces` cannot call it; call `{method}`."
            )
        horizon = getattr(self.model_, "horizon_", None) or 0
        pieces = score_pieces(self._scorer(), given, chosen, start, horizon)
        return changed_scores(pieces, method, self.offset_)

    def stream(self) -> "DetectorStream":
        """Return a stream that scores a series step by step, in NumPy.

        The stream computes scores and thresholds of the kind "trailing".

        Returns
        -------
        unspool.runtime.DetectorStream
            A stream before its first step.

        Raises
        ------
        InputError
            If the detector scores whole sequences, or if its model is a baseline.
        """
        from unspool.runtime.detector import Detector

        return Detector(self.contents()).stream()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted detector with its model to one file, which `unspool.load` reads.

        Commands and functions that need a model read the model from the file.

        Parameters
        ----------
        path : str or path
            The model file.

        Raises
        ------
        InputError
            If the model of the detector is a baseline, or if `path` cannot be written.

        Warns
        -----
        ParametersChangedWarning
            If `set_params` has changed a parameter since the fit.
        """
        model_file.write(path, self.contents())

    def contents(self) -> Contents:
        """Return the fitted detector and its model as plain data, as a model file contains them.

        Returns
        -------
        unspool.model_file.Contents
            Parameters, results of the fit, weights and thresholds.

        Raises
        ------
        InputError
            If the model of the detector is a baseline.

        Warns
        -----
        ParametersChangedWarning
            If `set_params` has changed a parameter since the fit.
        """
        check_is_fitted(self)
        contents = detector_file.contents_of(self)
        warn_of_changes(self._parameters, detector_file.parameters_of(self))
        return contents

    @classmethod
    def _from_contents(cls, contents: Contents, device: str) -> Self:
        """Restore a fitted detector from checked contents.

        The parameter `model` is restored unfitted; the trained model is ``model_``.
        """
        return detector_file.restored(cls, contents, device)

    def _scorer(self) -> DetectionPipeline:
        """Return the scorer of this detector."""
        return DetectionPipeline(
            source_of(Trained(self.model_, self._scaler, self.codes_)),
            self.window_,
            self._of_sequences,
            self.scales_,
            self.thresholds_,
            self.dilation_,
            self.max_gap_,
            self._parameters["gap"],
            self._target_names(),
        )

    def _requested(
        self, X: Any, kind: str | None, *, stored: bool = False
    ) -> tuple[DetectorInput, str]:
        """Read `X` in the form of `fit`, and return it with the kind of score."""
        check_is_fitted(self)
        given = read_input(X, self._missing(), stored=stored)
        return self._like_fit(given, X), self._parameters["kind"] if kind is None else kind

    def _missing(self) -> Missing:
        """Return whether values may be missing: what the model says, or without one `missing`."""
        model = unfrozen(self.model)
        if hasattr(self, "scales_"):
            model = self.model_
        if model is None:
            return self.missing
        missing: Missing = getattr(model, "missing", "raise")  # baselines accept none
        return missing

    def _like_fit(self, given: DetectorInput, X: Any) -> DetectorInput:
        """Return `given`, read from `X`, after a check that it has the features of `fit`."""
        if given.sequences is None and not given.several:
            self._check_columns(X, given, reset=False)
        elif given.n_features != self.n_features_in_:
            raise InputError(
                f"X has {given.n_features} features, but {type(self).__name__} is expecting "
                f"{self.n_features_in_} features as input."
            )
        check_same_names(given.names, self._names())
        return given

    def _note_features(self, X: Any, given: DetectorInput) -> None:
        """Set ``n_features_in_``, and ``feature_names_in_`` if names are known."""
        self.__dict__.pop("feature_names_in_", None)  # remove the attributes of an earlier fit
        if given.sequences is None and not given.several:
            self._check_columns(X, given, reset=True)
            return
        self.n_features_in_ = given.n_features
        if given.names is not None:
            self.feature_names_in_ = np.array(given.names, dtype=object)

    def _check_columns(self, X: Any, given: DetectorInput, *, reset: bool) -> None:
        """Check number and names of columns as scikit-learn does; with `reset`, store them."""
        try:
            rows = X if is_frame(X) else given.series[0]
            if isinstance(given.series[0], Stored):
                rows = given.series[0][:1]
            validate_data(self, rows, reset=reset, skip_check_array=True)
        except (TypeError, ValueError) as error:
            raise InputError(str(error)) from None

    def _names(self) -> tuple[str, ...] | None:
        names = getattr(self, "feature_names_in_", None)
        return None if names is None else tuple(names)

    def _target_names(self) -> tuple[str, ...] | None:
        """Return the names of the features whose errors make the scores."""
        names, form = self._names(), getattr(self.model_, "_form", None)
        if form is None or form.targets is None:
            return names
        return tuple(names[i] if names else f"feature {i}" for i in form.targets)

    def __sklearn_is_fitted__(self) -> bool:
        """Return whether a fit has ended."""
        return hasattr(self, "scales_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self._missing() == "mask"
        return tags


def _each(scores: Any, change: Callable[[FloatArray], Any]) -> Any:
    """`change` applied to an array of scores, or to each of a list."""
    return [change(one) for one in scores] if isinstance(scores, list) else change(scores)
