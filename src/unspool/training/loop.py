"""The training loop: `train` runs epochs, `evaluate` measures, neither knows which model it is."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from unspool.errors import DivergedError
from unspool.training.batches import Batch, Batches
from unspool.training.callbacks import Callback
from unspool.training.history import History

# The loss of a batch, added up, and the number of values in the sum.
Objective = Callable[[Batch], tuple[Tensor, int]]


def train(
    model: nn.Module,
    objective: Objective,
    batches: Batches,
    *,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    validation: Batches | None = None,
    global_clipnorm: float | None = None,
    callbacks: Sequence[Callback] = (),
) -> History:
    """Train for `epochs` passes over `batches`, or until a callback ends it.

    Each step minimises the mean of the objective over the values of its batch.

    Parameters
    ----------
    global_clipnorm : float, optional
        Largest norm that all gradients together may have.

    Raises
    ------
    DivergedError
        When a loss becomes infinite or not a number.
    """
    history = History()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for callback in callbacks:
        callback.on_train_begin(model, epochs, len(batches))
    try:
        for _ in range(epochs):
            model.train()
            total, count = 0.0, 0
            for batch in batches:
                loss_sum, values = objective(batch)
                if values == 0:  # sequences of length 0 only: nothing to learn from
                    continue
                optimizer.zero_grad()
                torch.autograd.backward(loss_sum / values)
                if global_clipnorm is not None:
                    nn.utils.clip_grad_norm_(parameters, global_clipnorm)
                optimizer.step()
                total, count = total + loss_sum.item(), count + values
                _check_finite("loss", total, history.epochs + 1)
                for callback in callbacks:
                    callback.on_batch_end()
            history.loss.append(total / max(count, 1))
            if validation is not None:
                history.val_loss.append(evaluate(model, objective, validation))
                _check_finite("validation loss", history.val_loss[-1], history.epochs)
            stops = [callback.on_epoch_end(model, history) for callback in callbacks]
            if any(stops):
                break
    finally:
        for callback in callbacks:
            callback.on_train_end(model, history)
    model.eval()
    return history


@torch.no_grad()
def evaluate(model: nn.Module, objective: Objective, batches: Batches) -> float:
    """Mean of the objective over all values of `batches`."""
    model.eval()
    total, count = 0.0, 0
    for batch in batches:
        loss_sum, values = objective(batch)
        total, count = total + float(loss_sum), count + values
    return total / max(count, 1)


def _check_finite(what: str, loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        raise DivergedError(
            f"The {what} became {loss} in epoch {epoch}; lower `learning_rate`, set "
            "`global_clipnorm`, or scale the data."
        )
