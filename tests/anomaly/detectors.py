"""Small series and small models of every kind for tests of detectors."""

import numpy as np
import pandas as pd

from unspool import (
    AnomalyDetector,
    ConvAutoencoder,
    DenseAutoencoder,
    LSTMAutoencoder,
    LSTMForecaster,
    StackedAutoencoder,
)

QUICK = {"epochs": 1, "steps_per_epoch": 2, "random_state": 0, "verbose": 0}
WINDOW = 8
ODD_LENGTHS = (30, 9, 8, 7, 2, 1)  # lengths of series, longer and shorter than a window


def waves(steps=90, features=2, seed=0):
    """Return a series (T, F) whose features have different levels and units."""
    rng = np.random.default_rng(seed)
    wave = np.sin(np.arange(steps)[:, None] / (2 + np.arange(features) % 5))
    noise = rng.normal(size=(steps, features)) / 10
    return (wave + noise + np.arange(features)) * 10.0 ** (np.arange(features) % 3)


FRAME = pd.DataFrame(waves(), columns=["a", "b"])


def lstm(**parameters):
    plain = {"units": 4, "bidirectional": False, "n_kernels": 0}
    return LSTMAutoencoder(3, **{**plain, **QUICK, **parameters})


def detector(model=None, **parameters):
    given = {"window": WINDOW, "random_state": 0, "verbose": 0, "device": "auto"}
    model = DenseAutoencoder(3, hidden_units=(5,), **QUICK) if model is None else model
    return AnomalyDetector(model, **{**given, **parameters})


AUTOENCODERS = {
    "lstm": lambda: LSTMAutoencoder(3, **QUICK),
    "lstm, unidirectional": lstm,
    "lstm, patches": lambda: lstm(patch_size=3, bidirectional=True),
    "lstm, composite": lambda: lstm(horizon=2),
    "lstm, narrowing": lambda: lstm(units=(5, 4), bidirectional=True),
    "lstm, reads the input": lambda: lstm(decoder="reversed_input"),
    "lstm, reads its previous output": lambda: lstm(decoder="state_previous", reverse_target=True),
    "lstm, flat": lambda: lstm(decoder="flat"),
    "lstm, dense decoder": lambda: lstm(decoder="dense"),
    "lstm, variational": lambda: lstm(kl_weight=0.1),
    "lstm, mae": lambda: lstm(loss="mae"),
    "lstm, huber": lambda: lstm(loss="huber"),
    "lstm, probabilities": lambda: lstm(
        loss="binary_crossentropy", output_activation="sigmoid", scaling="minmax"
    ),
    "dense": lambda: DenseAutoencoder(3, hidden_units=(5,), **QUICK),
    "dense, variational": lambda: DenseAutoencoder(3, kl_weight=0.1, **QUICK),
    "stacked": lambda: StackedAutoencoder(3, hidden_units=(5,), **QUICK),
    "conv": lambda: ConvAutoencoder(3, filters=(2, 2), **QUICK),
    "conv, no code": lambda: ConvAutoencoder(None, filters=(2,), **QUICK),
}
FORECASTERS = {
    "forecaster": lambda: LSTMForecaster(3, **QUICK),
    "forecaster, 3 steps": lambda: LSTMForecaster(3, horizon=3, **QUICK),
    "forecaster, quantiles": lambda: LSTMForecaster(3, horizon=2, quantiles=(0.1, 0.9), **QUICK),
    "forecaster, patches": lambda: LSTMForecaster(3, horizon=3, patch_size=4, **QUICK),
    "forecaster, reads the input": lambda: LSTMForecaster(
        3, horizon=2, decoder="state_reversed_input", **QUICK
    ),
    "forecaster, of every step": lambda: LSTMForecaster(
        3,
        horizon=2,
        every_step=True,
        normalization="none",
        linear_steps=0,
        pooling="last",
        **QUICK,
    ),
}
MODELS = {**AUTOENCODERS, **FORECASTERS}
