"""The losses in NumPy: one value for every feature of every step, before any mean."""

from collections.abc import Callable, Mapping

import numpy as np

from unspool._loss_parameter import BY_STEP, Loss, LossByFeature, LossFunction, is_by_step
from unspool.data.sequences import FloatArray
from unspool.errors import InputError

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


def loss_values(prediction: FloatArray, target: FloatArray, loss: Loss) -> FloatArray:
    """Return the values (..., F) of a loss; (B, T) for a function with one value per step."""
    if isinstance(loss, str):
        return LOSSES[loss](prediction, target)
    if isinstance(loss, LossFunction):
        return _function_values(prediction, target, loss)
    shape = np.broadcast_shapes(prediction.shape, target.shape)
    values = np.empty(shape, np.result_type(prediction, target))
    for name, columns in loss.columns_by_loss.items():
        place = (..., list(columns))
        values[place] = LOSSES[name](prediction[place], target[place])
    return values


def _function_values(prediction: FloatArray, target: FloatArray, loss: LossFunction) -> FloatArray:
    """Call a function of the user, and check what it returns."""
    values = np.asarray(loss.known()(prediction, target))
    if values.shape not in (target.shape, target.shape[:-1]):
        raise InputError(
            f"The loss function {loss.name!r} must return a loss for each value, "
            f"{target.shape}, or for each step, {target.shape[:-1]}, got shape {values.shape}."
        )
    return values


def step_errors(prediction: FloatArray, target: FloatArray, loss: Loss) -> FloatArray:
    """Return the errors of steps (B, T), float64: means over the values of each step.

    `BY_STEP` losses have one value.
    """
    values = loss_values(prediction, target, loss)
    if values.ndim < target.ndim:
        return values.astype(np.float64)
    hidden = np.isnan(target)
    if isinstance(loss, str) and not is_by_step(loss) and hidden.any():
        count = (~hidden).sum(2)
        total = values.sum(2, dtype=np.float64, where=~hidden)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)
    by_step: FloatArray = values.sum(2, dtype=np.float64)
    if isinstance(loss, LossByFeature):
        return by_step / loss.values_per_step
    return by_step if is_by_step(loss) else by_step / values.shape[2]


def feature_errors(prediction: FloatArray, target: FloatArray, loss: Loss) -> FloatArray:
    """Return errors of the features of steps (B, T, F), float64; their means are `step_errors`.

    Losses in `BY_STEP` have none. In a loss by feature, all columns of a category have the loss of
    the category, which counts once in `step_errors`. The error of a missing value is NaN.
    """
    values = loss_values(prediction, target, loss)
    if isinstance(loss, LossFunction) and values.ndim < target.ndim:
        raise InputError(
            f"The loss function {loss.name!r} returns one value for all features of a step, so "
            "there are no errors by feature; use per='step'."
        )
    errors = values.astype(np.float64)
    if isinstance(loss, LossByFeature):
        for name, columns in loss.parts:
            if name in BY_STEP:
                place = (..., list(columns))
                errors[place] = errors[place].sum(axis=-1, keepdims=True)
    return errors
