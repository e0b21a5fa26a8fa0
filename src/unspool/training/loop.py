"""The training loop: `train` runs epochs, `evaluate` computes means, for any model."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from unspool.errors import InputError
from unspool.training.batches import Batch, Batches
from unspool.training.callbacks import Callback, Step
from unspool.training.divergence import DivergenceRecovery
from unspool.training.history import History
from unspool.training.interruption import interruptible
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
    learning rate, and warns. If a signal arrives (see `interruptible`), training ends after the
    current step, and an epoch that has not ended does not count, unless it is the first.

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
    KeyboardInterrupt
        If a signal ends training, and nothing usable is left. For SIGTERM, `SystemExit`.

    Warns
    -----
    UnstableTrainingWarning
        If training continues from earlier weights.
    """
    training = Training(
        model, objective, batches, optimizer, validation, global_clipnorm, callbacks
    )
    training.run(epochs)
    return training.history


class Training:
    """A run of the training loop, with everything that changes from step to step.

    Parameters
    ----------
    model, objective, batches, optimizer, validation, global_clipnorm, callbacks
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
    ) -> None:
        self.model, self.objective, self.batches = model, objective, batches
        self.optimizer, self.validation = optimizer, validation
        self.global_clipnorm, self.callbacks = global_clipnorm, callbacks
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.measures_gradients = any(one.wants_gradient_norm for one in callbacks)
        self.history = History()
        self.recovery = DivergenceRecovery(model, optimizer)
        self.sums = RunningMeans()  # of the batches of the current epoch
        self.rate = 0.0  # learning rate of the last step
        self.steps = 0  # optimizer steps in all epochs
        self.cut_short = False  # whether a signal has ended an epoch early
        self.in_first = False  # whether this was the first epoch, which is kept

    def run(self, epochs: int) -> None:
        """Train until the history has `epochs` epochs, or a callback or a signal stops training."""
        with interruptible() as self.interruption:
            for callback in self.callbacks:
                callback.on_train_begin(self.model, epochs, len(self.batches))
            try:
                with self.interruption.training():
                    while self.history.epochs < epochs and not self._epoch_stops():
                        pass
            finally:
                for callback in self.callbacks:
                    callback.on_train_end(self.model, self.history)
            self.model.eval()
            progress = "in the first" if self.in_first else f"after {self.history.epochs}"
            self.interruption.end_stage(f"{progress} of {epochs} epochs", trained=self.steps > 0)

    def _epoch_stops(self) -> bool:
        """Train for an epoch, and return whether it is the last."""
        self._train_epoch()
        if not self.cut_short:
            self._validate()
        if self.cut_short:
            self._leave_epoch()
            return True
        self.history.add({"learning_rate": self.rate})
        self.recovery.keep()
        stops = [one.on_epoch_end(self.model, self.history) for one in self.callbacks]
        return any(stops) or self.interruption.requested is not None

    def _leave_epoch(self) -> None:
        """Return to the end of the epoch before; keep what was trained in the first epoch."""
        if self.history.epochs > 1 or not self.steps:
            self.history.drop_last()
            self.model.load_state_dict(self.recovery.last[0])
            return
        self.in_first = True
        self.history.add({"learning_rate": self.rate})
        if self.validation is not None:
            self.history.add({f"val_{name}": math.nan for name in self.sums.means()})

    def _until_interrupted(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """Yield batches until a signal arrives, and note whether it has left some out."""
        for batch in batches:
            if self.interruption.requested is not None:
                self.cut_short = True
                return
            yield batch

    def _train_epoch(self) -> None:
        """Take a step for each batch, and note the means of the terms."""
        self.model.train()
        for callback in self.callbacks:
            callback.on_epoch_begin(self.model)
        self.sums, self.rate = RunningMeans(), self.optimizer.param_groups[0]["lr"]
        for batch in self._until_interrupted(self.batches):
            if batch.counts:
                self._step(batch)
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
        self.steps += 1
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
        validation = self.validation

        def measure() -> dict[str, float]:
            batches = self._until_interrupted(validation)
            return evaluate(self.model, self.objective, batches)

        means, epoch = measure(), self.history.epochs
        while not self.cut_short and self.recovery.diverged(
            "validation loss", means["loss"], epoch, lambda: measure()["loss"]
        ):
            means = measure()
        if not self.cut_short:
            self.history.add({f"val_{name}": mean for name, mean in means.items()})


@torch.no_grad()
def evaluate(model: nn.Module, objective: Objective, batches: Iterable[Batch]) -> dict[str, float]:
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
