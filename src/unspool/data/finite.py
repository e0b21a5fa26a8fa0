"""Checks that values are finite: of arrays in memory, and of what is read from elsewhere."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool._types import Missing
from unspool.data.values import FloatArray, IntArray
from unspool.errors import InputError

MASK_HINT = ", or keep them as missing values with missing='mask' (--on-missing mask)"
# The ways out for the reader of a file.
FILL_HINT = (
    "give missing='interpolate' (--on-missing interpolate), missing='drop' (--on-missing drop) or "
    "missing='mask' (--on-missing mask)"
)
CHUNK_VALUES = 1 << 20  # values that are processed at once, to bound memory


def sum_is_finite(values: npt.NDArray[Any]) -> bool:
    """Return whether the sum of values is finite, as it is if all of them are.

    It is faster to compute than a check of every value. (A dot product would start threads of BLAS,
    which compete for the cores that training uses.)
    """
    if values.dtype.kind != "f":
        return True
    with np.errstate(all="ignore"):
        return bool(np.isfinite(values.sum()))


def check_still_finite(values: npt.NDArray[Any], source: Any) -> None:
    """Refuse values of `source` that were finite when it was made but are not any more.

    Arrays are not copied, so their owner can change them later.
    """
    if sum_is_finite(values):
        return
    masks = source.missing == "mask"
    if np.isinf(values).any() if masks else not np.isfinite(values).all():
        raise InputError(
            f"Expected finite values, but the array of {source!r} was changed and holds "
            f"{'' if masks else 'NaN or '}infinity now; correct it and make a new "
            f"{type(source).__name__}."
        )
    if masks:
        source.has_missing = True  # values may have become NaN since


def check_sequence(values: FloatArray, number: int, missing: Missing) -> None:
    """Refuse infinity in sequence `number`, (T_i, F), and NaN unless `missing` is "mask"."""
    bad = np.argwhere(np.isinf(values) if missing == "mask" else ~np.isfinite(values))
    if not len(bad):
        return
    step, feature = bad[0]
    value = values[step, feature]
    hint = "" if np.isinf(value) else MASK_HINT
    raise InputError(
        f"Sequence {number} holds {value} at step {step}, feature {feature}; "
        f"fill or drop such steps{hint} (only steps at the end that are NaN in every "
        "feature count as padding)."
    )


def check_steps(
    values: FloatArray,
    number: int,
    first: int,
    names: Sequence[str] | None,
    missing: Missing,
) -> None:
    """Refuse infinity in steps of series `number`, and NaN unless `missing` is "mask".

    Parameters
    ----------
    values : array of shape (steps, F)
    number : int
        Number of the series.
    first : int
        Number of the first of the steps in the series.
    names : sequence of F str, optional
        Names of the features.
    missing : {"raise", "mask"}
    """
    bad = np.isinf(values) if missing == "mask" else ~np.isfinite(values)
    if not bad.any():
        return
    row, column = np.argwhere(bad)[0]
    value = values[row, column]
    name = names[column] if names else int(column)
    hint = "" if np.isinf(value) else MASK_HINT
    raise InputError(
        f"Series {number} holds {value} at step {first + row}, feature {name!r}; "
        f"fill or drop such steps before cutting windows{hint}."
    )


def rows_with_bad_values(values: FloatArray) -> Iterator[tuple[int, FloatArray]]:
    """Yield the number and values of every sequence that contains NaN or infinity."""
    size = max(1, CHUNK_VALUES // max(1, values[0].size)) if len(values) else 1
    for start in range(0, len(values), size):
        finite = np.isfinite(values[start : start + size]).all(axis=(1, 2))
        for i in np.flatnonzero(~finite):
            yield start + int(i), values[start + int(i)]


def check_read(values: FloatArray, lengths: IntArray, numbers: IntArray, missing: Missing) -> bool:
    """Check sequences (B, T, F) that were read; return whether a value of them is missing.

    Parameters
    ----------
    values : array of shape (B, T, F)
    lengths : array of shape (B,)
    numbers : array of shape (B,)
        Numbers of the sequences, for messages.
    missing : {"raise", "mask"}
    """
    if sum_is_finite(values):
        return False
    found = False
    for i, row in rows_with_bad_values(values):
        check_sequence(row[: lengths[i]], int(numbers[i]), missing)
        found = found or bool(np.isnan(row[: lengths[i]]).any())
    return found
