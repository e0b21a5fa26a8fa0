"""Reading single Keras layers: their weights as NumPy arrays, and which options are unsupported.

Keras stores a kernel as (inputs, outputs), unspool as (outputs, inputs). Both use the order i, f,
c, o for the gates of an LSTM (`unspool.lstm.reference`) and z, r, n for those of a GRU.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unspool._types import CellName
from unspool.blueprint.cells import CELLS, CellKind
from unspool.blueprint.models import ACTIVATIONS, CELL_ACTIVATIONS, GATE_ACTIVATIONS
from unspool.interop.keras.dropout import both, common_rate
from unspool.interop.keras.graph import Node, Wire, config_of, keras_module, kind_of, refuse

Array = npt.NDArray[np.float32]

LAYERS: Mapping[str, CellName] = {kind.title: name for name, kind in CELLS.items()}


class Dense(NamedTuple):
    """A dense layer: weight (outputs, inputs), bias (outputs,), and the wire at its output."""

    node: Node
    weight: Array
    bias: Array
    activation: str
    output_wire: Wire

    @property
    def width(self) -> int:
        """Number of outputs."""
        return len(self.bias)


class DirectionWeights(NamedTuple):
    """Weights of one direction of a layer: w_ih (G·H, F), w_hh (G·H, H), bias (4H,) for G gates."""

    w_ih: Array
    w_hh: Array
    bias: Array


class Recurrent(NamedTuple):
    """An LSTM or GRU layer with one or two directions."""

    node: Node
    directions: tuple[DirectionWeights, ...]
    activation: str
    recurrent_activation: str
    sequences: bool
    go_backwards: bool
    cell: CellName
    dropout: float  # of what it reads, by its argument and by a layer before it
    recurrent_dropout: float

    @property
    def kind(self) -> CellKind:
        """Description of the cell."""
        return CELLS[self.cell]

    @property
    def units(self) -> int:
        """Number of units of each direction."""
        units: int = self.directions[0].w_hh.shape[1]
        return units


def activation_of(node: Node) -> str:
    """Return the activation of a layer, or the activation that an activation layer applies."""
    config, name = node.config, ""
    if node.kind == "ReLU":
        plain = config["max_value"] is None and not config["negative_slope"]
        name = "relu" if plain and not config["threshold"] else "a leaky or bounded ReLU"
    elif node.kind == "ELU":
        name = "elu" if config["alpha"] == 1 else f"ELU with alpha {config['alpha']:g}"
    elif node.kind == "Softmax":
        name = "softmax" if config["axis"] in (-1, [-1]) else "softmax over another axis"
    else:
        name = _function(node.layer)
    if name not in ACTIVATIONS:
        raise refuse(
            node, f"its activation is {_shown(name)}; supported are {', '.join(ACTIVATIONS)}."
        )
    return name


def _function(layer: Any, argument: str = "activation") -> Any:
    """Return the name of a layer's activation, if it is the Keras function of that name."""
    name, function = config_of(layer)[argument] or "linear", getattr(layer, argument)
    keras = keras_module()
    # keras.ops.gelu is an approximation, unlike keras.activations.gelu.
    homes = [keras.activations] if name == "gelu" else [keras.activations, keras.ops]
    named = isinstance(name, str) and name in {*ACTIVATIONS, *CELL_ACTIVATIONS, *GATE_ACTIVATIONS}
    if named and all(function is not getattr(home, name, None) for home in homes):
        return f"a function named {name!r} that is not keras.activations.{name}"
    return name


def read_dense(node: Node) -> Dense:
    """Read a `Dense` layer, bare or within `TimeDistributed`."""
    layer = node.layer.layer if node.kind == "TimeDistributed" else node.layer
    inner = kind_of(layer)
    if inner != "Dense":
        raise refuse(node, f"it applies a {inner} to every step; only Dense is supported.")
    config = config_of(layer)
    if config.get("lora_rank") or getattr(layer, "quantization_mode", None):
        raise refuse(
            node,
            "its weights are quantized or have LoRA parts; plain float weights are supported.",
        )
    weights = [np.asarray(one, np.float32) for one in layer.get_weights()]
    kernel = weights[0]
    bias = weights[1] if config["use_bias"] else np.zeros(kernel.shape[1], np.float32)
    name = node.activation or _function(layer)
    if name not in ACTIVATIONS:
        raise refuse(
            node, f"its activation is {_shown(name)}; supported are {', '.join(ACTIVATIONS)}."
        )
    weight, bias = _with_maps(node, np.ascontiguousarray(kernel.T), bias)
    return Dense(node, weight, bias, name, Wire(node))


def _with_maps(node: Node, weight: Array, bias: Array) -> tuple[Array, Array]:
    """Return weight (outputs, inputs) and bias with the linear maps before and after a layer."""
    if node.before is not None:
        weight, bias = node.before.before(weight, bias)
    if node.after is not None:
        weight, bias = node.after.after(weight, bias)
    return weight.astype(np.float32), bias.astype(np.float32)


def read_recurrent(node: Node) -> Recurrent:
    """Read an `LSTM` or `GRU` layer, bare or within `Bidirectional`."""
    if node.kind in LAYERS:
        first, config = node.layer, node.config
        directions: tuple[DirectionWeights, ...] = (_read_direction(node, node.layer),)
    else:
        first, config = node.layer.forward_layer, _shared_config(node)
        directions = (
            _read_direction(node, node.layer.forward_layer),
            _read_direction(node, node.layer.backward_layer),
        )
    activation, gates = _function(first), _function(first, "recurrent_activation")
    if activation not in CELL_ACTIVATIONS:
        known = " and ".join(CELL_ACTIVATIONS)
        raise refuse(node, f"its activation is {_shown(activation)}; supported are {known}.")
    if gates not in GATE_ACTIVATIONS:
        known = " and ".join(GATE_ACTIVATIONS)
        raise refuse(node, f"its recurrent_activation is {_shown(gates)}; supported are {known}.")
    return Recurrent(
        node,
        directions,
        activation,
        gates,
        config["return_sequences"],
        config["go_backwards"],
        LAYERS[kind_of(first)],
        both(node.dropout, config["dropout"]),
        config["recurrent_dropout"],
    )


def _shared_config(node: Node) -> dict[str, Any]:
    """Return the arguments of the two layers of a `Bidirectional`, which must be the same."""
    forward, backward = node.layer.forward_layer, node.layer.backward_layer
    for layer in (forward, backward):
        if kind_of(layer) not in LAYERS:
            raise refuse(node, f"it wraps a {kind_of(layer)}; only LSTM and GRU are supported.")
    if kind_of(forward) != kind_of(backward):
        raise refuse(
            node,
            f"its two layers are {kind_of(forward)} and {kind_of(backward)}; they must be the "
            "same.",
        )
    merge = node.config["merge_mode"]
    if merge not in ("concat", "sum", "ave"):
        raise refuse(node, f"its merge_mode is {merge!r}; supported are 'concat', 'sum' and 'ave'.")
    one, other = config_of(forward), config_of(backward)
    if one["go_backwards"]:
        raise refuse(node, "its forward layer has go_backwards=True; build it without.")
    for name in ("units", "activation", "recurrent_activation"):
        unlike = name != "units" and _function(forward, name) != _function(backward, name)
        if one[name] != other[name] or unlike:
            raise refuse(node, f"its two layers differ in `{name}`; they must be the same.")
    rates = {
        name: common_rate((one[name], other[name])) for name in ("dropout", "recurrent_dropout")
    }
    return {**one, **rates}


def _read_direction(node: Node, layer: Any) -> DirectionWeights:
    config = config_of(layer)
    if config["stateful"]:
        raise refuse(
            node,
            "it is stateful, but unspool starts every sequence from a zero state; build it with "
            "stateful=False.",
        )
    weights = [np.asarray(one, np.float32) for one in layer.get_weights()]
    if kind_of(layer) == "GRU" and not config["reset_after"]:
        raise refuse(
            node,
            "its reset_after is False, but unspool's GRU resets the state after the product; build "
            "and train it with reset_after=True, the default of Keras.",
        )
    bias = weights[2] if config["use_bias"] else np.zeros(4 * config["units"], np.float32)
    if bias.ndim == 2:  # of a GRU: for the input, and for the recurrent part
        units = config["units"]
        first, second = bias
        both = first[: 2 * units] + second[: 2 * units]
        bias = np.concatenate([both, first[2 * units :], second[2 * units :]])
    kernel, recurrent = (np.ascontiguousarray(one.T) for one in weights[:2])
    if node.before is not None:
        gates = len(kernel)
        mapped, shifted = node.before.before(kernel, bias[:gates])
        kernel = mapped.astype(np.float32)
        bias = np.concatenate([shifted, bias[gates:]]).astype(np.float32)
    return DirectionWeights(kernel, recurrent, bias)


def read_scaling(node: Node) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Shift and scale of a `Normalization` or `Rescaling`, which computes (x - shift) / scale."""
    if node.kind == "Rescaling":
        factor, offset = (
            np.atleast_1d(np.asarray(one, np.float64)).reshape(-1)
            for one in (node.layer.scale, node.layer.offset)
        )
        if not (factor > 0).all():
            raise refuse(node, "its scale must be positive.")
        return -offset / factor, 1 / factor
    if tuple(np.atleast_1d(node.config["axis"]).tolist()) not in ((-1,), (len(node.shapes[0]),)):
        raise refuse(node, "it must scale each feature separately (axis=-1).")
    mean, variance = (
        np.asarray(_numpy(one), np.float64).reshape(-1)
        for one in (node.layer.mean, node.layer.variance)
    )
    shift, scale = mean, np.maximum(np.sqrt(variance), 1e-7)  # the lower bound of Keras
    return (-shift / scale, 1 / scale) if node.config["invert"] else (shift, scale)


def _numpy(tensor: Any) -> Any:
    return tensor.detach().cpu().numpy() if hasattr(tensor, "detach") else np.asarray(tensor)


def _shown(name: Any) -> str:
    """Return the name of an activation for a message; Keras stores custom functions as dicts."""
    if isinstance(name, Mapping):
        name = name.get("config", {})
        name = name.get("name", "a custom function") if isinstance(name, Mapping) else name
    return repr(name) if isinstance(name, str) and name.isidentifier() else str(name)


def same_scaling(one: Wire, other: Wire) -> bool:
    """Return whether two scaling layers have the same shift and scale."""
    return all(
        np.array_equal(a, b)
        for a, b in zip(read_scaling(one.node), read_scaling(other.node), strict=True)
    )
