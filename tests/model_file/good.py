"""A small model of every kind, whose files the tests of damage change."""

import numpy as np

from unspool import (
    AnomalyDetector,
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    StackedAutoencoder,
)
from unspool.data.windows import Windows

RNG = np.random.default_rng(0)
X = np.sin(np.arange(8) / 2.1 + np.arange(20)[:, None])
SERIES = np.sin(np.arange(60)[:, None] / np.array([3, 5]))
IMAGES = RNG.uniform(size=(16, 5, 4, 2))
LABELS = np.array(["b", "c", "a"])[np.arange(20) % 3]
QUICK = {"latent_dim": 3, "epochs": 2, "random_state": 0, "verbose": 0, "device": "cpu"}
OF_DETECTORS = {"random_state": 0, "verbose": 0, "device": "cpu"}

# Fitted model and its training data.
GOOD = {
    "lstm": lambda: (LSTMAutoencoder(**QUICK).fit(X), X),
    "composite": lambda: (
        LSTMAutoencoder(
            **QUICK, horizon=2, num_layers=2, decoder="state", head_units=(3,), kl_weight=0.1
        ).fit(Windows(SERIES, 10, 2, feature_names=["left", "right"])),
        Windows(SERIES, 8, 2),
    ),
    "detector": lambda: (
        AnomalyDetector(DenseAutoencoder(**QUICK), window=5, **OF_DETECTORS).fit(SERIES),
        SERIES,
    ),
    "detector of sequences": lambda: (
        AnomalyDetector(
            LSTMForecaster(**QUICK), threshold="alarms", rate=5, period=10, **OF_DETECTORS
        ).fit(X[:, :, None]),
        X[:, :, None],
    ),
    "forecaster": lambda: (LSTMForecaster(**QUICK, decoder="previous").fit(X), X),
    "dense": lambda: (DenseAutoencoder(**QUICK, hidden_units=(4,), metrics=("mae",)).fit(X), X),
    "stacked": lambda: (StackedAutoencoder(**QUICK, hidden_units=(4,)).fit(X), X),
    "conv": lambda: (ConvAutoencoder(**QUICK, filters=(2, 2)).fit(IMAGES), IMAGES),
    "classifier": lambda: (
        EncoderClassifier(
            LSTMAutoencoder(**QUICK),
            head_units=(2,),
            epochs=2,
            random_state=0,
            verbose=0,
            device="cpu",
        ).fit(X, LABELS),
        X,
    ),
}
