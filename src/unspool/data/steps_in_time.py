"""Windows given in time: durations, times of series, and the gaps between them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool._durations import seconds
from unspool.data.frames import instances_and_steps
from unspool.data.sequences import FloatArray, IntArray
from unspool.data.series import holds_series
from unspool.data.values import as_array
from unspool.errors import InputError

Array = npt.NDArray[Any]

AUTO_GAP = 2.5  # intervals; a single missing row is not a gap
# Times are irregular if more than MAX_IRREGULAR of their distances differ from the interval by more
# than half of it.
MAX_IRREGULAR = 0.1


def times_in_index(series: Any) -> list[Array] | None:
    """Return the dates in the index of a pandas frame, or of each frame of a list; else None."""
    if holds_series(series):
        if not isinstance(series, (list, tuple)):
            return None
        each = [_dates(getattr(one, "index", None)) for one in series]
        return [one for one in each if one is not None] if _all_there(each) else None
    index: Any = getattr(series, "index", None)
    if getattr(index, "nlevels", 1) == 2:
        found = _dates(index.get_level_values(1))
        if found is None:
            return None
        of, _ = instances_and_steps(index)
        order = np.argsort(of, kind="stable")
        return np.split(found[order], np.cumsum(np.bincount(of))[:-1])
    one = _dates(index)
    return None if one is None else [one]


def _all_there(each: Sequence[Array | None]) -> bool:
    return bool(each) and all(one is not None for one in each)


def _dates(index: Any) -> Array | None:
    if hasattr(index, "to_timestamp"):  # periods
        index = index.to_timestamp()
    kind = getattr(getattr(index, "dtype", None), "kind", "")
    return np.asarray(_without_zone(index)) if kind in ("M", "m") else None


def _without_zone(times: Any) -> Any:
    """Return times of pandas in UTC without their time zone, and others unchanged."""
    if getattr(getattr(times, "dtype", None), "tz", None) is None:
        return times
    return getattr(times, "dt", times).tz_convert(None)


def read_times(times: Any, lengths: Sequence[int]) -> list[Array]:
    """Return the argument `times` as one array (T_i,) for each series, checked.

    Raises
    ------
    InputError
        If there is not one time for each step, or if they are neither dates nor numbers.
    """
    several = isinstance(times, (list, tuple)) and any(map(_has_axes, times))
    given = list(times) if several else [times]
    if len(given) != len(lengths):
        raise InputError(
            f"Expected `times` as a list of {len(lengths)} arrays, one for each series, got "
            f"{len(given)}."
        )
    return [
        _one(one, i, length) for i, (one, length) in enumerate(zip(given, lengths, strict=True))
    ]


def _has_axes(value: Any) -> bool:
    """Return whether a value is an array or a list, and not a single time or number."""
    if isinstance(value, (str, bytes)):
        return False
    return hasattr(value, "__len__") and getattr(value, "shape", None) != ()


def _one(times: Any, number: int, length: int) -> Array:
    values = as_array(_without_zone(times), f"`times` of series {number}")
    if values.dtype.kind in "OUS":
        try:
            values = values.astype("datetime64[us]")
        except (ValueError, TypeError, OverflowError):
            raise InputError(
                f"Expected `times` of series {number} as dates or numbers, got "
                f"{_checks.shown(values.ravel()[:1].tolist() or times)}; convert them, for "
                "example with pandas.to_datetime."
            ) from None
    if values.shape != (length,) or values.dtype.kind not in "Mmiuf":
        raise InputError(
            f"Expected `times` of series {number} as {length} dates or numbers, one for each step, "
            f"got an array of {values.dtype} of shape {values.shape}."
        )
    missing = np.isnat(values) if values.dtype.kind in "Mm" else ~np.isfinite(values)
    if missing.any():
        raise InputError(
            f"`times` of series {number} has no time at step {int(missing.argmax())}; every step "
            "needs one."
        )
    return values


@dataclass(frozen=True)
class Clock:
    """The times of series, and the distances between their steps.

    Parameters
    ----------
    dates : bool
        Whether distances are in seconds; else they are in the unit of the times.
    distances : list of arrays of shape (T_i - 1,), float64
        Time from each step to the next; negative where time goes back.
    interval : float
        The median of the distances above 0; NaN if there is none.
    """

    dates: bool
    distances: list[FloatArray]
    interval: float

    @classmethod
    def of(cls, times: list[Array]) -> "Clock":
        """Make a clock of the times of each series."""
        kinds = {one.dtype.kind in "Mm" for one in times}
        if len(kinds) > 1:
            raise InputError("Expected `times` of one kind, got dates for some series only.")
        dates = kinds.pop()
        distances = [_distances(one) for one in times]
        everything = np.concatenate(distances)
        forwards = everything[everything > 0]
        return cls(dates, distances, float(np.median(forwards)) if len(forwards) else float("nan"))

    def steps(self, name: str, duration: float, gap: float | None, times_each: int = 1) -> int:
        """Return the number of intervals in a duration, rounded.

        Parameters
        ----------
        name : str
            What the duration is, for messages: "window" or "stride".
        duration : float
            Seconds.
        gap : float, optional
            Distances above it are gaps, which do not make times irregular.
        times_each : int, default 1
            Number of intervals from one step of a window to the next.
        """
        if not self.dates:
            raise InputError(
                f"The {name} is a duration, but the times are numbers, whose unit is unknown; give "
                "the number of steps, or times as dates."
            )
        if np.isnan(self.interval):
            raise InputError(
                f"The {name} is a duration, but no time is later than the one before it; give the "
                "number of steps."
            )
        everything = np.concatenate(self.distances)
        kept = everything if gap is None else everything[abs(everything) <= gap]
        odd = float((abs(kept - self.interval) > self.interval / 2).mean()) if len(kept) else 0.0
        if odd > MAX_IRREGULAR:
            raise InputError(
                f"The {name} is a duration, but the times are irregular: {odd:.0%} of their "
                f"distances differ by more than half from the median, {self.interval:g} s; "
                "resample the series to regular times, or give the number of steps."
            )
        count = round(duration / self.interval / times_each)
        if count < 1:
            raise InputError(
                f"The {name} of {duration:g} s is shorter than a step of "
                f"{self.interval * times_each:g} s (the median distance of the times, times the "
                "dilation); choose a longer duration."
            )
        return count

    def gap(self, max_gap: Any, *, auto: bool) -> float | None:
        """Return the smallest distance that is no gap, in the unit of `distances`; None for none.

        `auto` says whether "auto" is a multiple of the interval; otherwise it is None.
        """
        if isinstance(max_gap, str) and max_gap == "auto":
            return AUTO_GAP * self.interval if auto and self.interval > 0 else None
        duration = seconds(max_gap)
        if duration is not None and not self.dates:
            raise InputError(
                "`max_gap` is a duration, but the times are numbers, whose unit is unknown; give a "
                "number in that unit."
            )
        return duration if duration is not None else None if max_gap is None else float(max_gap)


def in_steps(
    size: Any, stride: Any, dilation: int, max_gap: Any, times: list[Array] | None, *, given: bool
) -> tuple[int, int, float | None, Clock | None]:
    """Return size and stride in steps, the largest distance within a window, and the clock.

    Without durations and gaps, times are not used, and there is no clock.

    Parameters
    ----------
    size, stride, dilation, max_gap
        Parameters of `Windows`, checked.
    times : list of arrays of shape (T_i,), optional
        The times of the series, if they are known.
    given : bool
        Whether the times were an argument, and not just the index of a frame.
    """
    found = {"window": seconds(size), "stride": seconds(stride)}
    in_time = [name for name, duration in found.items() if duration is not None]
    gaps = not (max_gap is None or (isinstance(max_gap, str) and max_gap == "auto"))
    if not (in_time or gaps or given):
        return int(size), int(stride), None, None
    if times is None:
        what = f"A {in_time[0]} that is a duration" if in_time else "`max_gap`"
        raise InputError(
            f"{what} needs the times of the steps; give a pandas frame with dates in its index, or "
            "`times` to `Windows`."
        )
    clock = Clock.of(times)
    gap = clock.gap(max_gap, auto=given or bool(in_time))
    steps = {
        name: clock.steps(name, duration, gap, dilation if name == "window" else 1)
        for name, duration in found.items()
        if duration is not None
    }
    return int(steps.get("window", size)), int(steps.get("stride", stride)), gap, clock


def pieces(
    lengths: IntArray,
    clock: Clock | None,
    gap: float | None,
    breaks: Sequence[IntArray] | None = None,
) -> tuple[IntArray, IntArray, IntArray]:
    """Cut series at gaps and before the steps `breaks`.

    Returns the series of each piece, its first step, and its number of steps.
    """
    if (clock is None or gap is None) and breaks is None:
        return np.arange(len(lengths)), np.zeros_like(lengths), lengths
    firsts = [np.zeros(1, np.int64)] * len(lengths)
    if clock is not None and gap is not None:
        firsts = [np.flatnonzero(np.append(True, abs(one) > gap)) for one in clock.distances]
    if breaks is not None:
        firsts = [np.union1d(one, more) for one, more in zip(firsts, breaks, strict=True)]
    ends = [np.append(one[1:], n) for one, n in zip(firsts, lengths, strict=True)]
    first = np.concatenate(firsts)
    owner = np.repeat(np.arange(len(lengths)), [len(one) for one in firsts])
    return owner, first, np.concatenate(ends) - first


def read_breaks(breaks: Any, lengths: Sequence[int]) -> list[IntArray] | None:
    """Return the argument `breaks` as one array of steps for each series, checked.

    Raises
    ------
    InputError
        If there is not one array for each series, or a step is not in its series.
    """
    if breaks is None:
        return None
    if not _has_axes(breaks) or len(breaks) != len(lengths):
        raise InputError(
            f"Expected `breaks` as a list of {len(lengths)} arrays of steps, one for each series, "
            f"got {len(breaks) if _has_axes(breaks) else _checks.shown(breaks)}."
        )
    found = []
    for i, (one, length) in enumerate(zip(breaks, lengths, strict=True)):
        steps = as_array(one, f"`breaks` of series {i}")
        if steps.ndim != 1 or (steps.size and steps.dtype.kind not in "iu"):
            raise InputError(
                f"Expected `breaks` of series {i} as whole numbers, got {_checks.shown(one)}."
            )
        if steps.size and (steps.min() < 0 or steps.max() >= length):
            raise InputError(
                f"Expected `breaks` of series {i} from 0 to {length - 1}, the numbers of its "
                f"steps, got {steps.min()} to {steps.max()}."
            )
        found.append(np.unique(steps.astype(np.int64)))
    return found


def check_any(counts: IntArray, size: int, max_gap: float | None, *, dates: bool) -> None:
    """Raise if the pieces of all series together have no window."""
    if not counts.any() and max_gap is None:
        raise InputError(
            f"No window of {size} steps lies between two breaks of the series (gaps in time or "
            "missing values); choose a smaller window, or keep short parts as one window each with "
            "short='keep'."
        )
    if not counts.any():
        unit = " s" if dates else ""
        raise InputError(
            f"No window of {size} steps lies between two gaps of more than {max_gap:g}{unit}; "
            "choose a smaller window or a larger `max_gap`, or keep short parts as one window each "
            "with short='keep'."
        )


def described_gap(max_gap: float | None, times: list[Array] | None) -> str:
    """Return the end of a description of windows that cross no gap."""
    if max_gap is None or times is None:
        return ""
    return f", no gap above {max_gap:g}{' s' if times[0].dtype.kind in 'Mm' else ''}"


def _distances(times: Array) -> FloatArray:
    if times.dtype.kind in "Mm":
        found: FloatArray = np.diff(times) / np.timedelta64(1, "s")
        return found
    return np.diff(times.astype(np.float64))
