"""From a .keras file to the Keras model in it, of which Keras sees only what is known to be one."""

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
    """The model of a .keras file, built of layers of Keras's own alone.

    Raises
    ------
    InputError
        For a file that is none, is damaged, or holds anything else, which is not run.
    """
    if path.suffix != ".keras":
        raise InputError(
            f"Expected a .keras file, got {path}; load another format with Keras, and give the "
            "model itself."
        )
    if not path.is_file():
        raise InputError(f"{path}: there is no such file.")
    keras = keras_module()
    try:
        configuration, weights = read_archive(path)
        values = len(weights) // 2  # one takes two bytes, or more
        known = Configuration(values).known(configuration)
        return _built(keras, known, weights, values)
    except (InputError, OSError) as error:
        raise InputError(f"{path} cannot be loaded: {shortened(error)}") from None
    except (RecursionError, MemoryError):
        raise InputError(
            f"{path} cannot be loaded: it is nested too deeply, or needs more memory than there is."
        ) from None


def _built(keras: ModuleType, configuration: Any, weights: bytes, values: int) -> Any:
    """Build a Keras model from a known configuration, with weights that are plain arrays."""
    stored = _stored(keras, 4 * values)  # Bidirectional builds its layers more than once
    try:
        text, named = json.dumps(configuration), {STORED["class_name"]: stored}
        model = keras.models.model_from_json(text, named)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / WEIGHTS
            file.write_bytes(weights)
            model.load_weights(file)
    except Exception as error:  # Keras raises all kinds for what does not fit together
        if stored.left < 0:
            raise InputError("its layers have more weights than it holds.") from None
        raise InputError(" ".join(str(error).split())) from None
    return model


def _stored(keras: ModuleType, most: int) -> Any:
    """What weights start from that are in the file, `most` of them altogether.

    It is not a number, so that a weight that Keras did not find there is noticed.
    """

    class Stored(keras.initializers.Initializer):  # type: ignore[misc, name-defined]
        left = most

        def __call__(self, shape: Any, dtype: Any = None, **_: Any) -> Any:
            Stored.left -= math.prod(shape)
            if Stored.left < 0:
                raise MemoryError
            return keras.ops.full(shape, math.nan, dtype)

        def get_config(self) -> dict[str, Any]:
            return {}

    return Stored
