"""Events: alarms that belong together, with what they are about; as tables and files.

NumPy alone, but for writing CSV.
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
from unspool.anomaly.clusters import clusters
from unspool.anomaly.threshold_kinds import finite
from unspool.data.sequences import FloatArray, as_floats, check_feature_names
from unspool.errors import InputError

ENDINGS = (".csv", ".json")
NAMED = 3  # features in a row of a table


@dataclass(frozen=True)
class Event:
    """Steps of a series that are an anomaly together.

    Parameters
    ----------
    series : int
        Which of the series, from 0.
    start : int
        First step of an alarm.
    peak : int
        The step with the highest score, the first of several.
    end : int
        Step after the last one.
    height : float
        The score at the peak.
    threshold : float
        The threshold at the start.
    features : tuple of (name, share), the largest first
        Contributions of the features over all steps of the event, as shares that sum to 1; none
        where they are not known, or all 0.
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
    """Merge alarms, steps whose score is above the threshold, into events.

    An event lasts as long as the score is above the threshold that it began with: where the
    threshold moves, it soon rises above the anomaly itself, and there are no more alarms.

    Parameters
    ----------
    scores : list of arrays (T_i,), one for each series
    thresholds : list of arrays (T_i,), or of one number for each series
        What was in force at each step.
    contributions : list of arrays (T_i, F), optional
        How much of the anomaly is in each feature, 0 or more.
    gap : int, default 16
        What is less than so many steps apart is one event; so are neighbours, always.
    names : sequence of F strings, optional
        Names of the features; "feature 0" and so on by default.

    Returns
    -------
    list of Event
        By series, in the order of time.

    Raises
    ------
    InputError
        Where they do not fit together, or are not finite.

    Examples
    --------
    >>> events = find_events([[0, 5, 7, 0, 0, 6]], [4], [np.eye(6)[:, :2] + 1], gap=2)
    >>> [(event.start, event.peak, event.end) for event in events]
    [(1, 2, 3), (5, 5, 6)]
    >>> events[0].features
    (('feature 1', 0.6), ('feature 0', 0.4))
    """
    _checks.raise_all(_checks.whole("gap", gap, 0))
    for what, given in (("thresholds", thresholds), ("contributions", contributions)):
        if given is not None and len(given) != len(scores):
            raise InputError(f"Expected {what} of {len(scores)} series, got {len(given)}.")
    events = []
    for i, one in enumerate(scores):
        of_series = finite(one, f"the scores of series {i}")
        level = _levels(thresholds[i], len(of_series), i)
        parts = None
        if contributions is not None:
            parts = _contributions(contributions[i], len(of_series), i)
        events += _of_series(i, of_series, level, parts, gap, names)
    return events


def _of_series(
    series: int,
    scores: FloatArray,
    level: FloatArray,
    parts: FloatArray | None,
    gap: int,
    names: Sequence[str] | None,
) -> list[Event]:
    flagged = lasting(scores, level)
    bounds = clusters(flagged, gap)
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


def lasting(scores: FloatArray, level: FloatArray) -> npt.NDArray[np.bool_]:
    """Which steps (T,) are alarms, or follow one with scores still above its threshold."""
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
    level = finite(np.atleast_1d(thresholds), f"the thresholds of series {series}")
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


def to_table(
    events: Sequence[Event],
    times: Sequence[npt.ArrayLike] | None = None,
    series: Sequence[Any] | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """Events as columns: series, start, peak, end, steps, height, threshold, features.

    Parameters
    ----------
    events : list of Event
    times : list of arrays (T_i,), one for each series; optional
        When each step was; start, peak and end are times then, and steps (from 0) by default.
    series : sequence of names or numbers, optional
        What the series are called, in a column; without it there is none, for one series.

    Returns
    -------
    dict of names to arrays (N,)
        `end` is the last step of an alarm, not the one after it; `steps` counts from start to
        end, both included. `features` are the largest three, as "pressure 62 %, flow 21 %".

    Raises
    ------
    InputError
        For events of series, or steps, that have no name or no time.
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
    columns["features"] = np.array([_named(one) for one in events], dtype=np.str_)
    return columns


def write_events(
    events: Sequence[Event],
    path: str | Path | None,
    *,
    times: Sequence[npt.ArrayLike] | None = None,
    series: Sequence[Any] | None = None,
) -> None:
    """Write events to a file, whole or not at all.

    Parameters
    ----------
    events : list of Event
    path : str, Path or None
        `.csv` for the columns of `to_table`, which None writes to standard output; `.json` for a
        list of objects with the same names, times in ISO 8601, and in `features` the names and
        shares of all features.
    times, series
        See `to_table`.

    Raises
    ------
    InputError
        For what `to_table` refuses, or a file that cannot be written.
    """
    columns = to_table(events, times, series)
    ending = ".csv" if path is None else Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise InputError(f"{path}: {_checks.unknown_name('ending', ending, ENDINGS)}")
    if path is None or ending == ".csv":
        from unspool.data.write import write_table  # pyarrow, which NumPy's part does without

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
    """A step that a table has: the last one of the event for its end."""
    step: int = getattr(event, name)
    return step - 1 if name == "end" else step


def _named(event: Event) -> str:
    return ", ".join(f"{name} {100 * share:.0f} %" for name, share in event.features[:NAMED])


def _plain(value: Any) -> Any:
    """A number, a text, or a time in ISO 8601 with as many digits as it needs."""
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
                f"Expected names of the series in `series`, up to number {one.series}, got "
                f"{0 if series is None else known}."
            )
        if times is not None:
            steps = (
                len(np.atleast_1d(np.asarray(times[one.series]))) if one.series < len(times) else 0
            )
            if steps < one.end:
                raise InputError(
                    f"Expected the times of at least {one.end} steps of series {one.series}, got "
                    f"{steps}."
                )
