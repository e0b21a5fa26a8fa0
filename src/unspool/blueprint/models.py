"""From the parameters of an estimator to its blueprint, model by model."""

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from unspool import _checks
from unspool.blueprint.parts import (
    DECODERS,
    NORMALIZATIONS,
    POOLINGS,
    WAVES,
    Blueprint,
    ConvDecoder,
    ConvEncoder,
    Decoder,
    DenseDecoder,
    DenseEncoder,
    Head,
    Kernels,
    Layers,
    LSTMDecoder,
    LSTMEncoder,
    Skip,
    patches_of,
    sizes,
)
from unspool.data.forms import Reads
from unspool.errors import InputError

CELLS = ("tanh", "relu")
GATES = ("sigmoid", "hard_sigmoid")
ACTIVATIONS = ("linear", "relu", "tanh", "sigmoid", "elu", "gelu", "softmax")
USUAL_KERNELS = 512
DECODER_NAMES = (*DECODERS, "dense")

# `patch_size` "auto": sequences up to the first number are read step by step, of longer ones the
# LSTM reads at most the second number of patches. Files depend on both (docs/model-file.md).
LONGEST_BY_STEP, MOST_PATCHES = 64, 32

Parameters = Mapping[str, Any]


class Facts(NamedTuple):
    """What `fit` learned of the data that a model's sizes depend on.

    Parameters
    ----------
    n_features : int
    max_length : int
        Steps of the longest sequence.
    horizon : int, default 0
        Steps of the forecast.
    image_shape : (H, W, C), optional
        Of images, for a `ConvAutoencoder`.
    """

    n_features: int
    max_length: int
    horizon: int = 0
    image_shape: tuple[int, ...] | None = None


def blueprint(model: str, parameters: Parameters, facts: Facts) -> Blueprint:
    """What a model is made of.

    Parameters
    ----------
    model : str
        The estimator's class.
    parameters : mapping
        Its parameters, as `get_params` gives them, after a look at them with `complaints`.
    facts : Facts
    """
    return STRUCTURAL[model].build(parameters, facts)


def complaints(model: str, parameters: Parameters) -> list[_checks.Complaint]:
    """Look at those parameters that say what a model is made of."""
    return STRUCTURAL[model].complaints(parameters)


def _size(name: str, value: Any, *, none: bool = False) -> _checks.Complaint:
    """Look at the size of a part; what is too large is refused with its weights, see `memory`."""
    return _checks.whole(name, value, 1, most=math.inf, none=none)


def _lstm_complaints(p: Parameters) -> list[_checks.Complaint]:
    heads = p["head_units"]
    return [
        *_bare_complaints(p),
        _size("latent_dim", p["latent_dim"]),
        _size("units", p["units"], none=True),
        _size("decoder_units", p["decoder_units"], none=True),
        _size("num_layers", p["num_layers"]),
        *_patch_complaints(p),
        _checks.truth("bidirectional", p["bidirectional"]),
        _checks.choice(
            "pooling", p["pooling"], (*POOLINGS, *(["auto"] if "n_kernels" in p else []))
        ),
        _checks.choice("decoder", p["decoder"], DECODER_NAMES),
        *([] if heads is None else _checks.wholes("head_units", heads, 1)),
        _checks.choice("head_activation", p["head_activation"], ACTIVATIONS),
        _checks.choice("output_activation", p["output_activation"], ACTIVATIONS),
        _checks.choice("activation", p["activation"], CELLS),
        _checks.choice("recurrent_activation", p["recurrent_activation"], GATES),
    ]


def _bare_complaints(p: Parameters) -> list[_checks.Complaint]:
    """Look at what a decoder without LSTM, or one without dense layers, has no place for."""
    dense = [_checks.is_one(name, ["dense"]) for name in _decoders(p)]
    bare = p["head_units"] is None
    kernels = p.get("n_kernels", 0)
    return [
        "`head_units` None leaves no layer for `output_activation` "
        f"{_checks.shown(p['output_activation'])}; leave one of them as it is by default."
        if bare and not _checks.is_one(p["output_activation"], ["linear"])
        else None,
        "`head_units` None leaves nothing of a decoder 'dense', which is its dense layers; "
        "set it to ()."
        if bare and any(dense)
        else None,
        "`decoder_units` is the width of a decoder's LSTM, and a decoder 'dense' has none; "
        "leave it None."
        if p["decoder_units"] is not None and all(dense)
        else None,
        "`pooling` has to be 'last' for a decoder that starts from the encoder's whole state, got "
        f"{_checks.shown(p['pooling'])}; set it, or choose another decoder."
        if not _checks.is_one(p["pooling"], ("auto", "last"))
        and any(_from_state(name) for name in _decoders(p))
        else None,
        "`n_kernels` has to be 0 for a decoder that starts from the encoder's whole state, got "
        f"{_checks.shown(kernels)}; set it, or choose another decoder."
        if _checks.whole("n_kernels", kernels, 1, most=math.inf) is None
        and any(_from_state(name) for name in _decoders(p))
        else None,
    ]


def _patch_complaints(p: Parameters) -> list[_checks.Complaint]:
    given = p["patch_size"]
    if _checks.is_one(given, ("auto",)):
        return []
    if _size("patch_size", given) is not None:
        return [
            "`patch_size` must be 'auto' or a whole number of at least 1, got "
            f"{_checks.shown(given)}."
        ]
    if given > 1 and _checks.is_true(p.get("every_step", False)):
        return [
            "`every_step` needs the encoder's state after every step, which an LSTM that reads "
            f"patches of {given} steps does not have; set patch_size=1."
        ]
    return []


def _decoders(p: Parameters) -> list[Any]:
    """The names of the decoders that a model with these parameters has."""
    if p.get("forecast_decoder") is None or p["horizon"] is None:
        return [p["decoder"]]
    return [p["decoder"], p["forecast_decoder"]]


def _lstm_autoencoder_complaints(p: Parameters) -> list[_checks.Complaint]:
    found = [
        *_lstm_complaints(p),
        _checks.whole("n_kernels", p["n_kernels"], 0, most=math.inf, auto=True),
        _checks.truth("reverse_target", p["reverse_target"]),
        _checks.number("kl_weight", p["kl_weight"], 0, none=True),
    ]
    if p["forecast_decoder"] is not None:
        found.append(_checks.choice("forecast_decoder", p["forecast_decoder"], DECODER_NAMES))
    kind = DECODERS.get(p["decoder"]) if isinstance(p["decoder"], str) else None
    steps_in_order = kind is not None and not kind.flat and kind.reads != "reversed_input"
    if _checks.is_true(p["reverse_target"]) and not steps_in_order:
        found.append(
            f"`reverse_target` is not for decoder={_checks.shown(p['decoder'])}, which "
            "writes all steps at once, or would read at every step what it is to write."
        )
    return found


def _lstm_forecaster_complaints(p: Parameters) -> list[_checks.Complaint]:
    return [
        *_lstm_complaints(p),
        _checks.choice("normalization", p["normalization"], NORMALIZATIONS),
        _checks.whole("linear_steps", p["linear_steps"], 0),
        *_quantile_complaints(p["quantiles"]),
    ]


def _quantile_complaints(quantiles: Any) -> list[_checks.Complaint]:
    if not isinstance(quantiles, (list, tuple)):
        return [f"`quantiles` must be a list of numbers, got {_checks.shown(quantiles)}."]
    found = [_checks.number("quantiles", q, 0, 1, open_left=True) for q in quantiles]
    if not any(found) and any(low >= high for low, high in pairwise(quantiles)):
        found.append(
            f"`quantiles` must rise from each to the next, got {_checks.shown(quantiles)}."
        )
    return found


def _feedforward_complaints(p: Parameters, *activations: str) -> list[_checks.Complaint]:
    return [
        _size("latent_dim", p["latent_dim"]),
        *_checks.wholes("hidden_units", p["hidden_units"], 1),
        *(_checks.choice(name, p[name], ACTIVATIONS) for name in activations),
        _checks.number("kl_weight", p["kl_weight"], 0, none=True),
    ]


def _dense_complaints(p: Parameters) -> list[_checks.Complaint]:
    return _feedforward_complaints(p, "activation", "code_activation", "output_activation")


def _stacked_complaints(p: Parameters) -> list[_checks.Complaint]:
    return _feedforward_complaints(p, "activation", "inner_output_activation", "output_activation")


def _conv_complaints(p: Parameters) -> list[_checks.Complaint]:
    filters, shape = p["filters"], p["image_shape"]
    found = [
        _size("latent_dim", p["latent_dim"], none=True),
        *_checks.wholes("filters", filters, 1),
        _size("kernel_size", p["kernel_size"]),
        _size("pool_size", p["pool_size"]),
        _checks.choice("activation", p["activation"], ACTIVATIONS),
        _checks.choice("output_activation", p["output_activation"], ACTIVATIONS),
        _checks.number("kl_weight", p["kl_weight"], 0, none=True),
    ]
    if isinstance(filters, (list, tuple)) and not filters:
        found.append("`filters` must have at least one number, got none.")
    if shape is not None:
        found += _checks.wholes("image_shape", shape, 1)
        if isinstance(shape, (list, tuple)) and len(shape) not in (2, 3):
            found.append(f"`image_shape` must be (H, W) or (H, W, C), got {_checks.shown(shape)}.")
    return found


def _from_state(name: Any) -> bool:
    """Whether a decoder of this name starts from the encoder's whole state."""
    return isinstance(name, str) and name in DECODERS and DECODERS[name].code == "state"


def _patch_size(p: Parameters, facts: Facts) -> int:
    """Steps that the LSTM reads, and its decoder writes, at once."""
    if p["patch_size"] != "auto":
        return int(p["patch_size"])
    by_step = p.get("every_step", False) or p["head_units"] is None
    if by_step or facts.max_length <= LONGEST_BY_STEP:
        return 1
    return patches_of(facts.max_length, MOST_PATCHES)


def _lstm_encoder(p: Parameters, facts: Facts, decoders: list[str]) -> LSTMEncoder:
    whole_state, patch_size = any(map(_from_state, decoders)), _patch_size(p, facts)
    count, pooling = p.get("n_kernels", 0), p["pooling"]
    if count == "auto":
        count = 0 if whole_state else USUAL_KERNELS
    if pooling == "auto":
        pooling = "last" if whole_state else "all"
    return LSTMEncoder(
        facts.n_features,
        p["latent_dim"],
        Layers(
            patch_size * facts.n_features,
            p["units"] or p["latent_dim"],
            p["num_layers"],
            p["bidirectional"],
            0,
            p["activation"],
            p["recurrent_activation"],
        ),
        whole_state,
        p.get("kl_weight") is not None,
        pooling,
        Kernels.of(count, facts.n_features, facts.max_length) if count else None,
        patch_size,
        p.get("normalization", "none"),
    )


def _lstm_decoder(
    p: Parameters, facts: Facts, name: str, *, ahead: bool = False, reverse_target: bool = False
) -> Decoder:
    latent_dim, n_features = p["latent_dim"], facts.n_features
    steps = facts.horizon if ahead else facts.max_length
    units = None if p["head_units"] is None else tuple(p["head_units"])
    activations = p["head_activation"], p["output_activation"]
    if name == "dense":
        head = Head(latent_dim, n_features, units, steps, *activations)
        return DenseDecoder(n_features, latent_dim, head)
    kind, patch_size = DECODERS[name], _patch_size(p, facts)
    if ahead:  # of a known number of steps
        patch_size = min(patch_size, steps)
    pieces = max(1, patches_of(steps, patch_size))
    piece = -(-latent_dim // pieces) if kind.code == "steps" else 0
    reads = patch_size * n_features if kind.reads else piece
    if not reads and patch_size > 1:
        reads = 2 * WAVES
    lstm = Layers(
        reads,
        p["decoder_units"] or p["units"] or latent_dim,
        p["num_layers"],
        p["bidirectional"] and kind.both_ways and not reverse_target,
        latent_dim if kind.code == "context" else 0,
        p["activation"],
        p["recurrent_activation"],
    )
    at_once = steps if kind.flat else (patch_size if patch_size > 1 else None)
    head = Head(lstm.width, n_features, units, at_once, *activations)
    outputs = n_features * (head.steps or 1)
    if units is None and lstm.width != outputs:
        raise InputError(
            f"`head_units` None makes the decoder's state the output, which needs "
            f"{outputs} numbers, got {_checks.shown(lstm.width)}; set `decoder_units`, "
            "or head_units=() for a dense layer."
        )
    return LSTMDecoder(name, n_features, latent_dim, lstm, head, steps, reverse_target, patch_size)


def _lstm_autoencoder(p: Parameters, facts: Facts) -> Blueprint:
    name, forecast = p["decoder"], p["forecast_decoder"] or p["decoder"]
    decoders = {"reconstruction": _lstm_decoder(p, facts, name, reverse_target=p["reverse_target"])}
    if facts.horizon:
        decoders["forecast"] = _lstm_decoder(p, facts, forecast, ahead=True)
    named = [name, forecast] if facts.horizon else [name]
    return Blueprint(_lstm_encoder(p, facts, named), decoders, facts.horizon)


def _lstm_forecaster(p: Parameters, facts: Facts) -> Blueprint:
    decoders = {"forecast": _lstm_decoder(p, facts, p["decoder"], ahead=True)}
    if p["quantiles"]:
        outputs = facts.n_features * len(p["quantiles"])
        head = Head(p["latent_dim"], outputs, (), facts.horizon)
        decoders["quantiles"] = DenseDecoder(outputs, p["latent_dim"], head)
    skip, steps = None, min(int(p["linear_steps"]), facts.max_length)
    if steps or p["normalization"] != "none":
        skip = Skip(facts.n_features, facts.horizon, steps, p["normalization"])
    encoder = _lstm_encoder(p, facts, [p["decoder"]])
    return Blueprint(encoder, decoders, facts.horizon, skip)


def _dense(p: Parameters, facts: Facts) -> Blueprint:
    return _feedforward(p, facts, p["code_activation"], p["activation"])


def _stacked(p: Parameters, facts: Facts) -> Blueprint:
    return _feedforward(p, facts, p["activation"], p["inner_output_activation"])


def _feedforward(p: Parameters, facts: Facts, code: str, between: str) -> Blueprint:
    """Dense layers to a code with the activation `code`, and back with `between` on the way."""
    latent_dim, n_features, steps = p["latent_dim"], facts.n_features, facts.max_length
    units = tuple(p["hidden_units"])
    variational = p["kl_weight"] is not None
    encoder = DenseEncoder(n_features, latent_dim, steps, units, p["activation"], code, variational)
    head = Head(latent_dim, n_features, units[::-1], steps, between, p["output_activation"])
    return Blueprint(encoder, {"reconstruction": DenseDecoder(n_features, latent_dim, head)})


def _conv(p: Parameters, facts: Facts) -> Blueprint:
    image = facts.image_shape
    shape = (max(1, facts.max_length), 1) if image is None else (image[0], image[1])
    kernel = (p["kernel_size"], p["kernel_size"] if image else 1)
    pool = (p["pool_size"], p["pool_size"] if image else 1)
    filters = tuple(p["filters"])
    height, width = sizes(shape, pool, len(filters))[-1]
    latent_dim = p["latent_dim"] or height * width * filters[-1]
    how = shape, filters, kernel, pool, p["activation"]
    encoder = ConvEncoder(facts.n_features, latent_dim, *how, p["kl_weight"] is not None)
    decoder = ConvDecoder(facts.n_features, latent_dim, *how, p["output_activation"])
    return Blueprint(encoder, {"reconstruction": decoder})


class Structural(NamedTuple):
    """How the parameters of a model are checked, what they build, and how it reads a table."""

    complaints: Callable[[Parameters], list[_checks.Complaint]]
    build: Callable[[Parameters, Facts], Blueprint]
    reads: Reads = "sequences"


STRUCTURAL: Mapping[str, Structural] = {
    "LSTMAutoencoder": Structural(_lstm_autoencoder_complaints, _lstm_autoencoder),
    "LSTMForecaster": Structural(_lstm_forecaster_complaints, _lstm_forecaster),
    "DenseAutoencoder": Structural(_dense_complaints, _dense, "rows"),
    "StackedAutoencoder": Structural(_stacked_complaints, _stacked, "rows"),
    "ConvAutoencoder": Structural(_conv_complaints, _conv, "images"),
}
