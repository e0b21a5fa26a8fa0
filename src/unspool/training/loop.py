"""The training loop: `train` runs epochs, `evaluate` computes means, for any model."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from unspool.errors import InputError
from unspool.training.batches import Batch, Batches
from unspool.training.callbacks import Callback, Step
from unspool.training.divergence import (
    DivergenceRecovery,
    Evidence,
    Place,
    general_advice,
)
from unspool.training.gradients import Gradients
from unspool.training.history import History
from unspool.training.interruption import interruptible
from unspool.training.objective import Objective, Term
from unspool.training.optimizers import Optimizer
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
    optimizer: Optimizer,
    epochs: int,
    validation: Batches | None = None,
    global_clipnorm: float | None = None,
    callbacks: Sequence[Callback] = (),
    checkpoint: StateKeeper | None = None,
    advise: Callable[[Evidence], str] = general_advice,
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
    optimizer : Optimizer
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
    advise : callable, default `general_advice`
        Returns the end of the message of a `DivergedError`.

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
        model,
        objective,
        batches,
        optimizer,
        validation,
        global_clipnorm,
        callbacks,
        checkpoint,
        advise,
    )
    training.run(epochs)
    return training.history


class Training:
    """A run of the training loop, with everything that changes from step to step.

    Parameters
    ----------
    model, objective, batches, optimizer, validation, global_clipnorm, callbacks, checkpoint, advise
        See `train`.
    """

    def __init__(
        self,
        model: nn.Module,
        objective: Objective,
        batches: Batches,
        optimizer: Optimizer,
        validation: Batches | None = None,
        global_clipnorm: float | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: StateKeeper | None = None,
        advise: Callable[[Evidence], str] = general_advice,
    ) -> None:
        self.model, self.objective, self.batches = model, objective, batches
        self.optimizer, self.validation = optimizer, validation
        self.global_clipnorm, self.callbacks = global_clipnorm, callbacks
        self.checkpoint = checkpoint
        self.gradients = Gradients(
            [one for group in optimizer.param_groups for one in group["params"]]
        )
        self.measures_gradients = any(one.wants_gradient_norm for one in callbacks)
        self.history = History()
        self.recovery = DivergenceRecovery(model, optimizer, advise)
        self.sums = RunningMeans()  # of the batches of the current epoch
        self.rate = 0.0  # learning rate of the last step
        self.position = 0  # number of batches of the current epoch that are done
        self.order: Any = None  # state of the generator of the batches before the current epoch
        self.last: Batch | None = None  # batch of the last step
        self.stopped_by: list[str] = []  # classes of the callbacks that have stopped training
        self.ended = False  # whether an epoch has ended in this run
        self.cut_short = False  # whether a signal has ended a pass over batches
        self.in_first = False  # whether it has ended the first epoch, whose steps are kept

    def run(self, epochs: int) -> None:
        """Train until the history has `epochs` epochs, or a callback or a signal stops training."""
        with interruptible() as self.interruption:
            for callback in self.callbacks:
                callback.on_train_begin(self.model, epochs, len(self.batches))
            try:
                with self.interruption.training():
                    self._train_epochs(epochs)
            finally:
                for callback in self.callbacks:
                    callback.on_train_end(self.model, self.history)
            self.model.eval()
            self._check_result()
            if self.checkpoint is not None and self.ended:
                self.checkpoint.flush()
            done = self.history.epochs
            progress = "in the first" if self.in_first else f"after {done}"
            self.interruption.end_stage(f"{progress} of {epochs} epochs", trained=done > 0)

    def _train_epochs(self, epochs: int) -> None:
        """Train the epochs that are left, and keep the state in the end."""
        if self.checkpoint is not None:
            self._resume(self.checkpoint, epochs)
        while self.history.epochs < epochs and not self.stopped_by and not self._interrupted:
            if not (self._train_epoch(epochs) and self._validate()):
                self._leave_epoch(epochs)
                return
            self.history.add({"learning_rate": self.rate})
            self.recovery.keep()
            self.position = 0
            self.stopped_by = [
                type(one).__name__
                for one in self.callbacks
                if one.on_epoch_end(self.model, self.history)
            ]
            self.ended = True
        if self.checkpoint is not None and self.ended:
            self.checkpoint.keep(self.state(), epochs)

    @property
    def _interrupted(self) -> bool:
        return self.interruption.requested is not None

    def _leave_epoch(self, epochs: int) -> None:
        """Return to the end of the epoch before; keep what was trained in the first epoch."""
        if self.checkpoint is not None:
            self.checkpoint.write(self.state(), epochs)
            self.ended = False  # nothing is left to be written
        if self.history.epochs or not self.sums.totals:
            self.model.load_state_dict(self.recovery.last[0])
            return
        self.in_first = True
        self.history.add({**self.sums.means(), "learning_rate": self.rate})
        if self.validation is not None:
            self.history.add({f"val_{name}": math.nan for name in self.sums.means()})

    def _until_interrupted(self, batches: Iterable[Batch], count: int) -> Iterator[Batch]:
        """Yield `count` batches, fewer if a signal arrives; note whether some were left out."""
        self.cut_short = count > 0 and self._interrupted
        if self.cut_short:
            return
        for batch in batches:
            yield batch
            count -= 1
            if count > 0 and self._interrupted:
                self.cut_short = True
                return

    def _train_epoch(self, epochs: int) -> bool:
        """Take a step for each batch that is left of the epoch, and note the means of the terms.

        Returns
        -------
        bool
            Whether the epoch is whole; a signal may have ended it.
        """
        self.model.train()
        if not self.position:
            for callback in self.callbacks:
                callback.on_epoch_begin(self.model)
            self.sums, self.rate = RunningMeans(), self.optimizer.param_groups[0]["lr"]
            self.order = None if self.checkpoint is None else self._order()
        left = iter(self.batches)
        if self.position:
            left = self.batches.epoch(self.position - 1)
            self.last = next(left)
        for batch in self._until_interrupted(left, len(self.batches) - self.position):
            self.position += 1
            if batch.counts:
                self._step(batch)
            if self.checkpoint is not None and self.checkpoint.due():
                self.checkpoint.write(self.state(), epochs)
        if self.cut_short:
            return False
        self.history.add(self.sums.means())
        return True

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
        place = Place(self.history.epochs + 1, self.position, partial(largest_value, batch))
        recompute = partial(loss_of, self.objective, batch)
        while True:
            assert loss is not None
            if not self.recovery.diverged("loss", float(loss.detach()), place, recompute):
                self.optimizer.zero_grad()
                torch.autograd.backward(loss)
                norm = self._clip_gradients()
                if norm is None or math.isfinite(norm):
                    break
                self.recovery.recover("gradient", float(norm), place)
            self._tell_of_recovery()
            terms = self.objective(batch)
            loss = weighted(terms)
        self.optimizer.step()
        self.rate = self.optimizer.param_groups[0]["lr"]
        self.recovery.note_step(norm, self.global_clipnorm)
        self.last = batch
        self.sums.add(terms)
        step = Step(len(batch.x), batch.time_steps, norm)
        for callback in self.callbacks:
            callback.on_batch_end(step)

    def _tell_of_recovery(self) -> None:
        """Tell callbacks if the weights at the end of the last epoch have turned out to be bad."""
        if self.recovery.attempts == 2:
            for callback in self.callbacks:
                callback.on_restart(self.history)

    def _check_result(self) -> None:
        """Check the weights that are kept, of which no validation has computed a loss.

        Raises
        ------
        DivergedError
            If the last step has led to a loss that is not sound.
        """
        if self.validation is not None or self.last is None:
            return
        recompute = torch.no_grad()(partial(loss_of, self.objective, self.last))
        loss = recompute()
        if not self.recovery.is_sound("loss", loss, recompute):
            place = Place(self.history.epochs, size=partial(largest_value, self.last))
            raise self.recovery.error("loss", loss, place)

    def _clip_gradients(self) -> float | Tensor | None:
        """Clip the gradients; return their norm before, or None if it is not needed."""
        if self.global_clipnorm is None and not self.measures_gradients:
            return None
        return self.gradients.clip(self.global_clipnorm)

    def _validate(self) -> bool:
        """Note the means of the terms of the validation data.

        Returns
        -------
        bool
            Whether the validation is whole; otherwise the epoch is removed from the history.
        """
        validation, epoch = self.validation, self.history.epochs
        if validation is None:
            return True

        def measure() -> dict[str, float]:
            batches = self._until_interrupted(validation, len(validation))
            return evaluate(self.model, self.objective, batches)

        means = measure()
        while not self.cut_short and self.recovery.diverged(
            "validation loss", means["loss"], Place(epoch), lambda: measure()["loss"]
        ):
            self._tell_of_recovery()
            means = measure()
        if self.cut_short:
            self.history.drop_last()
            return False
        self.history.add({f"val_{name}": mean for name, mean in means.items()})
        return True

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
            "callbacks": {
                type(one).__name__: kept for one in self.callbacks if (kept := one.state())
            },
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state`, in which tensors have become arrays.

        Raises
        ------
        InputError
            If the state has those of callbacks that are missing here.
        """
        missing = set(state["callbacks"]) - {type(one).__name__ for one in self.callbacks}
        if missing:
            names = [name for one in sorted(missing) for name in state["callbacks"][one]]
            raise InputError(
                f"The checkpoint has the states of callbacks ({', '.join(names)}), but "
                "`callbacks` has none; give the same ones, in the same order."
            )
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


def largest_value(batch: Batch) -> float:
    """Return the largest absolute value of the inputs and targets of a batch; 0 without values."""
    parts = [one for one in (batch.x, batch.y, batch.future) if one is not None]
    sizes = [one[~one.isnan()].abs() for one in parts if one.is_floating_point()]
    return max((float(one.max()) for one in sizes if one.numel()), default=0.0)


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
