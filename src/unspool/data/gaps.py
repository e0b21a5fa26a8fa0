"""Gaps in times that are otherwise regular: where windows of a file begin anew."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.data.sequences import FloatArray, IntArray
from unspool.data.steps_in_time import AUTO_GAP, Array

# Times are regular if MIN_REGULAR of their distances equal the median, up to TOLERANCE of it.
MIN_REGULAR = 0.9
TOLERANCE = 0.1
# Gaps of one length are part of the sampling, such as weekends, if there are at least MIN_RECURRING
# and most of them are equally far apart. Gaps up to MARGIN times the longest of these, such as
# holidays, cut nothing either.
MIN_RECURRING = 3
MARGIN = 1.5
AT_ONCE = 1 << 20  # distances that are computed at once


@dataclass(frozen=True)
class Gaps:
    """The gaps of series with regular times.

    Parameters
    ----------
    limit : float
        Seconds above which a distance is a gap.
    breaks : list of arrays of int, one for each series
        The first step after each gap.
    longest : float
        Seconds of the longest gap.
    at : datetime64
        Time of the step before the longest gap.
    """

    limit: float
    breaks: list[IntArray]
    longest: float
    at: Any

    @property
    def count(self) -> int:
        """Number of gaps."""
        return sum(map(len, self.breaks))

    def without(self, breaks: Sequence[IntArray]) -> "Gaps | None":
        """Return the gaps that are not at the steps `breaks`; None if there are none."""
        left = [np.setdiff1d(one, known) for one, known in zip(self.breaks, breaks, strict=True)]
        return replace(self, breaks=left) if any(map(len, left)) else None

    def ignored_note(self, size: int) -> str:
        """Return the note for gaps between which no window of `size` steps fits."""
        return (
            f"warning: {self.count:,} gap{'' if self.count == 1 else 's'} in time longer than "
            f"{spelled(self.limit)}, and no window of {size:,} steps lies between two of them: "
            "windows cross them; choose a smaller window, or set max_gap (--max-gap) to leave such "
            "windows out"
        )

    def note(self) -> str:
        """Return a sentence for `FileData.notes`."""
        one = self.count == 1
        gaps = "1 gap" if one else f"{self.count:,} gaps"
        which = f"of {spelled(self.longest)}" if one else f"the longest {spelled(self.longest)}"
        comma = "" if one else ","
        return (
            f"{gaps} in time longer than {spelled(self.limit)}{comma} {which} after {self.at}: no "
            f"window crosses {'it' if one else 'them'}; max_gap=None (--max-gap none) allows it"
        )


def gaps_in(times: list[Array]) -> Gaps | None:
    """Find the gaps in the dates of each series (T_i,); None if there are none.

    Times that are not regular, and times that are numbers, have no gaps.
    """
    if any(one.dtype.kind != "M" for one in times):
        return None
    values, counts = _different(times)
    forwards, count = values[values > 0], counts[values > 0]
    if len(forwards) == 0:
        return None
    interval = _median(forwards, count)
    regular = count[abs(forwards - interval) <= TOLERANCE * interval].sum() / count.sum()
    if regular < MIN_REGULAR:
        return None
    least = limit = AUTO_GAP * interval
    if not (values > limit).any():
        return None
    for one in times:
        limit = max(limit, MARGIN * _recurring(one, *_longer(one, least), interval))
    each = [_longer(one, limit) for one in times]
    if not any(len(places) for places, _ in each):
        return None
    longest = [float(distances.max(initial=0)) for _, distances in each]
    number = int(np.argmax(longest))
    places, distances = each[number]
    at = times[number][places[int(np.argmax(distances))]]
    return Gaps(limit, [places + 1 for places, _ in each], longest[number], at)


def _pieces(times: Array) -> Iterator[tuple[int, FloatArray]]:
    """Yield the first step of each part of a series, and the seconds from its steps to the next."""
    for first in range(0, len(times) - 1, AT_ONCE):
        yield first, np.diff(times[first : first + AT_ONCE + 1]) / np.timedelta64(1, "s")


def _different(times: list[Array]) -> tuple[FloatArray, IntArray]:
    """Return the different distances, ascending, and how often each occurs.

    Regular times have few, so that they need little memory.
    """
    values, counts = np.empty(0), np.empty(0, np.int64)
    for one in times:
        for _, distances in _pieces(one):
            found, often = np.unique(distances, return_counts=True)
            values, places = np.unique(np.concatenate([values, found]), return_inverse=True)
            counts = np.bincount(places, np.concatenate([counts, often])).astype(np.int64)
    return values, counts


def _median(values: FloatArray, counts: IntArray) -> float:
    """Return the median of ascending values that occur several times."""
    ends = np.cumsum(counts)
    middle = (ends[-1] - 1) // 2, ends[-1] // 2
    return float(np.mean([values[np.searchsorted(ends, one, side="right")] for one in middle]))


def _longer(times: Array, limit: float) -> tuple[IntArray, FloatArray]:
    """Return the steps after which a distance is above `limit`, and these distances."""
    places: list[IntArray] = [np.empty(0, np.int64)]
    found: list[FloatArray] = [np.empty(0)]
    for first, distances in _pieces(times):
        some = np.flatnonzero(distances > limit)
        places.append(some + first)
        found.append(distances[some])
    return np.concatenate(places), np.concatenate(found)


def _recurring(times: Array, places: IntArray, distances: FloatArray, interval: float) -> float:
    """Return the longest of the distances after `places` that recurs regularly, or 0."""
    lengths = np.round(distances / interval)
    longest = 0.0
    kinds: npt.NDArray[Any]
    kinds, counts = np.unique(lengths, return_counts=True)
    for length in kinds[counts >= MIN_RECURRING]:
        starts = times[places[lengths == length]]
        apart = np.diff(starts) / np.timedelta64(1, "s")
        usual = float(np.median(apart))
        if (abs(apart - usual) <= TOLERANCE * usual).mean() > 0.5:
            longest = max(longest, float(distances[lengths == length].max()))
    return longest


def spelled(seconds: float) -> str:
    """Return a duration in the form of arguments, such as "2h30min".

    Examples
    --------
    >>> spelled(9000), spelled(32400), spelled(1.5), spelled(194400)
    ('2h30min', '9h', '1.5s', '2d6h')
    """
    parts, rest = [], float(seconds)
    for name, size in (("d", 86400), ("h", 3600), ("min", 60)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count:.0f}{name}")
    if rest or not parts:
        parts.append(f"{rest:.4g}s")
    return "".join(parts[:2])
