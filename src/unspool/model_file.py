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
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors.torch import save_file

import unspool
from unspool import _checks
from unspool.data.scaling import Scaler
from unspool.errors import InputError, ModelFileError, UnspoolError
from unspool.estimators.base import BaseAutoencoder
from unspool.estimators.lstm_autoencoder import LSTMAutoencoder

FORMAT_VERSION = 1

MODELS: dict[str, type[BaseAutoencoder]] = {"LSTMAutoencoder": LSTMAutoencoder}


def save(model: BaseAutoencoder, path: Path) -> None:
    """Write a fitted model to `path`, whole or not at all."""
    if not path.parent.is_dir():
        raise InputError(f"Expected to write {path.name} into a folder, but {path.parent} is none.")
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
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(handle)
    try:
        save_file(tensors, temporary, {"unspool": json.dumps(header, default=_plain)})
        os.chmod(temporary, 0o666 & ~_umask())  # mkstemp makes files that only their owner reads
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


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
            f"{path} is a safetensors file, but not a model of unspool's: its header lacks them."
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
    from unspool.estimators.base import resolve_device

    if header["model"] not in MODELS:
        raise InputError(_checks.unknown_name("model", header["model"], MODELS))
    model = MODELS[header["model"]]()
    known = model.get_params(deep=False)
    for name in header["parameters"]:
        if name not in known:
            raise InputError(_checks.unknown_name("parameter", name, known))
    model.set_params(**header["parameters"])
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
    for name, tensor in tensors.items():
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
    model.window_ = None if fitted["window"] is None else tuple(fitted["window"])
    model.history_ = fitted["history"]
    model.scaler_ = Scaler(shift, scale)
    with torch.device("meta"):  # shapes are compared before any memory is asked for
        module = model._build(n_features, torch.Generator())
    module.load_state_dict(
        {name.removeprefix("module."): tensor for name, tensor in tensors.items()}, assign=True
    )
    model.module_ = module.to(resolve_device(device)).eval()
    return model


def _plain(value: Any) -> Any:
    """JSON for NumPy's numbers and arrays."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be written to a model file: {value!r}")


def _umask() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return umask
