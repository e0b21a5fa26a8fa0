"""Reading whole-model HDF5 files (.h5, .hdf5) of Keras 2 and 3.

The configuration is an attribute of the file, in the form of Keras 2 or in that of Keras 3 without
the modules of the classes. `read_hdf5` returns it in the form of a .keras file, which is then
cleaned in the same way (`configuration`). Differences of Keras 2:

- an `InputLayer`, or the first layer of a Sequential, has ``batch_input_shape``;
- ``inbound_nodes`` are lists [name, node, tensor, arguments], where the first node of a nested
  model has the number 1, and states of a recurrent layer follow its input;
- recurrent layers have the arguments ``time_major`` and ``implementation``;
- ``hard_sigmoid`` is max(0, min(1, x / 5 + 1 / 2)), and not x / 6 + 1 / 2 as in Keras 3.
"""

import io
import json
from pathlib import Path
from typing import Any, NamedTuple

from unspool._optional import import_optional
from unspool.errors import InputError
from unspool.interop.keras.archive import MAX_CONFIGURATION, MAX_UNPACKED, REWRITE, check_weights

SUFFIXES = (".h5", ".hdf5")
MODELS = {"Model": "Functional", "Functional": "Functional", "Sequential": "Sequential"}
RECURRENT = ("LSTM", "GRU")
# Arguments of Keras 2 without an effect on the outputs.
DROPPED = ("implementation", "time_major", "batch_input_shape", "batch_size")


class HDF5File(NamedTuple):
    """The parts of a file: configuration in the form of Keras 3, bytes, and names of layers."""

    configuration: Any
    weights: bytes
    layers: list[str]  # with weights, in the order of their weights
    keras_2: bool


def read_hdf5(path: Path) -> HDF5File:
    """Return the parsed configuration and the checked bytes of a whole-model file.

    Raises
    ------
    InputError
        If the file is damaged, contains weights alone, or refers to data outside of it.
    """
    h5py = import_optional("h5py", "keras")
    if path.stat().st_size > max(MAX_UNPACKED, 1 << 31):
        raise InputError("it is larger than 2 GiB.")
    blob = path.read_bytes()
    check_weights(blob, path.name)
    try:
        with h5py.File(io.BytesIO(blob), "r") as file:
            text, version = file.attrs.get("model_config"), _text(file.attrs.get("keras_version"))
            if text is None or "model_weights" not in file:
                raise InputError(
                    "it contains weights without the configuration of a model; build the model "
                    "where its code is, load the weights there, and write it with "
                    "model.save('model.keras')."
                )
            text, group = _text(text), file["model_weights"]
            version = version or _text(group.attrs.get("keras_version"))
            layers = [
                name
                for name in _names(group, "layer_names")
                if name in group and _names(group[name], "weight_names")
            ]
        if len(text) > MAX_CONFIGURATION:
            raise InputError(
                f"its configuration has {len(text):,} characters, expected at most "
                f"{MAX_CONFIGURATION:,}."
            )
        keras_2 = version.partition(".")[0] in ("", "1", "2")
        return HDF5File(converted(json.loads(text), keras_2), blob, layers, keras_2)
    except InputError:
        raise
    except RecursionError:
        raise
    except Exception as error:  # h5py and damaged configurations raise many types
        raise InputError(
            f"its configuration cannot be read ({' '.join(str(error).split())[:200]}); {REWRITE}."
        ) from None


def _text(value: Any) -> str:
    """Return the text of an attribute, which older files hold as bytes."""
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return value if isinstance(value, str) else ""


def _names(group: Any, name: str) -> list[str]:
    """Return an attribute of names, which Keras splits into parts if it is long."""
    if name in group.attrs:
        return [_text(one) for one in group.attrs[name]]
    found: list[str] = []
    part = 0
    while f"{name}{part}" in group.attrs:
        found += [_text(one) for one in group.attrs[f"{name}{part}"]]
        part += 1
    return found


def converted(value: Any, keras_2: bool) -> Any:
    """Return the configuration of a model or layer in the form of a .keras file."""
    if not isinstance(value, dict) or not isinstance(value.get("config"), (dict, list)):
        raise InputError(f"expected the configuration of a layer, got {str(value)[:100]}.")
    kind, config = value.get("class_name"), value["config"]
    if not isinstance(kind, str):
        raise InputError(f"expected the name of a class, got {str(kind)[:100]}.")
    kind = MODELS.get(kind, kind)
    if isinstance(config, list):  # a Sequential of the first releases of Keras 2
        config = {"layers": config}
    config = {key: item for key, item in config.items() if not (keras_2 and key in DROPPED)}
    shape = value["config"].get("batch_input_shape") if isinstance(value["config"], dict) else None
    if keras_2:
        if isinstance(value["config"], dict) and value["config"].get("time_major"):
            raise InputError(f"{kind} {config.get('name')!r} has time_major=True; save without it.")
        if kind == "InputLayer" and shape is not None:
            config["batch_shape"] = shape
        if kind == "GRU":
            config.setdefault("reset_after", False)  # as before version 2.2
        if isinstance(config.get("dtype"), dict) and config["dtype"].get("class_name") == "Policy":
            config["dtype"] = config["dtype"].get("config", {}).get("name")
    for key in ("layer", "backward_layer"):
        if isinstance(config.get(key), dict):
            config[key] = converted(config[key], keras_2)
    made = {key: item for key, item in value.items() if key in ("name", "build_config")}
    if kind == "Sequential":
        config.setdefault("name", "sequential")
    if isinstance(config.get("layers"), list):
        config["layers"] = _layers(kind, config, keras_2)
    made |= {"class_name": kind, "config": config, "module": _module(kind, value)}
    made["registered_name"] = value.get("registered_name")
    if "inbound_nodes" in value:
        made["inbound_nodes"] = value["inbound_nodes"]
    return made


def _module(kind: str, value: dict[str, Any]) -> str:
    """Return the module of a class, which legacy configurations leave out."""
    if "module" in value:
        return str(value["module"])
    if kind == "Functional":
        return "keras.src.models.functional"
    if kind in ("NotEqual", "Any"):
        return "keras.src.ops.numpy"
    return "keras" if kind == "Sequential" else "keras.layers"


def _layers(model: str, config: dict[str, Any], keras_2: bool) -> list[Any]:
    """Return the layers of a model, with the connections in the form of Keras 3."""
    layers = [converted(layer, keras_2) for layer in config["layers"]]
    if not keras_2:
        return layers
    first = config["layers"][0].get("config") if layers else None
    shape = first.get("batch_input_shape") if isinstance(first, dict) else None
    if model == "Sequential":
        if shape is not None and layers[0]["class_name"] != "InputLayer":
            layer = {"class_name": "InputLayer", "module": "keras.layers", "registered_name": None}
            layers.insert(0, {**layer, "config": {"batch_shape": shape, "name": "input"}})
        return layers
    kinds = {layer.get("name"): layer["class_name"] for layer in layers}
    for layer in layers:
        nodes = layer.get("inbound_nodes", [])
        layer["inbound_nodes"] = [_node(node, layer["class_name"], kinds) for node in nodes]
    for key in ("input_layers", "output_layers"):
        ends = config.get(key)
        if not isinstance(ends, list):
            raise InputError(f"a {model} has no {key}.")
        ends = [ends] if ends and isinstance(ends[0], str) else ends
        # Keras 3 subtracts the built-in node of a Functional, but not that of a Sequential.
        config[key] = [
            [name, node - (kinds.get(name) == "Sequential"), tensor] for name, node, tensor in ends
        ]
    return layers


def _node(node: Any, kind: str, kinds: dict[Any, str]) -> Any:
    """Return a call of a layer in the form of Keras 3."""
    if isinstance(node, dict):
        return node
    tensors = [_tensor(one[:3], kinds) for one in node]
    more = node[0][3] if len(node[0]) > 3 else {}
    arguments = {
        name: _values(value, kinds)
        for name, value in more.items()
        if not (name in ("training", "mask") and value in (None, False))
    }
    recurrent = kind in RECURRENT or kind == "Bidirectional"
    if recurrent and len(tensors) > 1:
        return {"args": [tensors[0], tensors[1:]], "kwargs": arguments}
    return {"args": tensors if len(tensors) == 1 else [tensors], "kwargs": arguments}


def _values(value: Any, kinds: dict[Any, str]) -> Any:
    """Return an argument of a call, whose tensors are lists [name, node, tensor]."""
    if isinstance(value, list):
        if len(value) == 3 and value[0] in kinds and isinstance(value[0], str):
            return _tensor(value, kinds)
        return [_values(one, kinds) for one in value]
    return value


def _tensor(reference: Any, kinds: dict[Any, str]) -> dict[str, Any]:
    """Return the form of Keras 3 for a tensor of Keras 2."""
    name, node, tensor = reference
    nested = kinds.get(name) in MODELS.values()  # its first node is built in
    history = [name, node - nested, tensor]
    config = {"shape": [None], "dtype": "float32", "keras_history": history}
    return {"class_name": "__keras_tensor__", "config": config}
