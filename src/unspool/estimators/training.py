"""How every estimator trains: the training loop with its callbacks, by the parameters."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from unspool.training.batches import Batches
from unspool.training.callbacks import Callback, KeepBest, ProgressBar
from unspool.training.loop import train
from unspool.training.objective import Objective
from unspool.training.optimizers import make_optimizer
from unspool.training.schedule import WarmupCosine, count_epochs, count_patience


def learn(
    estimator: Any,
    model: nn.Module,
    objective: Objective,
    batches: Batches,
    validation: Batches | None,
    *,
    epochs: int | str,
    callbacks: Sequence[Callback] = (),
) -> dict[str, Any]:
    """Train `model` by the parameters of `estimator`, and return the history."""
    count = count_epochs(epochs, len(batches))
    optimizer = make_optimizer(
        estimator.optimizer, model.parameters(), estimator.learning_rate, estimator.weight_decay
    )
    also: list[Callback] = [KeepBest(count_patience(estimator.patience, count))]
    if estimator.learning_rate_schedule == "cosine":
        also.append(WarmupCosine(optimizer))
    if estimator.verbose:
        also.append(ProgressBar())
    history = train(
        model,
        objective,
        batches,
        optimizer=optimizer,
        epochs=count,
        validation=validation,
        global_clipnorm=estimator.global_clipnorm,
        callbacks=[*callbacks, *also],
    )
    return history.as_dict()
