"""Reading Keras models of convolutions: pooling before the code, upsampling after it.

The layers form one chain, which is read in the order in which a `ConvAutoencoder` is built: pairs
of convolution and pooling; dense layers to the code and from it; a convolution; pairs of upsampling
and convolution.
"""

import math
from typing import Any

import numpy as np

from unspool.blueprint.layers import sizes
from unspool.interop.imported import ReadModel
from unspool.interop.keras.dense import check_unmasked, only_output
from unspool.interop.keras.dropout import both, common_rate
from unspool.interop.keras.graph import (
    AVERAGES,
    CONVOLUTIONS,
    Graph,
    Node,
    Wire,
    check_all_read,
    refuse,
)
from unspool.interop.keras.reading_layers import (
    Array,
    Conv,
    Dense,
    read_conv,
    read_pool,
    read_scaling,
    read_up,
)
from unspool.interop.keras.traversal import (
    SCALINGS,
    Head,
    Traversal,
    common_activation,
    in_scaled_units,
    known_size,
    with_classes,
)

READERS = {
    "MaxPooling1D": ("pooling layer", read_pool),
    "MaxPooling2D": ("pooling layer", read_pool),
    "UpSampling1D": ("upsampling layer", read_up),
    "UpSampling2D": ("upsampling layer", read_up),
    "Cropping1D": ("cropping layer", lambda node: node),
    "Cropping2D": ("cropping layer", lambda node: node),
    "Flatten": ("reshape", lambda node: node),
    "Reshape": ("reshape", lambda node: node),
    **dict.fromkeys(AVERAGES, ("average", lambda node: node)),
}


class _Chain:
    """The layers of a model, first to last, which are taken one after the other."""

    def __init__(self, traversal: Traversal, wire: Wire) -> None:
        self.items: list[tuple[str, Node, Any]] = []
        while wire.kind not in ("InputLayer", *SCALINGS):
            kind, node, item, wire = _item(traversal, wire)
            self.items.insert(0, (kind, node, item))
        self.input_path = traversal.input_path(wire)
        self.dropout = _rates(self.items)
        self.last = self.items[-1][1] if self.items else wire.node

    def kinds(self) -> list[str]:
        """Return the kinds of the layers that have not been taken."""
        return [kind for kind, _, _ in self.items]

    def next(self, kind: str) -> Any:
        """Take the next layer if it is of that kind; otherwise return None."""
        return self.items.pop(0)[2] if self.kinds()[:1] == [kind] else None

    def expect(self, kind: str) -> Any:
        """Take the next layer, which must be of that kind."""
        item = self.next(kind)
        if item is None:
            at = self.items[0][1] if self.items else self.last
            raise refuse(
                at, f"a {kind} was expected at this place, since the decoder mirrors the encoder."
            )
        return item


def _rates(items: list[tuple[str, Node, Any]]) -> dict[Node, float]:
    """Return the dropout before each convolution and dense layer.

    A layer that only moves values may be between the two. An upsampling layer repeats values, so
    the dropout must be before it; dropout after it is not that of a `ConvAutoencoder`.
    """
    rates, carried, upsampled = {}, 0.0, False
    for kind, node, _ in items:
        carried = 0.0 if upsampled and node.dropout else both(carried, node.dropout)
        if kind in ("convolution", "dense layer"):
            rates[node], carried, upsampled = carried, 0.0, False
        elif kind == "pooling layer":
            carried = 0.0
        elif kind == "upsampling layer":
            upsampled = True
    return rates


def _item(traversal: Traversal, wire: Wire) -> tuple[str, Node, Any, Wire]:
    """Return the kind, node and content of the layer at the end of `wire`, and its input."""
    name, before, passed = traversal.activation(wire)
    if before.kind in CONVOLUTIONS:
        conv = read_conv(before.node)
        if name is not None:
            if conv.activation != "linear":
                raise refuse(
                    wire.node,
                    f"{conv.node} before it has an activation already; remove one of the two.",
                )
            conv = conv._replace(activation=name)
        traversal.read |= passed
        return "convolution", before.node, conv, traversal.back(before)
    dense, after = traversal.dense(wire)
    if dense is not None:
        return "dense layer", dense.node, dense, after
    if wire.kind in READERS:
        kind, reader = READERS[wire.kind]
        return kind, wire.node, reader(wire.node), traversal.back(wire)
    raise refuse(
        wire.node,
        "only convolution, max pooling, upsampling, cropping, global average pooling and dense "
        "layers are supported here.",
    )


def read_conv_model(graph: Graph) -> ReadModel:
    """Read a model of convolutions, with or without dense layers around the code."""
    traversal, output = Traversal(), only_output(graph)
    output_scaling = output if output.kind in SCALINGS else None
    chain = _Chain(traversal, traversal.back(output) if output_scaling else output)
    check_all_read(graph, traversal.read)
    check_unmasked(chain.input_path)
    shape = tuple(
        known_size(n, chain.input_path.input.node, "an axis of its shape")
        for n in chain.input_path.input.shape
    )
    if len(shape) not in (2, 3):
        raise refuse(
            chain.input_path.input.node,
            "expected an input of shape (H, W, channels) or (steps, features).",
        )
    image, channels = (shape[:2] if len(shape) == 3 else (shape[0], 1)), shape[-1]
    encoder, pool = _encoder(chain)
    pooled = sizes(image, (pool, pool if len(shape) == 3 else 1), len(encoder))
    first_map = (*pooled[-1][: len(shape) - 1], len(encoder[-1].bias))
    average = chain.next("average")
    bottleneck = [] if average is None else [_average(average, first_map)]
    bottleneck += _bottleneck(chain, first_map)
    model = ReadModel(
        "ConvAutoencoder",
        _parameters(encoder, pool),
        {
            "part": "encoder",
            "n_features": channels,
            "n_features_in": channels,
            "table": False,
            "max_length": math.prod(image),
            "axes": shape if len(shape) == 3 else None,
        },
        _weights("encoder.", encoder),
        None if chain.input_path.scaling is None else read_scaling(chain.input_path.scaling.node),
    )
    if not chain.items:
        if output_scaling is not None:
            raise refuse(output_scaling.node, "a code must not be scaled.")
        if bottleneck and bottleneck[-1].activation == "softmax":
            averages = bottleneck[:1] if average is not None else []
            _add_bottleneck(model, averages, math.prod(first_map), decodes=False)
            return with_classes(model, Head(bottleneck[len(averages) :], None, None, output))
        if len(output.shape) != 1:
            raise refuse(output.node, "a code must be a vector; add a Flatten after it.")
    _add_bottleneck(model, bottleneck, math.prod(first_map), decodes=bool(chain.items))
    if chain.items:
        decoder = _decoder(chain, pool, [size[: len(shape) - 1] for size in pooled])
        _check_mirror(encoder, decoder, channels)
        inner = [*encoder, *decoder[:-1], *bottleneck[1:]]
        common_activation(inner, "layers before the last", "relu")
        decoder[-1] = _in_scaled_units(chain, decoder[-1], output_scaling)
        model.fitted["part"] = "model"
        model.parameters["output_activation"] = decoder[-1].activation
        model.weights |= _weights("decoders.reconstruction.", decoder)
        rates = [chain.dropout[layer.node] for layer in encoder[1:]]
        rates += [chain.dropout[layer.node] for layer in bottleneck]
        rates += [chain.dropout[layer.node] for layer in decoder]
        of_code = rates.pop(len(encoder) - 1 + len(bottleneck[:1]))
        model.parameters["dropout"] = common_rate(rates)
        model.parameters["code_dropout"] = common_rate([of_code])
    return model


def _encoder(chain: _Chain) -> tuple[list[Conv], int]:
    """Read the convolutions of the encoder, and the size of its pooling."""
    kinds, layers, pools = chain.kinds(), [], set()
    if "pooling layer" in kinds:
        while chain.kinds()[:2] == ["convolution", "pooling layer"]:
            layers.append(chain.next("convolution"))
            pools.add(chain.next("pooling layer"))
    else:
        ends = [
            kinds.index(kind) for kind in ("reshape", "average", "dense layer") if kind in kinds
        ]
        count = min(ends) if ends else (len(kinds) - 1) // 2
        layers = [chain.expect("convolution") for _ in range(count)]
        pools.add((1,))
    if not layers:
        raise refuse(
            chain.last,
            "the model must start with a convolution, each followed by a pooling layer if any is.",
        )
    if len(pools) != 1 or len(set(next(iter(pools)))) != 1:
        raise refuse(layers[-1].node, "all pooling layers must have the same size, and be square.")
    kernels = {layer.weight.shape[2:] for layer in layers}
    height, width = next(iter(kernels))
    square = height == width if layers[0].node.kind == "Conv2D" else width == 1
    if len(kernels) > 1 or not square:
        raise refuse(layers[-1].node, "all kernels must have the same size, and be square.")
    return layers, next(iter(pools))[0]


def _bottleneck(chain: _Chain, first_map: tuple[int, ...]) -> list[Dense]:
    """Read the dense layers to the code and from it."""
    layers: list[Dense] = []
    while chain.kinds()[:1] in (["reshape"], ["dense layer"]):
        node = chain.items[0][1]
        layer = chain.next("dense layer")
        if layer is not None:
            if len(node.inputs[0].shape) != 1:
                raise refuse(node, "it is applied to every pixel; put a Flatten before it.")
            layers.append(layer)
        elif len(chain.next("reshape").shapes[0]) > 1 and node.shapes[0] != first_map:
            raise refuse(
                node, f"its shape is {node.shapes[0]}, but the encoder's last map has {first_map}."
            )
    return layers


def _average(node: Node, first_map: tuple[int, ...]) -> Dense:
    """Return the mean over a feature map as a dense layer on all of its values."""
    count, channels = math.prod(first_map[:-1]), first_map[-1]
    weight = np.tile(np.float32(np.eye(channels) / count), count).astype(np.float32)
    return Dense(node, weight, np.zeros(channels, np.float32), "linear", Wire(node))


def _add_bottleneck(model: ReadModel, bottleneck: list[Dense], flat: int, *, decodes: bool) -> None:
    """Add the dense layers from the last map of `flat` values to the code, and back."""
    if not bottleneck:
        model.parameters["latent_dim"] = None
        return
    projection, *start = bottleneck
    width = projection.width
    if projection.activation != "linear" or width == flat:
        raise refuse(
            projection.node,
            f"the dense layer before the code must be linear, with another width than {flat}.",
        )
    wrong = [layer for layer in start if layer.width != flat] or start[1:]
    if wrong or len(start) != decodes:
        raise refuse(
            (wrong or bottleneck)[-1].node,
            f"expected one dense layer before the code, and one of {flat} units after it.",
        )
    model.parameters["latent_dim"] = width
    names = ("encoder.projection", "decoders.reconstruction.start")
    for name, layer in zip(names, bottleneck, strict=False):  # an encoder alone has the first only
        model.weights |= {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias}


def _decoder(chain: _Chain, pool: int, shapes: list[tuple[int, ...]]) -> list[Conv]:
    """Read the convolutions of the decoder.

    Upsampling mirrors pooling; surplus rows and columns at the end are cropped.
    """
    layers = [chain.expect("convolution")]
    for small, large in zip(shapes[:0:-1], shapes[-2::-1], strict=True):
        if pool > 1 and set(chain.expect("upsampling layer")) != {pool}:
            raise refuse(
                layers[-1].node,
                f"the upsampling after it must have the size {pool}, like the pooling.",
            )
        layers.append(chain.expect("convolution"))
        surplus = [[0, pool * a - b] for a, b in zip(small, large, strict=True)]
        if any(end for _, end in surplus):
            crop = chain.expect("cropping layer")
            cropping = crop.config["cropping"]
            cropping = [cropping] if isinstance(cropping[0], int) else cropping
            if [list(axis) for axis in cropping] != surplus:
                raise refuse(crop, f"its `cropping` must be {surplus}, to undo the pooling.")
    if chain.items:
        raise refuse(
            chain.items[0][1], "no layer was expected after the decoder, which mirrors the encoder."
        )
    return layers


def _check_mirror(encoder: list[Conv], decoder: list[Conv], channels: int) -> None:
    """Check that the decoder has the filters of the encoder in reverse, and its kernels."""
    widths = [len(layer.bias) for layer in encoder]
    got = [len(layer.bias) for layer in decoder]
    mirrored = [*reversed(widths), channels]
    if got != mirrored:
        raise refuse(
            decoder[-1].node,
            f"the decoder's convolutions have {', '.join(map(str, got))} filters; to mirror the "
            f"encoder, they must have {', '.join(map(str, mirrored))}.",
        )
    for layer in decoder:
        if layer.weight.shape[2:] != encoder[0].weight.shape[2:]:
            raise refuse(layer.node, "its kernel must have the size of the encoder's kernels.")


def _in_scaled_units(chain: _Chain, last: Conv, output_scaling: Wire | None) -> Conv:
    """Convert the last convolution to scaled units."""
    wire, weight = Wire(last.node), last.weight.reshape(len(last.bias), -1)
    flat = Dense(last.node, weight, last.bias, last.activation, wire)
    head = Head([flat], None, output_scaling, wire)
    _, (layer,) = in_scaled_units(chain.input_path.scaling, head)
    return last._replace(weight=layer.weight.reshape(last.weight.shape), bias=layer.bias)


def _parameters(encoder: list[Conv], pool: int) -> dict[str, Any]:
    return {
        "filters": tuple(len(layer.bias) for layer in encoder),
        "kernel_size": encoder[0].weight.shape[2],
        "pool_size": pool,
        "activation": common_activation(encoder, "convolutions of the encoder", "relu"),
    }


def _weights(prefix: str, layers: list[Conv]) -> dict[str, Array]:
    named = {}
    for depth, layer in enumerate(layers):
        named[f"{prefix}convolutions.{depth}.weight"] = layer.weight
        named[f"{prefix}convolutions.{depth}.bias"] = layer.bias
    return named
