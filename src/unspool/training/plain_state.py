"""What changes in training as plain values, arrays and tensors, and back: for checkpoints."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from unspool.errors import ModelFileError
from unspool.training.optimizers import Optimizer


class StateKeeper(Protocol):
    """Where the state of a run of the training loop is kept; see `checkpoint.StageCheckpoint`."""

    @property
    def saved(self) -> Mapping[str, Any] | None:
        """The state to continue from, or None to begin."""

    def due(self) -> bool:
        """Return whether the state should be written after this batch."""

    def write(self, state: Mapping[str, Any], epochs: int) -> None:
        """Write a state of a training of `epochs` epochs."""

    def keep(self, state: Mapping[str, Any], epochs: int) -> None:
        """Copy a state of a training of `epochs` epochs, for `flush`."""

    def flush(self) -> None:
        """Write what was kept."""

    def check(self, state: Mapping[str, Any]) -> None:
        """Check that a state can be written."""

    def resumed(self, done: int, epochs: int) -> None:
        """Note that training continues after `done` of `epochs` epochs."""


def tensors(arrays: Mapping[str, Any], like: Mapping[str, Tensor] | None = None) -> dict[str, Any]:
    """Copy arrays into tensors, on the devices of tensors of the same names; keep other values."""
    like = like or {}
    return {
        name: torch.tensor(one, device=like[name].device if name in like else None)
        if hasattr(one, "dtype")
        else one
        for name, one in arrays.items()
    }


def weights_and_buffers(model: nn.Module) -> dict[str, Tensor]:
    """Return all weights and buffers of a model, including those that model files do not keep."""
    named = (*model.named_parameters(), *model.named_buffers())
    return {name: one.detach() for name, one in named}


def load_weights_and_buffers(model: nn.Module, arrays: Mapping[str, Any]) -> None:
    """Copy arrays into the weights and buffers of a model.

    Raises
    ------
    ModelFileError
        If their names or shapes are not those of the model.
    """
    present = weights_and_buffers(model)
    _check_same("weights", present, arrays)
    for name, one in tensors(arrays, present).items():
        present[name].copy_(one)


def optimizer_state(optimizer: Optimizer) -> dict[str, Any]:
    """Return the learning rates and the state of each weight."""
    state = optimizer.state_dict()
    return {
        "rates": [group["lr"] for group in state["param_groups"]],
        "weights": by_weight(state["state"]),
    }


def load_optimizer_state(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Continue with the learning rates and the state of each weight."""
    groups = [
        {**group, "lr": rate}
        for group, rate in zip(optimizer.state_dict()["param_groups"], state["rates"], strict=True)
    ]
    optimizer.load_state_dict({"state": from_weights(state["weights"]), "param_groups": groups})


def by_weight(state: Mapping[Any, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the state of an optimizer with text as keys, as a checkpoint needs it."""
    return {str(number): dict(values) for number, values in state.items()}


def from_weights(state: Mapping[str, Mapping[str, Any]]) -> dict[Any, dict[str, Any]]:
    """Return the state of an optimizer from that of a checkpoint, as tensors on the CPU."""
    return {int(number): tensors(values) for number, values in state.items()}


def _check_same(what: str, present: Mapping[str, Any], stored: Mapping[str, Any]) -> None:
    for name in _differences(present, stored):
        raise ModelFileError(
            f"The checkpoint does not fit the model: its {what} differ in {name!r}; remove the "
            "checkpoint to start anew."
        )


def _differences(present: Mapping[str, Any], stored: Mapping[str, Any]) -> Iterator[str]:
    yield from sorted(set(present) ^ set(stored))
    for name, one in present.items():
        if name in stored and tuple(one.shape) != tuple(stored[name].shape):
            yield name
