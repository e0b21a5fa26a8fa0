"""What may help an estimator whose training has diverged."""

import inspect
from typing import Any

from unspool.training.divergence import LARGE, Evidence
from unspool.training.optimizers import OPTIMIZERS

HIGH = 3.0  # a learning rate of this many times the default counts as high
BOUNDED = ("tanh", "sigmoid", "hard_sigmoid", "softsign", "softmax")  # activations of cells


def advice_after_divergence(estimator: Any, evidence: Evidence) -> str:
    """Return what to change, the likely causes first.

    Parameters
    ----------
    estimator : estimator
        It is being fitted, and has the parameters of the fit.
    evidence : Evidence
        What is known of the divergence.

    Returns
    -------
    str
        A sentence.

    Examples
    --------
    >>> from unspool import LSTMAutoencoder
    >>> evidence = Evidence("loss", 0.5, False, ("encoder.lstm.weight", 1e9), None, 3.0)
    >>> advice_after_divergence(LSTMAutoencoder(learning_rate=0.5), evidence)
    'Lower `learning_rate` from 0.5, for example to 0.005.'
    """
    ways = []
    if evidence.size is not None and not evidence.size < LARGE:
        ways.append(_way_to_scale(estimator))
    if not evidence.initial:
        rate = estimator.learning_rate or evidence.learning_rate
        usual = _default_rate(estimator)
        to = usual if rate > HIGH * usual else rate / 10
        ways.append(f"lower `learning_rate` from {rate:g}, for example to {to:g}")
        if estimator.global_clipnorm is None:
            ways.append("set `global_clipnorm`=1.0")
        activation = getattr(estimator, "activation", "tanh")
        if hasattr(estimator, "units") and activation not in BOUNDED:
            ways.append(f"set `activation`='tanh', because {activation!r} does not limit the state")
    if callable(getattr(estimator, "loss", None)):
        ways.append("check that the function `loss` neither divides by 0 nor takes the log of 0")
    if not ways:
        ways.append("check the data for values that are too large for float32")
    text = ways[0] if len(ways) == 1 else f"{', '.join(ways[:-1])}, or {ways[-1]}"
    return f"{text[0].upper()}{text[1:]}."


def _way_to_scale(estimator: Any) -> str:
    scaling = getattr(estimator, "scaling", None)
    if scaling == "none":
        return "set `scaling`='standard', or divide the data"
    if scaling is not None and getattr(estimator, "clip", None) is None:
        return "remove outliers, or set `scaling`='robust' and `clip`=10"
    if scaling is None:  # a classifier
        return "compare the data with those that the encoder was fitted on"
    return "remove outliers"


def _default_rate(estimator: Any) -> float:
    """Return the learning rate of an estimator with default parameters."""
    parameters = inspect.signature(type(estimator)._kind().__init__).parameters
    default = parameters["learning_rate"].default
    if parameters["optimizer"].default == estimator.optimizer and default is not None:
        return float(default)
    return float(OPTIMIZERS[estimator.optimizer].keywords["lr"])
