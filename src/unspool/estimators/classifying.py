"""The parts of an `EncoderClassifier`, and how they are saved and restored."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from unspool._registry import MODELS, class_of
from unspool.data.scaling import Scaler, moments
from unspool.data.sequences import FloatArray
from unspool.estimators.base import Model
from unspool.estimators.saving import (
    Savable,
    encoder_contents,
    plain_history,
    plain_parameters,
    restored_history,
    restored_model,
    with_parameters,
    with_weights,
)
from unspool.model_file import Contents
from unspool.model_file.labels import restore_labels, write_labels
from unspool.nn import Encoder, Head
from unspool.nn.device import resolve_device
from unspool.nn.from_blueprint import build_head
from unspool.training.batches import Batch
from unspool.training.objective import Term


class EncoderWithHead(nn.Module):
    """Logits (B, C) of sequences (B, T, F)."""

    def __init__(self, encoder: Encoder, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return logits (B, C) of sequences (B, T, F); steps from `lengths` (B,) on are ignored."""
        logits: Tensor = self.head(self.encoder(x, lengths).contiguous())
        return logits


@dataclass
class CrossEntropy:
    """The weighted cross-entropy of the logits (B, C) of a batch, and the share of correct ones."""

    logits: Callable[[Batch], Tensor]

    def __call__(self, batch: Batch) -> dict[str, Term]:
        """Return the terms "loss" and "accuracy"."""
        assert batch.y is not None
        logits = self.logits(batch)
        right, weights = logits.argmax(1) == batch.y, batch.sequence_weights
        if weights is None:
            loss = functional.cross_entropy(logits, batch.y, reduction="sum")
            return {
                "loss": Term(loss, len(batch.y)),
                "accuracy": Term(right.sum(), len(batch.y), 0),
            }
        losses = functional.cross_entropy(logits, batch.y, reduction="none")
        return {
            "loss": Term((losses * weights).sum(), len(batch.y)),
            "accuracy": Term((right * weights).sum(), len(batch.y), 0),
        }


class SavableClassifier(Savable):
    """A classifier that can be saved and loaded, with the encoder of its model alone."""

    def _contents(self, part: str) -> Contents:
        """Return the contents of the encoder's model, with the head and the labels."""
        inner = encoder_contents(self.autoencoder_)
        if part == "encoder":
            return inner
        fitted = {
            **inner.fitted,
            "history": plain_history(self.history_),
            "interrupted": getattr(self, "interrupted_", False),
            "classes": write_labels(self.classes_),
            "head_history": plain_history(self.head_history_),
            "autoencoder": {
                "model": inner.model,
                "parameters": inner.parameters,
                "history": inner.fitted["history"],
            },
        }
        head = self.module_.head.state_dict()
        weights = {
            f"module.head.{name}": weight.cpu().numpy().copy() for name, weight in head.items()
        }
        tensors = {**inner.tensors, **weights}
        return Contents(self._name, self._parameters, fitted, tensors, inner.versions)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle only the head of the module, because `autoencoder_` contains the encoder."""
        state = super().__getstate__()
        if "module_" in state:
            state["module_"] = state["module_"].head
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "module_" in state:
            encoder = state["autoencoder_"].module_.encoder
            state = {**state, "module_": EncoderWithHead(encoder, state["module_"]).eval()}
        super().__setstate__(state)

    @classmethod
    def _from_contents(cls, contents: Contents, device: str) -> Self:
        """Restore a fitted classifier from checked contents.

        The parameter `autoencoder` is restored unfitted, so `fit` would train it again.
        ``autoencoder_`` has the trained encoder.
        """
        parameters, fitted = contents.parameters, contents.fitted
        given = parameters["autoencoder"]
        if given is not None:
            given = with_parameters(class_of(given["model"], MODELS), given["parameters"], device)
        model = with_parameters(cls, {**parameters, "autoencoder": given}, device)
        model._parameters = plain_parameters(model)
        name, inner = contents.of_encoder
        history = fitted["autoencoder"]["history"]
        model.autoencoder_ = restored_model(name, contents, inner, history, device)
        model.classes_ = restore_labels(fitted["classes"])
        assert contents.blueprint.head is not None
        with torch.device("meta"):  # the weights come from the file
            head = build_head(contents.blueprint.head)
        weights = {
            name.removeprefix("head."): array
            for name, array in contents.weights.items()
            if name.startswith("head.")
        }
        encoder = model.autoencoder_.module_.encoder
        model.module_ = EncoderWithHead(encoder, with_weights(head, weights, device)).eval()
        model.history_ = restored_history(fitted["history"])
        model.interrupted_ = fitted["interrupted"]
        model.head_history_ = restored_history(fitted["head_history"])
        return model


def encoder_alone(model: Model, device: str | torch.device) -> Model:
    """Return a copy of a fitted model without its decoders, on `device`."""
    kept = {id(model.module_.decoders): nn.ModuleDict(), id(model.module_.skip): None}
    alone = copy.deepcopy(model, kept)
    alone.set_params(device=device)
    alone.module_.to(resolve_device(device)).eval()
    return alone


def code_scaler(codes: npt.NDArray[np.float32], weights: FloatArray | None = None) -> Scaler:
    """Standardise codes (N, L); those that are constant except for rounding are only shifted.

    `weights` (N,) are those of the sequences.
    """
    found = moments([codes], codes.shape[1], weights)
    varies = found.spread > 1e-5 * abs(found.mean)
    return Scaler(found.mean, np.where(varies, found.spread, 1.0))


@torch.no_grad()
def unscale(head: Head, scaler: Scaler) -> None:
    """Make a head that was trained on standardised codes return the same for the codes."""
    first = cast(nn.Linear, head[0])
    weight = first.weight.cpu().double() / torch.from_numpy(scaler.scale)
    first.bias.sub_((weight @ torch.from_numpy(scaler.shift)).to(first.bias))
    first.weight.copy_(weight)


@torch.no_grad()
def rescale(head: Head, scaler: Scaler) -> None:
    """Undo `unscale`: make a head that reads codes return the same for standardised codes."""
    first = cast(nn.Linear, head[0])
    weight = first.weight.cpu().double()
    first.bias.add_((weight @ torch.from_numpy(scaler.shift)).to(first.bias))
    first.weight.copy_(weight * torch.from_numpy(scaler.scale))
