"""How fitted estimators are saved, pickled, and restored from the contents of a model file."""

import copy
import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from math import isfinite, nan
from typing import Any, Self, TypeVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted
from torch import nn

import unspool
from unspool import _checks, model_file
from unspool._registry import CLASSIFIER, MODELS, class_of
from unspool._types import Part, names
from unspool.data.forms import InputForm
from unspool.errors import InputError, ParametersChangedWarning
from unspool.model_file import Contents
from unspool.nn import torch_settings
from unspool.nn.device import device_or_cpu, resolve_device
from unspool.nn.from_blueprint import build
from unspool.nn.standardized import weights_as_saved

T = TypeVar("T", bound="Savable")

# Parameters that PyTorch computes with as real numbers.
REAL = (
    "learning_rate",
    "weight_decay",
    "global_clipnorm",
    "kl_weight",
    "code_l1",
    "input_noise",
    "loss_weights",
    "clip",
)
INNER_MODELS = ("autoencoder", "model")  # parameters that are estimators
IGNORED_CHANGES = ("random_state", "device", "verbose", "warm_start")  # they change no fitted model


class Savable(BaseEstimator):  # type: ignore[misc]  # scikit-learn ships no types
    """An estimator that can be saved and loaded; see `unspool.model_file`."""

    _form: InputForm
    import_notes_: tuple[str, ...]  # only of a model that was imported
    _parameters: dict[str, Any]  # the parameters at `fit`; `set_params` may have changed them since

    @property
    def _name(self) -> str:
        """Name of the unspool class; a subclass may have another name."""
        return self._kind().__name__

    @classmethod
    def _kind(cls) -> type[BaseEstimator]:
        return next(one for one in cls.__mro__ if one.__name__ in (*MODELS, CLASSIFIER.name))

    def save(self, path: str | os.PathLike[str], *, part: Part = "model") -> None:
        """Write the fitted model to one safetensors file, which `unspool.load` reads.

        The file is written under a temporary name and renamed, so an older file at `path` is
        replaced as a whole or not at all. A subclass is written as the unspool class that it
        inherits from, and is loaded as that class.

        Parameters
        ----------
        path : str or path
            The model file.
        part : {"model", "encoder"}, default "model"
            Whether to write the whole model or its encoder alone, which can only encode.

        Raises
        ------
        InputError
            If `part` is another name, or if `path` cannot be written.

        Warns
        -----
        ParametersChangedWarning
            If `set_params` has changed a parameter since the fit.
        """
        model_file.write(path, self.contents(part))

    def contents(self, part: Part = "model") -> Contents:
        """Return the fitted model as plain data, as a model file contains it.

        `unspool.runtime.Model` runs it, and `unspool.interop` converts it. Its parameters are those
        that the model was fitted with.

        Parameters
        ----------
        part : {"model", "encoder"}, default "model"
            Whether to return the whole model or its encoder alone.

        Returns
        -------
        unspool.model_file.Contents
            Parameters, results of the fit, and weights.

        Raises
        ------
        InputError
            If `part` is another name.

        Warns
        -----
        ParametersChangedWarning
            If `set_params` has changed a parameter since the fit.
        """
        check_is_fitted(self)
        _checks.raise_all(_checks.choice("part", part, names(Part)))
        warn_of_changes(self._parameters, plain_parameters(self))
        return self._contents(part)

    def __getstate__(self) -> dict[str, Any]:
        """Pickle everything, with the weights on the CPU."""
        state = {**super().__getstate__()}
        if "module_" in state:
            state["module_"] = on_cpu(state["module_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        known = {*self._get_param_names(), *(["_parameters"] if "module_" in state else [])}
        if not known <= set(state):
            raise InputError(
                f"This {type(self).__name__} was pickled by another version of unspool; unpickle "
                "it with that version and call `save`, whose files all later versions read."
            )
        super().__setstate__(state)
        if "module_" in state:
            self.module_.to(device_or_cpu(self.device))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copy the model on its device, with separate weights that can be trained."""
        memo[id(self)] = copied = type(self).__new__(type(self))
        with torch_settings.training():
            copied.__dict__.update(copy.deepcopy(self.__dict__, memo))
        return copied

    def _contents(self, part: str) -> Contents:
        if not self.module_.decoders:
            part = "encoder"  # there are no decoders
        names = getattr(self, "feature_names_in_", None)
        fitted = {
            "part": part,
            "n_features": self._form.n_features,
            "table": self._form.table,
            "n_features_in": self.n_features_in_,
            "feature_names_in": None if names is None else list(names),
            "max_length": self.max_length_,
            "typical_length": self.max_length_
            if self._form.typical_length is None
            else self._form.typical_length,
            "horizon": self.horizon_,
            "y_ndim": self._y_ndim,
            "axes": self._form.axes,
            "targets": self._form.targets,
            "known": self._form.known,
            "n_responses": self._form.n_responses,
            "window": self.window_,
            "dilation": self.dilation_,
            "max_gap": self.max_gap_,
            "reading": getattr(self, "_reading", None),
            "history": plain_history(self.history_),
            "interrupted": getattr(self, "interrupted_", False),
        }
        tensors = {"scaler.shift": self.scaler_.shift, "scaler.scale": self.scaler_.scale}
        if self._form.n_responses:
            tensors["responses.shift"] = self.target_scaler_.shift
            tensors["responses.scale"] = self.target_scaler_.scale
        for name, weight in weights_as_saved(self.module_).items():
            if part == "model" or name.startswith("encoder."):
                tensors[f"module.{name}"] = weight.detach().cpu().numpy().copy()
        return Contents(self._name, self._parameters, fitted, tensors, made_by())

    @classmethod
    def _from_contents(cls, contents: Contents, device: str) -> Self:
        """Restore a fitted estimator from checked contents.

        Raises
        ------
        InputError
            For parameters that cannot be used.
        """
        return cls._restored(contents, contents.parameters, contents.fitted["history"], device)

    @classmethod
    def _restored(
        cls,
        contents: Contents,
        parameters: Mapping[str, Any],
        history: dict[str, Any],
        device: str,
    ) -> Self:
        """Return the model whose encoder `contents` holds."""
        fitted = contents.fitted
        model = with_parameters(cls, parameters, device)
        model._parameters = plain_parameters(model)
        model._form = contents.form
        model.horizon_ = fitted["horizon"]
        model._y_ndim = fitted["y_ndim"]
        model.n_features_in_ = fitted["n_features_in"]
        if fitted["feature_names_in"] is not None:
            model.feature_names_in_ = np.array(fitted["feature_names_in"], dtype=object)
        model.max_length_ = fitted["max_length"]
        model.window_ = None if fitted["window"] is None else tuple(fitted["window"])
        model.dilation_, model.max_gap_ = fitted["dilation"], fitted["max_gap"]
        if fitted["reading"] is not None:
            model._reading = dict(fitted["reading"])
        model.history_, model.interrupted_ = restored_history(history), fitted["interrupted"]
        model.scaler_ = contents.scaler
        if contents.fitted["n_responses"]:
            model._response_scaler = contents.target_scaler
        with torch.device("meta"):  # the weights come from the file
            module = build(contents.blueprint, torch.Generator(), getattr(model, "backend", "auto"))
        model._n_features_out = module.encoder.latent_dim
        weights = {k: v for k, v in contents.weights.items() if not k.startswith("head.")}
        model.module_ = with_weights(module, weights, device)
        return model


def encoder_contents(model: Savable) -> Contents:
    """Return the contents of the encoder of a fitted model alone."""
    return model._contents("encoder")


def restored_model(
    name: str,
    contents: Contents,
    parameters: Mapping[str, Any],
    history: dict[str, Any],
    device: str,
) -> Any:
    """Return the model of the class `name` whose encoder `contents` has."""
    return class_of(name, MODELS)._restored(contents, parameters, history, device)


@torch_settings.training()
def with_weights(module: nn.Module, weights: Mapping[str, Any], device: str) -> nn.Module:
    """Give a module on the "meta" device copies of `weights`."""
    tensors = {name: torch.from_numpy(array.copy()) for name, array in weights.items()}
    module.load_state_dict(tensors, assign=True)
    for weight in module.parameters():
        weight.requires_grad_()
    return module.to(resolve_device(device)).eval()


def on_cpu(module: nn.Module) -> nn.Module:
    """Return the module, or a copy with weights on the CPU if they are on another device."""
    weights = [*module.parameters(), *module.buffers()]
    if all(weight.device.type == "cpu" for weight in weights):
        return module
    moved: dict[int, Any] = {id(weight): weight.detach().cpu() for weight in weights}
    for weight in module.parameters():
        moved[id(weight)] = nn.Parameter(moved[id(weight)], weight.requires_grad)
    return copy.deepcopy(module, moved)


def made_by() -> dict[str, str]:
    """Return the versions of the packages that trained the model."""
    return {
        "unspool": unspool.__version__,
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def warn_of_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Warn of parameters that have changed since the fit."""
    present = dict(each_parameter(now))
    changes = [
        f"`{name}` was {_checks.shown(fitted)} and is now {_checks.shown(present[name])}"
        for name, fitted in each_parameter(before)
        if name in present  # a model of another class has other parameters
        and name.rpartition("__")[2] not in IGNORED_CHANGES
        and repr(_computable(name, present[name])) != repr(_computable(name, fitted))
    ]
    if changes:
        warnings.warn(
            f"The model is saved as it was fitted, but {', '.join(changes)}; call `fit` again to "
            "apply the change.",
            ParametersChangedWarning,
            stacklevel=3,
        )


def each_parameter(parameters: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield names and values; names of an inner model have its prefix, as in scikit-learn."""
    for name, value in parameters.items():
        if isinstance(value, Mapping) and name in INNER_MODELS:
            yield name, value["model"]
            for inner, one in each_parameter(value["parameters"]):
                yield f"{name}__{inner}", one
        else:
            yield name, value


@contextmanager
def python_numbers(estimator: BaseEstimator) -> Iterator[None]:
    """Replace NumPy numbers, which can overflow, by Python's in the parameters inside."""
    given = estimator.get_params(deep=False)
    vars(estimator).update({name: _computable(name, value) for name, value in given.items()})
    try:
        yield
    finally:
        vars(estimator).update(given)


def _computable(name: str, value: Any) -> Any:
    """Return a parameter that PyTorch can compute with: a Python number, a float if it is huge."""
    if name in REAL and isinstance(value, (tuple, list)):
        return [_computable(name, one) for one in value]
    value = _checks.plain(value)
    return float(value) if name in REAL and type(value) is int and value >= 2**63 else value


def plain_parameters(estimator: Savable) -> dict[str, Any]:
    """Return copies of the parameters of its unspool class, as a model file contains them.

    A random state that is not an integer becomes None. An estimator becomes its class and
    parameters; those of a fitted one are the parameters of the fit. Weights of classes become a
    list of pairs, since a label need not be text.
    """

    def plain(name: str) -> Any:
        value = unfrozen(getattr(estimator, name))
        if isinstance(value, Savable):
            fitted = value.__sklearn_is_fitted__()
            parameters = value._parameters if fitted else plain_parameters(value)
            return {"model": value._name, "parameters": parameters}
        if name == "random_state" and not is_seed(value):
            return None
        if name == "device":
            return str(value)  # it may be a torch.device
        if name == "class_weight" and isinstance(value, Mapping):
            return [list(pair) for pair in _checks.plain(dict(value)).items()]
        return value if callable(value) else _checks.plain(copy.deepcopy(value))

    return {name: plain(name) for name in estimator._kind()._get_param_names()}


def unfrozen(estimator: Any) -> Any:
    """Return the estimator inside a `FrozenEstimator`; anything else unchanged."""
    return estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator


def is_seed(value: Any) -> bool:
    """Return whether `value` is an integer that scikit-learn accepts as a seed."""
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return whole and 0 <= value < 2**32


def plain_history(history: Mapping[str, Any]) -> dict[str, Any]:
    """Return a history with None for NaN and infinity, which JSON cannot represent."""

    def plain(loss: Any) -> Any:
        return None if isinstance(loss, float) and not isfinite(loss) else loss

    return each_loss(history, plain)


def restored_history(history: Mapping[str, Any]) -> dict[str, Any]:
    """Return the history before `plain_history`, with NaN for None."""
    return each_loss(history, lambda loss: nan if loss is None else loss)


def each_loss(history: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """Return a history with `change` applied to each loss, including those of its layers."""
    found = {
        name: [change(loss) for loss in losses]
        for name, losses in history.items()
        if name not in ("best_epoch", "layers")
    }
    if "layers" in history:
        found["layers"] = [each_loss(layer, change) for layer in history["layers"]]
    return {name: found.get(name, history[name]) for name in history}  # in their order


def with_parameters(cls: type[T], parameters: Mapping[str, Any], device: str) -> T:
    """Return an estimator with the parameters of a file, after a check of each."""
    model = cls()
    known = model.get_params(deep=False)
    for name in parameters:
        if name not in known:
            raise InputError(_checks.unknown_name("parameter", name, known))
    for name in known:
        if name not in parameters:
            raise InputError(f"The parameter {name!r} is missing.")
    given = {  # JSON has no tuples
        name: tuple(value) if isinstance(value, list) else value
        for name, value in parameters.items()
    }
    if isinstance(given.get("class_weight"), tuple):  # nor keys that are not text
        with suppress(TypeError, ValueError):  # what is no list of pairs is refused below
            given["class_weight"] = dict(given["class_weight"])
    model.set_params(**given)
    model.set_params(device=device)
    seed = model.random_state
    if seed is not None and not is_seed(seed):
        raise InputError(
            f"`random_state` must be a whole number from 0 to {2**32 - 1} or None, got {seed!r}."
        )
    _checks.raise_all(*model._complaints())
    return model
