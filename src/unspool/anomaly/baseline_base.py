"""Base classes of the baselines, and the numerical helpers that they share.

Windows (N, w, F) are read as rows (N, w · F), block by block, so that memory is bounded.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from unspool.errors import InputError

Array = npt.NDArray[Any]

MAX_VALUES = 2**25  # values of all windows that `fit` keeps or decomposes: 256 MiB
BLOCK = 2**22  # values in a block of windows


class WindowBaseline(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """Base class that checks windows and stores their shape."""

    def _check_fit_windows(self, windows: Any) -> Array:
        """Check the windows of `fit` and store their shape."""
        array = as_numeric_array(windows, 3, "windows (N, w, F)")
        if 0 in array.shape:
            raise InputError(
                f"Expected at least one window of at least one step and feature, got {array.shape}."
            )
        self.window_shape_ = array.shape[1:]
        self.n_features_in_ = array.shape[2]
        return array

    def _check_windows(self, windows: Any) -> Array:
        """Check that windows have the shape (w, F) of those in `fit`."""
        check_is_fitted(self)
        array = as_numeric_array(windows, 3, "windows (N, w, F)")
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


class ReconstructingBaseline(WindowBaseline):
    """Base class of the baselines that reconstruct windows."""

    def reconstruct(self, windows: Any) -> Array:
        """Reconstruct windows.

        Parameters
        ----------
        windows : array of shape (N, w, F)
            Windows with the w steps and F features of those in `fit`; N may be 0.

        Returns
        -------
        array of shape (N, w, F)
            The reconstruction, in the floating-point type of `windows` (float64 for integers).

        Raises
        ------
        InputError
            If the shape is another than in `fit`, or a value is missing or infinite.
        sklearn.exceptions.NotFittedError
            If the estimator is not fitted.
        """
        array = self._check_windows(windows)
        reconstruction = np.empty(
            array.shape, array.dtype if array.dtype.kind == "f" else np.float64
        )
        for start, rows in row_blocks(array, self._extra_values_per_row()):
            block = self._reconstruct_rows(rows)
            reconstruction[start : start + len(rows)] = block.reshape(-1, *self.window_shape_)
        return reconstruction

    def _extra_values_per_row(self) -> int:
        """Return how many values a row needs in memory in addition to its own."""
        raise NotImplementedError

    def _reconstruct_rows(self, rows: Array) -> Array:
        """Reconstruct rows (B, w · F)."""
        raise NotImplementedError


def as_numeric_array(values: Any, ndim: int, what: str) -> Array:
    """Return `values` as a numeric array with `ndim` axes; it may hold NaN or infinity."""
    array = np.asarray(values)
    if array.ndim != ndim or array.dtype.kind not in "fiub":
        raise InputError(
            f"Expected {what} of numbers, got an array of shape {array.shape} and dtype "
            f"{array.dtype}."
        )
    return array


def check_series(series: Any, n_features: int) -> Array:
    """Return a series (T, F) of finite values in float64."""
    array = as_numeric_array(series, 2, "a series (T, F)")
    if array.shape[1] != n_features:
        raise InputError(f"Expected a series (T, {n_features}) as in fit, got {array.shape}.")
    return _finite(array)


def _finite(array: Array) -> Array:
    values = array.astype(np.float64, order="C")
    if not np.isfinite(values).all():
        raise InputError(
            "The data contains NaN or infinity; fill such values, or leave out the windows that "
            "contain them."
        )
    return values


def row_blocks(windows: Array, extra_values: int = 0) -> Iterator[tuple[int, Array]]:
    """Yield the index of the first window and the rows (B, w · F) of each block.

    `extra_values` is the number of values that a row needs in memory in addition to its own,
    such as its distances from other rows.
    """
    step = max(BLOCK // max(windows[0].size, extra_values), 1) if len(windows) else 1
    for start in range(0, len(windows), step):
        block = windows[start : start + step]
        yield start, _finite(block).reshape(len(block), -1)


def sample_rows(windows: Array, max_windows: int) -> Array:
    """Return at most `max_windows` evenly spaced windows as rows (M, w · F)."""
    count = min(len(windows), max_windows, max(MAX_VALUES // windows[0].size, 2))
    chosen = np.arange(count) * (len(windows) - 1) // max(count - 1, 1)
    return _finite(windows[chosen]).reshape(count, -1)


def mean_and_std(windows: Array) -> tuple[Array, Array]:
    """Return mean and standard deviation (F,) of each feature; a deviation of 0 becomes 1."""
    n_values, n_features = windows.shape[0] * windows.shape[1], windows.shape[2]
    mean = sum(rows.reshape(-1, n_features).sum(0) for _, rows in row_blocks(windows)) / n_values
    squares = sum(
        ((rows.reshape(-1, n_features) - mean) ** 2).sum(0) for _, rows in row_blocks(windows)
    )
    std = np.sqrt(squares / n_values)
    return mean, np.where(std > 0, std, 1)


def principal_components(rows: Array, variance: float) -> Array:
    """Return the fewest components (K, D) that explain more than a share of the variance.

    `rows` (M, D) have a mean of zero. The eigenvectors are those of the smaller of the two
    products, D × D or M × M. K is 0 if all rows are zero.
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


def nearest_index(rows: Array, points: Array) -> Array:
    """Return the index (B,) of the nearest point (M, D) to each row (B, D), the first of equals."""
    squares = np.einsum("md,md->m", points, points)
    distances = (-2 * rows) @ points.T  # squared distance minus the squared norm of the row
    distances += squares
    row_index = np.arange(len(rows))
    nearest = distances.argmin(axis=1)
    smallest = distances[row_index, nearest]
    size = np.einsum("bd,bd->b", rows, rows) + squares.max()
    limit = smallest + 4 * rows.shape[1] * np.finfo(np.float64).eps * size  # rounding error
    distances[row_index, nearest] = np.inf
    ambiguous = np.flatnonzero(distances.min(axis=1) <= limit)
    distances[row_index, nearest] = smallest
    for i in ambiguous:
        nearest[i] = _nearest_candidate(rows[i], points, np.flatnonzero(distances[i] <= limit[i]))
    return np.asarray(nearest)


def _nearest_candidate(row: Array, points: Array, candidates: Array) -> int:
    step = max(BLOCK // len(row), 1)
    parts = (candidates[i : i + step] for i in range(0, len(candidates), step))
    distances = [((points[part] - row) ** 2).sum(axis=1) for part in parts]
    return int(candidates[np.concatenate(distances).argmin()])
