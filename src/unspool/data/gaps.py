"""Gaps in times that are otherwise regular: where windows of a file begin anew."""

from collections.abc import Sequence
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
    distances = [np.diff(one) / np.timedelta64(1, "s") for one in times]
    everything = np.concatenate([*distances, np.empty(0)])
    forwards = everything[everything > 0]
    if len(forwards) == 0:
        return None
    interval = float(np.median(forwards))
    if (abs(forwards - interval) <= TOLERANCE * interval).mean() < MIN_REGULAR:
        return None
    limit = AUTO_GAP * interval
    if not (everything > limit).any():
        return None
    for one, distance in zip(times, distances, strict=True):
        limit = max(limit, MARGIN * _recurring(one, distance, AUTO_GAP * interval, interval))
    breaks = [np.flatnonzero(one > limit) + 1 for one in distances]
    if not any(map(len, breaks)):
        return None
    longest = [float(one.max(initial=0)) for one in distances]
    number = int(np.argmax(longest))
    at = times[number][int(np.argmax(distances[number]))]
    return Gaps(limit, breaks, longest[number], at)


def _recurring(times: Array, distances: FloatArray, limit: float, interval: float) -> float:
    """Return the longest distance above `limit` that recurs regularly, in seconds, or 0."""
    places = np.flatnonzero(distances > limit)
    lengths = np.round(distances[places] / interval)
    longest = 0.0
    kinds: npt.NDArray[Any]
    kinds, counts = np.unique(lengths, return_counts=True)
    for length in kinds[counts >= MIN_RECURRING]:
        starts = times[places[lengths == length]]
        apart = np.diff(starts) / np.timedelta64(1, "s")
        usual = float(np.median(apart))
        if (abs(apart - usual) <= TOLERANCE * usual).mean() > 0.5:
            longest = max(longest, float(distances[places[lengths == length]].max()))
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
