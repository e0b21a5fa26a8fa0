"""Checks of arguments: each returns a complaint or nothing, so that all are told at once."""

import difflib
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from unspool.errors import InputError

Complaint = str | None

LISTED = 30  # names told of many
SHOWN = 400  # characters of a value
LARGEST = float(np.finfo(np.float32).max)  # that any number may be
MOST = 2**31 - 1  # that any whole number may be: what counts or sizes something stays below it


def shown(value: object) -> str:
    """`value` as in Python code, in one line, cut where it is long; its type where it has none."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # of a class of somebody else's, or a whole number of too many digits
        text = f"<{type(value).__name__}>"
    return text if len(text) <= SHOWN else f"{text[: SHOWN // 2]}…{text[-SHOWN // 2 :]}"


def unknown_name(what: str, name: object, known: Iterable[str]) -> str:
    """Say that `name` is not a known `what`, and which one was probably meant."""
    options = sorted(map(str, known))
    close = difflib.get_close_matches(name, options, n=1) if isinstance(name, str) else []
    hint = f"did you mean {close[0]!r}? Known are" if close else "known are"
    listed = ", ".join(map(repr, options[:LISTED]))
    if len(options) > LISTED:
        listed += f" and {len(options) - LISTED:,} more"
    return f"unknown {what} {shown(name)}: {hint} {listed}."


def choice(name: str, value: object, known: Iterable[str]) -> Complaint:
    """`value` is one of the names in `known`."""
    known = list(known)
    if isinstance(value, str) and value in known:
        return None
    return unknown_name(f"`{name}`", value, known)


def choices(name: str, values: Any, known: Iterable[str]) -> list[Complaint]:
    """`values` are names in `known`, in a list or tuple."""
    if not isinstance(values, (list, tuple)):
        return [f"`{name}` must be a list of names, got {shown(values)}."]
    known = list(known)
    return [choice(name, value, known) for value in values]


def whole(
    name: str,
    value: Any,
    least: int,
    *,
    most: float = MOST,
    none: bool = False,
    auto: bool = False,
) -> Complaint:
    """`value` is a whole number from `least` to `most` (or None or "auto", where allowed)."""
    if (none and value is None) or (auto and is_one(value, ["auto"])):
        return None
    also, number = _besides(none=none, auto=auto), isinstance(value, (int, np.integer))
    if number and not isinstance(value, (bool, np.timedelta64)):
        if least <= value <= most:
            return None
        if value > most:
            return f"`{name}` must be a whole number of at most {most}{also}, got {shown(value)}."
    return f"`{name}` must be a whole number of at least {least}{also}, got {shown(value)}."


def wholes(name: str, values: Any, least: int) -> list[Complaint]:
    """`values` are whole numbers of at least `least`, in a list or tuple."""
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
    """`value` is a finite number in [least, below), less `least` with `open_left`.

    With `closed`, it may be `below` too; None and "auto" may be allowed besides.
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
    also = _besides(none=none, auto=auto)
    return f"`{name}` must be a number {bounds}{also}, got {shown(value)}."


def _besides(*, none: bool, auto: bool) -> str:
    """What is allowed beside numbers, for a message."""
    if none and auto:
        return ", 'auto' or None"
    return " or None" if none else " or 'auto'" if auto else ""


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False


def truth(name: str, value: object) -> Complaint:
    """`value` is True or False."""
    if isinstance(value, (bool, np.bool_)):
        return None
    return f"`{name}` must be True or False, got {shown(value)}."


def is_true(value: object) -> bool:
    """Whether `value` is True, of Python or of NumPy; what is no truth value is not."""
    return isinstance(value, (bool, np.bool_)) and bool(value)


def is_one(value: object, known: Iterable[str]) -> bool:
    """Whether `value` is a name in `known`; what is no name is not."""
    return isinstance(value, str) and value in known


def seed(name: str, value: object) -> Complaint:
    """`value` is what scikit-learn makes a random state of."""
    if value is None or value is np.random or isinstance(value, np.random.RandomState):
        return None
    if whole(name, value, 0, most=2**32 - 1) is None:
        return None
    return (
        f"`{name}` must be a whole number from 0 to {2**32 - 1}, a numpy.random.RandomState or "
        f"None, got {shown(value)}."
    )


def plain(value: Any) -> Any:
    """`value` with Python's numbers for NumPy's, which overflow; lists and tuples of them too."""
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    if isinstance(value, np.floating):
        return float(value)
    return value.item() if isinstance(value, (np.integer, np.bool_)) else value


def raise_all(*complaints: Complaint) -> None:
    """Raise one `InputError` with every complaint, or return if there is none."""
    told = [complaint for complaint in complaints if complaint]
    if told:
        raise InputError("\n".join(told))
