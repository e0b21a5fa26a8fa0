"""Training that starts from a trained model: `warm_start`, `partial_fit` and `fit(initial=...)`.

The start is a `Contents`, whether it is the estimator itself, another one or a file. Its sizes and
its scaling are kept, because its weights depend on them.
"""

import os
from collections.abc import Iterable, Mapping
from math import nan
from typing import Any

import numpy.typing as npt
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from unspool import _checks, model_file
from unspool._registry import CLASSIFIER, DETECTOR
from unspool.blueprint import blueprint, definition
from unspool.data.forms import image_shape_of
from unspool.errors import InputError
from unspool.estimators.saving import Savable
from unspool.model_file import Contents
from unspool.nn.encoder import Encoder
from unspool.nn.standardized import Standardized

# What to do instead, by what asked to start from a trained model.
ADVICE = {
    "initial": "set the same parameters, or leave `initial` out",
    "warm_start": "set the same parameters, or set warm_start=False",
    "partial_fit": "set the same parameters, or call `fit`, which begins with new weights",
}


def read_start(initial: Any) -> Contents:
    """Return the contents of the model to start from: a fitted estimator or a model file.

    Raises
    ------
    InputError
        If it is neither, or has no decoders.
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    if isinstance(initial, (str, os.PathLike)):
        contents = model_file.read(initial)
    elif type(initial).__name__ == DETECTOR.name and hasattr(initial, "model_"):
        return read_start(initial.model_)
    elif isinstance(initial, Savable):
        check_is_fitted(initial)
        contents = initial._contents("model")
    else:
        raise InputError(
            "`initial` must be a fitted unspool model or the path of a model file, got "
            f"{_checks.shown(initial)}."
        )
    if contents.fitted["part"] == "encoder" and contents.model != CLASSIFIER.name:
        raise InputError(
            "The model to start from has an encoder alone, and no decoders; save the whole model, "
            "with part='model'."
        )
    return contents


def check_same_structure(
    model: str, parameters: Mapping[str, Any], horizon: int, start: Contents, how: str
) -> None:
    """Check that a model has the layers of the one it starts from.

    Parameters
    ----------
    model : str
        Class of the model that is fitted.
    parameters : mapping
        Its parameters.
    horizon : int
        Number of steps that it forecasts.
    start : Contents
    how : str
        What asked to start from there, a key of `ADVICE`.
    """
    whose = "`initial`" if how == "initial" else "the model after the last fit"
    if start.model == CLASSIFIER.name:
        raise InputError(
            f"A {model} cannot start from an EncoderClassifier, which has no decoders; give the "
            "autoencoder whose encoder it has."
        )
    facts, differences = start.facts, []
    if horizon != facts.horizon:
        differences.append(f"`horizon` is {horizon}, but {facts.horizon} there")
    shape = image_shape_of(parameters.get("image_shape"), start.fitted["axes"])
    if shape != facts.image_shape:
        differences.append(f"`image_shape` is {shape}, but {facts.image_shape} there")
    if not differences:
        ours = blueprint(model, parameters, facts)
        theirs = blueprint(start.model, start.parameters, facts)
        if ours == theirs:
            return
        other_class = model != start.model and type(ours.encoder) is not type(theirs.encoder)
        for name in () if other_class else definition(model).structure:
            value, other = parameters[name], start.parameters.get(name)
            if name in start.parameters and plain(value) != plain(other):
                differences.append(
                    f"`{name}` is {_checks.shown(value)}, but {_checks.shown(other)} there"
                )
    if not differences:
        differences.append(f"this is a {model}, but that is a {start.model}")
    raise InputError(
        f"The model has other layers than {whose}, from which it starts: "
        f"{', '.join(differences)}; {ADVICE[how]}."
    )


def plain(value: Any) -> Any:
    """Return a parameter with lists in place of tuples, as a file has them."""
    return list(map(plain, value)) if isinstance(value, (list, tuple)) else value


def load_weights(module: nn.Module, weights: Mapping[str, npt.NDArray[Any]]) -> None:
    """Copy weights into a module that has the same ones."""
    module.load_state_dict({name: torch.tensor(one) for name, one in weights.items()})


def resume(
    encoder: Encoder,
    kept: Mapping[str, tuple[Tensor, Tensor]],
    sample: Iterable[tuple[Tensor, Tensor | None]],
) -> None:
    """Standardise the inputs of the layers to the code for more training; codes do not change.

    Parameters
    ----------
    encoder : Encoder
    kept : mapping of str to (shift, scale)
        Standardisations of the calls before, by the paths of the layers, to which the state of the
        optimizer belongs.
    sample : iterable of (tensor (B, T, F), int tensor (B,) or None)
        Training sequences; used if nothing was kept.
    """
    if not kept:
        encoder.resume_training(sample, keep_constant=True)
        return
    for name, (shift, scale) in kept.items():
        layer = encoder.get_submodule(name)
        assert isinstance(layer, Standardized)
        if layer.weight.requires_grad:
            layer.restore(shift, scale)


def standardizations(module: nn.Module) -> dict[str, tuple[Tensor, Tensor]]:
    """Return shift and scale of the layers that are being trained on standardised inputs."""
    return {
        name: (layer.shift.cpu(), layer.scale.cpu())
        for name, layer in module.named_modules()
        if isinstance(layer, Standardized) and layer.shift is not None and layer.scale is not None
    }


def continued(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """Append a history to that of earlier epochs; where one of them lacks a value, it is NaN.

    Examples
    --------
    >>> before = {"loss": [3.0, 2.0], "val_loss": [4.0, 3.0], "best_epoch": 1}
    >>> continued(before, {"loss": [1.0], "best_epoch": 0})
    {'loss': [3.0, 2.0, 1.0], 'val_loss': [4.0, 3.0, nan], 'best_epoch': 2}
    """
    first, second = len(before["loss"]), len(after["loss"])
    joined: dict[str, Any] = {}
    for name in {**before, **after}:
        if name not in ("best_epoch", "layers"):
            joined[name] = [
                *before.get(name, [nan] * first),
                *after.get(name, [nan] * second),
            ]
    joined["best_epoch"] = first + after["best_epoch"]
    if "layers" in after:
        layers = before.get("layers", [])
        if len(layers) == len(after["layers"]):
            pairs = zip(layers, after["layers"], strict=True)
            joined["layers"] = [continued(*pair) for pair in pairs]
        else:
            joined["layers"] = after["layers"]
    return joined
