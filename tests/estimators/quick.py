"""Small data and a small model for the tests of estimators."""

import numpy as np

from tests.trained import LAST
from unspool import LSTMAutoencoder


def sines(n=60, steps=30, features=1, seed=0):
    rng = np.random.default_rng(seed)
    phase, speed = rng.uniform(0, 6, (n, 1, 1)), rng.uniform(0.2, 0.5, (n, 1, 1))
    return np.sin(np.arange(steps)[:, None] * speed + phase + np.arange(features))


# What does not depend on the size of the data; test_budget.py has what does.
FIXED = {"learning_rate_schedule": "constant", "validation_split": 0.1, "patience": 20}


def quick(**parameters):
    given = {
        **FIXED,
        **LAST,
        "latent_dim": 6,
        "learning_rate": 0.01,
        "batch_size": 10,
        "epochs": 30,
    }
    given |= {"random_state": 0, "verbose": 0}
    return LSTMAutoencoder(**{**given, **parameters})
