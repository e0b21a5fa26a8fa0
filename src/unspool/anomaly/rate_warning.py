"""Warns if a threshold was fitted to too few independent scores for its rate."""

import math

import numpy as np

from unspool.anomaly.effective_size import exceedance_rate_interval
from unspool.anomaly.running_threshold import conformal_rank
from unspool.anomaly.threshold_kinds import (
    AlarmsThreshold,
    MovingThreshold,
    ParetoThreshold,
    Threshold,
)

ENOUGH = 20  # independent exceedances that determine a rate within a factor of 2


def rate_warning(threshold: Threshold) -> str | None:
    """Return a text that says why a threshold may miss its rate and what helps, or None."""
    if isinstance(threshold, AlarmsThreshold):
        return _alarms_warning(threshold)
    if isinstance(threshold, MovingThreshold):
        return _moving_warning(threshold)
    return _fixed_warning(threshold)


def _fixed_warning(threshold: Threshold) -> str | None:
    rate, n, effective = threshold.rate, threshold.n_scores, threshold.n_effective
    if effective * rate >= ENOUGH:
        return None
    exceedances = float(np.clip((effective + 1) * rate, 1, effective))
    low, high = exceedance_rate_interval(exceedances, effective)
    extrapolates = isinstance(threshold, ParetoThreshold) and threshold.scale > 0
    is_largest = conformal_rank(n, rate) == n and not extrapolates
    largest = " The threshold is the largest of them." if is_largest else ""
    return (
        f"{n:,} scores of normal data are worth {_counted(effective)} independent ones, and a "
        f"false alarm rate of {rate:g} within a factor of 2 needs {_counted(ENOUGH / rate)}: the "
        f"true rate probably lies between {low:.2g} and {high:.2g}.{largest} Hold out more "
        f"normal data{_alternatives(ENOUGH / effective, n, effective)}."
    )


def _moving_warning(threshold: MovingThreshold) -> str | None:
    rate, n, effective = threshold.rate, threshold.n_scores, threshold.n_effective
    independent = threshold.memory * effective / n
    if independent * rate >= 1:
        return None
    needed = n / effective / rate
    return (
        f"A moving threshold for a false alarm rate of {rate:g} needs a memory worth "
        f"{_counted(1 / rate)} independent scores, but {threshold.memory:,} scores are worth "
        f"{_counted(independent)}: there will be more alarms than requested. Use a `memory` of "
        f"{math.ceil(needed):,} scores{_alternatives(1 / independent, n, effective)}."
    )


def _alarms_warning(threshold: AlarmsThreshold) -> str | None:
    rate, n, found = threshold.rate, threshold.n_scores, threshold.n_clusters
    periods = n / threshold.steps_per_period
    expected = rate * periods
    if expected >= ENOUGH and found >= int(expected + 1e-9):
        return None
    possible = max(threshold.n_effective, 1.0)
    exceedances = float(np.clip(found, 1, possible))
    low, high = (
        one * possible / periods for one in exceedance_rate_interval(exceedances, possible)
    )
    largest = "" if found else ", so that the threshold is the largest score"
    scores = _counted(ENOUGH / rate * threshold.steps_per_period)
    return (
        f"{rate:g} false alarms per period are {_counted(expected)} over the {n:,} scores of "
        f"normal data; {ENOUGH} are needed to know their number within a factor of 2, and {found} "
        f"were found{largest}. The true number per period probably lies between {low:.2g} and "
        f"{high:.2g}. Hold out more normal data ({scores} scores), or allow more alarms per "
        "period."
    )


def _counted(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _alternatives(rate: float, n: int, effective: float) -> str:
    """Return further advice: a larger rate with two digits, and less autocorrelated scores."""
    advice = ""
    if rate < 1:
        digits = 1 - math.floor(math.log10(rate))
        advice += f", or use a rate of at least {math.ceil(rate * 10**digits) / 10**digits:g}"
    if effective < n / 2:
        advice += ", or use scores of the `kind` 'step', which are less autocorrelated"
    return advice
