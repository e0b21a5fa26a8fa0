"""The values of options: lists of names, numbers of steps, durations."""

import csv
import math


def split_names(text: str) -> list[str]:
    """Return the names in a list with commas; a name with a comma is in double quotes."""
    try:
        (names,) = csv.reader([text], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError):  # quotes that are part of a name, or a line break
        names = text.split(",")
    return [name.strip() for name in names]


def number_or_text(text: str) -> float | str:
    """Return a finite number, or a text that is none."""
    try:
        number = float(text)
    except ValueError:
        return text
    return number if math.isfinite(number) else text


def number_of_steps(text: str | None) -> int | str | None:
    """Return a number of steps, or the text of a duration."""
    return int(text) if text is not None and text.isdecimal() else text


def gap_limit(text: str) -> float | str | None:
    """Return the value of --max-gap: a number, None, or the text of a duration or "auto"."""
    if text.lower() == "none":
        return None
    try:
        return float(text)
    except ValueError:
        return text
