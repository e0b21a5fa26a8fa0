"""The warnings that a model may not describe sequences that it was not trained on."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from unspool.data.futures import Futures
from unspool.estimators.fit_sample import feature_names, fit_sample, scaled_values
from unspool.training.batches import Batches
from unspool.training.loop import evaluate

TRUSTED = 10  # held-out sequences whose mean loss is meaningful
MUCH_WORSE = 5.0  # ratio of the validation loss to the training loss of the same weights
POOR = 0.25  # of the loss of the mean sequence on the training data
# Another distribution, in standard deviations of the training data, and as their ratio.
SHIFTED, WIDER = 1.0, 2.0
# Weights for each training value. The examples of the documentation have up to 23 on very small
# data, and describe held-out sequences well.
TOO_MANY = 100.0


def worse_validation(
    estimator: Any,
    batches: Batches,
    validation: Batches,
    loss: float,
    loss_of_mean: Callable[[Batches], float],
) -> str | None:
    """Return how far the validation loss is from the training loss, the likely cause, and help.

    Parameters
    ----------
    estimator : estimator
        Fitted model.
    batches, validation : Batches
        Training data and validation data.
    loss : float
        Validation loss of the weights that are kept.
    loss_of_mean : callable
        Computes the loss of the mean sequence of the training data.
    """
    if len(validation.indices) < TRUSTED:
        return None
    sample = fit_sample(estimator, batches)
    if not loss > POOR * loss_of_mean(sample) > 0:
        return None
    objective = estimator._objective(torch.Generator())
    of_training = evaluate(estimator.module_, objective, sample)["loss"]
    if loss <= MUCH_WORSE * of_training:
        return None
    shift = difference(
        estimator, scaled_values(sample), scaled_values(fit_sample(estimator, validation))
    )
    if shift:
        cause = (
            f"The validation sequences have another distribution: {shift}. Train on data that "
            "contain such sequences too, or remove the level (`normalization` of autoencoders)."
        )
    else:
        size = weights_per_value(estimator, batches)
        many = f" ({size:.1f} weights for each training value)" if size > 1 else ""
        cause = (
            f"The model has learned the training sequences by heart{many}. Give `fit` more "
            "sequences, lower `latent_dim` and `units`, or raise dropout or `input_noise`."
        )
    ratio = f"{loss / of_training:.0f} times" if of_training > 0 else "far above"
    return (
        f"The validation loss is {loss:.4g}, {ratio} the training loss of the same weights "
        f"({of_training:.4g}). {cause}"
    )


def difference(
    estimator: Any, training: npt.NDArray[np.float32], validation: npt.NDArray[np.float32]
) -> str | None:
    """Describe the feature whose values (N, T, F) differ most between the two; None if none does.

    Only values that are scaled differently from training values count, since others do no harm.
    """
    means, deviations = _moments(training)
    other_means, other_deviations = _moments(validation)
    shifts = (other_means - means) / deviations
    ratios = other_deviations / deviations
    excess = np.nan_to_num(np.maximum(np.abs(shifts) / SHIFTED, ratios / WIDER))
    worst = int(excess.argmax())
    if excess[worst] <= 1:
        return None
    names = feature_names(estimator, len(means))
    name = "the values" if len(means) == 1 else f"feature {names[worst]}"
    if abs(shifts[worst]) / SHIFTED >= ratios[worst] / WIDER:
        sign = "higher" if shifts[worst] > 0 else "lower"
        return (
            f"the mean of {name} is {abs(shifts[worst]):.1f} standard deviations {sign} than in "
            "the training data"
        )
    return (
        f"the standard deviation of {name} is {ratios[worst]:.1f} times that of the training data"
    )


def too_large(estimator: Any, batches: Batches) -> str | None:
    """Return that a model without validation data has far more weights than training values."""
    size = weights_per_value(estimator, batches)
    if size <= TOO_MANY:
        return None
    weights = sum(one.numel() for one in estimator.module_.parameters())
    return (
        f"The model has {weights:,} weights for {round(weights / size):,} training values, and no "
        "sequences are held out, so nothing shows whether it describes other sequences. Lower "
        "`latent_dim` and `units`, or give `fit` more sequences or `validation_data`."
    )


def weights_per_value(estimator: Any, batches: Batches) -> float:
    """Return the number of weights, divided by the number of values that are learned from."""
    source = batches.source
    steps = int(source.lengths_of(batches.indices).sum())
    values = steps * source.n_features
    if isinstance(source, Futures) and source.future is not None:
        values += len(batches.indices) * math.prod(source.future.shape[1:])
    weights = sum(one.numel() for one in estimator.module_.parameters())
    return float(weights / max(1, values))


def _moments(
    values: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return mean and standard deviation (F,) of values (N, T, F) with NaN for missing ones."""
    known = ~np.isnan(values)
    count = np.maximum(known.sum(axis=(0, 1)), 1)
    filled = np.where(known, values, 0).astype(np.float64)
    mean = filled.sum(axis=(0, 1)) / count
    variance = (filled**2).sum(axis=(0, 1)) / count - mean**2
    return mean, np.sqrt(np.maximum(variance, 1e-6))
