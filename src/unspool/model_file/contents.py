"""A trained model as plain data, and the checks of every part of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from unspool import _checks
from unspool._loss_parameter import Loss, read_loss
from unspool._registry import CLASSIFIER, MODELS
from unspool._types import NormalizationName
from unspool.blueprint import Blueprint, Facts, Head, blueprint, complaints
from unspool.data.forms import InputForm, image_shape_of
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
    check_roles,
)


@dataclass(frozen=True)
class Contents:
    """A trained model as plain data: what a model file holds.

    `estimator.contents()` returns it for a fitted estimator or detector, and `read` for a file.
    `unspool.runtime.Model` runs it without PyTorch, and the functions of `unspool.interop` convert
    it. docs/model-file.md lists every field and tensor.

    Parameters
    ----------
    model : str
        Class name of the estimator, such as "LSTMAutoencoder".
    parameters : mapping of str to object
        Parameters of the estimator, as `get_params` returns them.
    fitted : mapping of str to object
        What `fit` learned, except for arrays: number of features, longest sequence, history of
        the losses and so on.
    tensors : mapping of str to ndarray
        The arrays by name: ``scaler.shift`` and ``scaler.scale``, float64 of shape (F,);
        ``module.*``, the weights by their names in the PyTorch module's `state_dict`, float32; and
        ``detector.*`` if there is a detector.
    versions : mapping of str to str, default {}
        Versions of the packages that trained the model, by package. Nothing depends on them.
    detector : mapping of str to object or None, default None
        What an `AnomalyDetector` over this model learned, except for arrays.

    Attributes
    ----------
    blueprint : unspool.blueprint.Blueprint
        Layers and sizes of the model.
    facts : unspool.blueprint.Facts
        Sizes that the model took from its training data.
    feature_names : tuple of str or None
        Names of the F features.
    form : unspool.data.forms.InputForm
        Form of the data that the model was fitted on.
    loss : str, LossByFeature or LossFunction
        The loss: a short name such as "mse", a loss by feature, or a function by its name.
    of_encoder : tuple of (str, mapping)
        Class name and parameters of the model that the encoder belongs to.
    scaler : unspool.data.scaling.Scaler
        Conversion between the units of the data and those of the model.
    target_scaler : unspool.data.scaling.Scaler
        The same for what the model writes: the targets, or the quantities of its `y`.
    target_names : tuple of str or None
        Names of the features that the model writes.
    weights : dict of str to ndarray
        Weights by their names in the blueprint.

    See Also
    --------
    read : Read a model file.
    write : Write a model file.
    unspool.runtime.Model : Run a model with NumPy.

    Examples
    --------
    >>> import numpy as np
    >>> from unspool import DenseAutoencoder
    >>> X = np.sin(np.arange(12) / 3 + np.arange(50)[:, None])
    >>> model = DenseAutoencoder(2, hidden_units=(4,), epochs=2, verbose=0, random_state=0).fit(X)
    >>> contents = model.contents()
    >>> contents.model
    'DenseAutoencoder'
    >>> contents.weights["encoder.layers.0.weight"].shape
    (4, 12)
    """

    model: str
    parameters: Mapping[str, Any]
    fitted: Mapping[str, Any]
    tensors: Mapping[str, npt.NDArray[Any]]
    versions: Mapping[str, str] = field(default_factory=dict)
    detector: Mapping[str, Any] | None = None

    @property
    def of_encoder(self) -> tuple[str, Mapping[str, Any]]:
        """Class name and parameters of the model that the encoder belongs to.

        For an `EncoderClassifier` this is the autoencoder it was given, otherwise the model.
        """
        if self.model != CLASSIFIER.name:
            return self.model, self.parameters
        inner = self.fitted["autoencoder"]
        return inner["model"], inner["parameters"]

    @property
    def loss(self) -> Loss:
        """The loss of the model: a short name, a loss by feature, or a function by its name."""
        form = self.form
        return read_loss(self.parameters["loss"], form.n_features, form.feature_names, form.targets)

    @property
    def form(self) -> InputForm:
        """Form of the data that the model was fitted on."""
        fitted = self.fitted
        model, parameters = self.of_encoder
        names, axes = fitted["feature_names_in"], fitted["axes"]
        return InputForm(
            model,
            MODELS[model].reads,
            fitted["table"],
            fitted["n_features"],
            fitted["max_length"],
            None if names is None else tuple(names),
            image_shape_of(parameters.get("image_shape"), axes),
            None if axes is None else tuple(axes),
            fitted["horizon"] if fitted["y_ndim"] is None else 0,
            parameters["missing"],
            None if fitted["targets"] is None else tuple(fitted["targets"]),
            tuple(fitted["known"]),
            fitted["n_responses"],
            fitted["typical_length"],
        )

    @property
    def facts(self) -> Facts:
        """Sizes that the model took from its training data: features, steps, horizon, image."""
        form = self.form
        return Facts(
            form.n_features,
            form.max_length,
            self.fitted["horizon"],
            form.image_shape,
            form.feature_names,
            form.targets,
            form.known,
            form.n_responses,
            form.typical_length,
        )

    @cached_property
    def blueprint(self) -> Blueprint:
        """Layers and sizes of the model, from which its modules are built."""
        whole = blueprint(*self.of_encoder, self.facts)
        if self.model == CLASSIFIER.name:
            units, activation = self.parameters["head_units"], self.parameters["head_activation"]
            classes = len(self.fitted["classes"]["values"])
            head = Head(whole.encoder.latent_dim, classes, tuple(units), activation=activation)
            return Blueprint(whole.encoder, {}, whole.horizon, head=head)
        return replace(whole, decoders={}, skip=None) if self.fitted["part"] == "encoder" else whole

    @property
    def weights(self) -> dict[str, npt.NDArray[np.float32]]:
        """Weights by their names in the blueprint: the tensors without the prefix ``module.``."""
        prefix = "module."
        return {
            name.removeprefix(prefix): tensor
            for name, tensor in self.tensors.items()
            if name.startswith(prefix)
        }

    @property
    def scaler(self) -> Scaler:
        """Conversion between the units of the data and those of the model."""
        model, parameters = self.of_encoder
        normalization: NormalizationName
        normalization = "none" if MODELS[model].learns_horizon else parameters["normalization"]
        return Scaler(
            self.tensors["scaler.shift"],
            self.tensors["scaler.scale"],
            parameters["clip"],
            normalization,
            parameters["missing"] == "mask",
        )

    @property
    def target_scaler(self) -> Scaler:
        """Scaling of what the model writes: of the targets, or of quantities of its `y`."""
        if self.fitted["n_responses"]:
            return Scaler(self.tensors["responses.shift"], self.tensors["responses.scale"])
        return self.form.scaler_of_targets(self.scaler)

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """Names of the F features, or None if they are unknown."""
        return self.form.feature_names

    @property
    def target_names(self) -> tuple[str, ...] | None:
        """Names of the features that the model writes, or None if they are unknown."""
        return self.form.target_names

    def check(self) -> None:
        """Check every part, and that the parts fit together.

        `read` and `write` call it and turn all of these errors into one sentence.

        Raises
        ------
        InputError
            If a value is out of its range, a tensor is missing, superfluous or of another shape
            or dtype, or two parts contradict each other.
        KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError
            If a field is missing or has another type than expected.
        """
        _checks.raise_all(_checks.choice("model", self.model, (*MODELS, CLASSIFIER.name)))
        check_mapping("parameters", self.parameters)
        check_fitted(self.fitted, classifier=self.model == CLASSIFIER.name)
        check_mapping("versions", self.versions)
        if not all(isinstance(value, str) for pair in self.versions.items() for value in pair):
            raise InputError(
                f"Expected `versions` to map names of packages to versions, got {self.versions!r}."
            )
        if self.model == CLASSIFIER.name:
            check_classifier(self.parameters, self.fitted)
        _checks.raise_all(*complaints(*self.of_encoder))
        check_horizon(*self.of_encoder, self.fitted)
        check_features(self.fitted)
        check_roles(*self.of_encoder, self.fitted)
        check_images(*self.of_encoder, self.fitted, self.facts)
        self._check_tensors()
        if self.detector is not None:
            check_detector(self.detector, self.tensors, self.facts, self.blueprint)

    def _check_tensors(self) -> None:
        """Check that exactly the tensors of the blueprint exist, with their shapes, all finite."""
        known = set()
        scalings = {"scaler": self.fitted["n_features"], "responses": self.fitted["n_responses"]}
        for prefix, count in scalings.items():
            if not count:
                continue
            for name in (f"{prefix}.scale", f"{prefix}.shift"):
                self._check_tensor(name, (count,), "<f8")
                known.add(name)
            if not (self.tensors[f"{prefix}.scale"] > 0).all():
                raise InputError(f"Expected positive numbers in the tensor '{prefix}.scale'.")
        for name, shape in self.blueprint.weights():  # stops at the first one that is missing
            self._check_tensor(f"module.{name}", shape, "<f4")
            known.add(f"module.{name}")
        if self.detector is not None:
            known |= {name for name in self.tensors if name.startswith(PREFIX)}
        unknown = sorted(set(self.tensors) - known)
        if unknown:
            raise InputError(f"Unknown tensor {unknown[0]!r}: {self.model} has no such part.")

    def _check_tensor(self, name: str, shape: tuple[int, ...], dtype: str) -> None:
        tensor = self.tensors.get(name)
        if tensor is None:
            raise InputError(f"The tensor {name!r} of shape {shape} is missing.")
        if tensor.shape != shape or tensor.dtype != np.dtype(dtype):
            raise InputError(
                f"Expected {np.dtype(dtype)} of shape {shape} in the tensor {name!r}, "
                f"got {tensor.dtype} of shape {tensor.shape}."
            )
        if not np.isfinite(tensor).all():
            raise InputError(f"The tensor {name!r} contains NaN or infinity.")


class Fitted(Protocol):
    """Protocol of fitted estimators and detectors: any object with a method `contents`.

    The functions of `unspool.interop` accept such an object or its `Contents`.
    """

    def contents(self) -> Contents:
        """Return the trained model as plain data.

        Returns
        -------
        Contents
            Parameters, fitted values and weights.
        """


def contents_of(model: Contents | Fitted) -> Contents:
    """Return the contents of a fitted estimator, or `model` if it is a `Contents`.

    Raises
    ------
    InputError
        If `model` is neither.
    """
    if isinstance(model, Contents):
        return model
    if not hasattr(model, "contents"):
        raise InputError(
            f"Expected a fitted unspool estimator or its contents, got {type(model).__name__}; "
            "`unspool.model_file.read` returns the contents of a file."
        )
    return model.contents()
