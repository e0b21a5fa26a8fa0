"""`DetectorStream`: an anomaly detector that reads a series a step at a time."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unspool.anomaly.errors import Pieces, reflected
from unspool.anomaly.running import RunningThreshold
from unspool.anomaly.scores import relative
from unspool.data.convert import Source
from unspool.data.frames import names_of
from unspool.data.scaling import Scaler
from unspool.data.sequences import FloatArray, Sequences, as_floats
from unspool.errors import InputError
from unspool.results import LOSSES


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
        scale: FloatArray,
        threshold: RunningThreshold,
        names: tuple[str, ...] | None,
    ) -> None:
        self._errors, self._scale, self._threshold = errors, scale, threshold
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
        terms = relative(self._errors.update(self._checked(step)), self._scale)
        score = float(terms.mean())
        threshold = self._threshold.update(score)
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
        except (InputError, KeyError, ValueError) as error:
            self._restore(before)
            raise InputError(
                f"Expected the state of a stream of this detector, got another: {error}"
            ) from None

    def _restore(self, state: Mapping[str, npt.ArrayLike]) -> None:
        def part(prefix: str) -> dict[str, npt.ArrayLike]:
            return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}

        self._errors.restore(part("errors."))
        self._threshold.restore(part("threshold."))
        self.steps = int(np.asarray(state["steps"]))

    def _checked(self, step: npt.ArrayLike) -> FloatArray:
        named = names_of(tuple(getattr(step, "keys", tuple)()))  # of a row of a frame
        if named and self._names and named != self._names:
            raise InputError(
                f"Expected the features {', '.join(self._names)}, in this order, got "
                f"{', '.join(named)}; order them as in training."
            )
        values = as_floats(step, "a step")
        if values.shape != self._scale.shape:
            raise InputError(f"Expected a step of shape {self._scale.shape}, got {values.shape}.")
        if not np.isfinite(values).all():
            place = int(np.argmin(np.isfinite(values)))
            feature = self._names[place] if self._names else place
            raise InputError(
                f"The step holds {values[place]} at feature {feature!r}; leave it out, or give "
                "the last value again."
            )
        return values


class ErrorsOfWindows:
    """Mean errors of the window that ends at the latest step; see `anomaly.errors.OfWindows`.

    Parameters
    ----------
    errors : callable
        Takes sequences, gives the errors of their steps.
    window : int
        Steps of a window, w; memory is that of so many steps.
    features : int
    """

    def __init__(self, errors: Callable[[Source], Pieces], window: int, features: int) -> None:
        self._errors, self._window, self._features = errors, window, features
        self._recent: FloatArray = np.empty((0, features))

    def update(self, step: FloatArray) -> FloatArray:
        """Read a step (F,); give the mean errors (F,) of the window."""
        recent = np.concatenate([self._recent, step[None]])[-self._window :]
        ((_, errors),) = self._errors(reflected(recent, self._window))
        self._recent = recent
        mean: FloatArray = errors[0, -len(recent) :].mean(axis=0, dtype=np.float64)
        return mean

    def state(self) -> dict[str, FloatArray]:
        """The last steps, `recent` (n, F), the oldest first."""
        return {"recent": self._recent.copy()}

    def restore(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Remember what `state` gave."""
        self._recent = _rows(state["recent"], self._window, self._features)


class ErrorsOfForecasts:
    """Mean errors of the last steps, each against the forecasts that were made of it before.

    See `anomaly.errors.of_forecasts`.

    Parameters
    ----------
    forecast : callable
        Takes sequences, gives what comes after them, (N, K, F), in the units of the data.
    horizon : int
        K.
    scaler : Scaler
    loss : str
    window, features : int
    """

    def __init__(
        self,
        forecast: Callable[[Source], FloatArray],
        horizon: int,
        scaler: Scaler,
        loss: str,
        window: int,
        features: int,
    ) -> None:
        self._forecast, self._scaler, self._loss = forecast, scaler, LOSSES[loss]
        self._window, self._features = window, features
        self._recent: FloatArray = np.empty((0, features))
        self._errors: FloatArray = np.empty((0, features))
        self._ahead: deque[FloatArray] = deque(maxlen=horizon)  # scaled, each (K, F)
        self._horizon = horizon

    def update(self, step: FloatArray) -> FloatArray:
        """Read a step (F,); give the mean errors (F,) of the last steps."""
        target = self._scaler.apply(step)
        recent = np.concatenate([self._recent, step[None]])[-self._window :]
        ahead = self._scaler.apply(self._forecast(Sequences(recent[None]))[0])
        due = [one[ago] for ago, one in enumerate(reversed(self._ahead))]
        error = np.zeros(self._features)
        if due:  # there is none for the first step
            error = self._loss(np.array(due), target).mean(axis=0, dtype=np.float64)
        self._errors = np.concatenate([self._errors, error[None]])[-self._window :]
        self._recent = recent
        self._ahead.append(ahead)
        mean: FloatArray = self._errors.mean(axis=0)
        return mean

    def state(self) -> dict[str, FloatArray]:
        """The last steps `recent` (n, F), their `errors`, and forecasts `ahead` (m, K, F)."""
        ahead = np.array(self._ahead).reshape(-1, self._horizon, self._features)
        return {"recent": self._recent.copy(), "errors": self._errors.copy(), "ahead": ahead}

    def restore(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Remember what `state` gave."""
        recent = _rows(state["recent"], self._window, self._features)
        errors = _rows(state["errors"], self._window, self._features)
        ahead = np.asarray(state["ahead"], np.float32)
        if ahead.shape[1:] != (self._horizon, self._features) or len(recent) != len(errors):
            raise InputError(f"got forecasts of shape {ahead.shape}, {len(errors)} errors.")
        self._recent, self._errors = recent, errors
        self._ahead = deque(ahead, maxlen=self._horizon)


def _rows(values: npt.ArrayLike, most: int, features: int) -> FloatArray:
    """Finite rows (n, F), at most so many, as a copy."""
    rows = np.array(values, np.float64)
    if rows.ndim != 2 or len(rows) > most or rows.shape[1] != features:
        raise InputError(f"at most {most} rows of {features} features were expected.")
    if not np.isfinite(rows).all():
        raise InputError("finite numbers were expected.")
    return rows
