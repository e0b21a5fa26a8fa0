"""Walking back through the graph of a Keras model, and what is found on the way."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unspool.errors import InputError
from unspool.interop.keras.graph import Step, Wire, refuse
from unspool.interop.keras.layers import (
    Array,
    Dense,
    Recurrent,
    activation_of,
    read_dense,
    read_recurrent,
    read_scaling,
    same_scaling,
)

ACTIVATION_LAYERS = ("Activation", "ReLU", "ELU", "Softmax")
SCALINGS = ("Normalization", "Rescaling")
STACKED = ("LSTM", "Bidirectional")

Scaling = tuple[npt.NDArray[Any], npt.NDArray[Any]]


@dataclass
class Found:
    """A model as it was read.

    Parameters
    ----------
    model : str
        The estimator's class.
    parameters : dict
        Those that are not as by default.
    fitted : dict
        What `fit` would have learned, see `unspool.model_file`.
    weights : dict of arrays
        By their names in the module.
    scaling : (shift, scale), optional
    classes : int
        Of a classifier, else 0; `model` and `parameters` are then those of its encoder.
    """

    model: str
    parameters: dict[str, Any]
    fitted: dict[str, Any]
    weights: dict[str, Array]
    scaling: Scaling | None = None
    classes: int = 0
    head: dict[str, Any] = field(default_factory=dict)

    def with_classes(self, head: "Head") -> "Found":
        """The same encoder with the layers of a classifier behind it."""
        *between, last = head.layers
        self.classes = last.width
        self.head = {
            "head_units": tuple(layer.width for layer in between),
            "head_activation": one_activation(between, "dense layers before the last", "relu"),
        }
        self.weights |= dense_weights("head.", head.layers)
        return self


class Front(NamedTuple):
    """Where data comes in, and what is done to it first."""

    input: Wire
    scaling: Wire | None
    masking: Wire | None


class Head(NamedTuple):
    """The dense layers at an output, first to last, and how it is shaped after them."""

    layers: list[Dense]
    shape: tuple[int | None, ...] | None
    scaling: Wire | None
    base: Wire


class Trail:
    """A walk from outputs to inputs; `read` has all steps that it has made something of."""

    def __init__(self) -> None:
        self.read: set[Step] = set()

    def back(self, wire: Wire) -> Wire:
        """What the layer at the end of `wire`, which has been read, reads itself."""
        self.read.add(wire.step)
        if len(wire.step.reads) != 1:
            raise refuse(wire.step, f"it reads {len(wire.step.reads)} tensors, expected one.")
        return wire.step.reads[0]

    def dense(self, wire: Wire) -> tuple[Dense | None, Wire]:
        """A dense layer, with an activation that may stand behind it; None for another layer."""
        name, before, passed = self.activation(wire)
        if before.kind not in ("Dense", "TimeDistributed"):
            return None, wire
        layer = read_dense(before.step)
        if name is not None:
            if layer.activation != "linear":
                raise refuse(wire.step, f"{layer.step} before it has an activation already.")
            layer = layer._replace(activation=name)
        layer = layer._replace(behind=wire)
        self.read |= passed
        return layer, self.back(before)

    def head(self, wire: Wire) -> Head:
        """What stands at an output: dense layers, a `Reshape`, a scaling that is undone."""
        scaling, shape, late, after = None, None, None, wire
        if wire.kind in SCALINGS:
            scaling, after = wire, self.back(wire)
        name, before, passed = self.activation(after)
        if before.kind == "Reshape" and len(before.step.reads[0].shape) == 1:
            self.read |= passed
            shape, late, last = before.shape, name, after.step
            after = self.back(before)
        layers: list[Dense] = []
        layer, after = self.dense(after)
        while layer is not None:
            layers.insert(0, layer)
            layer, after = self.dense(after)
        if late is not None and late != "linear":
            if not layers or layers[-1].activation != "linear":
                raise refuse(last, "there is no linear dense layer before it to belong to.")
            layers[-1] = layers[-1]._replace(activation=late)
        elif shape and shape[0] != 1 and layers and layers[-1].activation == "softmax":
            raise refuse(
                layers[-1].step,
                "its softmax is over all steps at once; put Activation('softmax') behind the "
                "Reshape, for one over the features of each step.",
            )
        return Head(layers, shape, scaling, after)

    def activation(self, wire: Wire) -> tuple[str | None, Wire, set[Step]]:
        """The activation layers at the end of `wire`, and what is before them."""
        name, passed = None, set()
        while wire.kind in ACTIVATION_LAYERS:
            own = activation_of(wire.step)
            if own != "linear":
                if name is not None:
                    raise refuse(wire.step, "another activation follows it.")
                name = own
            passed.add(wire.step)
            wire = wire.step.reads[0]
        return name, wire, passed

    def stack(self, wire: Wire) -> tuple[list[Recurrent], Wire]:
        """Layers of LSTM, first to last, and what the first of them reads."""
        layers: list[Recurrent] = []
        while wire.kind in STACKED:
            layers.insert(0, read_recurrent(wire.step))
            if len(layers) > 1 and not layers[0].sequences:
                raise refuse(wire.step, "another LSTM reads it; it needs return_sequences=True.")
            wire = self.back(wire)
        return layers, wire

    def front(self, wire: Wire) -> Front:
        """Follow `wire` to the input, past scaling and masking."""
        scaling = masking = None
        while wire.kind in (*SCALINGS, "Masking"):
            if wire.kind == "Masking":
                masking = wire
            elif scaling is None:
                scaling = wire
            else:
                raise refuse(wire.step, "data is scaled twice; once is enough.")
            wire = self.back(wire)
        if wire.kind != "InputLayer":
            raise refuse(wire.step, "it stands where an input was expected.")
        self.read.add(wire.step)
        return Front(wire, scaling, masking)


def unscaled(front: Wire | None, head: Head) -> tuple[Scaling | None, list[Dense]]:
    """The scaling of a model, and the dense layers of an output in scaled units.

    Ours is undone at the output. Where Keras does not do so, the last layer, if it is linear, has
    learned to; it is then brought to scaled units itself.
    """
    if front is None:
        if head.scaling is not None:
            raise refuse(head.scaling.step, "it scales an output whose input is not scaled so.")
        return None, head.layers
    shift, scale = read_scaling(front.step)
    if head.scaling is not None:
        back_shift, back_scale = read_scaling(head.scaling.step)
        # Each is the other's inverse but for rounding.
        if not (
            np.allclose(back_scale * scale, 1, rtol=1e-6)
            and np.allclose(-back_shift * scale, shift * 1, rtol=1e-6, atol=1e-6 * scale.max())
        ):
            raise refuse(head.scaling.step, f"it does not undo {front.step}.")
        return (shift, scale), head.layers
    if not head.layers or head.layers[-1].activation != "linear":
        raise refuse(
            front.step,
            "what is scaled has to be unscaled at the output, by Normalization(invert=True) or by "
            "a linear dense layer.",
        )
    *others, last = head.layers
    repeats = last.width // len(scale) if last.width % len(scale) == 0 else 1
    wide_shift, wide_scale = np.tile(shift, repeats), np.tile(scale, repeats)
    weight = (last.weight / wide_scale[:, None]).astype(np.float32)
    bias = ((last.bias - wide_shift) / wide_scale).astype(np.float32)
    return (shift, scale), [*others, last._replace(weight=weight, bias=bias)]


def scaled_alike(front: Front, other: Front) -> None:
    """Refuse a second input that is not scaled as the first."""
    if front.scaling is None and other.scaling is None:
        return
    if front.scaling and other.scaling and same_scaling(front.scaling, other.scaling):
        return
    raise refuse(other.input.step, "this input has to be scaled as the first one.")


def dense_weights(prefix: str, layers: list[Dense]) -> dict[str, Array]:
    """Weights of layers by their names in a `torch.nn.Sequential` with activations between."""
    named = {}
    for i, layer in enumerate(layers):
        named[f"{prefix}{2 * i}.weight"] = layer.weight
        named[f"{prefix}{2 * i}.bias"] = layer.bias
    return named


def one_activation(layers: list[Any], of: str, default: str) -> str:
    """The activation that `layers` share."""
    names = {layer.activation for layer in layers}
    if len(names) > 1:
        raise refuse(
            layers[-1].step,
            f"the {of} have the activations {', '.join(sorted(names))}; they have to be alike.",
        )
    return names.pop() if names else default


def number_of(size: int | None, step: Step, what: str) -> int:
    """A size that has to be known."""
    if size is None:
        raise InputError(f"{step} leaves open its {what}; give it a number there.")
    return size
