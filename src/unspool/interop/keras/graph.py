"""The graph of a Keras model as plain nodes: nested models are flattened, dropout is a number.

`graph` walks from the outputs back to the inputs. The `Graph` that it returns holds every layer
that the outputs depend on, so a reader that has visited every node has left out nothing.
"""

import json
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from unspool._optional import import_optional
from unspool.errors import InputError
from unspool.interop.keras.dropout import both

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

RECURRENT = ("LSTM", "GRU", "Bidirectional")

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
    """

    layer: Any
    kind: str
    name: str
    inputs: tuple["Wire", ...]
    states: tuple["Wire", ...]
    mask: "Wire | None"
    shapes: tuple[tuple[int | None, ...], ...]
    dropout: float = 0.0

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
    return Graph(inputs, outputs, walk.nodes)


class Followed(NamedTuple):
    """The node output that a tensor represents, and the rate of the `Dropout` after it."""

    wire: Wire
    dropout: float = 0.0


class Scope(dict[Key, Followed]):
    """Where the inputs of a nested model come from, at one of its calls."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # every call is distinct


class _Walk:
    """A walk through a model, which makes one node of every call of a layer."""

    def __init__(self, functional: tuple[type, ...]) -> None:
        self.functional = functional
        self.nodes: set[Node] = set()
        self.scopes: dict[tuple[int, int, Scope], Scope] = {}
        self.known: dict[tuple[int, int, Scope], Node | Followed] = {}

    def wire(self, tensor: Any, scope: Scope) -> Wire:
        """Return the node output that a symbolic tensor of a model represents."""
        return self.follow(tensor, scope).wire

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
        return node if isinstance(node, Followed) else Followed(Wire(node, output))

    def _node(self, operation: Any, call: Any, scope: Scope) -> Node | Followed:
        """Return the node that calls a layer, or its input if the layer has no effect."""
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
        if kind in IGNORED_LAYERS:
            return inputs[0]._replace(dropout=both(inputs[0].dropout, _rate(operation)))
        node = Node(
            operation,
            kind,
            operation.name,
            tuple(one.wire for one in inputs),
            tuple(self.wire(one, scope) for one in _tensors(states)),
            None if mask is None else self.wire(mask, scope),
            tuple(tuple(one.shape[1:]) for one in call.output_tensors),
            inputs[0].dropout if inputs else 0.0,
        )
        self.nodes.add(node)
        return node


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
