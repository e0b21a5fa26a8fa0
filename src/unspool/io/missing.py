"""What happens to missing values of a file: steps are dropped, or values interpolated.

The words that mean "missing" in columns of numbers are here as well.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unspool._types import MissingPolicy
from unspool.data.interpolation import interpolated
from unspool.data.missing_values import suspected_code
from unspool.data.sequences import FloatArray, IntArray
from unspool.errors import InputError
from unspool.io.file_data import Column

if TYPE_CHECKING:
    from unspool.io.cutting import WindowOptions

# Words that mean "missing" in a column that otherwise holds numbers: those of Arrow, and others
# that are common in public files.
WORDS = (
    *("", "NA", "N/A", "n/a", "na", "nan", "NaN", "NAN", "-nan", "-NaN", "null", "NULL", "Null"),
    *("#N/A", "#N/A N/A", "#NA", "1.#IND", "1.#QNAN", "-1.#IND", "-1.#QNAN"),
    *("None", "none", "?", "-", "--", "---", ".", "..", "#VALUE!", "#DIV/0!", "<NA>", "NaT"),
)


def null_values(values: Iterable[float | str] = ()) -> list[str]:
    """Return the texts that mean "missing": the usual ones and those in `missing_values`."""
    return [*WORDS, *(one for one in values if isinstance(one, str) and one not in WORDS)]


def without_missing(
    series: Sequence[FloatArray],
    policy: MissingPolicy,
    limit: int | None,
    times: Sequence[Column] | None,
    names: Sequence[str] | None,
) -> tuple[list[FloatArray], list[IntArray] | None, list[IntArray], list[str]]:
    """Drop steps with a missing value, or interpolate missing values.

    Parameters
    ----------
    series : sequence of arrays of shape (T_i, F)
    policy : {"raise", "mask", "drop", "interpolate"}
        With "raise" and "mask" nothing is done here.
    limit : int or None
        Largest number of successive values to interpolate.
    times : sequence of arrays of shape (T_i,), optional
        Times of the steps; without them the numbers of the steps are used.
    names : sequence of F str, optional
        Names of the features.

    Returns
    -------
    series : list of arrays
        The series without missing values.
    kept : list of arrays of int, or None
        The steps that are kept of each series; None if all are.
    breaks : list of arrays of int
        The steps of the new series after which steps were dropped.
    notes : list of str
        What was done, with the number of values of each feature.

    Raises
    ------
    InputError
        If values cannot be interpolated, or no step is left.
    """
    given = list(series)
    if policy not in ("drop", "interpolate"):
        return given, None, [], []
    called = [str(i) for i in range(given[0].shape[1])] if names is None else list(names)
    if policy == "drop":
        return _dropped(given, called)
    filled, counts = [], np.zeros(len(called), np.int64)
    for i, one in enumerate(given):
        new, count = interpolated(one, limit, None if times is None else _plain(times[i]))
        filled.append(new)
        counts += count
    _check_filled(filled, limit, called, times)
    notes = []
    if counts.any():
        by = "step" if times is None else "time"
        notes = [f"missing values interpolated by {by}: {_counted(counts, called)}"]
    return filled, None, [], notes


def _dropped(
    series: list[FloatArray], names: list[str]
) -> tuple[list[FloatArray], list[IntArray] | None, list[IntArray], list[str]]:
    gone = [np.isnan(one) if one.dtype.kind == "f" else np.zeros(one.shape, bool) for one in series]
    counts = np.sum([one.sum(axis=0) for one in gone], axis=0)
    if not counts.any():
        return series, None, [], []
    kept = [np.flatnonzero(~one.any(axis=1)) for one in gone]
    for i, one in enumerate(kept):
        if not len(one):
            which = "" if len(series) == 1 else f" of series {i}"
            raise InputError(
                f"every step{which} has a missing value ({_counted(counts, names)}), so "
                "missing='drop' (--on-missing drop) leaves none; leave out columns that are mostly "
                "missing."
            )
    breaks = [np.flatnonzero(np.diff(one) > 1) + 1 for one in kept]
    steps = sum(len(one) for one in series) - sum(map(len, kept))
    note = (
        f"{steps:,} step{'s' if steps > 1 else ''} with a missing value left out, and no window "
        f"crosses {'them' if steps > 1 else 'it'}: {_counted(counts, names)}"
    )
    return [one[rows] for one, rows in zip(series, kept, strict=True)], kept, breaks, [note]


def _check_filled(
    series: list[FloatArray],
    limit: int | None,
    names: list[str],
    times: Sequence[Column] | None,
) -> None:
    """Refuse values that are still missing."""
    for i, one in enumerate(series):
        if one.dtype.kind != "f" or not np.isnan(one).any():
            continue
        gone = np.isnan(one)
        step, column = np.argwhere(gone)[0]
        count = int(sum(np.isnan(other).sum() for other in series))
        where = f"step {step}" if times is None else f"{times[i][step]}"
        which = "" if len(series) == 1 else f" of series {i}"
        longer = "" if limit is None else f", or in runs of more than {limit:,}"
        raise InputError(
            f"{count:,} missing value{'s' if count > 1 else ''} cannot be interpolated, since "
            f"{'they are' if count > 1 else 'it is'} at the start or the end of a series{longer}; "
            f"the first is column {names[column]!r}{which} at {where}. Give missing='drop' "
            "(--on-missing drop) or missing='mask' (--on-missing mask)"
            f"{'' if limit is None else ', or a larger `interpolate_limit`'}."
        )


def _counted(counts: Any, names: list[str]) -> str:
    """Return "3 in heat, 1 in speed" for the columns with missing values."""
    return ", ".join(
        f"{count:,} in {name}" for name, count in zip(names, counts, strict=True) if count
    )


def _plain(times: Column) -> Column | None:
    """Return times by which values can be interpolated, else None."""
    return times if times.dtype.kind in "Mmiuf" else None


def missing_notes(
    values: FloatArray, names: Sequence[str], options: "WindowOptions"
) -> tuple[str, ...]:
    """Return a note on the missing values in columns (rows, F), and on numbers that look like it.

    Numbers that are known to mean missing are not reported.
    """
    notes = []
    if options.missing != "raise" and values.dtype.kind == "f":
        counts = np.isnan(values).sum(axis=0)
        if counts.any():
            each = _counted(counts, list(names))
            notes.append(f"empty cells and words such as NA or ? are missing values: {each}")
    known = np.isin(values, options.missing_values) if options.missing_values else None
    notes += suspects(values if known is None else np.where(known, np.nan, values), names)
    return tuple(notes)


def suspects(values: FloatArray, names: Sequence[str]) -> list[str]:
    """Return a warning for each column of values (rows, F) with numbers that look like codes."""
    notes = []
    for i, name in enumerate(names):
        column = values[:, i]
        found = suspected_code(column[~np.isnan(column)] if column.dtype.kind == "f" else column)
        if found is not None:
            code, count = found
            notes.append(
                f"warning: column {name!r} holds {code:g} in {count:,} rows, far from its other "
                f"values; if it means missing, give missing_values=[{code:g}] (--missing {code:g})"
            )
    return notes
