"""Series as parts that are scored alone: between gaps, and every `dilation`-th step of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unspool.data.sequences import FloatArray, IntArray
from unspool.data.steps_in_time import Array, Clock, pieces


@dataclass(frozen=True)
class Parts:
    """Where the parts of series are.

    A window of w steps, `dilation` apart, is a window of w neighbouring steps of one part. So a
    detector scores parts as it scores series, and puts the results back in the places of the steps.

    Parameters
    ----------
    lengths : list of int
        Number of steps of each series.
    owner : array of int, shape (P,)
        The series of each part.
    slices : list of P slices
        The steps of each part in its series.
    """

    lengths: list[int]
    owner: IntArray
    slices: list[slice]

    @classmethod
    def of(
        cls,
        series: Sequence[FloatArray],
        dilation: int = 1,
        max_gap: float | None = None,
        times: list[Array] | None = None,
        breaks: Sequence[IntArray] | None = None,
    ) -> "Parts":
        """Cut series (T_i, F) where their times (T_i,) are more than `max_gap` apart.

        They are also cut before the steps `breaks`.
        """
        lengths = [len(one) for one in series]
        clock = None if times is None or max_gap is None else Clock.of(times)
        owner, first, count = pieces(np.array(lengths, np.int64), clock, max_gap, breaks)
        found = [
            (number, slice(begin + phase, begin + steps, dilation))
            for number, begin, steps in zip(owner, first, count, strict=True)
            for phase in range(min(dilation, steps))
        ]
        return cls(lengths, np.array([number for number, _ in found]), [one for _, one in found])

    @property
    def longest(self) -> int:
        """Number of steps of the longest part."""
        steps = (
            range(self.lengths[owner])[one]
            for owner, one in zip(self.owner, self.slices, strict=True)
        )
        return max(map(len, steps), default=0)

    def cut(self, series: Sequence[FloatArray]) -> list[FloatArray]:
        """Return the parts of arrays (T_i, …), one for each series."""
        return [series[owner][one] for owner, one in zip(self.owner, self.slices, strict=True)]

    def joined(self, values: Sequence[FloatArray]) -> list[FloatArray]:
        """Return arrays (T_i, …), one for each series, from arrays for the steps of each part."""
        results = [np.empty((steps, *values[0].shape[1:])) for steps in self.lengths]
        for owner, one, value in zip(self.owner, self.slices, values, strict=True):
            results[owner][one] = value
        return results
