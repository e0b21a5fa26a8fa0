"""The training loop: `train` runs epochs, `evaluate` computes means, for any model."""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from unspool.errors import InputError
from unspool.training.batches import Batch, Batches
from unspool.training.callbacks import Callback
from unspool.training.divergence import DivergenceRecovery
from unspool.training.history import History
from unspool.training.objective import Objective, Term


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
    """Train for `epochs` epochs, or until a callback stops training.

    Each step minimises the weighted sum of the means of the objective's terms. If the loss
    diverges (see `DivergenceRecovery`), training continues from earlier weights with half the
    learning rate, and warns.

    Parameters
    ----------
    model : torch.nn.Module
        Model that is trained in place.
    objective : callable
        Computes the terms of the loss of a `Batch`, by name.
    batches : Batches
        Training data.
    optimizer : torch.optim.Optimizer
        Optimizer of the model's parameters.
    epochs : int
        Maximum number of epochs.
    validation : Batches, optional
        Validation data, evaluated after each epoch.
    global_clipnorm : float, optional
        Gradients are clipped to this global norm.
    callbacks : sequence of Callback, default ()
        Called in this order.

    Returns
    -------
    History
        Losses and metrics of every epoch.

    Raises
    ------
    InputError
        If the loss depends on no weight that is trained.
    DivergedError
        If training diverges from earlier weights too.

    Warns
    -----
    UnstableTrainingWarning
        If training continues from earlier weights.
    """
    history = History()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for callback in callbacks:
        callback.on_train_begin(model, epochs, len(batches))
    recovery = DivergenceRecovery(model, optimizer)
    try:
        for _ in range(epochs):
            model.train()
            for callback in callbacks:
                callback.on_epoch_begin(model)
            sums, rate = RunningMeans(), optimizer.param_groups[0]["lr"]
            for batch in batches:
                if not batch.counts:
                    continue
                terms = objective(batch)
                loss = weighted(terms)
                if loss is None:  # all sequences are empty
                    continue
                if not loss.requires_grad:
                    raise InputError(
                        "The loss depends on no weight that is trained; freeze fewer layers, or "
                        "train another decoder with `loss_weights`."
                    )
                recompute = partial(loss_of, objective, batch)
                while recovery.diverged(
                    "loss", float(loss.detach()), history.epochs + 1, recompute
                ):
                    terms = objective(batch)
                    loss = weighted(terms)
                    assert loss is not None
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                if global_clipnorm is not None:
                    nn.utils.clip_grad_norm_(parameters, global_clipnorm)
                optimizer.step()
                rate = optimizer.param_groups[0]["lr"]
                recovery.attempts = 0
                sums.add(terms)
                for callback in callbacks:
                    callback.on_batch_end()
            history.add(sums.means())
            if validation is not None:
                means = evaluate(model, objective, validation)
                while recovery.diverged(
                    "validation loss",
                    means["loss"],
                    history.epochs,
                    lambda: evaluate(model, objective, validation)["loss"],
                ):
                    means = evaluate(model, objective, validation)
                history.add({f"val_{name}": mean for name, mean in means.items()})
            history.add({"learning_rate": rate})
            recovery.keep()
            stops = [callback.on_epoch_end(model, history) for callback in callbacks]
            if any(stops):
                break
    finally:
        for callback in callbacks:
            callback.on_train_end(model, history)
    model.eval()
    return history


@torch.no_grad()
def evaluate(model: nn.Module, objective: Objective, batches: Batches) -> dict[str, float]:
    """Compute the means of the objective's terms over all batches, and the "loss"."""
    model.eval()
    sums = RunningMeans()
    for batch in batches:
        sums.add(objective(batch))
    return sums.means()


def loss_of(objective: Objective, batch: Batch) -> float:
    """Compute the loss of a batch as a float; 0 if all its sequences are empty."""
    loss = weighted(objective(batch))
    return 0.0 if loss is None else float(loss.detach())


def weighted(terms: Mapping[str, Term]) -> Tensor | None:
    """Compute the loss of a batch from its terms; None if all its sequences are empty."""
    means = [t.total / t.size * t.weight for t in terms.values() if t.weight and t.size]
    return sum(means[1:], means[0]) if means else None


class RunningMeans:
    """Means of terms over the batches of an epoch."""

    def __init__(self) -> None:
        self.totals: dict[str, float] = {}
        self.sizes: dict[str, float] = {}
        self.weights: dict[str, float] = {}

    def add(self, terms: Mapping[str, Term]) -> None:
        """Add the terms of a batch."""
        for name, (total, size, weight) in terms.items():
            self.totals[name] = self.totals.get(name, 0.0) + float(total.detach())
            self.sizes[name] = self.sizes.get(name, 0) + size
            self.weights[name] = weight

    def means(self) -> dict[str, float]:
        """Return the mean of each term, after "loss", the weighted sum of the means."""
        means = {name: total / (self.sizes[name] or 1) for name, total in self.totals.items()}
        in_loss = [name for name in means if self.weights[name]]
        loss = sum((means[name] * self.weights[name] for name in in_loss), 0.0)
        return {"loss": loss, **{name: mean for name, mean in means.items() if name != "loss"}}
