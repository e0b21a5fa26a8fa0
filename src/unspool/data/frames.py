"""pandas, polars and Arrow frames: their numbers, and whether their rows are time steps.

Numbers are read with narwhals, which is imported only if an object may be a frame. If narwhals is
not installed (`pip install unspool` installs NumPy only), NumPy converts the frame.
"""

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unspool.data.values import Array, NotNumbersError, as_array, as_reals
from unspool.errors import InputError

if TYPE_CHECKING:
    import narwhals.stable.v1 as nw

Labels = tuple[Any, ...]

ARRAYS = (np.ndarray, list, tuple, int, float)
TIME_NAMES = ("time", "timestamp", "timepoint", "timepoints", "date", "datetime")
INDEX_NAMES = (*TIME_NAMES, "t", "step", "steps", "timestep", "second", "seconds", "epoch")
_TIMES = ("datetime64", "datetime", "date", "period", "timedelta64", "timedelta", "time")
_MONTH = "(jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"
_DATE = re.compile(
    r"\d{4}[-/.]\d\d?([-/.]\d\d?)?([ T].*)?"  # 2024-01-31 and 2024-01, with a time or without
    r"|\d\d?([-/.])\d\d?\3(\d\d|\d{4})([ ,].*)?"  # 31.1.2024, 1/31/24
    r"|\d{8}[T_ ]\d{4,6}.*"  # 20240131T1300
    r"|\d\d?:\d\d(:\d\d.*)?( ?[ap]m)?"  # 13:00, 1:00:00 pm
    rf"|(\d\d?[ -])?{_MONTH}[ .,-]*(\d\d?[ ,-]+)?\d{{2,4}}( .*)?"  # 31 Jan 2024, Jan 31, 2024
    r"|\d{4}[- ]?(Q[1-4]|W\d\d?)",  # 2024Q1, 2024-W05
    re.IGNORECASE,
)


def is_frame(X: Any) -> bool:
    """Return whether `X` is a frame of pandas, polars, Arrow or another library."""
    if isinstance(X, ARRAYS) or hasattr(X, "detach") or hasattr(X, "collect"):
        return False  # arrays, tensors, and lazy frames
    return hasattr(X, "shape") and (hasattr(X, "column_names") or hasattr(X, "columns"))


def labels_of(X: Any) -> Labels:
    """Return the names of the columns of a frame.

    Raises
    ------
    InputError
        If a name appears twice, or columns have several levels.
    """
    columns = X.column_names if hasattr(X, "column_names") else X.columns  # Arrow has column_names
    if getattr(columns, "nlevels", 1) > 1:
        raise InputError(
            f"Expected columns with one name each, got names of {columns.nlevels} levels; join the "
            "levels, or move one to the index with .stack(level, future_stack=True)."
        )
    labels = tuple(columns)
    twice = next((label for label, count in Counter(labels).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"column name {twice!r} appears twice; rename or drop one of the columns.")
    return labels


def names_of(labels: Labels | None) -> tuple[str, ...] | None:
    """Return the labels as names of features, if all of them are strings."""
    return labels if labels and all(isinstance(label, str) for label in labels) else None


def frame_values(X: Any, what: str = "the frame") -> Array:
    """Return the numbers of a frame, shape (rows, columns); missing values are NaN.

    Raises
    ------
    InputError
        If a column contains dates, text or other objects.
    """
    frame = _narwhals(X)
    if frame is None:
        return as_reals(X, what)
    for label, dtype in frame.schema.items():
        if not (dtype.is_numeric() or str(dtype) == "Boolean"):
            _check_column(frame[label].to_numpy(), label, str(dtype))
    try:
        values = frame.to_numpy()
    except TypeError:  # older narwhals, for nullable numbers in columns without names
        values = X
    return as_reals(values, what)


def series_inside(X: Any) -> list[Array] | None:
    """Return the series (T_i, F) of a frame with index (instance, time) or series in its cells.

    None for any other frame.

    Raises
    ------
    InputError
        If the index has other levels, times go back, or cells do not fit together.
    """
    levels = getattr(getattr(X, "index", None), "nlevels", 1)
    if levels > 1:
        return _by_instance(X)
    frame = _narwhals(X)
    kinds = (
        [] if frame is None else [str(dtype).partition("(")[0] for dtype in frame.schema.values()]
    )
    if frame is not None and not {"List", "Array", "Object"} & set(kinds):
        return None
    cells = as_array(X if frame is None else frame.to_numpy(), "the frame")
    if cells.dtype != object or not cells.size:
        return None
    return series_of_cells(cells, labels_of(X))


def series_of_cells(cells: Array, labels: Labels | None = None) -> list[Array] | None:
    """Return series (T_i, F) of an array of objects (N, F), if cells are series; else None."""
    nested = np.array([[_is_series(cell) for cell in row] for row in cells])
    if not nested.any():
        return None
    series = []
    for i, row in enumerate(cells):
        if not nested[i].all():
            column = int(np.argmin(nested[i]))
            name = labels[column] if labels else column
            raise InputError(
                f"Expected a series in every cell, got {row[column]!r} in row {i}, column "
                f"{name!r}; choose the columns that contain series, and fill their gaps."
            )
        for cell in row:
            check_order_of_time(getattr(cell, "index", None), f"row {i}")
        features = [as_reals(cell, f"row {i}") for cell in row]
        shapes = {feature.shape for feature in features}
        if len(shapes) > 1 or len(next(iter(shapes))) != 1:
            raise InputError(
                f"Expected series (T,) of one length in the cells of row {i}, got shapes "
                f"{', '.join(str(feature.shape) for feature in features)}; resample them to the "
                "same steps."
            )
        series.append(np.stack(features, axis=1))
    return series


def check_rows_are_sequences(X: Any) -> None:
    """Refuse a frame whose rows are time steps, where rows should be sequences.

    Raises
    ------
    InputError
        If the index or a column of times says so. The message says what to do instead.
    """
    if _has_time_index(X):
        reason, first = "its index contains times", ""
        rows = "if every row is a sequence, call .reset_index(drop=True)"
    elif is_frame(X) and (time := _time_named(labels_of(X))) is not None:
        reason, first = f"it has a column {time!r}", "drop that column, and "
        rows = "if every row is a sequence, drop that column only"
    else:
        check_axis_of_time(X, 1)
        return
    raise InputError(
        f"Expected a sequence in every row, but the rows of this frame are steps of time, since "
        f"{reason}; {first}cut it into windows with Windows(frame, size), or give [frame] for one "
        f"sequence. For a table of several series see sequences_from_table; {rows}."
    )


def check_axis_of_time(X: Any, axis: int) -> None:
    """Refuse an xarray array whose dimension "time" is not `axis`."""
    dims = getattr(X, "dims", ())
    if isinstance(dims, tuple) and "time" in dims and dims.index("time") != axis:
        raise InputError(
            f"Expected 'time' as dimension {axis}, got the dimensions {dims}; transpose it. Give "
            "one series as X.values[None], or cut it with Windows(X, size)."
        )


def check_order_of_time(index: Any, what: str) -> None:
    """Refuse an index of times that go back; `what` names the data in the message."""
    if not _is_index_of_time(index) or getattr(index, "inferred_type", "") == "string":
        return
    if not index.is_monotonic_increasing:
        raise InputError(
            f"Expected times that increase from row to row, but in the index of {what} times go "
            "back or are missing; call .sort_index() first."
        )


def _narwhals(X: Any) -> "nw.DataFrame[Any] | None":
    try:
        import narwhals.stable.v1 as nw
    except ImportError:
        return None
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    return frame if isinstance(frame, nw.DataFrame) else None


def _check_column(values: Any, label: Any, dtype: str) -> None:
    if dtype.startswith(("Date", "Duration", "Time")):
        raise InputError(
            f"Expected numbers in column {label!r}, got {dtype}; drop it, since dates and times "
            "cannot be features. If rows are steps of time, cut them with Windows(frame, size), or "
            "give [frame] for one sequence; for a table of several series see sequences_from_table."
        )
    if dtype.startswith(("List", "Array")):
        raise InputError(
            f"Expected numbers in column {label!r}, got series in its cells; choose the columns "
            "that contain series, and give the frame itself, not in a list."
        )
    message = f"Expected numbers in column {label!r}, got {dtype}; drop it or choose columns."
    if dtype in ("String", "Categorical") or dtype.startswith("Enum"):
        raise InputError(
            f"{message} If it says which series a row belongs to, see sequences_from_table."
        )
    if dtype not in ("Object", "Unknown"):
        raise InputError(message)
    try:
        as_reals(values, f"column {label!r}")
    except NotNumbersError as error:
        raise InputError(f"{error} Drop the column or choose others.") from None


def instances_and_steps(index: Any) -> tuple[Array, Array]:
    """For every row of an index (instance, time), the number of its instance and of its step.

    Instances are numbered in the order in which they first appear.

    Raises
    ------
    InputError
        If the index has other levels or gaps, or times go back within an instance.
    """
    if index.nlevels > 2:
        raise InputError(
            f"Expected an index of two levels, (instance, time), got {index.nlevels}; drop or join "
            "levels first, for example with .droplevel(0)."
        )
    if not len(index):
        raise InputError("Expected at least one instance, got an empty index (instance, time).")
    instances, times = index.get_level_values(0), index.get_level_values(1)
    if _is_index_of_time(instances) and not _is_index_of_time(times):
        raise InputError(
            "Expected an index (instance, time), but its first level holds times; call "
            ".swaplevel().sort_index() if the second level holds the instances, or replace the "
            "times by other labels if each of them is an instance."
        )
    kind, gaps = times.inferred_type, instances.hasnans or times.hasnans
    if kind not in (*_TIMES, "integer", "floating") or gaps:
        raise InputError(
            "Expected an index (instance, time) without gaps and with numbers or times in its "
            f"second level, got {kind}{' with gaps' if gaps else ''}; set such an index, or call "
            ".reset_index(drop=True) if every row is a sequence."
        )
    of = instances.factorize()[0]
    order = np.argsort(of, kind="stable")
    ranks = times.factorize(sort=True)[0][order]
    back = np.flatnonzero((np.diff(ranks) < 0) & (np.diff(of[order]) == 0))
    if len(back):
        row = int(order[back[0] + 1])
        raise InputError(
            f"Expected times that increase within an instance, but time goes back in row {row}, at "
            f"{tuple(map(str, index[row]))}; call .sort_index() first."
        )
    ends = np.cumsum(np.bincount(of))
    step = np.empty_like(order)
    step[order] = np.arange(len(order)) - np.r_[0, ends][of[order]]
    return of, step


def _by_instance(X: Any) -> list[Array]:
    """Return the series of a frame with index (instance, time), by the order of first rows."""
    of, _ = instances_and_steps(X.index)
    rows = frame_values(X) if is_frame(X) else as_reals(X, "the series")[:, None]
    order = np.argsort(of, kind="stable")
    if (np.diff(order) != 1).any():
        rows = rows[order]
    return np.split(rows, np.cumsum(np.bincount(of))[:-1])


def _is_series(cell: Any) -> bool:
    if isinstance(cell, (str, bytes, dict)):
        return False
    return cell.ndim > 0 if hasattr(cell, "ndim") else hasattr(cell, "__len__")


def _has_time_index(X: Any) -> bool:
    index = getattr(X, "index", None)
    return is_frame(X) and hasattr(index, "inferred_type") and _is_index_of_time(index)


def _time_named(labels: Labels | None) -> Any:
    named = [one for one in labels or () if _is_named(one, TIME_NAMES)]
    exact = [one for one in named if str(one).lower() in TIME_NAMES]
    if exact or len(named) == 1:  # columns time_0, time_1, … are the steps of a sequence
        return (exact or named)[0]
    return None


def _is_named(label: Any, names: Sequence[str]) -> bool:
    """Return whether a word of `label` is one of `names`: "Time (s)" is a time."""
    return not set(re.findall("[a-z]+", str(label).lower())).isdisjoint(names)


def _is_index_of_time(index: Any) -> bool:
    """Return whether a pandas index contains times, or has a name such as "time"."""
    if not hasattr(index, "inferred_type"):
        return False
    named = _is_named(index.name, INDEX_NAMES)
    return _is_time(index) or (named and index.inferred_type in ("integer", "floating", "string"))


def _is_time(index: Any) -> bool:
    if getattr(index, "levels", None) is not None:
        index = index.get_level_values(0)
    kind = index.inferred_type
    if kind == "categorical":
        return _is_time(index.categories)
    if kind == "interval":
        return _is_time(index.left)
    if kind == "string" and len(index):
        return all(_DATE.fullmatch(str(index[i])) for i in (0, -1))
    return kind in _TIMES
