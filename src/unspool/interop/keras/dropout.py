"""Rates of dropout in a Keras model, which become parameters of the estimator.

A rate is read only if every place where the parameter acts has the same one: dropout has no effect
on a trained model, so a model with other rates is imported without them.
"""

from collections.abc import Iterable


def both(one: float, other: float) -> float:
    """Return the rate of two dropouts in a row."""
    return one + other - one * other if one and other else one or other


def common_rate(rates: Iterable[float]) -> float:
    """Return the rate of all places of a parameter; 0 if the rates differ or there is no place."""
    found = {*rates}
    rate = found.pop() if len(found) == 1 else 0.0
    return rate if 0 < rate < 1 else 0.0
