"""Reading Keras models of convolutions: those of the encoder, the code, those of the decoder.

The layers form one chain, which is read in the order in which a `ConvAutoencoder` is built:
convolutions, with a pooling after some; dense layers to the code and from it; then a convolution
and one for each convolution of the encoder, with an upsampling before it, or as many transposed
convolutions and then a convolution. An encoder of n convolutions has a decoder of n + 1.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from unspool.blueprint.convolutions import Convolutions, mirrored
from unspool.blueprint.layers import Size
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
from unspool.interop.keras.reading_convolutions import (
    Conv,
    common_kernel,
    fitted_in,
    one_or_each,
    read_conv,
    read_pool,
    read_up,
)
from unspool.interop.keras.reading_layers import Array, Dense, read_scaling
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
KINDS = ("convolution", "transposed convolution")
ENDS = ("reshape", "average", "dense layer")  # the first one after the encoder
ENLARGING = ("upsampling layer", "transposed convolution")


class _Chain:
    """The layers of a model, first to last, which are taken one after the other."""

    def __init__(self, traversal: Traversal, wire: Wire) -> None:
        self.items: list[tuple[str, Node, Any]] = []
        while wire.kind not in ("InputLayer", *SCALINGS):
            kind, node, item, wire = _item(traversal, wire)
            self.items.insert(0, (kind, node, item))
        self.input_path = traversal.input_path(wire)
        self.dropout = _rates(self.items)
        self.activation = next(
            (item.activation for _, _, item in self.items if isinstance(item, Conv)), "linear"
        )
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
            at, place = (
                (self.items[0][1], "at this place") if self.items else (self.last, "after it")
            )
            article = "an" if kind[0] in "aeiou" else "a"
            raise refuse(
                at, f"{article} {kind} was expected {place}, since the decoder mirrors the encoder."
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
        if kind in (*KINDS, "dense layer"):
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
        return KINDS[conv.transposed], before.node, conv, traversal.back(before)
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
    image, channels = len(shape) == 3, shape[-1]
    layers, pools = _encoder(chain)
    sizes = Convolutions(
        (shape[0], shape[1] if image else 1),
        tuple(len(layer.bias) for layer in layers),
        tuple(layer.kernel for layer in layers),
        tuple(layer.stride for layer in layers),
        tuple(pools),
    )
    first_map = (*sizes.sizes[-1][: len(shape) - 1], sizes.filters[-1])
    average = chain.next("average")
    bottleneck = [] if average is None else [_average(average, first_map)]
    bottleneck += _bottleneck(chain, first_map)
    written = _decoder(chain, sizes, channels, image=image) if chain.items else []
    encoder, decoder, kernels = _with_kernels(layers, written, sizes, image=image)
    model = ReadModel(
        "ConvAutoencoder",
        _parameters(encoder, pools, kernels, decoder),
        {
            "part": "encoder",
            "n_features": channels,
            "n_features_in": channels,
            "table": False,
            "max_length": math.prod(sizes.shape),
            "axes": shape if image else None,
        },
        _weights("encoder.", encoder),
        None if chain.input_path.scaling is None else read_scaling(chain.input_path.scaling.node),
        notes=_notes([*layers, *written], [*encoder, *decoder]),
    )
    if not decoder:
        if output_scaling is not None:
            raise refuse(output_scaling.node, "a code must not be scaled.")
        if bottleneck and bottleneck[-1].activation == "softmax":
            averages = bottleneck[:1] if average is not None else []
            _add_bottleneck(model, averages, math.prod(first_map), decodes=False)
            return with_classes(model, Head(bottleneck[len(averages) :], None, None, output))
        if len(output.shape) != 1:
            raise refuse(output.node, "a code must be a vector; add a Flatten after it.")
    _add_bottleneck(model, bottleneck, math.prod(first_map), decodes=bool(decoder))
    if decoder:
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


def _encoder(chain: _Chain) -> tuple[list[Conv], list[Size]]:
    """Read the convolutions of the encoder, and the pooling after each of them."""
    layers: list[Conv] = []
    pools: list[Size] = []
    count = _length_of_encoder(chain.kinds())
    while len(layers) < count and chain.kinds()[:1] == ["convolution"]:
        layers.append(chain.next("convolution"))
        node = chain.items[0][1] if chain.items else chain.last
        pool = chain.next("pooling layer") or (1, 1)
        if len({*pool}) > 1:
            raise refuse(node, f"its `pool_size` is {pool}; its windows must be square.")
        pools.append((pool[0], pool[1] if len(pool) > 1 else 1))
    if len(layers) < max(1, count):
        at = chain.items[0][1] if chain.items else chain.last
        raise refuse(
            at,
            "the model must start with a convolution; the encoder consists of convolutions, each "
            "of which may have a stride or be followed by one pooling layer.",
        )
    for layer in layers:
        if layer.node.kind == "Conv2D" and len({*layer.stride}) > 1:
            raise refuse(layer.node, f"its `strides` is {layer.stride}; both must be the same.")
    return layers, pools


def _length_of_encoder(kinds: list[str]) -> int:
    """Return the number of convolutions of the encoder, from the kinds of all layers.

    They precede the code. Without layers for it, a decoder has one convolution more than the
    encoder, unless its first one is missing, see `_decoder`.
    """
    codes = [kinds.index(kind) for kind in ENDS if kind in kinds]
    enlarging = [kinds.index(kind) for kind in ENLARGING if kind in kinds]
    total = len([kind for kind in kinds if kind in KINDS])
    if codes:
        return kinds[: min(codes)].count("convolution")
    if total % 2 and (enlarging or kinds[-1] != "pooling layer") and total > 1:
        return (total - 1) // 2
    return kinds[: min(enlarging)].count("convolution") if enlarging else total


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
    if width == flat:
        raise refuse(
            projection.node, f"the dense layer before the code must have another width than {flat}."
        )
    wrong = [layer for layer in start if layer.width != flat] or start[1:]
    if wrong or len(start) != decodes:
        raise refuse(
            (wrong or bottleneck)[-1].node,
            f"expected one dense layer before the code, and one of {flat} units after it.",
        )
    model.parameters |= {"latent_dim": width, "code_activation": projection.activation}
    names = ("encoder.projection", "decoders.reconstruction.start")
    for name, layer in zip(names, bottleneck, strict=False):  # an encoder alone has the first only
        model.weights |= {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias}


def _decoder(chain: _Chain, encoder: Convolutions, channels: int, *, image: bool) -> list[Conv]:
    """Read the convolutions of the decoder, which mirrors the encoder.

    A convolution that changes neither size nor number of channels may be missing; one that returns
    what it reads takes its place.
    """
    transposed = KINDS[1] in chain.kinds()
    expected = mirrored(encoder, channels, transposed=transposed)
    axes, size, layers = 1 + image, encoder.sizes[-1], []
    for layer in expected:
        if layer.transposed:
            conv = chain.expect(KINDS[1])
            if conv.stride != layer.up:
                raise refuse(
                    conv.node,
                    f"its `strides` is {conv.stride[:axes]}, but to mirror the encoder it must be "
                    f"{layer.up[:axes]}.",
                )
        elif layer.up == (1, 1) and chain.kinds()[:1] in (["upsampling layer"], [KINDS[1]]):
            conv = _identity(chain, layer.outputs)
        else:
            if layer.up != (1, 1):
                node = chain.items[0][1] if chain.items else chain.last
                up = chain.expect("upsampling layer")
                if tuple(up) != layer.up[:axes]:
                    raise refuse(
                        node,
                        f"its `size` is {tuple(up)}, but to mirror the encoder it must be "
                        f"{layer.up[:axes]}.",
                    )
            conv = chain.expect("convolution")
            if conv.stride != (1, 1):
                raise refuse(conv.node, "a convolution of a decoder must not have strides.")
        surplus = [[0, layer.up[axis] * size[axis] - layer.size[axis]] for axis in range(axes)]
        if any(end for _, end in surplus):
            _check_cropping(chain.expect("cropping layer"), surplus)
        layers.append(conv)
        size = layer.size
    if chain.items:
        raise refuse(
            chain.items[0][1], "no layer was expected after the decoder, which mirrors the encoder."
        )
    widths = [len(conv.bias) for conv in layers]
    wanted = [layer.outputs for layer in expected]
    if widths != wanted:
        raise refuse(
            layers[-1].node,
            f"the decoder's convolutions have {', '.join(map(str, widths))} filters; to mirror the "
            f"encoder, they must have {', '.join(map(str, wanted))}.",
        )
    return layers


def _check_cropping(node: Node, surplus: list[list[int]]) -> None:
    """Check that a cropping layer removes the surplus rows and columns."""
    cropping = node.config["cropping"]
    cropping = [cropping] if isinstance(cropping[0], int) else cropping
    if [list(axis) for axis in cropping] != surplus:
        raise refuse(node, f"its `cropping` must be {surplus}, to undo the pooling.")


def _identity(chain: _Chain, channels: int) -> Conv:
    """Return a convolution that returns what it reads, the outputs of the layer before it.

    It has the activation of the encoder, which must not change these outputs a second time.
    """
    node = chain.items[0][1]
    if chain.activation not in ("relu", "linear"):
        raise refuse(
            node,
            f"a convolution with {channels} filters and {chain.activation} was expected before it.",
        )
    same = replace(node)
    chain.dropout[same] = 0.0
    weight = np.eye(channels, dtype=np.float32)[:, :, None, None]
    return Conv(same, weight, np.zeros(channels, np.float32), chain.activation, added=True)


def _with_kernels(
    encoder: list[Conv], decoder: list[Conv], sizes: Convolutions, *, image: bool
) -> tuple[list[Conv], list[Conv], list[int]]:
    """Return encoder and decoder with the same kernels in layers that mirror each other."""
    count = len(encoder)
    back = range(count)[::-1]
    transposed = any(conv.transposed for conv in decoder)
    owners = [*back, 0] if transposed else [count - 1, *back]
    pairs = list(zip(owners, decoder, strict=False)) if decoder else []
    sides, fitted = [], []
    for place, (conv, size) in enumerate(zip(encoder, sizes.sizes, strict=False)):
        others = [(other, size) for owner, other in pairs if owner == place]
        sides.append(common_kernel([(conv, size), *others], image=image))
        fitted.append(fitted_in(conv, sides[-1], size, image=image))
    mirrored = [fitted_in(conv, sides[owner], (1, 1), image=image) for owner, conv in pairs]
    return fitted, mirrored, sides


def _notes(layers: list[Conv], imported: list[Conv]) -> list[str]:
    """Return what differs from Keras."""
    notes = []
    for layer, other in zip(layers, imported, strict=True):
        if layer.added:
            notes.append(
                f"a convolution that returns what it reads was added before {layer.node}; `fit` "
                "trains it too."
            )
        elif layer.kernel != other.kernel:
            notes.append(
                f"the kernel of {layer.node} has the size {_sides(layer)}, and that of the "
                f"imported layer {_sides(other)}, with zeros around it; `fit` trains these too."
            )
    return notes


def _sides(layer: Conv) -> str:
    height, width = layer.kernel
    return f"{height}" if layer.node.kind.startswith("Conv1D") else f"{height} × {width}"


def _in_scaled_units(chain: _Chain, last: Conv, output_scaling: Wire | None) -> Conv:
    """Convert the last convolution to scaled units."""
    wire, weight = Wire(last.node), last.weight.reshape(len(last.bias), -1)
    flat = Dense(last.node, weight, last.bias, last.activation, wire)
    head = Head([flat], None, output_scaling, wire)
    _, (layer,) = in_scaled_units(chain.input_path.scaling, head)
    return last._replace(weight=layer.weight.reshape(last.weight.shape), bias=layer.bias)


def _parameters(
    encoder: list[Conv], pools: list[Size], kernels: list[int], decoder: list[Conv]
) -> dict[str, Any]:
    transposed = any(conv.transposed for conv in decoder)
    return {
        "filters": tuple(len(layer.bias) for layer in encoder),
        "kernel_size": one_or_each(kernels),
        "strides": one_or_each([layer.stride[0] for layer in encoder]),
        "pool_size": one_or_each([size for size, _ in pools]),
        "upsampling": "transposed" if transposed else "nearest",
        "activation": common_activation(encoder, "convolutions of the encoder", "relu"),
    }


def _weights(prefix: str, layers: list[Conv]) -> dict[str, Array]:
    named = {}
    for depth, layer in enumerate(layers):
        named[f"{prefix}convolutions.{depth}.weight"] = layer.weight
        named[f"{prefix}convolutions.{depth}.bias"] = layer.bias
    return named
