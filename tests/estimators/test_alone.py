"""A sequence has the same numbers alone and among others, whatever the model and the batch."""

import numpy as np
import pytest

from tests.estimators.quick import sines
from unspool import (
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    Sequences,
    StackedAutoencoder,
)

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

SHORT = {"epochs": 1, "random_state": 0, "verbose": 0}
MODELS = {
    "lstm": lambda: LSTMAutoencoder(**SHORT),
    "lstm, wide": lambda: LSTMAutoencoder(130, units=70, head_units=(33,), **SHORT),
    "lstm, narrow": lambda: LSTMAutoencoder(1, bidirectional=False, **SHORT),
    "lstm, two layers, from the state": lambda: LSTMAutoencoder(
        20, num_layers=2, decoder="state", **SHORT
    ),
    "lstm, narrowing": lambda: LSTMAutoencoder(20, units=(40, 17), **SHORT),
    "lstm, fed back": lambda: LSTMAutoencoder(20, decoder="previous", **SHORT),
    "lstm, flat": lambda: LSTMAutoencoder(20, decoder="flat", **SHORT),
    "lstm, relu": lambda: LSTMAutoencoder(
        20, activation="relu", recurrent_activation="hard_sigmoid", decoder="dense", **SHORT
    ),
    "convolutions": lambda: LSTMAutoencoder(20, conv_filters=(9,), conv_padding="causal", **SHORT),
    "composite": lambda: LSTMAutoencoder(20, horizon=1, **SHORT),
    "variational": lambda: LSTMAutoencoder(20, kl_weight=0.1, **SHORT),
    "forecaster": lambda: LSTMForecaster(**SHORT),
    "forecaster, dense": lambda: LSTMForecaster(decoder="dense", head_units=(99,), **SHORT),
    "forecaster, standardised": lambda: LSTMForecaster(normalization="standard", **SHORT),
    "dense": lambda: DenseAutoencoder(**SHORT),
    "dense, deep": lambda: DenseAutoencoder(hidden_units=(150, 70), activation="tanh", **SHORT),
    "stacked": lambda: StackedAutoencoder(activation="gelu", **SHORT),
    "classifier": lambda: EncoderClassifier(LSTMAutoencoder(**SHORT), head_units=(50,), **SHORT),
}
# PyTorch computes these values a vector at a time, and the last few by themselves.
ROUGHLY = {
    "sigmoid": lambda: DenseAutoencoder(
        hidden_units=(150,), activation="sigmoid", output_activation="sigmoid", **SHORT
    ),
    "elu": lambda: DenseAutoencoder(hidden_units=(150,), activation="elu", **SHORT),
    "conv": lambda: ConvAutoencoder(**SHORT),
    "conv, to a code": lambda: ConvAutoencoder(20, kernel_size=5, pool_size=3, **SHORT),
    "library": lambda: LSTMAutoencoder(backend="torch", **SHORT),
}
METHODS = (
    "transform",
    "features",
    "reconstruct",
    "reconstruction_error",
    "predict",
    "predict_proba",
)


def outputs(model, X):
    found = {n: getattr(model, n)(X) for n in METHODS if hasattr(model, n)}
    if getattr(model, "horizon_", 0):
        found["forecast"] = model.forecast(X)
    return found


def compared(make, X, parts):
    """What a model fitted on X gives for parts of it, and as much of what it gives for all."""
    model = make()
    model.fit(X, *([np.arange(len(X)) % 2] if isinstance(model, EncoderClassifier) else []))
    among = outputs(model, X)
    for part in parts:
        for name, alone in outputs(model, X[part]).items():
            expected = among[name][part]
            if expected.ndim > 1:
                expected = expected[:, : alone.shape[1]]
            yield f"{name} of {part}", alone, expected


PARTS = [slice(0, 1), slice(1, 3), slice(3, 8), slice(8, 39), slice(39, 70), slice(64, 65)]


@pytest.mark.parametrize("steps", [2, 3, 20])
@pytest.mark.parametrize("name", MODELS)
def test_a_sequence_alone_and_in_a_batch_have_the_same_bits(name, steps):
    X = sines(70, steps, features=2)
    for what, alone, expected in compared(MODELS[name], X, PARTS):
        np.testing.assert_array_equal(alone, expected, err_msg=what)


@pytest.mark.parametrize("name", [n for n in MODELS if n.startswith(("lstm", "dense", "class"))])
def test_sequences_of_any_lengths_have_the_same_bits_alone_and_in_a_batch(name):
    lengths = np.random.default_rng(0).integers(2, 13, 70)
    X = Sequences(sines(70, 12), lengths)
    for what, alone, expected in compared(MODELS[name], X, PARTS):
        np.testing.assert_array_equal(alone, expected, err_msg=what)


@pytest.mark.parametrize("name", ROUGHLY)
def test_a_sequence_alone_and_in_a_batch_differ_at_most_in_the_last_digit(name):
    X = sines(70, 20)
    for what, alone, expected in compared(ROUGHLY[name], X, PARTS):
        np.testing.assert_allclose(alone, expected, rtol=2e-7, atol=2e-7, err_msg=what)
