"""Building an autoencoder, a forecaster or a classifier from the modules of a state dict."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from unspool._types import ActivationName, Directions, LSTMDecoderName, PoolingName, TorchTask
from unspool.blueprint.cells import CELLS
from unspool.blueprint.layers import DECODERS, POOLINGS
from unspool.errors import InputError
from unspool.interop.imported import ReadModel, Scaling
from unspool.interop.torch.roles import Roles
from unspool.interop.torch.state_file import Array
from unspool.interop.torch.state_modules import Linear, Modules, Recurrent, RecurrentLayer

ScalingGiven = tuple[npt.ArrayLike | None, npt.ArrayLike | None]


class Wiring(NamedTuple):
    """How the parts of a module are connected; see the parameters of `from_torch`."""

    max_length: int
    task: TorchTask | None = None
    decoder_kind: LSTMDecoderName | None = None
    horizon: int | None = None
    pooling: PoolingName = "last"
    reverse_target: bool = False
    head_activation: ActivationName = "relu"
    output_activation: ActivationName = "linear"
    scaling: ScalingGiven = (None, None)
    target_scaling: ScalingGiven = (None, None)


def read_model(modules: Modules, roles: Roles, wiring: Wiring) -> ReadModel:
    """Return everything that the estimator of a module is made of."""
    encoder = _stack(modules, roles.encoder, "encoder")
    decoder = _stack(modules, roles.decoder, "decoder")
    head = [_linear(modules, name) for name in roles.head]
    task = wiring.task or ("reconstruction" if decoder else "forecast" if head else None)
    _check_options(roles, wiring, task)
    n_features, kind = encoder[0].inputs, _kind(roles, wiring, encoder, decoder, modules)
    reads_state = kind is not None and DECODERS[kind].code == "state"
    width = encoder[-1].width * len(POOLINGS[wiring.pooling])
    if reads_state:
        width = len(CELLS[encoder[0].cell].states) * sum(layer.width for layer in encoder)
    latent, weights = width, _recurrent_weights("encoder.lstm.", encoder)
    if roles.code:
        code = _linear(modules, roles.code[0])
        _check_reads(code.name, code.weight.shape[1], width, "the encoder's last state")
        latent = len(code.weight)
        if latent == width:
            raise InputError(
                f"{code.name!r} has {width} inputs and outputs, but the linear layer that makes "
                "the code must change the width; give it another number of outputs."
            )
        weights |= {
            "encoder.projection.weight": code.weight,
            "encoder.projection.bias": code.bias,
        }
    every = [*encoder, *decoder]
    if len({layer.cell for layer in every}) > 1:
        raise InputError("some layers are LSTM and some GRU; all must have the same cell.")
    parameters = {
        "latent_dim": latent,
        **_units(encoder, decoder, latent),
        "bidirectional": _directions(encoder, decoder, roles),
        "patch_size": 1,
        "pooling": wiring.pooling,
        "n_kernels": 0,
        "input_dropout": 0.0,
        "cell": encoder[0].cell,
    }
    fitted = {
        "part": "encoder" if task in (None, "classification") else "model",
        "n_features": n_features,
        "n_features_in": n_features,
        "table": False,
        "max_length": wiring.max_length,
    }
    read = ReadModel("LSTMAutoencoder", parameters, fitted, weights, _scaling(wiring, n_features))
    if task is None:
        return read
    if task == "classification":
        return _with_classes(read, head, latent, wiring)
    return _with_decoder(read, modules, roles, wiring, task, kind, decoder, head)


def _with_classes(read: ReadModel, head: list[Linear], latent: int, wiring: Wiring) -> ReadModel:
    """Add a classifier's head to an encoder."""
    _head_widths(head, latent, "the code")
    read.classes = len(head[-1].weight)
    read.head = {
        "head_units": tuple(len(layer.weight) for layer in head[:-1]),
        "head_activation": wiring.head_activation,
    }
    read.weights |= _linear_weights("head.", head)
    return read


def _with_decoder(
    read: ReadModel,
    modules: Modules,
    roles: Roles,
    wiring: Wiring,
    task: TorchTask,
    kind: LSTMDecoderName | None,
    decoder: list[RecurrentLayer],
    head: list[Linear],
) -> ReadModel:
    """Add the decoder of a reconstruction or a forecast."""
    n_features, latent = read.fitted["n_features"], read.parameters["latent_dim"]
    base = decoder[-1].width if decoder else latent
    outputs = _head_widths(head, base, "the decoder's states" if decoder else "the code")
    steps, quantities, axes = _sizes(outputs, n_features, bool(decoder), task, wiring, roles)
    parameters, fitted = read.parameters, read.fitted
    parameters |= {
        "decoder": kind or "dense",
        "head_units": tuple(len(layer.weight) for layer in head[:-1]) if head else None,
        "head_activation": wiring.head_activation,
        "output_activation": wiring.output_activation,
    }
    if task == "reconstruction":
        parameters["reverse_target"] = wiring.reverse_target
        fitted["max_length"] = steps
        prefix = "decoders.reconstruction."
    else:
        read.model, prefix = "LSTMForecaster", "decoders.forecast."
        del parameters["n_kernels"]
        parameters |= {"normalization": "none", "linear_steps": 0, "horizon": steps}
        fitted |= {"horizon": steps, "y_ndim": axes}
        if quantities != n_features:
            parameters["targets"], fitted["n_responses"] = "y", quantities
            read.response_scaling = _pair("target_", wiring.target_scaling, quantities)
    if "n_responses" not in fitted and _is_given(wiring.target_scaling):
        raise InputError(
            "`target_mean` and `target_scale` are for forecasts that are no features of the input; "
            "the outputs of this model have `mean` and `scale`."
        )
    if decoder:
        read.weights |= _decoder_weights(f"{prefix}lstm.", modules, roles, kind, decoder, latent)
    read.weights |= _linear_weights(f"{prefix}head.", head)
    return read


def _sizes(
    outputs: int, n_features: int, decodes: bool, task: TorchTask, wiring: Wiring, roles: Roles
) -> tuple[int, int, int]:
    """Return steps, numbers per step and axes of the output; see `from_torch`."""
    where = f"{roles.head[-1]!r} has {outputs} outputs" if roles.head else f"{outputs} outputs"
    if decodes:
        if task == "reconstruction":
            steps = wiring.max_length
        elif wiring.horizon is None:
            raise InputError("A forecast by a decoder needs `horizon`, its number of steps.")
        else:
            steps = wiring.horizon
        quantities, axes = outputs, 3
    elif task == "reconstruction":
        steps, quantities, axes = outputs // n_features, n_features, 3
        if outputs != wiring.max_length * n_features:
            raise InputError(
                f"{where}, expected max_length · F = {wiring.max_length} · {n_features} for a "
                "reconstruction."
            )
    elif wiring.horizon is not None:
        steps, axes = wiring.horizon, 3
        quantities = outputs // steps
        if outputs != steps * quantities or not quantities:
            raise InputError(f"{where}, which is not a multiple of `horizon` {steps}.")
    else:
        axes = 2
        steps, quantities = (1, outputs) if outputs == n_features else (outputs, 1)
    if task == "reconstruction" and quantities != n_features:
        raise InputError(
            f"{where} per step, but the input has {n_features} features; use task='forecast' with "
            "`horizon` if it predicts another quantity."
        )
    return steps, quantities, axes


def _stack(modules: Modules, names: list[str], part: str) -> list[RecurrentLayer]:
    """Return the layers of several modules, first to last."""
    layers: list[RecurrentLayer] = []
    for name in names:
        module = modules[name]
        assert isinstance(module, Recurrent)
        if layers:
            _check_reads(name, module.layers[0].inputs, layers[-1].width, f"the {part} before it")
        layers.extend(module.layers)
    return layers


def _directions(
    encoder: list[RecurrentLayer], decoder: list[RecurrentLayer], roles: Roles
) -> Directions:
    """Return which parts are bidirectional; within a part, all layers or none must be."""
    found = []
    for layers, names in ((encoder, roles.encoder), (decoder, roles.decoder)):
        directions = {len(layer.directions) for layer in layers}
        if len(directions) > 1:
            raise InputError(
                f"only some layers of {', '.join(names)} are bidirectional; make all or none of "
                "them so."
            )
        found.append(directions == {2})
    both, alone = found
    if not decoder or both == alone:
        return both
    return "encoder" if both else "decoder"


def _check_reads(name: str, reads: int, width: int, what: str) -> None:
    if reads != width:
        raise InputError(
            f"{name!r} reads {reads} features, but {what} has {width}; check the parts and their "
            "order."
        )


def _check_options(roles: Roles, wiring: Wiring, task: TorchTask | None) -> None:
    """Refuse options and parts that the task does not have."""
    if task is None and _is_given(wiring.target_scaling):
        raise InputError(
            "`target_mean` and `target_scale` need a forecast, but there is no head; name the "
            "`head`, or leave them out."
        )
    if task == "classification" and (roles.decoder or not roles.head):
        raise InputError("A classifier has a `head` and no `decoder`.")
    if task is not None and not (roles.decoder or roles.head):
        raise InputError(f"task={task!r} needs a `decoder` or a `head`; name the modules of one.")
    if wiring.horizon is not None and task != "forecast":
        raise InputError("`horizon` is for forecasts; add task='forecast', or leave it out.")
    if wiring.reverse_target and task != "reconstruction":
        raise InputError("`reverse_target` is for reconstructions; leave it out.")
    if not roles.decoder and (wiring.decoder_kind or roles.decoder_input or wiring.reverse_target):
        raise InputError(
            "`decoder_kind`, `decoder_input` and `reverse_target` need a `decoder`, an nn.LSTM or "
            "nn.GRU."
        )


def _kind(
    roles: Roles,
    wiring: Wiring,
    encoder: list[RecurrentLayer],
    decoder: list[RecurrentLayer],
    modules: Modules,
) -> LSTMDecoderName | None:
    """Return how a decoder receives its code, after a check of its sizes."""
    if not decoder:
        return None
    n_features, latent = encoder[0].inputs, encoder[-1].width * len(POOLINGS[wiring.pooling])
    for name in (*roles.code, *roles.decoder_input):
        latent = len(_linear(modules, name).weight)
    kind, reads, first = wiring.decoder_kind, decoder[0].inputs, roles.decoder[0]
    if kind is None:
        if reads != latent:
            raise InputError(
                f"{first!r} reads {reads} features, but the code has {latent}, so it does not read "
                "the code alone; say what it reads with `decoder_kind`, for example "
                "'state_previous'."
            )
        return "repeat"
    description = DECODERS[kind]
    if description.code == "state":
        if roles.code or roles.decoder_input:
            raise InputError(
                f"decoder_kind={kind!r} starts from the final state of the encoder, without a "
                "linear layer between; `code` and `decoder_input` cannot be used."
            )
        sizes = [(layer.units, len(layer.directions)) for layer in encoder]
        if sizes != [(layer.units, len(layer.directions)) for layer in decoder]:
            raise InputError(
                f"decoder_kind={kind!r} starts each layer from the state of the same layer of the "
                "encoder; both need the same numbers of units."
            )
        if description.reads and reads != n_features:
            raise InputError(
                f"{first!r} reads {reads} features, but decoder_kind={kind!r} reads the "
                f"{n_features} features of the input."
            )
        if wiring.pooling != "last":
            raise InputError(f"decoder_kind={kind!r} needs pooling='last'.")
    elif reads != latent + (n_features if description.reads else 0):
        expected = f"{latent} + {n_features}" if description.reads else str(latent)
        raise InputError(
            f"{first!r} reads {reads} features, but decoder_kind={kind!r} reads {expected}."
        )
    if len(decoder[0].directions) == 2 and (wiring.reverse_target or not description.both_ways):
        raise InputError(
            f"{first!r} is bidirectional, but decoder_kind={kind!r} or `reverse_target` needs one "
            "direction."
        )
    return kind


def _units(
    encoder: list[RecurrentLayer], decoder: list[RecurrentLayer], latent: int
) -> dict[str, Any]:
    """Return `units`, `decoder_units` and `num_layers`: numbers if possible."""
    first = tuple(layer.units for layer in encoder)
    second = tuple(layer.units for layer in decoder)
    alike = not second or (len(second) == len(first) and len(set(second)) == 1)
    if len(set(first)) == 1 and alike:
        differs = bool(second) and second[0] != first[0]
        return {
            "units": None if first[0] == latent else first[0],
            "num_layers": len(first),
            "decoder_units": second[0] if differs else None,
        }
    mirrored = not second or second == first[::-1]
    return {"units": first, "num_layers": 1, "decoder_units": None if mirrored else second}


def _recurrent_weights(prefix: str, layers: list[RecurrentLayer]) -> dict[str, Array]:
    """Return the weights of a stack by their names in the module."""
    weights = {}
    for depth, layer in enumerate(layers):
        for direction, part in enumerate(layer.directions):
            for name, array in zip(("weight_ih", "weight_hh", "bias"), part, strict=True):
                weights[f"{prefix}layers.{depth}.{direction}.{name}"] = array
    return weights


def _decoder_weights(
    prefix: str,
    modules: Modules,
    roles: Roles,
    kind: LSTMDecoderName | None,
    layers: list[RecurrentLayer],
    latent: int,
) -> dict[str, Array]:
    """Return the weights of a decoder; its first kernel is split into code and input."""
    assert kind is not None
    weights = _recurrent_weights(prefix, layers)
    for direction in range(len(layers[0].directions)):
        name = f"{prefix}layers.0.{direction}."
        if DECODERS[kind].code == "state":
            if DECODERS[kind].reads is None:
                del weights[f"{name}weight_ih"]
            continue
        kernel = weights.pop(f"{name}weight_ih")
        width = latent
        if roles.decoder_input:
            linear = _linear(modules, roles.decoder_input[0])
            _check_reads(linear.name, linear.weight.shape[1], latent, "the code")
            width = len(linear.weight)
        context, rest = kernel[:, :width], kernel[:, width:]
        if roles.decoder_input:  # the product of two linear maps is one
            bias = np.zeros_like(weights[f"{name}bias"], np.float64)
            bias[: len(kernel)] = context.astype(np.float64) @ linear.bias
            weights[f"{name}bias"] = (weights[f"{name}bias"] + bias).astype(np.float32)
            context = (context.astype(np.float64) @ linear.weight).astype(np.float32)
        weights[f"{name}weight_context"] = np.ascontiguousarray(context)
        if rest.shape[1]:
            weights[f"{name}weight_ih"] = np.ascontiguousarray(rest)
    return weights


def _linear(modules: Modules, name: str) -> Linear:
    module = modules[name]
    assert isinstance(module, Linear)
    return module


def _head_widths(head: list[Linear], inputs: int, what: str) -> int:
    """Return the number of outputs of a head, after a check of its widths."""
    for layer in head:
        _check_reads(layer.name, layer.weight.shape[1], inputs, what)
        inputs, what = len(layer.weight), "the layer before it"
    return inputs


def _linear_weights(prefix: str, layers: list[Linear]) -> dict[str, Array]:
    """Return the weights of linear layers, named as in a `torch.nn.Sequential`."""
    weights = {}
    for depth, layer in enumerate(layers):
        weights[f"{prefix}{2 * depth}.weight"] = layer.weight
        weights[f"{prefix}{2 * depth}.bias"] = layer.bias
    return weights


def _scaling(wiring: Wiring, n_features: int) -> Scaling | None:
    return _pair("", wiring.scaling, n_features)


def _is_given(scaling: ScalingGiven) -> bool:
    return any(value is not None for value in scaling)


def _pair(prefix: str, given: ScalingGiven, width: int) -> Scaling | None:
    """Return mean and scale as arrays of `width` numbers, or None if neither is given."""
    if not _is_given(given):
        return None
    arrays = []
    for name, value, default in zip(("mean", "scale"), given, (0.0, 1.0), strict=True):
        try:
            array = np.asarray(default if value is None else value, np.float64)
            arrays.append(np.broadcast_to(array, width).copy())
        except (TypeError, ValueError):
            raise InputError(f"`{prefix}{name}` must be a number or {width} numbers.") from None
        if not np.isfinite(arrays[-1]).all() or (name == "scale" and (arrays[-1] <= 0).any()):
            raise InputError(f"`{prefix}{name}` must be finite, and a scale above 0.")
    return arrays[0], arrays[1]
