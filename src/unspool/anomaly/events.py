"""Events: alarms merged if they are close together, as objects, tables and files.

NumPy alone, except that writing CSV needs PyArrow.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool._files import atomic_write, check_output_path
from unspool.anomaly.alarm_clusters import find_clusters
from unspool.anomaly.threshold_kinds import check_finite_scores
from unspool.data.sequences import FloatArray, as_floats, check_feature_names
from unspool.errors import InputError

ENDINGS = (".csv", ".json")
N_LISTED = 3  # features that a row of a table lists


@dataclass(frozen=True)
class Event:
    """An anomaly: consecutive alarms of a series that are close together.

    Parameters
    ----------
    series : int
        Number of the series (or whole sequence), from 0.
    start : int
        First step, from 0.
    peak : int
        Step with the highest score, the first one if there are several.
    end : int
        Step after the last one.
    height : float
        Score at the peak.
    threshold : float
        Threshold at the start.
    features : tuple of (str, float), default ()
        Name and share of each feature, largest share first. The shares are the contributions over
        all steps of the event, divided by their sum. Empty if the contributions are unknown or
        all 0.

    See Also
    --------
    find_events : Finds events in scores.
    events_table : Arranges events in columns.

    Examples
    --------
    >>> from unspool.anomaly import Event
    >>> event = Event(series=0, start=10, peak=12, end=15, height=4.2, threshold=2.0)
    >>> event.end - event.start  # steps
    5
    """

    series: int
    start: int
    peak: int
    end: int
    height: float
    threshold: float
    features: tuple[tuple[str, float], ...] = ()


def find_events(
    scores: Sequence[npt.ArrayLike],
    thresholds: Sequence[npt.ArrayLike],
    contributions: Sequence[npt.ArrayLike] | None = None,
    *,
    gap: int = 16,
    names: Sequence[str] | None = None,
) -> list[Event]:
    """Merge alarms, which are steps with a score above the threshold, into events.

    An event lasts as long as the score stays above the threshold that it began with. A moving
    threshold soon rises above the anomaly itself, so that the alarms would end too early.

    Parameters
    ----------
    scores : list of arrays of shape (T_i,), one for each series
        Anomaly scores; higher is more anomalous.
    thresholds : list of arrays of shape (T_i,), or list of float, one for each series
        The threshold in force at each step.
    contributions : list of arrays of shape (T_i, F), optional
        How much each feature contributes to the anomaly at each step, at least 0.
    gap : int, default 16
        Alarms fewer than `gap` steps apart are one event. Adjacent alarms always are.
    names : sequence of F strings, optional
        Feature names; "feature 0", "feature 1", … by default.

    Returns
    -------
    list of Event
        The events, by series and time.

    Raises
    ------
    InputError
        If shapes do not match, a value is NaN or infinite, or a contribution is negative.

    See Also
    --------
    AnomalyDetector.detect : Computes scores, thresholds and events.
    events_table : Arranges events in columns.
    write_events : Writes events to a file.

    Examples
    --------
    >>> from unspool.anomaly import find_events
    >>> events = find_events([[0, 5, 7, 0, 0, 6]], [4], [np.eye(6)[:, :2] + 1], gap=2)
    >>> [(event.start, event.peak, event.end) for event in events]
    [(1, 2, 3), (5, 5, 6)]
    >>> events[0].features
    (('feature 1', 0.6), ('feature 0', 0.4))
    """
    _checks.raise_all(_checks.whole("gap", gap, 0))
    for what, values in (("thresholds", thresholds), ("contributions", contributions)):
        if values is not None and len(values) != len(scores):
            raise InputError(
                f"Expected {what} of {len(scores)} series, got {what} of {len(values)}."
            )
    events = []
    for i, one in enumerate(scores):
        of_series = check_finite_scores(one, f"the scores of series {i}")
        level = _levels(thresholds[i], len(of_series), i)
        parts = None
        if contributions is not None:
            parts = _contributions(contributions[i], len(of_series), i)
        events += _events_of_series(i, of_series, level, parts, gap, names)
    return events


def _events_of_series(
    series: int,
    scores: FloatArray,
    level: FloatArray,
    parts: FloatArray | None,
    gap: int,
    names: Sequence[str] | None,
) -> list[Event]:
    flagged = extend_alarms(scores, level)
    bounds = find_clusters(flagged, gap)
    if parts is not None:
        names = check_feature_names(names, parts.shape[1])
        names = names or tuple(f"feature {i}" for i in range(parts.shape[1]))
    events = []
    for start, end in bounds.tolist():
        within = np.where(flagged[start:end], scores[start:end], -np.inf)
        peak = start + int(np.argmax(within))
        features: tuple[tuple[str, float], ...] = ()
        if parts is not None and names is not None:
            features = _shares(parts[start:end].mean(axis=0), names)
        height, threshold = float(scores[peak]), float(level[start])
        events.append(Event(series, start, peak, end, height, threshold, features))
    return events


def extend_alarms(scores: FloatArray, level: FloatArray) -> npt.NDArray[np.bool_]:
    """Return which steps (T,) are alarms, or follow one while scores exceed its threshold."""
    flagged = scores > level
    end = 0
    for start in np.flatnonzero(flagged).tolist():
        if start < end:
            continue
        end = start + 1
        while end < len(scores) and scores[end] > level[start]:
            end += 1
        flagged[start:end] = True
    return flagged


def _levels(thresholds: npt.ArrayLike, steps: int, series: int) -> FloatArray:
    level = check_finite_scores(np.atleast_1d(thresholds), f"the thresholds of series {series}")
    if np.ndim(thresholds) == 0:
        return np.full(steps, level)
    if len(level) != steps:
        raise InputError(
            f"Expected thresholds of shape ({steps},) like the scores of series {series}, got "
            f"{level.shape}."
        )
    return level


def _shares(means: FloatArray, names: Sequence[str]) -> tuple[tuple[str, float], ...]:
    total = means.sum()
    if not total:
        return ()
    order = np.argsort(-means, kind="stable")
    return tuple((names[i], float(means[i] / total)) for i in order)


def _contributions(parts: npt.ArrayLike, steps: int, series: int) -> FloatArray:
    array = as_floats(parts, f"the contributions of series {series}").astype(np.float64)
    if array.ndim != 2 or len(array) != steps:
        raise InputError(
            f"Expected contributions of shape ({steps}, F) like the scores of series {series}, "
            f"got {array.shape}."
        )
    good = np.isfinite(array) & (array >= 0)
    if not good.all():
        step, feature = np.argwhere(~good)[0].tolist()
        raise InputError(
            f"Expected contributions of 0 or more, got {array[step, feature]} at step {step}, "
            f"feature {feature} of series {series}."
        )
    return array


def events_table(
    events: Sequence[Event],
    times: Sequence[npt.ArrayLike] | None = None,
    series: Sequence[Any] | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """Arrange events in columns: series, start, peak, end, steps, height, threshold, features.

    Parameters
    ----------
    events : list of Event
        The events, one for each row.
    times : list of arrays of shape (T_i,), one for each series, optional
        Times of the steps. With it, start, peak and end are times instead of steps from 0.
    series : sequence of str or int, optional
        Names of the series for the column `series`. If omitted, the column is left out, and all
        events have to be of series 0.

    Returns
    -------
    dict of str to array of shape (N,)
        The columns for N events. `end` is the last step of the event, not the step after it, and
        `steps` counts from start to end inclusive. `features` lists the three features with the
        largest shares, for example "pressure 62 %, flow 21 %".

    Raises
    ------
    InputError
        If an event belongs to a series without a name, or to a step without a time.

    See Also
    --------
    find_events : Finds events in scores.
    write_events : Writes the table to a file.

    Examples
    --------
    >>> from unspool.anomaly import Event, events_table
    >>> table = events_table([Event(0, 10, 12, 15, 4.2, 2.0)])
    >>> table["start"], table["end"], table["steps"]
    (array([10]), array([14]), array([5]))
    """
    _check_places(events, times, series)
    columns: dict[str, npt.NDArray[Any]] = {}
    if series is not None:
        of_events = np.array([one.series for one in events], dtype=np.int64)
        columns["series"] = np.asarray(series)[of_events]
    for name in ("start", "peak", "end"):
        steps = [_step(one, name) for one in events]
        columns[name] = np.array(steps, dtype=np.int64)
        if times is not None and len(times):
            arrays = [np.asarray(one) for one in times]
            picked = [
                arrays[one.series][at : at + 1] for one, at in zip(events, steps, strict=True)
            ]
            columns[name] = np.concatenate([arrays[0][:0], *picked])
    columns["steps"] = np.array([one.end - one.start for one in events], dtype=np.int64)
    columns["height"] = np.array([one.height for one in events], dtype=np.float64)
    columns["threshold"] = np.array([one.threshold for one in events], dtype=np.float64)
    columns["features"] = np.array([_feature_text(one) for one in events], dtype=np.str_)
    return columns


def write_events(
    events: Sequence[Event],
    path: str | Path | None,
    *,
    times: Sequence[npt.ArrayLike] | None = None,
    series: Sequence[Any] | None = None,
) -> None:
    """Write events to a CSV or JSON file. A failure leaves no partial file.

    Parameters
    ----------
    events : list of Event
        The events, one for each row.
    path : str, Path or None
        A file that ends in `.csv` gets the columns of `events_table`; None writes them to standard
        output. A file that ends in `.json` gets a list of objects with the same names, times in
        ISO 8601, and the names and shares of all features in `features`.
    times : list of arrays of shape (T_i,), one for each series, optional
        Times of the steps. With it, start, peak and end are times instead of steps from 0.
    series : sequence of str or int, optional
        Names of the series for the column `series`. If omitted, the column is left out, and all
        events have to be of series 0.

    Raises
    ------
    InputError
        If the ending is another, the file cannot be written, or an event belongs to a series
        without a name or to a step without a time.

    See Also
    --------
    events_table : Returns the columns that are written.

    Examples
    --------
    >>> from unspool.anomaly import Event, write_events
    >>> write_events([Event(0, 10, 12, 15, 4.5, 2.0)], None)
    start,peak,end,steps,height,threshold,features
    10,12,14,5,4.5,2,
    """
    columns = events_table(events, times, series)
    ending = ".csv" if path is None else Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise InputError(f"{path}: {_checks.unknown_name('ending', ending, ENDINGS)}")
    if path is None or ending == ".csv":
        from unspool.io.write import write_table  # needs PyArrow

        write_table(columns, path)
        return
    plain = {name: [_plain(one) for one in values] for name, values in columns.items()}
    plain["features"] = [
        [{"name": name, "share": share} for name, share in one.features] for one in events
    ]
    rows = [dict(zip(plain, row, strict=True)) for row in zip(*plain.values(), strict=True)]
    check_output_path(path)
    text = json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic_write(Path(path)) as file:
        file.write(text.encode())


def _step(event: Event, name: str) -> int:
    """Return a step as a table shows it: the end is the last step of the event."""
    step: int = getattr(event, name)
    return step - 1 if name == "end" else step


def _feature_text(event: Event) -> str:
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in event.features[:N_LISTED])


def _plain(value: Any) -> Any:
    """Return a number, a string, or a time in ISO 8601 with the digits that it needs."""
    if isinstance(value, np.datetime64):
        if np.isnat(value):
            return None
        micro = value.astype("datetime64[us]")
        return micro.item().isoformat() if micro == value else str(value)
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value.item() if isinstance(value, np.generic) else value


def _check_places(
    events: Sequence[Event],
    times: Sequence[npt.ArrayLike] | None,
    series: Sequence[Any] | None,
) -> None:
    known = 1 if series is None else len(series)
    for one in events:
        if one.series >= known:
            raise InputError(
                f"An event belongs to series {one.series}, but `series` names "
                f"{0 if series is None else known} series; name all of them."
            )
        if times is not None:
            known_series = one.series < len(times)
            steps = len(np.atleast_1d(np.asarray(times[one.series]))) if known_series else 0
            if steps < one.end:
                raise InputError(
                    f"An event of series {one.series} ends at step {one.end}, but `times` has "
                    f"{steps} steps of that series; pass the times of all steps."
                )
