"""Walking back through the graph of a Keras model, and the parts that are read on the way."""

from typing import Any, NamedTuple

import numpy as np

from unspool._types import PoolingName
from unspool.errors import InputError
from unspool.interop.imported import ReadModel, Scaling
from unspool.interop.keras.graph import ELEMENTWISE, RECURRENT, Node, Wire, refuse
from unspool.interop.keras.reading_layers import (
    Array,
    Dense,
    Recurrent,
    activation_of,
    read_dense,
    read_recurrent,
    read_scaling,
    same_scaling,
)

POOLED: dict[PoolingName, str] = {"mean": "GlobalAveragePooling1D", "max": "GlobalMaxPooling1D"}
SCALINGS = ("Normalization", "Rescaling")


class InputPath(NamedTuple):
    """An input with the scaling and the masking that follow it."""

    input: Wire
    scaling: Wire | None
    masking: Wire | None


class Head(NamedTuple):
    """The dense layers at an output, first to last, followed by a reshape and a scaling."""

    layers: list[Dense]
    shape: tuple[int | None, ...] | None
    scaling: Wire | None
    base: Wire


class Traversal:
    """A walk from outputs to inputs; `read` holds every node that was read."""

    def __init__(self) -> None:
        self.read: set[Node] = set()

    def back(self, wire: Wire) -> Wire:
        """Mark the layer at the end of `wire` as read, and return its only input."""
        self.read.add(wire.node)
        (source,) = wire.node.inputs
        return source

    def dense(self, wire: Wire) -> tuple[Dense | None, Wire]:
        """Return a dense layer and the activation layer after it, or None for another layer."""
        name, before, passed = self.activation(wire)
        if before.kind not in ("Dense", "TimeDistributed"):
            return None, wire
        layer = read_dense(before.node)
        if name is not None:
            if layer.activation != "linear":
                raise refuse(
                    wire.node,
                    f"{layer.node} before it has an activation already; remove one of the two.",
                )
            layer = layer._replace(activation=name)
        layer = layer._replace(output_wire=wire)
        self.read |= passed
        return layer, self.back(before)

    def head(self, wire: Wire) -> Head:
        """Return the layers at an output: dense layers, a `Reshape`, a scaling that is undone."""
        scaling, shape, late, after = None, None, None, wire
        if wire.kind in SCALINGS:
            scaling, after = wire, self.back(wire)
        name, before, passed = self.activation(after)
        if before.kind == "Reshape" and len(before.node.inputs[0].shape) == 1:
            self.read |= passed
            shape, late, last = before.shape, name, after.node
            after = self.back(before)
        layers: list[Dense] = []
        layer, after = self.dense(after)
        while layer is not None:
            layers.insert(0, layer)
            layer, after = self.dense(after)
        if late is not None and late != "linear":
            if not layers or layers[-1].activation != "linear":
                raise refuse(
                    last, "it must follow a Reshape of a dense layer without an activation."
                )
            layers[-1] = layers[-1]._replace(activation=late)
        elif shape and shape[0] != 1 and layers and layers[-1].activation == "softmax":
            raise refuse(
                layers[-1].node,
                "its softmax runs over all steps at once; use Activation('softmax') after the "
                "Reshape to run over the features of each step.",
            )
        return Head(layers, shape, scaling, after)

    def activation(self, wire: Wire) -> tuple[str | None, Wire, set[Node]]:
        """Return the activation at the end of `wire`, the wire before it, and the nodes between."""
        name, passed = None, set()
        while wire.kind in ELEMENTWISE:
            activation = activation_of(wire.node)
            if activation != "linear":
                if name is not None:
                    raise refuse(wire.node, "another activation follows it; keep one of the two.")
                name = activation
            passed.add(wire.node)
            wire = wire.node.inputs[0]
        return name, wire, passed

    def stack(self, wire: Wire) -> tuple[list[Recurrent], Wire]:
        """Return recurrent layers, first to last, and the input of the first one."""
        layers: list[Recurrent] = []
        while wire.kind in RECURRENT:
            layers.insert(0, read_recurrent(wire.node))
            wire = self.back(wire)
        for depth, layer in enumerate(layers):
            # A constant input is the same in both directions.
            constant = depth == 0 and wire.kind == "RepeatVector" and layer.node.mask is None
            if layer.go_backwards and not constant:
                raise refuse(
                    layer.node,
                    "go_backwards=True is supported only within Bidirectional, and after a "
                    "RepeatVector.",
                )
        return layers, wire

    def pooling(self, wire: Wire) -> tuple[PoolingName, Wire]:
        """Return how the states of all steps are pooled at the end of `wire`, and the states."""
        if wire.kind == "Concatenate":
            read = wire.node.inputs
            if [one.kind for one in read] == ["GlobalAveragePooling1D", "GlobalMaxPooling1D"] and (
                read[0].node.inputs == read[1].node.inputs
            ):
                self.read |= {wire.node, *(one.node for one in read)}
                return "mean_max", self.back(read[0])
        for name, kind in POOLED.items():
            if wire.kind == kind:
                return name, self.back(wire)
        return "last", wire

    def input_path(self, wire: Wire) -> InputPath:
        """Follow `wire` to the input, past scaling and masking."""
        scaling = masking = None
        while wire.kind in (*SCALINGS, "Masking"):
            if wire.kind == "Masking":
                masking = wire
            elif scaling is None:
                scaling = wire
            else:
                raise refuse(wire.node, "the input is scaled twice; keep one of the two layers.")
            wire = self.back(wire)
        if wire.kind != "InputLayer":
            raise refuse(
                wire.node,
                "expected a model input at this place; an encoder may read it through scaling, "
                "masking and convolutions only.",
            )
        self.read.add(wire.node)
        return InputPath(wire, scaling, masking)


def with_classes(model: ReadModel, head: Head) -> ReadModel:
    """Add the head of a classifier to an encoder."""
    *between, last = head.layers
    model.classes = last.width
    model.head = {
        "head_units": tuple(layer.width for layer in between),
        "head_activation": common_activation(between, "dense layers before the last", "relu"),
    }
    model.weights |= dense_weights("head.", head.layers)
    return model


def in_scaled_units(scaling: Wire | None, head: Head) -> tuple[Scaling | None, list[Dense]]:
    """Return the scaling of a model, and the dense layers of an output in scaled units.

    Unspool models undo their scaling at the output. If a Keras model has no layer for that, its
    last layer has learned it; a linear last layer is then converted to scaled units.
    """
    if scaling is None:
        if head.scaling is not None:
            raise refuse(
                head.scaling.node,
                "it scales an output, but the input is not scaled; remove it, or scale the input "
                "the other way round.",
            )
        return None, head.layers
    shift, scale = read_scaling(scaling.node)
    if head.scaling is not None:
        back_shift, back_scale = read_scaling(head.scaling.node)
        # The two must be inverse up to rounding.
        if not (
            np.allclose(back_scale * scale, 1, rtol=1e-6)
            and np.allclose(-back_shift * scale, shift, rtol=1e-6, atol=1e-6 * scale.max())
        ):
            raise refuse(
                head.scaling.node,
                f"it does not undo the scaling of {scaling.node}; give it the inverse of shift and "
                "scale.",
            )
        return (shift, scale), head.layers
    if not head.layers or head.layers[-1].activation != "linear":
        raise refuse(
            scaling.node,
            "a scaled input needs an output that is scaled back; end the model with "
            "Normalization(invert=True) or with a linear dense layer.",
        )
    *others, last = head.layers
    repeats = last.width // len(scale) if last.width % len(scale) == 0 else 1
    wide_shift, wide_scale = np.tile(shift, repeats), np.tile(scale, repeats)
    weight = (last.weight / wide_scale[:, None]).astype(np.float32)
    bias = ((last.bias - wide_shift) / wide_scale).astype(np.float32)
    return (shift, scale), [*others, last._replace(weight=weight, bias=bias)]


def check_same_scaling(input_path: InputPath, other: InputPath) -> None:
    """Refuse a second input that is not scaled like the first."""
    if input_path.scaling is None and other.scaling is None:
        return
    if input_path.scaling and other.scaling and same_scaling(input_path.scaling, other.scaling):
        return
    raise refuse(other.input.node, "it must be scaled like the first input.")


def dense_weights(prefix: str, layers: list[Dense]) -> dict[str, Array]:
    """Return the weights of dense layers, named as in a `torch.nn.Sequential`."""
    named = {}
    for i, layer in enumerate(layers):
        named[f"{prefix}{2 * i}.weight"] = layer.weight
        named[f"{prefix}{2 * i}.bias"] = layer.bias
    return named


def common_activation(layers: list[Any], of: str, default: str) -> str:
    """Return the activation that `layers` share."""
    names = {layer.activation for layer in layers}
    if len(names) > 1:
        raise refuse(
            layers[-1].node,
            f"the {of} have the activations {', '.join(sorted(names))}; they must be the same.",
        )
    return names.pop() if names else default


def known_size(size: int | None, node: Node, what: str) -> int:
    """`size`, which must not be None."""
    if size is None:
        raise InputError(f"{node} has {what} None; build the model with a number.")
    return size
