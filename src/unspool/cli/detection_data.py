"""The data that an anomaly detector reads from a file, with times, labels and names of series."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool._types import Missing, MissingPolicy
from unspool.anomaly.events import Event
from unspool.anomaly.inputs import DetectorInput, breaks_in
from unspool.cli.data_options import Columns
from unspool.cli.options import say
from unspool.cli.reading import print_notes, read_as_trained, read_without_lost_key
from unspool.cli.stdin import data_path
from unspool.data.messages import listed
from unspool.data.sequences import FloatArray, IntArray, Sequences
from unspool.data.windows import Windows
from unspool.errors import InputError
from unspool.io.endings import ARRAYS, PACKED, ending_of
from unspool.io.file_data import Column, FileData
from unspool.io.files import read_file
from unspool.io.loading import has_column_names, holds_pictures, holds_sequences
from unspool.io.several import is_several
from unspool.io.time_columns import TimeFormat
from unspool.io.time_output import OutputTimes, order_of

DAY = np.timedelta64(1, "D")
NORMAL_LABELS = ("", "0", "normal", "false")


@dataclass(frozen=True)
class DetectionData:
    """Long series, or whole sequences, with the times, labels and names of their rows.

    Parameters
    ----------
    name : str
        Name of the file.
    series : list of arrays (T_i, F)
        The series; empty if the file holds sequences.
    sequences : Sequences or None
        The sequences, if the file holds sequences.
    first : list of int
        Number in the file of the first step of each series, or of the first sequence.
    names : tuple of F strings, or None
        Names of the features.
    ids : list or None
        Names of the series.
    columns : dict of names to lists of arrays (T_i,)
        Values of the steps: `time` and `label`, if there are any. For sequences, lists of one
        array (N,).
    breaks : list of arrays of int, or None
        Steps of each series before which it is cut, at gaps in time or where steps were dropped.
    time_format : TimeFormat, optional
        Writes times as the file does.
    rows : list of arrays (T_i,) of int, optional
        Row of the file of every step.
    id_parts : mapping of str to array (number of series,)
        The columns that are joined to `ids`.
    times_in_header : bool
        Whether each row of the file is a series, whose times are the names of columns.
    """

    name: str
    series: list[FloatArray]
    sequences: Sequences | None
    first: list[int]
    names: tuple[str, ...] | None
    ids: list[Any] | None
    columns: dict[str, list[Column]]
    breaks: list[IntArray] | None = None
    time_format: TimeFormat | None = None
    rows: list[Column] | None = None
    id_parts: Mapping[str, Column] = field(default_factory=dict)
    times_in_header: bool = False

    @property
    def X(self) -> Any:
        """The input of a detector: sequences, or series with the names of their features."""
        if self.sequences is not None:
            return self.sequences
        times = self.columns.get("time")
        return DetectorInput(self.series, None, True, self.names, times, self.breaks)

    @property
    def lengths(self) -> list[int]:
        """Number of steps of each series, or a list with the number of sequences."""
        if self.sequences is not None:
            return [len(self.sequences)]
        return [len(one) for one in self.series]

    @property
    def times(self) -> list[Column]:
        """The time of each step, or else its number in the file."""
        numbers = zip(self.first, self.lengths, strict=True)
        return self.columns.get("time") or [np.arange(at, at + n) for at, n in numbers]

    @property
    def labels(self) -> list[npt.NDArray[np.bool_]] | None:
        """The steps (or sequences) that are labelled as anomalies; None without labels."""
        found = self.columns.get("label")
        return None if found is None else [flags_of(one) for one in found]

    def split(self, at: Sequence[int]) -> tuple["DetectionData", "DetectionData"]:
        """Return the first `at` steps of each series (or sequences), and the rest.

        If a series has no steps in one part, it is left out of that part.
        """
        return self._part([slice(one) for one in at]), self._part([slice(one, None) for one in at])

    def _part(self, parts: Sequence[slice]) -> "DetectionData":
        kept = [i for i, part in enumerate(parts) if len(range(self.lengths[i])[part])]
        found = replace(
            self,
            first=[self.first[i] + (parts[i].start or 0) for i in kept],
            columns={
                name: [values[i][parts[i]] for i in kept] for name, values in self.columns.items()
            },
        )
        if self.sequences is not None:
            return replace(found, sequences=self.sequences[parts[0]])
        return replace(
            found,
            series=[self.series[i][parts[i]] for i in kept],
            rows=None if self.rows is None else [self.rows[i][parts[i]] for i in kept],
            ids=None if self.ids is None else [self.ids[i] for i in kept],
            id_parts={name: values[kept] for name, values in self.id_parts.items()},
            breaks=self.breaks
            and [breaks_in(self.breaks[i], parts[i], self.lengths[i]) for i in kept],
        )

    def output_times(self) -> OutputTimes | None:
        """Return the times of all steps as the file wrote them; None if it has none."""
        if self.time_format is None or self.rows is None:
            return None
        found = self.columns.get("time")
        values = None if found is None else np.concatenate(found)
        return OutputTimes(self.time_format, values, np.concatenate(self.rows))

    def order(self) -> IntArray | None:
        """Return the order that puts steps as in the file; None if they are."""
        if self.rows is None or self.times_in_header:
            return None
        return order_of(np.concatenate(self.rows))

    def written_at(self, events: Sequence[Event]) -> list[Column] | None:
        """Return one array (T_i,) for each series with the file's times at the steps of events."""
        if self.time_format is None or self.rows is None:
            return self.columns.get("time")
        written = [np.zeros(length, object) for length in self.lengths]
        for one in events:
            for step in (one.start, one.peak, one.end - 1):
                row = self.rows[one.series][step : step + 1]
                written[one.series][step] = self.time_format.written(None, row)[0].as_py()
        return written

    def index(self) -> dict[str, Any]:
        """Return columns that say which step (or sequence) each row of an output belongs to."""
        if self.sequences is not None:
            known: dict[str, Any] = {name: values[0] for name, values in self.columns.items()}
            if self.time_format is not None and "time" in known:
                rows = self.first[0] + np.arange(self.lengths[0])
                values = known["time"] if self.time_format.readable else None
                known["time"] = OutputTimes(self.time_format, values, rows)
            return known if "id" in known else {"sequence": self.row_names(), **known}
        columns: dict[str, Any] = {}
        if self.ids is not None:
            parts = {"id": self.row_names(), **self.id_parts}
            columns |= {name: np.repeat(one, self.lengths) for name, one in parts.items()}
        times = self.output_times()
        if times is not None:
            columns["time"] = times
        else:
            columns["time" if "time" in self.columns else "step"] = np.concatenate(self.times)
        if "label" in self.columns:
            columns["label"] = np.concatenate(self.columns["label"])
        return columns

    def row_names(self) -> Column:
        """Return the names of the series or sequences, or else their numbers."""
        if self.sequences is not None:
            ids = self.columns.get("id")
            return self.first[0] + np.arange(self.lengths[0]) if ids is None else ids[0]
        return np.asarray(self.ids if self.ids is not None else np.arange(len(self.series)))

    def steps_per_day(self) -> float | None:
        """Return the number of steps in a day, by the median distance of two steps.

        Without dates it is None.
        """
        times = self.columns.get("time", [])
        if self.sequences is not None or not times or times[0].dtype.kind != "M":
            return None
        distances = np.concatenate([np.diff(one) for one in times])
        distances = distances[distances > np.timedelta64(0)]
        return float(DAY / np.median(distances)) if len(distances) else None


def read_detection_data(
    path: Path,
    columns: Columns,
    features: Sequence[str] | None = None,
    missing: Missing = "raise",
    reading: Mapping[str, Any] | None = None,
    *,
    max_gap: str | None = "auto",
) -> DetectionData:
    """Read a file, and print the role of each column.

    Parameters
    ----------
    path : Path
        A table, an array or a file of sequences.
    columns : Columns
        The options for columns.
    features : sequence of strings, optional
        Feature names of a model. They are the columns to read if `columns` names none. If
        `columns` names the same number of other columns, these are read as the features, in order.
    missing : {"raise", "mask"}, default "raise"
        Whether the model accepts missing values.
    reading : mapping, optional
        What the training of a model was given for reading.
    max_gap : "auto" or None, default "auto"
        Whether series are cut at gaps in time that the file shows.
    """
    path = data_path(path)
    if columns.images or holds_pictures(path):
        raise InputError(
            f"{path.name}: `unspool detect` scores series and sequences, and images have no steps; "
            "use `unspool score`, which writes the error of each image."
        )
    of_file = partial(_read, path, columns, features, columns.policy(missing), max_gap)
    return read_without_lost_key(path, columns.unless_given(dict(reading or {})), of_file)


def check_times(data: DetectionData, max_gap: float | str | None) -> None:
    """Check that gaps in time can be found, if a detector is to find them.

    Raises
    ------
    InputError
        If the data have no times.
    """
    if max_gap is None or data.sequences is not None:
        return
    times = data.columns.get("time")
    if times is None:
        raise InputError(
            f"{data.name}: --max-gap of the detector needs the times of the steps, but the file "
            "has no column of times; name it with --time."
        )
    if times[0].dtype.kind != "M" and not isinstance(max_gap, str):
        say(gap_of_numbers(data.name, max_gap))


def gap_of_numbers(name: str, max_gap: float) -> str:
    """Return the message about a gap that a model keeps, for times whose unit is unknown."""
    return (
        f"{name}: the times are plain numbers, and the --max-gap of training, {max_gap:g}, is "
        "taken in their unit"
    )


def _read(
    path: Path,
    columns: Columns,
    features: Sequence[str] | None,
    policy: MissingPolicy,
    max_gap: str | None,
    reading: dict[str, Any],
) -> DetectionData:
    rows = bool(reading.get("rows")) if columns.rows is None else columns.rows
    has_names = has_column_names(path, columns.key or reading.get("key"))
    given = columns.names()
    named = given
    if given is None and features is not None and has_names and not rows:
        named = list(features)

    def read(window: int | None) -> FileData:
        of_columns = partial(
            read_file,
            path,
            window=window,
            columns=named,
            missing=policy,
        )
        given, before = columns.keywords() | {"max_gap": max_gap}, reading
        if window is None:  # nothing is cut
            given["max_gap"] = "auto"
            before = {name: value for name, value in reading.items() if name != "max_gap"}
        return read_as_trained(path, of_columns, given, named, before)[0]

    is_array = not has_names and _ending_inside(path) in ARRAYS
    several = is_several(path) and not holds_sequences(path)
    long = (has_names or is_array or several) and not rows
    try:
        loaded = read(1 if long else None)
        found_rows = loaded.rows_are_sequences and not loaded.times_in_header
        if (is_array and loaded.series_ids is not None) or (long and found_rows):
            loaded = read(None)  # (N, T, F), or rows, hold sequences, each with one score
    except InputError as error:
        if given is None and named is not None and "`columns`" in str(error):
            error.add_note(f"The model was trained on the features {', '.join(named)}.")
        raise
    of_model = named is not None and given is None
    # Notes on labels are about windows and whole sequences.
    print_notes(path.name, loaded, of_model=of_model, leave_out="the label of")
    found = _detection_data(path.name, loaded)
    say(f"{path.name}: {_described(found)}")
    if given is None or features is None or set(given) == set(features):
        return found
    if not has_names or len(given) != len(features):
        return found
    pairs = [f"{one} as {other}" for one, other in zip(given, features, strict=True)]
    say(f"{path.name}: the columns of --columns are read as the model's features: {listed(pairs)}")
    return replace(found, names=tuple(features))


def _ending_inside(path: Path) -> str:
    """Return the ending of a file, or of the file that a compressed one contains."""
    ending = ending_of(path)
    return ending_of(path.with_suffix("")) if ending in PACKED else ending


def _detection_data(name: str, loaded: FileData) -> DetectionData:
    source = loaded.source
    if isinstance(source, Windows):
        series, ids = list(source.series), loaded.series_ids
        names = source.feature_names
        first, steps, rows, breaks = [0] * len(series), loaded.steps, loaded.rows, source.breaks
        return DetectionData(
            name,
            series,
            None,
            first,
            names,
            ids,
            steps,
            breaks,
            loaded.time_format,
            rows,
            loaded.id_parts,
            loaded.times_in_header,
        )
    columns = {key: [values] for key, values in loaded.index.items()}
    names = source.feature_names
    return DetectionData(
        name, [], source, [0], names, None, columns, time_format=loaded.time_format
    )


def _described(data: DetectionData) -> str:
    if data.sequences is not None:
        return f"{data.sequences!r}"
    lengths = data.lengths
    short, long = min(lengths), max(lengths)
    counted = f"{long:,}" if short == long else f"{short:,} to {long:,}"
    features = data.series[0].shape[1]
    return (
        f"{len(lengths):,} series of {counted} steps, {features:,} "
        f"feature{'' if features == 1 else 's'}"
    )


def n_before(data: DetectionData, text: str) -> list[int]:
    """Return how many steps of each series (or sequences) come before a time or a row."""
    times = data.columns.get("time")
    if times is None or data.sequences is not None:
        if not text.isdecimal():
            what = "sequences" if data.sequences is not None else "rows, since it has no times"
            raise InputError(
                f"{data.name}: --normal-until must be a whole number of {what}, got {text!r}."
            )
        return [min(int(text), length) for length in data.lengths]
    at = _time(text, times[0].dtype.kind, data.time_format)
    if at is None:
        example = times[0][0]
        raise InputError(
            f"{data.name}: --normal-until must be a time like {example}, got {text!r}."
        )
    later = [one >= at for one in times]
    return [int(one.argmax()) if one.any() else len(one) for one in later]


def _time(text: str, kind: str, format: TimeFormat | None) -> Any:
    """Parse a date if `kind` is "M", else a number; return None for any other text."""
    if kind == "M":
        return None if format is None else format.read(text)
    try:
        return float(text)
    except ValueError:
        return None


def flags_of(column: Column) -> npt.NDArray[np.bool_]:
    """Return which steps a label column marks as anomalies.

    Numbers must be 0, 1 or missing. Of words, an empty one, 0, normal and false mean normal.
    """
    if column.dtype.kind == "b":
        return np.asarray(column, dtype=bool)
    if column.dtype.kind not in "iuf":
        texts = [str(one).strip().lower() for one in column.tolist()]
        return np.array([text not in NORMAL_LABELS for text in texts], dtype=bool)
    values = np.nan_to_num(column.astype(np.float64))
    other = (values != 0) & (values != 1)
    if other.any():
        raise InputError(
            "Labels must be 0 or 1, or words (empty, 0 and normal mean normal), got "
            f"{values[other][0]:g}; name another column with --label."
        )
    return np.asarray(values == 1)
