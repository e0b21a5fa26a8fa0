"""What commands share when they read data: the options of training, and the table of roles."""

import inspect
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from unspool._terminal import printable_line
from unspool.cli.flags import in_flags, option_with_value
from unspool.cli.options import say, stderr
from unspool.errors import InputError
from unspool.io.compressed import unpacked_once
from unspool.io.file_data import NOT_IN_COLUMNS

if TYPE_CHECKING:
    from unspool.io.file_data import ColumnRole, FileData

T = TypeVar("T")
ROLES = ("time", "id", "label")
OF_TABLES = (*ROLES, "drop")
OF_TEXTS = ("skip", "header", "delimiter", "decimal", "thousands", "encoding")
TEXTS_ONLY = (*OF_TEXTS, "date_format", "day_first")
REMEMBERED = "remembered from the model file"
SHORT_LIST = 3  # columns that are named in a row of the table; more are listed below it
WIDTH = 100  # of lines that are not printed to a terminal


def was_given(name: str, value: Any) -> bool:
    """Return whether an argument of `read_file` differs from its default."""
    if isinstance(value, (tuple, list)):
        return len(value) > 0
    default = _defaults()[name]
    return value is not default and (type(value) is not type(default) or value != default)


@cache
def _defaults() -> dict[str, Any]:
    from unspool.io.files import read_file

    parameters = inspect.signature(read_file).parameters
    return {name: parameter.default for name, parameter in parameters.items()}


def kept_arguments(keywords: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the arguments of `read_file` that a model keeps; None if there are none."""
    kept = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in keywords.items()
        if name not in ("images", "stream") and was_given(name, value)  # not what training read
    }
    return kept or None


def merged_reading(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a model keeps that was given arguments `before`, and others `now`."""
    found = {**before, **(kept_arguments(now) or {})}
    roles = {found.get(role) for role in ROLES}
    return kept_arguments(
        {**found, "drop": [one for one in found.get("drop", ()) if one not in roles]}
    )


def reading_of(model: Any) -> dict[str, Any]:
    """Return what the training of a model or a detector was given for reading."""
    inner = getattr(model, "model_", model)  # of a detector
    inner = getattr(inner, "autoencoder_", inner)  # of a classifier
    return dict(getattr(inner, "_reading", None) or {})


def recalled(
    path: Path, given: Mapping[str, Any], columns: Sequence[str] | None, reading: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the arguments of training and that are not given now and fit the file."""
    from unspool.io import endings
    from unspool.io.loading import has_column_names

    ending = endings.ending_of(path)
    if ending in endings.PACKED:
        ending = endings.ending_of(path.with_suffix(""))
    of_tables = any(name in (*OF_TABLES, *TEXTS_ONLY) for name in reading)
    is_table = of_tables and has_column_names(path, given.get("key") or reading.get("key"))
    not_text = (*endings.PARQUET, *endings.ARROW, *endings.JSON, *endings.EXCEL)
    used = {*(columns or ()), *given.get("drop", ()), *(given.get(role) for role in ROLES)}
    found = {}
    for name, value in reading.items():
        if was_given(name, given.get(name, _defaults()[name])):
            continue
        if name in OF_TABLES and not is_table:
            continue
        if name in TEXTS_ONLY and (not is_table or ending in not_text):
            continue
        if name == "key" and ending not in endings.KEYED and path.suffix.lower() != ".zip":
            continue
        if name in ROLES and value in used:
            continue
        if name == "drop":
            value = [one for one in value if one not in used]
        found[name] = value
    return found


def read_as_trained(
    path: Path,
    read: Callable[..., "FileData"],
    given: Mapping[str, Any],
    columns: Sequence[str] | None,
    reading: Mapping[str, Any],
) -> "tuple[FileData, dict[str, Any]]":
    """Read a file with the options that are given, and else with those of training.

    Columns that training used and that the file lacks are not named: `read` is called again
    without them.

    Parameters
    ----------
    path : Path
        The file.
    read : callable
        Reads it; it is called with arguments of `read_file`.
    given : mapping
        Arguments that are given now.
    columns : sequence of str, optional
        The features.
    reading : mapping
        The options of training.

    Returns
    -------
    FileData
        The content of the file.
    dict
        The arguments it was read with.
    """
    kept = recalled(path, given, columns, reading)
    lacking: list[str] = []
    try:
        loaded = read(**{**given, **kept})
    except InputError as error:
        said = str(error)
        lacking = [
            name
            for name in ROLES
            if name in kept
            and any(f"`{name}`: unknown column {one!r}" in said for one in _parts(kept[name]))
        ]
        dropped = [one for one in kept.get("drop", ()) if f"unknown column {one!r}" in said]
        if not lacking and not dropped:
            if kept:
                error.add_note(f"It is read as in training: {as_flags(kept)}.")
            raise
        missing = {name: kept.pop(name) for name in lacking}
        if dropped:
            kept["drop"] = [one for one in kept["drop"] if one not in dropped]
        loaded = read(**{**given, **kept})
        for name, column in missing.items():
            then = "no labels are read" if name == "label" else "it is searched for"
            if any(name == one.role for one in loaded.roles):
                then = "another column is taken"
            say(f"{path.name}: there is no column {column!r}, the {name} in training: {then}")
    if kept_arguments(kept):
        say(f"{path.name}: as in training: {as_flags(kept)}")
    return _remembered(loaded, kept), {**given, **kept}


def _remembered(loaded: "FileData", kept: Mapping[str, Any]) -> "FileData":
    """Say of the columns that the model file names that it does."""
    from unspool.io.roles import DROPPED, NAMED

    roles, notes = list(loaded.roles), list(loaded.notes)
    for i, role in enumerate(roles):
        named = role.reason == NAMED and kept.get(role.role)
        if named or (role.reason == DROPPED and kept.get("drop")):
            roles[i] = replace(role, reason=REMEMBERED)
            notes = [roles[i].note if note == role.note else note for note in notes]
    return replace(loaded, roles=tuple(roles), notes=tuple(notes))


def read_without_lost_key(
    path: Path, reading: Mapping[str, Any], read: Callable[[dict[str, Any]], T]
) -> T:
    """Call `read` with the options of training, and without `key` if the file does not have it.

    A packed file is unpacked once.

    Raises
    ------
    InputError
        If the file cannot be read; if it holds several arrays, sheets or files, that of training
        is missed.
    """
    key = reading.get("key")
    with unpacked_once():
        try:
            return read(dict(reading))
        except InputError as error:
            lost = key and re.search(f"`key`: unknown (\\w+) {re.escape(repr(key))}", str(error))
            if not lost or (lost[1] == "file" and "', '" in str(error)):  # one of several files
                raise
            try:
                found = read({name: one for name, one in reading.items() if name != "key"})
            except InputError as other:
                raise error if "(--key NAME)" in str(other) else other from None
            say(
                f"{path.name}: there is no {lost[1]} {key!r}, which training read (--key): the "
                "only one is read"
            )
            return found


def _parts(name: str) -> list[str]:
    """Return a name of a column, and the names in it if it joins several."""
    return [name, *(one.strip() for one in name.split(","))]


def as_flags(arguments: Mapping[str, Any]) -> str:
    """Return arguments of `read_file` as they are typed on the command line."""
    return ", ".join(
        option_with_value(name, value)
        for name, value in arguments.items()
        if was_given(name, value)
    )


def print_notes(
    name: str, loaded: "FileData", *, of_model: bool = False, leave_out: str | None = None
) -> None:
    """Print what the columns of a file were taken as, as a table, and the other notes.

    With `of_model` the features are those of a model. Notes that begin with `leave_out` are not
    printed.
    """
    if loaded.roles:
        reasons = {NOT_IN_COLUMNS: "not a feature of the model"} if of_model else {}
        roles = [replace(one, reason=reasons.get(one.reason, one.reason)) for one in loaded.roles]
        _print_roles(name, roles)
    of_roles = {one.note for one in loaded.roles}
    for note in loaded.notes:
        if note not in of_roles and not (leave_out and note.startswith(leave_out)):
            say(f"{name}: {in_flags(note)}")


def _print_roles(name: str, roles: "Sequence[ColumnRole]") -> None:
    from rich.table import Table

    table = Table("column", "taken as", "because", "change with", box=None, pad_edge=False)
    long = []
    for role in roles:
        features = role.role in ("feature", "step") and not role.unusual
        if features or len(role.columns) > SHORT_LIST:
            long.append(role)
        else:
            columns = ", ".join(one or "(no name)" for one in role.columns)
            cells = (columns, role.role, in_flags(role.reason), in_flags(role.change))
            table.add_row(*map(printable_line, cells))
    width = stderr.width if stderr.is_terminal else None
    if table.row_count:
        say(f"{name}: roles of the columns")
        with stderr.capture() as capture:
            stderr.print(table, width=width or 10_000)
        stderr.print("\n".join(line.rstrip() for line in capture.get().splitlines()))
    for role in long:
        line = f"{name}: {in_flags(role.note)}"
        parts = textwrap.wrap(
            printable_line(line),
            max(40, width or WIDTH),
            subsequent_indent="  ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for part in parts:
            stderr.print(part)
