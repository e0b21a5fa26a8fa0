"""Number of epochs, patience, and learning rate schedule."""

import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from unspool.training.callbacks import Callback, Step
from unspool.training.history import History
from unspool.training.optimizers import Optimizer

MIN_UPDATES = 1500  # minimum number of optimizer steps with `epochs="auto"`
MIN_EPOCHS = 100
MIN_PATIENCE = 20
WARMUP = 0.1  # proportion of the optimizer steps in which the learning rate rises


def count_epochs(epochs: Any, batches: int) -> int:
    """Return the number of epochs; "auto" means at least `MIN_UPDATES` steps and `MIN_EPOCHS`.

    Examples
    --------
    >>> count_epochs("auto", 1), count_epochs("auto", 10), count_epochs("auto", 100)
    (1500, 150, 100)
    """
    if epochs == "auto":
        return max(MIN_EPOCHS, math.ceil(MIN_UPDATES / batches))
    return int(epochs)


def count_patience(patience: Any, epochs: int) -> int | None:
    """Return the patience in epochs; "auto" is a quarter of `epochs`, but at least 20.

    Examples
    --------
    >>> count_patience("auto", 1500), count_patience("auto", 60), count_patience(None, 60)
    (375, 20, None)
    """
    if patience == "auto":
        return max(MIN_PATIENCE, epochs // 4)
    return None if patience is None else int(patience)


class WarmupCosine(Callback):
    """Linear warmup over the first tenth of the steps, then cosine decay of the learning rate to 0.

    The optimizer's learning rate is the maximum. Each step multiplies the rate by a factor, so that
    a rate that `DivergenceRecovery` has halved remains halved.

    Loshchilov & Hutter 2017, "SGDR", equation 5, a single period; Goyal et al. 2017, "Accurate,
    Large Minibatch SGD", section 2.2, gradual warmup.

    Parameters
    ----------
    optimizer : Optimizer
        Optimizer whose learning rate is set.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer

    def on_train_begin(self, model: nn.Module, epochs: int, batches: int) -> None:
        """Set the learning rate of the first step."""
        self.done, self.updates = 0, epochs * batches
        self._multiply(rate_factor(0, self.updates))

    def on_batch_end(self, step: Step) -> None:
        """Set the learning rate of the next step."""
        self.done += 1
        if self.done < self.updates:
            last = rate_factor(self.done - 1, self.updates)
            self._multiply(rate_factor(self.done, self.updates) / last)

    def state(self) -> dict[str, Any]:
        """Return the number of steps that are done, and of all."""
        return {"done": self.done, "updates": self.updates}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue after these steps; with another number of all steps the rate changes."""
        self.done, updates = state["done"], state["updates"]
        if updates != self.updates:
            before = rate_factor(min(self.done, updates - 1), updates)
            self._multiply(rate_factor(min(self.done, self.updates - 1), self.updates) / before)

    def _multiply(self, factor: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] *= factor


class ReduceOnPlateau(Callback):
    """Multiply the learning rate by a factor whenever the loss has not fallen for some epochs.

    The rule of Keras's ``ReduceLROnPlateau`` without a minimum difference. It watches the
    validation loss, or the training loss without validation data.

    Parameters
    ----------
    optimizer : Optimizer
        Optimizer whose learning rate is set.
    factor : float
        Factor of the learning rate, above 0 and below 1.
    patience : int
        Number of epochs without a lower loss after which the rate is multiplied.
    """

    def __init__(self, optimizer: Optimizer, factor: float, patience: int) -> None:
        self.optimizer, self.factor, self.patience = optimizer, factor, patience
        self.best, self.waited = math.inf, 0

    def on_epoch_end(self, model: nn.Module, history: History) -> bool:
        """Compare the loss with the lowest one."""
        loss = history.monitored[-1]
        if loss < self.best:
            self.best, self.waited = loss, 0
            return False
        self.waited += 1
        if self.waited >= self.patience:
            self.waited = 0
            for group in self.optimizer.param_groups:
                group["lr"] *= self.factor
        return False

    def state(self) -> dict[str, Any]:
        """Return the lowest loss, and the number of epochs since."""
        return {"best": self.best, "waited": self.waited}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue with the lowest loss, and the number of epochs since."""
        self.best, self.waited = state["best"], state["waited"]


def rate_factor(update: int, updates: int) -> float:
    """Return the factor, in (0, 1], of the maximum learning rate at step `update` (from 0).

    Examples
    --------
    >>> [round(rate_factor(update, 10), 2) for update in range(10)]
    [1.0, 1.0, 0.97, 0.88, 0.75, 0.59, 0.41, 0.25, 0.12, 0.03]
    """
    rising = int(WARMUP * updates)
    if update < rising:
        return (update + 1) / rising
    left = (updates - update) / (updates - rising)
    return 0.5 * (1 - math.cos(math.pi * left))
