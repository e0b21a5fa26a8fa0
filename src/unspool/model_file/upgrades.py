"""Upgrades from each format version to the next; see "Versions" in docs/model-file.md."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

# Changes header and tensors of a file in place, so that they follow the next version.
Upgrade = Callable[[dict[str, Any], dict[str, npt.NDArray[Any]]], None]


def to_2(header: dict[str, Any], tensors: dict[str, npt.NDArray[np.floating[Any]]]) -> None:
    """Add the parameters of version 2, with values that describe the models of version 1.

    In version 1, validation used all held-out sequences, the learning rate was constant, codes
    were final states, LSTMs read one step at a time, forecasts depended on the code only, and no
    file held an anomaly detector.
    """
    header["detector"] = None
    if header["model"] == "EncoderClassifier":
        header["parameters"]["learning_rate_schedule"] = "constant"
    for model in _models(header):
        model["parameters"]["validation_steps"] = None
        model["parameters"]["learning_rate_schedule"] = "constant"
        if model["model"] in ("LSTMAutoencoder", "LSTMForecaster"):
            model["parameters"]["pooling"] = "last"
            model["parameters"]["patch_size"] = 1
        if model["model"] == "LSTMAutoencoder":
            model["parameters"] |= {"n_kernels": 0, "mask_length": 1, "contrastive_weight": 0.0}
        if model["model"] == "LSTMForecaster":
            model["parameters"] |= {"normalization": "none", "linear_steps": 0, "dropout": 0.0}
            model["parameters"]["quantiles"] = []


def _models(header: dict[str, Any]) -> list[dict[str, Any]]:
    """Return `model` and `parameters` of every model in a file except the classifier."""
    if header["model"] != "EncoderClassifier":
        return [header]
    parameter, fitted = header["parameters"]["autoencoder"], header["fitted"]["autoencoder"]
    return [model for model in (parameter, fitted) if model is not None]


def add_roles(header: dict[str, Any]) -> None:
    """Add what files of version 2 lack that were written before models had targets.

    The header need not be checked before, as for `rename_backends`.
    """
    parameters, model = header.get("parameters"), header.get("model")
    if isinstance(parameters, dict) and isinstance(model, str):
        if model in ("LSTMAutoencoder", "LSTMForecaster", "DenseAutoencoder", "ConvAutoencoder"):
            parameters.setdefault("targets", None)
        if model in ("LSTMAutoencoder", "LSTMForecaster"):
            parameters.setdefault("known", [])
    fitted = header.get("fitted")
    if isinstance(fitted, dict):
        for name, value in (("targets", None), ("known", []), ("n_responses", 0)):
            fitted.setdefault(name, value)
    for value in header.values():
        if isinstance(value, dict):
            add_roles(value)


def rename_backends(header: dict[str, Any]) -> None:
    """Replace the former names of the backends, which some files of version 2 have as well.

    Every model in the file has its parameters in a mapping at some depth of the header. The header
    need not be checked before.
    """
    for name, value in header.items():
        if isinstance(value, dict):
            rename_backends(value)
        elif name == "backend" and isinstance(value, str):
            header[name] = {"cpu": "compiled", "library": "torch"}.get(value, value)


UPGRADES: dict[int, Upgrade] = {1: to_2}
