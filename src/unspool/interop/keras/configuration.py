"""The configuration of a Keras model, made anew of what is known in it before Keras sees any.

Keras builds each class that a configuration names and calls it with the arguments that are there.
In release after release that has run code from files: a function of any module as a layer (3.8), a
pickle in a wrapper (3.11), and Keras's list of what it must not run is still growing. So it gets
no file of another's. It gets a configuration that is written here, in which

- a class is one of the layers that can be read, from the module that it has in Keras;
- what only training needs is left out: initial values, penalties, constraints, compilation.
  Weights start from `STORED`, which takes no more memory than the file has weights;
- all else is plain: numbers, strings, lists, and arrays of numbers.
"""

import math
import re
from typing import Any

from unspool.errors import InputError
from unspool.interop.keras.graph import IDLE
from unspool.interop.keras.supported import KNOWN, MASKS, what_helps

# Class: the modules that files of Keras 3 have for it; the first is passed on to Keras.
MODELS = {
    "Functional": ("keras.src.models.functional",),
    "Sequential": ("keras", "keras.models"),
}
MODULES = {
    **dict.fromkeys(KNOWN | IDLE, ("keras.layers",)),
    **dict.fromkeys(MASKS, ("keras.src.ops.numpy",)),
    **MODELS,
    "DTypePolicy": ("keras", "keras.dtype_policies"),
}
PLAIN = ("__keras_tensor__", "__numpy__", "__tensor__")  # values that JSON has no form for
KEPT = ("build_config", "inbound_nodes", "name")
STORED: dict[str, Any] = {
    "module": None,
    "class_name": "Stored",
    "config": {},
    "registered_name": "Stored",
}
_DTYPE = re.compile(r"(mixed_)?b?float\d\d|u?int\d\d?|bool")

MOST_STEPS = 1000  # layers that run, each as often as it is called


class Configuration:
    """One walk through a configuration.

    Parameters
    ----------
    values : int
        As many as there are weights in the file, or more.
    """

    def __init__(self, values: int) -> None:
        self.values = values
        self.steps = 0

    def known(self, value: Any) -> Any:
        """What is known of `value`, in the same form.

        Raises
        ------
        InputError
            For a class that cannot be read, and whatever could take more than the file has.
        """
        if isinstance(value, list):
            return [self.known(one) for one in value]
        if not isinstance(value, dict):
            return value
        if "class_name" not in value:
            return {key: self.known(one) for key, one in value.items()}
        name, config = value["class_name"], value.get("config")
        if name in PLAIN and isinstance(config, dict):
            _check_dtype(config.get("dtype"))
            return {"class_name": name, "config": self.known(config)}
        modules = MODULES.get(name, ()) if isinstance(name, str) else ()
        own = value.get("registered_name") in (None, name)  # none of a user's under that name
        if value.get("module") not in modules or not own or not isinstance(config, dict):
            raise _unknown(value)
        within = config.get("layers", []) if name in MODELS else [config.get("layer", {})]
        if not (isinstance(within, list) and all(isinstance(one, dict) for one in within)):
            raise InputError(
                f"the layers within a {name} are {str(within)[:200]}, none of Keras's."
            )
        before = self.steps
        made = {key: self.known(value[key]) for key in KEPT if key in value}
        made["config"] = {key: self._argument(key, one) for key, one in config.items()}
        if name == "DTypePolicy":
            _check_dtype(config.get("name"))
        else:
            self._count(before, value)
        if name == "Normalization":
            self._check_scaling(value)
        return {**made, "class_name": name, "module": modules[0], "registered_name": None}

    def _argument(self, key: str, value: Any) -> Any:
        """An argument of a layer."""
        if key.endswith("_initializer"):
            return None if value is None else STORED
        if key.endswith(("_regularizer", "_constraint")):
            return None
        if key in ("lora_rank", "quantization_config") and value:
            raise InputError("weights are quantized, or have LoRA parts; plain ones are needed.")
        if key == "dtype" and isinstance(value, str):
            _check_dtype(value)
        if key.endswith("activation") and isinstance(value, str) and not value.isidentifier():
            raise InputError(f"an activation is {value[:200]!r}, none of Keras's.")
        return self.known(value)

    def _count(self, before: int, value: dict[str, Any]) -> None:
        """Count the layers within `value`, which run whenever it is called, and itself."""
        calls = value.get("inbound_nodes")
        times = len(calls) if isinstance(calls, list) else 1
        self.steps = before + (self.steps - before + 1) * max(1, times)
        if self.steps > MOST_STEPS:
            raise InputError(f"it has more than {MOST_STEPS:,} layers, or calls of layers.")

    def _check_scaling(self, value: dict[str, Any]) -> None:
        """Refuse a `Normalization` of more features than the file has numbers for.

        Its weights do not start from `STORED`. They have the shape it is built with.
        """
        if value["config"].get("mean") is not None:
            return
        built, axis = value.get("build_config"), value["config"].get("axis")
        shape = built.get("input_shape") if isinstance(built, dict) else None
        if not isinstance(shape, list) or not shape or type(shape[-1]) is not int:
            shape = [math.inf]
        if shape[-1] > self.values:
            raise InputError("a Normalization does not say of how many features it has numbers.")
        if axis not in (-1, [-1], len(shape) - 1, [len(shape) - 1]):
            raise InputError("a Normalization has to scale each feature by itself (axis=-1).")


def _check_dtype(name: Any) -> None:
    if not (isinstance(name, str) and _DTYPE.fullmatch(name)):
        raise InputError(f"a dtype is {name!r}; those of plain numbers can be read.")


def _unknown(value: dict[str, Any]) -> InputError:
    config = value.get("config")
    name = config.get("name") if isinstance(config, dict) else config
    message = (
        f"{value['class_name']} {name!r}" if isinstance(name, str) else f"{value['class_name']}"
    )
    module = str(value.get("module"))[:100]
    return InputError(
        f"{message[:200]} of {module} is no layer that can be carried over, and nothing else is "
        f"built or run from a file; {what_helps(module)}"
    )
