"""The kinds of thresholds and what each guarantees; `thresholds` fits them. NumPy alone."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool._types import ThresholdKind
from unspool.anomaly.running_threshold import RunningQuantile, RunningThreshold
from unspool.data.sequences import FloatArray, as_floats
from unspool.errors import InputError


@dataclass(frozen=True)
class Threshold:
    """Base class of the thresholds. A score above its threshold is an alarm, an equal one is not.

    The subclasses say what `rate` means and when it is kept. `fit_threshold` fits them;
    ``AnomalyDetector.thresholds_`` holds one for each kind of score.

    Parameters
    ----------
    rate : float
        Rate of false alarms that the threshold allows: a share of the steps, above 0 and below 1.
        For `AlarmsThreshold` the number of alarms per period, above 0.
    level : float
        The threshold; for `MovingThreshold` the threshold at the first step.
    n_scores : int
        Number of scores of normal data to which the threshold was fitted.
    n_effective : float
        Number of independent scores that these are worth, by their autocorrelation.

    Attributes
    ----------
    kind : str
        Name of the kind: "quantile", "pareto", "moving" or "alarms".
    start : float
        Threshold of the first step.

    See Also
    --------
    fit_threshold : Fits a threshold to scores of normal data.
    find_events : Merges alarms into events.
    """

    kind: ClassVar[ThresholdKind]

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
        """Threshold of the first step."""
        return self.level

    def running(self) -> RunningThreshold:
        """Return the threshold in a form that reads one score at a time.

        Returns
        -------
        RunningThreshold
            A new object, which begins with the threshold `start`.
        """
        return RunningThreshold(self.level)

    def over(self, scores: npt.ArrayLike) -> FloatArray:
        """Compute the threshold of each step of a series.

        Parameters
        ----------
        scores : array of shape (T,)
            Scores of the series.

        Returns
        -------
        array of shape (T,), float64
            The threshold in force at each step; it depends on the scores before that step only.

        Raises
        ------
        InputError
            If a score is NaN or infinite; the message names the first such step.
        """
        running = self.running()
        checked = check_finite_scores(scores, "scores")
        return np.array([running.update(one) for one in checked.tolist()])

    def to_plain(self) -> dict[str, Any]:
        """Return the kind and all parameters by name.

        Returns
        -------
        dict of str to str, int, float or array
            What a model file stores.
        """
        return {"kind": self.kind} | {one.name: getattr(self, one.name) for one in fields(self)}


class QuantileThreshold(Threshold):
    """Conformal quantile: a new normal score exceeds it with a probability of at most `rate`.

    The threshold is the ceil((n + 1) (1 - rate))-th smallest of n scores of normal data, or the
    largest if that rank is above n.

    Parameters
    ----------
    rate : float
        Share of normal steps that may be alarms, above 0 and below 1.
    level : float
        The threshold.
    n_scores : int
        Number of scores of normal data to which the threshold was fitted.
    n_effective : float
        Number of independent scores that these are worth, by their autocorrelation.

    Attributes
    ----------
    kind : str
        "quantile".
    start : float
        Threshold of the first step, equal to `level`.

    See Also
    --------
    ParetoThreshold : For rates below 1 / n.
    MovingThreshold : For data that drifts.

    Notes
    -----
    The rate holds on average over calibrations, for any distribution of the scores, if normal
    scores of the past and the future are exchangeable [1]_. For a single calibration the true rate
    is within a factor of about 2 if `n_effective` · `rate` is at least 20. Data that drifts, or
    repeats with a period longer than the normal data, is not covered.

    References
    ----------
    .. [1] V. Vovk, A. Gammerman and G. Shafer (2005). "Algorithmic Learning in a Random World".
       Springer.

    Examples
    --------
    >>> from unspool.anomaly import QuantileThreshold
    >>> threshold = QuantileThreshold(rate=0.01, level=2.5, n_scores=5000, n_effective=3000.0)
    >>> [2.0, 2.6] > threshold.over([2.0, 2.6])
    array([False,  True])
    """

    kind = "quantile"


@dataclass(frozen=True)
class ParetoThreshold(Threshold):
    """Peaks over threshold: extrapolates the tail of normal scores to small rates.

    A new normal score exceeds the threshold with a probability of about `rate`, which may be less
    than 1 / n for n scores of normal data.

    Parameters
    ----------
    rate : float
        Share of normal steps that may be alarms, above 0 and below 1.
    level : float
        The threshold.
    n_scores : int
        Number of scores of normal data to which the threshold was fitted.
    n_effective : float
        Number of independent scores that these are worth, by their autocorrelation.
    tail_start : float
        Score at which the tail begins; `level` is not below.
    shape : float
        Shape of the tail's generalised Pareto distribution: 0 is exponential, a positive shape has
        a heavier tail, a negative shape a bounded one.
    scale : float
        Scale of that distribution; 0 if `level` is the quantile and not extrapolated.

    Attributes
    ----------
    kind : str
        "pareto".
    start : float
        Threshold of the first step, equal to `level`.

    See Also
    --------
    QuantileThreshold : Needs no assumption about the tail.

    Notes
    -----
    In addition to the assumption of `QuantileThreshold`, scores above their 90 % quantile have to
    follow a generalised Pareto distribution. It is fitted by maximum likelihood; with fewer
    than 50 exceedances it is exponential. It does not compensate for few scores: the true rate is
    about as uncertain as with a quantile.

    Examples
    --------
    >>> from unspool.anomaly import fit_threshold
    >>> scores = np.random.default_rng(0).exponential(size=20_000)
    >>> threshold = fit_threshold("pareto", [scores], rate=0.002)
    >>> round(threshold.level, 1)  # exact: log(1 / 0.002) = 6.2
    6.2
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
    """Conformal quantile of the last `memory` scores, which follows data that drifts.

    Over a long time, `rate` is the share of the steps that are alarms. The threshold begins with
    scores of normal data, and at each step depends on the scores before it only.

    Parameters
    ----------
    rate : float
        Share of the steps that should be alarms over a long time, above 0 and below 1.
    level : float
        Threshold of the first step: the quantile of `recent`.
    n_scores : int
        Number of scores of normal data to which the threshold was fitted.
    n_effective : float
        Number of independent scores that these are worth, by their autocorrelation.
    memory : int
        Number of scores to remember, at least 1.
    recent : array of shape (n,), n from 1 to `memory`
        Scores of normal data to begin with, oldest first.

    Attributes
    ----------
    kind : str
        "moving".
    start : float
        Threshold of the first step, equal to `level`.

    See Also
    --------
    QuantileThreshold : Does not move, so long anomalies do not become normal.
    RunningQuantile : Reads one score at a time.

    Notes
    -----
    The share of the remembered scores that may lie above the threshold starts at `rate` and adapts
    to the alarms, as in adaptive conformal inference [1]_. It falls with each alarm, at most to 0,
    where the threshold is the largest remembered score. It rises at steps without alarm, at most
    to twenty times the rate. So the rate is kept even if scores drift or are autocorrelated, as
    long as the memory is worth at least 1 / `rate` independent scores; with a shorter memory there
    are more alarms. While scores do not exceed those before them, for example while a machine is
    off, there are fewer alarms, and up to about 40 follow later instead.

    Alarms enter the memory like other scores: if they were left out or clipped, the threshold
    would sink. Therefore an anomaly longer than about `rate` · `memory` steps becomes the new
    normal, and hides later anomalies until it is forgotten.

    References
    ----------
    .. [1] I. Gibbs and E. Candès (2021). "Adaptive Conformal Inference Under Distribution Shift".
       NeurIPS.

    Examples
    --------
    >>> from unspool.anomaly import fit_threshold
    >>> rng = np.random.default_rng(0)
    >>> threshold = fit_threshold("moving", [rng.exponential(size=5000)], rate=0.02)
    >>> drifting = rng.exponential(size=20_000) * np.linspace(1, 3, 20_000)
    >>> round(float((drifting > threshold.over(drifting)).mean()), 3)
    0.02
    """

    # Share of alarms for exponential scores with memory 1,000 and rate 1e-2 over 20,000 steps, five
    # seeds, with the allowed share fixed at the rate: .0099 (.0096-.0101) if alarms enter the
    # memory as they are; .018 and rising if they are clipped to the threshold; .17 and rising if
    # they are left out. With scores that grow threefold: .011, .12 and .30. If alarms are clipped,
    # no score enters above the threshold, which can then only fall. A quantile does not depend on
    # the height of an alarm, so clipping gains nothing.
    kind = "moving"

    memory: int
    recent: FloatArray

    def _complaints(self) -> list[_checks.Complaint]:
        complaints = [*super()._complaints(), _checks.whole("memory", self.memory, 1)]
        if not any(complaints):
            recent = check_finite_scores(self.recent, "`recent`")
            if not 1 <= len(recent) <= self.memory:
                complaints.append(
                    f"Expected 1 to {self.memory} scores in `recent`, got {len(recent)}."
                )
            elif self.running().level != self.level:
                complaints.append(
                    f"`level` must be the quantile of `recent`, {self.running().level}, got "
                    f"{self.level}."
                )
        return complaints

    def running(self) -> RunningQuantile:
        """Return the threshold in a form that reads one score at a time.

        Returns
        -------
        RunningQuantile
            A new object, which begins with the scores `recent`.
        """
        return RunningQuantile(self.rate, self.memory, self.recent)


@dataclass(frozen=True)
class AlarmsThreshold(Threshold):
    """Threshold with at most `rate` clusters of alarms per period on normal data.

    Parameters
    ----------
    rate : float
        Number of clusters per period that is allowed, above 0.
    level : float
        The threshold.
    n_scores : int
        Number of scores of normal data to which the threshold was fitted.
    n_effective : float
        Number of independent scores that these are worth, by their autocorrelation.
    gap : int
        Alarms fewer than `gap` steps apart are one cluster.
    steps_per_period : float
        Number of steps of a period, for example of a day.
    n_clusters : int
        Number of clusters above the threshold in the scores to which it was fitted.

    Attributes
    ----------
    kind : str
        "alarms".
    start : float
        Threshold of the first step, equal to `level`.

    See Also
    --------
    QuantileThreshold : Limits the share of the steps instead of the number of alarms.

    Notes
    -----
    The threshold is the lowest score of normal data such that neither it nor any higher one has
    more clusters above it than allowed. It is not below the score with the largest number of
    clusters: further down clusters grow together until all steps are one alarm. A second stretch
    of normal data with the same length and statistics has about the same number of clusters; the
    number varies like a Poisson variable.

    Examples
    --------
    >>> from unspool.anomaly import fit_threshold
    >>> scores = np.random.default_rng(0).exponential(size=28_800)
    >>> threshold = fit_threshold("alarms", [scores], rate=2, steps_per_period=1440)
    >>> threshold.n_clusters  # 2 a day in 20 days
    40
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


THRESHOLD_KINDS: Mapping[str, type[Threshold]] = {
    one.kind: one for one in (QuantileThreshold, ParetoThreshold, MovingThreshold, AlarmsThreshold)
}


def from_plain(plain: Mapping[str, Any]) -> Threshold:
    """Return the threshold from which `Threshold.to_plain` made `plain`, and check every part.

    Raises
    ------
    InputError
        If a part is missing or not valid.
    """
    values = dict(plain)
    kind = values.pop("kind", None)
    _checks.raise_all(_checks.choice("kind", kind, THRESHOLD_KINDS))
    expected = {one.name for one in fields(THRESHOLD_KINDS[kind])}
    if values.keys() != expected:
        raise InputError(
            f"A threshold {kind!r} needs {', '.join(sorted(expected))}, got "
            f"{', '.join(sorted(map(str, values))) or 'nothing'}."
        )
    return THRESHOLD_KINDS[kind](**values)


def check_finite_scores(scores: npt.ArrayLike, what: str) -> FloatArray:
    """Return scores (T,) in float64, or raise if one of them is NaN or infinite."""
    array = as_floats(scores, what).astype(np.float64)
    if array.ndim != 1:
        raise InputError(f"Expected {what} of shape (T,), got shape {array.shape}.")
    if not np.isfinite(array).all():
        step = int(np.argmin(np.isfinite(array)))
        raise InputError(
            f"Expected finite numbers in {what}, got {array[step]} at step {step}; leave such "
            "steps out, or fill the gaps in the data that the model scores."
        )
    return array
