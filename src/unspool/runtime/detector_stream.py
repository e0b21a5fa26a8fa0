"""`DetectorStream`: an anomaly detector that reads a series step by step."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unspool._types import Missing
from unspool.anomaly.inputs import check_same_names
from unspool.anomaly.model_errors import value_limits
from unspool.anomaly.outages import outage_length
from unspool.anomaly.running_threshold import RunningThreshold
from unspool.anomaly.scores import log_ratios
from unspool.data.frames import names_of
from unspool.data.scaling import Scaler
from unspool.data.sequences import FloatArray, as_floats
from unspool.errors import InputError
from unspool.runtime.stream_errors import ErrorsOfForecasts, ErrorsOfWindows


class Scored(NamedTuple):
    """Score of one step, returned by `DetectorStream.update`.

    Attributes
    ----------
    score : float
        Anomaly score of the kind "trailing"; higher is more anomalous. NaN for a step without any
        value.
    threshold : float
        Threshold for this step, computed from the steps before it.
    alarm : bool
        Whether the score is above the threshold; never for a score of NaN.
    contributions : array of shape (F,)
        Contribution of each feature; the score is their mean. NaN for a feature whose last values
        are all missing, which the mean leaves out.

    See Also
    --------
    DetectorStream : The stream that returns it.
    """

    score: float
    threshold: float
    alarm: bool
    contributions: FloatArray


class DetectorStream:
    """An anomaly detector that reads a series step by step.

    `Detector.stream` makes a stream. Its scores are those of the kind "trailing" for the whole
    series, and its thresholds those of `Detector.detect`. Every step costs the same time and
    memory.

    Parameters
    ----------
    errors : function
        Returns an object that computes the errors of the latest window or forecast.
    scaler : Scaler
        Scaling of the model.
    scale : array of shape (w, F)
        Typical errors by step and feature, by which errors are divided.
    threshold : running threshold
        Computes the threshold from the scores so far.
    names : tuple of F str, optional
        Names of the features.
    dilation : int, default 1
        Number of steps of the series from one step of a window to the next.
    missing : {"raise", "mask"}, default "raise"
        Whether values may be missing.
    targets : list of int, optional
        Places of the F_out features that the model writes; None means all.

    Attributes
    ----------
    steps : int
        Number of steps read since the start.

    See Also
    --------
    Detector.stream : Make a stream.
    Scored : What `update` returns.

    Examples
    --------
    >>> import numpy as np
    >>> from unspool import AnomalyDetector, LSTMAutoencoder, runtime
    >>> X = np.sin(np.arange(600) / 5)[:, None]
    >>> model = LSTMAutoencoder(4, epochs=1, random_state=0, verbose=0)
    >>> fitted = AnomalyDetector(model, window=20).fit(X)
    >>> stream = runtime.Detector(fitted.contents()).stream()
    >>> for step in X[:50]:
    ...     scored = stream.update(step)
    >>> scored.contributions.shape, stream.steps
    ((1,), 50)
    """

    def __init__(
        self,
        errors: Callable[[], ErrorsOfWindows | ErrorsOfForecasts],
        scaler: Scaler,
        scale: FloatArray,
        threshold: RunningThreshold,
        names: tuple[str, ...] | None,
        dilation: int = 1,
        missing: Missing = "raise",
        targets: list[int] | None = None,
    ) -> None:
        self._new_errors, self._scale, self._threshold = errors, scale, threshold
        # With a dilation, windows that end at this step share no step with those of the next one.
        self._errors = [errors() for _ in range(dilation)]
        self._low, self._high = value_limits(scaler)
        self._names, self._missing = names, missing
        self._targets = slice(None) if targets is None else targets
        self._outage = outage_length(len(scale), dilation)
        # Number of the latest steps without a value.
        self.steps = self._since_start = self._empty = 0

    def update(self, step: npt.ArrayLike) -> Scored:
        """Read the next step.

        Parameters
        ----------
        step : array of shape (F,), or row of a frame
            The values in the units of the data. NaN is a missing value, if the model was trained
            with ``missing="mask"``.

        Returns
        -------
        Scored
            Score, threshold, alarm and contributions of the step.

        Raises
        ------
        InputError
            If the step has another shape, or contains infinity, or NaN for a model that does not
            accept missing values; it is then not read.
        """
        values = np.minimum(np.maximum(self._checked(step), self._low), self._high)
        empty = bool(np.isnan(values).all())
        if self._empty >= self._outage and not empty:
            self.restart()
        before, phase = divmod(self._since_start, len(self._errors))
        scale, errors = self._scale[min(before, len(self._scale) - 1)], self._errors[phase]
        terms = log_ratios(errors.next(values, scale), scale)
        hidden = np.isnan(values[self._targets])
        if hidden.all():  # nothing to score; the threshold stays
            terms = np.full_like(terms, np.nan)
            score, threshold = math.nan, self._threshold.level
        else:
            known = terms[~np.isnan(terms)] if self._missing == "mask" else terms
            score = float(np.add.reduce(known)) / len(known) if len(known) else math.nan
            threshold = self._threshold.update(score)  # raises where the score is not finite
        errors.keep()
        self._empty = self._empty + 1 if empty else 0
        self.steps += 1
        self._since_start += 1
        return Scored(score, threshold, score > threshold, terms)

    def restart(self) -> None:
        """Begin a new series, for example after a gap in time that no window should cross.

        The next steps are scored like the first ones of a series. The threshold keeps the scores so
        far, and `steps` counts on.
        """
        self._errors = [self._new_errors() for _ in self._errors]
        self._since_start = 0

    def state(self) -> dict[str, npt.NDArray[Any]]:
        """Return the state of the stream, for `restore`.

        Returns
        -------
        dict of str to array
            Everything that the stream remembers of the steps so far.
        """
        return {
            "steps": np.array(self.steps),
            "since_start": np.array(self._since_start),
            "empty": np.array(self._empty),
            **{
                f"{prefix}{name}": value
                for prefix, errors in self._phases()
                for name, value in errors.state().items()
            },
            **{f"threshold.{name}": value for name, value in self._threshold.state().items()},
        }

    def restore(self, state: Mapping[str, npt.ArrayLike]) -> None:
        """Continue from a state that a stream of the same detector returned.

        Parameters
        ----------
        state : mapping of str to array
            The result of `state`.

        Raises
        ------
        InputError
            If it is not the state of such a stream; the stream is then unchanged.
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

        for prefix, errors in self._phases():
            errors.restore(part(prefix))
        self._threshold.restore(part("threshold."))
        self.steps = _whole("steps", state["steps"])
        self._since_start = _whole("since_start", state.get("since_start", self.steps))
        self._empty = _whole("empty", state.get("empty", 0))

    def _phases(self) -> Iterator[tuple[str, ErrorsOfWindows | ErrorsOfForecasts]]:
        """Yield the errors of each phase of a dilation, with the prefix of their state."""
        for phase, errors in enumerate(self._errors):
            yield (f"errors.{phase}." if len(self._errors) > 1 else "errors."), errors

    def _checked(self, step: npt.ArrayLike) -> FloatArray:
        if not isinstance(step, np.ndarray):
            named = names_of(tuple(getattr(step, "keys", tuple)()))  # names in a row of a frame
            check_same_names(named, self._names)
        values = as_floats(step, "a step")
        if values.shape != self._low.shape:
            raise InputError(f"Expected a step of shape {self._low.shape}, got {values.shape}.")
        bad = np.isinf(values) if self._missing == "mask" else ~np.isfinite(values)
        if bad.any():
            place = int(np.argmax(bad))
            feature = self._names[place] if self._names else place
            raise InputError(
                f"The step holds {values[place]} at feature {feature!r}; leave it out, or give "
                "the last value again."
            )
        return values


def _whole(name: str, value: npt.ArrayLike) -> int:
    array = np.asarray(value)
    if array.shape != () or array.dtype.kind not in "iu" or array < 0:
        raise InputError(f"`{name}` must be a whole number, got {array!r}.")
    return int(array)
