"""What a model file holds: a trained model as plain data, and the look at every part of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool.blueprint import STRUCTURAL, Blueprint, Facts, Head, blueprint, complaints
from unspool.blueprint.models import ACTIVATIONS
from unspool.data.scaling import Scaler
from unspool.errors import InputError
from unspool.model_file.labels import restore_labels

PARTS = ("model", "encoder")
CLASSIFIER = "EncoderClassifier"

# What `fit` learned that is not an array; those of a classifier have more.
FITTED = (
    "part",
    "n_features",
    "table",
    "n_features_in",
    "feature_names_in",
    "max_length",
    "horizon",
    "y_ndim",
    "axes",
    "window",
    "history",
)
OF_CLASSIFIERS = ("classes", "head_history", "autoencoder")


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
        names in the module's `state_dict`, float32.
    versions : mapping of names to strings
        Of the packages that made it.
    """

    model: str
    parameters: Mapping[str, Any]
    fitted: Mapping[str, Any]
    tensors: Mapping[str, npt.NDArray[Any]]
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def of_encoder(self) -> tuple[str, Mapping[str, Any]]:
        """Class and parameters of the model whose encoder this is; its own, but in classifiers."""
        if self.model != CLASSIFIER:
            return self.model, self.parameters
        inner = self.fitted["autoencoder"]
        return inner["model"], inner["parameters"]

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
        if self.model == CLASSIFIER:
            units, activation = self.parameters["head_units"], self.parameters["head_activation"]
            classes = len(self.fitted["classes"]["values"])
            head = Head(whole.encoder.latent_dim, classes, tuple(units), activation=activation)
            return Blueprint(whole.encoder, {}, whole.horizon, head)
        return replace(whole, decoders={}) if self.fitted["part"] == "encoder" else whole

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
        known = (*STRUCTURAL, CLASSIFIER)
        _checks.raise_all(_checks.choice("model", self.model, known))
        check_fitted(self.fitted, classifier=self.model == CLASSIFIER)
        if not all(isinstance(value, str) for pair in self.versions.items() for value in pair):
            raise InputError(f"Expected names and versions of packages, got {self.versions!r}.")
        if self.model == CLASSIFIER:
            _checks.raise_all(
                *_checks.wholes("head_units", self.parameters["head_units"], 1),
                _checks.choice("head_activation", self.parameters["head_activation"], ACTIVATIONS),
            )
            restore_labels(self.fitted["classes"])
            _checks.raise_all(_checks.choice("model", self.of_encoder[0], STRUCTURAL))
        _checks.raise_all(*complaints(*self.of_encoder))
        facts = self.facts
        if facts.image_shape is not None:
            height, width, channels = facts.image_shape
            if (height * width, channels) != (facts.max_length, facts.n_features):
                raise InputError(f"Expected images of shape {facts.image_shape}, got others.")
        self._check_tensors()

    def _check_tensors(self) -> None:
        """Each of the shape that the blueprint has for it, none too many, finite numbers."""
        expected = {"scaler.shift": np.float64, "scaler.scale": np.float64}
        for name in expected:
            self._check_tensor(name, (self.fitted["n_features"],), "<f8")
        if not (self.tensors["scaler.scale"] > 0).all():
            raise InputError("Expected a positive scale for each feature, got others.")
        found = set(expected)
        for name, shape in self.blueprint.weights():  # stops at the first that is not there
            self._check_tensor(f"module.{name}", shape, "<f4")
            found.add(f"module.{name}")
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


def check_fitted(fitted: Mapping[str, Any], *, classifier: bool) -> None:
    """Look at what `fit` learned; no field too few or too many."""
    fields = {*FITTED, *(OF_CLASSIFIERS if classifier else ())}
    for name in sorted(fields ^ set(fitted)):
        missing = name in fields
        raise InputError(
            f"{'Expected a' if missing else 'Expected no'} field {name!r} in `fitted`."
        )
    names, window, axes = fitted["feature_names_in"], fitted["window"], fitted["axes"]
    _checks.raise_all(
        _checks.whole("n_features", fitted["n_features"], 1),
        _checks.whole("n_features_in", fitted["n_features_in"], 1),
        _checks.whole("max_length", fitted["max_length"], 0),
        _checks.whole("horizon", fitted["horizon"], 0),
        _checks.whole("y_ndim", fitted["y_ndim"], 1, none=True),
        _checks.truth("table", fitted["table"]),
        _checks.choice("part", fitted["part"], PARTS),
        *([] if axes is None else _checks.wholes("axes", axes, 1)),
        *([] if window is None else _checks.wholes("window", window, 1)),
    )
    if window is not None and len(window) != 2:
        raise InputError(f"Expected `window` as a size and a stride, got {window!r}.")
    if names is not None and not all(isinstance(name, str) for name in names):
        raise InputError(f"Expected the names of features to be strings, got {names!r}.")
    if names is not None and len(names) != fitted["n_features_in"]:
        raise InputError(f"Expected {fitted['n_features_in']} names of features, got {len(names)}.")
    check_history(fitted["history"])
    if classifier:
        check_history(fitted["head_history"])
        inner = fitted["autoencoder"]
        if set(inner) != {"model", "parameters", "history"}:
            raise InputError("Expected model, parameters and history in `autoencoder`.")
        check_history(inner["history"])


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
