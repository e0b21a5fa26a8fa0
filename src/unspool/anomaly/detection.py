"""`Detection`: what a detector found."""

from dataclasses import dataclass
from typing import Any

from unspool.anomaly.events import Event


@dataclass(frozen=True)
class Detection:
    """What a detector found in a series, in several, or in sequences.

    Parameters
    ----------
    scores : array of shape (T,), or a list of such, one for each series
        Higher is more anomalous. For sequences an array (N,).
    thresholds : as `scores`
        The threshold in force at each step.
    contributions : array of shape (T, F), or a list of such, or None
        What each feature contributes to a score, which is the mean of its row; (N, F) for
        sequences; None where the model scores windows as a whole.
    events : list of Event
        Alarms that are close together, as one.
    times : array of shape (T,), or None
        Of the steps of one series, where a frame says them.
    """

    scores: Any
    thresholds: Any
    contributions: Any
    events: list[Event]
    times: Any = None

    @property
    def alarms(self) -> Any:
        """Where a score is above its threshold: boolean arrays of the shape of `scores`."""
        if isinstance(self.scores, list):
            pairs = zip(self.scores, self.thresholds, strict=True)
            return [scores > threshold for scores, threshold in pairs]
        return self.scores > self.thresholds
