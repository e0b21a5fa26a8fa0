"""Loading a Keras model from a .keras file without running anything in the file."""

import json
import math
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

from unspool.errors import InputError
from unspool.interop.keras.archive import WEIGHTS, read_archive
from unspool.interop.keras.configuration import STORED, Configuration
from unspool.interop.keras.graph import keras_module
from unspool.model_file.format import shortened


def load_keras(path: Path) -> Any:
    """Return the model of a .keras file, built of supported Keras layers only.

    Raises
    ------
    InputError
        If the file does not exist, is damaged, or contains anything but supported layers.
    """
    if path.suffix != ".keras":
        raise InputError(
            f"Expected a .keras file, got {path}; load other formats with Keras, and pass the "
            "model."
        )
    if not path.is_file():
        raise InputError(f"{path}: there is no such file.")
    keras = keras_module()
    try:
        configuration, weights = read_archive(path)
        values = len(weights) // 2  # a weight needs at least two bytes
        cleaned = Configuration(values).cleaned(configuration)
        return _build(keras, cleaned, weights, values)
    except (InputError, OSError) as error:
        raise InputError(f"{path} cannot be loaded: {shortened(error)}") from None
    except (RecursionError, MemoryError):
        raise InputError(
            f"{path} cannot be loaded: it is nested too deeply, or needs more memory than there is."
        ) from None


def _build(keras: ModuleType, configuration: Any, weights: bytes, values: int) -> Any:
    """Build a Keras model from a cleaned configuration and plain weights."""
    stored = _stored_initializer(keras, 4 * values)  # Bidirectional builds its layers repeatedly
    try:
        text, named = json.dumps(configuration), {STORED["class_name"]: stored}
        model = keras.models.model_from_json(text, named)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / WEIGHTS
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
