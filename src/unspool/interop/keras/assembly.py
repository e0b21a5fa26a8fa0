"""From the LSTM layers and dense layers of a Keras model to parameters and weights of ours."""

from dataclasses import dataclass
from typing import Any

from unspool.blueprint.layers import DECODERS
from unspool.interop.keras.graph import Wire, refuse
from unspool.interop.keras.layers import Array, Dense, Recurrent, read_scaling
from unspool.interop.keras.traversal import (
    Found,
    Front,
    Head,
    dense_weights,
    number_of,
    one_activation,
    unscaled,
)


@dataclass
class Branch:
    """What leads from the code to one output.

    Parameters
    ----------
    decoder : str or None
        Its name in `DECODERS`, or "dense"; None where the code itself is the output.
    code : tuple of Wire
        The code, or the states that a decoder starts from.
    layers : list of Recurrent
    head : Head
    steps : int, optional
        That it writes.
    second : Wire, optional
        What it reads besides.
    code_last : bool
        Whether the code follows on what it reads besides, instead of coming first.
    pieces : int, optional
        That the code is cut into.
    forecast : bool
        Whether it goes on after the end of the input.
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


@dataclass
class Encoder:
    """The LSTM layers that a code comes from, and the linear layer behind them, if any."""

    layers: list[Recurrent]
    projection: Dense | None
    front: Front

    @property
    def n_features(self) -> int:
        """Of a step of its input."""
        return number_of(self.front.input.shape[1], self.front.input.step, "features")


def assembled(encoder: Encoder, branches: list[Branch], max_length: int) -> Found:
    """An autoencoder, a forecaster, both in one, or an encoder alone."""
    named = {
        "forecast" if branch.forecast else "reconstruction": branch
        for branch in branches
        if branch.decoder is not None
    }
    weights, n_features = encoder_weights(encoder), encoder.n_features
    parameters = _encoder_parameters(encoder, branches) | _decoder_parameters(encoder, named)
    fitted = _fitted(encoder, max_length, part="model" if named else "encoder")
    scaling = read_scaling(encoder.front.scaling.step) if encoder.front.scaling else None
    for name, branch in named.items():
        _check_stack(encoder, branch)
        _, layers = unscaled(encoder.front.scaling, branch.head)
        steps, axes = _written(branch, n_features)
        if name == "forecast":
            fitted |= {"horizon": steps, "y_ndim": axes}
            parameters["horizon"] = steps
        weights |= _decoder_weights(f"decoders.{name}.", branch, n_features)
        weights |= dense_weights(f"decoders.{name}.head.", layers)
    alone = not named and branches[0].head
    if alone and (alone.shape is not None or alone.scaling is not None):
        raise refuse((alone.scaling or alone.base).step, "a code is neither reshaped nor scaled.")
    model = "LSTMAutoencoder"
    if list(named) == ["forecast"]:
        model = "LSTMForecaster"
        del parameters["n_kernels"]
        parameters |= {"normalization": "none", "linear_steps": 0, "dropout": 0.0}
    return Found(model, parameters, fitted, weights, scaling)


def classifier(encoder: Encoder, head: Head, max_length: int) -> Found:
    """A softmax on the code of an encoder."""
    scaling = read_scaling(encoder.front.scaling.step) if encoder.front.scaling else None
    weights = encoder_weights(encoder)
    fitted = _fitted(encoder, max_length, part="encoder")
    parameters = _encoder_parameters(encoder, [])
    found = Found("LSTMAutoencoder", parameters, fitted, weights, scaling)
    return found.with_classes(head)


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
    if any(layer.units != last.units for layer in layers):
        widths = ", ".join(str(layer.units) for layer in layers)
        raise refuse(last.step, f"the encoder's layers have {widths} units; they have to be alike.")
    if any(len(layer.halves) != len(last.halves) for layer in layers):
        raise refuse(last.step, "some of the encoder's layers read both ways, others do not.")
    whole = any(len(branch.code) > 1 for branch in branches)
    width = last.units * len(last.halves)
    latent = 2 * len(layers) * width if whole else width
    if encoder.projection is not None:
        latent = encoder.projection.width
    every = [*layers, *(layer for branch in branches for layer in branch.layers)]
    gates = {layer.recurrent_activation for layer in every}
    if len(gates) > 1:
        raise refuse(every[-1].step, "the LSTM layers have unlike gates (recurrent_activation).")
    return {
        "latent_dim": latent,
        "units": None if last.units == latent else last.units,
        "num_layers": len(layers),
        "bidirectional": len(last.halves) == 2,
        "patch_size": 1,
        "pooling": "last",
        "n_kernels": 0,
        "input_dropout": 0.0,
        "activation": one_activation(every, "LSTM layers", "tanh"),
        "recurrent_activation": gates.pop(),
    }


def _decoder_parameters(encoder: Encoder, named: dict[str, Branch]) -> dict[str, Any]:
    """Those of all decoders, which share everything but their names."""
    if not named:
        return {}
    first, *others = named.values()
    layers = [layer for branch in named.values() for layer in branch.layers]
    units = {layer.units for layer in layers} - {encoder.layers[-1].units}
    if units and len({layer.units for layer in layers}) > 1:
        widths = ", ".join(str(layer.units) for layer in layers)
        raise refuse(
            layers[-1].step, f"the decoder's layers have {widths} units; they have to be alike."
        )
    heads = {_head_parameters(branch.head) for branch in named.values()}
    if len(heads) > 1:
        raise refuse(
            others[0].head.layers[-1].step if others[0].head.layers else others[0].head.base.step,
            "the dense layers of the two outputs are unlike; widths and activations have to be the "
            "same.",
        )
    head_units, head_activation, output_activation = heads.pop()
    found = {
        "decoder": first.decoder,
        "decoder_units": units.pop() if units else None,
        "head_units": head_units,
        "head_activation": head_activation,
        "output_activation": output_activation,
    }
    if others and others[0].decoder != first.decoder:
        found["forecast_decoder"] = others[0].decoder
    return found


def _head_parameters(head: Head) -> tuple[tuple[int, ...] | None, str, str]:
    """`head_units`, `head_activation` and `output_activation`."""
    if not head.layers:
        return None, "relu", "linear"
    *between, last = head.layers
    inner = one_activation(between, "dense layers before the last", "relu")
    return tuple(layer.width for layer in between), inner, last.activation


def _check_stack(encoder: Encoder, branch: Branch) -> None:
    """A decoder has as many layers and directions as the encoder."""
    if not branch.layers:
        return
    assert branch.decoder is not None
    kind, last = DECODERS[branch.decoder], branch.layers[-1]
    if len(branch.layers) != len(encoder.layers):
        raise refuse(
            last.step,
            f"the decoder has {len(branch.layers)} LSTM layers, the encoder {len(encoder.layers)}; "
            "they have to be as many.",
        )
    halves = len(encoder.layers[0].halves) if kind.both_ways else 1
    for layer in branch.layers:
        if len(layer.halves) != halves:
            wanted = "both directions, as the encoder" if halves == 2 else "one direction"
            raise refuse(layer.step, f"this decoder has to run in {wanted}.")
    if branch.head.base.output:
        raise refuse(last.step, "its output has to be that of its steps, not its final state.")
    if last.sequences == kind.flat:
        raise refuse(last.step, f"it needs return_sequences={not kind.flat}.")


def _written(branch: Branch, n_features: int) -> tuple[int, int]:
    """Steps of an output, and how many axes it has with the batch."""
    head, last = branch.head, branch.head.base.step
    width = len(branch.layers[-1].halves) * branch.layers[-1].units if branch.layers else 0
    width = head.layers[-1].width if head.layers else width
    last = head.layers[-1].step if head.layers else last
    steps: int | None
    bound = branch.decoder in ("dense", "flat")
    if bound and head.shape is None:
        if n_features not in (1, width):
            raise refuse(
                last,
                f"{width} numbers are not one step of {n_features} features; put a Reshape to "
                "(steps, features) behind it.",
            )
        steps = width if n_features == 1 else 1
        if branch.decoder == "dense":
            return number_of(steps, last, "steps"), 2
    elif bound:
        steps, features = head.shape if head.shape and len(head.shape) == 2 else (None, None)
        if features != n_features:
            raise refuse(last, f"expected a Reshape to (steps, {n_features}), got {head.shape}.")
    elif head.shape is not None or width != n_features:
        raise refuse(last, f"expected {n_features} features at every step, got {width}.")
    else:
        steps = branch.steps
    if branch.decoder == "flat" and steps != branch.pieces:
        raise refuse(
            last, f"the code is cut into {branch.pieces} pieces, and {steps} steps are written; "
            "there have to be as many."
        )  # fmt: skip
    return number_of(steps, last, "steps"), 3


def encoder_weights(encoder: Encoder) -> dict[str, Array]:
    """Weights of the encoder by their names in the module."""
    weights = {}
    for depth, layer in enumerate(encoder.layers):
        for direction, half in enumerate(layer.halves):
            prefix = f"encoder.lstm.layers.{depth}.{direction}."
            weights[f"{prefix}weight_ih"] = half.w_ih
            weights[f"{prefix}weight_hh"] = half.w_hh
            weights[f"{prefix}bias"] = half.bias
    if encoder.projection is not None:
        weights["encoder.projection.weight"] = encoder.projection.weight
        weights["encoder.projection.bias"] = encoder.projection.bias
    return weights


def _decoder_weights(prefix: str, branch: Branch, n_features: int) -> dict[str, Array]:
    """Weights of a decoder's LSTM layers; a kernel may be that of the code and that of an input."""
    weights = {}
    for depth, layer in enumerate(branch.layers):
        for direction, half in enumerate(layer.halves):
            name = f"{prefix}lstm.layers.{depth}.{direction}."
            weights[f"{name}weight_hh"], weights[f"{name}bias"] = half.w_hh, half.bias
            kernel = half.w_ih
            assert branch.decoder is not None
            kind = DECODERS[branch.decoder]
            if depth == 0 and kind.code == "context":
                wide = n_features if kind.reads else 0
                cut = wide if branch.code_last else kernel.shape[1] - wide
                first, second = kernel[:, :cut].copy(), kernel[:, cut:].copy()
                code, kernel = (second, first) if branch.code_last else (first, second)
                weights[f"{name}weight_context"] = code
            if depth or kind.reads or kind.code == "steps":
                weights[f"{name}weight_ih"] = kernel
    return weights
