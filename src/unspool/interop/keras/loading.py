"""Loading a Keras model from a file without running anything in the file."""

import json
import math
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from unspool.errors import InputError
from unspool.interop.keras.archive import WEIGHTS, read_archive
from unspool.interop.keras.configuration import STORED, Configuration
from unspool.interop.keras.graph import keras_module
from unspool.interop.keras.hdf5 import SUFFIXES, read_hdf5
from unspool.model_file.format import shortened

# For each block of weights, whether a gate reads it, as the factor of x / 5 compared with x / 6.
GATED = {"LSTM": (1.2, 1.2, 1.0, 1.2), "GRU": (1.2, 1.2, 1.0)}


def load_keras(path: Path) -> Any:
    """Return the model of a .keras, .h5 or .hdf5 file, built of supported Keras layers only.

    Raises
    ------
    InputError
        If the file does not exist, is damaged, or contains anything but supported layers.
    """
    suffix = path.suffix.lower()
    if suffix not in (".keras", *SUFFIXES):
        raise InputError(
            f"Expected a .keras, .h5 or .hdf5 file, got {path}; load other formats with Keras, and "
            "pass the model."
        )
    if not path.is_file():
        raise InputError(f"{path}: there is no such file.")
    keras = keras_module()
    try:
        if suffix in SUFFIXES:
            return _load_hdf5(keras, path)
        configuration, weights = read_archive(path)
        return _build(keras, configuration, weights, WEIGHTS)
    except (InputError, OSError) as error:
        raise InputError(f"{path} cannot be loaded: {shortened(error)}") from None
    except (RecursionError, MemoryError):
        raise InputError(
            f"{path} cannot be loaded: it is nested too deeply, or needs more memory than there is."
        ) from None


def _load_hdf5(keras: ModuleType, path: Path) -> Any:
    """Return the model of a whole-model HDF5 file."""
    file = read_hdf5(path)
    model = _build(keras, file.configuration, file.weights, "model.h5")
    layers = [layer.name for layer in model.layers if layer.weights]
    if layers != file.layers:
        raise InputError(
            f"its weights are of the layers {', '.join(file.layers)}, but the configuration has "
            f"{', '.join(layers)}."
        )
    if file.keras_2:
        _convert_hard_sigmoid(model)
    return model


def _convert_hard_sigmoid(model: Any) -> None:
    """Change the weights of gates whose hard sigmoid was x / 5 + 1 / 2, so that x / 6 fits."""
    for layer in model._flatten_layers():
        kind = type(layer).__name__
        if kind not in GATED or layer.get_config()["recurrent_activation"] != "hard_sigmoid":
            continue
        factors = np.repeat(np.array(GATED[kind]), layer.units)
        layer.set_weights([weight * factors for weight in layer.get_weights()])


def _build(keras: ModuleType, configuration: Any, weights: bytes, name: str) -> Any:
    """Build a Keras model from a configuration, which is cleaned, and plain weights."""
    values = len(weights) // 2  # a weight needs at least two bytes
    cleaned = Configuration(values).cleaned(configuration)
    stored = _stored_initializer(keras, 4 * values)  # Bidirectional builds its layers repeatedly
    try:
        text, named = json.dumps(cleaned), {STORED["class_name"]: stored}
        model = keras.models.model_from_json(text, named)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / name
            file.write_bytes(weights)
            model.load_weights(file)
    except Exception as error:  # Keras raises many types for parts that do not fit together
        if stored.left < 0:
            raise InputError("its layers have more weights than the file contains.") from None
        raise InputError(" ".join(str(error).split())) from None
    return model


def _stored_initializer(keras: ModuleType, limit: int) -> Any:
    """Return an initializer class for weights in the file, `limit` numbers altogether.

    It initializes with NaN, so a weight that Keras does not load from the file is noticed.
    """

    class Stored(keras.initializers.Initializer):  # type: ignore[misc, name-defined]
        left = limit

        def __call__(self, shape: Any, dtype: Any = None, **_: Any) -> Any:
            Stored.left -= math.prod(shape)
            if Stored.left < 0:
                raise MemoryError
            return keras.ops.full(shape, math.nan, dtype)

        def get_config(self) -> dict[str, Any]:
            return {}

    return Stored
