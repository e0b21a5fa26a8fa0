"""From each older format version to the next; see "Versions" in docs/model-file.md."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

# Takes header and tensors of a file and makes them those of the next version.
Upgrade = Callable[[dict[str, Any], dict[str, npt.NDArray[Any]]], None]


def to_2(header: dict[str, Any], tensors: dict[str, npt.NDArray[np.floating[Any]]]) -> None:
    """Version 2 has the parameter `validation_steps`: before, all held-out sequences were used."""
    for parameters in _of_models(header):
        parameters["validation_steps"] = None


def _of_models(header: dict[str, Any]) -> list[dict[str, Any]]:
    """The parameters of every model in a file but the classifier's own."""
    if header["model"] != "EncoderClassifier":
        return [header["parameters"]]
    given, trained = header["parameters"]["autoencoder"], header["fitted"]["autoencoder"]
    return [model["parameters"] for model in (given, trained) if model is not None]


UPGRADES: dict[int, Upgrade] = {1: to_2}
