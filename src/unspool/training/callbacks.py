"""Callbacks of the training loop: the base class, early stopping and scheduled sampling."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from unspool.training.divergence import clone_tensors
from unspool.training.history import History
from unspool.training.objective import AutoencoderLoss
from unspool.training.plain_state import tensors


class Step(NamedTuple):
    """An optimizer step, as callbacks see it.

    Tensors are on the device of the model; reading one waits for the device, so callbacks add them
    up and read the sum at the end of an epoch.

    Parameters
    ----------
    sequences : int
        Number of sequences of the batch, B.
    time_steps : int or Tensor
        Number of time steps of these sequences, without padding.
    gradient_norm : float, Tensor or None
        Norm of the gradient over all weights, before clipping. None if it was not computed:
        without clipping it is computed only for callbacks with `wants_gradient_norm`.
    """

    sequences: int
    time_steps: int | Tensor
    gradient_norm: float | Tensor | None = None


class Callback:
    """Base class of callbacks, whose methods `train` calls; they do nothing by default.

    Attributes
    ----------
    wants_gradient_norm : bool
        Whether each `Step` must have its gradient norm.
    """

    wants_gradient_norm = False

    def on_train_begin(self, model: nn.Module, epochs: int, batches: int) -> None:
        """Called before the first epoch; `batches` is the number of batches per epoch."""

    def on_epoch_begin(self, model: nn.Module) -> None:
        """Called before the first batch of each epoch."""

    def on_batch_end(self, step: Step) -> None:
        """Called after each optimizer step."""

    def on_epoch_end(self, model: nn.Module, history: History) -> bool:
        """Called after each epoch and its validation; return True to stop training."""
        return False

    def on_restart(self, history: History) -> None:
        """Called if the weights after the last epoch diverged and the initial ones are restored."""

    def on_train_end(self, model: nn.Module, history: History) -> None:
        """Called after the last epoch, also if an error ends training."""

    def on_resume(self, history: History, batch: int) -> None:
        """Called after `on_train_begin` and `load_state` if training continues from a checkpoint.

        `batch` batches of the current epoch are done. `on_epoch_begin` is not called for the rest
        of this epoch.
        """

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps of this callback: plain values, arrays and tensors."""
        return {}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state`, in which tensors have become arrays."""

    def still_stops(self, history: History) -> bool:
        """Return whether training that this callback has stopped stays so with new parameters."""
        return True


class KeepBest(Callback):
    """Early stopping: keep the weights of the best epoch, and stop if none is better.

    Parameters
    ----------
    patience : int or None
        Number of epochs without improvement after which training stops. None trains to the last
        epoch and keeps its weights.
    """

    def __init__(self, patience: int | None) -> None:
        self.patience = patience
        self.best = math.inf
        self.weights: dict[str, object] | None = None

    def on_epoch_end(self, model: nn.Module, history: History) -> bool:
        """Compare the validation loss (or the training loss, if there is none) with the best."""
        if self.patience is None:
            history.best_epoch = history.epochs - 1
            return False
        monitored = history.monitored[-1]
        if monitored < self.best:
            self.best, history.best_epoch = monitored, history.epochs - 1
            self.weights = clone_tensors(model.state_dict())
        return self.still_stops(history)

    def on_restart(self, history: History) -> None:
        """Forget the best weights if they have diverged: a training loss is older than they are."""
        if not history.val_loss and history.best_epoch == history.epochs - 1:
            self.best, self.weights = math.inf, None

    def on_train_end(self, model: nn.Module, history: History) -> None:
        """Restore the best weights."""
        if self.weights is not None:
            model.load_state_dict(self.weights)

    def state(self) -> dict[str, Any]:
        """Return the lowest loss and its weights."""
        return {"best": self.best, "weights": self.weights}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue with the lowest loss and its weights."""
        self.best, weights = state["best"], state["weights"]
        self.weights = None if weights is None else tensors(weights)

    def still_stops(self, history: History) -> bool:
        """Return whether `patience` epochs have passed since the best one."""
        return self.patience is not None and (
            history.epochs - 1 - history.best_epoch >= self.patience
        )


class ScheduledSampling(Callback):
    """Scheduled sampling: reduce the teacher forcing ratio linearly, from 1 to `last`.

    The ratio is 1 in the first epoch and `last` in the last one. Bengio et al. 2015, "Scheduled
    Sampling", section 2.4, linear decay.

    Parameters
    ----------
    objective : AutoencoderLoss
        Loss whose `teacher_forcing` is set.
    last : float
        Ratio of the last epoch, from 0 to 1.
    """

    def __init__(self, objective: AutoencoderLoss, last: float) -> None:
        self.objective, self.last = objective, last

    def on_train_begin(self, model: nn.Module, epochs: int, batches: int) -> None:
        """Set the ratio of the first epoch to 1."""
        self.epochs, self.objective.teacher_forcing = epochs, 1.0

    def on_epoch_end(self, model: nn.Module, history: History) -> bool:
        """Set the ratio of the next epoch."""
        self._set(history.epochs)
        return False

    def on_resume(self, history: History, batch: int) -> None:
        """Set the ratio of the current epoch."""
        if history.epochs:
            self._set(history.epochs)

    def _set(self, epochs: int) -> None:
        done = epochs / max(1, self.epochs - 1)
        self.objective.teacher_forcing = 1 - (1 - self.last) * min(1.0, done)
