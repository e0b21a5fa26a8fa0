"""Where a threshold was learned from too few independent scores for what was asked: in words."""

import math

import numpy as np

from unspool.anomaly.independence import likely_rates
from unspool.anomaly.running import conformal_rank
from unspool.anomaly.threshold_kinds import (
    AlarmsThreshold,
    MovingThreshold,
    ParetoThreshold,
    Threshold,
)

ENOUGH = 20  # independent exceedances for a rate within a factor of 2


def weakness(threshold: Threshold) -> str | None:
    """What keeps a threshold from keeping its rate, and what helps; None where nothing does."""
    if isinstance(threshold, AlarmsThreshold):
        return _of_alarms(threshold)
    if isinstance(threshold, MovingThreshold):
        return _of_moving(threshold)
    return _of_fixed(threshold)


def _of_fixed(threshold: Threshold) -> str | None:
    rate, n, effective = threshold.rate, threshold.n_scores, threshold.n_effective
    if effective * rate >= ENOUGH:
        return None
    exceedances = float(np.clip((effective + 1) * rate, 1, effective))
    low, high = likely_rates(exceedances, effective)
    extrapolates = isinstance(threshold, ParetoThreshold) and threshold.scale > 0
    at_most = conformal_rank(n, rate) == n and not extrapolates
    largest = " The threshold is the largest of them." if at_most else ""
    return (
        f"{n:,} scores of normal data are worth {_counted(effective)} independent ones, and a "
        f"false alarm rate of {rate:g} within a factor of 2 needs {_counted(ENOUGH / rate)}: the "
        f"true rate probably lies between {low:.2g} and {high:.2g}.{largest} Hold out more "
        f"normal data{_or(ENOUGH / effective, n, effective)}."
    )


def _of_moving(threshold: MovingThreshold) -> str | None:
    rate, n, effective = threshold.rate, threshold.n_scores, threshold.n_effective
    independent = threshold.memory * effective / n
    if independent * rate >= 1:
        return None
    needed = n / effective / rate
    return (
        f"A moving threshold for a false alarm rate of {rate:g} needs a memory worth "
        f"{_counted(1 / rate)} independent scores, and {threshold.memory:,} scores are worth "
        f"{_counted(independent)}: more alarms will come than asked for. Take a `memory` of "
        f"{math.ceil(needed):,} scores{_or(1 / independent, n, effective)}."
    )


def _of_alarms(threshold: AlarmsThreshold) -> str | None:
    rate, n, found = threshold.rate, threshold.n_scores, threshold.n_clusters
    periods = n / threshold.steps_per_period
    asked = rate * periods
    if asked >= ENOUGH and found >= int(asked + 1e-9):
        return None
    possible = max(threshold.n_effective, 1.0)
    exceedances = float(np.clip(found, 1, possible))
    low, high = (one * possible / periods for one in likely_rates(exceedances, possible))
    largest = "" if found else ", so that the threshold is the largest score"
    scores = _counted(ENOUGH / rate * threshold.steps_per_period)
    return (
        f"{rate:g} false alarms per period are {_counted(asked)} over the {n:,} scores of normal "
        f"data; {ENOUGH} are needed to know their number within a factor of 2, and {found} were "
        f"found{largest}. The true number per period probably lies between {low:.2g} and "
        f"{high:.2g}. Hold out more normal data ({scores} scores), or ask for more alarms per "
        "period."
    )


def _counted(number: float) -> str:
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _or(rate: float, n: int, effective: float) -> str:
    """Other advice: a rate in two digits, where it is one, and less autocorrelated scores."""
    advice = ""
    if rate < 1:
        digits = 1 - math.floor(math.log10(rate))
        advice += f", or ask for a rate of at least {math.ceil(rate * 10**digits) / 10**digits:g}"
    if effective < n / 2:
        advice += ", or take the scores of steps (`kind` 'step'), which are less autocorrelated"
    return advice
