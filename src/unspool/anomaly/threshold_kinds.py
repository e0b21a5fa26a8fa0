"""What thresholds there are, and what each promises; `thresholds` fits them. NumPy alone."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool.anomaly.running import RunningQuantile, RunningThreshold
from unspool.data.sequences import FloatArray, as_floats
from unspool.errors import InputError


@dataclass(frozen=True)
class Threshold:
    """A level of the score, what it promises and what it is made of.

    Parameters
    ----------
    rate : float
        False alarms asked for: a share of the steps, or a number per period.
    level : float
        The level that it starts at; all but `MovingThreshold` keep it.
    n_scores : int
        Scores of normal data that it was fitted to.
    n_effective : float
        Number of independent scores that these are worth.
    """

    kind: ClassVar[str]

    rate: float
    level: float
    n_scores: int
    n_effective: float

    def __post_init__(self) -> None:
        _checks.raise_all(*self._complaints())

    def _complaints(self) -> list[_checks.Complaint]:
        return [
            _checks.number("rate", self.rate, 0, 1, open_left=True),
            _checks.number("level", self.level, -_checks.LARGEST),
            _checks.whole("n_scores", self.n_scores, 1),
            _checks.number("n_effective", self.n_effective, 0, open_left=True),
        ]

    @property
    def start(self) -> float:
        """The threshold of the first step."""
        return self.level

    def running(self) -> RunningThreshold:
        """The same threshold, a score at a time."""
        return RunningThreshold(self.level)

    def over(self, scores: npt.ArrayLike) -> FloatArray:
        """The threshold (T,) in force at each step of a series, in float64.

        Parameters
        ----------
        scores : array of shape (T,)

        Raises
        ------
        InputError
            For scores that are not finite, with their place.
        """
        running = self.running()
        return np.array([running.update(one) for one in finite(scores, "scores").tolist()])

    def to_plain(self) -> dict[str, Any]:
        """Its kind, numbers and arrays, by name."""
        return {"kind": self.kind} | {one.name: getattr(self, one.name) for one in fields(self)}


class QuantileThreshold(Threshold):
    """The conformal quantile: a new normal score exceeds it with a probability of at most `rate`.

    Of n scores of normal data it is the ceil((n + 1) (1 - rate))-th smallest, the largest where
    there is no such one. This is true of the mean over calibrations, for any distribution of the
    scores, if normal scores before and after are exchangeable. For one calibration the true rate
    is within a factor of 2 or so where `n_effective` · `rate` is at least 20. What drifts, or
    repeats after longer than the normal data lasts, is not covered.

    References
    ----------
    V. Vovk, A. Gammerman, G. Shafer, "Algorithmic Learning in a Random World", Springer 2005.
    """

    kind = "quantile"


@dataclass(frozen=True)
class ParetoThreshold(Threshold):
    """Peaks over a level: a new normal score exceeds it with a probability of about `rate`.

    The assumption is that of `QuantileThreshold`, and that scores above their 90 % quantile have a
    generalised Pareto distribution, which lets `rate` be less than 1 / n. The distribution is the
    most likely one, and exponential for fewer than 50 exceedances. It does not make up for few
    scores: the range of the true rate is about that of the quantile.

    Parameters
    ----------
    tail_start : float
        Where the tail begins; `level` is not below.
    shape, scale : float
        Of the tail's distribution. A shape of 0 is exponential, above 0 heavier, below 0 bounded.
    """

    kind = "pareto"

    tail_start: float
    shape: float
    scale: float

    def _complaints(self) -> list[_checks.Complaint]:
        return [
            *super()._complaints(),
            _checks.number("tail_start", self.tail_start, -_checks.LARGEST),
            _checks.number("shape", self.shape, -_checks.LARGEST),
            _checks.number("scale", self.scale, 0),
        ]


@dataclass(frozen=True, eq=False)
class MovingThreshold(Threshold):
    """The conformal quantile of the last `memory` scores: over a long time `rate` are alarms.

    It begins with scores of normal data and uses the scores before a step only. The share of them
    that may lie above it starts at `rate` and follows what has happened: it falls with each alarm,
    at most to 0, where the threshold is the largest of them, and rises without, at most to twenty
    times the rate. So the rate is kept also where scores drift or are autocorrelated, as long as
    one independent score in the memory may lie above it; with a shorter memory more alarms come.
    While scores do not exceed those before them, as when a machine is off, there are fewer alarms,
    and about 40 at most come later instead. Alarms enter the memory as they are: with scores kept
    out or cut down the threshold sinks. An anomaly longer than some `rate` · `memory` steps becomes
    the new normal, and silences the steps after it until it is forgotten.

    Parameters
    ----------
    memory : int
        Scores remembered.
    recent : array of shape (n,), n from 1 to `memory`
        Scores of normal data to begin with, the oldest first.

    References
    ----------
    I. Gibbs, E. Candès, "Adaptive Conformal Inference Under Distribution Shift", NeurIPS 2021.
    """

    # Exponential scores, memory 1,000, asked 1e-2 over 20,000 steps, five seeds, the share as it
    # starts: alarms as they are .0099 (.0096-.0101), cut down to the threshold .018, rising, kept
    # out .17 and rising; with scores that grow to the threefold .011, .12 and .30. Cut down, no
    # score enters above the threshold, which can only fall; and the height of an alarm counts
    # nothing in a quantile.
    kind = "moving"

    memory: int
    recent: FloatArray

    def _complaints(self) -> list[_checks.Complaint]:
        complaints = [*super()._complaints(), _checks.whole("memory", self.memory, 1)]
        if not any(complaints):
            recent = finite(self.recent, "`recent`")
            if not 1 <= len(recent) <= self.memory:
                complaints.append(
                    f"Expected 1 to {self.memory} scores in `recent`, got {len(recent)}."
                )
            elif self.running().level != self.level:
                complaints.append(
                    f"Expected the quantile of `recent` in `level`, got {self.level}."
                )
        return complaints

    def running(self) -> RunningQuantile:
        """The same threshold, a score at a time."""
        return RunningQuantile(self.rate, self.memory, self.recent)


@dataclass(frozen=True)
class AlarmsThreshold(Threshold):
    """A level that normal data exceeds in at most `rate` clusters per period.

    Alarms less than `gap` steps apart are one cluster. Over the scores of normal data, this is the
    lowest of them from which upwards no level has more clusters than asked for, and not below the
    level with most clusters: further down they grow together, until all is one alarm. Another
    stretch of normal data, as long and like it, has about as many clusters; the number varies
    like a Poisson number.

    Parameters
    ----------
    rate : float
        Clusters per period.
    gap : int
        Steps.
    steps_per_period : float
        Steps of a period, such as those of a day.
    n_clusters : int
        Clusters in the scores that it was fitted to.
    """

    kind = "alarms"

    gap: int
    steps_per_period: float
    n_clusters: int

    def _complaints(self) -> list[_checks.Complaint]:
        return [
            _checks.number("rate", self.rate, 0, open_left=True),
            *super()._complaints()[1:],
            _checks.whole("gap", self.gap, 0),
            _checks.number("steps_per_period", self.steps_per_period, 0, open_left=True),
            _checks.whole("n_clusters", self.n_clusters, 0),
        ]


KINDS: Mapping[str, type[Threshold]] = {
    one.kind: one for one in (QuantileThreshold, ParetoThreshold, MovingThreshold, AlarmsThreshold)
}


def from_plain(plain: Mapping[str, Any]) -> Threshold:
    """The threshold that `Threshold.to_plain` made plain; every part of it is checked.

    Raises
    ------
    InputError
        Where a part is missing, or is not what it should be.
    """
    values = dict(plain)
    kind = values.pop("kind", None)
    _checks.raise_all(_checks.choice("kind", kind, KINDS))
    expected = {one.name for one in fields(KINDS[kind])}
    if values.keys() != expected:
        raise InputError(
            f"Expected {', '.join(sorted(expected))} of a threshold {kind!r}, got "
            f"{', '.join(sorted(map(str, values))) or 'nothing'}."
        )
    return KINDS[kind](**values)


def finite(scores: npt.ArrayLike, what: str) -> FloatArray:
    """Scores (T,) in float64, all of them finite."""
    array = as_floats(scores, what).astype(np.float64)
    if array.ndim != 1:
        raise InputError(f"Expected {what} of shape (T,), got {array.shape}.")
    if not np.isfinite(array).all():
        step = int(np.argmin(np.isfinite(array)))
        raise InputError(
            f"Expected finite numbers in {what}, got {array[step]} at step {step}; leave such "
            "steps out, or give the model data that has them."
        )
    return array
