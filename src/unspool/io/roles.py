"""The roles of the columns of a table: time, id, label, feature, or row number.

`find_roles` starts from the columns that the user named. It finds a column of dates by its content,
and time, id and label by their usual names; all other columns are features. Notes report every
guess.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from unspool import _checks
from unspool.data.messages import listed
from unspool.errors import InputError
from unspool.io.options import TimeOptions
from unspool.io.time_columns import EPOCH_NAMES, looks_like_times, parse_times

TIME_NAMES = ("time", "timestamp", "date", "datetime", "ds", "t", "step", "cycle", "index")
ID_NAMES = (
    *("id", "unit", "engine", "series", "item", "sequence", "machine", "device", "subject"),
    *("unit_id", "engine_id", "series_id", "item_id", "sequence_id", "machine_id"),
    *("device_id", "subject_id", "sensor_id", "unique_id", "unit_number", "engine_number"),
)
LABEL_NAMES = ("label", "labels", "class", "anomaly", "is_anomaly", "target_class")
UNNAMED = ("", "Unnamed: 0", "__index_level_0__")  # names that pandas writes for an index


@dataclass(frozen=True)
class Roles:
    """Names of the columns by their role, and notes on how they were found."""

    time: str | None
    id: str | None
    label: str | None
    features: list[str]
    notes: tuple[str, ...]
    weight: str | None = None


def find_roles(
    table: Any,
    named: dict[str, str | None],
    columns: Sequence[str] | None,
    *,
    rows: bool = False,
    times: TimeOptions | None = None,
) -> Roles:
    """Find the role of each column of a `pyarrow.Table`.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    named : dict with the keys "time", "id" and "label", and possibly "weight"
        Columns that the user named; for None, the column is searched for, except the weights.
    columns : sequence of str, optional
        The features, if the user named them.
    rows : bool, default False
        Whether each row is one sequence, so that an id may differ in every row.
    times : TimeOptions, optional
        How texts are read as times.
    """
    _check_names(table.column_names, named, columns)
    found = dict(named)
    notes: list[str] = []
    kept = set(columns or ()) | {name for name in named.values() if name is not None}
    counts = Counter(table.column_names)
    free = [name for name in table.column_names if name not in kept and counts[name] == 1]
    if found["time"] is None:
        found["time"] = _time_column(table, free, times or TimeOptions())
    numbers = [name for name in free if name in UNNAMED and name != found["time"]]
    by_name = [name for name in free if name != found["time"]]
    if found["id"] is None:
        name = _usual(by_name, ID_NAMES)
        if name is not None and not rows and _all_differ(table[name]):
            numbers.append(name)
        else:
            found["id"] = name
    if found["label"] is None:
        found["label"] = _usual(by_name, LABEL_NAMES)
    notes += [
        f"{_column(name)} taken as {role}, set aside"
        for role, name in found.items()
        if name is not None
    ]
    notes += [f"{_column(name)} taken as row number, set aside" for name in numbers]
    taken = {*numbers, *(name for name in found.values() if name is not None)}
    if columns is None:
        features = [name for name in table.column_names if name not in taken]
    else:
        features = list(columns)
        rest = [name for name in counts if name not in kept and name not in taken]
        if rest:
            notes.append(f"columns that are not in `columns` are left out: {listed(rest)}")
    if not features:
        raise InputError(
            f"no column is left as a feature: {'; '.join(notes)}. Name the features with `columns` "
            "(--columns)."
        )
    plural = "s" if len(features) > 1 else ""
    kind = "step" if rows else "feature"
    notes.append(f"{len(features):,} column{plural} as {kind}{plural}: {listed(features)}")
    weight = found.get("weight")
    return Roles(found["time"], found["id"], found["label"], features, tuple(notes), weight)


def is_numeric(kind: Any) -> bool:
    """Return whether an Arrow type holds whole or real numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _check_names(
    names: list[str], named: dict[str, str | None], columns: Sequence[str] | None
) -> None:
    asked = [(role, name) for role, name in named.items() if name is not None]
    asked += [("columns", name) for name in columns or ()]
    wanted = set(names) if columns is None else {name for _, name in asked}
    _check_duplicates({name: n for name, n in Counter(names).items() if n > 1 and name in wanted})
    if columns is not None and not columns:
        raise InputError("`columns` is empty; name at least one feature, or leave `columns` out.")
    lacking = [name for name in columns or () if name not in names]
    if len(lacking) > 1:
        raise InputError(
            f"`columns`: there are no columns {listed(lacking)}; the file has {listed(names)}."
        )
    _checks.raise_all(
        *(
            f"`{role}`: {_checks.unknown_name('column', name, names)}"
            for role, name in asked
            if name not in names
        )
    )
    used: dict[str, str] = {}
    for role, name in asked:
        if name in used:
            raise InputError(
                f"column {name!r} is given as `{used[name]}` and as `{role}`; leave one out."
            )
        used[name] = role


def _check_duplicates(counts: dict[str, int]) -> None:
    """Refuse names of more than one column."""
    if not counts:
        return
    reason = f"column names {listed(list(map(repr, counts)))} appear more than once"
    if len(counts) == 1:
        ((name, count),) = counts.items()
        reason = f"column name {name!r} appears {'twice' if count == 2 else f'{count} times'}"
    raise InputError(
        f"{reason}; rename all but one of the columns, or name other features with `columns` "
        "(--columns)."
    )


def _time_column(table: Any, free: list[str], times: TimeOptions) -> str | None:
    """Return the first column of dates, or else the first column of numbers with a usual name."""
    for name in free:
        if looks_like_times(table[name], times):
            return name
    numbers = [name for name in free if is_numeric(table[name].type)]
    usual = _usual(numbers, TIME_NAMES)
    if usual is not None:
        return usual
    for name in numbers:
        if name.strip().lower() in EPOCH_NAMES and parse_times(table[name], times) is not None:
            return name
    return None


def _usual(names: list[str], usual: tuple[str, ...]) -> str | None:
    return next((name for name in names if name.strip().lower() in usual), None)


def _all_differ(column: Any) -> bool:
    return len(column) > 1 and pc.count_distinct(column, mode="all").as_py() == len(column)


def _column(name: str) -> str:
    return f"column {name!r}" if name else "the column without a name"
