"""The model file: one safetensors file, tensors and a JSON header, never a pickle.

The header's metadata holds one entry, ``unspool``, a JSON object:

================== ===========================================================================
`format_version`   1; a file of a newer version is refused, one of an older kept readable
`model`            the estimator's class
`parameters`       its parameters, as `get_params` gives them (a `random_state` that is not a
                   number is left out)
`fitted`           what `fit` learned that is not an array: features, window, history
`versions`         of the packages that made it
================== ===========================================================================

Tensors: ``scaler.shift`` and ``scaler.scale`` (F,), float64; ``module.*``, the weights by their
names in the module's `state_dict`.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch

import unspool
from unspool import _checks
from unspool.data.scaling import Scaler
from unspool.data.write import check_folder, whole_or_not
from unspool.errors import InputError, ModelFileError, UnspoolError
from unspool.estimators.base import BaseAutoencoder, resolve_device
from unspool.estimators.lstm_autoencoder import LSTMAutoencoder

FORMAT_VERSION = 1

MODELS: dict[str, type[BaseAutoencoder]] = {"LSTMAutoencoder": LSTMAutoencoder}


def save(model: BaseAutoencoder, path: Path) -> None:
    """Write a fitted model to `path`, whole or not at all."""
    check_folder(path)
    parameters = model.get_params(deep=False)
    if not isinstance(parameters["random_state"], (int, np.integer, type(None))):
        parameters["random_state"] = None
    names = getattr(model, "feature_names_in_", None)
    header = {
        "format_version": FORMAT_VERSION,
        "model": type(model).__name__,
        "parameters": parameters,
        "fitted": {
            "n_features": model._n_features,
            "table": model._table,
            "n_features_in": model.n_features_in_,
            "feature_names_in": None if names is None else list(names),
            "max_length": model.max_length_,
            "window": model.window_,
            "history": model.history_,
        },
        "versions": {
            "unspool": unspool.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }
    tensors = {
        "scaler.shift": torch.from_numpy(model.scaler_.shift),
        "scaler.scale": torch.from_numpy(model.scaler_.scale),
    }
    for name, weight in model.module_.state_dict().items():
        tensors[f"module.{name}"] = weight.detach().cpu().contiguous()
    blob = safetensors.torch.save(tensors, {"unspool": json.dumps(header, default=_plain)})
    with whole_or_not(path) as file:
        file.write(blob)


def load(path: str | os.PathLike[str], *, device: str = "auto") -> BaseAutoencoder:
    """Read a model that `save` wrote.

    Parameters
    ----------
    path : path of the file
    device : str, default "auto"
        Where the model shall run; it becomes the model's parameter `device`.

    Returns
    -------
    The fitted estimator, of the class that was saved.

    Raises
    ------
    ModelFileError
        For a file that is missing, cut short, not a model of unspool's, of a newer format, or
        whose parts do not fit together.
    """
    path = Path(path)
    header, tensors = _read(path)
    try:
        return _restore(header, tensors, device)
    except UnspoolError as error:
        raise ModelFileError(f"{path} does not hold a usable model: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ModelFileError(
            f"{path} does not hold a usable model ({type(error).__name__}: {reason}); "
            "train and save it again."
        ) from None


def _read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Header and tensors of the file."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ModelFileError(f"Expected a model file, but {path} {what}.")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError) as error:
        raise ModelFileError(
            f"{path} is not a model file, or is cut short or damaged ({error}); models are "
            "written by `save` and by `unspool fit`."
        ) from None
    try:
        header = json.loads(metadata["unspool"])
        version = header["format_version"]
    except (KeyError, TypeError, ValueError, RecursionError):
        raise ModelFileError(
            f"{path} is a safetensors file, but not a model of unspool's: "
            "it has no readable header of ours."
        ) from None
    if version != FORMAT_VERSION:
        made_by = header.get("versions", {}).get("unspool", "unknown")
        raise ModelFileError(
            f"{path} has format version {version!r} (made by unspool {made_by}), this unspool "
            f"{unspool.__version__} reads {FORMAT_VERSION}; install a newer one."
        )
    return header, tensors


def _restore(
    header: dict[str, Any], tensors: dict[str, torch.Tensor], device: str
) -> BaseAutoencoder:
    if header["model"] not in MODELS:
        raise InputError(_checks.unknown_name("model", header["model"], MODELS))
    model = MODELS[header["model"]]()
    known = model.get_params(deep=False)
    for name in header["parameters"]:
        if name not in known:
            raise InputError(_checks.unknown_name("parameter", name, known))
    given = {  # JSON has no tuples
        name: tuple(value) if isinstance(value, list) else value
        for name, value in header["parameters"].items()
    }
    model.set_params(**given)
    model.set_params(device=device)
    _checks.raise_all(*model._complaints())

    fitted = header["fitted"]
    n_features = fitted["n_features"]
    _checks.raise_all(
        _checks.whole("n_features", n_features, 1),
        _checks.whole("n_features_in", fitted["n_features_in"], 1),
        _checks.whole("max_length", fitted["max_length"], 0),
        _checks.truth("table", fitted["table"]),
    )
    _check_history(fitted["history"])
    for name, tensor in tensors.items():
        expected = torch.float64 if name.startswith("scaler.") else torch.float32
        if tensor.dtype != expected:
            raise InputError(f"Expected {expected} in the tensor {name!r}, got {tensor.dtype}.")
        if not torch.isfinite(tensor).all():
            raise InputError(f"Expected finite numbers, but the tensor {name!r} holds others.")
    shift, scale = tensors.pop("scaler.shift").numpy(), tensors.pop("scaler.scale").numpy()
    if shift.shape != (n_features,) or scale.shape != (n_features,) or not (scale > 0).all():
        raise InputError(f"Expected a positive scale for each of {n_features} features.")

    model._n_features, model._table = n_features, fitted["table"]
    model._n_features_out = model.latent_dim
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
    with torch.device("meta"):  # shapes are compared before any memory is asked for
        module = model._build(n_features, torch.Generator())
    module.load_state_dict(
        {name.removeprefix("module."): tensor for name, tensor in tensors.items()}, assign=True
    )
    model.module_ = module.to(resolve_device(device)).eval()
    return model


def _check_history(history: Any) -> None:
    """Losses by epoch, and an epoch among them that was best."""
    losses = [history["loss"], history.get("val_loss", history["loss"])]
    epochs = len(losses[0])
    if not all(isinstance(loss, float) for series in losses for loss in series) or epochs == 0:
        raise InputError("Expected the history to be lists of losses, one for every epoch.")
    if len(losses[1]) != epochs or history["best_epoch"] not in range(epochs):
        raise InputError(f"Expected a history of {epochs} epochs with the best one among them.")


def _plain(value: Any) -> Any:
    """JSON for NumPy's numbers and arrays."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be written to a model file: {value!r}")
