"""Recovery from divergence: return to earlier weights with a lower learning rate."""

import copy
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from unspool._logging import logger
from unspool.errors import DivergedError, UnstableTrainingWarning
from unspool.training.plain_state import by_weight, from_weights, tensors

LOGGER = logger("unspool.training")

DIVERGENCE_FACTOR = (
    100.0  # a loss has diverged if it is this many times the loss of earlier weights
)
MAX_RECOVERIES = 10


class DivergenceRecovery:
    """Return to earlier weights if training diverges, as unbounded (ReLU) cells sometimes do.

    A loss has diverged if it is infinite or NaN, or if it is more than `DIVERGENCE_FACTOR` times
    the loss of earlier weights *on the same sequences*. It is not compared with other batches: a
    batch with a rare large event has a large loss whatever the weights are.

    Training returns to the weights after the last epoch; if these diverge too, to the initial
    weights.

    Parameters
    ----------
    model : torch.nn.Module
        Model that is trained.
    optimizer : torch.optim.Optimizer
        Its optimizer. Every recovery halves the learning rate.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        self.model, self.optimizer = model, optimizer
        self.reference_losses: dict[str, float] = {}  # largest loss of earlier weights, by kind
        self.recoveries_left = MAX_RECOVERIES
        self.attempts = 0  # recoveries since the last optimizer step
        self.initial = self.last = self._snapshot()

    def keep(self) -> None:
        """Remember the current weights as the last good ones."""
        self.last = self._snapshot()

    def diverged(self, what: str, loss: float, epoch: int, recompute: Callable[[], float]) -> bool:
        """Check whether `loss` has diverged; if so, restore earlier weights.

        Parameters
        ----------
        what : str
            "loss" or "validation loss". Each is compared with its own earlier values.
        loss : float
            The current loss.
        epoch : int
            Its epoch, counted from 1.
        recompute : callable
            Computes the loss of the same sequences with the current weights of the model. Only
            called if `loss` is much larger than all earlier losses.

        Returns
        -------
        bool
            Whether the loss has diverged.

        Raises
        ------
        DivergedError
            If training diverges from earlier weights too, or for the eleventh time.
        """
        known = self.reference_losses.get(what, self.reference_losses.get("loss"))
        if known is None and math.isfinite(loss):  # the first batch, before any step
            self.reference_losses[what] = known = loss
        if known is not None and loss <= DIVERGENCE_FACTOR * abs(known) + 1:  # False for NaN
            return False
        if math.isfinite(loss):
            before = self._earlier_loss(recompute)
            self.reference_losses[what] = max(before, known or 0.0)
            if loss <= DIVERGENCE_FACTOR * abs(before) + 1:
                return False
        if known is None:
            raise DivergedError(
                f"The {what} is {loss} with the initial weights, before the first step; look for "
                "values too large for float32, and scale the data (`scaling`)."
            )
        if not self.recoveries_left or self.attempts == 2:
            raise DivergedError(
                f"The {what} became {loss} in epoch {epoch}; lower `learning_rate`, set "
                "`global_clipnorm`, or scale the data."
            )
        self._restore()
        message = (
            f"The {what} became {loss:.3g} in epoch {epoch}; training continues from earlier "
            f"weights with a learning rate of {self.optimizer.param_groups[0]['lr']:g}."
        )
        LOGGER.warning("%s", message)
        warnings.warn(message, UnstableTrainingWarning, stacklevel=4)
        return True

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps; the initial weights are computed again."""
        last = None
        if self.last is not self.initial:
            weights, of_optimizer = self.last
            last = {"weights": weights, "optimizer": by_weight(of_optimizer)}
        return {
            "last": last,
            "reference_losses": self.reference_losses,
            "recoveries_left": self.recoveries_left,
            "attempts": self.attempts,
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from a `state` of a checkpoint."""
        last = state["last"]
        if last is not None:
            like = self.model.state_dict()
            self.last = tensors(last["weights"], like), from_weights(last["optimizer"])
        self.reference_losses = dict(state["reference_losses"])
        self.recoveries_left, self.attempts = state["recoveries_left"], state["attempts"]

    def _restore(self) -> None:
        """Load the last good weights, or the initial ones, and halve the learning rate."""
        self.recoveries_left -= 1
        weights, state = self.initial if self.attempts else self.last
        self.attempts += 1
        self.model.load_state_dict(weights)
        current = self.optimizer.state_dict()
        self.optimizer.load_state_dict({**current, "state": copy.deepcopy(state)})
        for group in self.optimizer.param_groups:
            group["lr"] /= 2

    @torch.no_grad()
    def _earlier_loss(self, recompute: Callable[[], float]) -> float:
        """Return the smaller loss of the initial and the last good weights; inf if both diverge."""
        tensors = self.model.state_dict(keep_vars=True)
        current = {name: tensor.data for name, tensor in tensors.items()}
        training, losses = self.model.training, []
        try:
            for weights, _ in (self.initial, self.last):
                for name, tensor in tensors.items():  # copying in place breaks the graph
                    tensor.data = weights[name]
                losses.append(recompute())
        finally:
            for name, tensor in tensors.items():
                tensor.data = current[name]
            self.model.train(training)
        return min((loss for loss in losses if math.isfinite(loss)), default=math.inf)

    def _snapshot(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        state = self.optimizer.state_dict()["state"]
        return clone_tensors(self.model.state_dict()), {
            i: clone_tensors(values) for i, values in state.items()
        }


def clone_tensors(values: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a dict and clone its tensors; much faster than `copy.deepcopy`."""
    return {
        name: value.detach().clone() if isinstance(value, Tensor) else value
        for name, value in values.items()
    }
