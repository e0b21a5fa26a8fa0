"""Reading Keras models of dense layers only: one chain from input to output."""

import math

import numpy as np

from unspool.errors import InputError
from unspool.interop.imported import ReadModel
from unspool.interop.keras.dropout import common_rate
from unspool.interop.keras.graph import Graph, Wire, check_all_read, refuse
from unspool.interop.keras.reading_layers import Dense, read_scaling
from unspool.interop.keras.traversal import (
    Head,
    InputPath,
    Traversal,
    common_activation,
    dense_weights,
    in_scaled_units,
    known_size,
    with_classes,
)

SHAPES = ("Flatten", "Reshape")


def read_dense_model(graph: Graph) -> ReadModel:
    """Read a model of dense layers only."""
    traversal, output = Traversal(), only_output(graph)
    head = traversal.head(output)
    wire = head.base
    while wire.kind in SHAPES:
        wire = traversal.back(wire)
    input_path = traversal.input_path(wire)
    check_all_read(graph, traversal.read)
    check_unmasked(input_path)
    shape = tuple(
        known_size(one, input_path.input.node, "an axis of its shape")
        for one in input_path.input.shape
    )
    if not head.layers or len(shape) not in (1, 2):
        raise refuse(
            (head.layers[0].node if head.layers else input_path.input.node),
            f"expected an input of shape (values,) or (steps, features), got {shape}.",
        )
    if len(head.layers[0].node.inputs[0].shape) != 1:
        raise refuse(head.layers[0].node, "it is applied to every step; put a Flatten before it.")
    steps, n_features = (1, *shape)[-2:]
    model = ReadModel(
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
        None if input_path.scaling is None else read_scaling(input_path.scaling.node),
    )
    values = math.prod(shape)
    if head.shape is not None and head.shape != shape:
        raise refuse(
            output.node,
            f"its shape is {head.shape}, but the input has {shape}; both must be the same.",
        )
    if head.layers[-1].width == values:
        return _with_decoder(model, input_path, head)
    if head.shape is not None or head.scaling is not None:
        raise refuse(
            output.node,
            f"its output has {head.layers[-1].width} values, but the input has {values}; both "
            "must be the same.",
        )
    if head.layers[-1].activation == "softmax":
        if len(head.layers) == 1:
            raise refuse(
                head.layers[0].node,
                "no layer precedes this softmax; an encoder was expected before it.",
            )
        encoder = _with_encoder(model, head.layers[:-1])
        return with_classes(encoder, head._replace(layers=head.layers[-1:]))
    return _with_encoder(model, head.layers)


def only_output(graph: Graph) -> Wire:
    """Return the output of a model, which must have one input and one output."""
    if len(graph.outputs) != 1 or len(graph.inputs) != 1:
        raise InputError(
            f"Expected one input and one output in a model without LSTM layers, got "
            f"{len(graph.inputs)} and {len(graph.outputs)}; make a keras.Model with one of each."
        )
    return graph.outputs[0]


def check_unmasked(input_path: InputPath) -> None:
    """Refuse a Masking layer in a model without LSTM layers."""
    if input_path.masking is not None:
        raise refuse(
            input_path.masking.node,
            "only LSTM layers use a mask; remove it from a model without them.",
        )


def _with_encoder(model: ReadModel, layers: list[Dense]) -> ReadModel:
    """Add an encoder of dense layers to `model`."""
    *hidden, code = layers
    model.parameters = {
        "latent_dim": code.width,
        "hidden_units": tuple(layer.width for layer in hidden),
        "activation": common_activation(hidden, "layers before the code", "relu"),
        "code_activation": code.activation,
        "dropout": common_rate(layer.node.dropout for layer in layers[1:]),
    }
    model.fitted["part"] = "encoder"
    model.weights = dense_weights("encoder.layers.", layers)
    return model


def _with_decoder(model: ReadModel, input_path: InputPath, head: Head) -> ReadModel:
    """Add an encoder and a decoder, which has the widths of the encoder in reverse."""
    layers = head.layers
    middle = len(layers) // 2
    widths = [layer.width for layer in layers]
    mirrored = len(layers) % 2 == 0 and widths[: middle - 1] == widths[middle:-1][::-1]
    if len(layers) == 1:
        raise refuse(
            layers[0].node, "it is the only dense layer; expected one to a code before it."
        )
    if not mirrored:
        middle = 1 + int(np.argmin(widths[:-1]))
        model.notes.append(f"{layers[middle - 1].node}, the narrowest layer, is the code.")
    _, scaled = in_scaled_units(input_path.scaling, head)
    _with_encoder(model, layers[:middle])
    model.fitted["part"] = "model"
    model.weights |= dense_weights("decoders.reconstruction.head.", scaled[middle:])
    parameters, code = model.parameters, layers[middle - 1]
    if not mirrored:
        parameters["decoder_units"] = tuple(widths[middle:-1])
    parameters["output_activation"] = layers[-1].activation
    parameters["dropout"] = common_rate(
        layer.node.dropout for layer in (*layers[1:middle], *layers[middle + 1 :])
    )
    parameters["code_dropout"] = common_rate([layers[middle].node.dropout])
    after_code = common_activation(
        layers[middle:-1], "layers after the code", str(parameters["activation"])
    )
    if after_code == parameters["activation"]:
        return model
    if middle == 1:
        parameters["activation"] = after_code
        return model
    if not mirrored or code.activation != parameters["activation"]:
        raise refuse(
            layers[-2].node,
            f"its activation is {after_code}, but the layers before the code have "
            f"{parameters['activation']}; both must be the same.",
        )
    # A StackedAutoencoder has a separate parameter for the activation after the code.
    model.model = "StackedAutoencoder"
    parameters["inner_output_activation"] = after_code
    for name in ("code_activation", "dropout", "code_dropout"):
        del parameters[name]
    return model
