"""Cleaning the configuration of a .keras file before Keras builds anything from it.

Keras instantiates each class that a configuration names, with the arguments given there. Several
releases could be made to run code from a file in this way: a function of any module as a layer
(3.8), a pickle in a wrapper (3.11). Therefore Keras never receives the configuration of a file, but
a copy in which

- every class is a supported layer, from its module in Keras;
- initializers, regularizers, constraints and the compilation are removed. Weights are initialized
  by `STORED`, which allocates no more memory than the weights in the file need;
- everything else is a number, a string, a list or an array of numbers.
"""

import math
import re
from typing import Any

from unspool.errors import InputError
from unspool.interop.keras.graph import FOLDED_LAYERS, IGNORED_LAYERS
from unspool.interop.keras.supported import KNOWN, MASKS, what_helps

# Modules that files of Keras 3 name for a class; the first one is passed on to Keras.
MODELS = {
    "Functional": ("keras.src.models.functional",),
    "Sequential": ("keras", "keras.models"),
}
MODULES = {
    **dict.fromkeys(KNOWN | IGNORED_LAYERS | FOLDED_LAYERS, ("keras.layers",)),
    **dict.fromkeys(MASKS, ("keras.src.ops.numpy",)),
    **MODELS,
    "DTypePolicy": ("keras", "keras.dtype_policies"),
}
PLAIN = ("__keras_tensor__", "__numpy__", "__tensor__")  # classes that encode values, not layers
KEPT = ("build_config", "inbound_nodes", "name")
STORED: dict[str, Any] = {
    "module": None,
    "class_name": "Stored",
    "config": {},
    "registered_name": "Stored",
}
_DTYPE = re.compile(r"(mixed_)?b?float\d\d|u?int\d\d?|bool")

MAX_CALLS = 1000  # calls of layers in the whole model


class Configuration:
    """Cleans a configuration.

    Parameters
    ----------
    values : int
        Upper bound of the number of weights in the file.
    """

    def __init__(self, values: int) -> None:
        self.values = values
        self.calls = 0

    def cleaned(self, value: Any) -> Any:
        """Return the supported parts of `value`, which has the form of a configuration.

        Raises
        ------
        InputError
            If a class is not supported, or if building it could need more memory than the weights
            in the file.
        """
        if isinstance(value, list):
            return [self.cleaned(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "class_name" not in value:
            return {key: self.cleaned(item) for key, item in value.items()}
        name, config = value["class_name"], value.get("config")
        if name in PLAIN and isinstance(config, dict):
            _check_dtype(config.get("dtype"))
            return {"class_name": name, "config": self.cleaned(config)}
        modules = MODULES.get(name, ()) if isinstance(name, str) else ()
        builtin = value.get("registered_name") in (None, name)  # no custom class of that name
        if value.get("module") not in modules or not builtin or not isinstance(config, dict):
            raise _unsupported(value)
        layers = config.get("layers", []) if name in MODELS else [config.get("layer", {})]
        if not (isinstance(layers, list) and all(isinstance(layer, dict) for layer in layers)):
            raise InputError(
                f"the layers within a {name} are {str(layers)[:200]}, not Keras layers."
            )
        before = self.calls
        made = {key: self.cleaned(value[key]) for key in KEPT if key in value}
        made["config"] = {key: self._argument(key, item) for key, item in config.items()}
        if name == "DTypePolicy":
            _check_dtype(config.get("name"))
        else:
            self._count(before, value)
        if name == "Normalization":
            self._check_scaling(value)
        return {**made, "class_name": name, "module": modules[0], "registered_name": None}

    def _argument(self, key: str, value: Any) -> Any:
        """Clean an argument of a layer."""
        if key.endswith("_initializer"):
            return None if value is None else STORED
        if key.endswith(("_regularizer", "_constraint")):
            return None
        if key in ("lora_rank", "quantization_config") and value:
            raise InputError(
                "weights are quantized or have LoRA parts; plain float weights are supported."
            )
        if key == "dtype" and isinstance(value, str):
            _check_dtype(value)
        if key.endswith("activation") and isinstance(value, str) and not value.isidentifier():
            raise InputError(f"the activation {value[:200]!r} is not a name of a Keras activation.")
        return self.cleaned(value)

    def _count(self, before: int, value: dict[str, Any]) -> None:
        """Count the calls of a layer and of all layers within it, each time it is called."""
        calls = value.get("inbound_nodes")
        times = len(calls) if isinstance(calls, list) else 1
        self.calls = before + (self.calls - before + 1) * max(1, times)
        if self.calls > MAX_CALLS:
            raise InputError(f"it has more than {MAX_CALLS:,} calls of layers.")

    def _check_scaling(self, value: dict[str, Any]) -> None:
        """Refuse a `Normalization` with more features than the file has weights.

        Its weights have the shape it is built with, and are not initialized by `STORED`.
        """
        if value["config"].get("mean") is not None:
            return
        built, axis = value.get("build_config"), value["config"].get("axis")
        shape = built.get("input_shape") if isinstance(built, dict) else None
        if not isinstance(shape, list) or not shape or type(shape[-1]) is not int:
            shape = [math.inf]
        if shape[-1] > self.values:
            raise InputError("a Normalization does not contain its number of features.")
        if axis not in (-1, [-1], len(shape) - 1, [len(shape) - 1]):
            raise InputError("a Normalization must scale each feature separately (axis=-1).")


def _check_dtype(name: Any) -> None:
    if not (isinstance(name, str) and _DTYPE.fullmatch(name)):
        raise InputError(f"the dtype {name!r} is not supported; use a plain number type.")


def _unsupported(value: dict[str, Any]) -> InputError:
    """Return the error that names a class which is not supported."""
    config = value.get("config")
    name = config.get("name") if isinstance(config, dict) else config
    message = (
        f"{value['class_name']} {name!r}" if isinstance(name, str) else f"{value['class_name']}"
    )
    module = str(value.get("module"))[:100]
    return InputError(
        f"{message[:200]} of {module} is not a layer that can be imported, and nothing else in a "
        f"file is built or run; {what_helps(module)}"
    )
