"""`DetectorStream`: an anomaly detector that reads a series a step at a time."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unspool.anomaly.inputs import check_same_names
from unspool.anomaly.model_errors import ERROR_FUNCTIONS, pad_front, value_limits
from unspool.anomaly.running_threshold import RunningThreshold
from unspool.anomaly.scores import log_ratios, trailing_weights
from unspool.data.frames import names_of
from unspool.data.scaling import Scaler
from unspool.data.sequences import FloatArray, as_floats
from unspool.errors import InputError
from unspool.runtime.recurrence import Array, Ragged


class Scored(NamedTuple):
    """What a step came to.

    Parameters
    ----------
    score : float
        The "trailing" score, higher is more anomalous.
    threshold : float
        The threshold in force, from the steps before.
    alarm : bool
        Whether the score is above it.
    contributions : array of shape (F,)
        Of each feature; the score is their mean.
    """

    score: float
    threshold: float
    alarm: bool
    contributions: FloatArray


class DetectorStream:
    """A detector that reads a series a step at a time, at constant time and memory for a step.

    Scores are those of the kind "trailing" of the whole series, and thresholds those of `detect`.
    Made by `Detector.stream`.
    """

    def __init__(
        self,
        errors: "ErrorsOfWindows | ErrorsOfForecasts",
        scaler: Scaler,
        scale: FloatArray,
        threshold: RunningThreshold,
        names: tuple[str, ...] | None,
    ) -> None:
        self._errors, self._scale, self._threshold = errors, scale, threshold
        self._low, self._high = value_limits(scaler)
        self._names = names
        self.steps = 0

    def update(self, step: npt.ArrayLike) -> Scored:
        """Read the next step.

        Parameters
        ----------
        step : array of shape (F,), or a row of a frame
            In the units of the data.

        Raises
        ------
        InputError
            For a step of another shape, or with values that are not finite; it is not read.
        """
        values = np.minimum(np.maximum(self._checked(step), self._low), self._high)
        scale = self._scale[min(self.steps, len(self._scale) - 1)]
        terms = log_ratios(self._errors.next(values), scale)
        score = float(np.add.reduce(terms)) / len(terms)
        threshold = self._threshold.update(score)  # raises where the score is not finite
        self._errors.keep()
        self.steps += 1
        return Scored(score, threshold, score > threshold, terms)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """All that it remembers, as arrays by name; `restore` takes it up again."""
        return {
            "steps": np.array(self.steps),
            **{f"errors.{name}": value for name, value in self._errors.state().items()},
            **{f"threshold.{name}": value for name, value in self._threshold.state().items()},
        }

    def restore(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Go on from a state that a stream of the same detector gave.

        Raises
        ------
        InputError
            For a state that is not such a one; nothing is changed then.
        """
        before = self.state()
        try:
            self._restore(state)
        except (InputError, KeyError, ValueError, TypeError, AttributeError) as error:
            self._restore(before)
            raise InputError(
                f"Expected the state of a stream of this detector, got another: {error}"
            ) from None

    def _restore(self, state: Mapping[str, npt.ArrayLike]) -> None:
        def part(prefix: str) -> dict[str, npt.ArrayLike]:
            return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}

        self._errors.restore(part("errors."))
        self._threshold.restore(part("threshold."))
        steps = np.asarray(state["steps"])
        if steps.shape != () or steps.dtype.kind not in "iu" or steps < 0:
            raise InputError(f"a whole number of `steps` was expected, not {steps!r}.")
        self.steps = int(steps)

    def _checked(self, step: npt.ArrayLike) -> FloatArray:
        if not isinstance(step, np.ndarray):
            named = names_of(tuple(getattr(step, "keys", tuple)()))  # of a row of a frame
            check_same_names(named, self._names)
        values = as_floats(step, "a step")
        if values.shape != self._low.shape:
            raise InputError(f"Expected a step of shape {self._low.shape}, got {values.shape}.")
        if not np.isfinite(values).all():
            place = int(np.argmin(np.isfinite(values)))
            feature = self._names[place] if self._names else place
            raise InputError(
                f"The step holds {values[place]} at feature {feature!r}; leave it out, or give "
                "the last value again."
            )
        return values


class Recent:
    """The last rows (n, F), one after the other in memory.

    Parameters
    ----------
    most : int
        How many are kept; twice as many are held, so that they move once in so many rows.
    features : int
    dtype : NumPy dtype
    """

    def __init__(self, most: int, features: int, dtype: Any) -> None:
        self._most = most
        self._held = np.empty((2 * most, features), dtype)
        self._end = 0

    @property
    def rows(self) -> FloatArray:
        """Those kept, a view."""
        return self._held[max(0, self._end - self._most) : self._end]

    def followed_by(self, row: FloatArray) -> FloatArray:
        """The last rows with a new one, a view; `keep` says that it is kept."""
        if self._end == len(self._held):
            self._held[: self._most] = self.rows
            self._end = self._most
        self._held[self._end] = row
        return self._held[max(0, self._end + 1 - self._most) : self._end + 1]

    def keep(self) -> None:
        """Keep the row that was given last."""
        self._end += 1

    def restore(self, rows: npt.ArrayLike) -> None:
        """Take a copy of finite rows (n, F), at most so many."""
        array = np.array(rows, self._held.dtype)
        features = self._held.shape[1]
        if array.ndim != 2 or len(array) > self._most or array.shape[1] != features:
            raise InputError(f"at most {self._most} rows of {features} features were expected.")
        if not np.isfinite(array).all():
            raise InputError("finite numbers were expected.")
        self._end = len(array)
        self._held[: self._end] = array


class ErrorsOfWindows:
    """Weighted mean errors of the window that ends at the latest step, as `WindowErrors` has them.

    Parameters
    ----------
    reconstructed : callable
        Takes sequences (1, w, F), scaled, and their lengths; gives them reconstructed.
    scaler : Scaler
    loss : str
    window : int
        Steps of a window, w; memory is that of so many steps.
    """

    def __init__(
        self,
        reconstructed: Callable[[Array, Ragged], Array],
        scaler: Scaler,
        loss: str,
        window: int,
    ) -> None:
        self._reconstructed, self._scaler = reconstructed, scaler
        self._error = ERROR_FUNCTIONS[loss]
        self._batch = Ragged(np.array([window]), window)
        self._recent = Recent(window, len(scaler.scale), np.float32)
        self._weights = trailing_weights(window, window)

    def next(self, step: FloatArray) -> FloatArray:
        """Weighted mean errors (F,) of the window with one more step (F,), which is not kept."""
        x = self._recent.followed_by(self._scaler.apply(step))
        count = len(x)
        whole = x[None] if count == self._batch.steps else pad_front(x, self._batch.steps).values
        error = self._error(self._reconstructed(whole, self._batch)[0, -count:], x)
        return _weighted(self._weights, error)

    def keep(self) -> None:
        """Keep the step that was given last."""
        self._recent.keep()

    def state(self) -> dict[str, FloatArray]:
        """The last steps, `recent` (n, F), scaled, the oldest first."""
        return {"recent": self._recent.rows.copy()}

    def restore(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Remember what `state` gave."""
        self._recent.restore(state["recent"])


class ErrorsOfForecasts:
    """Weighted mean errors of the last steps, each against the forecasts made of it before.

    See `anomaly.model_errors.forecast_errors`.

    Parameters
    ----------
    forecast : callable
        Takes a sequence (1, n, F), scaled, and its length, gives what comes after it, (1, K, F),
        in the units of the data.
    horizon : int
        K.
    scaler : Scaler
    loss : str
    window : int
    """

    def __init__(
        self,
        forecast: Callable[[Array, Ragged], FloatArray],
        horizon: int,
        scaler: Scaler,
        loss: str,
        window: int,
    ) -> None:
        self._forecast, self._scaler, self._error = forecast, scaler, ERROR_FUNCTIONS[loss]
        self._features, self._horizon, self._window = len(scaler.scale), horizon, window
        self._recent = Recent(window, self._features, np.float32)
        self._errors = Recent(window, self._features, np.float64)
        self._ahead: deque[Array] = deque(maxlen=horizon)  # scaled, each (K, F)
        self._weights = trailing_weights(window, window)

    def next(self, step: FloatArray) -> FloatArray:
        """The weighted mean errors (F,) of the last steps with one more (F,), which is not kept."""
        target = self._scaler.apply(step)
        before = self._recent.rows
        x = self._recent.followed_by(target)
        ahead = self._forecast(x[None], Ragged(np.array([len(x)]), len(x)))
        self._next = self._scaler.apply(ahead[0])
        error = np.zeros(self._features)
        if self._ahead:  # there is none for the first step
            due = np.array([one[ago] for ago, one in enumerate(reversed(self._ahead))])
            error = self._error(due, target).mean(axis=0, dtype=np.float64)
            if len(before) < self._window:
                error = np.minimum(error, self._error(before[-1], target))
        return _weighted(self._weights, self._errors.followed_by(error))

    def keep(self) -> None:
        """Keep the step that was given last."""
        self._recent.keep()
        self._errors.keep()
        self._ahead.append(self._next)

    def state(self) -> dict[str, FloatArray]:
        """The last steps `recent` (n, F), their `errors`, forecasts `ahead` (m, K, F); scaled."""
        return {
            "recent": self._recent.rows.copy(),
            "errors": self._errors.rows.copy(),
            "ahead": np.array(self._ahead, np.float32).reshape(-1, self._horizon, self._features),
        }

    def restore(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Remember what `state` gave."""
        ahead = np.asarray(state["ahead"], np.float32)
        recent, errors = np.asarray(state["recent"]), np.asarray(state["errors"])
        if ahead.shape[1:] != (self._horizon, self._features) or len(recent) != len(errors):
            raise InputError(f"got forecasts of shape {ahead.shape}, {len(errors)} errors.")
        if len(ahead) > self._horizon or not np.isfinite(ahead).all():
            raise InputError(f"at most {self._horizon} finite forecasts were expected.")
        self._recent.restore(recent)
        self._errors.restore(errors)
        self._ahead = deque(ahead.copy(), maxlen=self._horizon)


def _weighted(weights: FloatArray, errors: FloatArray) -> FloatArray:
    """The mean of errors (n, F), with the last n of the weights of a whole window."""
    own = weights[-len(errors) :]
    mean: FloatArray = own @ errors / own.sum()
    return mean
