"""Numbers and texts that mean "missing" in a file, such as -200, -9999 and "?"."""

import math
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool._checks import Complaint, shown
from unspool._types import MissingPolicy
from unspool.data.sequences import FILL_HINT
from unspool.errors import InputError

# Numbers that public files contain in place of missing values.
USUAL_CODES = frozenset(
    (
        *(-99.0, -99.9, -99.99, -200.0, -999.0, -999.9, -999.99, -9999.0, -9999.9, -99999.0),
        *(-32768.0, 999.0, 999.9, 9999.0, 9999.9, 99999.0, 999999.0),
    )
)


def codes_complaint(codes: Any) -> Complaint:
    """Return what is wrong with `missing_values`, if anything."""
    if not isinstance(codes, str) and isinstance(codes, Iterable):
        wrong = [one for one in codes if not (_is_finite(one) or (isinstance(one, str) and one))]
        if not wrong:
            return None
        codes = wrong[0]
    return (
        "`missing_values` must be a list of finite numbers and texts, such as [-200, '?'], got "
        f"{shown(codes)}."
    )


def _is_finite(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


def numbers_in(values: Iterable[float | str]) -> tuple[float, ...]:
    """Return the finite numbers among `missing_values`; also of texts such as "-200"."""
    numbers = []
    for one in values:
        try:
            number = float(one)
        except ValueError:
            continue
        if math.isfinite(number):
            numbers.append(number)
    return tuple(numbers)


class Codes:
    """Replace the numbers that mean "missing" by NaN, and count them.

    Parameters
    ----------
    numbers : tuple of float
        The numbers.
    missing : {"raise", "mask", "drop", "interpolate"}
        What happens to missing values.
    """

    def __init__(self, numbers: tuple[float, ...], missing: MissingPolicy) -> None:
        self._numbers = numbers
        self._missing = missing
        self._count = 0

    def __bool__(self) -> bool:
        """Return whether there are numbers."""
        return bool(self._numbers)

    def replaced(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the values with NaN in place of the numbers; refuse them if none may be missing.

        Raises
        ------
        InputError
            If a value is missing with ``missing="raise"``.
        """
        if not self._numbers:
            return values
        kind = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
        values = values.astype(kind)
        is_missing = np.isin(values, np.array(self._numbers).astype(kind))
        count = int(is_missing.sum())
        if count and self._missing == "raise":
            first = values[is_missing][0]
            raise InputError(
                f"{count:,} value{'s are' if count > 1 else ' is'} missing by `missing_values`, "
                f"the first is {first:g}; {FILL_HINT}."
            )
        values[is_missing] = np.nan
        self._count += count
        return values

    def notes(self) -> tuple[str, ...]:
        """Return a note that says how many values were replaced, if there are numbers."""
        if not self._numbers:
            return ()
        names = " or ".join(f"{one:g}" for one in self._numbers)
        plural = "values are" if self._count != 1 else "value is"
        return (f"{self._count:,} {plural} {names} and read as missing",)


def suspected_code(values: npt.NDArray[Any]) -> tuple[float, int] | None:
    """Return a number that looks like a code for "missing", and how often it occurs.

    It is an extreme of the values (n,), repeated, one of the usual codes, and further from the
    other values than these are from each other.
    """
    if len(values) == 0:
        return None
    for extreme in (float(values.min()), float(values.max())):
        if extreme not in USUAL_CODES:
            continue
        is_code = values == extreme
        count = int(is_code.sum())
        others = values[~is_code]
        if count < 2 or count > len(values) / 2 or len(others) == 0:
            continue
        low, high = float(others.min()), float(others.max())
        distance = low - extreme if extreme < low else extreme - high
        if distance > high - low:
            return extreme, count
    return None
