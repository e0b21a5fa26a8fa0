"""The training loop: `train` runs epochs, `evaluate` computes means, for any model."""

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from unspool.errors import InputError
from unspool.training.batches import Batch, Batches
from unspool.training.callbacks import Callback, Step
from unspool.training.divergence import DivergenceRecovery
from unspool.training.history import History
from unspool.training.objective import Objective, Term
from unspool.training.plain_state import (
    StateKeeper,
    load_optimizer_state,
    load_weights_and_buffers,
    optimizer_state,
    weights_and_buffers,
)


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
    checkpoint: StateKeeper | None = None,
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
    checkpoint : StateKeeper, optional
        Continues from the state that it has kept, and keeps the state from time to time.

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
    training = Training(
        model, objective, batches, optimizer, validation, global_clipnorm, callbacks, checkpoint
    )
    training.run(epochs)
    return training.history


class Training:
    """A run of the training loop, with everything that changes from step to step.

    Parameters
    ----------
    model, objective, batches, optimizer, validation, global_clipnorm, callbacks, checkpoint
        See `train`.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        batches: Batches,
        optimizer: torch.optim.Optimizer,
        validation: Batches | None = None,
        global_clipnorm: float | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: StateKeeper | None = None,
    ) -> None:
        self.model, self.objective, self.batches = model, objective, batches
        self.optimizer, self.validation = optimizer, validation
        self.global_clipnorm, self.callbacks = global_clipnorm, callbacks
        self.checkpoint = checkpoint
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.measures_gradients = any(one.wants_gradient_norm for one in callbacks)
        self.history = History()
        self.recovery = DivergenceRecovery(model, optimizer)
        self.sums = RunningMeans()  # of the batches of the current epoch
        self.rate = 0.0  # learning rate of the last step
        self.position = 0  # number of batches of the current epoch that are done
        self.order: Any = None  # state of the generator of the batches before the current epoch
        self.stopped_by: list[str] = []  # classes of the callbacks that have stopped training

    def run(self, epochs: int) -> None:
        """Train until the history has `epochs` epochs, or a callback stops training."""
        for callback in self.callbacks:
            callback.on_train_begin(self.model, epochs, len(self.batches))
        try:
            if self.checkpoint is not None:
                self._resume(self.checkpoint, epochs)
            trains = False
            while self.history.epochs < epochs and not self.stopped_by:
                trains = True
                self._train_epoch(epochs)
                self._validate()
                self.history.add({"learning_rate": self.rate})
                self.recovery.keep()
                self.position = 0
                self.stopped_by = [
                    type(one).__name__
                    for one in self.callbacks
                    if one.on_epoch_end(self.model, self.history)
                ]
            if self.checkpoint is not None and trains:
                self.checkpoint.write(self.state(), epochs)
        finally:
            for callback in self.callbacks:
                callback.on_train_end(self.model, self.history)
        self.model.eval()

    def _train_epoch(self, epochs: int) -> None:
        """Take a step for each batch that is left of the epoch, and note the means of the terms."""
        self.model.train()
        if not self.position:
            for callback in self.callbacks:
                callback.on_epoch_begin(self.model)
            self.sums, self.rate = RunningMeans(), self.optimizer.param_groups[0]["lr"]
            self.order = None if self.checkpoint is None else self._order()
        for batch in self.batches.epoch(self.position) if self.position else self.batches:
            self.position += 1
            if batch.counts:
                self._step(batch)
            if self.checkpoint is not None and self.checkpoint.due():
                self.checkpoint.write(self.state(), epochs)
        self.history.add(self.sums.means())

    def _step(self, batch: Batch) -> None:
        """Change the weights by the gradient of the loss of a batch."""
        terms = self.objective(batch)
        loss = weighted(terms)
        if loss is None:  # all sequences are empty
            return
        if not loss.requires_grad:
            raise InputError(
                "The loss depends on no weight that is trained; freeze fewer layers, or "
                "train another decoder with `loss_weights`."
            )
        epoch, recompute = self.history.epochs + 1, partial(loss_of, self.objective, batch)
        while self.recovery.diverged("loss", float(loss.detach()), epoch, recompute):
            terms = self.objective(batch)
            loss = weighted(terms)
            assert loss is not None
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        norm = self._clip_gradients()
        self.optimizer.step()
        self.rate = self.optimizer.param_groups[0]["lr"]
        self.recovery.attempts = 0
        self.sums.add(terms)
        step = Step(len(batch.x), batch.time_steps, norm)
        for callback in self.callbacks:
            callback.on_batch_end(step)

    def _clip_gradients(self) -> Tensor | None:
        """Clip the gradients; return their norm before, or None if it is not needed."""
        if self.global_clipnorm is not None:
            return nn.utils.clip_grad_norm_(self.parameters, self.global_clipnorm)
        if not self.measures_gradients:
            return None
        norms = [p.grad.norm() for p in self.parameters if p.grad is not None]
        return torch.stack(norms).norm() if norms else None

    def _validate(self) -> None:
        """Note the means of the terms of the validation data."""
        if self.validation is None:
            return
        measure = partial(evaluate, self.model, self.objective, self.validation)
        means, epoch = measure(), self.history.epochs
        while self.recovery.diverged(
            "validation loss", means["loss"], epoch, lambda: measure()["loss"]
        ):
            means = measure()
        self.history.add({f"val_{name}": mean for name, mean in means.items()})

    def state(self) -> dict[str, Any]:
        """Return everything that the rest of training depends on, and that `load_state` restores.

        Callbacks are known by their classes, because those that show progress may be others.
        """
        generator = self._generator()
        return {
            "model": weights_and_buffers(self.model),
            "optimizer": optimizer_state(self.optimizer),
            "series": self.history.series,
            "best_epoch": self.history.best_epoch,
            "position": self.position,
            "order": self.order if self.position else self._order(),
            "generator": None if generator is None else generator.get_state(),
            "sums": vars(self.sums),
            "rate": self.rate,
            "stopped_by": self.stopped_by,
            "recovery": self.recovery.state(),
            "callbacks": {type(one).__name__: one.state() for one in self.callbacks if one.state()},
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state`, in which tensors have become arrays."""
        load_weights_and_buffers(self.model, state["model"])
        load_optimizer_state(self.optimizer, state["optimizer"])
        self.history.series = {name: list(values) for name, values in state["series"].items()}
        self.history.best_epoch, self.position = state["best_epoch"], state["position"]
        if self.batches.rng is not None:
            self.batches.rng.bit_generator.state = self.order = state["order"]
        generator = self._generator()
        if generator is not None:
            generator.set_state(torch.tensor(state["generator"]))
        self.sums = RunningMeans(**{name: dict(each) for name, each in state["sums"].items()})
        self.rate = state["rate"]
        self.recovery.load_state(state["recovery"])
        for one in self.callbacks:
            kept = state["callbacks"].get(type(one).__name__, {})
            if kept or one.state():
                one.load_state(kept)
            one.on_resume(self.history, self.position)
        self.stopped_by = [
            type(one).__name__
            for one in self.callbacks
            if type(one).__name__ in state["stopped_by"] and one.still_stops(self.history)
        ]

    def _resume(self, checkpoint: StateKeeper, epochs: int) -> None:
        """Continue from the state that the checkpoint has kept, if there is one."""
        saved = checkpoint.saved
        if saved is None:
            checkpoint.check(self.state())
            return
        self.load_state(saved)
        done = self.history.epochs
        if done > epochs or (done == epochs and self.position):
            raise InputError(
                f"The checkpoint has been trained for more than {done} epochs, but `epochs` is "
                f"{epochs}; raise `epochs`, or give another `checkpoint`."
                if self.position
                else f"The checkpoint has been trained for {done} epochs, but `epochs` is "
                f"{epochs}; raise `epochs`, or give another `checkpoint`."
            )
        if done < epochs and not self.stopped_by:
            checkpoint.resumed(done, epochs)

    def _order(self) -> Any:
        """Return the state of the generator that the order of the batches is drawn from."""
        return None if self.batches.rng is None else self.batches.rng.bit_generator.state

    def _generator(self) -> torch.Generator | None:
        """Return the random number generator of noise and dropout, if there is any."""
        return getattr(self.objective, "generator", None)


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

    def __init__(
        self,
        totals: Mapping[str, float] = MappingProxyType({}),
        sizes: Mapping[str, float] = MappingProxyType({}),
        weights: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self.totals, self.sizes, self.weights = dict(totals), dict(sizes), dict(weights)

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
