"""`DivergenceRecovery`: notices that training diverges, and goes back to earlier weights."""

import copy
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from unspool.errors import DivergedError, UnstableTrainingWarning

DIVERGENCE_FACTOR = (
    100.0  # a loss so many times that of earlier weights on the same sequences has diverged
)
MAX_RECOVERIES = 10


class DivergenceRecovery:
    """Earlier weights to return to when training diverges, as unbounded (ReLU) cells make it do.

    A loss has diverged when it is infinite or NaN, or when it is more than `DIVERGENCE_FACTOR` times the loss
    that earlier weights have *on the same sequences*. A batch with a rare large event has a large
    loss whatever the weights are, so comparing it with other batches says nothing.

    Training returns to the weights at the end of the last epoch; where these have diverged as
    well, to the initial ones.

    Parameters
    ----------
    model : module
    optimizer : torch optimizer
        Every recovery halves its learning rate.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.model, self.optimizer = model, optimizer
        self.largest: dict[str, float] = {}  # loss that earlier weights have had, by kind of loss
        self.left = MAX_RECOVERIES
        self.steps_back = 0  # since the last step forward
        self.initial = self.last = self._now()

    def keep(self) -> None:
        """Remember the present weights as the last good ones."""
        self.last = self._now()

    def diverged(self, what: str, loss: float, epoch: int, again: Callable[[], float]) -> bool:
        """Whether `loss` has diverged; if so, the model has earlier weights now.

        Parameters
        ----------
        what : str
            "loss" or "validation loss", for messages; each has a reference of its own.
        loss, epoch
            The present loss, and the epoch it belongs to, counted from 1.
        again : callable
            Computes the loss on the same sequences with the weights that the model has when it is
            called. Only called when `loss` is far above all that was seen before.

        Raises
        ------
        DivergedError
            When earlier weights do not help, or have been returned to too often.
        """
        known = self.largest.get(what, self.largest.get("loss"))
        if known is None and math.isfinite(loss):  # the first batch, before any step
            self.largest[what] = known = loss
        if known is not None and loss <= DIVERGENCE_FACTOR * known + 1:  # False for NaN
            return False
        if math.isfinite(loss):
            before = self._earlier(again)
            self.largest[what] = max(before, known or 0.0)
            if loss <= DIVERGENCE_FACTOR * before + 1:
                return False
        if known is None:
            raise DivergedError(
                f"The {what} is {loss} with the initial weights, before the first step; look for "
                "values too large for float32, and scale the data (`scaling`)."
            )
        if not self.left or self.steps_back == 2:
            raise DivergedError(
                f"The {what} became {loss} in epoch {epoch}; lower `learning_rate`, set "
                "`global_clipnorm`, or scale the data."
            )
        self._return()
        warnings.warn(
            f"The {what} became {loss:.3g} in epoch {epoch}; training continues from earlier "
            f"weights with a learning rate of {self.optimizer.param_groups[0]['lr']:g}.",
            UnstableTrainingWarning,
            stacklevel=4,
        )
        return True

    def _return(self) -> None:
        """Load the last good weights, or the initial ones, and halve the learning rate."""
        self.left -= 1
        weights, state = self.initial if self.steps_back else self.last
        self.steps_back += 1
        self.model.load_state_dict(weights)
        known = self.optimizer.state_dict()
        self.optimizer.load_state_dict({**known, "state": copy.deepcopy(state)})
        for group in self.optimizer.param_groups:
            group["lr"] /= 2

    @torch.no_grad()
    def _earlier(self, again: Callable[[], float]) -> float:
        """The smaller loss of the initial and the last good weights; infinity if both diverge."""
        tensors = self.model.state_dict(keep_vars=True)
        present = {name: tensor.data for name, tensor in tensors.items()}
        training, losses = self.model.training, []
        try:
            for weights, _ in (self.initial, self.last):
                for name, tensor in tensors.items():  # copying into it would spoil the loss's graph
                    tensor.data = weights[name]
                losses.append(again())
        finally:
            for name, tensor in tensors.items():
                tensor.data = present[name]
            self.model.train(training)
        return min((loss for loss in losses if math.isfinite(loss)), default=math.inf)

    def _now(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        state = self.optimizer.state_dict()["state"]
        return clone_tensors(self.model.state_dict()), {
            i: clone_tensors(own) for i, own in state.items()
        }


def clone_tensors(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by name with tensors of their own; much faster than `copy.deepcopy`, every epoch."""
    return {
        name: value.detach().clone() if isinstance(value, Tensor) else value
        for name, value in values.items()
    }
