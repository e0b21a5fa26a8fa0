"""Long series and sequences from a file become `FileData`, cut into windows if requested.

A reader finds series or sequences in a file and passes them to `of_series` or `of_sequences`,
with the columns that describe them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from unspool._durations import Duration, seconds
from unspool._types import Missing, MissingPolicy, Short
from unspool.data.gaps import gaps_in
from unspool.data.missing_values import Codes
from unspool.data.sequences import IntArray, Sequences
from unspool.data.stored import Changed, Stored, Values, edges_of
from unspool.data.stored_runs import Runs
from unspool.data.window_places import in_pieces
from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.io.file_data import Column, FileData, OnDemand
from unspool.io.missing import without_missing
from unspool.io.streaming import WAYS


@dataclass(frozen=True)
class WindowOptions:
    """How to cut series into windows, as for `Windows`; with a `size` of None they stay whole.

    `missing` says what happens to missing values, `missing_values` which numbers mean that a value
    is missing, and `interpolate_limit` how many successive ones are interpolated, however the
    series are cut.
    """

    size: int | Duration | None = None
    stride: int | Duration = 1
    tail: bool = False
    short: Short = "error"
    dilation: int = 1
    max_gap: float | Duration | None = "auto"
    missing: MissingPolicy = "raise"
    missing_values: tuple[float, ...] = ()
    interpolate_limit: int | None = None

    @property
    def kept(self) -> Missing:
        """Whether values may be missing in what is read: "mask", or else "raise"."""
        return "mask" if self.missing == "mask" else "raise"

    @property
    def accepted(self) -> Missing:
        """Whether values may be missing in the file, before any are dropped or interpolated."""
        return "raise" if self.missing == "raise" else "mask"

    @property
    def needs_times(self) -> bool:
        """Whether windows are cut by time."""
        in_time = seconds(self.size) is not None or seconds(self.stride) is not None
        return in_time or not (self.max_gap is None or self.max_gap == "auto")

    def windows(
        self,
        series: Sequence[Values],
        names: Sequence[str] | None = None,
        times: Sequence[Column] | None = None,
        breaks: Sequence[IntArray] | None = None,
    ) -> Windows:
        """Return windows over `series`, arrays of shape (T_i, F), with times (T_i,).

        No window crosses the steps `breaks`.
        """
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
            breaks=breaks,
            feature_names=names,
            missing=self.kept,
        )

    def breaks_at(
        self, breaks: Sequence[IntArray], times: Sequence[Column] | None, lengths: Sequence[int]
    ) -> tuple[list[IntArray] | None, tuple[str, ...]]:
        """Return where windows begin anew, and notes: at `breaks`, and after gaps in time.

        Gaps are looked for if `max_gap` is "auto" and windows are cut in steps. They are ignored
        if no window would lie between two of them.
        """
        found = list(breaks) or None
        auto = isinstance(self.max_gap, str) and self.max_gap == "auto"
        if not auto or self.needs_times or times is None or not isinstance(self.size, int):
            return found, ()
        gaps = gaps_in(list(times))
        if gaps is not None and found is not None:
            gaps = gaps.without(found)  # where steps were dropped, which another note says
        if gaps is None:
            return found, ()
        both = gaps.breaks if found is None else list(map(np.union1d, gaps.breaks, found))
        span = (self.size - 1) * self.dilation + 1
        longest = max(
            int(np.diff(np.r_[0, one, length]).max())
            for one, length in zip(both, lengths, strict=True)
        )
        if longest < span and self.short == "error":
            return found, (gaps.ignored_note(self.size),)
        return both, (gaps.note(),)


def of_series(
    series: Sequence[Any],
    options: WindowOptions,
    *,
    ids: Sequence[Any] | None = None,
    steps: dict[str, list[Column]] | None = None,
    names: Sequence[str] | None = None,
    notes: Sequence[str] = (),
    time_format: Any = None,
    rows: list[Any] | None = None,
    id_parts: Mapping[str, Column] | None = None,
) -> FileData:
    """Return series of shape (T_i, F) with columns for their steps, cut or whole.

    Without a window every series becomes one sequence, with the label of its last step. `id_parts`
    are the columns that are joined to `ids`, with one value for each series.
    """
    steps, id_parts = steps or {}, id_parts or {}
    if any(isinstance(one, Stored) for one in series):
        return _of_stored(series, options, ids, steps, names, notes, time_format, rows, id_parts)
    codes = Codes(options.missing_values, options.missing)
    source: Sequences | Windows
    index: dict[str, Column] = {}
    series = [codes.replaced(one) for one in series]
    notes = [*notes, *codes.notes()]
    series, kept, breaks, said = without_missing(
        series, options.missing, options.interpolate_limit, steps.get("time"), names
    )
    notes += said
    if kept is not None:
        steps = {
            name: [one[some] for one, some in zip(columns, kept, strict=True)]
            for name, columns in steps.items()
        }
        rows = rows and [one[some] for one, some in zip(rows, kept, strict=True)]
    if options.size is None:
        source = Sequences.from_list(series, names, options.kept)
        if codes:
            source = _unpadded(source, series)
        owner, last = np.arange(len(series)), np.array([len(one) - 1 for one in series])
    else:
        lengths = [len(one) for one in series]
        cuts, said_of_gaps = options.breaks_at(breaks, steps.get("time"), lengths)
        source = options.windows(series, names, steps.get("time"), cuts)
        notes += said_of_gaps
        owner, start = source.place(np.arange(len(source)))
        last = source.ends_of(np.arange(len(source))) - 1
    if ids is not None:
        index["id"] = np.asarray(ids)[owner]
        index |= {name: values[owner] for name, values in id_parts.items()}
    if options.size is not None:
        index["start"] = _at(steps["time"], owner, start) if "time" in steps else start
    if "label" in steps:
        index["label"] = _at(steps["label"], owner, last)
        notes.append(_label_note(options, steps["label"]))
    names_of_series = None if ids is None else list(ids)
    return FileData(
        source,
        index,
        steps,
        names_of_series,
        tuple(notes),
        time_format,
        rows,
        id_parts=id_parts,
    )


def _of_stored(
    series: Sequence[Values],
    options: WindowOptions,
    ids: Sequence[Any] | None,
    steps: dict[str, list[Column]],
    names: Sequence[str] | None,
    notes: Sequence[str],
    time_format: Any,
    rows: list[Any] | None,
    id_parts: Mapping[str, Column],
) -> FileData:
    """Return series that are read in pieces; the columns of the windows are made when needed."""
    notes = list(notes)
    series = [_with_codes(one, options.missing_values) for one in series]
    if options.missing_values:
        codes = " or ".join(f"{one:g}" for one in options.missing_values)
        notes.append(f"values that are {codes} are read as missing")
    lengths = np.array([len(one) for one in series])
    source: Sequences | Windows
    index: dict[str, Callable[[], Column]] = {}
    if options.size is None:
        owner = np.arange(len(series))
        runs = Runs(series, owner, np.zeros_like(owner), lengths)
        if options.kept == "mask" and not options.missing_values:
            runs = runs.without_empty_ends()
        source = Sequences(runs, runs.lengths, names, options.kept)
        if ids is not None:
            index["id"] = lambda: np.asarray(ids)
            index |= {name: partial(np.asarray, one) for name, one in id_parts.items()}
        if "label" in steps:
            index["label"] = lambda: np.array([one[-1] for one in steps["label"]])
    else:
        cuts, said = options.breaks_at([], steps.get("time"), lengths.tolist())
        windows = source = options.windows(series, names, steps.get("time"), cuts)
        notes += said
        if ids is not None:
            for name, one in {"id": np.asarray(ids), **id_parts}.items():
                index[name] = partial(_of_owners, windows, one)
        index["start"] = lambda: _each(
            windows, lambda some: _steps_at(steps.get("time"), *windows.place(some))
        )
        if "label" in steps:
            index["label"] = lambda: _each(
                windows,
                lambda some: _steps_at(
                    steps["label"], windows.place(some)[0], windows.ends_of(some) - 1
                ),
            )
    if "label" in steps:
        notes.append(_label_note(options, steps["label"]))
    names_of_series = None if ids is None else list(ids)
    return FileData(
        source,
        OnDemand(index),
        steps,
        names_of_series,
        tuple(notes),
        time_format,
        rows,
        id_parts=id_parts,
    )


def _of_owners(windows: Windows, column: Column) -> Column:
    """Return the value of the series of each window."""
    return column[_each(windows, lambda some: windows.place(some)[0])]


def _with_codes(series: Values, codes: tuple[float, ...]) -> Values:
    """Return a series in which some numbers are missing values."""
    if not codes or not isinstance(series, Stored):
        return series
    kind = series.dtype if series.dtype.kind == "f" else np.dtype(np.float64)
    return Changed(series, partial(_replaced, codes, kind), series.shape[1:], kind, series.names)


def _replaced(codes: tuple[float, ...], kind: np.dtype[Any], values: Column) -> Column:
    found = values.astype(kind)
    found[np.isin(found, np.array(codes).astype(kind))] = np.nan
    return found


def _each(windows: Windows, column: Callable[[IntArray], Column]) -> Column:
    """Return a column of all windows, made for some of them at a time."""
    return np.concatenate([column(some) for some in in_pieces(len(windows))])


def _steps_at(columns: list[Column] | None, owner: IntArray, step: IntArray) -> Column:
    """Return the values at steps of series, or the numbers of the steps without values."""
    if columns is None:
        return step
    found = np.empty(len(step), np.result_type(*{one.dtype for one in columns}))
    for start, stop in pairwise(edges_of(owner).tolist()):  # windows are in the order of series
        found[start:stop] = columns[int(owner[start])][step[start:stop]]
    return found


def of_sequences(
    sequences: Sequences,
    options: WindowOptions,
    *,
    index: dict[str, Column] | None = None,
    notes: Sequence[str] = (),
    time_format: Any = None,
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
    if isinstance(sequences.values, Stored):
        return _of_stored_sequences(sequences, options, index, notes, time_format)
    sequences = _with_missing(sequences, codes)
    notes = [*notes, *codes.notes()]
    if options.missing in ("drop", "interpolate"):
        each = [sequences[i] for i in range(len(sequences))]
        each, _, _, said = without_missing(
            each, options.missing, options.interpolate_limit, None, sequences.feature_names
        )
        sequences = Sequences.from_list(each, sequences.feature_names)
        notes += said
    if options.size is None:
        return FileData(sequences, index, {}, None, tuple(notes), time_format)
    ids = index.get("id", np.arange(len(sequences)))
    windows = options.windows([sequences[i] for i in range(len(sequences))])
    owner, start = windows.place(np.arange(len(windows)))
    columns = {"id": ids[owner], "start": start}
    columns |= {name: column[owner] for name, column in index.items() if name != "id"}
    note = f"windows are cut from each of the {len(sequences):,} sequences, none across two"
    return FileData(windows, columns, {}, ids.tolist(), (*notes, note))


def _of_stored_sequences(
    sequences: Sequences,
    options: WindowOptions,
    index: dict[str, Column],
    notes: Sequence[str],
    time_format: Any,
) -> FileData:
    """Return whole sequences that are read in pieces."""
    if options.size is not None:
        raise InputError(
            f"windows of sequences are not read in pieces; {WAYS}, or leave `window` out."
        )
    if options.missing_values:
        sequences = Sequences(
            _with_codes(sequences.values, options.missing_values),
            sequences.lengths,
            sequences.feature_names,
            sequences.missing,
        )
    return FileData(sequences, index, {}, None, tuple(notes), time_format)


def _unpadded(sequences: Sequences, series: Sequence[Column]) -> Sequences:
    """Return the sequences with steps without a value at their ends, which are no padding."""
    lengths = np.array([len(one) for one in series])
    if (sequences.lengths == lengths).all():
        return sequences
    shape = len(series), int(lengths.max()), sequences.n_features
    values = np.zeros(shape, sequences.values.dtype)
    for row, one in zip(values, series, strict=True):
        row[: len(one)] = one
    return Sequences(values, lengths, sequences.feature_names, sequences.missing)


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
