"""The training loop: `train` runs epochs, `evaluate` measures, neither knows which model it is."""

import copy
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from unspool.errors import DivergedError, UnstableTrainingWarning
from unspool.training.batches import Batches
from unspool.training.callbacks import Callback
from unspool.training.history import History
from unspool.training.objective import Objective, Term

BLOWN_UP = 100.0  # times the first loss
RESCUES = 10


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
    the loss becomes no number, or a hundred times what it was at first, training goes on from
    earlier weights with half the learning rate, and says so.

    Parameters
    ----------
    global_clipnorm : float, optional
        Largest norm that all gradients together may have.

    Raises
    ------
    DivergedError
        When that does not help.

    Warns
    -----
    UnstableTrainingWarning
        When it does.
    """
    history = History()
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for callback in callbacks:
        callback.on_train_begin(model, epochs, len(batches))
    safe = Rescue(model, optimizer)
    try:
        for _ in range(epochs):
            model.train()
            tally = Tally()
            for batch in batches:
                terms = objective(batch)
                loss = weighted(terms)
                if loss is None:  # sequences of length 0 only: nothing to learn from
                    continue
                while safe.blown_up("loss", float(loss.detach()), history.epochs + 1):
                    terms = objective(batch)
                    loss = weighted(terms)
                    assert loss is not None
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                if global_clipnorm is not None:
                    nn.utils.clip_grad_norm_(parameters, global_clipnorm)
                optimizer.step()
                safe.steps_back = 0
                tally.add(terms)
                for callback in callbacks:
                    callback.on_batch_end()
            history.add(tally.means())
            if validation is not None:
                means = evaluate(model, objective, validation)
                while safe.blown_up("validation loss", means["loss"], history.epochs):
                    means = evaluate(model, objective, validation)
                history.add({f"val_{name}": mean for name, mean in means.items()})
            safe.keep()
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
        weighty = [name for name in means if self.weights[name]]
        loss = sum((means[name] * self.weights[name] for name in weighty), 0.0)
        return {"loss": loss, **{name: mean for name, mean in means.items() if name != "loss"}}


class Rescue:
    """Weights to go back to when training blows up, as unbounded (ReLU) cells make it do.

    That is to those at the end of the last epoch, and if they are no good either, to those of the
    beginning.

    Parameters
    ----------
    model : module
    optimizer : torch optimizer
        Its learning rate is halved with every rescue.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.model, self.optimizer = model, optimizer
        self.first: float | None = None
        self.left = RESCUES
        self.steps_back = 0  # since the last step forward
        self.begin = self.last = self._now()

    def keep(self) -> None:
        """Take the weights as they are for good ones."""
        self.last = self._now()

    def blown_up(self, what: str, loss: float, epoch: int) -> bool:
        """Whether `loss` is no good; the weights are then earlier ones."""
        if self.first is None and math.isfinite(loss):
            self.first = loss
        if self.first is not None and loss <= BLOWN_UP * self.first + 1:  # not so where it is nan
            return False
        if self.first is None or not self.left or self.steps_back == 2:
            raise DivergedError(
                f"The {what} became {loss} in epoch {epoch}; lower `learning_rate`, set "
                "`global_clipnorm`, or scale the data."
            )
        self.left -= 1
        weights, state = self.begin if self.steps_back else self.last
        self.steps_back += 1
        self.model.load_state_dict(weights)
        known = self.optimizer.state_dict()
        self.optimizer.load_state_dict({**known, "state": copy.deepcopy(state)})
        for group in self.optimizer.param_groups:
            group["lr"] /= 2
        warnings.warn(
            f"The {what} became {loss:.3g} in epoch {epoch}; training goes on from earlier weights "
            f"with a learning rate of {self.optimizer.param_groups[0]['lr']:g}.",
            UnstableTrainingWarning,
            stacklevel=4,
        )
        return True

    def _now(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        state = self.optimizer.state_dict()["state"]
        return copy.deepcopy((self.model.state_dict(), state))
