"""Messages that name flags of the command line where the library names parameters."""

import re
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from unspool.cli.options import say
from unspool.errors import (
    InputError,
    NoBetterThanMeanWarning,
    OverlapWarning,
    ThresholdWarning,
    UnstableTrainingWarning,
)

RENAMED = {
    "random_state": "seed",
    "settings": "set",
    "validation_data": "validation",
    "weight": "sample_weight",
}


def flag(name: str) -> str:
    """Return the flag of a parameter."""
    return "--" + RENAMED.get(name, name).replace("_", "-")


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
