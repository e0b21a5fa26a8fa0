"""`Scorer`: a fitted detector as it runs, for the estimator and for `unspool.runtime`."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from unspool import _checks
from unspool.anomaly import scores as scoring
from unspool.anomaly.detection import Detection
from unspool.anomaly.errors import OfSteps, OfWindows, within
from unspool.anomaly.events import find_events
from unspool.anomaly.reading import Given
from unspool.anomaly.scores import Errors
from unspool.anomaly.thresholds import Threshold
from unspool.data.sequences import FloatArray, Sequences
from unspool.errors import InputError

STRETCHES = 32  # of normal data, in which the errors of first steps are taken


@dataclass(frozen=True)
class Scorer:
    """What turns errors into scores, alarms and events. NumPy alone.

    Parameters
    ----------
    source : OfWindows or OfSteps
        What gives the errors.
    window : int
        Steps of a window, w.
    of_sequences : bool
        Whether whole sequences are scored, and not the steps of series.
    scales : mapping from kinds of score to arrays of shape (F,), (w, F) for "trailing"
        The error of each feature on normal data.
    thresholds : mapping from kinds of score to thresholds
    gap : int
        Alarms less than so many steps apart are one event.
    names : tuple of F strings, or None
    """

    source: OfWindows | OfSteps
    window: int
    of_sequences: bool
    scales: Mapping[str, FloatArray]
    thresholds: Mapping[str, Threshold]
    gap: int
    names: tuple[str, ...] | None

    def checked(self, kind: str) -> str:
        """The kind of score, if this detector has it."""
        _checks.raise_all(_checks.choice("kind", kind, self.thresholds))
        return kind

    def scores(self, given: Given, kind: str) -> Any:
        """Scores in the form of what was given, see `AnomalyDetector.anomaly_scores`."""
        kind = self.checked(kind)
        scale = self.scales[kind]
        found = [scoring.scores(kind, one, scale) for one in self._errors(given, (kind,))]
        return highest(found) if self.of_sequences else given.restored(found)

    def detect(self, given: Given, kind: str) -> Detection:
        """Scores, thresholds, contributions and events, see `AnomalyDetector.detect`."""
        kind = self.checked(kind)
        found = self._errors(given, (kind,))
        scale = self.scales[kind]
        scores = [scoring.scores(kind, one, scale) for one in found]
        terms = None
        if self.source.by_feature:
            terms = [scoring.terms(kind, one, scale) for one in found]
        threshold = self.thresholds[kind]
        if self.of_sequences:
            each = threshold.over(highest(scores))
            levels = [np.full(len(one), level) for one, level in zip(scores, each, strict=True)]
        else:
            levels = [threshold.over(one) for one in scores]
        # Ratios of errors to the normal ones: their logarithms would make all features alike.
        ratios = None if terms is None else [np.expm1(one) for one in terms]
        events = find_events(scores, levels, ratios, gap=self.gap, names=self.names)
        if not self.of_sequences:
            parts = None if terms is None else given.restored(terms)
            return Detection(
                given.restored(scores), given.restored(levels), parts, events, given.times
            )
        worst = None
        if terms is not None:
            worst = np.stack([one[own.argmax()] for one, own in zip(terms, scores, strict=True)])
        return Detection(highest(scores), each, worst, events, of_sequences=True)

    def _errors(self, given: Given, kinds: Collection[str]) -> list[Errors]:
        return errors(self.source, given, self.window, kinds, of_sequences=self.of_sequences)


def errors(
    source: OfWindows | OfSteps,
    given: Given,
    window: int,
    kinds: Collection[str],
    *,
    of_sequences: bool,
) -> list[Errors]:
    """Errors of each series, or of each sequence as a series that is one window."""
    check_form(given, of_sequences=of_sequences)
    scaler, given_sequences = source.scaler, given.sequences
    if given_sequences is None:
        return [source.of_series(within(one, scaler), window, kinds) for one in given.series]
    values = within(given_sequences.values, scaler)
    return source.of_sequences(Sequences(values, given_sequences.lengths), kinds)


def check_form(given: Given, *, of_sequences: bool) -> None:
    """Refuse series where `fit` was given sequences, and the other way round."""
    if (given.sequences is not None) != of_sequences:
        expected, got = ("sequences", "series") if of_sequences else ("series", "sequences")
        raise InputError(f"Expected {expected}, as in `fit`, got {got}.")


def highest(scores: list[FloatArray]) -> FloatArray:
    """The score of each sequence, (N,): the highest of its steps."""
    return np.array([one.max() for one in scores])


def first_errors(
    source: OfWindows | OfSteps, series: list[FloatArray], window: int
) -> list[FloatArray]:
    """Errors (n, F) of the first steps of `STRETCHES` stretches, spread over all of the series."""
    ends = np.cumsum([max(1, len(one) - window + 1) for one in series])
    found = []
    for place in np.unique(np.linspace(0, ends[-1] - 1, STRETCHES).astype(np.int64)):
        number = int(np.searchsorted(ends, place, side="right"))
        start = int(place - (ends[number - 1] if number else 0))
        stretch = within(series[number][start : start + window], source.scaler)
        part = source.of_series(stretch, window, ("trailing",))
        found.append(part.of_kind("trailing"))
    return found
