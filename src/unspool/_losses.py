"""The losses in NumPy: one value for every feature of every step, before any mean."""

from collections.abc import Callable, Mapping

import numpy as np

from unspool.data.sequences import FloatArray

# Probabilities are clipped to [MIN_PROBABILITY, 1 - MIN_PROBABILITY], as in Keras. Outside of this
# range the loss is linear with slope OUTSIDE_SLOPE.
MIN_PROBABILITY = 1e-7
OUTSIDE_SLOPE = 10.0


def _huber(difference: FloatArray) -> FloatArray:
    size = abs(difference)
    return np.where(size < 1, 0.5 * size**2, size - 0.5)


def _binary_crossentropy(prediction: FloatArray, target: FloatArray) -> FloatArray:
    clipped = np.clip(prediction, MIN_PROBABILITY, 1 - MIN_PROBABILITY)
    outside = abs(prediction - clipped)
    logit = np.log(clipped / (1 - clipped))
    return np.asarray(outside * OUTSIDE_SLOPE - logit * target - np.log1p(-clipped))


# These losses are defined as in `unspool.nn.losses`, which explains them.
LOSSES: Mapping[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "mse": lambda prediction, target: (prediction - target) ** 2,
    "mae": lambda prediction, target: abs(prediction - target),
    "huber": lambda prediction, target: _huber(prediction - target),
    "binary_crossentropy": _binary_crossentropy,
    "categorical_crossentropy": lambda p, target: -target * np.log(np.maximum(p, MIN_PROBABILITY)),
}

# Keras's long names of losses; `loss_name` replaces them.
ALIASES: Mapping[str, str] = {"mean_squared_error": "mse", "mean_absolute_error": "mae"}

CROSSENTROPIES = ("binary_crossentropy", "categorical_crossentropy")

# These losses have one value per step, summed over features, and not a mean over features.
BY_STEP = ("categorical_crossentropy",)


def loss_name(name: str) -> str:
    """Return the name in `LOSSES` of a loss or metric, which may be given by its long name.

    Examples
    --------
    >>> loss_name("mean_squared_error"), loss_name("huber")
    ('mse', 'huber')
    """
    return ALIASES.get(name, name)


def step_errors(prediction: FloatArray, target: FloatArray, loss: str) -> FloatArray:
    """Return the errors of steps (B, T), float64: means over features, or `BY_STEP` losses.

    Missing values (NaN in `target`) are left out of means. The error of a step is NaN if all of its
    values are missing; for `BY_STEP` losses, if one is.
    """
    values = LOSSES[loss](prediction, target)
    hidden = np.isnan(target)
    if loss not in BY_STEP and hidden.any():
        count = (~hidden).sum(2)
        total = values.sum(2, dtype=np.float64, where=~hidden)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)
    by_step: FloatArray = values.sum(2, dtype=np.float64)
    return by_step if loss in BY_STEP else by_step / values.shape[2]


def feature_errors(prediction: FloatArray, target: FloatArray, loss: str) -> FloatArray:
    """Return errors of the features of steps (B, T, F), float64; their means are `step_errors`.

    Losses in `BY_STEP` have none. The error of a missing value is NaN.
    """
    return LOSSES[loss](prediction, target).astype(np.float64)
