"""Data with rare large events is sound; training that explodes is not."""

import warnings

import numpy as np
import pytest

from unspool import (
    ConvAutoencoder,
    DenseAutoencoder,
    LSTMAutoencoder,
    LSTMForecaster,
    StackedAutoencoder,
    Windows,
)
from unspool.errors import DivergedError, UnstableTrainingWarning

QUICK = {"latent_dim": 4, "epochs": 2, "random_state": 0, "verbose": 0}

# A few large values decide the mean, which is hard to beat in two epochs.
pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")


def spikes(height, seed=0, n=200, steps=20):
    rng = np.random.default_rng(seed)
    X = 0.1 * rng.normal(size=(n, steps))
    X[rng.integers(0, n, 4), rng.integers(0, steps, 4)] += height
    return X


def one_spike():
    series = np.zeros(3000)
    series[1500] = 1.0
    return Windows(series, 12)


def burst():
    series = 0.01 * np.random.default_rng(0).normal(size=20000)
    series[9000:9050] += 20
    return Windows(series, 30, 8)


def missing_as_a_number():
    X = np.sin(np.arange(24) / 3.1 + np.arange(200)[:, None])
    X[77, 11] = -9999.0
    return X


SOUND = {
    **{f"spikes of {height}": spikes(height) for height in (20, 50, 100, 1000)},
    "one spike in zeros": one_spike(),
    "a burst": burst(),
    "-9999 for a missing value": missing_as_a_number(),
}


@pytest.mark.parametrize("X", SOUND.values(), ids=SOUND)
@pytest.mark.parametrize("scaling", ["standard", "minmax", "none"])
def test_rare_large_events_are_not_refused(X, scaling):
    model = LSTMAutoencoder(**QUICK, scaling=scaling).fit(X)
    assert len(model.history_["loss"]) == 2
    assert np.isfinite(model.history_["loss"] + model.history_["val_loss"]).all()


@pytest.mark.parametrize(
    "kind", [LSTMForecaster, DenseAutoencoder, StackedAutoencoder, ConvAutoencoder]
)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_no_kind_of_model_refuses_them(kind, optimizer):
    model = kind(**QUICK, optimizer=optimizer).fit(spikes(100))
    assert np.isfinite(model.history_["loss"]).all()


EXPLODING = {
    "learning rate 100": {"learning_rate": 100.0},
    "learning rate 100, not clipped": {"learning_rate": 100.0, "global_clipnorm": None},
    "sgd, not clipped": {"optimizer": "sgd", "learning_rate": 1e4, "global_clipnorm": None},
    "ReLU cells": {"activation": "relu", "learning_rate": 1.0, "global_clipnorm": None},
}


@pytest.mark.parametrize("parameters", EXPLODING.values(), ids=EXPLODING)
def test_an_explosion_is_still_caught(parameters):
    X = np.sin(np.arange(40) / 3 + np.arange(100)[:, None])
    model = LSTMAutoencoder(**{**QUICK, "epochs": 10, **parameters})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            losses = model.fit(X).history_["loss"]
        except DivergedError:
            return
    assert any(one.category is UnstableTrainingWarning for one in caught)
    assert max(losses) < 1000 * losses[0] + 1000
