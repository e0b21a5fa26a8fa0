"""`Detector`: a fitted anomaly detector with NumPy alone, over whole data or a step at a time."""

import os
from collections.abc import Iterator
from typing import Any

from unspool import model_file
from unspool.anomaly.detection import Detection
from unspool.anomaly.inputs import DetectorInput, check_same_names, read_input
from unspool.anomaly.model_errors import (
    StepErrors,
    WindowErrors,
    forecast_errors,
    reconstruction_errors,
)
from unspool.anomaly.pipeline import DetectionPipeline
from unspool.data.convert import Source
from unspool.data.sequences import IntArray
from unspool.errors import InputError, ModelFileError
from unspool.model_file import Contents
from unspool.model_file.detector import PREFIX, restored_thresholds, scales_of
from unspool.runtime.detector_stream import DetectorStream, ErrorsOfForecasts, ErrorsOfWindows
from unspool.runtime.model import Model
from unspool.runtime.recurrence import Array


def load_detector(path: str | os.PathLike[str]) -> "Detector":
    """Read a detector that `AnomalyDetector.save` or `unspool detect` wrote.

    Raises
    ------
    ModelFileError
        For a file that is missing, damaged, not a model of unspool's, or holds no detector.
    """
    contents = model_file.read(path)
    try:
        return Detector(contents)
    except InputError as error:
        raise ModelFileError(f"{path} does not hold a usable detector: {error}") from None


class Detector:
    """A fitted anomaly detector.

    `X` is what it was for `fit`, see `AnomalyDetector`. All values are in the units of the data.

    Parameters
    ----------
    contents : Contents
        As from ``detector.contents()``; a file's come from `load_detector`.

    Attributes
    ----------
    contents : Contents
    model : Model
        The model below it.
    window : int
        Steps of a window, w.
    kind : str
        The kind of score that is taken where none is named.

    Raises
    ------
    InputError
        For contents without a detector.
    """

    def __init__(self, contents: Contents) -> None:
        detector = contents.detector
        if detector is None:
            raise InputError(
                "Expected the contents of an AnomalyDetector, got those of a model alone; fit a "
                "detector over it."
            )
        self.contents, self.model = contents, Model(contents)
        self.window: int = detector["window"]
        self.kind: str = detector["parameters"]["kind"]
        names = detector["feature_names_in"]
        self._names = None if names is None else tuple(names)
        self._scorer = DetectionPipeline(
            self._source(),
            self.window,
            detector["of_sequences"],
            scales_of(contents.tensors, detector["thresholds"]),
            restored_thresholds(detector["thresholds"], contents.tensors),
            detector["parameters"]["gap"],
            self._names,
        )

    def __repr__(self) -> str:
        features = self.contents.facts.n_features
        return f"Detector({self.contents.model}, {features} features, windows of {self.window})"

    def anomaly_scores(self, X: Any, kind: str | None = None) -> Any:
        """How anomalous each step or sequence is, as `AnomalyDetector.anomaly_scores`."""
        return self._scorer.scores(self._read(X), self.kind if kind is None else kind)

    def detect(self, X: Any, kind: str | None = None) -> Detection:
        """Find anomalies, as `AnomalyDetector.detect`."""
        return self._scorer.detect(self._read(X), self.kind if kind is None else kind)

    def stream(self) -> DetectorStream:
        """Score a series a step at a time, see `DetectorStream`."""
        scorer, model = self._scorer, self.model
        if scorer.of_sequences:
            raise InputError("This detector scores whole sequences, and no series step by step.")
        loss = self.contents.loss
        errors: ErrorsOfWindows | ErrorsOfForecasts
        if isinstance(scorer.source, WindowErrors):
            errors = ErrorsOfWindows(model._reconstructed, model.scaler, loss, self.window)
        else:
            errors = ErrorsOfForecasts(
                model._forecast_of, model.horizon, model.scaler, loss, self.window
            )
        running = scorer.thresholds["trailing"].running()
        return DetectorStream(errors, model.scaler, scorer.scales["trailing"], running, self._names)

    def _read(self, X: Any) -> DetectorInput:
        given = read_input(X)
        features = self.contents.facts.n_features
        if given.n_features != features:
            raise InputError(f"Expected {features} features, as in `fit`, got {given.n_features}.")
        check_same_names(given.names, self._names)
        return given

    def _source(self) -> WindowErrors | StepErrors:
        """What gives errors; as in `AnomalyDetector`."""
        model, loss = self.model, self.contents.loss
        if "reconstruction" not in model.decoders:
            forecast = model._forecasts
            return forecast_errors(forecast, model.horizon, model.scaler, loss)

        def reconstructions(source: Source) -> Iterator[tuple[IntArray, Array, Array]]:
            return model._reconstructions(model._read(source, None, unwind=True))

        return reconstruction_errors(
            reconstructions,
            model.encode,
            model.scaler,
            loss,
            self.contents.tensors.get(f"{PREFIX}codes"),
        )
