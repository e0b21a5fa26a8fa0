"""Labelled data, a small autoencoder and a quick classifier for the tests of classifiers."""

import numpy as np

from tests.estimators.quick import FIXED
from unspool import EncoderClassifier, LSTMAutoencoder


def labelled(n=60, steps=20, features=1, seed=0):
    """Sines of two speeds, in noise, and which is which."""
    rng = np.random.default_rng(seed)
    y = np.where(rng.permutation(n) % 3 > 0, "slow", "fast")
    speed = np.where(y == "slow", 0.3, 0.5)[:, None, None]
    phase = rng.uniform(0, 6, (n, 1, features))
    X = np.sin(np.arange(steps)[:, None] * speed + phase)
    return X + rng.normal(0, 0.3, X.shape), y


def quick(autoencoder=None, **parameters):
    given = {**FIXED, "learning_rate": 0.02, "epochs": 10}
    given |= {"random_state": 0, "verbose": 0}
    return EncoderClassifier(autoencoder, **{**given, **parameters})


def small(**parameters):
    given = {"latent_dim": 5, "epochs": 2, "batch_size": 10, "random_state": 0, "verbose": 0}
    return LSTMAutoencoder(**{**given, **parameters})
