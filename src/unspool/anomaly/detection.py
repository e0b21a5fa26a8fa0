"""`Detection`: the result of `detect`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unspool.anomaly.events import Event, write_events


@dataclass(frozen=True)
class Detection:
    """Result of `AnomalyDetector.detect` and `unspool.runtime.Detector.detect`.

    For one series the arrays have one row per step, T rows. For several series each attribute but
    `events` is a list with one array per series. For N whole sequences the arrays have one row per
    sequence, N rows.

    Parameters
    ----------
    scores : array of shape (T,) or (N,), or list of arrays of shape (T_i,)
        Anomaly scores, float64; higher is more anomalous. NaN at a step without any value, which
        raises no alarm.
    thresholds : array of shape (T,) or (N,), or list of arrays of shape (T_i,)
        The threshold in force at each step or sequence.
    contributions : array of shape (T, F) or (N, F), or list of arrays of shape (T_i, F), or None
        Contribution of each feature to each score; a score is the mean of its row. It is NaN for a
        feature whose values in the window are all missing, which the mean leaves out. (For scores
        of the kind "code", which has no features, these are the contributions to the kind
        "window".) None if the model scores windows as a whole.
    events : list of Event
        Alarms, merged if they are close together, by series and time.
    times : array of shape (T,), or None, default None
        Times of the steps, if the input was one series whose index holds times.
    of_sequences : bool, default False
        Whether the input was whole sequences. The `series` of an event is then the number of a
        sequence.

    Attributes
    ----------
    alarms : array of bool of shape (T,) or (N,), or list of arrays of bool of shape (T_i,)
        Whether each score is above its threshold.

    See Also
    --------
    Event : An element of `events`.
    unspool.plots.AnomalyDisplay : Draws a detection.

    Examples
    --------
    >>> from unspool.anomaly import Detection
    >>> found = Detection(np.array([0.2, 3.0]), np.array([2.0, 2.0]), None, [])
    >>> found.alarms
    array([False,  True])
    """

    scores: Any
    thresholds: Any
    contributions: Any
    events: list[Event]
    times: Any = None
    of_sequences: bool = False

    @property
    def alarms(self) -> Any:
        """Whether each score is above its threshold, in the form of `scores`."""
        if isinstance(self.scores, list):
            pairs = zip(self.scores, self.thresholds, strict=True)
            return [scores > thresholds for scores, thresholds in pairs]
        return self.scores > self.thresholds

    def write_events(self, path: str | Path) -> None:
        """Write the events to a file. A failure leaves no partial file.

        Parameters
        ----------
        path : str or Path
            A file that ends in `.csv` or `.json`; see `unspool.anomaly.write_events` for the
            columns. For several series, and for sequences, the column `series` holds the number of
            each, from 0.

        Raises
        ------
        InputError
            If the ending is another, or the file cannot be written.
        """
        times = None if self.times is None else [self.times]
        several = self.of_sequences or isinstance(self.scores, list)
        names = list(range(len(self.scores))) if several else None
        write_events(self.events, path, times=times, series=names)
