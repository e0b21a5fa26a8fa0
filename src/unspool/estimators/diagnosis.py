"""The warnings at the end of a fit: what is likely to be wrong with it, and what helps."""

import warnings
from typing import Any

from unspool.data.convert import Source
from unspool.data.futures import Futures
from unspool.errors import GeneralizationWarning, NoBetterThanMeanWarning, UnusedCodeWarning
from unspool.estimators.comparison import compare_with_mean
from unspool.estimators.generalization import too_large, worse_validation
from unspool.estimators.unused_code import unused_code
from unspool.training.batches import Batches

FEW = 10  # fewer sequences, and those that are all equal, are learned by heart on purpose
MIN_UPDATES = 100  # fewer updates say little about a model, except that they are too few


def warn_of_weaknesses(
    estimator: Any, source: Source | Futures, batches: Batches, validation: Batches | None
) -> None:
    """Warn if a fitted model has learned little, or only its training sequences.

    A model that is no better than the mean sequence has no other warning.

    Parameters
    ----------
    estimator : estimator
        Fitted model.
    source : Sequences, Windows or Futures
        The data of `fit`.
    batches : Batches
        Training data.
    validation : Batches or None
        Validation data.
    """
    compared = compare_with_mean(estimator, source, batches, validation)
    found: list[tuple[str | None, type[Warning]]]
    found = [(one.warning, NoBetterThanMeanWarning) for one in compared if one.warning]
    few = len(batches.indices) < FEW or not all(one.of_mean > 0 for one in compared)
    if not found and compared and not few and _is_trained(estimator, batches):
        first = compared[0]
        share = first.loss / first.of_mean
        found = [(unused_code(estimator, batches, share), UnusedCodeWarning)]
        if validation is None:
            message = too_large(estimator, batches)
        else:
            message = worse_validation(
                estimator, batches, validation, first.loss, first.loss_of_mean
            )
        found.append((message, GeneralizationWarning))
    for message, category in found:
        if message:
            warnings.warn(message, category, stacklevel=4)


def _is_trained(estimator: Any, batches: Batches) -> bool:
    """Return whether the weights had enough updates to judge them."""
    history = estimator.history_
    trained = history.get("layers", [history])[0]
    return "learning_rate" in trained and len(trained["loss"]) * len(batches) >= MIN_UPDATES
