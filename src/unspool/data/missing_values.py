"""Numbers that mean "missing" in a file, such as -200 or -9999."""

import math
from collections.abc import Iterable
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool._checks import Complaint, shown
from unspool._types import Missing
from unspool.data.sequences import MASK_HINT
from unspool.errors import InputError


def codes_complaint(codes: Any) -> Complaint:
    """Return what is wrong with `missing_values`, if anything."""
    if not isinstance(codes, str) and isinstance(codes, Iterable):
        wrong = [one for one in codes if not _is_finite(one)]
        if not wrong:
            return None
        codes = wrong[0]
    return f"`missing_values` must be a list of finite numbers, such as [-200], got {shown(codes)}."


def _is_finite(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


class Codes:
    """Replace the numbers that mean "missing" by NaN, and count them.

    Parameters
    ----------
    numbers : tuple of float
        The numbers.
    missing : {"raise", "mask"}
        Whether values may be missing.
    """

    def __init__(self, numbers: tuple[float, ...], missing: Missing) -> None:
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
                f"the first is {first:g}; fill or drop such steps{MASK_HINT}."
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
