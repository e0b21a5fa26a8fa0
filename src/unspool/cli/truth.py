"""Labels of a file of their own, as windows of time."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool.cli.options import say
from unspool.cli.steps import Steps
from unspool.data.file_data import Column
from unspool.data.files import TABLES
from unspool.data.messages import errors_naming, listed
from unspool.data.roles import as_times
from unspool.data.tables import read_table
from unspool.errors import InputError
from unspool.evaluation import labels_from_windows

Labels = list[npt.NDArray[np.bool_]]


def labels_of_file(given: str, steps: Steps) -> Labels:
    """The labels of every series, from windows in a file.

    Parameters
    ----------
    given : str
        FILE or FILE:KEY. A table has a window in each row; a JSON file is a list of windows, or an
        object of such lists by name. KEY is the end of a name; without it, it is the name of the
        file of `steps`, or the only one.
    steps : Steps
        What the labels are for. Windows that have no step in common with them count nothing.

    Raises
    ------
    InputError
        For a file that cannot be read or does not fit.
    """
    path, key = split_key(given)
    with errors_naming(path):
        if not path.exists():
            raise InputError("there is no such file; check the path.")
        if path.suffix.lower() == ".json":
            windows = _of_json(path, key, steps)
        elif path.suffix.lower() in TABLES:
            if key is not None:
                raise InputError(f"a table has no keys; leave :{key} out.")
            windows = _of_table(path, steps)
        else:
            raise InputError(_checks.unknown_name("ending", path.suffix, [".json", *TABLES]))
        labels, left_out = [], 0
        for times, some in zip(steps.times, windows, strict=True):
            inside = [one for one in some if _meets(one, times)]
            left_out += len(some) - len(inside)
            labels.append(labels_from_windows(times, inside).astype(bool))
    if left_out:
        total = sum(map(len, windows))
        say(f"{path.name}: no step of {steps.name} lies in {left_out:,} of {total:,} windows")
    return labels


def split_key(given: str) -> tuple[Path, str | None]:
    """FILE and KEY; a file whose name has a colon wins."""
    file, colon, key = given.rpartition(":")
    if colon and file and not Path(given).exists():
        return Path(file), key
    return Path(given), None


def _of_json(path: Path, key: str | None, steps: Steps) -> list[list[Any]]:
    if len(steps.series) > 1:
        raise InputError("windows in JSON are those of one series; give a table with an id column.")
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"it does not read as JSON: {error}.") from None
    if isinstance(held, dict):
        held = held[_entry(list(held), key, steps.name)]
    good = isinstance(held, list) and all(isinstance(one, list) and len(one) == 2 for one in held)
    if not good:
        raise InputError("expected windows as pairs of start and end, got something else.")
    kind = steps.times[0].dtype.kind
    return [[[_moment(one, kind) for one in pair] for pair in held]]


def _entry(names: list[str], key: str | None, scored: str) -> str:
    """The entry whose name ends with the key, or with the name of the file that was scored."""
    if key is None and len(names) == 1:
        return names[0]
    wanted = scored if key is None else key
    found = [name for name in names if name.endswith(wanted)]
    exact = [name for name in found if name == wanted or name.endswith(f"/{wanted}")]
    found = exact if len(exact) == 1 else found
    if len(found) != 1:
        told = f"{len(found)} entries end" if found else "no entry ends"
        raise InputError(
            f"{told} with {wanted!r}; say which is meant as --labels FILE:KEY: "
            f"{listed(found or names)}."
        )
    return found[0]


def _of_table(path: Path, steps: Steps) -> list[list[Any]]:
    """Windows in rows, for each series."""
    table, _ = read_table(path)
    names = table.column_names
    for name in ("start", "end"):
        if name not in names:
            raise InputError(f"{_checks.unknown_name('column', name, names)}")
    kind = steps.times[0].dtype.kind
    ends = [_moments(table[name], kind, name) for name in ("start", "end")]
    pairs = [list(pair) for pair in zip(*ends, strict=True)]
    if len(steps.series) == 1 and steps.ids is None:
        return [pairs]
    column = next((name for name in ("id", "series", "sequence") if name in names), None)
    if column is None:
        raise InputError(
            f"{steps.name} has several series; add a column id that says whose each window is."
        )
    of = [str(one) for one in table[column].to_pylist()]
    known = [str(one) for one in steps.called().tolist()]
    odd = sorted(set(of) - set(known))
    if odd:
        raise InputError(f"there is no series {odd[0]!r} in {steps.name}.")
    return [
        [pair for pair, owner in zip(pairs, of, strict=True) if owner == name] for name in known
    ]


def _moments(column: Any, kind: str, name: str) -> Column:
    """A column of dates or of numbers, as `kind` has it."""
    times = as_times(column)
    if (times is not None) != (kind == "M") or column.null_count:
        what = "dates" if kind == "M" else "numbers"
        raise InputError(f"column {name!r} must hold {what}, as the times of the scores.")
    try:
        return np.asarray(column.to_numpy(), float) if times is None else times
    except ValueError:
        raise InputError(f"column {name!r} holds no numbers.") from None


def _moment(value: Any, kind: str) -> Any:
    if kind != "M":
        return value
    try:
        return np.datetime64(str(value), "us")
    except ValueError:
        raise InputError(f"expected dates such as 2013-12-10 06:25:00, got {value!r}.") from None


def _meets(window: Any, times: Column) -> bool:
    """Whether some step may lie in the window."""
    start, end = window
    return bool(len(times) and start <= times.max() and end >= times.min())
