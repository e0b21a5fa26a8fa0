"""Times of followed lines, for detectors that score the steps after a gap like a new series."""

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool.errors import InputError
from unspool.io.cells import is_number
from unspool.io.options import TimeOptions

NANOSECONDS = 1_000_000_000


class Gaps:
    """Finds whether a step is further from the step before than `max_gap`.

    Parameters
    ----------
    max_gap : float
        The largest distance of neighbouring steps, in seconds, or in the unit of the times if they
        are plain numbers.
    times : TimeOptions
        How texts are read as times.
    """

    def __init__(self, max_gap: float, times: TimeOptions) -> None:
        self._max_gap, self._times = max_gap, times
        self._last: dict[str, float | int] = {}  # latest time by id: nanoseconds, or a number

    def follows_gap(self, id: str, text: str, name: str) -> bool:
        """Read the time of a step of a series, and return whether there is a gap before it.

        Parameters
        ----------
        id : str
            Name of the series.
        text : str
            The time.
        name : str
            Name of its column.

        Raises
        ------
        InputError
            If the text is not a time, or either of two numbers may be its day.
        """
        now, last = self._read(text, name), self._last.get(id)
        self._last[id] = now
        if last is None:
            return False
        distance = abs(now - last)
        return (distance / NANOSECONDS if isinstance(now, int) else distance) > self._max_gap

    def state(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return the latest times, for `restore`."""
        values = [*self._last.values()]
        kind = np.int64 if all(isinstance(one, int) for one in values) else np.float64
        return {"ids": np.array([*self._last], np.str_), "times": np.array(values, kind)}

    def restore(self, state: dict[str, npt.NDArray[np.generic]]) -> None:
        """Continue after the steps of an earlier run."""
        self._last = dict(zip(state["ids"].tolist(), state["times"].tolist(), strict=True))

    def _read(self, text: str, name: str) -> float | int:
        """Return nanoseconds since 1970 for a date, and a number for any other number."""
        import pyarrow as pa

        from unspool.io.time_columns import parse_times
        from unspool.io.time_text import read_texts

        number = is_number(text)
        if number and self._times.date_format is None:
            cells = pa.array([float(text) if not text.isdecimal() else int(text)])
        else:
            cells = pa.array([text])
        found = parse_times(cells, self._times, name)
        if found is None or found.values is None:
            if number:
                return float(text)
            raise InputError(
                f"Expected a time in column {name!r}, since the detector scores the steps after a "
                f"gap like a new series, got {_checks.shown(text)}."
            )
        if not number and found.format.day_first is not None:
            readings = read_texts(pa.chunked_array([cells]), self._times)
            if len(readings) > 1 and (readings[0].values != readings[1].values).any():
                raise InputError(
                    f"The day or the month may come first in {text!r} in column {name!r}; give "
                    "--day-first or --month-first."
                )
        return int(found.values[0].astype("datetime64[ns]").astype(np.int64))
