"""A small model of every kind, with random weights and a scaler that is not trivial."""

import copy
from functools import cache

import numpy as np
import torch

from tests.trained import LAST
from unspool import (
    ConvAutoencoder,
    DenseAutoencoder,
    LSTMAutoencoder,
    LSTMForecaster,
    StackedAutoencoder,
)
from unspool.data.scaling import Scaler

SCALER = Scaler(np.array([7.3, -250.1]), np.array([0.37, 41.0]))


def lstm(decoder="repeat", **parameters):
    return LSTMAutoencoder(4, decoder=decoder, **{**LAST, **parameters})


def conv(**parameters):
    return ConvAutoencoder(**{"latent_dim": 3, "filters": (3, 4), **parameters})


AUTOENCODERS = {
    "repeat": lstm(),
    "defaults": LSTMAutoencoder(4),
    "one direction": lstm(bidirectional=False),
    "repeat, head, two layers": lstm(num_layers=2, units=3, head_units=(6, 5)),
    "repeat, no head": lstm(head_units=None, decoder_units=2, bidirectional=False, num_layers=2),
    "repeat, reversed target": lstm(reverse_target=True, num_layers=2),
    "repeat, ReLU": lstm(activation="relu", recurrent_activation="hard_sigmoid", num_layers=2),
    "tanh, hard sigmoid": lstm(recurrent_activation="hard_sigmoid", bidirectional=False),
    "ReLU, sigmoid": lstm(activation="relu"),
    "reversed input": lstm("reversed_input", decoder_units=5, num_layers=2),
    "previous, two layers": lstm("previous", num_layers=2, head_units=(3,)),
    "previous, reversed target": lstm("previous", reverse_target=True, output_activation="tanh"),
    "previous, no head": lstm("previous", head_units=None, decoder_units=2),
    "state": lstm("state", num_layers=2, units=3),
    "state, as wide as the code": LSTMAutoencoder(24, decoder="state", num_layers=2, units=3),
    "state, reversed target": lstm("state", reverse_target=True, bidirectional=False),
    "state, reversed input": lstm("state_reversed_input"),
    "state, previous": lstm("state_previous", num_layers=2, decoder_units=3),
    "narrowing": lstm(units=(6, 3)),
    "narrowing, other depth": lstm("previous", units=(4, 2, 3), decoder_units=(3, 5)),
    "narrowing, state": lstm("state", units=(4, 3)),
    "reshape": lstm("reshape"),
    "reshape, wide": LSTMAutoencoder(21, decoder="reshape", decoder_units=3, num_layers=2),
    "flat": lstm("flat", output_activation="softmax", head_units=(7,)),
    "flat, no head": lstm("flat", head_units=None, decoder_units=18),
    "dense decoder": lstm("dense", head_units=(5,), head_activation="gelu"),
    "patches": lstm(patch_size=4),
    "patches, pooling": lstm(patch_size=2, pooling="all", bidirectional=False),
    "patches, reversed target": lstm(patch_size=4, reverse_target=True, num_layers=2),
    "patches, reversed input": lstm("reversed_input", patch_size=4),
    "patches, previous": lstm("previous", patch_size=4, head_units=(3,)),
    "patches, previous, no head": lstm("previous", patch_size=2, head_units=None, decoder_units=4),
    "patches, state": lstm("state_previous", patch_size=2, num_layers=2, units=3),
    "patches, reshape": lstm("reshape", patch_size=4, output_activation="softmax"),
    "patches, flat": lstm("flat", patch_size=4),
    "composite, patches": lstm("reversed_input", patch_size=3, horizon=4),
    "composite, patches, repeat": lstm(patch_size=3, horizon=4),
    "loss by feature": lstm(loss={0: "mae", 1: "huber"}),
    "convolutions": lstm(conv_filters=(3, 4), conv_kernel_size=(4, 3), conv_pool_size=(2, 1)),
    "convolutions, causal, pooled": lstm(
        pooling="all", n_kernels=10, conv_filters=(3,), conv_padding="causal", conv_pool_size=3
    ),
    "convolutions, unpadded": lstm("state", conv_filters=(3,), conv_padding="valid"),
    "variational": lstm(kl_weight=0.1),
    "variational, as wide as its state": lstm(kl_weight=0.1, bidirectional=False),
    "ReLU code": lstm(code_activation="relu", units=3),
    "tanh code, as long as the state": LSTMAutoencoder(4, **{**LAST, "code_activation": "tanh"}),
    "encoder in both directions": lstm(bidirectional="encoder", units=4),
    "decoder in both directions": lstm("state", bidirectional="decoder", decoder_units=3),
    "pooled": lstm(pooling="all", num_layers=2),
    "random kernels": lstm(n_kernels=10, bidirectional=False),
    "random kernels, pooled": lstm(pooling="mean_max", n_kernels=1, kl_weight=0.1),
    "composite": lstm(horizon=4),
    "composite, state and previous": lstm(
        "state", horizon=4, forecast_decoder="state_previous", num_layers=2
    ),
    "composite, previous twice": lstm("previous", horizon=4),
    "composite, reversed input": lstm("reversed_input", horizon=4),
    "composite, reshape": lstm("repeat", horizon=4, forecast_decoder="reshape"),
    "composite, flat": lstm("flat", horizon=4),
    "dense model": DenseAutoencoder(5, hidden_units=(8, 7), activation="elu"),
    "dense model, another decoder": DenseAutoencoder(5, hidden_units=(8,), decoder_units=(6, 3)),
    "dense model, variational": DenseAutoencoder(
        5, kl_weight=0.1, code_activation="gelu", output_activation="sigmoid"
    ),
    "dense model, softmax": DenseAutoencoder(
        5, code_activation="softmax", output_activation="softmax"
    ),
    "stacked": StackedAutoencoder(3, hidden_units=(6,), inner_output_activation="sigmoid"),
    "sequences": conv(),
    "sequences, a pool that does not fit": conv(kernel_size=4, pool_size=4, activation="gelu"),
    "sequences, ReLU code": conv(code_activation="relu"),
    "sequences, strides": conv(strides=2, pool_size=1, kernel_size=7, upsampling="transposed"),
    "sequences, a stride that does not fit": conv(
        strides=(3, 1), pool_size=(1, 2), kernel_size=(2, 5), upsampling="transposed"
    ),
    "sequences, one map": conv(filters=(3,), pool_size=1, latent_dim=None),
}
IMAGES = {
    "colours": conv(image_shape=(3, 5, 2), filters=(3, 4, 5), output_activation="softmax"),
    "strides": conv(image_shape=(5, 4, 2), strides=2, pool_size=1, upsampling="transposed"),
    "strides, repeated pixels": conv(image_shape=(5, 4, 2), strides=(2, 1), pool_size=(2, 1)),
    "softmax inside": conv(image_shape=(3, 3, 2), activation="softmax", kernel_size=2),
    "variational": conv(image_shape=(3, 3, 2), latent_dim=None, kl_weight=0.1),
}
PLAIN = {"normalization": "none", "linear_steps": 0}
FORECASTERS = {
    "forecaster, dense": LSTMForecaster(4, horizon=4, **PLAIN),
    "forecaster, change from the last value": LSTMForecaster(4, horizon=4, quantiles=(0.2, 0.7)),
    "forecaster, linear map alone": LSTMForecaster(
        4, horizon=4, normalization="none", linear_steps=3, quantiles=(0.1, 0.5, 0.9)
    ),
    "forecaster, standardised": LSTMForecaster(
        4, horizon=4, normalization="standard", linear_steps=5, quantiles=(0.5,)
    ),
    "forecaster, standardised, no linear map": LSTMForecaster(
        4, horizon=4, normalization="standard", linear_steps=0, decoder="state_reversed_input"
    ),
    "forecaster, both ways": LSTMForecaster(
        4, horizon=4, bidirectional=True, num_layers=2, decoder="repeat", head_units=(5,), **PLAIN
    ),
    "forecaster, previous": LSTMForecaster(4, horizon=4, decoder="previous", **PLAIN),
    "forecaster, patches, state": LSTMForecaster(4, horizon=4, patch_size=3, decoder="state"),
    "forecaster, patches": LSTMForecaster(4, horizon=4, patch_size=3, decoder="previous"),
    "forecaster, ReLU": LSTMForecaster(
        4, horizon=4, decoder="state_previous", activation="relu", units=3, **PLAIN
    ),
}
FORECASTING = [name for name in AUTOENCODERS if name.startswith("composite")] + [*FORECASTERS]
CLASSIFIED = ["repeat", "state", "variational", "dense model", "sequences"]


@cache
def _fitted(model):
    """Fit the model on sequences of 9 steps, or on images, with 2 features."""
    rng = np.random.default_rng(0)
    shape = getattr(model, "image_shape", None)
    cut = getattr(model, "horizon", None) or 0
    steps = (*shape[:2],) if shape else (9 + cut,)
    quick = {"epochs": 1, "random_state": 0, "verbose": 0, "validation_split": 0}
    return copy.copy(model).set_params(**quick).fit(rng.normal(size=(4, *steps, 2)))


def randomised(model, scaler=SCALER):
    """Fit the model, and replace its weights by random ones; ReLU cells get smaller ones."""
    model = copy.deepcopy(_fitted(model))
    rng = np.random.default_rng(5)
    spread = 0.25 if getattr(model, "activation", "") == "relu" else 0.6
    with torch.no_grad():
        for weight in model.module_.parameters():
            weight.copy_(torch.from_numpy(rng.normal(0, spread, size=weight.shape)))
    model.scaler_ = scaler
    return model
