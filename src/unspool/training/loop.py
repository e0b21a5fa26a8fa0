"""The training loop: `train` runs epochs, `evaluate` measures, neither knows which model it is."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from unspool.errors import DivergedError
from unspool.training.batches import Batches
from unspool.training.callbacks import Callback
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
    """Train for `epochs` passes over `batches`, or until a callback ends it.

    Each step minimises the sum of the means of the objective's terms, each with its weight.

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
            tally = Tally()
            for batch in batches:
                terms = objective(batch)
                loss = weighted(terms)
                if loss is None:  # sequences of length 0 only: nothing to learn from
                    continue
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                if global_clipnorm is not None:
                    nn.utils.clip_grad_norm_(parameters, global_clipnorm)
                optimizer.step()
                _check_finite("loss", tally.add(terms), history.epochs + 1)
                for callback in callbacks:
                    callback.on_batch_end()
            history.add(tally.means())
            if validation is not None:
                means = evaluate(model, objective, validation)
                history.add({f"val_{name}": mean for name, mean in means.items()})
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
def evaluate(model: nn.Module, objective: Objective, batches: Batches) -> dict[str, float]:
    """Means of the objective's terms over all of `batches`, and of them all the "loss"."""
    model.eval()
    tally = Tally()
    for batch in batches:
        tally.add(objective(batch))
    return tally.means()


def weighted(terms: Mapping[str, Term]) -> Tensor | None:
    """The loss of a batch; None where there is nothing in it to learn from."""
    means = [t.total / t.size * t.weight for t in terms.values() if t.weight and t.size]
    return sum(means[1:], means[0]) if means else None


class Tally:
    """Sums of an epoch's terms."""

    def __init__(self) -> None:
        self.totals: dict[str, float] = {}
        self.sizes: dict[str, int] = {}
        self.weights: dict[str, float] = {}

    def add(self, terms: Mapping[str, Term]) -> float:
        """Add a batch's terms; the sum of all totals so far that have a weight."""
        for name, (total, size, weight) in terms.items():
            self.totals[name] = self.totals.get(name, 0.0) + float(total.detach())
            self.sizes[name] = self.sizes.get(name, 0) + size
            self.weights[name] = weight
        return sum(total for name, total in self.totals.items() if self.weights[name])

    def means(self) -> dict[str, float]:
        """The mean of each term, and before them "loss", the sum of those with weight."""
        means = {name: total / max(self.sizes[name], 1) for name, total in self.totals.items()}
        loss = sum(mean * self.weights[name] for name, mean in means.items())
        return {"loss": loss, **{name: mean for name, mean in means.items() if name != "loss"}}


def _check_finite(what: str, loss: float, epoch: int) -> None:
    if not math.isfinite(loss):
        raise DivergedError(
            f"The {what} became {loss} in epoch {epoch}; lower `learning_rate`, set "
            "`global_clipnorm`, or scale the data."
        )
