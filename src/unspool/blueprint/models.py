"""From the parameters of an estimator to its blueprint: a function for each model."""

from collections.abc import Sequence

from unspool import _checks
from unspool._loss_parameter import LossByFeature, read_loss
from unspool._types import (
    ActivationName,
    Auto,
    CellActivationName,
    DecoderName,
    GateActivationName,
    NormalizationName,
    names,
)
from unspool.blueprint.activations import Activation, activation_for
from unspool.blueprint.code_relations import starts_from_state
from unspool.blueprint.convolutions import Convolutions
from unspool.blueprint.layers import (
    DECODERS,
    MAX_ARRAYS,
    WAVES,
    Head,
    Kernels,
    Layers,
    for_each,
    patches_of,
    units_of_layers,
)
from unspool.blueprint.parts import (
    Blueprint,
    ConvDecoder,
    ConvEncoder,
    Decoder,
    DenseDecoder,
    DenseEncoder,
    LSTMDecoder,
    LSTMEncoder,
    Skip,
)
from unspool.blueprint.rules import Facts, Parameters
from unspool.blueprint.step_convolutions import StepConvolutions
from unspool.errors import InputError

CELL_ACTIVATIONS = names(CellActivationName)
GATE_ACTIVATIONS = names(GateActivationName)
ACTIVATIONS = names(ActivationName)
DECODER_NAMES = names(DecoderName)
USUAL_KERNELS = 512  # number of kernels for `n_kernels` "auto"
USUAL_LINEAR_STEPS = 512  # steps that a linear map reads for `linear_steps` "auto"

# With `patch_size` "auto", sequences are read step by step if a typical one has at most
# LONGEST_BY_STEP steps; otherwise a typical one is read as at most MOST_PATCHES patches. Files
# depend on both (docs/model-file.md).
LONGEST_BY_STEP, MOST_PATCHES = 64, 32


def masks(p: Parameters) -> bool:
    """Return whether a model with these parameters accepts missing values."""
    return bool(p["missing"] == "mask")


def _patch_size(p: Parameters, facts: Facts) -> int:
    """Return the number of steps that the LSTM reads, and its decoder writes, at once."""
    if p["patch_size"] != "auto":
        return int(p["patch_size"])
    by_step = p.get("every_step", False) or p["head_units"] is None
    steps = facts.max_length if facts.typical_length is None else facts.typical_length
    return 1 if by_step or steps <= LONGEST_BY_STEP else patches_of(steps, MOST_PATCHES)


def _normalization(p: Parameters, facts: Facts) -> NormalizationName:
    """Return the normalization of each sequence; "auto" leaves the level for other quantities."""
    if "every_step" not in p:
        return "none"  # an autoencoder reads sequences that its scaler has normalised
    given: NormalizationName | Auto = p["normalization"]
    if given != "auto":
        return given
    return "none" if facts.n_responses else "last"


def _lstm_encoder(p: Parameters, facts: Facts, decoders: list[str]) -> LSTMEncoder:
    whole_state, patch_size = any(map(starts_from_state, decoders)), _patch_size(p, facts)
    count, pooling = p.get("n_kernels", 0), p["pooling"]
    if count == "auto":
        count = 0 if whole_state else USUAL_KERNELS
    if pooling == "auto":
        pooling = "last" if whole_state else "all"
    n_inputs = facts.n_features * (2 if masks(p) else 1)
    convolutions = _step_convolutions(p, n_inputs) if p["conv_filters"] else None
    if convolutions is not None:
        patch_size, n_inputs = 1, convolutions.filters[-1]
    return LSTMEncoder(
        facts.n_features,
        p["latent_dim"],
        Layers(
            patch_size * n_inputs,
            _units_of_layers(p["units"] or p["latent_dim"], p),
            p["bidirectional"] in (True, "encoder"),
            0,
            p["activation"],
            p["recurrent_activation"],
            p["cell"],
        ),
        whole_state,
        p.get("kl_weight") is not None,
        pooling,
        Kernels.of(count, facts.n_features, facts.max_length) if count else None,
        patch_size,
        _normalization(p, facts),
        missing=masks(p),
        code_activation=p["code_activation"],
        convolutions=convolutions,
    )


def _step_convolutions(p: Parameters, n_inputs: int) -> StepConvolutions:
    filters = tuple(p["conv_filters"])
    kernels, pools = (
        for_each(p[name], len(filters)) for name in ("conv_kernel_size", "conv_pool_size")
    )
    how = p["conv_activation"], p["conv_padding"]
    return StepConvolutions(n_inputs, filters, kernels, pools, *how)


def _units_of_layers(units: int | Sequence[int], p: Parameters) -> tuple[int, ...]:
    """Return the units of each layer; `check_memory` refuses models of MAX_ARRAYS layers."""
    return units_of_layers(units, min(p["num_layers"], MAX_ARRAYS))


def _decoder_units(p: Parameters) -> int | Sequence[int]:
    """Return the units of a decoder, by default those of the encoder from last to first."""
    if p["decoder_units"] is not None:
        units: int | Sequence[int] = p["decoder_units"]
        return units
    units = p["units"] or p["latent_dim"]
    return units[::-1] if isinstance(units, (list, tuple)) else units


def _lstm_decoder(
    p: Parameters,
    facts: Facts,
    name: DecoderName,
    *,
    ahead: bool = False,
    reverse_target: bool = False,
) -> Decoder:
    latent_dim, n_outputs = p["latent_dim"], facts.n_outputs
    steps = facts.horizon if ahead else facts.max_length
    n_known = len(facts.known) if ahead else 0
    units = None if p["head_units"] is None else tuple(p["head_units"])
    activations = p["head_activation"], _output_activation(p, facts)
    if name == "dense":
        head = Head(latent_dim + steps * n_known, n_outputs, units, steps, *activations)
        return DenseDecoder(n_outputs, latent_dim, head, n_known)
    kind, patch_size = DECODERS[name], _patch_size(p, facts)
    if ahead:  # the number of steps to write is known
        patch_size = min(patch_size, steps)
    pieces = max(1, patches_of(steps, patch_size))
    piece = -(-latent_dim // pieces) if kind.code == "steps" else 0
    read, reads_masks = n_outputs, False
    if kind.reads == "reversed_input":
        reads_masks = masks(p)
        read = facts.n_features * (2 if reads_masks else 1)
    reads = patch_size * read if kind.reads else piece
    if not reads and patch_size > 1:
        reads = 2 * WAVES
    lstm = Layers(
        reads + patch_size * n_known,
        _units_of_layers(_decoder_units(p), p),
        p["bidirectional"] in (True, "decoder") and kind.both_ways and not reverse_target,
        latent_dim if kind.repeats else 0,
        p["activation"],
        p["recurrent_activation"],
        p["cell"],
    )
    at_once = steps if kind.flat else (patch_size if patch_size > 1 else None)
    head = Head(lstm.width, n_outputs, units, at_once, *activations)
    outputs = n_outputs * (head.steps or 1)
    if units is None and lstm.width != outputs:
        raise InputError(
            f"`head_units` None makes the decoder's state the output, which needs "
            f"{outputs} numbers, got {_checks.shown(lstm.width)}; set `decoder_units`, "
            "or head_units=() for a dense layer."
        )
    return LSTMDecoder(
        name,
        n_outputs,
        latent_dim,
        lstm,
        head,
        steps,
        reverse_target,
        patch_size,
        n_known,
        reads_masks,
    )


def _output_activation(p: Parameters, facts: Facts) -> Activation:
    """Return the activation of the outputs; a loss by feature needs different ones."""
    loss = read_loss(p["loss"], facts.n_features, facts.feature_names, facts.targets)
    others: ActivationName = p["output_activation"]
    return activation_for(loss, others) if isinstance(loss, LossByFeature) else others


def lstm_autoencoder(p: Parameters, facts: Facts) -> Blueprint:
    """Return the blueprint of an `LSTMAutoencoder`."""
    name, forecast = p["decoder"], p["forecast_decoder"] or p["decoder"]
    decoders = {"reconstruction": _lstm_decoder(p, facts, name, reverse_target=p["reverse_target"])}
    if facts.horizon:
        decoders["forecast"] = _lstm_decoder(p, facts, forecast, ahead=True)
    named = [name, forecast] if facts.horizon else [name]
    encoder = _lstm_encoder(p, facts, named)
    return Blueprint(encoder, decoders, facts.horizon, targets=facts.targets, known=facts.known)


def lstm_forecaster(p: Parameters, facts: Facts) -> Blueprint:
    """Return the blueprint of an `LSTMForecaster`."""
    decoders = {"forecast": _lstm_decoder(p, facts, p["decoder"], ahead=True)}
    n_known = len(facts.known)
    if p["quantiles"]:
        outputs = facts.n_outputs * len(p["quantiles"])
        head = Head(p["latent_dim"] + facts.horizon * n_known, outputs, (), facts.horizon)
        decoders["quantiles"] = DenseDecoder(outputs, p["latent_dim"], head, n_known)
    normalization = _normalization(p, facts)
    linear_steps = USUAL_LINEAR_STEPS if p["linear_steps"] == "auto" else int(p["linear_steps"])
    skip, steps = None, min(linear_steps, facts.max_length)
    if not facts.n_responses and (steps or normalization != "none"):
        skip = Skip(facts.n_outputs, facts.horizon, steps, normalization, masks(p))
    encoder = _lstm_encoder(p, facts, [p["decoder"]])
    return Blueprint(
        encoder, decoders, facts.horizon, skip, targets=facts.targets, known=facts.known
    )


def dense(p: Parameters, facts: Facts) -> Blueprint:
    """Return the blueprint of a `DenseAutoencoder`."""
    return _feedforward(p, facts, p["code_activation"], p["activation"], p["decoder_units"])


def stacked(p: Parameters, facts: Facts) -> Blueprint:
    """Return the blueprint of a `StackedAutoencoder`."""
    return _feedforward(p, facts, p["activation"], p["inner_output_activation"])


def _feedforward(
    p: Parameters,
    facts: Facts,
    code: ActivationName,
    between: ActivationName,
    decoder_units: Sequence[int] | None = None,
) -> Blueprint:
    """Return dense layers to a code with the activation `code`, and back through `between`."""
    latent_dim, n_features, steps = p["latent_dim"], facts.n_features, facts.max_length
    units = tuple(p["hidden_units"])
    variational = p["kl_weight"] is not None
    how = units, p["activation"], code, variational, masks(p)
    encoder = DenseEncoder(n_features, latent_dim, steps, *how)
    outputs = _output_activation(p, facts)
    back = units[::-1] if decoder_units is None else tuple(decoder_units)
    head = Head(latent_dim, facts.n_outputs, back, steps, between, outputs)
    decoder = DenseDecoder(facts.n_outputs, latent_dim, head)
    return Blueprint(encoder, {"reconstruction": decoder}, targets=facts.targets)


def conv(p: Parameters, facts: Facts) -> Blueprint:
    """Return the blueprint of a `ConvAutoencoder`."""
    image, filters = facts.image_shape, tuple(p["filters"])
    shape = (max(1, facts.max_length), 1) if image is None else (image[0], image[1])

    kernels, strides, pools = (
        tuple((size, size if image else 1) for size in for_each(p[name], len(filters)))
        for name in ("kernel_size", "strides", "pool_size")
    )
    layers = Convolutions(shape, filters, kernels, strides, pools)
    latent_dim, activation = p["latent_dim"] or layers.flat, p["activation"]
    encoder = ConvEncoder(
        facts.n_features,
        latent_dim,
        layers,
        activation,
        p["kl_weight"] is not None,
        masks(p),
        p["code_activation"],
    )
    decoder = ConvDecoder(
        facts.n_outputs,
        latent_dim,
        layers,
        p["upsampling"] == "transposed",
        activation,
        _output_activation(p, facts),
    )
    return Blueprint(encoder, {"reconstruction": decoder}, targets=facts.targets)
