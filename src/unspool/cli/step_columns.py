"""Columns of outputs: which time step each row belongs to, and the names of features."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.cli.options import say
from unspool.data.convert import Source
from unspool.data.sequences import IntArray
from unspool.data.windows import Windows
from unspool.io.file_data import FileData
from unspool.io.time_output import OutputTimes, order_of
from unspool.io.time_steps import UNUSUAL, usual_step

Column = npt.NDArray[Any]


def step_columns(loaded: FileData) -> dict[str, Any]:
    """Return columns with one value for every real step of every series or sequence.

    If there are several series or sequences: `id`, or else `sequence`, its number. Always `time`,
    or else `step`, counted from 0. If there are labels: `label`. Steps are in the order of the
    series; `step_order` returns the order of the file.
    """
    source = loaded.source
    if isinstance(source, Windows):
        lengths = np.array([len(one) for one in source.series])
    else:
        lengths = source.lengths
    columns: dict[str, Any] = {}
    if loaded.series_ids is not None:
        columns["id"] = np.repeat(np.asarray(loaded.series_ids), lengths)
    elif "id" in loaded.index and not isinstance(source, Windows):
        columns["id"] = np.repeat(loaded.index["id"], lengths)
    elif len(lengths) > 1:
        columns["sequence"] = np.repeat(np.arange(len(lengths)), lengths)
    if loaded.time_format is not None and loaded.rows is not None:
        times = loaded.steps.get("time")
        values = None if times is None else _of_steps(times, lengths)
        columns["time"] = OutputTimes(loaded.time_format, values, _of_steps(loaded.rows, lengths))
    elif "time" in loaded.steps:
        columns["time"] = _of_steps(loaded.steps["time"], lengths)
    else:
        columns["step"] = np.concatenate([np.arange(length) for length in lengths])
    if "label" in loaded.steps:
        columns["label"] = _of_steps(loaded.steps["label"], lengths)
    elif "label" in loaded.index and not isinstance(source, Windows):
        columns["label"] = np.repeat(loaded.index["label"], lengths)
    return columns


def step_order(loaded: FileData) -> IntArray | None:
    """Return the order that puts the steps of `step_columns` as in the file; None if they are."""
    if loaded.rows is None:
        return None
    source = loaded.source
    if isinstance(source, Windows):
        return order_of(np.concatenate(loaded.rows))
    return order_of(_of_steps(loaded.rows, source.lengths))


def window_columns(loaded: FileData) -> tuple[dict[str, Any], IntArray | None]:
    """Return the columns that describe each sequence or window, and the order of the file.

    `start` and `time` are as the file wrote them. The order is the one of the rows of the first
    steps, or None if the windows have it.
    """
    columns: dict[str, Any] = dict(loaded.index)
    source, format = loaded.source, loaded.time_format
    if not isinstance(source, Windows) or loaded.rows is None:
        if format is not None and "time" in columns:
            rows = np.arange(len(columns["time"]))
            values = columns["time"] if format.readable else None
            columns["time"] = OutputTimes(format, values, rows)
        return columns, None
    rows = row_of_starts(source, loaded.rows)
    if format is not None:
        values = columns["start"] if "time" in loaded.steps else None
        columns["start"] = OutputTimes(format, values, rows)
    return columns, order_of(rows)


def forecast_times(
    loaded: FileData, windows: Windows, first: int, count: int
) -> OutputTimes | None:
    """Return the times of `count` steps of every window and of the steps after it.

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

    Returns
    -------
    OutputTimes or None
        Times (N · count,), window after window: those of the file, and times that continue the
        usual step of the series after its end. None if the file has no times.
    """
    owner, start = windows.place(np.arange(len(windows)))
    steps = start[:, None] + windows.dilation * (first + np.arange(count))
    return times_at(loaded, owner, steps)


def times_at(loaded: FileData, owner: IntArray, steps: IntArray) -> OutputTimes | None:
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
    if unusual and max(unusual) > UNUSUAL:
        say(
            f"the times are irregular: {max(unusual):.0%} of the steps have another length than "
            "the usual one, by which the times of the forecast continue"
        )
    return OutputTimes(format, values.ravel(), rows.ravel(), like.ravel())


def row_of_starts(source: Windows, rows: list[IntArray]) -> IntArray:
    """Return the row of the file of the first step of every window."""
    owner, start = source.place(np.arange(len(source)))
    first = np.cumsum([0, *(len(one) for one in rows)])[:-1]
    found: IntArray = np.concatenate(rows)[first[owner] + start]
    return found


def say_left_out(source: Windows, values: Column) -> None:
    """Print how many steps are in no window because of the stride and the dilation."""
    left_out = int(np.isnan(values.reshape(len(values), -1)).all(axis=1).sum())
    if left_out and math.gcd(source.stride, source.dilation) > 1:
        say(
            f"{left_out:,} of {len(values):,} steps have no value; with the dilation of "
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


def _of_steps(columns: list[Column], lengths: Column) -> Column:
    """Join the values at the first `lengths` steps of every series."""
    return np.concatenate([one[:length] for one, length in zip(columns, lengths, strict=True)])
