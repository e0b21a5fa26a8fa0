"""Checks of arguments. Each returns a message or None, so that all are reported at once."""

import difflib
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from unspool.errors import InputError

Complaint = str | None

MAX_NAMES = 30  # number of names listed in a message
MAX_CHARACTERS = 400  # characters of a value in a message
LARGEST = float(np.finfo(np.float32).max)  # largest number that is allowed
MAX_WHOLE = 2**31 - 1  # largest whole number; these are counts and sizes


def shown(value: object) -> str:
    """Write `value` as in Python code, on one line and shortened; its type if it has no `repr`."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a class with a broken `repr`, or an int with too many digits
        text = f"<{type(value).__name__}>"
    return shown_text(text)


def shown_text(text: str) -> str:
    """Shorten a text that `repr` has written."""
    return (
        text
        if len(text) <= MAX_CHARACTERS
        else f"{text[: MAX_CHARACTERS // 2]}…{text[-MAX_CHARACTERS // 2 :]}"
    )


def unknown_name(what: str, name: object, known: Iterable[str]) -> str:
    """Write a message that `name` is not a known `what`, with the most similar known name."""
    options = sorted(map(str, known))
    close = difflib.get_close_matches(name, options, n=1) if isinstance(name, str) else []
    hint = f"did you mean {close[0]!r}? Known are" if close else "known are"
    listed = ", ".join(map(repr, options[:MAX_NAMES]))
    if len(options) > MAX_NAMES:
        listed += f" and {len(options) - MAX_NAMES:,} more"
    return f"unknown {what} {shown(name)}: {hint} {listed}."


def choice(name: str, value: object, known: Iterable[str]) -> Complaint:
    """Check that `value` is one of the names in `known`."""
    known = list(known)
    if isinstance(value, str) and value in known:
        return None
    return unknown_name(f"`{name}`", value, known)


def choices(name: str, values: Any, known: Iterable[str]) -> list[Complaint]:
    """Check that `values` is a list or tuple of names in `known`."""
    if not isinstance(values, (list, tuple)):
        return [f"`{name}` must be a list of names, got {shown(values)}."]
    known = list(known)
    return [choice(name, value, known) for value in values]


def whole(
    name: str,
    value: Any,
    least: int,
    *,
    most: float = MAX_WHOLE,
    none: bool = False,
    auto: bool = False,
) -> Complaint:
    """Check that `value` is a whole number in [least, most] (or None or "auto", if allowed)."""
    if (none and value is None) or (auto and is_one(value, ["auto"])):
        return None
    also, number = _alternatives(none=none, auto=auto), isinstance(value, (int, np.integer))
    if number and not isinstance(value, (bool, np.timedelta64)):
        if least <= value <= most:
            return None
        if value > most:
            return f"`{name}` must be a whole number of at most {most}{also}, got {shown(value)}."
    return f"`{name}` must be a whole number of at least {least}{also}, got {shown(value)}."


def wholes(name: str, values: Any, least: int) -> list[Complaint]:
    """Check that `values` is a list or tuple of whole numbers of at least `least`."""
    if not isinstance(values, (list, tuple)):
        return [f"`{name}` must be a list of whole numbers, got {shown(values)}."]
    return [whole(name, value, least, most=math.inf) for value in values]


def number(
    name: str,
    value: Any,
    least: float,
    below: float = math.inf,
    *,
    none: bool = False,
    auto: bool = False,
    open_left: bool = False,
    closed: bool = False,
) -> Complaint:
    """Check that `value` is a finite number in [least, below).

    `open_left` excludes `least`, `closed` includes `below`. None and "auto" are allowed with `none`
    and `auto`.
    """
    if (none and value is None) or (auto and is_one(value, ["auto"])):
        return None
    real = isinstance(value, (int, float, np.integer, np.floating))
    if real and not isinstance(value, (bool, np.timedelta64)) and _is_finite(value):
        number = plain(value)
        if number > LARGEST:
            return (
                f"`{name}` must be a number of at most {LARGEST:.1e}, which is all that float32 "
                f"can hold, got {shown(value)}."
            )
        enough = number > least if open_left else number >= least
        if enough and (number < below or (closed and number == below)):
            return None
    bounds = f"{'above' if open_left else 'of at least'} {least:g}"
    if below < math.inf:
        bounds += f" and {'at most' if closed else 'below'} {below:g}"
    also = _alternatives(none=none, auto=auto)
    return f"`{name}` must be a number {bounds}{also}, got {shown(value)}."


def _alternatives(*, none: bool, auto: bool) -> str:
    """Write what is allowed in addition to numbers."""
    if none and auto:
        return ", 'auto' or None"
    return " or None" if none else " or 'auto'" if auto else ""


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int that is too large for a float
        return False


def truth(name: str, value: object) -> Complaint:
    """Check that `value` is True or False."""
    if isinstance(value, (bool, np.bool_)):
        return None
    return f"`{name}` must be True or False, got {shown(value)}."


def is_one(value: object, known: Iterable[str]) -> bool:
    """Return whether `value` is a string in `known`."""
    return isinstance(value, str) and value in known


def seed(name: str, value: object) -> Complaint:
    """Check that `value` is a random state as scikit-learn accepts it."""
    if value is None or value is np.random or isinstance(value, np.random.RandomState):
        return None
    if whole(name, value, 0, most=2**32 - 1) is None:
        return None
    return (
        f"`{name}` must be a whole number from 0 to {2**32 - 1}, a numpy.random.RandomState or "
        f"None, got {shown(value)}."
    )


def plain(value: Any) -> Any:
    """Convert NumPy numbers, which overflow, to Python numbers; also in lists, tuples and dicts.

    Arrays become lists.
    """
    if isinstance(value, np.ndarray):
        return value.tolist()
    if type(value) is dict:
        return {plain(key): plain(one) for key, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    if isinstance(value, np.floating):
        return float(value)
    return value.item() if isinstance(value, (np.integer, np.bool_)) else value


def raise_all(*complaints: Complaint) -> None:
    """Raise one `InputError` with all messages; do nothing if there are none."""
    messages = [complaint for complaint in complaints if complaint]
    if messages:
        raise InputError("\n".join(messages))
