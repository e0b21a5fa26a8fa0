"""Checks of the series that windows are cut from."""

from collections.abc import Sequence

import numpy as np

from unspool._types import Missing, Short
from unspool.data.finite import CHUNK_VALUES, check_steps
from unspool.data.stored import Stored, Values
from unspool.errors import InputError


def check_shapes(series: Sequence[Values], span: int, short: Short) -> None:
    """Refuse series of different features, and series without steps or shorter than a window.

    Parameters
    ----------
    series : sequence of arrays of shape (T_i, F)
    span : int
        Number of steps of the series that a window spans.
    short : {"error", "keep"}
        Whether a series that is shorter is an error, or one short window.
    """
    n_features = series[0].shape[1]
    for i, one in enumerate(series):
        if one.shape[1] != n_features:
            raise InputError(
                f"Expected every series with {n_features} features like the first, "
                f"got {one.shape[1]} in series {i}."
            )
        if len(one) == 0 or (len(one) < span and short == "error"):
            raise InputError(
                f"Expected a series of at least {span} steps (the window), got "
                f"{len(one)} in series {i}; choose a smaller window, or keep short series as "
                "one window with short='keep'."
            )


def has_missing_values(
    series: Sequence[Values], names: Sequence[str] | None, missing: Missing
) -> bool:
    """Return whether a series contains NaN; refuse infinity, and NaN unless `missing` is "mask".

    Series that are not in memory are checked when they are read.
    """
    found = False
    for i, one in enumerate(series):
        if one.dtype.kind != "f" or isinstance(one, Stored):
            continue  # whole numbers are finite
        step = 0
        for chunk in np.array_split(one, max(1, one.size // CHUNK_VALUES)):
            if not np.isfinite(chunk).all():
                found = True
                check_steps(chunk, i, step, names, missing)
            step += len(chunk)
    return found
