"""Recovery from divergence: return to earlier weights with a lower learning rate."""

import copy
import math
import warnings
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from unspool._logging import logger
from unspool.errors import DivergedError, UnstableTrainingWarning
from unspool.training.optimizers import Optimizer
from unspool.training.plain_state import by_weight, from_weights, tensors

LOGGER = logger("unspool.training")

DIVERGENCE_FACTOR = (
    100.0  # a loss has diverged if it is this many times the loss of earlier weights
)
MAX_RECOVERIES = 10
LARGE = 100.0  # scaled values are usually at most about 10


class Place(NamedTuple):
    """Where a loss was computed.

    Parameters
    ----------
    epoch : int
        Epoch, counted from 1.
    batch : int, optional
        Number of the batch in the epoch, counted from 1. None if it is all validation data.
    size : Callable, optional
        Returns the largest absolute value of the scaled inputs and targets there.
    """

    epoch: int
    batch: int | None = None
    size: Callable[[], float] | None = None

    def __str__(self) -> str:
        batch = "" if self.batch is None else f", batch {self.batch}"
        return f"epoch {self.epoch}{batch}"


class Evidence(NamedTuple):
    """What is known when a loss has diverged.

    Parameters
    ----------
    what : str
        What diverged: "loss", "validation loss" or "gradient".
    learning_rate : float
        Learning rate of the last step, or of the next one if there was none.
    initial : bool
        Whether the weights are the initial ones.
    largest : (str, float) or None
        Name of the parameter with the largest gradient in the last step, and its norm before
        clipping. None if there was no step.
    not_finite : str or None
        Name of the first parameter that is NaN or infinite.
    size : float or None
        Largest absolute value of the scaled inputs and targets.
    """

    what: str
    learning_rate: float
    initial: bool
    largest: tuple[str, float] | None
    not_finite: str | None
    size: float | None


def general_advice(evidence: Evidence) -> str:
    """Return what helps against most divergences."""
    if evidence.initial:
        return "Look for values too large for float32, and scale the data (`scaling`)."
    return "Lower `learning_rate`, set `global_clipnorm`, or scale the data."


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
    optimizer : Optimizer
        Its optimizer. Every recovery halves the learning rate.
    advise : callable, default `general_advice`
        Returns the end of an error message, from the evidence.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
        advise: Callable[[Evidence], str] = general_advice,
    ) -> None:
        self.model, self.optimizer, self.advise = model, optimizer, advise
        self.reference_losses: dict[str, float] = {}  # largest loss of earlier weights, by kind
        self.recoveries_left = MAX_RECOVERIES
        self.attempts = 0  # recoveries since the last optimizer step
        self.stepped = False  # whether there was a step
        self.clipped: tuple[float | Tensor, float] | None = (
            None  # norm of its gradient, and its limit
        )
        self.initial = self.last = self._snapshot()

    def keep(self) -> None:
        """Remember the current weights as the last good ones."""
        self.last = self._snapshot()

    def note_step(self, norm: float | Tensor | None, limit: float | None) -> None:
        """Remember that a step was taken, with the norm of its gradient and the limit of that."""
        self.attempts, self.stepped = 0, True
        self.clipped = None if norm is None or limit is None else (norm, limit)

    def diverged(
        self, what: str, loss: float, place: Place, recompute: Callable[[], float]
    ) -> bool:
        """Check whether `loss` has diverged; if so, restore earlier weights.

        Parameters
        ----------
        what : str
            "loss" or "validation loss". Each is compared with its own earlier values.
        loss : float
            The current loss.
        place : Place
            Where it was computed.
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
        if self.is_sound(what, loss, recompute):
            return False
        self.recover(what, loss, place)
        return True

    def is_sound(self, what: str, loss: float, recompute: Callable[[], float]) -> bool:
        """Return whether a loss has not diverged; see `diverged`."""
        known = self.reference_losses.get(what, self.reference_losses.get("loss"))
        if known is None and math.isfinite(loss):  # the first batch, before any step
            self.reference_losses[what] = known = loss
        if known is not None and loss <= DIVERGENCE_FACTOR * abs(known) + 1:  # False for NaN
            return True
        if not math.isfinite(loss):
            return False
        before = self._earlier_loss(recompute)
        self.reference_losses[what] = max(before, known or 0.0)
        return loss <= DIVERGENCE_FACTOR * abs(before) + 1

    def recover(self, what: str, value: float, place: Place) -> None:
        """Restore earlier weights and warn, or raise an error if that has not helped.

        Parameters
        ----------
        what, value
            What has diverged, and its value.
        place : Place
            Where that was found.

        Raises
        ------
        DivergedError
            If training diverges from earlier weights too, or for the eleventh time.
        """
        if self._is_initial(what) or not self.recoveries_left or self.attempts == 2:
            raise self.error(what, value, place)
        largest = self._largest_gradient()
        shown = ""
        if largest is not None:
            shown = f" (largest gradient: `{largest[0]}`, norm {largest[1]:.3g})"
        self._restore()
        message = (
            f"The {what} became {value:.3g} in {place}{shown}; training continues from earlier "
            f"weights with a learning rate of {self.optimizer.param_groups[0]['lr']:g}."
        )
        LOGGER.warning("%s", message)
        warnings.warn(message, UnstableTrainingWarning, stacklevel=5)

    def error(self, what: str, value: float, place: Place) -> DivergedError:
        """Return an error that names what has diverged, and says what may help."""
        not_finite = (n for n, one in self.model.named_parameters() if not one.isfinite().all())
        evidence = Evidence(
            what,
            self.optimizer.param_groups[0]["lr"],
            self._is_initial(what),
            self._largest_gradient(),
            next(not_finite, None),
            None if place.size is None else place.size(),
        )
        sentences = [
            f"The {what} is {value:.3g} in {place}, before the first step."
            if evidence.initial
            else f"The {what} became {value:.3g} in {place}."
        ]
        if evidence.largest is not None:
            name, norm = evidence.largest
            sentences.append(
                f"The largest gradient is that of `{name}`, with a norm of {norm:.3g}."
            )
        if evidence.not_finite is not None:
            sentences.append(f"The first weight that is not finite is `{evidence.not_finite}`.")
        if evidence.size is not None and not evidence.size < LARGE:
            sentences.append(f"The largest scaled value is {evidence.size:.3g}.")
        return DivergedError(" ".join([*sentences, self.advise(evidence)]))

    def _is_initial(self, what: str) -> bool:
        """Return whether `what` is that of the initial weights, before any step."""
        return not self.reference_losses or (what == "gradient" and not self.stepped)

    @torch.no_grad()
    def _largest_gradient(self) -> tuple[str, float] | None:
        """Return the name of the parameter with the largest gradient, and its norm."""
        norms = [
            (name, float(one.grad.norm()))
            for name, one in self.model.named_parameters()
            if one.grad is not None
        ]
        if not norms:
            return None
        for name, norm in norms:
            if not math.isfinite(norm):
                return name, norm
        name, norm = max(norms, key=itemgetter(1))
        if self.clipped is not None:
            norm *= max(1.0, float(self.clipped[0]) / self.clipped[1])
        return name, norm

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
        self.stepped = bool(self.reference_losses)

    def _restore(self) -> None:
        """Load the last good weights, or the initial ones, and halve the learning rate."""
        self.recoveries_left -= 1
        if self.attempts:  # the weights after the last epoch have diverged as well
            self.last = self.initial
        weights, state = self.last
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
