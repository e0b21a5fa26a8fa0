"""`DetectionPipeline`: computes the results of a fitted detector, in the estimator and the runtime.

The order is: errors of the model, scores, thresholds, events. NumPy alone.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from unspool import _checks
from unspool.anomaly import scores as scoring
from unspool.anomaly.detection import Detection
from unspool.anomaly.events import find_events
from unspool.anomaly.inputs import DetectorInput
from unspool.anomaly.missing import thresholds_over
from unspool.anomaly.model_errors import StepErrors, WindowErrors, clip_to_limits
from unspool.anomaly.parts import Parts
from unspool.anomaly.scores import SeriesErrors
from unspool.anomaly.threshold_kinds import Threshold
from unspool.data.sequences import FloatArray, Sequences
from unspool.errors import InputError

STRETCHES = 32  # number of stretches of normal data over which errors of first steps are averaged


@dataclass(frozen=True)
class DetectionPipeline:
    """Everything that a fitted detector needs to compute scores, alarms and events.

    Parameters
    ----------
    source : WindowErrors or StepErrors
        Computes the errors of the model.
    window : int
        Number of steps of a window, w.
    of_sequences : bool
        Whether the detector scores whole sequences instead of the steps of series.
    scales : mapping of kinds of score to arrays of shape (F,), or (w, F) for "trailing"
        Error of each feature on normal data.
    thresholds : mapping of kinds of score to thresholds
    dilation : int
        Number of steps of a series from one step of a window to the next.
    max_gap : float or None
        Seconds between two steps above which no window contains both; None for no limit.
    gap : int
        Alarms fewer than `gap` steps apart are one event.
    names : tuple of F strings, or None
        Feature names.
    """

    source: WindowErrors | StepErrors
    window: int
    of_sequences: bool
    scales: Mapping[str, FloatArray]
    thresholds: Mapping[str, Threshold]
    dilation: int
    max_gap: float | None
    gap: int
    names: tuple[str, ...] | None

    def checked(self, kind: str) -> str:
        """Return the kind of score, or raise if this detector does not have it."""
        _checks.raise_all(_checks.choice("kind", kind, self.thresholds))
        return kind

    def scores(self, given: DetectorInput, kind: str) -> Any:
        """Compute scores in the form of the input; see `AnomalyDetector.anomaly_scores`."""
        kind = self.checked(kind)
        scale = self.scales[kind]
        errors, parts = self._errors(given, (kind,))
        scores = [scoring.step_scores(kind, one, scale) for one in errors]
        return highest_scores(scores) if parts is None else given.restored(parts.joined(scores))

    def detect(self, given: DetectorInput, kind: str) -> Detection:
        """Compute scores, thresholds, contributions and events; see `AnomalyDetector.detect`."""
        kind = self.checked(kind)
        errors, parts = self._errors(given, (kind,))
        scale = self.scales[kind]
        scores = [scoring.step_scores(kind, one, scale) for one in errors]
        by_feature = None
        if self.source.by_feature:
            by_feature = [scoring.contributions(kind, one, scale) for one in errors]
        if parts is not None:
            scores = parts.joined(scores)
            by_feature = by_feature and parts.joined(by_feature)
        threshold = self.thresholds[kind]
        if self.of_sequences:
            by_sequence = thresholds_over(threshold, highest_scores(scores))
            levels = [
                np.full(len(one), level) for one, level in zip(scores, by_sequence, strict=True)
            ]
        else:
            levels = [thresholds_over(threshold, one) for one in scores]
        # Shares of features use error ratios: after the logarithm all features would look alike.
        # Steps and features without a score raise no alarm and have no share.
        ratios = (
            None if by_feature is None else [np.nan_to_num(np.expm1(one)) for one in by_feature]
        )
        known = [np.where(np.isnan(one), 0, one) for one in scores]
        events = find_events(known, levels, ratios, gap=self.gap, names=self.names)
        if not self.of_sequences:
            restored = None if by_feature is None else given.restored(by_feature)
            times = None if given.several or given.times is None else given.times[0]
            if times is not None and times.dtype.kind != "M":
                times = None
            return Detection(
                given.restored(scores), given.restored(levels), restored, events, times
            )
        at_highest = None
        if by_feature is not None:
            at_highest = np.stack(
                [part[score.argmax()] for part, score in zip(by_feature, known, strict=True)]
            )
        return Detection(highest_scores(scores), by_sequence, at_highest, events, of_sequences=True)

    def _errors(
        self, given: DetectorInput, kinds: Collection[str]
    ) -> tuple[list[SeriesErrors], Parts | None]:
        """Return the errors of sequences, or of the parts of series, and these parts."""
        check_same_form(given, of_sequences=self.of_sequences)
        parts = None if self.of_sequences else given.parts(self.dilation, self.max_gap, self.window)
        return series_errors(self.source, given, parts, self.window, kinds), parts


def series_errors(
    source: WindowErrors | StepErrors,
    given: DetectorInput,
    parts: Parts | None,
    window: int,
    kinds: Collection[str],
) -> list[SeriesErrors]:
    """Compute the errors of each part of series, or of each sequence as a series of one window."""
    scaler, sequences = source.scaler, given.sequences
    if sequences is None:
        assert parts is not None
        each = (clip_to_limits(one, scaler) for one in parts.cut(given.series))
        return [source.of_series(one, window, kinds) for one in each]
    values = clip_to_limits(sequences.values, scaler)
    clipped = Sequences(values, sequences.lengths, missing=sequences.missing)
    return source.of_sequences(clipped, kinds)


def check_same_form(given: DetectorInput, *, of_sequences: bool) -> None:
    """Raise if the input is series but `fit` read sequences, or the other way round."""
    if (given.sequences is not None) != of_sequences:
        expected, got = ("sequences", "series") if of_sequences else ("series", "sequences")
        raise InputError(f"Expected {expected}, as in `fit`, got {got}.")


def highest_scores(scores: list[FloatArray]) -> FloatArray:
    """Return the score of each sequence, (N,), the highest of its steps; NaN if none has one."""
    return np.array([np.fmax.reduce(one) for one in scores])


def leading_errors(
    source: WindowErrors | StepErrors, series: list[FloatArray], window: int
) -> list[FloatArray]:
    """Return errors (n, F) of the first steps of `STRETCHES` evenly spaced stretches."""
    ends = np.cumsum([max(1, len(one) - window + 1) for one in series])
    errors = []
    for place in np.unique(np.linspace(0, ends[-1] - 1, STRETCHES).astype(np.int64)):
        number = int(np.searchsorted(ends, place, side="right"))
        start = int(place - (ends[number - 1] if number else 0))
        stretch = clip_to_limits(series[number][start : start + window], source.scaler)
        errors.append(source.of_series(stretch, window, ("trailing",)).of_kind("trailing"))
    return errors
