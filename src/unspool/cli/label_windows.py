"""Labels that are periods of time in a separate file (`unspool evaluate --labels`)."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool.cli.detection_data import DetectionData
from unspool.cli.options import say
from unspool.data.messages import errors_naming, listed
from unspool.errors import InputError
from unspool.evaluation import labels_from_windows
from unspool.io.file_data import Column
from unspool.io.loading import table_of
from unspool.io.time_columns import as_times

Labels = list[npt.NDArray[np.bool_]]


def labels_from_file(given: str, scored: DetectionData) -> Labels:
    """Return the labels of every series, from windows (start, end) in a file.

    Parameters
    ----------
    given : str
        FILE or FILE:KEY. A table has one window in each row. A JSON file is a list of windows, or
        an object of such lists by name. KEY is the end of such a name. Without a KEY, the name must
        end with the name of the scored file, or be the only one.
    scored : DetectionData
        The scored steps. Windows that contain none of them are ignored.

    Raises
    ------
    InputError
        If the file cannot be read, or does not fit the scored data.
    """
    path, key = split_key(given)
    with errors_naming(path):
        if not path.exists():
            raise InputError("there is no such file; check the path.")
        if path.suffix.lower() == ".json":
            windows = _windows_in_json(path, key, scored)
        else:
            if key is not None:
                raise InputError(f"a table has no keys; leave out :{key}.")
            windows = _windows_in_table(path, scored)
        labels, n_ignored = [], 0
        for times, of_series in zip(scored.times, windows, strict=True):
            inside = [one for one in of_series if _overlaps(one, times)]
            n_ignored += len(of_series) - len(inside)
            labels.append(labels_from_windows(times, inside).astype(bool))
    if n_ignored:
        total = sum(map(len, windows))
        say(f"{path.name}: {n_ignored:,} of {total:,} windows contain no step of {scored.name}")
    return labels


def split_key(given: str) -> tuple[Path, str | None]:
    """Split FILE:KEY at the last colon, unless a file with the whole name exists."""
    file, colon, key = given.rpartition(":")
    if colon and file and not Path(given).exists():
        return Path(file), key
    return Path(given), None


def _windows_in_json(path: Path, key: str | None, scored: DetectionData) -> list[list[Any]]:
    if len(scored.series) > 1:
        raise InputError("a JSON file holds windows of one series; give a table with an id column.")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"this is not valid JSON: {error}.") from None
    if isinstance(content, dict):
        content = content[_entry_name(list(content), key, scored.name)]
    if not isinstance(content, list) or not all(
        isinstance(one, list) and len(one) == 2 for one in content
    ):
        raise InputError("expected a list of windows, each a pair [start, end].")
    kind = scored.times[0].dtype.kind
    return [[[_as_time(one, kind) for one in pair] for pair in content]]


def _entry_name(names: list[str], key: str | None, scored: str) -> str:
    """Return the name that ends with the key, or else with the name of the scored file."""
    if key is None and len(names) == 1:
        return names[0]
    wanted = scored if key is None else key
    found = [name for name in names if name.endswith(wanted)]
    exact = [name for name in found if name == wanted or name.endswith(f"/{wanted}")]
    found = exact if len(exact) == 1 else found
    if len(found) != 1:
        matching = f"{len(found)} entries end" if found else "no entry ends"
        raise InputError(
            f"{matching} with {wanted!r}; select one with --labels FILE:KEY: "
            f"{listed(found or names)}."
        )
    return found[0]


def _windows_in_table(path: Path, scored: DetectionData) -> list[list[Any]]:
    """Return the windows of each series, from the rows of a table."""
    table = table_of(path)
    names = table.column_names
    for name in ("start", "end"):
        if name not in names:
            raise InputError(f"{_checks.unknown_name('column', name, names)}")
    kind = scored.times[0].dtype.kind
    ends = [_as_times(table[name], kind, name) for name in ("start", "end")]
    pairs = [list(pair) for pair in zip(*ends, strict=True)]
    if len(scored.series) == 1 and scored.ids is None:
        return [pairs]
    column = next((name for name in ("id", "series", "sequence") if name in names), None)
    if column is None:
        raise InputError(
            f"{scored.name} has several series; add a column id that names the series of each "
            "window."
        )
    owners = [str(one) for one in table[column].to_pylist()]
    known = [str(one) for one in scored.row_names().tolist()]
    unknown = sorted(set(owners) - set(known))
    if unknown:
        raise InputError(f"there is no series {unknown[0]!r} in {scored.name}.")
    return [
        [pair for pair, owner in zip(pairs, owners, strict=True) if owner == name] for name in known
    ]


def _as_times(column: Any, kind: str, name: str) -> Column:
    """Return a column of dates if `kind` is "M", else of numbers."""
    times = as_times(column)
    if (times is not None) != (kind == "M") or column.null_count:
        what = "dates" if kind == "M" else "numbers"
        raise InputError(f"column {name!r} must hold {what}, like the times of the scores.")
    try:
        return np.asarray(column.to_numpy(), float) if times is None else times
    except ValueError:
        raise InputError(f"column {name!r} holds no numbers.") from None


def _as_time(value: Any, kind: str) -> Any:
    """Return a date if `kind` is "M", else the value unchanged."""
    if kind != "M":
        return value
    try:
        return np.datetime64(str(value), "us")
    except ValueError:
        raise InputError(f"expected dates such as 2013-12-10 06:25:00, got {value!r}.") from None


def _overlaps(window: Any, times: Column) -> bool:
    """Return whether the window overlaps with the range of the times."""
    start, end = window
    return bool(len(times) and start <= times.max() and end >= times.min())
