"""Conversion of the recurrent and dense layers of a Keras model to parameters and weights."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from unspool._types import Directions, PoolingName
from unspool.blueprint.layers import DECODERS, POOLINGS
from unspool.interop.imported import ReadModel, Scaling
from unspool.interop.keras.dropout import common_rate
from unspool.interop.keras.graph import Node, Wire, refuse
from unspool.interop.keras.reading_layers import Array, Dense, Recurrent, read_scaling
from unspool.interop.keras.step_convolutions import StepConv, parameters_of, weights_of
from unspool.interop.keras.traversal import (
    Head,
    InputPath,
    common_activation,
    dense_weights,
    in_scaled_units,
    known_size,
    with_classes,
)


@dataclass
class Branch:
    """The layers from the code to one output.

    Parameters
    ----------
    decoder : str or None
        Name in `DECODERS`, or "dense"; None if the code is the output.
    code : tuple of Wire
        The code, or the states that a decoder starts from.
    layers : list of Recurrent
        LSTM or GRU layers of the decoder.
    head : Head
        Dense layers after the LSTM layers.
    steps : int, optional
        Number of steps of the output.
    second : Wire, optional
        Second input of the decoder.
    code_last : bool
        Whether the code is concatenated after the second input instead of before it.
    pieces : int, optional
        Number of pieces that the code is split into.
    forecast : bool
        Whether the output is a forecast.
    code_dropout : float
        Rate of the dropout of the code.
    every_step : bool
        Whether the layers write an output at each step of the input.
    """

    decoder: str | None
    code: tuple[Wire, ...]
    layers: list[Recurrent]
    head: Head
    steps: int | None = None
    second: Wire | None = None
    code_last: bool = False
    pieces: int | None = None
    forecast: bool = False
    code_dropout: float = 0.0
    every_step: bool = False


@dataclass
class Encoder:
    """The LSTM or GRU layers of an encoder, and the layers before and after them, if any."""

    layers: list[Recurrent]
    projection: Dense | None
    input_path: InputPath
    pooling: PoolingName = "last"
    convolutions: list[StepConv] = field(default_factory=list)

    @property
    def width(self) -> int:
        """Length of the pooled states."""
        last = self.layers[-1]
        return last.units * len(last.directions) * len(POOLINGS[self.pooling])

    @property
    def n_features(self) -> int:
        """Number of features of a step of the input."""
        return known_size(
            self.input_path.input.shape[1], self.input_path.input.node, "its number of features"
        )


def build_model(encoder: Encoder, branches: list[Branch], max_length: int) -> ReadModel:
    """Build an autoencoder, a forecaster, a composite model, or an encoder alone."""
    named = {
        "forecast" if branch.forecast else "reconstruction": branch
        for branch in branches
        if branch.decoder is not None
    }
    weights, n_features = encoder_weights(encoder), encoder.n_features
    parameters = _encoder_parameters(encoder, branches) | _decoder_parameters(encoder, named)
    fitted = _fitted(encoder, max_length, part="model" if named else "encoder")
    scaling = read_scaling(encoder.input_path.scaling.node) if encoder.input_path.scaling else None
    n_responses, response_scaling = 0, None
    for name, branch in named.items():
        _check_stack(encoder, branch)
        output = _written(branch, n_features)
        steps, axes = output.steps, output.axes
        if output.features == n_features:
            _, layers = in_scaled_units(encoder.input_path.scaling, branch.head)
        else:
            _check_quantity(branch, output, n_features, alone=len(named) == 1)
            n_responses, layers = output.features, branch.head.layers
            response_scaling = _scaling_of(branch.head)
        if name == "forecast":
            fitted |= {"horizon": steps, "y_ndim": axes}
            parameters["horizon"] = steps
        weights |= _decoder_weights(f"decoders.{name}.", branch, n_features, encoder)
        weights |= dense_weights(f"decoders.{name}.head.", layers)
    alone = not named and branches[0].head
    if alone and (alone.shape is not None or alone.scaling is not None):
        raise refuse(
            (alone.scaling or alone.base).node, "a code must be neither reshaped nor scaled."
        )
    model = "LSTMAutoencoder"
    if list(named) == ["forecast"]:
        model = "LSTMForecaster"
        del parameters["n_kernels"]
        parameters |= {"normalization": "none", "linear_steps": 0}
    if any(branch.every_step for branch in branches) and not n_responses:
        parameters["every_step"] = True
    if n_responses:
        fitted["n_responses"], parameters["targets"] = n_responses, "y"
    return ReadModel(model, parameters, fitted, weights, scaling, response_scaling=response_scaling)


def build_classifier(encoder: Encoder, head: Head, max_length: int) -> ReadModel:
    """Build a classifier: dense layers with a softmax on the code of an encoder."""
    scaling = read_scaling(encoder.input_path.scaling.node) if encoder.input_path.scaling else None
    weights = encoder_weights(encoder)
    fitted = _fitted(encoder, max_length, part="encoder")
    parameters = _encoder_parameters(encoder, [])
    encoder_model = ReadModel("LSTMAutoencoder", parameters, fitted, weights, scaling)
    return with_classes(encoder_model, head)


def _fitted(encoder: Encoder, max_length: int, *, part: str) -> dict[str, Any]:
    n_features = encoder.n_features
    return {
        "part": part,
        "n_features": n_features,
        "n_features_in": n_features,
        "table": False,
        "max_length": max_length,
    }


def _encoder_parameters(encoder: Encoder, branches: list[Branch]) -> dict[str, Any]:
    layers, last = encoder.layers, encoder.layers[-1]
    if any(len(layer.directions) != len(last.directions) for layer in layers):
        raise refuse(
            last.node,
            "only some of the encoder's layers are bidirectional; make all or none of them so.",
        )
    whole = any(len(branch.code) > 1 for branch in branches)
    latent = encoder.width
    if whole:
        latent = len(last.kind.states) * len(last.directions) * sum(layer.units for layer in layers)
    if encoder.projection is not None:
        latent = encoder.projection.width
    every = [*layers, *(layer for branch in branches for layer in branch.layers)]
    gates = {layer.recurrent_activation for layer in every}
    if len(gates) > 1:
        raise refuse(
            every[-1].node,
            "the recurrent layers differ in `recurrent_activation`; it must be the same.",
        )
    cells = {layer.cell for layer in every}
    if len(cells) > 1:
        raise refuse(
            every[-1].node, "some recurrent layers are LSTM and some GRU; they must be the same."
        )
    return {
        "latent_dim": latent,
        **_units(encoder, latent, branches),
        "bidirectional": _directions(encoder, branches),
        "code_activation": encoder.projection.activation if encoder.projection else "linear",
        "patch_size": 1,
        **parameters_of(encoder.convolutions),
        "pooling": encoder.pooling,
        "n_kernels": 0,
        "input_dropout": 0.0,
        "dropout": common_rate(
            layer.dropout
            for stack in (layers, *(branch.layers for branch in branches))
            for layer in stack[1:]
        ),
        "recurrent_dropout": common_rate(layer.recurrent_dropout for layer in every),
        "code_dropout": common_rate(branch.code_dropout for branch in branches),
        "cell": cells.pop(),
        "activation": common_activation(every, "recurrent layers", "tanh"),
        "recurrent_activation": gates.pop(),
    }


def _directions(encoder: Encoder, branches: list[Branch]) -> Directions:
    """Return which of encoder and decoders read in both directions."""
    both = len(encoder.layers[0].directions) == 2
    found = {
        len(layer.directions) == 2
        for branch in branches
        if branch.decoder is not None and branch.layers and DECODERS[branch.decoder].both_ways
        for layer in branch.layers
    } or {both}
    if len(found) > 1:
        raise refuse(
            branches[-1].layers[-1].node,
            "only some of the decoders' layers are bidirectional; make all or none of them so.",
        )
    decodes = found.pop()
    return both if both == decodes else "encoder" if both else "decoder"


def _decoder_parameters(encoder: Encoder, named: dict[str, Branch]) -> dict[str, Any]:
    """Return the parameters of the decoders, which share everything except `decoder`."""
    if not named:
        return {}
    first, *others = named.values()
    heads = {_head_parameters(branch.head) for branch in named.values()}
    if len(heads) > 1:
        raise refuse(
            others[0].head.layers[-1].node if others[0].head.layers else others[0].head.base.node,
            "the dense layers of the two outputs differ; their widths and activations must be the "
            "same.",
        )
    head_units, head_activation, output_activation = heads.pop()
    parameters = {
        "decoder": first.decoder,
        "head_units": head_units,
        "head_activation": head_activation,
        "output_activation": output_activation,
    }
    if others and others[0].decoder != first.decoder:
        parameters["forecast_decoder"] = others[0].decoder
    return parameters


def _units(encoder: Encoder, latent: int, branches: list[Branch]) -> dict[str, Any]:
    """Return `units`, `decoder_units` and `num_layers`: numbers if possible."""
    encoder_units = tuple(layer.units for layer in encoder.layers)
    stacks = {tuple(layer.units for layer in one.layers): one for one in branches if one.layers}
    if len(stacks) > 1:
        first, second, *_ = stacks
        raise refuse(
            stacks[second].layers[-1].node,
            f"the recurrent layers of the two outputs have {_listed(first)} and {_listed(second)} "
            "units; they must be the same.",
        )
    decoder = next(iter(stacks), None)
    if len(set(encoder_units)) == 1 and (decoder is None or _alike(encoder_units, decoder)):
        differs = decoder is not None and decoder[0] != encoder_units[0]
        return {
            "units": None if encoder_units[0] == latent else encoder_units[0],
            "num_layers": len(encoder_units),
            "decoder_units": decoder[0] if decoder is not None and differs else None,
        }
    mirrored = decoder is None or decoder == encoder_units[::-1]
    return {"units": encoder_units, "num_layers": 1, "decoder_units": None if mirrored else decoder}


def _alike(encoder: tuple[int, ...], decoder: tuple[int, ...]) -> bool:
    """Return whether a decoder has the encoder's number of layers, all of one width."""
    return len(set(decoder)) == 1 and len(encoder) == len(decoder)


def _listed(units: tuple[int, ...]) -> str:
    return ", ".join(map(str, units))


def _head_parameters(head: Head) -> tuple[tuple[int, ...] | None, str, str]:
    """`head_units`, `head_activation` and `output_activation`."""
    if not head.layers:
        return None, "relu", "linear"
    *between, last = head.layers
    inner = common_activation(between, "dense layers before the last", "relu")
    return tuple(layer.width for layer in between), inner, last.activation


def _check_stack(encoder: Encoder, branch: Branch) -> None:
    """Check that a decoder has the directions of the encoder, and emits what its kind emits."""
    if not branch.layers:
        return
    assert branch.decoder is not None
    kind, last = DECODERS[branch.decoder], branch.layers[-1]
    for layer in branch.layers:
        if len(layer.directions) > 1 and not kind.both_ways:
            raise refuse(
                layer.node, "this decoder must be one-directional; build it without Bidirectional."
            )
    if branch.head.base.output:
        raise refuse(last.node, "its output must be the states of its steps, not its final state.")
    if last.sequences == kind.flat:
        raise refuse(last.node, f"it needs return_sequences={not kind.flat}.")


class Output(NamedTuple):
    """What a decoder writes: steps, numbers per step, and axes with the batch."""

    steps: int
    features: int
    axes: int
    node: Node


def _written(branch: Branch, n_features: int) -> Output:
    """Return what a decoder writes for an input with `n_features` features."""
    head, last = branch.head, branch.head.base.node
    width = len(branch.layers[-1].directions) * branch.layers[-1].units if branch.layers else 0
    width = head.layers[-1].width if head.layers else width
    last = head.layers[-1].node if head.layers else last
    steps: int | None = branch.steps
    features, axes = width, 3
    if branch.decoder in ("dense", "flat"):
        if head.shape is not None:
            if len(head.shape) != 2:
                raise refuse(last, f"expected a Reshape to (steps, features), got {head.shape}.")
            steps, features = head.shape[0], known_size(head.shape[1], last, "its features")
        elif branch.decoder == "dense":
            # A layer that does not write a step of the features writes steps of one quantity.
            axes = 2
            steps, features = (1, width) if width == n_features else (width, 1)
            if steps > 1 and head.layers[-1].activation == "softmax":
                raise refuse(
                    last,
                    f"its softmax runs over all {width} outputs; add a Reshape((1, {width})) after "
                    "it if they are one step of a forecast.",
                )
            if not branch.forecast and features != n_features:
                raise refuse(
                    last,
                    f"its {width} outputs are not one step of {n_features} features; add a Reshape "
                    "to (steps, features) after it.",
                )
        elif n_features in (1, width):
            steps, features = (width, 1) if n_features == 1 else (1, width)
        else:
            raise refuse(
                last,
                f"its {width} outputs are not one step of {n_features} features; add a Reshape to "
                "(steps, features) after it.",
            )
    if branch.decoder == "flat" and steps != branch.pieces:
        raise refuse(
            last,
            f"the code is split into {branch.pieces} pieces, but the output has {steps} steps; "
            "the two numbers must be the same.",
        )
    return Output(known_size(steps, last, "its number of steps"), features, axes, last)


def _check_quantity(branch: Branch, output: Output, n_features: int, *, alone: bool) -> None:
    """Refuse an output of other quantities than the features, unless it is the only forecast."""
    if alone and branch.forecast:
        return
    each = f"its outputs per step are {output.features}, but the input has {n_features} features"
    if not alone:
        raise refuse(
            output.node, f"{each}; in a model of two outputs both must have those of the input."
        )
    raise refuse(
        output.node,
        f"{each}; use forecast=True if they are to be predicted from the input (the `y` of an "
        "LSTMForecaster). For a reconstruction of some features, train an LSTMAutoencoder "
        "with `targets` instead.",
    )


def _scaling_of(head: Head) -> Scaling | None:
    """Return the scaling of an output, which the last layer of a head undoes."""
    if head.scaling is None:
        return None
    shift, scale = read_scaling(head.scaling.node)
    return -shift / scale, 1 / scale


def encoder_weights(encoder: Encoder) -> dict[str, Array]:
    """Return the weights of the encoder by their names in the module."""
    weights = weights_of(encoder.convolutions)
    for depth, layer in enumerate(encoder.layers):
        for direction, part in enumerate(layer.directions):
            prefix = f"encoder.lstm.layers.{depth}.{direction}."
            weights[f"{prefix}weight_ih"] = part.w_ih
            weights[f"{prefix}weight_hh"] = part.w_hh
            weights[f"{prefix}bias"] = part.bias
    if encoder.projection is not None:
        weights["encoder.projection.weight"] = encoder.projection.weight
        weights["encoder.projection.bias"] = encoder.projection.bias
    return weights


def _decoder_weights(
    prefix: str, branch: Branch, n_features: int, encoder: Encoder
) -> dict[str, Array]:
    """Return the weights of a decoder's LSTM; a kernel may be split into code and input.

    With "state_repeat" the code is the whole state of the encoder, but the kernel reads the hidden
    state of the last layer alone.
    """
    weights = {}
    for depth, layer in enumerate(branch.layers):
        for direction, part in enumerate(layer.directions):
            name = f"{prefix}lstm.layers.{depth}.{direction}."
            weights[f"{name}weight_hh"], weights[f"{name}bias"] = part.w_hh, part.bias
            kernel = part.w_ih
            assert branch.decoder is not None
            kind = DECODERS[branch.decoder]
            if depth == 0 and kind.repeats:
                input_width = n_features if kind.reads else 0
                cut = input_width if branch.code_last else kernel.shape[1] - input_width
                first, second = kernel[:, :cut].copy(), kernel[:, cut:].copy()
                code, kernel = (second, first) if branch.code_last else (first, second)
                if kind.starts:
                    widths = [one.units * len(one.directions) for one in encoder.layers]
                    whole = len(encoder.layers[0].kind.states) * sum(widths)
                    hidden = slice(sum(widths[:-1]), sum(widths))
                    part_of_state, code = code, np.zeros((len(code), whole), np.float32)
                    code[:, hidden] = part_of_state
                weights[f"{name}weight_context"] = code
            if depth or kind.reads or kind.code == "steps":
                weights[f"{name}weight_ih"] = kernel
    return weights
