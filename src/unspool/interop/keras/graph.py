"""A Keras model as plain steps: nested models flattened, what only training needs left out.

`graph` walks from the outputs back to the inputs. What it gives, `Graph`, holds every layer that
the outputs depend on, so that a reader that has passed every step has left out nothing.
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

# Disturbances of training, and layers that only pass things on.
IDLE = {
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "SpatialDropout1D",
    "SpatialDropout2D",
}

RECURRENT = ("LSTM", "Bidirectional")

Key = tuple[Any, int, int]  # operation, which of its calls, which of the outputs


@dataclass(frozen=True, eq=False)
class Step:
    """A layer at one place of the graph.

    Parameters
    ----------
    layer : keras.layers.Layer or keras.Operation
    kind : str
        Its class; "InputLayer" where data comes in.
    name : str
    reads : tuple of Wire
        What it is called with.
    states : tuple of Wire
        The initial state it is given.
    mask : Wire, optional
    shapes : tuple of shapes
        Of each of its outputs, the batch left out.
    """

    layer: Any
    kind: str
    name: str
    reads: tuple["Wire", ...]
    states: tuple["Wire", ...]
    mask: "Wire | None"
    shapes: tuple[tuple[int | None, ...], ...]

    @property
    def config(self) -> dict[str, Any]:
        """The layer's arguments."""
        return config_of(self.layer)

    def __str__(self) -> str:
        return f"{self.kind} {self.name!r}"


class Wire(NamedTuple):
    """One output of a step."""

    step: Step
    output: int = 0

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Without the batch."""
        return self.step.shapes[self.output]

    @property
    def kind(self) -> str:
        """The class of the layer it comes from."""
        return self.step.kind


def config_of(layer: Any) -> dict[str, Any]:
    """The arguments of a layer, which may hold functions of the user's; nothing is saved here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The object being serialized includes a `lambda`")
        config: dict[str, Any] = layer.get_config()
    return config


def kind_of(layer: Any) -> str:
    """The class of a layer, with its module where it is not Keras's own."""
    name, module = type(layer).__name__, type(layer).__module__
    return name if module.partition(".")[0] == "keras" else f"{module}.{name}"


class Graph(NamedTuple):
    """A model: its inputs and outputs, and all steps between them."""

    inputs: list[Wire]
    outputs: list[Wire]
    steps: set[Step]


def keras_module() -> ModuleType:
    """Import Keras; where nothing says which backend it shall have, on PyTorch, which is there.

    Raises
    ------
    InputError
        Where Keras is not installed, or its backend is not.
    """
    if "keras" not in sys.modules and not _backend():
        os.environ["KERAS_BACKEND"] = "torch"
    try:
        return import_optional("keras", "keras")
    except InputError:
        raise
    except Exception as error:  # what a backend raises that is not there, or not whole
        reason = " ".join(str(error).split())
        raise InputError(
            f"Keras cannot be imported with its backend {_backend()!r} ({reason[:300]}); install "
            "that backend, or name one that is installed in the environment variable "
            "KERAS_BACKEND (torch, jax or tensorflow), and start Python anew."
        ) from None


def _backend() -> str | None:
    """The backend that is asked for; what Keras writes into its own file by itself is not."""
    own = os.environ.get("KERAS_BACKEND")
    if own:
        return own
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
        Where it has none, or a layer is called in a way that has no counterpart here.
    """
    keras = keras_module()
    read = keras.Input((1,))
    functional = keras.Sequential, type(keras.Model(read, keras.layers.Identity()(read)))
    if type(model) not in functional:
        raise InputError(
            f"Expected a Sequential or functional Keras model, got {type(model).__name__} "
            f"{getattr(model, 'name', model)!r}; a model that is a class of its own has no graph "
            "to read."
        )
    if not (model.built and hasattr(model, "outputs")):  # built without a graph, if that failed
        raise InputError(
            f"Expected a Keras model with its weights, but {model.name!r} has not been built; "
            "give it a keras.Input, or call it once."
        )
    walk, root = _Walk(functional), Scope()
    try:
        outputs = [walk.wire(tensor, root) for tensor in model.outputs]
        inputs = [walk.wire(tensor, root) for tensor in model.inputs]
    except RecursionError:
        raise InputError(f"{model.name!r} has too many layers behind one another.") from None
    return Graph(inputs, outputs, walk.steps)


class Scope(dict[Key, Wire]):
    """What the inputs of a nested model stand for, at one of its calls."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # each call is its own


class _Walk:
    """One walk through a model, which meets every layer once for each place it stands at."""

    def __init__(self, functional: tuple[type, ...]) -> None:
        self.functional = functional
        self.steps: set[Step] = set()
        self.scopes: dict[tuple[int, int, Scope], Scope] = {}
        self.known: dict[tuple[int, int, Scope], Step | Wire] = {}

    def wire(self, tensor: Any, scope: Scope) -> Wire:
        """Where a symbolic tensor of a model comes from."""
        operation, place, output = key = _key(tensor)
        if key in scope:
            return scope[key]
        once, node = (id(operation), place, scope), operation._inbound_nodes[place]
        if type(operation) in self.functional:
            if once not in self.scopes:
                _plainly_called(operation, node)
                pairs = zip(operation.inputs, node.input_tensors, strict=True)
                inner = Scope((_key(own), self.wire(given, scope)) for own, given in pairs)
                self.scopes[once] = inner
            return self.wire(operation.outputs[output], self.scopes[once])
        if once not in self.known:
            self.known[once] = self._step(operation, node, scope)
        found = self.known[once]
        return found if isinstance(found, Wire) else Wire(found, output)

    def _step(self, operation: Any, node: Any, scope: Scope) -> Step | Wire:
        """A layer where it is called, or what it passes on unchanged."""
        kind = kind_of(operation)
        first, *others = node.arguments.args or [None]
        options = dict(node.arguments.kwargs)
        mask, states = options.pop("mask", None), options.pop("initial_state", None)
        if others and kind in RECURRENT:
            states = others.pop(0)
        if options.pop("training", None):
            raise InputError(
                f"{kind} {operation.name!r} is called with training=True, and so disturbs what it "
                "reads when the model predicts as well; call it without."
            )
        reads = tuple(self.wire(one, scope) for one in _tensors(first))
        more = [*others, *options.values()] if hasattr(operation, "get_weights") else []
        if any(value is not None for value in more):
            raise InputError(f"{kind} {operation.name!r} is called with more than one input.")
        if kind in IDLE:
            return reads[0]
        step = Step(
            operation,
            kind,
            operation.name,
            reads,
            tuple(self.wire(one, scope) for one in _tensors(states)),
            None if mask is None else self.wire(mask, scope),
            tuple(tuple(one.shape[1:]) for one in node.output_tensors),
        )
        self.steps.add(step)
        return step


def _plainly_called(model: Any, node: Any) -> None:
    """Refuse a nested model that is called with more than what it reads."""
    _, *others = node.arguments.args or [None]
    options = {k: v for k, v in node.arguments.kwargs.items() if k != "inputs"}
    told = f"{type(model).__name__} {model.name!r}"
    if options.pop("training", None):
        raise InputError(
            f"{told} is called with training=True, and so disturbs what it reads when the model "
            "predicts as well; call it without."
        )
    if any(value is not None and value is not False for value in (*others, *options.values())):
        raise InputError(
            f"{told} is called with a mask, or comes behind a Masking layer, which cannot be "
            "followed into a model within a model; mask inside of it, or leave the mask out."
        )


WANTED = (
    "what can be read is an LSTM, dense or convolutional encoder, its code, and decoders of the "
    "same kind."
)


def _tensors(value: Any) -> Iterator[Any]:
    """The symbolic tensors of an argument, or of a list of them."""
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from _tensors(one)
    elif hasattr(value, "_keras_history"):
        yield value


def _key(tensor: Any) -> Key:
    return tensor._keras_history  # type: ignore[no-any-return]  # a named tuple


def refuse(step: Step, why: str) -> InputError:
    """An error that names the layer in the way."""
    return InputError(f"{step} cannot be carried over: {why}")


def unread(graph: Graph, read: Iterable[Step]) -> None:
    """Refuse a graph of which a step has not been read."""
    left = graph.steps - set(read)
    for step in sorted(left, key=lambda step: step.name):
        raise refuse(step, f"it stands where no such layer is known; {WANTED}")
