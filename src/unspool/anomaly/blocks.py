"""What estimators over windows share: windows (N, w, F) read as rows (N, w · F), block by block.

Main path: `fit` takes `OnWindows._started`, and `spread` where it keeps or decomposes windows;
`Reconstructing.reconstruct` goes through `blocks`, so that memory is bounded.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from unspool.errors import InputError

Array = npt.NDArray[Any]

MOST_VALUES = 2**25  # of windows kept or decomposed together: 256 MiB
BLOCK = 2**22  # values at once, where windows are read one block after the other


class OnWindows(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Checks windows, and remembers their shape."""

    def _started(self, windows: Any) -> Array:
        """The windows of `fit`, checked; their shape is remembered."""
        array = numbers(windows, 3, "windows (N, w, F)")
        if 0 in array.shape:
            raise InputError(
                f"Expected at least one window of at least one step and feature, got {array.shape}."
            )
        self.window_shape_ = array.shape[1:]
        self.n_features_in_ = array.shape[2]
        return array

    def _known(self, windows: Any) -> Array:
        """Other windows, of the shape of those in `fit`."""
        check_is_fitted(self)
        array = numbers(windows, 3, "windows (N, w, F)")
        if array.shape[1:] != self.window_shape_:
            w, n_features = self.window_shape_
            raise InputError(
                f"Expected windows (N, {w}, {n_features}) as in fit, got shape {array.shape}."
            )
        return array

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        return tags


class Reconstructing(OnWindows):
    """Reconstructs windows block by block."""

    def reconstruct(self, windows: Any) -> Array:
        """Windows as the method explains them.

        Parameters
        ----------
        windows : array of shape (N, w, F)
            With w and F as in `fit`; N may be 0.

        Returns
        -------
        array of shape (N, w, F)
            In the floating-point type of `windows`.
        """
        array = self._known(windows)
        made = np.empty(array.shape, array.dtype if array.dtype.kind == "f" else np.float64)
        for start, rows in blocks(array, self._beside()):
            made[start : start + len(rows)] = self._of_rows(rows).reshape(-1, *self.window_shape_)
        return made

    def _beside(self) -> int:
        """Values that a row needs beside its own."""
        raise NotImplementedError

    def _of_rows(self, rows: Array) -> Array:
        """The reconstruction of rows (B, w · F)."""
        raise NotImplementedError


def numbers(values: Any, ndim: int, what: str) -> Array:
    """`values` as an array of so many dimensions, not yet known to be finite."""
    array = np.asarray(values)
    if array.ndim != ndim or array.dtype.kind not in "fiub":
        raise InputError(
            f"Expected {what} of numbers, got shape {array.shape} of dtype {array.dtype}."
        )
    return array


def one_series(series: Any, n_features: int) -> Array:
    """A series (T, F) of finite values in float64."""
    array = numbers(series, 2, "a series (T, F)")
    if array.shape[1] != n_features:
        raise InputError(f"Expected a series (T, {n_features}) as in fit, got {array.shape}.")
    return _finite(array)


def _finite(array: Array) -> Array:
    values = array.astype(np.float64, order="C")
    if not np.isfinite(values).all():
        raise InputError(
            "Expected finite values, got missing or infinite ones; fill them, or leave out the "
            "windows that hold them."
        )
    return values


def blocks(windows: Array, beside: int = 0) -> Iterator[tuple[int, Array]]:
    """The number of the first window, and rows (B, w · F), of block after block.

    A row needs memory for `beside` values more, such as its distances from others.
    """
    step = max(BLOCK // max(windows[0].size, beside), 1) if len(windows) else 1
    for start in range(0, len(windows), step):
        block = windows[start : start + step]
        yield start, _finite(block).reshape(len(block), -1)


def spread(windows: Array, most: int) -> Array:
    """At most so many of the windows, from the first to the last, as rows (M, w · F)."""
    count = min(len(windows), most, max(MOST_VALUES // windows[0].size, 2))
    chosen = np.arange(count) * (len(windows) - 1) // max(count - 1, 1)
    return _finite(windows[chosen]).reshape(count, -1)


def moments(windows: Array) -> tuple[Array, Array]:
    """Mean and standard deviation of every feature over all values, 1 where it is 0."""
    n_values, n_features = windows.shape[0] * windows.shape[1], windows.shape[2]
    mean = sum(rows.reshape(-1, n_features).sum(0) for _, rows in blocks(windows)) / n_values
    squares = sum(
        ((rows.reshape(-1, n_features) - mean) ** 2).sum(0) for _, rows in blocks(windows)
    )
    std = np.sqrt(squares / n_values)
    return mean, np.where(std > 0, std, 1)


def principal(rows: Array, variance: float) -> Array:
    """Principal components (K, D) of centred rows (M, D), as many as explain more than a share.

    By the smaller of the products D × D and M × M. None where the rows are all zero.
    """
    wide = len(rows) < rows.shape[1]
    values, vectors = np.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    explained = np.cumsum(values)
    if explained[-1] == 0:
        return np.empty((0, rows.shape[1]))
    count = np.searchsorted(explained / explained[-1], variance, side="right") + 1
    kept = vectors[:, :count].T
    return kept @ rows / np.sqrt(values[:count, None]) if wide else kept


def nearest(rows: Array, points: Array) -> Array:
    """For every row (B, D), which of the points (M, D) is nearest; the first of equal ones."""
    squares = np.einsum("md,md->m", points, points)
    distances = (-2 * rows) @ points.T  # squared, less the square of the row
    distances += squares
    each = np.arange(len(rows))
    found = distances.argmin(axis=1)
    least = distances[each, found]
    size = np.einsum("bd,bd->b", rows, rows) + squares.max()
    limit = least + 4 * rows.shape[1] * np.finfo(np.float64).eps * size  # for rounding
    distances[each, found] = np.inf
    unclear = np.flatnonzero(distances.min(axis=1) <= limit)
    distances[each, found] = least
    for i in unclear:
        found[i] = _nearest_of(rows[i], points, np.flatnonzero(distances[i] <= limit[i]))
    return np.asarray(found)


def _nearest_of(row: Array, points: Array, candidates: Array) -> int:
    step = max(BLOCK // len(row), 1)
    parts = (candidates[i : i + step] for i in range(0, len(candidates), step))
    distances = [((points[part] - row) ** 2).sum(axis=1) for part in parts]
    return int(candidates[np.concatenate(distances).argmin()])
