"""`Detector`: a fitted anomaly detector that runs with NumPy."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from unspool._types import DetectorPieceMethod, RuntimeBackendName, ScoreKind
from unspool.anomaly.detection import Detection
from unspool.anomaly.inputs import DetectorInput, check_same_names, read_input
from unspool.anomaly.model_errors import (
    StepErrors,
    WindowErrors,
    forecast_errors,
    reconstruction_errors,
)
from unspool.anomaly.pipeline import DetectionPipeline
from unspool.anomaly.score_pieces import changed_scores, check_piece_arguments, score_pieces
from unspool.data.convert import Source
from unspool.data.pieces import Piece
from unspool.data.sequences import FloatArray, IntArray
from unspool.errors import InputError
from unspool.model_file import Contents
from unspool.model_file.detector import PREFIX, restored_thresholds, scales_of
from unspool.runtime.detector_stream import DetectorStream
from unspool.runtime.model import Model
from unspool.runtime.recurrence import Array
from unspool.runtime.stream_errors import ErrorsOfForecasts, ErrorsOfWindows


class Detector:
    """A fitted anomaly detector that runs with NumPy alone.

    The results are those of `AnomalyDetector`, up to rounding. Its methods have the same names.

    Parameters
    ----------
    contents : Contents
        The fitted detector as plain data, from ``detector.contents()``; `load_detector` reads it
        from a file.
    backend : {"auto", "compiled", "numpy"}, default "auto"
        What computes recurrent layers: compiled kernels, which need Numba, or NumPy, as for
        `Model`. ``detector.model.backend`` says which.

    Attributes
    ----------
    contents : Contents
        The fitted detector as plain data.
    model : Model
        The model that the scores come from.
    window : int
        Number of steps of a window, w.
    kind : {"window", "step", "trailing", "code"}
        Kind of score that methods compute by default.
    offset_ : float
        Threshold of `decision_function` and `predict`, as in `AnomalyDetector`.

    Raises
    ------
    InputError
        If `contents` are the contents of a model without a detector, or if `backend` is unknown,
        or is "compiled" where Numba cannot be used.

    See Also
    --------
    load_detector : Read a detector from a file.
    DetectorStream : The same detector, step by step.

    Notes
    -----
    `X` may have all forms that `AnomalyDetector` accepts: a long series (T, F), an array or a
    frame; a list of series; or sequences (N, T, F), if the detector was fitted on sequences. All
    values are in the units of the data.

    Examples
    --------
    >>> import numpy as np
    >>> from unspool import AnomalyDetector, LSTMAutoencoder, runtime
    >>> X = np.sin(np.arange(600) / 5)[:, None]
    >>> model = LSTMAutoencoder(4, epochs=1, random_state=0, verbose=0)
    >>> fitted = AnomalyDetector(model, window=20).fit(X)
    >>> detector = runtime.Detector(fitted.contents())
    >>> detector.anomaly_scores(X).shape
    (600,)
    """

    def __init__(self, contents: Contents, *, backend: RuntimeBackendName = "auto") -> None:
        detector = contents.detector
        if detector is None:
            raise InputError(
                f"Expected contents of an AnomalyDetector, got contents of {contents.model} "
                "without a detector; fit an AnomalyDetector with this model."
            )
        self.contents, self.model = contents, Model(contents, backend=backend)
        self._network = self.model._network
        self.window: int = detector["window"]
        self.kind: ScoreKind = detector["parameters"]["kind"]
        self.offset_: float = detector["offset"]
        names = detector["feature_names_in"]
        self._names = None if names is None else tuple(names)
        self._scorer = DetectionPipeline(
            self._source(),
            self.window,
            detector["of_sequences"],
            scales_of(contents.tensors, detector["thresholds"]),
            restored_thresholds(detector["thresholds"], contents.tensors),
            detector["dilation"],
            detector["max_gap"],
            detector["parameters"]["gap"],
            self._target_names(),
        )

    def __repr__(self) -> str:
        features = self.contents.form.n_features
        return f"Detector({self.contents.model}, {features} features, windows of {self.window})"

    def anomaly_scores(self, X: Any, kind: ScoreKind | None = None) -> Any:
        """Compute the anomaly score of every step or sequence.

        Parameters
        ----------
        X : array, frame or list
            A series (T, F), several series, or sequences, as described in the class.
        kind : {"window", "step", "trailing", "code"}, optional
            Kind of score; by default the kind of the detector.

        Returns
        -------
        array of shape (T,), or list of such arrays
            Scores, higher is more anomalous; one array for each series. For sequences an array
            (N,), the highest score of their steps.

        Raises
        ------
        InputError
            If `X` cannot be read or has other features, or the detector has no such score.
        """
        return self._scorer.scores(self._read(X), self.kind if kind is None else kind)

    def contributions(self, X: Any, kind: ScoreKind | None = None) -> Any:
        """Compute what each feature contributes to the anomaly scores.

        Parameters
        ----------
        X : array, frame or list
            A series (T, F), several series, or sequences, as described in the class.
        kind : {"window", "step", "trailing", "code"}, optional
            Kind of score; by default the kind of the detector. For "code", which has no
            features, the contributions to "window" are returned.

        Returns
        -------
        array of shape (T, F_out), or list of such arrays
            Contributions of the F_out targets of the model, by default all features; a score is the
            mean of its row. For sequences an array (N, F): the contributions at the step with the
            highest score.

        Raises
        ------
        InputError
            If `X` cannot be read or has other features, or the detector has no such score.
        """
        return self.detect(X, kind).contributions

    def score_samples(self, X: Any) -> Any:
        """Compute `anomaly_scores` with the opposite sign: scikit-learn's score of normality.

        Parameters
        ----------
        X : array, frame or list
            A series (T, F), several series, or sequences, as described in the class.

        Returns
        -------
        array of shape (T,), or list of such arrays
            Scores, lower is more anomalous; (N,) for sequences.
        """
        return _each(self.anomaly_scores(X), np.negative)

    def decision_function(self, X: Any) -> Any:
        """Compute `score_samples` minus `offset_`, which is negative for anomalies.

        Parameters
        ----------
        X : array, frame or list
            A series (T, F), several series, or sequences, as described in the class.

        Returns
        -------
        array of shape (T,), or list of such arrays
            Differences from the threshold; (N,) for sequences.
        """
        return _each(self.score_samples(X), lambda scores: scores - self.offset_)

    def predict(self, X: Any) -> Any:
        """Predict which steps or sequences are anomalies, by the fixed threshold `offset_`.

        Parameters
        ----------
        X : array, frame or list
            A series (T, F), several series, or sequences, as described in the class.

        Returns
        -------
        array of int, shape (T,), or list of such arrays
            -1 for anomalies, else 1; (N,) for sequences.
        """
        return _each(self.decision_function(X), lambda signed: np.where(signed < 0, -1, 1))

    def detect(self, X: Any, kind: ScoreKind | None = None) -> Detection:
        """Find anomalies: scores above the threshold, merged into events.

        Parameters
        ----------
        X : array, frame or list
            A series (T, F), several series, or sequences, as described in the class.
        kind : {"window", "step", "trailing", "code"}, optional
            Kind of score; by default the kind of the detector.

        Returns
        -------
        Detection
            Scores, thresholds, alarms, contributions and events.

        Raises
        ------
        InputError
            If `X` cannot be read or has other features, or the detector has no such score.
        """
        return self._scorer.detect(self._read(X), self.kind if kind is None else kind)

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
            If `X` cannot be read or has other features, or the detector has no such
            score.
        """
        check_piece_arguments(method, kind, start)
        given, chosen = self._read(X, stored=True), self.kind if kind is None else kind
        horizon = self._network.horizon if "forecast" in self._network.decoders else 0
        pieces = score_pieces(self._scorer, given, chosen, start, horizon)
        return changed_scores(pieces, method, self.offset_)

    def stream(self) -> DetectorStream:
        """Start scoring a series step by step.

        A stream does not know times: if the detector has a `max_gap`, call
        `DetectorStream.restart` after each gap, and the scores are those of `detect`.

        Returns
        -------
        DetectorStream
            A stream before its first step.

        Raises
        ------
        InputError
            If the detector was fitted on sequences.
        """
        scorer = self._scorer
        if scorer.of_sequences:
            raise InputError(
                "This detector was fitted on sequences and cannot score a series step by step; fit "
                "one on a series."
            )
        network, loss = self._network, self.contents.loss
        missing = self.contents.form.missing

        def errors() -> ErrorsOfWindows | ErrorsOfForecasts:
            if isinstance(scorer.source, WindowErrors):
                return ErrorsOfWindows(
                    network.reconstruct,
                    network.scaler,
                    loss,
                    self.window,
                    network.targets,
                    missing=missing,
                )
            return ErrorsOfForecasts(
                network.forecast,
                network.horizon,
                network.scaler,
                loss,
                self.window,
                network.targets,
                missing=missing,
            )

        threshold = scorer.thresholds["trailing"].running()
        scale = scorer.scales["trailing"]
        return DetectorStream(
            errors,
            network.scaler,
            scale,
            threshold,
            self._names,
            scorer.dilation,
            missing,
            network.targets,
        )

    def _read(self, X: Any, *, stored: bool = False) -> DetectorInput:
        data = read_input(X, self.contents.form.missing, stored=stored)
        features = self.contents.form.n_features
        if data.n_features != features:
            raise InputError(
                f"X has {data.n_features} features, but AnomalyDetector is expecting {features} "
                "features as input."
            )
        check_same_names(data.names, self._names)
        return data

    def _target_names(self) -> tuple[str, ...] | None:
        """Return the names of the features whose errors make the scores."""
        names, targets = self._names, self._network.targets
        if targets is None:
            return names
        return tuple(names[i] if names else f"feature {i}" for i in targets)

    def _source(self) -> WindowErrors | StepErrors:
        """Return the source of errors, as in `AnomalyDetector`."""
        network, loss = self._network, self.contents.loss
        if "reconstruction" not in network.decoders:
            return forecast_errors(
                network.forecasts, network.horizon, network.scaler, loss, network.targets
            )

        def reconstructions(source: Source) -> Iterator[tuple[IntArray, Array, Array]]:
            return network.reconstructions(self.model._read(source, decoded=True))

        return reconstruction_errors(
            reconstructions,
            self.model.encode,
            network.scaler,
            loss,
            self.contents.tensors.get(f"{PREFIX}codes"),
            network.targets,
        )


def _each(scores: Any, change: Callable[[FloatArray], Any]) -> Any:
    """Apply `change` to an array of scores, or to each array of a list."""
    return [change(one) for one in scores] if isinstance(scores, list) else change(scores)
