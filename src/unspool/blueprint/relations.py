"""Rules between parameters: each function returns what is wrong with valid values, or None."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from unspool import _checks
from unspool._checks import Complaint, shown
from unspool._loss_parameter import BY_STEP, CROSSENTROPIES, losses_in
from unspool.blueprint.code_relations import (
    activated_distribution,
    activated_state,
    decoders_of,
    kernels_of_state,
    starts_from_state,
)
from unspool.blueprint.layers import DECODERS
from unspool.blueprint.rules import Parameters, Relation


def _head_without_layers(p: Parameters) -> Complaint:
    if p["head_units"] is not None:
        return None
    if "dense" in decoders_of(p):
        return (
            "A decoder 'dense' consists of its dense layers, and `head_units` None removes all of "
            "them; set head_units=()."
        )
    if p["output_activation"] != "linear":
        return (
            "`head_units` None removes the output layer, so `output_activation` "
            f"{shown(p['output_activation'])} has no layer to apply to; set "
            "output_activation='linear', or head_units=()."
        )
    if isinstance(p["loss"], Mapping) and not losses_in(p["loss"]).isdisjoint(CROSSENTROPIES):
        return (
            "`head_units` None removes the output layer, but a cross-entropy in `loss` needs one "
            "with its own activation; set head_units=()."
        )
    return None


def _units_of_dense_decoder(p: Parameters) -> Complaint:
    if p["decoder_units"] is None or set(decoders_of(p)) != {"dense"}:
        return None
    return (
        "`decoder_units` is the width of the decoder's LSTM, which a decoder 'dense' lacks; "
        "set decoder_units=None."
    )


def _layers_of_units(p: Parameters) -> Complaint:
    for name in ("units", "decoder_units"):
        units = p[name]
        if isinstance(units, (list, tuple)) and p["num_layers"] not in (1, len(units)):
            return (
                f"`{name}` {shown(units)} is {len(units)} layers, but `num_layers` is "
                f"{shown(p['num_layers'])}; leave num_layers=1, or make both the same number."
            )
    return None


def _pooling_of_state(p: Parameters) -> Complaint:
    if p["pooling"] in ("auto", "last") or not any(map(starts_from_state, decoders_of(p))):
        return None
    return (
        "`pooling` must be 'last' for a decoder that starts from the encoder's whole state, got "
        f"{shown(p['pooling'])}; set pooling='last', or choose another decoder."
    )


def _reversed_target(p: Parameters) -> Complaint:
    if not p["reverse_target"]:
        return None
    name = p["decoder"]
    if name == "dense" or DECODERS[name].flat:
        return (
            f"decoder={name!r} emits all steps at once, so `reverse_target` has no effect; set "
            "reverse_target=False."
        )
    if DECODERS[name].reads == "reversed_input":
        return (
            f"decoder={name!r} reads the input backwards, so with `reverse_target` it would read "
            "at each step the value that it must reconstruct; set reverse_target=False."
        )
    return None


def _decoder_without_forecast(p: Parameters) -> Complaint:
    if p["forecast_decoder"] is None or p["horizon"] is not None:
        return None
    return (
        "`forecast_decoder` has no effect without `horizon`; set `horizon` too, or "
        "forecast_decoder=None."
    )


def _patches_by_step(p: Parameters) -> Complaint:
    if not p["every_step"] or p["patch_size"] in ("auto", 1):
        return None
    return (
        "`every_step` needs the encoder's state after every step, which an LSTM that reads patches "
        f"of {p['patch_size']} steps does not have; set patch_size=1."
    )


def _forecasts_by_step(p: Parameters) -> Complaint:
    name = p["decoder"]
    reads_input = name in DECODERS and DECODERS[name].reads == "reversed_input"
    of_code_alone = not starts_from_state(name) and not reads_input
    one_way = p["bidirectional"] in (False, "decoder") and p["pooling"] == "last"
    if not p["every_step"] or (one_way and of_code_alone):
        return None
    return (
        "`every_step` needs bidirectional=False, pooling='last' and a decoder that reads neither "
        "the encoder's whole state nor the input, got "
        f"bidirectional={shown(p['bidirectional'])}, pooling={shown(p['pooling'])}, "
        f"decoder={shown(name)}."
    )


def _bounded_forecast(p: Parameters) -> Complaint:
    bounded = p["output_activation"] != "linear"
    crossentropy = not losses_in(p["loss"]).isdisjoint(CROSSENTROPIES)
    if not (bounded or crossentropy):
        return None
    # With targets="y", "auto" means neither a normalization nor a map.
    auto = ("auto",) if p["targets"] == "y" else ()
    plain = p["normalization"] in ("none", *auto) and p["linear_steps"] in (0, *auto)
    if plain and not len(p["quantiles"]):
        return None
    what = (
        f"`output_activation` {p['output_activation']!r}"
        if bounded
        else f"`loss` {shown(p['loss'])}"
    )
    return (
        f"{what} needs the decoder's output to be the whole forecast, so it needs "
        "normalization='none', linear_steps=0 and quantiles=(), got "
        f"normalization={shown(p['normalization'])}, linear_steps={shown(p['linear_steps'])}, "
        f"quantiles={shown(p['quantiles'])}."
    )


def _loss_of_missing(p: Parameters) -> Complaint:
    if p["missing"] == "raise" or isinstance(p["loss"], str):
        return None
    return (
        "`missing` 'mask' needs a `loss` with one name, got a loss for each feature or a function, "
        "which are not defined for missing values; set a name, such as loss='mse'."
    )


def _bounded_reconstruction(p: Parameters) -> Complaint:
    bounded = p["output_activation"] not in ("linear", "elu", "gelu")
    crossentropy = not losses_in(p["loss"]).isdisjoint(CROSSENTROPIES)
    if p["normalization"] == "none" or not (bounded or crossentropy):
        return None
    what = (
        f"`output_activation` {p['output_activation']!r}"
        if bounded
        else f"`loss` {shown(p['loss'])}"
    )
    return (
        f"{what} cannot reconstruct normalised sequences, which have values of both signs without "
        "a bound; set normalization='none', or output_activation='linear' and loss='mse'."
    )


def _normalized_targets(p: Parameters) -> Complaint:
    if p["normalization"] == "none" or p["targets"] is None:
        return None
    return (
        "A model with `targets` cannot normalise each sequence, got normalization="
        f"{shown(p['normalization'])}; set normalization='none' or targets=None."
    )


def _normalized_forecast(p: Parameters) -> Complaint:
    if p["normalization"] == "none" or p["horizon"] is None:
        return None
    return (
        "An LSTMAutoencoder with a `horizon` cannot normalise each sequence, got normalization="
        f"{shown(p['normalization'])}; set normalization='none', or forecast with LSTMForecaster."
    )


def _known_without_forecast(p: Parameters) -> Complaint:
    if not len(p["known"]) or p["horizon"] is not None:
        return None
    return (
        "`known` has features that a forecast reads, but without `horizon` the model forecasts "
        "nothing; set `horizon` too, or known=()."
    )


def _known_of_targets(p: Parameters) -> Complaint:
    if not len(p["known"]) or isinstance(p["targets"], (list, tuple)):
        return None
    if p["targets"] is None:
        return (
            "`known` has features that are not forecast, so `targets` must list the features that "
            "are, got None; set `targets`."
        )
    return (
        "`known` has features of the steps of a forecast, but targets='y' predicts a quantity "
        "that is no feature; set known=(), or forecast features of `X`."
    )


def _every_step_of_all(p: Parameters) -> Complaint:
    if not p["every_step"] or not (len(p["known"]) or p["targets"] == "y"):
        return None
    return (
        "`every_step` learns to forecast features after every step from the steps that follow, "
        f"got known={shown(p['known'])} and targets={shown(p['targets'])}; set every_step=False."
    )


def _map_of_features(p: Parameters) -> Complaint:
    if p["targets"] != "y" or p["linear_steps"] in ("auto", 0):
        return None
    return (
        "`linear_steps` maps the last steps of a feature to its next steps, which a quantity that "
        f"is no feature does not have (targets='y'); set linear_steps='auto' or 0, got "
        f"{p['linear_steps']}."
    )


def _distributions(p: Parameters) -> Complaint:
    if isinstance(p["loss"], Mapping):
        if p["output_activation"] != "softmax":
            return None
        return (
            "With a dict, `loss` 'categorical_crossentropy' gives each category its softmax, so "
            "`output_activation` must be that of the other columns, got 'softmax'; set "
            "output_activation='linear'."
        )
    if losses_in(p["loss"]).isdisjoint(BY_STEP) or p["output_activation"] == "softmax":
        return None
    return (
        f"`loss` {p['loss']!r} needs output_activation='softmax', got "
        f"{shown(p['output_activation'])}."
    )


def _clipped_probabilities(p: Parameters) -> Complaint:
    if p["clip"] is None or p["clip"] >= 1 or losses_in(p["loss"]).isdisjoint(CROSSENTROPIES):
        return None
    return (
        f"`clip` {shown(p['clip'])} would clip the targets of a cross-entropy, which are between 0 "
        "and 1; set it to 1 or more, or to None."
    )


def _accuracy(p: Parameters) -> Complaint:
    one_loss = isinstance(p["loss"], str) and p["loss"] in CROSSENTROPIES
    if "accuracy" not in p["metrics"] or one_loss:
        return None
    return (
        f"The metric 'accuracy' needs one of the losses {' and '.join(CROSSENTROPIES)}, got "
        f"loss={shown(p['loss'])}; remove it from `metrics`."
    )


def _inner_crossentropy(p: Parameters) -> Complaint:
    if p["inner_loss"] != "binary_crossentropy" or p["activation"] == "sigmoid":
        return None
    return (
        "`inner_loss` 'binary_crossentropy' needs codes between 0 and 1, so activation='sigmoid', "
        f"got {shown(p['activation'])}."
    )


def _rate(p: Parameters) -> Complaint:
    if p["threshold"] == "alarms":
        return None
    return _checks.number("rate", p["rate"], 0, 1, open_left=True)


def _period(p: Parameters) -> Complaint:
    if p["threshold"] != "alarms" or p["period"] is not None:
        return None
    return (
        "`threshold` 'alarms' needs `period`, the number of steps in which `rate` false alarms are "
        "allowed."
    )


def _dropout_between_lstm_layers(p: Parameters) -> Complaint:
    names = ["units"]
    if set(decoders_of(p)) != {"dense"}:
        names.append("decoder_units")
    listed = [p[name] for name in names if isinstance(p[name], (list, tuple))]
    if not p["dropout"] or max([p["num_layers"], *map(len, listed)]) > 1:
        return None
    return (
        "`dropout` acts between LSTM layers, but encoder and decoder have one layer each, got "
        f"dropout={shown(p['dropout'])}; set num_layers=2, or use `recurrent_dropout` or "
        "`code_dropout`."
    )


def _dropout_between_dense_layers(p: Parameters) -> Complaint:
    if not p["dropout"] or p["hidden_units"] or p["decoder_units"]:
        return None
    return (
        "`dropout` acts on the outputs of the `hidden_units` layers, but there are none, got "
        f"dropout={shown(p['dropout'])}; set `hidden_units`, or use `code_dropout`."
    )


def _backend_without_masks(p: Parameters) -> Complaint:
    if not p["recurrent_dropout"] or p["backend"] != "torch":
        return None
    return (
        "`backend` 'torch' does not support `recurrent_dropout`, got "
        f"recurrent_dropout={shown(p['recurrent_dropout'])}; set backend='auto'."
    )


def _weight_decay(p: Parameters) -> Complaint:
    if p["weight_decay"] is None or p["optimizer"] == "adamw":
        return None
    return (
        f"`weight_decay` needs optimizer='adamw', got optimizer={shown(p['optimizer'])}; set "
        "optimizer='adamw', or weight_decay=None."
    )


def _of_decoders(*decoders: str) -> tuple[Relation, ...]:
    """List what the decoders of an LSTM model rule out; `decoders` are the parameters."""
    return (
        Relation(("head_units", "output_activation", "loss", *decoders), _head_without_layers),
        Relation(("decoder_units", *decoders), _units_of_dense_decoder),
        Relation(("units", "decoder_units", "num_layers"), _layers_of_units),
        Relation(("pooling", *decoders), _pooling_of_state),
    )


_MASKS = Relation(("recurrent_dropout", "backend"), _backend_without_masks)
_BETWEEN = ("dropout", "units", "decoder_units", "num_layers")
LSTM_AUTOENCODER = (
    *_of_decoders("decoder", "forecast_decoder", "horizon"),
    Relation((*_BETWEEN, "decoder", "forecast_decoder", "horizon"), _dropout_between_lstm_layers),
    _MASKS,
    Relation(("n_kernels", "decoder", "forecast_decoder", "horizon"), kernels_of_state),
    Relation(("code_activation", "decoder", "forecast_decoder", "horizon"), activated_state),
    Relation(("code_activation", "kl_weight"), activated_distribution),
    Relation(("reverse_target", "decoder"), _reversed_target),
    Relation(("forecast_decoder", "horizon"), _decoder_without_forecast),
    Relation(("normalization", "horizon"), _normalized_forecast),
    Relation(("known", "horizon"), _known_without_forecast),
    Relation(("known", "targets"), _known_of_targets),
)
NORMALIZED = (
    Relation(("normalization", "output_activation", "loss"), _bounded_reconstruction),
    Relation(("normalization", "targets"), _normalized_targets),
)
LSTM_FORECASTER = (
    *_of_decoders("decoder"),
    Relation((*_BETWEEN, "decoder"), _dropout_between_lstm_layers),
    _MASKS,
    Relation(("code_activation", "decoder"), activated_state),
    Relation(("every_step", "patch_size"), _patches_by_step),
    Relation(("every_step", "bidirectional", "pooling", "decoder"), _forecasts_by_step),
    Relation(
        ("output_activation", "loss", "normalization", "linear_steps", "quantiles", "targets"),
        _bounded_forecast,
    ),
    Relation(("known", "targets"), _known_of_targets),
    Relation(("every_step", "known", "targets"), _every_step_of_all),
    Relation(("targets", "linear_steps"), _map_of_features),
)
LOSSES = (
    Relation(("missing", "loss"), _loss_of_missing),
    Relation(("loss", "output_activation"), _distributions),
    Relation(("metrics", "loss"), _accuracy),
    Relation(("clip", "loss"), _clipped_probabilities),
)
OPTIMIZER = (Relation(("weight_decay", "optimizer"), _weight_decay),)
DENSE = (Relation(("dropout", "hidden_units", "decoder_units"), _dropout_between_dense_layers),)
STACKED = (Relation(("inner_loss", "activation"), _inner_crossentropy),)
DETECTOR = (
    Relation(("threshold", "rate"), _rate),
    Relation(("threshold", "period"), _period),
)


def check_features(name: str, value: Any) -> list[Complaint]:
    """Check that the value is a list of names or places of features."""
    if not isinstance(value, (list, tuple)):
        return [f"`{name}` must be a list of names or places of features, got {shown(value)}."]
    return [
        f"`{name}` must be a list of names or places of features, got {shown(one)} in it."
        for one in value
        if not isinstance(one, str) and _checks.whole(name, one, -_checks.MAX_WHOLE) is not None
    ]


def check_targets(name: str, value: Any) -> list[Complaint]:
    """Check that the value is None, or a list of at least one name or place of a feature."""
    if value is None:
        return []
    if isinstance(value, (list, tuple)) and not value:
        return [f"`{name}` must have at least one feature, got none; None means all features."]
    return check_features(name, value)


def check_targets_or_y(name: str, value: Any) -> list[Complaint]:
    """Check that the value is "y", or what `check_targets` accepts."""
    return [] if _checks.is_one(value, ["y"]) else check_targets(name, value)


def check_quantiles(name: str, value: Any) -> list[Complaint]:
    """Check that quantiles are numbers between 0 and 1, each larger than the one before."""
    if not isinstance(value, (list, tuple)):
        return [f"`{name}` must be a list of numbers, got {shown(value)}."]
    found = [_checks.number(name, q, 0, 1, open_left=True) for q in value]
    if not any(found) and any(low >= high for low, high in pairwise(value)):
        found.append(f"`{name}` must increase from each to the next, got {shown(value)}.")
    return found


def check_loss_weights(name: str, value: Any) -> list[Complaint]:
    """Check that the weights of the two losses are not both zero."""
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        return [f"`{name}` must be two numbers, got {shown(value)}."]
    found = [_checks.number(name, weight, 0) for weight in value]
    if not any(found) and not any(value):
        found.append(f"`{name}` must have at least one number above 0, got {shown(value)}.")
    return found


def check_feature_weight(name: str, value: Any) -> list[Complaint]:
    """Check that weights are None, a list of numbers, or numbers by name; not all are zero."""
    if value is None:
        return []
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, (list, tuple, Mapping)):
        return [
            f"`{name}` must be a list with the weight of each feature, a dict of weights by name, "
            f"or None, got {shown(value)}."
        ]
    weights = list(value.values()) if isinstance(value, Mapping) else value
    found = [_checks.number(name, weight, 0) for weight in weights]
    if isinstance(value, Mapping):
        return found  # features without a name in it have the weight 1
    if not any(found) and not any(weights):
        found.append(f"`{name}` must have at least one number above 0, got {shown(value)}.")
    return found


def check_class_weight(name: str, value: Any) -> list[Complaint]:
    """Check that weights are None, "balanced", or numbers by label."""
    if value is None or _checks.is_one(value, ["balanced"]):
        return []
    if not isinstance(value, Mapping):
        return [
            f"`{name}` must be 'balanced', a dict with the weight of each label, or None, got "
            f"{shown(value)}."
        ]
    return [_checks.number(name, weight, 0) for weight in value.values()]


def check_contamination(name: str, value: Any) -> list[Complaint]:
    """Check that the value is above 0 and at most 0.5, or "auto"."""
    if _checks.number(name, value, 0, 0.5, auto=True, open_left=True, closed=True) is None:
        return []
    # scikit-learn's estimator checks expect this wording.
    return [f"{name} must be in (0, 0.5] or 'auto', got {shown(value)}."]
