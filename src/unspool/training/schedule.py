"""How long a fit trains: epochs by the size of the data, patience, and the rate of each update."""

import math
from typing import Any

import torch
from torch import nn

from unspool.training.callbacks import Callback

MIN_UPDATES = 1500  # of the weights, that `epochs="auto"` comes to at least
MIN_EPOCHS = 100
MIN_PATIENCE = 20
WARMUP = 0.1  # share of the updates in which the learning rate rises
SCHEDULES = ("cosine", "constant")


def count_epochs(epochs: Any, batches: int) -> int:
    """The number of epochs; "auto" makes them enough for `MIN_UPDATES`, at least `MIN_EPOCHS`.

    Examples
    --------
    >>> count_epochs("auto", 1), count_epochs("auto", 10), count_epochs("auto", 100)
    (1500, 150, 100)
    """
    if epochs == "auto":
        return max(MIN_EPOCHS, math.ceil(MIN_UPDATES / batches))
    return int(epochs)


def count_patience(patience: Any, epochs: int) -> int | None:
    """The epochs to wait for a better one; "auto" is a quarter of all, at least 20.

    Examples
    --------
    >>> count_patience("auto", 1500), count_patience("auto", 60), count_patience(None, 60)
    (375, 20, None)
    """
    if patience == "auto":
        return max(MIN_PATIENCE, epochs // 4)
    return None if patience is None else int(patience)


class WarmupCosine(Callback):
    """Let the learning rate rise in the first tenth of the updates, then fall to 0 as a cosine.

    The optimizer's own rate is the largest. Each update multiplies the rate by a factor, so that
    one that `DivergenceRecovery` has halved stays halved.

    Parameters
    ----------
    optimizer : torch optimizer

    Source: Loshchilov & Hutter 2017, "SGDR", equation 5, a single period; Goyal et al. 2017,
    "Accurate, Large Minibatch SGD", section 2.2, gradual warmup.
    """

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.optimizer = optimizer

    def on_train_begin(self, model: nn.Module, epochs: int, batches: int) -> None:
        """Set the rate of the first update."""
        self.done, self.updates = 0, epochs * batches
        self._multiply(rate_share(0, self.updates))

    def on_batch_end(self) -> None:
        """Set the rate of the next update."""
        self.done += 1
        if self.done < self.updates:
            last = rate_share(self.done - 1, self.updates)
            self._multiply(rate_share(self.done, self.updates) / last)

    def _multiply(self, factor: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] *= factor


def rate_share(update: int, updates: int) -> float:
    """Share of the largest learning rate that `update` takes, counted from 0; above 0, up to 1.

    Examples
    --------
    >>> [round(rate_share(update, 10), 2) for update in range(10)]
    [1.0, 1.0, 0.97, 0.88, 0.75, 0.59, 0.41, 0.25, 0.12, 0.03]
    """
    rising = int(WARMUP * updates)
    if update < rising:
        return (update + 1) / rising
    left = (updates - update) / (updates - rising)
    return 0.5 * (1 - math.cos(math.pi * left))
