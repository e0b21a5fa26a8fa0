"""Upgrades from each format version to the next; see "Versions" in docs/model-file.md."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool._registry import ESTIMATORS
from unspool.blueprint import definition

# Parameters that were added during version 2, with the value for older files. They are added to
# the models whose estimators have them.
LATER_PARAMETERS: Mapping[str, Any] = {
    "cell": "lstm",
    "class_weight": None,
    "clip": None,
    "code_activation": "linear",
    "code_dropout": 0.0,
    "conv_activation": "relu",
    "conv_filters": [],
    "conv_kernel_size": 3,
    "conv_padding": "same",
    "conv_pool_size": 2,
    "decoder_units": None,
    "dropout": 0.0,
    "feature_weight": None,
    "known": [],
    "missing": "raise",
    "normalization": "none",
    "plateau_factor": 0.1,
    "plateau_patience": 10,
    "recurrent_dropout": 0.0,
    "strides": 1,
    "targets": None,
    "upsampling": "nearest",
    "warm_start": False,
    "weight_decay": None,
}

# Fields of `fitted` and of `detector` that were added during version 2, and parameters of a
# detector.
LATER_FIELDS: Mapping[str, Any] = {"dilation": 1, "max_gap": None}
LATER_FITTED: Mapping[str, Any] = {
    **LATER_FIELDS,
    "targets": None,
    "known": [],
    "n_responses": 0,
    "reading": None,
    "interrupted": False,
}
LATER_DETECTOR_PARAMETERS: Mapping[str, Any] = {
    "dilation": 1,
    "max_gap": "auto",
    "missing": "raise",
}

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
            model["parameters"] |= {"normalization": "none", "linear_steps": 0}
            model["parameters"]["code_dropout"] = 0.0
            model["parameters"]["quantiles"] = []


def _models(header: dict[str, Any]) -> list[dict[str, Any]]:
    """Return `model` and `parameters` of every model in a file except the classifier."""
    if header["model"] != "EncoderClassifier":
        return [header]
    parameter, fitted = header["parameters"]["autoencoder"], header["fitted"]["autoencoder"]
    return [model for model in (parameter, fitted) if model is not None]


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


def add_later_fields(header: dict[str, Any]) -> None:
    """Add parameters and fitted values that are newer than some files of version 2.

    `code_dropout` of an `LSTMForecaster` was called `dropout` in them. The header need not be
    checked before, as for `rename_backends`.
    """
    model, parameters = header.get("model"), header.get("parameters")
    if isinstance(parameters, dict) and model in [*ESTIMATORS]:
        if model == "LSTMForecaster" and "code_dropout" not in parameters:
            parameters["code_dropout"] = parameters.pop("dropout", 0.0)
        known = definition(model).parameters
        for name, value in LATER_PARAMETERS.items():
            if name in known:
                parameters.setdefault(name, value)
    detector = header.get("detector")
    fitted = header.get("fitted")
    if isinstance(fitted, dict) and "max_length" in fitted:
        fitted.setdefault("typical_length", fitted["max_length"])
    for fields, later in ((header.get("fitted"), LATER_FITTED), (detector, LATER_FIELDS)):
        if isinstance(fields, dict):
            for name, value in later.items():
                fields.setdefault(name, value)
    if isinstance(detector, dict) and isinstance(detector.get("parameters"), dict):
        for name, value in LATER_DETECTOR_PARAMETERS.items():
            detector["parameters"].setdefault(name, value)
    for value in header.values():
        if isinstance(value, dict):
            add_later_fields(value)


UPGRADES: dict[int, Upgrade] = {1: to_2}
