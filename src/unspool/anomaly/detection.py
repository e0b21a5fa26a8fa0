"""`Detection`: what a detector found."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unspool.anomaly.events import Event, write_events


@dataclass(frozen=True)
class Detection:
    """What a detector found in a series, in several, or in sequences.

    Parameters
    ----------
    scores : array of shape (T,), or a list of such, one for each series
        Higher is more anomalous. For sequences an array (N,).
    thresholds : as `scores`
        The threshold in force at each step.
    contributions : as `scores`, of shape (T, F), or None
        What each feature contributes to a score, which is the mean of its row; (N, F) for
        sequences. None where the model scores windows as a whole.
    events : list of Event
        Alarms that are close together, as one; in the order of the series, and of time.
    times : array of shape (T,), or None
        Of the steps of one series, where its index holds times.
    of_sequences : bool
        Whether `scores` are of whole sequences, and the `series` of an event is one of these.

    Attributes
    ----------
    alarms : as `scores`, of bool
        Whether a score is above its threshold.
    """

    scores: Any
    thresholds: Any
    contributions: Any
    events: list[Event]
    times: Any = None
    of_sequences: bool = False

    @property
    def alarms(self) -> Any:
        """Whether a score is above its threshold."""
        if isinstance(self.scores, list):
            pairs = zip(self.scores, self.thresholds, strict=True)
            return [scores > thresholds for scores, thresholds in pairs]
        return self.scores > self.thresholds

    def write_events(self, path: str | Path) -> None:
        """Write the events to a file, whole or not at all.

        Parameters
        ----------
        path : str or Path
            `.csv` or `.json`; see `unspool.anomaly.events.write_events`. Of several series, and
            of sequences, a column `series` has the number of each, from 0.
        """
        times = None if self.times is None else [self.times]
        several = self.of_sequences or isinstance(self.scores, list)
        names = list(range(len(self.scores))) if several else None
        write_events(self.events, path, times=times, series=names)
