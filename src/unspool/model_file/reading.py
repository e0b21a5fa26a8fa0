"""Check of what `unspool fit` was given for reading its file, which a model file keeps."""

from collections.abc import Mapping
from typing import Any

from unspool import _checks
from unspool.errors import InputError

TEXTS = (
    *("time", "id", "label", "key", "delimiter", "decimal", "thousands", "encoding"),
    *("date_format", "missing", "files"),
)
COUNTS = ("skip", "header", "interpolate_limit")
TRUTHS = ("rows", "day_first")
LISTS = ("drop", "missing_values")


def check_reading(reading: Any) -> None:
    """Check that `reading` is None, or a mapping of arguments of `read_file`.

    Raises
    ------
    InputError
        If an argument is unknown or has another type.
    """
    if reading is None:
        return
    if not isinstance(reading, Mapping):
        raise InputError(f"Expected `reading` to be an object or null, got {reading!r}.")
    for name, value in reading.items():
        if name in TEXTS:
            if not isinstance(value, str):
                raise InputError(f"Expected text in `reading.{name}`, got {value!r}.")
        elif name in COUNTS:
            _checks.raise_all(_checks.whole(f"reading.{name}", value, 0))
        elif name in TRUTHS:
            _checks.raise_all(_checks.truth(f"reading.{name}", value))
        elif name == "max_gap":  # a duration is a fitted value
            if value is not None:
                raise InputError(f"Expected null in `reading.max_gap`, got {value!r}.")
        elif name in LISTS:
            numbers = name == "missing_values"
            if not isinstance(value, (list, tuple)) or not all(
                isinstance(one, str) or (numbers and type(one) in (int, float)) for one in value
            ):
                what = "texts and numbers" if numbers else "texts"
                raise InputError(f"Expected a list of {what} in `reading.{name}`, got {value!r}.")
        else:
            known = (*TEXTS, *COUNTS, *TRUTHS, *LISTS, "max_gap")
            raise InputError(_checks.unknown_name("field of `reading`", name, known))
