"""Reading Keras models of dense layers alone: one chain from input to output."""

import math

from unspool.errors import InputError
from unspool.interop.keras.graph import Graph, Wire, refuse, unread
from unspool.interop.keras.layers import Dense, read_scaling
from unspool.interop.keras.traversal import (
    Found,
    Front,
    Head,
    Trail,
    dense_weights,
    number_of,
    one_activation,
    unscaled,
)

SHAPES = ("Flatten", "Reshape")


def read_dense_model(graph: Graph) -> Found:
    """Read a model of dense layers alone."""
    trail, output = Trail(), only_output(graph)
    head = trail.head(output)
    wire = head.base
    while wire.kind in SHAPES:
        wire = trail.back(wire)
    front = trail.front(wire)
    unread(graph, trail.read)
    unmasked(front)
    shape = tuple(number_of(one, front.input.step, "shape") for one in front.input.shape)
    if not head.layers or len(shape) not in (1, 2):
        raise refuse(
            (head.layers[0].step if head.layers else front.input.step),
            f"dense models read rows (values,) or sequences (steps, features), got {shape}.",
        )
    if len(head.layers[0].step.reads[0].shape) != 1:
        raise refuse(
            head.layers[0].step, "it is applied to every step; put a Flatten before it, for a code."
        )
    steps, n_features = (1, *shape)[-2:]
    found = Found(
        "DenseAutoencoder",
        {},
        {
            "part": "model",
            "n_features": n_features,
            "n_features_in": n_features,
            "table": len(shape) == 1,
            "max_length": steps,
        },
        {},
        None if front.scaling is None else read_scaling(front.scaling.step),
    )
    values = math.prod(shape)
    if head.shape is not None and head.shape != shape:
        raise refuse(output.step, f"its shape is {head.shape}, that of the input {shape}.")
    if head.layers[-1].width == values:
        return _both_ways(found, front, head)
    if head.shape is not None or head.scaling is not None:
        raise refuse(output.step, f"it is no reconstruction, which would have {values} values.")
    if head.layers[-1].activation == "softmax":
        if len(head.layers) == 1:
            raise refuse(head.layers[0].step, "there is no encoder before this softmax.")
        return _one_way(found, head.layers[:-1]).with_classes(
            head._replace(layers=head.layers[-1:])
        )
    return _one_way(found, head.layers)


def only_output(graph: Graph) -> Wire:
    """The output of a model that has one, and one input."""
    if len(graph.outputs) != 1 or len(graph.inputs) != 1:
        raise InputError(
            f"Expected one input and one output in a model without LSTM layers, got "
            f"{len(graph.inputs)} and {len(graph.outputs)}; make a keras.Model of those that "
            "matter."
        )
    return graph.outputs[0]


def unmasked(front: Front) -> None:
    """Refuse a mask where nothing but an LSTM could make use of it."""
    if front.masking is not None:
        raise refuse(front.masking.step, "it is for LSTM layers, which skip what is masked.")


def _one_way(found: Found, layers: list[Dense]) -> Found:
    """An encoder of dense layers."""
    *hidden, code = layers
    found.parameters = {
        "latent_dim": code.width,
        "hidden_units": tuple(layer.width for layer in hidden),
        "activation": one_activation(hidden, "layers before the code", "relu"),
        "code_activation": code.activation,
    }
    found.fitted["part"] = "encoder"
    found.weights = dense_weights("encoder.layers.", layers)
    return found


def _both_ways(found: Found, front: Front, head: Head) -> Found:
    """An encoder and a decoder, in which the widths of the encoder come back in reverse."""
    layers = head.layers
    middle = len(layers) // 2
    widths = [layer.width for layer in layers]
    if len(layers) % 2 or widths[: middle - 1] != widths[middle:-1][::-1]:
        raise refuse(
            layers[-1].step,
            f"the layers have the widths {', '.join(map(str, widths))}; those before the code have "
            "to come back in reverse behind it.",
        )
    _, scaled = unscaled(front.scaling, head)
    _one_way(found, layers[:middle])
    found.fitted["part"] = "model"
    found.weights |= dense_weights("decoders.reconstruction.head.", scaled[middle:])
    parameters, code = found.parameters, layers[middle - 1]
    parameters["output_activation"] = layers[-1].activation
    behind = one_activation(
        layers[middle:-1], "layers behind the code", str(parameters["activation"])
    )
    if behind == parameters["activation"] or middle == 1:
        return found
    if code.activation != parameters["activation"]:
        raise refuse(
            layers[-2].step,
            f"its activation is {behind}, that of the layers before the code "
            f"{parameters['activation']}; they have to be alike.",
        )
    found.model = "StackedAutoencoder"  # has an activation of its own behind the code
    parameters["inner_output_activation"] = behind
    del parameters["code_activation"]
    return found
