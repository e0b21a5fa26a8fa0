"""Long series, as arrays that are not copied: from arrays, frames and lists of either."""

from typing import Any

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool.data.frames import as_frame, frame_values
from unspool.data.sequences import as_reals
from unspool.errors import InputError


def as_series(series: Any) -> tuple[list[npt.NDArray[Any]], tuple[str, ...] | None]:
    """Read one series or a list of them as arrays (T_i, F) without copying; and column names."""
    if not holds_series(series):
        array, names = _one_series(series, "a series")
        return [array], names
    if not series:
        raise InputError("Expected at least one series, got an empty list.")
    arrays, names_of = zip(
        *[_one_series(one, f"series {i}") for i, one in enumerate(series)], strict=True
    )
    for i, names in enumerate(names_of):
        if names != names_of[0]:
            raise InputError(
                f"Expected the columns {names_of[0]} of the first series in every one, "
                f"got {names} in series {i}."
            )
    return list(arrays), names_of[0]


def _one_series(series: Any, what: str) -> tuple[npt.NDArray[Any], tuple[str, ...] | None]:
    frame = as_frame(series)
    if frame is not None:
        return frame_values(frame), tuple(frame.columns)
    array = as_reals(series.to_numpy() if hasattr(series, "to_numpy") else series, what)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or array.shape[1] == 0:
        raise InputError(
            f"Expected {what} as (T,) or (T, F) with rows as steps, got shape {array.shape}."
        )
    return array, None


def holds_series(series: Any) -> bool:
    """Whether `series` is a list of series, and not one series (a list of numbers is one)."""
    return isinstance(series, (list, tuple)) and not (series and np.isscalar(series[0]))


def chronological_split(series: Any, test_size: float = 0.25) -> tuple[Any, Any]:
    """Cut a series, or every series of a list, into its earlier and its later part.

    Parameters
    ----------
    series : array of shape (T, ...), a frame, or a list of those
    test_size : float, default 0.25
        Share of the steps, from the end, that goes into the later part; above 0 and below 1.

    Returns
    -------
    earlier, later
        Views where `series` is an array or a list of arrays; the cut is at
        ``round(T * (1 - test_size))``.

    Examples
    --------
    >>> earlier, later = chronological_split(np.arange(10), test_size=0.2)
    >>> later
    array([8, 9])
    """
    _checks.raise_all(_checks.number("test_size", test_size, 0, 1, open_left=True))
    if holds_series(series):
        pairs = [chronological_split(one, test_size) for one in series]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    cut = round(len(series) * (1 - test_size))
    rows = series.iloc if hasattr(series, "iloc") else series
    return rows[:cut], rows[cut:]
