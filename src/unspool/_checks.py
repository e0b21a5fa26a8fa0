"""Checks of arguments: each returns a complaint or nothing, so that all are told at once."""

import difflib
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from unspool.errors import InputError

Complaint = str | None

LISTED = 30  # names told of many


def unknown_name(what: str, name: object, known: Iterable[str]) -> str:
    """Say that `name` is not a known `what`, and which one was probably meant."""
    options = sorted(map(str, known))
    close = difflib.get_close_matches(str(name), options, n=1)
    hint = f"did you mean {close[0]!r}? Known are" if close else "known are"
    listed = ", ".join(map(repr, options[:LISTED]))
    if len(options) > LISTED:
        listed += f" and {len(options) - LISTED:,} more"
    return f"unknown {what} {name!r}: {hint} {listed}."


def choice(name: str, value: object, known: Iterable[str]) -> Complaint:
    """`value` is one of the names in `known`."""
    known = list(known)
    if isinstance(value, str) and value in known:
        return None
    return unknown_name(f"`{name}`", value, known)


def choices(name: str, values: Any, known: Iterable[str]) -> list[Complaint]:
    """`values` are names in `known`, in a list or tuple."""
    if not isinstance(values, (list, tuple)):
        return [f"`{name}` must be a list of names, got {values!r}."]
    known = list(known)
    return [choice(name, value, known) for value in values]


def whole(name: str, value: Any, least: int, *, none: bool = False) -> Complaint:
    """`value` is a whole number of at least `least` (or None, where that is allowed)."""
    if none and value is None:
        return None
    if not isinstance(value, bool) and isinstance(value, (int, np.integer)) and value >= least:
        return None
    also = " or None" if none else ""
    return f"`{name}` must be a whole number of at least {least}{also}, got {value!r}."


def wholes(name: str, values: Any, least: int) -> list[Complaint]:
    """`values` are whole numbers of at least `least`, in a list or tuple."""
    if not isinstance(values, (list, tuple)):
        return [f"`{name}` must be a list of whole numbers, got {values!r}."]
    return [whole(name, value, least) for value in values]


def number(
    name: str,
    value: Any,
    least: float,
    below: float = math.inf,
    *,
    none: bool = False,
    open_left: bool = False,
    closed: bool = False,
) -> Complaint:
    """`value` is a finite number in [least, below), less `least` with `open_left`.

    With `closed`, it may be `below` too.
    """
    if none and value is None:
        return None
    plain = isinstance(value, (int, float, np.integer, np.floating))
    if plain and not isinstance(value, bool):
        enough = value > least if open_left else value >= least
        if enough and (value < below or (closed and value == below)):
            return None
    bounds = f"{'above' if open_left else 'of at least'} {least:g}"
    if below < math.inf:
        bounds += f" and {'at most' if closed else 'below'} {below:g}"
    return f"`{name}` must be a number {bounds}{' or None' if none else ''}, got {value!r}."


def truth(name: str, value: object) -> Complaint:
    """`value` is True or False."""
    return None if isinstance(value, bool) else f"`{name}` must be True or False, got {value!r}."


def raise_all(*complaints: Complaint) -> None:
    """Raise one `InputError` with every complaint, or return if there is none."""
    told = [complaint for complaint in complaints if complaint]
    if told:
        raise InputError("\n".join(told))
