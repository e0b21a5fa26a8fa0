"""Reading the convolutions and poolings between the input of a Keras model and its LSTM layers."""

from typing import Any, NamedTuple

import numpy as np

from unspool.interop.keras.graph import ELEMENTWISE, Node, Wire, refuse
from unspool.interop.keras.reading_convolutions import check_arguments, one_or_each, read_pool
from unspool.interop.keras.reading_layers import Array, activation_of
from unspool.interop.keras.traversal import Traversal, common_activation

POOLING = "MaxPooling1D"


class StepConv(NamedTuple):
    """A convolution over steps, and the pooling after it: weight (outputs, inputs, kernel)."""

    node: Node
    weight: Array
    bias: Array
    activation: str
    padding: str
    pool: int


def before_convolutions(wire: Wire) -> Wire:
    """Return what convolutions, poolings and activations at the end of `wire` read."""
    while wire.kind in ("Conv1D", POOLING, *ELEMENTWISE) and len(wire.node.inputs) == 1:
        wire = wire.node.inputs[0]
    return wire


def read_step_convolutions(traversal: Traversal, wire: Wire) -> tuple[list[StepConv], Wire]:
    """Return the convolutions at the end of `wire`, first to last, and what they read."""
    layers: list[StepConv] = []
    end = before_convolutions(wire)
    while wire != end:
        pooling = wire.node if wire.kind == POOLING else None
        if pooling is not None:
            wire = traversal.back(wire)
        name, before, passed = traversal.activation(wire)
        if before.kind != "Conv1D":
            raise refuse(
                (pooling or wire.node), "a Conv1D was expected before it, in front of the LSTM."
            )
        traversal.read |= passed
        conv = _read(before.node, pooling)
        if name is not None:
            if conv.activation != "linear":
                raise refuse(
                    wire.node,
                    f"{conv.node} before it has an activation already; remove one of the two.",
                )
            conv = conv._replace(activation=name)
        layers.insert(0, conv)
        wire = traversal.back(before)
    for layer in layers:
        if layer.padding != layers[0].padding:
            raise refuse(
                layer.node,
                f"its `padding` is {layer.padding!r}, but that of {layers[0].node} is "
                f"{layers[0].padding!r}; they must be the same.",
            )
    return layers, wire


def _read(node: Node, pooling: Node | None) -> StepConv:
    """Read a `Conv1D`, and the size of the pooling after it."""
    wanted = {"strides": 1, "dilation_rate": 1, "groups": 1, "data_format": "channels_last"}
    check_arguments(node, wanted)
    padding = node.config["padding"]
    kernel, *biases = (np.asarray(one, np.float32) for one in node.layer.get_weights())
    weight = kernel.transpose(2, 1, 0)
    bias = biases[0] if biases else np.zeros(len(weight), np.float32)
    if node.before is not None:
        weight = node.before.before_channels(weight[..., None])[..., 0]
    if node.after is not None:
        weight, bias = node.after.after(weight, bias)
    return StepConv(
        node,
        np.ascontiguousarray(weight, np.float32),
        bias.astype(np.float32),
        node.activation or activation_of(node),
        padding,
        1 if pooling is None else _size(pooling, shortens=padding == "valid"),
    )


def _size(node: Node, *, shortens: bool) -> int:
    """Return the size of a pooling, which must round like the convolution before it."""
    steps, rounds_up = node.inputs[0].shape[0], node.config["padding"] == "same"
    if shortens and not rounds_up:
        check_arguments(node, {"strides": list(np.atleast_1d(node.config["pool_size"]).tolist())})
        return int(np.atleast_1d(node.config["pool_size"])[0])
    size = int(read_pool(node)[0])
    if (steps is None and not rounds_up) or (shortens and (steps is None or steps % size)):
        raise refuse(
            node,
            f"its input of {steps} steps must be a known multiple of its pool size {size}, or both "
            "this layer and the Conv1D before it must have the padding 'valid'.",
        )
    return size


def parameters_of(layers: list[StepConv]) -> dict[str, Any]:
    """Return the parameters of an estimator with these convolutions."""
    if not layers:
        return {}
    return {
        "conv_filters": tuple(len(layer.bias) for layer in layers),
        "conv_kernel_size": one_or_each([layer.weight.shape[2] for layer in layers]),
        "conv_pool_size": one_or_each([layer.pool for layer in layers]),
        "conv_activation": common_activation(layers, "convolutions before the LSTM", "relu"),
        "conv_padding": layers[0].padding,
    }


def weights_of(layers: list[StepConv]) -> dict[str, Array]:
    """Return the weights of convolutions by their names in the module."""
    named = {}
    for depth, layer in enumerate(layers):
        named[f"encoder.convolutions.{depth}.weight"] = layer.weight
        named[f"encoder.convolutions.{depth}.bias"] = layer.bias
    return named
