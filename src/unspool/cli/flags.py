"""Messages that name flags of the command line where the library names parameters."""

import ast
import re
import shlex
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from unspool.cli.options import say
from unspool.errors import (
    CheckpointWarning,
    InputError,
    NoBetterThanMeanWarning,
    OverlapWarning,
    ThresholdWarning,
    UnstableTrainingWarning,
)

# Flags of the parameters of `read_file`, and of others that messages without a command name.
FLAGS_OF_READING = {
    **{
        name: f"--{name.replace('_', '-')}"
        for name in (
            *("columns", "drop", "time", "id", "label", "rows", "key", "window", "stride"),
            *("dilation", "max_gap", "skip", "header", "delimiter", "decimal", "thousands"),
            *("encoding", "date_format", "day_first", "interpolate_limit", "part", "files"),
        )
    },
    "missing": "--on-missing",
    "missing_values": "--missing",
    "short": "--keep-short",
    "weight": "--sample-weight",
}
# Flags of values that are not written after the flag.
FLAGS_OF_VALUES = {
    "rows=True": "--rows",
    "rows=False": "--no-rows",
    "short='keep'": "--keep-short",
} | {
    "day_first=True": "--day-first",
    "day_first=False": "--month-first",
}
RENAMED = {
    "random_state": "seed",
    "settings": "set",
    "validation_data": "validation",
    "weight": "sample_weight",
}


def flag(name: str) -> str:
    """Return the flag of a parameter."""
    return "--" + RENAMED.get(name, name).replace("_", "-")


def in_flags(text: str) -> str:
    """Replace the parameters of `read_file` in a message by their flags.

    Messages write a parameter in backticks, alone or with a value: ```id```, ```id='station'```.
    """
    text = re.sub(r"`?\b\w+(='?\w+'?)?`? \((--[a-z-]+( \w+)?)\)", r"\2", text)  # both are named
    text = re.sub(r"(?<!`)(short='keep')", r"`\1`", text)
    text = re.sub(r"`(--[\w-]+)`", r"\1", text)

    def replaced(match: re.Match[str]) -> str:
        name, value = match["name"], match["value"]
        if name not in FLAGS_OF_READING:
            return match[0]
        if value is None:
            return FLAGS_OF_READING[name]
        try:
            return option_with_value(name, ast.literal_eval(value))
        except (ValueError, SyntaxError):
            return f"{FLAGS_OF_READING[name]} {value}"

    return re.sub(r"`(?P<name>[a-z_]+)(=(?P<value>[^`]+))?`", replaced, text)


def option_with_value(name: str, value: Any) -> str:
    """Return a parameter of `read_file` with its value as it is typed on the command line."""
    alone = FLAGS_OF_VALUES.get(f"{name}={value!r}")
    if alone is not None:
        return alone
    flag_of_name = FLAGS_OF_READING[name]
    if value is None:
        return f"{flag_of_name} none"
    if name == "columns":
        return f"{flag_of_name} {shlex.quote(','.join(value))}"
    values = value if isinstance(value, (list, tuple)) else [value]
    return " ".join(f"{flag_of_name} {shlex.quote(_shown(one))}" for one in values)


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def with_flags(text: str, flags: Collection[str], settings: Collection[str]) -> str:
    """Replace each parameter in a message by its flag, or by ``--set NAME``.

    Parameters
    ----------
    text : str
        A message in which parameters are in backticks.
    flags : collection of str
        Parameters that have a flag.
    settings : collection of str
        Parameters that are given with --set.
    """

    def replaced(match: re.Match[str]) -> str:
        name = match[1]
        if name in flags:
            return flag(name)
        return f"--set {name}" if name in settings else match[0]

    return re.sub(r"`(\w+)`", replaced, text)


@contextmanager
def messages_with_flags(
    flags: Collection[str], settings: Collection[str], *, per_day: bool = False
) -> Iterator[None]:
    """Print warnings and raise errors with flags in place of parameters; see `with_flags`.

    Parameters
    ----------
    flags, settings : collection of str
        See `with_flags`.
    per_day : bool
        Whether the period of the threshold is a day.
    """
    printed: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        text = f"warning: {with_flags(str(message), flags, settings)}"
        if per_day:
            text = text.replace("per period", "per day")
        if text not in printed:
            printed.add(text)
            say(text)

    try:
        with warnings.catch_warnings():
            for kind in (
                CheckpointWarning,
                NoBetterThanMeanWarning,
                OverlapWarning,
                ThresholdWarning,
                UnstableTrainingWarning,
            ):
                warnings.simplefilter("always", kind)
            warnings.showwarning = show
            yield
    except InputError as error:
        renamed = type(error)(with_flags(str(error), flags, settings))
        for note in getattr(error, "__notes__", ()):
            renamed.add_note(note)
        raise renamed from None
