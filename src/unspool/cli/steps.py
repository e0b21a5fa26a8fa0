"""The steps of a file as an anomaly detector reads them, and which of them are normal."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.cli.options import Columns, say
from unspool.data.file_data import Column, FileData
from unspool.data.files import ARRAYS, TABLES, read_file
from unspool.data.messages import listed
from unspool.data.roles import as_times
from unspool.data.sequences import FloatArray, Sequences
from unspool.data.windows import Windows
from unspool.errors import InputError

DAY = np.timedelta64(1, "D")
NORMAL = ("", "0", "normal", "false")  # labels of steps that are no anomalies


@dataclass(frozen=True)
class Steps:
    """Long series, or whole sequences, with what says which step or sequence a row is.

    Parameters
    ----------
    name : str
        Of the file.
    series : list of arrays (T_i, F)
        Empty where there are sequences.
    sequences : Sequences or None
    first : list of int
        The number in the file of the first step of each series (of the sequences, of the first).
    names : tuple of F strings, or None
        Of the features.
    ids : list or None
        What the series are called.
    columns : dict of names to lists of arrays (T_i,)
        Of the steps: `time` and `label`, where there are any; of sequences one array (N,) each.
    """

    name: str
    series: list[FloatArray]
    sequences: Sequences | None
    first: list[int]
    names: tuple[str, ...] | None
    ids: list[Any] | None
    columns: dict[str, list[Column]]

    @property
    def X(self) -> Any:
        """What a detector takes: sequences, or a list of series, with names where they are known.

        Without names, columns of tables are matched by nothing but their number.
        """
        if self.sequences is not None or self.names is None:
            return self.series if self.sequences is None else self.sequences
        import pyarrow as pa

        return [
            pa.table({name: one[:, i] for i, name in enumerate(self.names)}) for one in self.series
        ]

    @property
    def lengths(self) -> list[int]:
        """Steps of each series, or the number of sequences."""
        if self.sequences is not None:
            return [len(self.sequences)]
        return [len(one) for one in self.series]

    @property
    def times(self) -> list[Column]:
        """What says when each step was: its time, or its number in the file."""
        numbers = zip(self.first, self.lengths, strict=True)
        return self.columns.get("time") or [np.arange(at, at + n) for at, n in numbers]

    @property
    def labels(self) -> list[npt.NDArray[np.bool_]] | None:
        """Which steps (or sequences) are labelled as anomalies."""
        found = self.columns.get("label")
        return None if found is None else [flags_of(one) for one in found]

    def cut(self, at: Sequence[int]) -> tuple["Steps", "Steps"]:
        """The first `at` steps of each series (or sequences), and the rest; no empty series."""
        return self._part([slice(one) for one in at]), self._part([slice(one, None) for one in at])

    def _part(self, parts: Sequence[slice]) -> "Steps":
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
            ids=None if self.ids is None else [self.ids[i] for i in kept],
        )

    def index(self) -> dict[str, Column]:
        """Columns that say which step (or sequence) each row of an output is, see `by_step`."""
        if self.sequences is not None:
            known = {name: values[0] for name, values in self.columns.items()}
            return known if "id" in known else {"sequence": self.called(), **known}
        columns: dict[str, Column] = {}
        if self.ids is not None:
            columns["id"] = np.repeat(self.called(), self.lengths)
        columns["time" if "time" in self.columns else "step"] = np.concatenate(self.times)
        if "label" in self.columns:
            columns["label"] = np.concatenate(self.columns["label"])
        return columns

    def called(self) -> Column:
        """What the series, or the sequences, are called."""
        if self.sequences is not None:
            ids = self.columns.get("id")
            return self.first[0] + np.arange(self.lengths[0]) if ids is None else ids[0]
        return np.asarray(self.ids if self.ids is not None else np.arange(len(self.series)))

    def per_day(self) -> float | None:
        """Steps of a day, from the median time between two steps; None without dates."""
        times = self.columns.get("time", [])
        if self.sequences is not None or not times or times[0].dtype.kind != "M":
            return None
        apart = np.concatenate([np.diff(one) for one in times])
        apart = apart[apart > np.timedelta64(0)]
        return float(DAY / np.median(apart)) if len(apart) else None


def read_steps(path: Path, columns: Columns, features: Sequence[str] | None = None) -> Steps:
    """Read a file, and say what was taken for what.

    Parameters
    ----------
    path : Path
    columns : Columns
        The options.
    features : sequence of strings, optional
        The features of a model, for a table where `columns` names none. As many others that
        `columns` names are read in their place, in their order.
    """
    ending = path.suffix.lower()
    asked = columns.names()
    named = asked
    if asked is None and features is not None and ending in TABLES and not columns.rows:
        named = list(features)

    def read(window: int | None) -> FileData:
        return read_file(
            path,
            window=window,
            columns=named,
            time=columns.time,
            id=columns.id,
            label=columns.label,
            rows=columns.rows,
        )

    long = ending in (*TABLES, *ARRAYS) and not columns.rows
    try:
        loaded = read(1 if long else None)
        if ending in ARRAYS and loaded.series_ids is not None:
            loaded = read(None)  # it holds sequences (N, T, F), which are scored whole
    except InputError as error:
        if asked is None and named is not None and "`columns`" in str(error):
            error.add_note(f"The model was trained on the features {', '.join(named)}.")
        raise
    for note in loaded.notes:
        if not note.startswith("the label of"):  # those are of windows and whole sequences
            say(f"{path.name}: {note}")
    found = _steps(path.name, loaded)
    say(f"{path.name}: {_described(found)}")
    if asked is None or features is None or set(asked) == set(features):
        return found
    if ending not in TABLES or len(asked) != len(features):
        return found
    pairs = [f"{one} as {other}" for one, other in zip(asked, features, strict=True)]
    say(f"{path.name}: columns of --columns are read as features of the model: {listed(pairs)}")
    return replace(found, names=tuple(features))


def _steps(name: str, loaded: FileData) -> Steps:
    source = loaded.source
    if isinstance(source, Windows):
        series, ids = list(source.series), loaded.series_ids
        names = source.feature_names
        return Steps(name, series, None, [0] * len(series), names, ids, loaded.steps)
    columns = {key: [values] for key, values in loaded.index.items()}
    return Steps(name, [], source, [0], source.feature_names, None, columns)


def _described(steps: Steps) -> str:
    if steps.sequences is not None:
        return f"{steps.sequences!r}"
    lengths = steps.lengths
    short, long = min(lengths), max(lengths)
    counted = f"{long:,}" if short == long else f"{short:,} to {long:,}"
    features = steps.series[0].shape[1]
    return (
        f"{len(lengths):,} series of {counted} steps, {features:,} "
        f"feature{'' if features == 1 else 's'}"
    )


def normal_until(steps: Steps, text: str) -> list[int]:
    """How many steps of each series (or sequences) lie before a time, or a number of rows."""
    times = steps.columns.get("time")
    if times is None or steps.sequences is not None:
        if not text.isdecimal():
            what = "sequences" if steps.sequences is not None else "rows, since it has no times"
            raise InputError(
                f"{steps.name}: --normal-until must be a whole number of {what}, got {text!r}."
            )
        return [min(int(text), length) for length in steps.lengths]
    at = _time(text, times[0].dtype.kind)
    if at is None:
        example = times[0][0]
        raise InputError(
            f"{steps.name}: --normal-until must be a time like {example}, got {text!r}."
        )
    later = [one >= at for one in times]
    return [int(one.argmax()) if one.any() else len(one) for one in later]


def _time(text: str, kind: str) -> Any:
    """A time as those of a column, dates or numbers; None for another text."""
    if kind == "M":
        import pyarrow as pa

        found = as_times(pa.array([text]))
        return None if found is None else found[0]
    try:
        return float(text)
    except ValueError:
        return None


def flags_of(column: Column) -> npt.NDArray[np.bool_]:
    """Which steps a column of labels calls anomalies.

    Numbers are 0 or 1, or missing; of names, an empty one, 0, normal and false are normal.
    """
    if column.dtype.kind == "b":
        return np.asarray(column, dtype=bool)
    if column.dtype.kind not in "iuf":
        texts = [str(one).strip().lower() for one in column.tolist()]
        return np.array([text not in NORMAL for text in texts], dtype=bool)
    values = np.nan_to_num(column.astype(np.float64))
    odd = (values != 0) & (values != 1)
    if odd.any():
        raise InputError(
            "Labels must be 0 or 1, or names of which an empty one, 0 and normal mean normal, got "
            f"{values[odd][0]:g}; name another column with --label."
        )
    return np.asarray(values == 1)
