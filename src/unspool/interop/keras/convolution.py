"""Reading Keras models of convolutions: pools on the way to the code, enlargements on the way back.

The layers form one chain, which is read from its start as a `ConvAutoencoder` is built: pairs of
convolution and pool; what leads to the code and from it; a convolution; pairs of enlargement and
convolution.
"""

import math
from typing import Any

from unspool.blueprint.layers import sizes
from unspool.interop.keras.feedforward import only_output, unmasked
from unspool.interop.keras.graph import Graph, Step, Wire, refuse, unread
from unspool.interop.keras.layers import (
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
    Found,
    Head,
    Trail,
    number_of,
    one_activation,
    unscaled,
)

CONVOLUTIONS = ("Conv1D", "Conv2D")
READERS = {
    "MaxPooling1D": ("pool", read_pool),
    "MaxPooling2D": ("pool", read_pool),
    "UpSampling1D": ("enlargement", read_up),
    "UpSampling2D": ("enlargement", read_up),
    "Cropping1D": ("crop", lambda step: step),
    "Cropping2D": ("crop", lambda step: step),
    "Flatten": ("reshape", lambda step: step),
    "Reshape": ("reshape", lambda step: step),
}


class _Chain:
    """The layers of a model, first to last, taken one after the other."""

    def __init__(self, trail: Trail, wire: Wire) -> None:
        self.items: list[tuple[str, Step, Any]] = []
        while wire.kind not in ("InputLayer", *SCALINGS):
            kind, step, item, wire = _item(trail, wire)
            self.items.insert(0, (kind, step, item))
        self.front = trail.front(wire)
        self.last = self.items[-1][1] if self.items else wire.step

    def kinds(self) -> list[str]:
        """Of the layers that have not been taken."""
        return [kind for kind, _, _ in self.items]

    def next(self, kind: str) -> Any:
        """The next layer, if it is of that kind; else None."""
        return self.items.pop(0)[2] if self.kinds()[:1] == [kind] else None

    def wanted(self, kind: str) -> Any:
        """The next layer, which has to be of that kind."""
        item = self.next(kind)
        if item is None:
            at = self.items[0][1] if self.items else self.last
            raise refuse(at, f"a {kind} has to come here, in a mirror image of the encoder.")
        return item


def _item(trail: Trail, wire: Wire) -> tuple[str, Step, Any, Wire]:
    """The layer at the end of `wire`, with an activation behind it, and what it reads."""
    name, before, passed = trail.activation(wire)
    if before.kind in CONVOLUTIONS:
        conv = read_conv(before.step)
        if name is not None:
            if conv.activation != "linear":
                raise refuse(wire.step, f"{conv.step} before it has an activation already.")
            conv = conv._replace(activation=name)
        trail.read |= passed
        return "convolution", before.step, conv, trail.back(before)
    dense, after = trail.dense(wire)
    if dense is not None:
        return "dense layer", dense.step, dense, after
    if wire.kind in READERS:
        kind, reader = READERS[wire.kind]
        return kind, wire.step, reader(wire.step), trail.back(wire)
    raise refuse(wire.step, "convolutions, pools, enlargements and dense layers can be had here.")


def read_conv_model(graph: Graph) -> Found:
    """Read a model of convolutions, with dense layers to and from the code where there are any."""
    trail, output = Trail(), only_output(graph)
    scaled = output if output.kind in SCALINGS else None
    chain = _Chain(trail, trail.back(output) if scaled else output)
    unread(graph, trail.read)
    unmasked(chain.front)
    shape = tuple(number_of(n, chain.front.input.step, "shape") for n in chain.front.input.shape)
    if len(shape) not in (2, 3):
        raise refuse(chain.front.input.step, "expected (H, W, channels) or (steps, features).")
    image, channels = (shape[:2] if len(shape) == 3 else (shape[0], 1)), shape[-1]
    encoder, pool = _encoder(chain)
    pooled = sizes(image, (pool, pool if len(shape) == 3 else 1), len(encoder))
    first_map = (*pooled[-1][: len(shape) - 1], len(encoder[-1].bias))
    bottleneck = _bottleneck(chain, first_map)
    found = Found(
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
        None if chain.front.scaling is None else read_scaling(chain.front.scaling.step),
    )
    if not chain.items:
        if scaled is not None:
            raise refuse(scaled.step, "a code is not scaled.")
        if bottleneck and bottleneck[-1].activation == "softmax":
            found.parameters["latent_dim"] = None
            return found.with_classes(Head(bottleneck, None, None, output))
        if len(output.shape) != 1:
            raise refuse(output.step, "a map is no code; put a Flatten behind it.")
    _code(found, bottleneck, math.prod(first_map), back=bool(chain.items))
    if chain.items:
        decoder = _decoder(chain, encoder, pool, [one[: len(shape) - 1] for one in pooled])
        _check_mirror(encoder, decoder, channels)
        inner = [*encoder, *decoder[:-1], *bottleneck[1:]]
        one_activation(inner, "layers before the last", "relu")
        decoder[-1] = _unscaled(chain, decoder[-1], scaled)
        found.fitted["part"] = "model"
        found.parameters["output_activation"] = decoder[-1].activation
        found.weights |= _weights("decoders.reconstruction.", decoder)
    return found


def _encoder(chain: _Chain) -> tuple[list[Conv], int]:
    """Its convolutions, and the size of its pools."""
    kinds, layers, pools = chain.kinds(), [], set()
    if "pool" in kinds:
        while chain.kinds()[:2] == ["convolution", "pool"]:
            layers.append(chain.next("convolution"))
            pools.add(chain.next("pool"))
    else:
        ends = [kinds.index(kind) for kind in ("reshape", "dense layer") if kind in kinds]
        count = min(ends) if ends else (len(kinds) - 1) // 2
        layers = [chain.wanted("convolution") for _ in range(count)]
        pools.add((1,))
    if not layers:
        raise refuse(chain.last, "there is no convolution with a pool in front.")
    if len(pools) != 1 or len(set(next(iter(pools)))) != 1:
        raise refuse(layers[-1].step, "pools have to be alike, and as high as wide.")
    kernels = {layer.weight.shape[2:] for layer in layers}
    height, width = next(iter(kernels))
    square = height == width if layers[0].step.kind == "Conv2D" else width == 1
    if len(kernels) > 1 or not square:
        raise refuse(layers[-1].step, "kernels have to be alike, and as high as wide.")
    return layers, next(iter(pools))[0]


def _bottleneck(chain: _Chain, first_map: tuple[int, ...]) -> list[Dense]:
    """The dense layers to the code and from it."""
    layers: list[Dense] = []
    while chain.kinds()[:1] in (["reshape"], ["dense layer"]):
        step = chain.items[0][1]
        layer = chain.next("dense layer")
        if layer is not None:
            if len(step.reads[0].shape) != 1:
                raise refuse(step, "it is applied to every pixel; put a Flatten before it.")
            layers.append(layer)
        elif len(chain.next("reshape").shapes[0]) > 1 and step.shapes[0] != first_map:
            raise refuse(step, f"its shape is {step.shapes[0]}, the encoder's map {first_map}.")
    return layers


def _code(found: Found, bottleneck: list[Dense], flat: int, *, back: bool) -> None:
    """What leads from the last map to the code, and with `back` to the first one again."""
    if not bottleneck:
        found.parameters["latent_dim"] = None
        return
    projection, *start = bottleneck
    width = projection.width
    if projection.activation != "linear" or width == flat:
        raise refuse(
            projection.step,
            f"what leads to the code has to be linear, and the code of another width than {flat}.",
        )
    wrong = [layer for layer in start if layer.width != flat] or start[1:]
    if wrong or len(start) != back:
        raise refuse(
            (wrong or bottleneck)[-1].step,
            f"one dense layer leads to the code, and one of {flat} back to the first map.",
        )
    found.parameters["latent_dim"] = width
    names = ("encoder.projection", "decoders.reconstruction.start")
    for name, layer in zip(names, bottleneck, strict=False):  # an encoder alone has the first
        found.weights |= {f"{name}.weight": layer.weight, f"{name}.bias": layer.bias}


def _decoder(
    chain: _Chain, encoder: list[Conv], pool: int, shapes: list[tuple[int, ...]]
) -> list[Conv]:
    """Its convolutions; enlargements are as the pools, what is too large is cut off behind."""
    layers = [chain.wanted("convolution")]
    for small, large in zip(shapes[:0:-1], shapes[-2::-1], strict=True):
        if pool > 1 and set(chain.wanted("enlargement")) != {pool}:
            raise refuse(layers[-1].step, f"what follows it has to enlarge by {pool}.")
        layers.append(chain.wanted("convolution"))
        over = [[0, pool * a - b] for a, b in zip(small, large, strict=True)]
        if any(cut for _, cut in over):
            crop = chain.wanted("crop")
            given = crop.config["cropping"]
            given = [given] if isinstance(given[0], int) else given
            if [list(one) for one in given] != over:
                raise refuse(crop, f"it has to cut off {over}, to the size before the pool.")
    if chain.items:
        raise refuse(chain.items[0][1], "the mirror image of the encoder ends before it.")
    return layers


def _check_mirror(encoder: list[Conv], decoder: list[Conv], channels: int) -> None:
    widths = [len(layer.bias) for layer in encoder]
    got = [len(layer.bias) for layer in decoder]
    mirrored = [*reversed(widths), channels]
    if got != mirrored:
        raise refuse(
            decoder[-1].step,
            f"the decoder's convolutions have {', '.join(map(str, got))} filters, as a mirror "
            f"image of the encoder they have {', '.join(map(str, mirrored))}.",
        )
    for layer in decoder:
        if layer.weight.shape[2:] != encoder[0].weight.shape[2:]:
            raise refuse(layer.step, "kernels have to be as large as the encoder's.")


def _unscaled(chain: _Chain, last: Conv, scaled: Wire | None) -> Conv:
    """The last convolution in scaled units."""
    wire, weight = Wire(last.step), last.weight.reshape(len(last.bias), -1)
    flat = Dense(last.step, weight, last.bias, last.activation, wire)
    head = Head([flat], None, scaled, wire)
    _, (layer,) = unscaled(chain.front.scaling, head)
    return last._replace(weight=layer.weight.reshape(last.weight.shape), bias=layer.bias)


def _parameters(encoder: list[Conv], pool: int) -> dict[str, Any]:
    return {
        "filters": tuple(len(layer.bias) for layer in encoder),
        "kernel_size": encoder[0].weight.shape[2],
        "pool_size": pool,
        "activation": one_activation(encoder, "convolutions of the encoder", "relu"),
    }


def _weights(prefix: str, layers: list[Conv]) -> dict[str, Array]:
    named = {}
    for depth, layer in enumerate(layers):
        named[f"{prefix}convolutions.{depth}.weight"] = layer.weight
        named[f"{prefix}convolutions.{depth}.bias"] = layer.bias
    return named
