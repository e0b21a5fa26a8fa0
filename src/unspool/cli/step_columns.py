"""Columns of outputs: which time step each row belongs to, and the names of features."""

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.cli.options import say
from unspool.data.convert import Source
from unspool.data.sequences import IntArray
from unspool.data.windows import Windows
from unspool.io.file_data import FileData, OnDemand
from unspool.io.time_output import OutputTimes, order_of
from unspool.io.time_steps import UNUSUAL, usual_step

Column = npt.NDArray[Any]
CHECKED = 1 << 20  # windows whose places are computed at once


class Steps:
    """The real time steps of all series or sequences of a file, in one count.

    Parameters
    ----------
    loaded : FileData
        The content of the file.
    """

    def __init__(self, loaded: FileData) -> None:
        source, self._loaded = loaded.source, loaded
        self._windows = isinstance(source, Windows)
        if isinstance(source, Windows):
            self._lengths = np.array([len(one) for one in source.series])
        else:
            self._lengths = source.lengths
        self.ends = np.cumsum(self._lengths)

    @property
    def count(self) -> int:
        """Number of steps."""
        return int(self.ends[-1])

    def first_of(self, sequence: int) -> int:
        """Return the number of the first step of a sequence, or of a series."""
        return int(self.ends[sequence - 1]) if sequence else 0

    def columns(self, start: int, stop: int) -> dict[str, Any]:
        """Return columns with one value for every step from `start` to before `stop`.

        If there are several series or sequences: `id`, or else `sequence`, its number. Always
        `time`, or else `step`, counted from 0. If there are labels: `label`. Steps are in the order
        of the series; `order` returns the order of the file.
        """
        loaded, windows = self._loaded, self._windows
        steps = np.arange(start, stop)
        owner = np.searchsorted(self.ends, steps, side="right")
        columns: dict[str, Any] = {}
        if loaded.series_ids is not None:
            columns["id"] = np.asarray(loaded.series_ids)[owner]
            columns |= {name: values[owner] for name, values in loaded.id_parts.items()}
        elif "id" in loaded.index and not windows:
            columns["id"] = loaded.index["id"][owner]
        elif len(self._lengths) > 1:
            columns["sequence"] = owner
        if loaded.time_format is not None and loaded.rows is not None:
            times = loaded.steps.get("time")
            values = None if times is None else self._joined(times, start, stop)
            rows = self._joined(loaded.rows, start, stop)
            columns["time"] = OutputTimes(loaded.time_format, values, rows)
        elif "time" in loaded.steps:
            columns["time"] = self._joined(loaded.steps["time"], start, stop)
        else:
            columns["step"] = steps - (self.ends - self._lengths)[owner]
        if "label" in loaded.steps:
            columns["label"] = self._joined(loaded.steps["label"], start, stop)
        elif "label" in loaded.index and not windows:
            columns["label"] = loaded.index["label"][owner]
        return columns

    def order(self) -> IntArray | None:
        """Return the order that puts the steps as in the file; None if they are."""
        rows, last = self._loaded.rows_to_sort, -1
        if rows is None:
            return None
        for one, length in zip(rows, self._lengths, strict=True):
            of_series = one[:length]
            if len(of_series):
                if of_series[0] < last or (of_series[1:] < of_series[:-1]).any():
                    return order_of(self._joined(rows, 0, self.count))
                last = of_series[-1]
        return None

    def _joined(self, columns: list[Column], start: int, stop: int) -> Column:
        """Return the values of steps, of which each series may have more than are real."""
        parts, first = [columns[0][:0]], int(np.searchsorted(self.ends, start, side="right"))
        for number in range(first, len(columns)):
            begin = self.first_of(number)
            if begin >= stop:
                break
            length = int(self._lengths[number])
            parts.append(columns[number][max(start - begin, 0) : min(stop - begin, length)])
        return parts[1] if len(parts) == 2 else np.concatenate(parts)


def window_columns(loaded: FileData, start: int, stop: int) -> dict[str, Any]:
    """Return the columns that describe the sequences or windows from `start` to before `stop`.

    `start` and `time` are as the file wrote them.
    """
    source, format = loaded.source, loaded.time_format
    if isinstance(source, Windows) and isinstance(loaded.index, OnDemand):
        columns = _of_windows(loaded, source, np.arange(start, stop))
    else:
        columns = {name: one[start:stop] for name, one in loaded.index.items()}
    if not isinstance(source, Windows) or loaded.rows is None:
        if format is not None and "time" in columns:
            rows = np.arange(start, stop)
            values = columns["time"] if format.readable else None
            columns["time"] = OutputTimes(format, values, rows)
        return columns
    if format is not None:
        rows = row_of_starts(source, loaded.rows, np.arange(start, stop))
        values = columns["start"] if "time" in loaded.steps else None
        columns["start"] = OutputTimes(format, values, rows)
    return columns


def _of_windows(loaded: FileData, source: Windows, indices: IntArray) -> dict[str, Any]:
    """Return columns of some windows, of a file that is not in memory."""
    owner, start = source.place(indices)
    found: dict[str, Any] = {}
    for name in loaded.index:
        if name == "id":
            found[name] = np.asarray(loaded.series_ids)[owner]
        elif name in loaded.id_parts:
            found[name] = loaded.id_parts[name][owner]
        elif name == "start":
            times = loaded.steps.get("time")
            found[name] = start if times is None else _at(times, owner, start)
        else:
            found[name] = _at(loaded.steps[name], owner, source.ends_of(indices) - 1)
    return found


def _at(columns: list[Column], owner: IntArray, steps: IntArray) -> Column:
    """Return the values at steps of series, which are in runs of one series."""
    edges = np.r_[0, np.flatnonzero(owner[1:] != owner[:-1]) + 1, len(owner)]
    parts = [columns[owner[a]][steps[a:b]] for a, b in itertools.pairwise(edges.tolist())]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def window_order(loaded: FileData) -> IntArray | None:
    """Return the order of the windows by the rows of their first steps; None if they have it."""
    source = loaded.source
    of_file = loaded.rows_to_sort
    if not isinstance(source, Windows) or of_file is None:
        return None
    last = -1
    for start in range(0, len(source), CHECKED):
        indices = np.arange(start, min(start + CHECKED, len(source)))
        rows = row_of_starts(source, of_file, indices)
        if rows[0] < last or (rows[1:] < rows[:-1]).any():
            return order_of(row_of_starts(source, of_file, np.arange(len(source))))
        last = int(rows[-1])
    return None


def forecast_times(
    loaded: FileData,
    windows: Windows,
    first: int,
    count: int,
    indices: IntArray,
    *,
    quiet: bool = True,
) -> OutputTimes | None:
    """Return the times of `count` steps of windows and of the steps after them.

    Parameters
    ----------
    loaded : FileData
        The file.
    windows : Windows
        Windows over the series of the file.
    first : int
        Number of steps from the start of a window to the first step.
    count : int
        Number of steps for each window.
    indices : array of int
        Which windows.
    quiet : bool, default True
        Whether to keep silent about times that are irregular.

    Returns
    -------
    OutputTimes or None
        Times (B · count,), window after window: those of the file, and times that continue the
        usual step of the series after its end. None if the file has no times.
    """
    owner, start = windows.place(indices)
    steps = start[:, None] + windows.dilation * (first + np.arange(count))
    return times_at(loaded, owner, steps, quiet=quiet)


def last_windows(windows: Windows) -> IntArray:
    """Return the index of the last window of every series."""
    last: dict[int, int] = {}
    for start in range(0, len(windows), CHECKED):
        indices = np.arange(start, min(start + CHECKED, len(windows)))
        owner, _ = windows.place(indices)
        ends = np.r_[np.flatnonzero(owner[1:] != owner[:-1]), len(owner) - 1]
        last.update(zip(owner[ends].tolist(), indices[ends].tolist(), strict=True))
    return np.array(sorted(last.values()))


def times_at(
    loaded: FileData, owner: IntArray, steps: IntArray, *, quiet: bool = False
) -> OutputTimes | None:
    """Return the times of steps (N, K) of the series `owner` (N,), also after their ends."""
    times, format = loaded.steps.get("time"), loaded.time_format
    if times is None or loaded.rows is None or format is None:
        return None
    values = np.empty(steps.shape, times[0].dtype)
    rows = np.full(steps.shape, -1)
    like = np.empty(steps.shape, np.int64)
    unusual = []
    for series in np.unique(owner):
        of_file, row = times[series], loaded.rows[series]
        mine = np.flatnonzero(owner == series)
        wanted = steps[mine]
        beyond = int(wanted.max()) - len(of_file) + 1
        if beyond > 0:
            last = np.full(len(of_file), row[-1])
            local, zone = format.local(of_file, row if format.form else last)
            step = usual_step(local)
            if step is None:
                return None
            unusual.append(step.irregular)
            following = format.instants(step.after(local[-1], beyond), zone)
            of_file = np.concatenate([of_file, following.astype(of_file.dtype)])
            row = np.concatenate([row, np.full(beyond, -1)])
        values[mine], rows[mine] = of_file[wanted], row[wanted]
        like[mine] = loaded.rows[series][-1]
    if unusual and max(unusual) > UNUSUAL and not quiet:
        say(
            f"the times are irregular: {max(unusual):.0%} of the steps have another length than "
            "the usual one, by which the times of the forecast continue"
        )
    return OutputTimes(format, values.ravel(), rows.ravel(), like.ravel())


def row_of_starts(source: Windows, rows: list[IntArray], indices: IntArray) -> IntArray:
    """Return the row of the file of the first step of windows."""
    owner, start = source.place(indices)
    return _at(rows, owner, start)


def empty_rows(values: Column) -> int:
    """Return how many steps have no value."""
    return int(np.isnan(values.reshape(len(values), -1)).all(axis=1).sum())


def say_left_out(source: Windows, left_out: int, steps: int) -> None:
    """Print how many steps are in no window because of the stride and the dilation."""
    if left_out and math.gcd(source.stride, source.dilation) > 1:
        say(
            f"{left_out:,} of {steps:,} steps have no value; with the dilation of "
            f"{source.dilation}, a stride of {source.stride} leaves steps out, and --stride 1 does "
            "not"
        )


def names_of_features(source: Source) -> list[str]:
    """Return the names of the features, or else "feature_0", "feature_1", …."""
    return list(source.feature_names or (f"feature_{i}" for i in range(source.n_features)))


def names_of_targets(trained: Any, source: Source) -> list[str]:
    """Return the names of the features that a model writes; "target" for a quantity of its `y`."""
    names = names_of_features(source)
    if trained.targets_:
        return [names[place] for place in trained.targets_]
    count = trained._form.n_outputs
    return ["target"] if count == 1 else [f"target_{i}" for i in range(count)]
