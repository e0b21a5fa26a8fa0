"""The training loop: `train` runs epochs, `evaluate` measures, neither knows which model it is."""

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

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
    """Train for `epochs` passes over `batches`, or until a callback ends it.

    Each step minimises the sum of the means of the objective's terms, each with its weight. Where
    the loss diverges (see `DivergenceRecovery`), training continues from earlier weights with half the
    learning rate, and warns.

    Parameters
    ----------
    global_clipnorm : float, optional
        Largest norm that all gradients together may have.

    Raises
    ------
    DivergedError
        When earlier weights do not help.

    Warns
    -----
    UnstableTrainingWarning
        When training continues from earlier weights.
    """
    history = History()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for callback in callbacks:
        callback.on_train_begin(model, epochs, len(batches))
    recovery = DivergenceRecovery(model, optimizer)
    try:
        for _ in range(epochs):
            model.train()
            tally, rate = RunningMeans(), optimizer.param_groups[0]["lr"]
            for batch in batches:
                terms = objective(batch)
                loss = weighted(terms)
                if loss is None:  # sequences of length 0 only: nothing to learn from
                    continue
                again = partial(loss_of, objective, batch)
                while recovery.diverged("loss", float(loss.detach()), history.epochs + 1, again):
                    terms = objective(batch)
                    loss = weighted(terms)
                    assert loss is not None
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                if global_clipnorm is not None:
                    nn.utils.clip_grad_norm_(parameters, global_clipnorm)
                optimizer.step()
                rate = optimizer.param_groups[0]["lr"]
                recovery.steps_back = 0
                tally.add(terms)
                for callback in callbacks:
                    callback.on_batch_end()
            history.add(tally.means())
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
    """Means of the objective's terms over all of `batches`, and of them all the "loss"."""
    model.eval()
    tally = RunningMeans()
    for batch in batches:
        tally.add(objective(batch))
    return tally.means()


def loss_of(objective: Objective, batch: Batch) -> float:
    """The loss of a batch as a number; 0 where there is nothing in it to learn from."""
    loss = weighted(objective(batch))
    return 0.0 if loss is None else float(loss.detach())


def weighted(terms: Mapping[str, Term]) -> Tensor | None:
    """The loss of a batch; None where there is nothing in it to learn from."""
    means = [t.total / t.size * t.weight for t in terms.values() if t.weight and t.size]
    return sum(means[1:], means[0]) if means else None


class RunningMeans:
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
        weighty = [name for name in means if self.weights[name]]
        loss = sum((means[name] * self.weights[name] for name in weighty), 0.0)
        return {"loss": loss, **{name: mean for name, mean in means.items() if name != "loss"}}
