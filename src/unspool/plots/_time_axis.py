"""Many steps in few pixels, and times on an axis."""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

from unspool.data.sequences import FloatArray, as_floats
from unspool.errors import InputError

PIECES = 1500  # of a long series; each shows its smallest and its largest value


def extremes(values: FloatArray) -> npt.NDArray[np.intp]:
    """Steps to draw: all, or of each of many pieces those with the smallest and largest value."""
    size = -(-len(values) // PIECES)
    if size <= 2:
        return np.arange(len(values))
    pieces = np.full((-(-len(values) // size), size), np.nan)
    pieces.flat[: len(values)] = values
    low = np.where(np.isnan(pieces), np.inf, pieces).argmin(axis=1)
    high = np.where(np.isnan(pieces), -np.inf, pieces).argmax(axis=1)
    both = np.column_stack([low, high]) + np.arange(len(pieces))[:, None] * size
    return np.unique(both)


def as_numbers(times: npt.ArrayLike) -> tuple[FloatArray, bool]:
    """Times as ascending numbers, and whether they are dates; those with a time zone in UTC.

    Where a clock was set back, the latest time before stays until it is reached again.
    """
    array = np.asarray(times)
    dates = array.dtype.kind in "MOUS"
    try:
        if array.dtype.kind in "US":
            array = array.astype("datetime64[ns]")
        found = date2num(array) if dates else as_floats(array, "`times`")  # type: ignore[no-untyped-call]
    except (AttributeError, TypeError, ValueError):
        raise InputError(f"Expected dates or numbers in `times`, got {array[:1]}.") from None
    numbers = np.asarray(found, np.float64)
    if numbers.ndim != 1 or not np.isfinite(numbers).all():
        raise InputError("Expected `times` of shape (T,), none of them missing.")
    return np.maximum.accumulate(numbers), dates


def date_axis(ax: Axes) -> None:
    """Ticks at whole hours, days or months, each with its month or day, the year beside them."""
    ticks = AutoDateLocator(minticks=4, maxticks=10)  # type: ignore[no-untyped-call]
    names = ConciseDateFormatter(ticks)  # type: ignore[no-untyped-call]
    names.formats[2] = "%b %d"  # of days, instead of "15"
    names.offset_formats[2] = "%Y"  # instead of the last month
    ax.xaxis.set_major_locator(ticks)
    ax.xaxis.set_major_formatter(names)
