"""Missing values, NaN in sequences; `unspool.nn.missing` in NumPy."""

import numpy as np

from unspool.runtime.recurrence import Array


def filled(x: Array, fill: Array | None) -> Array:
    """Replace missing values of sequences (…, F) by `fill` (F,); None replaces nothing."""
    return x if fill is None else np.where(np.isnan(x), fill, x)


def marked(x: Array, fill: Array | None) -> Array:
    """Replace missing values of (…, F) by `fill` (F,), and append indicators: (…, 2F)."""
    if fill is None:
        return x
    hidden = np.isnan(x)
    return np.concatenate([np.where(hidden, fill, x), hidden.astype(x.dtype)], axis=-1)


def carried(x: Array) -> Array:
    """Replace missing values of (B, T, F) by the last value before them, if there is one."""
    reach = 1
    while reach < x.shape[1]:
        earlier = np.concatenate([x[:, :reach], x[:, :-reach]], axis=1)
        x = np.where(np.isnan(x), earlier, x)
        reach *= 2
    return x
