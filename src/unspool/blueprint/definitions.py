"""The parameters of every estimator with the values that they accept, declared once.

`fit` and `load` check all parameters of an estimator; a model file is checked for those that its
blueprint depends on. What each parameter means is written in the docstring of the estimator's
class, and a test compares that with the tables here.
"""

import math
from collections.abc import Mapping
from typing import Any

from unspool import _types
from unspool._checks import Complaint
from unspool._durations import gap_complaint
from unspool._loss_parameter import check_loss
from unspool._registry import ESTIMATORS
from unspool._types import names
from unspool.blueprint import convolution_relations, models, relations
from unspool.blueprint.parts import Blueprint
from unspool.blueprint.rules import (
    Definition,
    Facts,
    Parameters,
    Rule,
    checked_by_estimator,
    directions,
    number,
    one_of,
    seed,
    size,
    size_of_layers,
    sizes,
    some_of,
    steps_or_duration,
    true_or_false,
    whole,
    wholes,
)

ACTIVATION = one_of(names(_types.ActivationName))
DECODER = one_of(names(_types.DecoderName))
ALIASES = names(_types.LossAlias)
MAX_STEP_POOL = 1024  # no tensor's shape depends on it, but sequences are padded to a multiple

# The model file is checked for it, since every runner clips what a model reads.
CLIP: Mapping[str, Rule] = {"clip": number(0, 1e12, none=True, open_left=True, closed=True)}
COMMON: Mapping[str, Rule] = {
    "optimizer": one_of(names(_types.OptimizerName)),
    "learning_rate": number(0, none=True, open_left=True),
    "learning_rate_schedule": one_of(names(_types.ScheduleName)),
    "plateau_factor": number(0, 1, open_left=True),
    "plateau_patience": whole(1),
    "weight_decay": number(0, none=True),
    "global_clipnorm": number(0, none=True, open_left=True),
    "batch_size": whole(1),
    "epochs": whole(1, auto=True),
    "patience": whole(1, none=True, auto=True),
    "warm_start": true_or_false(),
    "random_state": seed(),
    "device": checked_by_estimator("str or torch.device"),
    "verbose": whole(0),
}
# The activation of the outputs depends on it, if it is a loss by feature.
LOSS: Mapping[str, Rule] = {
    "loss": Rule(
        one_of(names(_types.LossName)).allowed + ", dict from features to these, or callable",
        check_loss,
        names(_types.LossName),
    )
}
TRAINING: Mapping[str, Rule] = {
    "metrics": some_of(names(_types.MetricName), aliases=ALIASES),
    "feature_weight": Rule(
        "sequence of float or dict of str to float, of at least 0, or None",
        relations.check_feature_weight,
    ),
    "input_noise": number(0),
    "input_dropout": number(0, 1),
    **COMMON,
    "steps_per_epoch": whole(1, none=True),
    "validation_split": number(0, 1, auto=True),
    "validation_steps": whole(1, none=True),
    "scaling": one_of(names(_types.ScalingName)),
}
MISSING: Mapping[str, Rule] = {"missing": one_of(names(_types.Missing))}
DROPOUT: Mapping[str, Rule] = {"dropout": number(0, 1), "code_dropout": number(0, 1)}
# Rows and images need no loss of distributions.
ELEMENTWISE = one_of(names(_types.ElementwiseLossName), aliases=ALIASES)
NORMALIZATION: Mapping[str, Rule] = {"normalization": one_of(names(_types.NormalizationName))}
TARGETS = Rule("sequence of str or int, or None", relations.check_targets)
KNOWN = Rule("sequence of str or int", relations.check_features)
LSTM: Mapping[str, Rule] = {
    **CLIP,
    **NORMALIZATION,
    **LOSS,
    **MISSING,
    "latent_dim": size(),
    "horizon": whole(1, none=True),
    "targets": TARGETS,
    "known": KNOWN,
    "units": size_of_layers(),
    "patch_size": size(auto=True),
    "conv_filters": wholes(1),
    "conv_kernel_size": sizes(),
    "conv_pool_size": sizes(most=MAX_STEP_POOL),
    "conv_activation": ACTIVATION,
    "conv_padding": one_of(names(_types.ConvPaddingName)),
    "decoder_units": size_of_layers(),
    "num_layers": size(),
    "bidirectional": directions(),
    "code_activation": ACTIVATION,
    "decoder": DECODER,
    "head_units": wholes(1, none=True),
    "head_activation": ACTIVATION,
    "output_activation": ACTIVATION,
    "cell": one_of(names(_types.CellName)),
    "activation": one_of(names(_types.CellActivationName)),
    "recurrent_activation": one_of(names(_types.GateActivationName)),
}
LSTM_TRAINING: Mapping[str, Rule] = {
    **TRAINING,
    **DROPOUT,
    "recurrent_dropout": number(0, 1),
    "teacher_forcing": number(0, 1, closed=True),
    "backend": one_of(("auto", *names(_types.BackendName))),
}
FEEDFORWARD: Mapping[str, Rule] = {
    **CLIP,
    **NORMALIZATION,
    **LOSS,
    **MISSING,
    "latent_dim": size(),
    "hidden_units": wholes(1),
    "activation": ACTIVATION,
    "output_activation": ACTIVATION,
    "kl_weight": number(0, none=True),
}
CODES: Mapping[str, Rule] = {"code_l1": number(0)}

LSTM_AUTOENCODER = Definition(
    structure={
        **LSTM,
        "pooling": one_of(("auto", *names(_types.PoolingName))),
        "n_kernels": size(least=0, auto=True),
        "reverse_target": true_or_false(),
        "forecast_decoder": one_of(names(_types.DecoderName), none=True),
        "kl_weight": number(0, none=True),
    },
    training={
        **LSTM_TRAINING,
        **CODES,
        "loss_weights": Rule("pair of float", relations.check_loss_weights),
        "mask_length": whole(1),
        "contrastive_weight": number(0),
    },
    relations=(
        *relations.LSTM_AUTOENCODER,
        *convolution_relations.STEP_CONVOLUTIONS,
        *relations.NORMALIZED,
        *relations.LOSSES,
        *relations.OPTIMIZER,
    ),
    build=models.lstm_autoencoder,
)
LSTM_FORECASTER = Definition(
    structure={
        **LSTM,
        "pooling": one_of(names(_types.PoolingName)),
        "every_step": true_or_false(),
        "targets": Rule('sequence of str or int, "y" or None', relations.check_targets_or_y),
        "normalization": one_of(("auto", *names(_types.NormalizationName))),
        "linear_steps": whole(0, auto=True),
        "quantiles": Rule("sequence of float", relations.check_quantiles),
    },
    training=LSTM_TRAINING,
    relations=(
        *relations.LSTM_FORECASTER,
        *convolution_relations.STEP_CONVOLUTIONS,
        *convolution_relations.EVERY_STEP,
        *relations.LOSSES,
        *relations.OPTIMIZER,
    ),
    build=models.lstm_forecaster,
)
DENSE_AUTOENCODER = Definition(
    structure={
        **FEEDFORWARD,
        "decoder_units": wholes(1, none=True),
        "targets": TARGETS,
        "code_activation": ACTIVATION,
    },
    training={**TRAINING, **DROPOUT, **CODES},
    relations=(*relations.LOSSES, *relations.NORMALIZED, *relations.OPTIMIZER, *relations.DENSE),
    build=models.dense,
)
STACKED_AUTOENCODER = Definition(
    structure={**FEEDFORWARD, "inner_output_activation": ACTIVATION},
    training={**TRAINING, **CODES, "inner_loss": ELEMENTWISE, "fine_tune": true_or_false()},
    relations=(*relations.LOSSES, *relations.NORMALIZED, *relations.OPTIMIZER, *relations.STACKED),
    build=models.stacked,
)
CONV_AUTOENCODER = Definition(
    structure={
        **CLIP,
        **NORMALIZATION,
        **LOSS,
        **MISSING,
        "latent_dim": size(none=True),
        "filters": Rule("list of int of at least 1", convolution_relations.check_filters),
        "kernel_size": sizes(),
        "strides": sizes(),
        "pool_size": sizes(),
        "upsampling": one_of(names(_types.UpsamplingName)),
        "code_activation": ACTIVATION,
        "activation": ACTIVATION,
        "output_activation": ACTIVATION,
        "image_shape": Rule("(H, W), (H, W, C) or None", convolution_relations.check_image_shape),
        "targets": TARGETS,
        "kl_weight": number(0, none=True),
    },
    training={**TRAINING, **DROPOUT, **CODES},
    relations=(
        *relations.LOSSES,
        *relations.NORMALIZED,
        *relations.OPTIMIZER,
        *convolution_relations.CONVOLUTIONS,
    ),
    build=models.conv,
)
ENCODER_CLASSIFIER = Definition(
    structure={"head_units": wholes(1), "head_activation": ACTIVATION},
    training={
        "class_weight": Rule(
            '"balanced", dict of label to float of at least 0, or None',
            relations.check_class_weight,
        ),
        **COMMON,
        "autoencoder": checked_by_estimator("estimator or None"),
        "fine_tune": true_or_false(),
        "fine_tune_epochs": whole(1, none=True),
        "validation_split": number(0, 1),
    },
    relations=relations.OPTIMIZER,
)
ANOMALY_DETECTOR = Definition(
    structure={},
    training={
        "model": checked_by_estimator("estimator or None"),
        "window": steps_or_duration(),
        "dilation": whole(1),
        "max_gap": Rule(
            'duration, float above 0, "auto" or None', lambda name, value: [gap_complaint(value)]
        ),
        "kind": one_of(names(_types.ScoreKind)),
        "threshold": one_of(names(_types.ThresholdKind)),
        "rate": number(0, math.inf, open_left=True),
        "period": number(0, none=True, open_left=True),
        "memory": whole(1, auto=True),
        "gap": whole(1),
        "contamination": Rule(
            'float above 0 and at most 0.5 or "auto"', relations.check_contamination
        ),
        "calibration_split": number(0, 1, open_left=True),
        **MISSING,
        "random_state": seed(),
        "device": checked_by_estimator("str or torch.device"),
        "verbose": whole(0),
    },
    relations=relations.DETECTOR,
)


def definition(estimator: str) -> Definition:
    """Return the parameters of an estimator, by the name of its class."""
    found: Definition = globals()[ESTIMATORS[estimator].definition]
    return found


def blueprint(model: str, parameters: Parameters, facts: Facts) -> Blueprint:
    """Return what a model is made of.

    Parameters
    ----------
    model : str
        Name of the estimator's class.
    parameters : mapping
        Its parameters, as `get_params` returns them, after a check with `complaints`.
    facts : Facts
        What `fit` learned from the data.
    """
    build = definition(model).build
    assert build is not None
    return build(parameters, facts)


def complaints(estimator: str, parameters: Mapping[str, Any]) -> list[Complaint]:
    """List what is wrong with the parameters that a model file's blueprint depends on."""
    return definition(estimator).complaints(parameters, structure_only=True)
