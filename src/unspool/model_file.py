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

A classifier's file holds the model whose encoder it is within its own: that model's `model`,
`parameters` and `fitted` under ``autoencoder`` in `fitted`, and its tensors, without decoders, as
``autoencoder.*``. Beside them are the labels by dtype and value (``classes`` in `fitted`) and the
weights ``head.*``. The parameter `autoencoder` is written as its class and its parameters.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.torch
import torch

import unspool
from unspool._files import check_folder, whole_or_not
from unspool.errors import ModelFileError

FORMAT_VERSION = 1


def write(
    path: Path,
    model: str,
    parameters: Mapping[str, Any],
    fitted: Mapping[str, Any],
    tensors: Mapping[str, torch.Tensor],
) -> None:
    """Write the parts of a model to `path`, whole or not at all."""
    check_folder(path)
    header = {
        "format_version": FORMAT_VERSION,
        "model": model,
        "parameters": parameters,
        "fitted": fitted,
        "versions": {
            "unspool": unspool.__version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
        },
    }
    metadata = {"unspool": json.dumps(header, default=_plain)}
    whole = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    blob = safetensors.torch.save(whole, metadata)
    with whole_or_not(path) as file:
        file.write(blob)


def read(path: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Read header and tensors of the file at `path`.

    Raises
    ------
    ModelFileError
        For a file that is missing, cut short, not a model of unspool's, or of a newer format.
    """
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


def _plain(value: Any) -> Any:
    """JSON for NumPy's numbers and arrays."""
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot be written to a model file: {value!r}")
