"""Long series and sequences from a file become `FileData`, cut into windows if requested.

A reader finds series or sequences in a file and passes them to `of_series` or `of_sequences`,
with the columns that describe them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unspool._durations import Duration, seconds
from unspool._types import Missing, Short
from unspool.data.missing_values import Codes
from unspool.data.sequences import IntArray, Sequences
from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.io.file_data import Column, FileData


@dataclass(frozen=True)
class WindowOptions:
    """How to cut series into windows, as for `Windows`; with a `size` of None they stay whole.

    `missing` says whether values may be missing, and `missing_values` which numbers mean that they
    are, however the series are cut.
    """

    size: int | Duration | None = None
    stride: int | Duration = 1
    tail: bool = False
    short: Short = "error"
    dilation: int = 1
    max_gap: float | Duration | None = "auto"
    missing: Missing = "raise"
    missing_values: tuple[float, ...] = ()

    @property
    def needs_times(self) -> bool:
        """Whether windows are cut by time."""
        in_time = seconds(self.size) is not None or seconds(self.stride) is not None
        return in_time or not (self.max_gap is None or self.max_gap == "auto")

    def windows(
        self,
        series: Sequence[Column],
        names: Sequence[str] | None = None,
        times: Sequence[Column] | None = None,
    ) -> Windows:
        """Return windows over `series`, arrays of shape (T_i, F), with times (T_i,)."""
        if times is None and self.needs_times:
            raise InputError(
                "windows are to be cut by time, but the file has no column of times; name it with "
                "`time`, or give `window` and `stride` as numbers of steps and no "
                "`max_gap`."
            )
        return Windows(
            list(series),
            self.size or 0,
            self.stride,
            tail=self.tail,
            short=self.short,
            dilation=self.dilation,
            times=list(times or ()) if self.needs_times else None,
            max_gap=self.max_gap,
            feature_names=names,
            missing=self.missing,
        )


def of_series(
    series: Sequence[Column],
    options: WindowOptions,
    *,
    ids: Sequence[Any] | None = None,
    steps: dict[str, list[Column]] | None = None,
    names: Sequence[str] | None = None,
    notes: Sequence[str] = (),
) -> FileData:
    """Return series of shape (T_i, F) with columns for their steps, cut or whole.

    Without a window every series becomes one sequence, with the label of its last step.
    """
    steps = steps or {}
    codes = Codes(options.missing_values, options.missing)
    source: Sequences | Windows
    index: dict[str, Column] = {}
    if options.size is None:
        source = _with_missing(Sequences.from_list(series, names, options.missing), codes)
        owner, last = np.arange(len(series)), np.array([len(one) - 1 for one in series])
    else:
        series = [codes.replaced(one) for one in series]
        source = options.windows(series, names, steps.get("time"))
        owner, start = source.place(np.arange(len(source)))
        last = source.ends_of(np.arange(len(source))) - 1
    notes = [*notes, *codes.notes()]
    if ids is not None:
        index["id"] = np.asarray(ids)[owner]
    if options.size is not None:
        index["start"] = _at(steps["time"], owner, start) if "time" in steps else start
    if "label" in steps:
        index["label"] = _at(steps["label"], owner, last)
        notes.append(_label_note(options, steps["label"]))
    return FileData(source, index, steps, None if ids is None else list(ids), tuple(notes))


def of_sequences(
    sequences: Sequences,
    options: WindowOptions,
    *,
    index: dict[str, Column] | None = None,
    notes: Sequence[str] = (),
) -> FileData:
    """N sequences with columns of shape (N,), whole or cut into windows."""
    index = index or {}
    for name, column in index.items():
        if column.shape != (len(sequences),):
            raise InputError(
                f"Expected {name} as {len(sequences)} values, one for each sequence, "
                f"got shape {column.shape}."
            )
    codes = Codes(options.missing_values, options.missing)
    sequences = _with_missing(sequences, codes)
    notes = [*notes, *codes.notes()]
    if options.size is None:
        return FileData(sequences, index, {}, None, tuple(notes))
    ids = index.get("id", np.arange(len(sequences)))
    windows = options.windows([sequences[i] for i in range(len(sequences))])
    owner, start = windows.place(np.arange(len(windows)))
    columns = {"id": ids[owner], "start": start}
    columns |= {name: column[owner] for name, column in index.items() if name != "id"}
    note = f"windows are cut from each of the {len(sequences):,} sequences, none across two"
    return FileData(windows, columns, {}, ids.tolist(), (*notes, note))


def _with_missing(sequences: Sequences, codes: Codes) -> Sequences:
    """Return the sequences with missing values, of which those at the end are no padding."""
    if not codes:
        return sequences
    values, lengths = sequences.values, sequences.lengths
    real = np.arange(values.shape[1]) < lengths[:, None]
    marked = values.copy()
    marked[real] = codes.replaced(values[real])
    return Sequences(marked, lengths, sequences.feature_names, sequences.missing)


def _at(columns: list[Column], owner: IntArray, step: IntArray) -> Column:
    """Return the value at one step of each of N sequences, from the columns of their series."""
    ends = np.cumsum([len(one) for one in columns])
    first = ends - [len(one) for one in columns]
    return np.concatenate(columns)[first[owner] + step]


def _label_note(options: WindowOptions, labels: list[Column]) -> str:
    if options.size is not None:
        return "the label of a window is the one at its last step"
    constant = all((one == one[0]).all() for one in labels)
    return f"the label of a series is {'constant' if constant else 'the one at its last step'}"
