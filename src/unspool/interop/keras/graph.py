"""The graph of a Keras model as plain nodes: nested models are flattened, dropout is a number.

`graph` walks from the outputs back to the inputs. The `Graph` that it returns holds every layer
that the outputs depend on, so a reader that has visited every node has left out nothing.
"""

import json
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from unspool._optional import import_optional
from unspool.errors import InputError
from unspool.interop.keras.dropout import both
from unspool.interop.keras.linear import Linear, exchanged, merged, rectified, scale_and_shift

# Layers without effect at prediction. The rate of `Dropout` is kept in the node that reads from it.
IGNORED_LAYERS = {
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "SpatialDropout1D",
    "SpatialDropout2D",
}

# Layers that become part of the weights of a neighbouring layer; see `linear`.
FOLDED_LAYERS = {"BatchNormalization", "LeakyReLU"}

MAX_LEAKY = 4096  # units of a LeakyReLU, which is written as a matrix of 8 · units² numbers

RECURRENT = ("LSTM", "GRU", "Bidirectional")
AVERAGES, MAXIMA = (
    tuple(f"Global{name}Pooling{n}D" for n in (1, 2)) for name in ("Average", "Max")
)
TRANSPOSED = ("Conv1DTranspose", "Conv2DTranspose")
CONVOLUTIONS = ("Conv1D", "Conv2D", *TRANSPOSED)
ELEMENTWISE = ("Activation", "ReLU", "ELU", "Softmax")

Key = tuple[Any, int, int]  # operation, index of the call, index of the output


@dataclass(frozen=True, eq=False)
class Node:
    """One call of a layer.

    Parameters
    ----------
    layer : keras.layers.Layer or keras.Operation
        The layer.
    kind : str
        Class name of the layer; "InputLayer" for an input.
    name : str
        Name of the layer.
    inputs : tuple of Wire
        Tensors that the layer is called with.
    states : tuple of Wire
        Initial state, if one is given.
    mask : Wire, optional
        Mask, if one is given.
    shapes : tuple of shapes
        Shape of each output without the batch axis.
    dropout : float
        Rate of the `Dropout` between the first input and this layer; 0 if there is none.
    before, after : Linear, optional
        Linear map of what the layer reads, and of what it returns.
    activation : str, optional
        Activation that follows instead of that of the layer.
    """

    layer: Any
    kind: str
    name: str
    inputs: tuple["Wire", ...]
    states: tuple["Wire", ...]
    mask: "Wire | None"
    shapes: tuple[tuple[int | None, ...], ...]
    dropout: float = 0.0
    before: Linear | None = None
    after: Linear | None = None
    activation: str | None = None

    @property
    def config(self) -> dict[str, Any]:
        """Arguments of the layer."""
        return config_of(self.layer)

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}"


class Wire(NamedTuple):
    """One output of a node."""

    node: Node
    output: int = 0

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Shape without the batch axis."""
        return self.node.shapes[self.output]

    @property
    def kind(self) -> str:
        """Class name of the layer."""
        return self.node.kind


def config_of(layer: Any) -> dict[str, Any]:
    """Return the arguments of a layer, without the warning about lambdas."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`")
        config: dict[str, Any] = layer.get_config()
    return config


def kind_of(layer: Any) -> str:
    """Return the class name of a layer, with the module if it is not from Keras."""
    name, module = type(layer).__name__, type(layer).__module__
    return name if module.partition(".")[0] == "keras" else f"{module}.{name}"


class Graph(NamedTuple):
    """Inputs and outputs of a model, and all nodes between them."""

    inputs: list[Wire]
    outputs: list[Wire]
    nodes: set[Node]


def keras_module() -> ModuleType:
    """Import Keras, on the backend PyTorch unless another one is configured.

    Raises
    ------
    InputError
        If Keras or its backend is not installed.
    """
    if "keras" not in sys.modules and not _backend():
        os.environ["KERAS_BACKEND"] = "torch"
    try:
        return import_optional("keras", "keras")
    except InputError:
        raise
    except Exception as error:  # any error of a missing or broken backend
        reason = " ".join(str(error).split())
        raise InputError(
            f"Keras cannot be imported with its backend {_backend()!r} ({reason[:300]}); install "
            "that backend, or set the environment variable KERAS_BACKEND to an installed one "
            "(torch, jax or tensorflow) and restart Python."
        ) from None


def _backend() -> str | None:
    """Return the configured backend, or None.

    "tensorflow" in keras.json does not count, because Keras writes it there by default.
    """
    name = os.environ.get("KERAS_BACKEND")
    if name:
        return name
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        backend = json.loads((home / "keras.json").read_text())["backend"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return backend if isinstance(backend, str) and backend != "tensorflow" else None


def graph(model: Any) -> Graph:
    """Read the graph of a Keras model.

    Raises
    ------
    InputError
        If the model has no graph, or a layer is called in a way that cannot be imported.
    """
    keras = keras_module()
    x = keras.Input((1,))
    functional = keras.Sequential, type(keras.Model(x, keras.layers.Identity()(x)))
    if type(model) not in functional:
        raise InputError(
            f"Expected a Sequential or functional Keras model, got {type(model).__name__} "
            f"{getattr(model, 'name', model)!r}; a subclass of keras.Model has no graph to read."
        )
    if not (model.built and hasattr(model, "outputs")):  # no outputs if Keras could not build it
        raise InputError(
            f"Expected a built Keras model, but {model.name!r} has no weights yet; add a "
            "keras.Input, or call it once."
        )
    walk, root = _Walk(functional), Scope()
    try:
        outputs = [walk.wire(tensor, root) for tensor in model.outputs]
        inputs = [walk.wire(tensor, root) for tensor in model.inputs]
    except RecursionError:
        raise InputError(f"{model.name!r} has too many layers in a row to be read.") from None
    return Graph(inputs, outputs, _reached([*inputs, *outputs]))


def _reached(wires: list[Wire]) -> set[Node]:
    """Return the nodes that `wires` depend on."""
    found, left = set(), [wire.node for wire in wires]
    while left:
        node = left.pop()
        if node not in found:
            found.add(node)
            masks = () if node.mask is None else (node.mask,)
            left += [wire.node for wire in (*node.inputs, *node.states, *masks)]
    return found


class Followed(NamedTuple):
    """The node output that a tensor represents, and the dropout and the linear map after it."""

    wire: Wire
    dropout: float = 0.0
    linear: Linear | None = None


class Scope(dict[Key, Followed]):
    """Where the inputs of a nested model come from, at one of its calls."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # every call is distinct


class _Walk:
    """A walk through a model, which makes one node of every call of a layer."""

    def __init__(self, functional: tuple[type, ...]) -> None:
        self.functional = functional
        self.scopes: dict[tuple[int, int, Scope], Scope] = {}
        self.known: dict[tuple[int, int, Scope], Node | Followed] = {}

    def wire(self, tensor: Any, scope: Scope) -> Wire:
        """Return the node output that a symbolic tensor of a model represents."""
        found = self.follow(tensor, scope)
        _check_no_map(found)
        return found.wire

    def follow(self, tensor: Any, scope: Scope) -> Followed:
        """Return the node output that a symbolic tensor represents, and its dropout."""
        operation, place, output = key = _key(tensor)
        if key in scope:
            return scope[key]
        place_key, call = (id(operation), place, scope), operation._inbound_nodes[place]
        if type(operation) in self.functional:
            if place_key not in self.scopes:
                _check_nested_call(operation, call)
                pairs = zip(operation.inputs, call.input_tensors, strict=True)
                inner = Scope((_key(input_), self.follow(x, scope)) for input_, x in pairs)
                self.scopes[place_key] = inner
            return self.follow(operation.outputs[output], self.scopes[place_key])
        if place_key not in self.known:
            self.known[place_key] = self._node(operation, call, scope)
        node = self.known[place_key]
        if isinstance(node, Followed):
            return node
        linear = None
        if node.kind == "Bidirectional" and output == 0:
            units = node.layer.forward_layer.units
            linear = merged(units, node.layer.merge_mode, str(node))
        return Followed(Wire(node, output), linear=linear)

    def _node(self, operation: Any, call: Any, scope: Scope) -> Node | Followed:
        """Return the node that calls a layer, or its input if the layer is part of another one."""
        kind = kind_of(operation)
        first, *others = call.arguments.args or [None]
        options = dict(call.arguments.kwargs)
        mask, states = options.pop("mask", None), options.pop("initial_state", None)
        if others and kind in RECURRENT:
            states = others.pop(0)
        if options.pop("training", None):
            raise InputError(
                f"{kind} {operation.name!r} is called with training=True, which makes predictions "
                "random; call it without."
            )
        inputs = [self.follow(one, scope) for one in _tensors(first)]
        more = [*others, *options.values()] if hasattr(operation, "get_weights") else []
        if any(value is not None for value in more):
            raise InputError(
                f"{kind} {operation.name!r} is called with more than one input, which cannot be "
                "imported."
            )
        layer, name = operation, f"{kind} {operation.name!r}"
        if kind == "TimeDistributed" and _acts_on_last_axis(operation.layer):
            layer, kind = operation.layer, kind_of(operation.layer)
        if kind in IGNORED_LAYERS:
            return inputs[0]._replace(dropout=both(inputs[0].dropout, _rate(layer)))
        if kind == "BatchNormalization":
            return _normalized(inputs[0], layer, name)
        slope = _slope(layer, kind)
        if slope:
            return _leaky(inputs[0], slope, name)
        node = Node(
            layer,
            kind,
            operation.name,
            tuple(one.wire for one in inputs),
            tuple(self.wire(one, scope) for one in _tensors(states)),
            None if mask is None else self.wire(mask, scope),
            tuple(tuple(one.shape[1:]) for one in call.output_tensors),
            inputs[0].dropout if inputs else 0.0,
        )
        return _with_map(node, inputs)


def _acts_on_last_axis(layer: Any) -> bool:
    """Return whether a layer computes the same with and without `TimeDistributed`."""
    kinds = {*IGNORED_LAYERS, *FOLDED_LAYERS, *ELEMENTWISE} - {"SpatialDropout1D"}
    return kind_of(layer) in kinds


def _normalized(read: Followed, layer: Any, name: str) -> Followed:
    """Add a `BatchNormalization` to the linear layer before it, or to the layer after it."""
    axis, axes = layer.get_config()["axis"], len(read.wire.shape)
    if axis not in (-1, axes):
        raise InputError(f"{name} cannot be imported: it must normalize the last axis (axis=-1).")
    linear = scale_and_shift(layer, name)
    if read.linear is not None and read.linear.blocks > 1:
        raise InputError(
            f"{name} cannot be imported: {read.linear.source} comes before the Flatten before it; "
            "remove one of the two."
        )
    producer = _linear_producer(read)
    if producer is None:
        return read._replace(linear=linear if read.linear is None else read.linear.then(linear))
    after = linear if producer.after is None else producer.after.then(linear)
    return read._replace(wire=Wire(replace(producer, after=after)))


def _leaky(read: Followed, slope: float, name: str) -> Followed:
    """Write a `LeakyReLU` as a ReLU of twice as many units, followed by a linear map."""
    producer = _linear_producer(read)
    if producer is None:
        raise InputError(
            f"{name} cannot be imported: it must follow a Dense or convolutional layer without an "
            "activation."
        )
    size = read.wire.shape[-1] or 0
    if size > MAX_LEAKY:
        raise InputError(
            f"{name} cannot be imported: it acts on {size:,} units; at most {MAX_LEAKY:,} are "
            "supported."
        )
    doubled, rest = rectified(size, slope, name)
    after = doubled if producer.after is None else producer.after.then(doubled)
    return read._replace(wire=Wire(replace(producer, after=after, activation="relu")), linear=rest)


def _slope(layer: Any, kind: str) -> float:
    """Return the slope of a leaky ReLU for negative numbers, 0 for another layer."""
    if kind == "LeakyReLU":
        return float(layer.negative_slope)
    if kind == "ReLU":
        config = config_of(layer)
        plain = config["max_value"] is None and not config["threshold"]
        return float(config["negative_slope"] or 0) if plain else 0.0
    return 0.0


def _linear_producer(read: Followed) -> Node | None:
    """Return the dense or convolutional layer whose result is read, if it has no activation."""
    node = read.wire.node
    layer = node.layer.layer if node.kind == "TimeDistributed" else node.layer
    linear = (
        kind_of(layer) in ("Dense", *CONVOLUTIONS)
        and config_of(layer)["activation"] in (None, "linear")
        and node.activation is None
    )
    return node if linear and read.linear is None else None


def _with_map(node: Node, inputs: list[Followed]) -> Node | Followed:
    """Return a node with the linear map of its first input, or with the map after the node."""
    maps = [one for one in inputs if one.linear is not None]
    if node.kind == "Concatenate" and len(inputs) == 2:
        kinds = [one.wire.kind for one in inputs]
        if kinds[0] in MAXIMA and kinds[1] in AVERAGES and not maps:
            node = replace(node, inputs=node.inputs[::-1])
            return Followed(Wire(node), linear=exchanged(node.shapes[0][-1] or 0, str(node)))
    if not maps:
        return node
    linear = maps[0].linear
    assert linear is not None
    kind = node.kind
    if kind == "TimeDistributed":
        kind = kind_of(node.layer.layer)
    if len(inputs) == 1 and kind in ("Dense", *RECURRENT):
        return replace(node, before=linear)
    # Padding adds zeros to what a convolution reads, which a shift would move.
    if len(inputs) == 1 and kind in CONVOLUTIONS and not linear.shift.any():
        return replace(node, before=linear)
    if len(inputs) == 1 and kind == "RepeatVector":
        return Followed(Wire(node), linear=linear)
    channels, values = inputs[0].wire.shape[-1], node.shapes[0][0]
    if len(inputs) == 1 and kind == "Flatten" and channels and values:
        return Followed(Wire(node), linear=linear.repeated(values // channels))
    _check_no_map(maps[0], str(node))
    raise AssertionError


def _check_no_map(found: Followed, reader: str = "") -> None:
    """Refuse a linear map that no layer can take over."""
    if found.linear is None:
        return
    follows = f"{reader} follows" if reader else "it is the end of the model"
    raise InputError(
        f"{found.linear.source} cannot be imported: {found.wire.node} comes before it and "
        f"{follows}; unspool writes it into the weights of a Dense or convolutional layer without "
        "activation before it, or of a Dense, LSTM or GRU layer after it."
    )


def _rate(layer: Any) -> float:
    """Return the rate of a `Dropout` that drops each value alone, and 0 for another layer."""
    plain = kind_of(layer) == "Dropout" and layer.noise_shape is None
    return float(layer.rate) if plain else 0.0


def _check_nested_call(model: Any, call: Any) -> None:
    """Refuse a nested model that is called with training=True or with a mask."""
    _, *others = call.arguments.args or [None]
    options = {k: v for k, v in call.arguments.kwargs.items() if k != "inputs"}
    called = f"{type(model).__name__} {model.name!r}"
    if options.pop("training", None):
        raise InputError(
            f"{called} is called with training=True, which makes predictions random; call it "
            "without."
        )
    if any(value is not None and value is not False for value in (*others, *options.values())):
        raise InputError(
            f"{called} is called with a mask, or follows a Masking layer; masks of nested models "
            "cannot be imported. Put the Masking layer inside the nested model, or remove it."
        )


READABLE = (
    "models that can be imported consist of an LSTM, dense or convolutional encoder, its code, and "
    "decoders of the same kind."
)


def _tensors(value: Any) -> Iterator[Any]:
    """Yield the symbolic tensors in an argument, which may be a list."""
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from _tensors(one)
    elif hasattr(value, "_keras_history"):
        yield value


def _key(tensor: Any) -> Key:
    return tensor._keras_history  # type: ignore[no-any-return]  # a named tuple


def refuse(node: Node, why: str) -> InputError:
    """Return the error that names the layer, and why it cannot be imported."""
    return InputError(f"{node} cannot be imported: {why}")


def check_all_read(graph: Graph, read: Iterable[Node]) -> None:
    """Refuse a graph that has a node not in `read`."""
    left = graph.nodes - set(read)
    for node in sorted(left, key=lambda node: node.name):
        raise refuse(node, f"no {node.kind} is expected at this place; {READABLE}")
