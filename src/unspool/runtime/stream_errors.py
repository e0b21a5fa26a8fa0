"""Errors of a model that are updated step by step, for `DetectorStream`."""

from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool._loss_parameter import Loss
from unspool._losses import loss_values
from unspool._types import Missing
from unspool.anomaly.model_errors import loss_of_errors, pad_front
from unspool.anomaly.scores import trailing_weights, with_normal
from unspool.data.scaling import Scaler
from unspool.data.sequences import FloatArray
from unspool.errors import InputError
from unspool.runtime.recurrence import Array, BatchLengths


class Recent:
    """The last rows (n, F) of a stream, contiguous in memory.

    Parameters
    ----------
    size : int
        Number of rows that are kept. There is memory for twice this number, so that rows are moved
        only once in `size` rows.
    features : int
        Number of features, F.
    dtype : dtype
        Type of the values.
    missing : {"raise", "mask"}, default "raise"
        Whether values may be missing.
    """

    def __init__(self, size: int, features: int, dtype: Any, missing: Missing = "raise") -> None:
        self._size, self._missing = size, missing
        self._memory = np.empty((2 * size, features), dtype)
        self._end = 0

    @property
    def rows(self) -> FloatArray:
        """The rows that are kept, a view."""
        return self._memory[max(0, self._end - self._size) : self._end]

    def followed_by(self, row: FloatArray) -> FloatArray:
        """Return the last rows and a new one, a view; `keep` keeps the new one."""
        if self._end == len(self._memory):
            self._memory[: self._size] = self.rows
            self._end = self._size
        self._memory[self._end] = row
        return self._memory[max(0, self._end + 1 - self._size) : self._end + 1]

    def keep(self) -> None:
        """Keep the latest row."""
        self._end += 1

    def restore(self, rows: npt.ArrayLike) -> None:
        """Replace the rows by a copy of these, finite and at most `size`."""
        array = np.array(rows, self._memory.dtype)
        features = self._memory.shape[1]
        if array.ndim != 2 or len(array) > self._size or array.shape[1] != features:
            raise InputError(
                f"at most {self._size} rows of {features} features are expected, not shape "
                f"{array.shape}."
            )
        if np.isinf(array).any() or (self._missing == "raise" and np.isnan(array).any()):
            raise InputError("it contains NaN or infinity.")
        self._end = len(array)
        self._memory[: self._end] = array


class ErrorsOfWindows:
    """Weighted mean errors of the window that ends at the latest step, as in `WindowErrors`.

    Parameters
    ----------
    reconstruct : callable
        Reconstructs sequences (1, w, F), scaled, of given lengths.
    scaler : Scaler
        Scaling of the model.
    loss : str, LossByFeature or LossFunction
        Loss of the model.
    window : int
        Number of steps of a window, w.
    targets : list of int, optional
        Places of the F_out features that the model writes; None means all.
    missing : {"raise", "mask"}, default "raise"
        Whether values may be missing.
    """

    def __init__(
        self,
        reconstruct: Callable[[Array, BatchLengths], Array],
        scaler: Scaler,
        loss: Loss,
        window: int,
        targets: list[int] | None = None,
        *,
        missing: Missing = "raise",
    ) -> None:
        self._reconstruct, self._scaler = reconstruct, scaler
        self._targets = slice(None) if targets is None else targets
        self._error = partial(loss_values, loss=loss_of_errors(loss))
        self._batch = BatchLengths(np.array([window]), window)
        self._recent = Recent(window, len(scaler.scale), np.float32, missing)
        self._weights = trailing_weights(window, window)

    def next(self, step: FloatArray, scale: FloatArray) -> FloatArray:
        """Return weighted mean errors (F_out,) of window and a step (F,); `keep` keeps it.

        Missing values have the normal errors `scale` (F_out,).
        """
        x = self._recent.followed_by(self._scaler.apply(step))
        count = len(x)
        whole = x[None] if count == self._batch.steps else pad_front(x, self._batch.steps).values
        reconstruction = self._reconstruct(whole, self._batch)[0, -count:]
        error = self._error(reconstruction, x[:, self._targets])
        return _weighted(self._weights, error, scale)

    def keep(self) -> None:
        """Keep the latest step."""
        self._recent.keep()

    def state(self) -> dict[str, FloatArray]:
        """Return the last steps, `recent` (n, F), scaled, the oldest first."""
        return {"recent": self._recent.rows.copy()}

    def restore(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Restore what `state` returned."""
        self._recent.restore(state["recent"])


class ErrorsOfForecasts:
    """Weighted mean errors of the forecasts of the last steps.

    See `anomaly.model_errors.forecast_errors`.

    Parameters
    ----------
    forecast : callable
        Forecasts the steps (1, K, F) after a scaled sequence (1, n, F) of a given length, in the
        units of the data.
    horizon : int
        Number of steps of a forecast, K.
    scaler : Scaler
        Scaling of the model.
    loss : str, LossByFeature or LossFunction
        Loss of the model.
    window : int
        Number of steps of a window, w.
    targets : list of int, optional
        Places of the F_out features that the model forecasts; None means all.
    missing : {"raise", "mask"}, default "raise"
        Whether values may be missing.
    """

    def __init__(
        self,
        forecast: Callable[[Array, BatchLengths], FloatArray],
        horizon: int,
        scaler: Scaler,
        loss: Loss,
        window: int,
        targets: list[int] | None = None,
        *,
        missing: Missing = "raise",
    ) -> None:
        self._forecast, self._scaler = forecast, scaler
        self._error = partial(loss_values, loss=loss_of_errors(loss))
        self._targets = slice(None) if targets is None else targets
        self._of_targets = scaler if targets is None else scaler.select(targets)
        self._features = len(self._of_targets.scale)
        self._horizon, self._window = horizon, window
        self._recent = Recent(window, len(scaler.scale), np.float32, missing)
        self._errors = Recent(window, self._features, np.float64, missing)
        self._ahead: deque[Array] = deque(maxlen=horizon)  # scaled, each (K, F)
        self._weights = trailing_weights(window, window)

    def next(self, step: FloatArray, scale: FloatArray) -> FloatArray:
        """Return weighted mean errors (F_out,) of the last steps and a step (F,).

        Missing values have the normal errors `scale` (F_out,). `keep` keeps the step.
        """
        scaled = self._scaler.apply(step)
        target = scaled[self._targets]
        before = self._recent.rows
        x = self._recent.followed_by(scaled)
        ahead = self._forecast(x[None], BatchLengths(np.array([len(x)]), len(x)))
        self._next = self._of_targets.apply(ahead[0])
        error = np.where(np.isnan(target), np.nan, 0.0)
        if self._ahead:  # the first step has no forecast
            due = np.array([one[ago] for ago, one in enumerate(reversed(self._ahead))])
            error = self._error(due, target).mean(axis=0, dtype=np.float64)
            if len(before) < self._window:
                error = np.fmin(error, self._error(before[-1][self._targets], target))
        return _weighted(self._weights, self._errors.followed_by(error), scale)

    def keep(self) -> None:
        """Keep the latest step."""
        self._recent.keep()
        self._errors.keep()
        self._ahead.append(self._next)

    def state(self) -> dict[str, FloatArray]:
        """Return the last steps `recent` (n, F), scaled, the oldest first."""
        return {
            "recent": self._recent.rows.copy(),
            "errors": self._errors.rows.copy(),
            "ahead": np.array(self._ahead, np.float32).reshape(-1, self._horizon, self._features),
        }

    def restore(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Restore what `state` returned."""
        ahead = np.asarray(state["ahead"], np.float32)
        recent, errors = np.asarray(state["recent"]), np.asarray(state["errors"])
        if ahead.shape[1:] != (self._horizon, self._features) or len(recent) != len(errors):
            raise InputError(
                f"it has forecasts of shape {ahead.shape}, and {len(errors)} errors of "
                f"{len(recent)} steps."
            )
        if len(ahead) > self._horizon or not np.isfinite(ahead).all():
            raise InputError(f"at most {self._horizon} finite forecasts are expected.")
        self._recent.restore(recent)
        self._errors.restore(errors)
        self._ahead = deque(ahead.copy(), maxlen=self._horizon)


def _weighted(weights: FloatArray, errors: FloatArray, scale: FloatArray) -> FloatArray:
    """Return the mean of errors (n, F), with the last n of the weights of a whole window.

    Errors of missing values, NaN, are replaced by the normal errors `scale` (F,), unless all values
    of a feature are missing.
    """
    last = weights[-len(errors) :]
    present = ~np.isnan(errors)
    if not present.all():
        known = last @ present
        total = last @ np.where(present, errors, 0)
        means = np.where(known > 0, total / np.where(known > 0, known, 1), np.nan)
        return with_normal(means, known / last.sum(), scale)
    mean: FloatArray = last @ errors / last.sum()
    return mean
