"""How a fitted estimator becomes the parts of a model file, and is put together from them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from unspool import _checks, model_file
from unspool.data.scaling import Scaler
from unspool.errors import InputError
from unspool.nn.device import resolve_device

PARTS = ("model", "encoder")

T = TypeVar("T", bound="Savable")


class Parts(NamedTuple):
    """What a model file holds, see `unspool.model_file`."""

    model: str
    parameters: dict[str, Any]
    fitted: dict[str, Any]
    tensors: dict[str, torch.Tensor]


class Savable(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """A fitted estimator of ours that goes to a file and comes back; see `unspool.model_file`."""

    def save(self, path: str | os.PathLike[str], *, part: str = "model") -> None:
        """Write the model to one safetensors file; `unspool.load` reads it back.

        The file is written under a temporary name and renamed, so that an older one at `path`
        is replaced whole or not at all.

        Parameters
        ----------
        path : path of the file
        part : {"model", "encoder"}, default "model"
            The encoder alone makes codes and nothing else; its file holds no decoder.
        """
        check_is_fitted(self)
        _checks.raise_all(_checks.choice("part", part, PARTS))
        model_file.write(Path(path), *self._parts(part))

    def _parts(self, part: str) -> Parts:
        """What a file holds of the model, or of its encoder alone."""
        if not self.module_.decoders:
            part = "encoder"  # all there is
        names = getattr(self, "feature_names_in_", None)
        fitted = {
            **self._remembered(),
            "part": part,
            "n_features": self._n_features,
            "table": self._table,
            "n_features_in": self.n_features_in_,
            "feature_names_in": None if names is None else list(names),
            "max_length": self.max_length_,
            "horizon": self.horizon_,
            "y_ndim": self._y_ndim,
            "window": self.window_,
            "history": self.history_,
        }
        tensors = {
            "scaler.shift": torch.from_numpy(self.scaler_.shift),
            "scaler.scale": torch.from_numpy(self.scaler_.scale),
        }
        for name, weight in self.module_.state_dict().items():
            if part == "encoder" and name.startswith("decoders."):
                continue
            tensors[f"module.{name}"] = weight
        return Parts(type(self).__name__, plain_parameters(self), fitted, tensors)

    def _remembered(self) -> dict[str, Any]:
        """What this kind of model has to remember beside what all have, as JSON can hold it."""
        return {}

    def _recall(self, fitted: Mapping[str, Any]) -> None:
        """Take back what `_remembered` gave, after a look at it."""

    @classmethod
    def from_parts(
        cls,
        parameters: Mapping[str, Any],
        fitted: Mapping[str, Any],
        tensors: dict[str, torch.Tensor],
        device: str,
    ) -> Self:
        """Put a fitted estimator together from the parts of a model file, each looked at.

        Raises
        ------
        InputError, KeyError, TypeError, ValueError, AttributeError, RuntimeError
            Where parts are missing or do not fit together.
        """
        model = with_parameters(cls, parameters, device)
        n_features = fitted["n_features"]
        _checks.raise_all(
            _checks.whole("n_features", n_features, 1),
            _checks.whole("n_features_in", fitted["n_features_in"], 1),
            _checks.whole("max_length", fitted["max_length"], 0),
            _checks.whole("horizon", fitted["horizon"], 0),
            _checks.whole("y_ndim", fitted["y_ndim"], 1, none=True),
            _checks.truth("table", fitted["table"]),
            _checks.choice("part", fitted["part"], PARTS),
        )
        check_history(fitted["history"])
        check_tensors(tensors)
        shift, scale = tensors.pop("scaler.shift").numpy(), tensors.pop("scaler.scale").numpy()
        if shift.shape != (n_features,) or scale.shape != (n_features,) or not (scale > 0).all():
            raise InputError(f"Expected a positive scale for each of {n_features} features.")

        model._n_features, model._table = n_features, fitted["table"]
        model.horizon_ = fitted["horizon"]
        model._y_ndim = fitted["y_ndim"]
        model.n_features_in_ = fitted["n_features_in"]
        if fitted["feature_names_in"] is not None:
            model.feature_names_in_ = np.array(fitted["feature_names_in"], dtype=object)
        model.max_length_ = fitted["max_length"]
        if fitted["window"] is not None:
            size, stride = fitted["window"]
            _checks.raise_all(_checks.whole("window", size, 1), _checks.whole("stride", stride, 1))
        model.window_ = None if fitted["window"] is None else (size, stride)
        model.history_ = fitted["history"]
        model.scaler_ = Scaler(shift, scale)
        model._recall(fitted)
        with torch.device("meta"):  # shapes are compared before any memory is asked for
            module = model._build(torch.Generator())
            if fitted["part"] == "encoder":
                module.decoders = torch.nn.ModuleDict()
        model._n_features_out = module.encoder.latent_dim
        module.load_state_dict(
            {name.removeprefix("module."): tensor for name, tensor in tensors.items()}, assign=True
        )
        model.module_ = module.to(resolve_device(device)).eval()
        return model


def plain_parameters(estimator: BaseEstimator) -> dict[str, Any]:
    """Its parameters, without a random state that is no number."""
    parameters: dict[str, Any] = estimator.get_params(deep=False)
    if not isinstance(parameters["random_state"], (int, np.integer, type(None))):
        parameters["random_state"] = None
    return parameters


def with_parameters(cls: type[T], parameters: Mapping[str, Any], device: str) -> T:
    """An estimator with parameters that come from a file, each looked at."""
    model = cls()
    known = model.get_params(deep=False)
    for name in parameters:
        if name not in known:
            raise InputError(_checks.unknown_name("parameter", name, known))
    given = {  # JSON has no tuples
        name: tuple(value) if isinstance(value, list) else value
        for name, value in parameters.items()
    }
    model.set_params(**given)
    model.set_params(device=device)
    _checks.raise_all(*model._complaints())
    return model


def check_tensors(tensors: Mapping[str, torch.Tensor]) -> None:
    """Finite numbers; float64 in a scaler, float32 in weights."""
    for name, tensor in tensors.items():
        expected = torch.float64 if name.startswith("scaler.") else torch.float32
        if tensor.dtype != expected:
            raise InputError(f"Expected {expected} in the tensor {name!r}, got {tensor.dtype}.")
        if not torch.isfinite(tensor).all():
            raise InputError(f"Expected finite numbers, but the tensor {name!r} holds others.")


def check_history(history: Any) -> None:
    """Losses by epoch, and an epoch among them that was best."""
    epochs = len(history["loss"])
    for layer in history.get("layers", ()):
        check_history(layer)
    losses = [s for name, s in history.items() if name not in ("best_epoch", "layers")]
    if not all(isinstance(loss, float) for series in losses for loss in series) or epochs == 0:
        raise InputError("Expected the history to be lists of losses, one for every epoch.")
    if any(len(s) != epochs for s in losses) or history["best_epoch"] not in range(epochs):
        raise InputError(f"Expected a history of {epochs} epochs with the best one among them.")
