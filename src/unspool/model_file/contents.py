"""What a model file holds: a trained model as plain data, and the look at every part of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool._losses import loss_name
from unspool._registry import CLASSIFIER, MODELS
from unspool.blueprint import Blueprint, Facts, Head, blueprint, complaints
from unspool.data.scaling import Scaler
from unspool.errors import InputError
from unspool.model_file.detector import PREFIX, check_detector
from unspool.model_file.fitted import (
    check_classifier,
    check_features,
    check_fitted,
    check_horizon,
    check_images,
    check_mapping,
)


@dataclass(frozen=True)
class Contents:
    """A trained model as plain data.

    Parameters
    ----------
    model : str
        The estimator's class.
    parameters : mapping
        Its parameters, as `get_params` gives them.
    fitted : mapping
        What `fit` learned that is not an array.
    tensors : mapping of names to arrays
        ``scaler.shift`` and ``scaler.scale`` (F,), float64; ``module.*``, the weights by their
        names in the module's `state_dict`, float32; ``detector.*``.
    versions : mapping of names to strings
        Of the packages that made it.
    detector : mapping, optional
        What an `AnomalyDetector` over this model learned that is not an array.
    """

    model: str
    parameters: Mapping[str, Any]
    fitted: Mapping[str, Any]
    tensors: Mapping[str, npt.NDArray[Any]]
    versions: Mapping[str, str] = field(default_factory=dict)
    detector: Mapping[str, Any] | None = None

    @property
    def of_encoder(self) -> tuple[str, Mapping[str, Any]]:
        """Class and parameters of the model whose encoder this is; its own, but in classifiers."""
        if self.model != CLASSIFIER.name:
            return self.model, self.parameters
        inner = self.fitted["autoencoder"]
        return inner["model"], inner["parameters"]

    @property
    def loss(self) -> str:
        """The loss of the model, by its short name."""
        return loss_name(self.parameters["loss"])

    @property
    def facts(self) -> Facts:
        """What the sizes of its parts depend on, of the data it was fitted on."""
        fitted = self.fitted
        _, parameters = self.of_encoder
        image = image_shape(parameters.get("image_shape"), fitted["axes"])
        return Facts(fitted["n_features"], fitted["max_length"], fitted["horizon"], image)

    @cached_property
    def blueprint(self) -> Blueprint:
        """What the model is made of."""
        whole = blueprint(*self.of_encoder, self.facts)
        if self.model == CLASSIFIER.name:
            units, activation = self.parameters["head_units"], self.parameters["head_activation"]
            classes = len(self.fitted["classes"]["values"])
            head = Head(whole.encoder.latent_dim, classes, tuple(units), activation=activation)
            return Blueprint(whole.encoder, {}, whole.horizon, head=head)
        return replace(whole, decoders={}, skip=None) if self.fitted["part"] == "encoder" else whole

    @property
    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """The weights by the names that the blueprint has for them."""
        prefix = "module."
        return {
            name.removeprefix(prefix): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }

    @property
    def scaler(self) -> Scaler:
        """What turns the data's units into the model's."""
        return Scaler(self.tensors["scaler.shift"], self.tensors["scaler.scale"])

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """Of the F features, where they are known."""
        names = self.fitted["feature_names_in"]
        return tuple(names) if names and len(names) == self.fitted["n_features"] else None

    def check(self) -> None:
        """Look at all of it.

        Raises
        ------
        InputError, KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError
            Where a part is missing, or is not what it should be, or parts do not fit together.
        """
        _checks.raise_all(_checks.choice("model", self.model, (*MODELS, CLASSIFIER.name)))
        check_mapping("parameters", self.parameters)
        check_fitted(self.fitted, classifier=self.model == CLASSIFIER.name)
        check_mapping("versions", self.versions)
        if not all(isinstance(value, str) for pair in self.versions.items() for value in pair):
            raise InputError(f"Expected names and versions of packages, got {self.versions!r}.")
        if self.model == CLASSIFIER.name:
            check_classifier(self.parameters, self.fitted)
        _checks.raise_all(*complaints(*self.of_encoder))
        check_horizon(*self.of_encoder, self.fitted)
        check_features(self.fitted)
        check_images(*self.of_encoder, self.fitted, self.facts)
        self._check_tensors()
        if self.detector is not None:
            check_detector(self.detector, self.tensors, self.facts, self.blueprint)

    def _check_tensors(self) -> None:
        """Each of the shape that the blueprint has for it, none too many, finite numbers."""
        found = {"scaler.shift", "scaler.scale"}
        for name in sorted(found):
            self._check_tensor(name, (self.fitted["n_features"],), "<f8")
        if not (self.tensors["scaler.scale"] > 0).all():
            raise InputError("Expected a positive scale for each feature, got others.")
        for name, shape in self.blueprint.weights():  # stops at the first that is not there
            self._check_tensor(f"module.{name}", shape, "<f4")
            found.add(f"module.{name}")
        if self.detector is not None:
            found |= {name for name in self.tensors if name.startswith(PREFIX)}
        more = sorted(set(self.tensors) - found)
        if more:
            raise InputError(f"Expected no tensor {more[0]!r} in this model; it has no such part.")

    def _check_tensor(self, name: str, shape: tuple[int, ...], dtype: str) -> None:
        tensor = self.tensors.get(name)
        if tensor is None:
            raise InputError(f"Expected a tensor {name!r} of shape {shape}, got none.")
        if tensor.shape != shape or tensor.dtype != np.dtype(dtype):
            raise InputError(
                f"Expected {np.dtype(dtype)} of shape {shape} in the tensor {name!r}, "
                f"got {tensor.dtype} of shape {tensor.shape}."
            )
        if not np.isfinite(tensor).all():
            raise InputError(f"Expected finite numbers, but the tensor {name!r} holds others.")


class Fitted(Protocol):
    """A fitted estimator or detector."""

    def contents(self) -> Contents:
        """The trained model as plain data."""


def contents_of(model: Contents | Fitted) -> Contents:
    """The contents of a fitted estimator, or `model` itself where it is that already.

    Raises
    ------
    InputError
        For anything else.
    """
    if isinstance(model, Contents):
        return model
    if not hasattr(model, "contents"):
        raise InputError(
            f"Expected a fitted estimator of unspool's or the contents of a model file, got "
            f"{type(model).__name__}; `unspool.model_file.read` gives the latter."
        )
    return model.contents()


def image_shape(given: Any, axes: Any) -> tuple[int, ...] | None:
    """(H, W, C) of images, or None for sequences.

    Parameters
    ----------
    given : (H, W) or (H, W, C), optional
        The parameter `image_shape`.
    axes : tuple of int, optional
        The shape of what `fit` was given, but for N.
    """
    if given is not None:
        return (*given, 1)[:3]
    return tuple(axes) if axes is not None and len(axes) == 3 else None
