"""Draws long series in few pixels, and puts times on an axis."""

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

from unspool.data.sequences import FloatArray, as_floats
from unspool.errors import InputError

PIECES = 1500  # number of pieces of a long series; two values of each are drawn


def steps_to_draw(values: FloatArray) -> npt.NDArray[np.intp]:
    """Return all steps, or for a long series those with the extreme values of each piece."""
    size = -(-len(values) // PIECES)
    if size <= 2:
        return np.arange(len(values))
    pieces = np.full((-(-len(values) // size), size), np.nan)
    pieces.flat[: len(values)] = values
    low = np.where(np.isnan(pieces), np.inf, pieces).argmin(axis=1)
    high = np.where(np.isnan(pieces), -np.inf, pieces).argmax(axis=1)
    both = np.column_stack([low, high]) + np.arange(len(pieces))[:, None] * size
    return np.unique(both)


def times_as_numbers(times: npt.ArrayLike) -> tuple[FloatArray, bool]:
    """Return times as ascending numbers, and whether they are dates; time zones become UTC.

    If a clock was set back, the latest previous time is repeated until it is reached again.
    """
    array = np.asarray(times)
    dates = array.dtype.kind in "MOUS"
    try:
        if array.dtype.kind in "US":
            array = array.astype("datetime64[ns]")
        numbers = date2num(array) if dates else as_floats(array, "`times`")  # type: ignore[no-untyped-call]
    except (AttributeError, TypeError, ValueError):
        raise InputError(f"Expected dates or numbers in `times`, got {array[:1]}.") from None
    numbers = np.asarray(numbers, np.float64)
    if numbers.ndim != 1 or not np.isfinite(numbers).all():
        raise InputError("Expected `times` of shape (T,) without missing values.")
    return np.maximum.accumulate(numbers), dates


def date_axis(ax: Axes) -> None:
    """Put ticks at whole hours, days or months, and the year at the end of the axis."""
    ticks = AutoDateLocator(minticks=4, maxticks=10)  # type: ignore[no-untyped-call]
    labels = ConciseDateFormatter(ticks)  # type: ignore[no-untyped-call]
    labels.formats[2] = "%b %d"  # labels of days, instead of "15"
    labels.offset_formats[2] = "%Y"  # the end of the axis shows the year, not the last month
    ax.xaxis.set_major_locator(ticks)
    ax.xaxis.set_major_formatter(labels)
