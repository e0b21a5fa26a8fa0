"""Data with rare large events is sound; training that explodes is not."""

import re
import warnings

import numpy as np
import pytest

from unspool import (
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    StackedAutoencoder,
    Windows,
)
from unspool.errors import DivergedError, InputError, UnstableTrainingWarning
from unspool.estimators.divergence_advice import advice_after_divergence
from unspool.training.divergence import Evidence

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


WAYS = {
    "learning rate": (
        {"learning_rate": 50.0},
        {},
        "Lower `learning_rate` from 50, for example to 0.005.",
    ),
    "usual learning rate": (
        {"learning_rate": 0.01},
        {},
        "Lower `learning_rate` from 0.01, for example to 0.001.",
    ),
    "the optimizer's learning rate": (
        {"learning_rate": None, "optimizer": "sgd"},
        {"learning_rate": 0.01},
        "Lower `learning_rate` from 0.01, for example to 0.001.",
    ),
    "no clipping": (
        {"global_clipnorm": None},
        {},
        "Lower `learning_rate` from 0.005, for example to 0.0005, or set `global_clipnorm`=1.0.",
    ),
    "unbounded cells": (
        {"activation": "relu", "global_clipnorm": None},
        {},
        "Lower `learning_rate` from 0.005, for example to 0.0005, set `global_clipnorm`=1.0, or "
        "set `activation`='tanh', because 'relu' does not limit the state.",
    ),
    "large values, not scaled": (
        {"scaling": "none"},
        {"initial": True, "size": 1e20},
        "Set `scaling`='standard', or divide the data.",
    ),
    "outliers": (
        {"scaling": "standard"},
        {"initial": True, "size": 1e4},
        "Remove outliers, or set `scaling`='robust' and `clip`=10.",
    ),
    "outliers that are clipped": (
        {"clip": 1e4},
        {"initial": True, "size": 1e4},
        "Remove outliers.",
    ),
    "a loss function": (
        {"loss": lambda output, target: (output - target) ** 2},
        {"initial": True},
        "Check that the function `loss` neither divides by 0 nor takes the log of 0.",
    ),
    "nothing in particular": (
        {},
        {"initial": True},
        "Check the data for values that are too large for float32.",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_advice_follows_from_what_was_seen(way):
    parameters, seen, expected = WAYS[way]
    evidence = Evidence("loss", 0.005, False, ("encoder.weight", 1.0), None, 3.0)
    model = LSTMAutoencoder(**parameters)
    assert advice_after_divergence(model, evidence._replace(**seen)) == expected


def test_the_advice_for_a_classifier_names_the_data_of_the_encoder():
    evidence = Evidence("loss", 0.002, True, None, None, 1e9)
    assert advice_after_divergence(EncoderClassifier(), evidence) == (
        "Compare the data with those that the encoder was fitted on."
    )


def test_the_advice_for_layers_without_state_names_no_activation():
    evidence = Evidence("loss", 0.002, False, None, None, None)
    assert advice_after_divergence(DenseAutoencoder(activation="relu"), evidence) == (
        "Lower `learning_rate` from 0.002, for example to 0.0002."
    )


def test_the_error_names_place_gradient_and_remedy():
    model = DenseAutoencoder(
        3, learning_rate=1e5, global_clipnorm=None, epochs=1, validation_split=0, random_state=0,
        verbose=0,
    )  # fmt: skip
    X = np.sin(np.arange(40) / 3 + np.arange(20)[:, None])
    with pytest.raises(DivergedError) as caught:
        model.fit(X)
    assert re.fullmatch(
        r"The loss became \S+ in epoch 1\. The largest gradient is that of "
        r"`encoder\.layers\.0\.weight`, with a norm of \S+\. Lower "
        r"`learning_rate` from 100000, for example to 0\.002, or set `global_clipnorm`=1\.0\.",
        str(caught.value),
    ), caught.value
    assert not model.__sklearn_is_fitted__()


HARD = {
    "1e8": 1e8 * spikes(1),
    "1e30": 1e30 * spikes(1),
    "1e-30": 1e-30 * spikes(1),
    "features of 1e20 and 1e-30": np.stack([1e20 * spikes(1), 1e-30 * spikes(1, 1)], 2),
    "one sample": spikes(1)[:1],
    "one step": spikes(1)[:, None, :3],
    "constant": np.full((20, 6), 7e20),
    "integers": (100 * spikes(1)).astype(int),
    "one outlier": np.where(np.arange(4000).reshape(200, 20) == 777, 1e12, spikes(1)),
}


@pytest.mark.parametrize("data", HARD)
@pytest.mark.parametrize("rate", [0.5, 50.0])
@pytest.mark.parametrize("kind", [LSTMAutoencoder, DenseAutoencoder, ConvAutoencoder])
@pytest.mark.filterwarnings("ignore::unspool.errors.UnstableTrainingWarning")
def test_hard_data_and_high_learning_rates_lead_to_a_sane_model_or_a_clear_error(kind, rate, data):
    X = HARD[data]
    model = kind(**QUICK, learning_rate=rate, batch_size=500)
    try:
        model.fit(X)
    except DivergedError as refusal:
        message = str(refusal)
    else:
        message = ""
    if message:
        assert "`learning_rate` from" in message
        return
    error = model.reconstruction_error(X).mean()
    assert np.isfinite(model.reconstruct(X)).all()
    assert error < 100 * model.history_["loss"][0] + 10


def test_differences_that_overflow_are_refused_by_a_forecaster():
    X = np.sin(np.arange(12) / 2 + np.arange(30)[:, None] ** 2) * 3e38
    with pytest.raises(InputError) as caught:
        LSTMForecaster(horizon=1, units=4, scaling="none", epochs=1, verbose=0).fit(X)
    assert str(caught.value) == (
        "Expected scaled values whose differences are at most 3.4e+38, the largest number of "
        "float32, got larger differences; set `scaling`='standard', or divide the data."
    )
