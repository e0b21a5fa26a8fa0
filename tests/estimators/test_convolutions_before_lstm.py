"""`conv_filters`: convolutions in front of the LSTM of an autoencoder or forecaster."""

import numpy as np
import pytest

from unspool import EncoderClassifier, LSTMAutoencoder, LSTMForecaster, Sequences, runtime, summary
from unspool.errors import InputError

pytestmark = pytest.mark.filterwarnings(
    "ignore::unspool.errors.NoBetterThanMeanWarning"
)  # few epochs
QUICK = {"epochs": 1, "verbose": 0, "random_state": 0}


def waves(n=100, steps=24):
    rng = np.random.default_rng(0)
    return np.sin(np.arange(steps) / 2 + rng.uniform(0, 6, (n, 1)))[..., None]


def test_an_autoencoder_with_convolutions_learns():
    X = waves()
    given = {"epochs": 40, "verbose": 0, "random_state": 0, "learning_rate": 0.01}
    given |= {"pooling": "last", "n_kernels": 0, "input_dropout": 0.0, "decoder": "dense"}
    model = LSTMAutoencoder(4, units=8, conv_filters=(8,), conv_kernel_size=5, **given).fit(X[:80])
    assert model.score(X[80:]) > 0.6
    start = LSTMAutoencoder(4, units=8, conv_filters=(8,), conv_kernel_size=5, **QUICK).fit(X[:80])
    weights = [one.module_.encoder.convolutions[0].weight.detach() for one in (start, model)]
    assert weights[0].shape == (8, 1, 5)
    assert (weights[1] - weights[0]).abs().max() > 0.05


def test_the_lstm_reads_as_many_steps_as_the_poolings_leave():
    X = waves(20)
    model = LSTMAutoencoder(4, conv_filters=(3, 2), conv_pool_size=(2, 4), **QUICK).fit(X)
    rows = [row for row in summary(model).rows if row.part == "encoder"]
    assert [(row.kind, row.output_shape) for row in rows[:5]] == [
        ("StepConvolution 3 3 relu", ("N", 24, 3)),
        ("StepPool 2", ("N", 12, 3)),
        ("StepConvolution 2 3 relu", ("N", 12, 2)),
        ("StepPool 4", ("N", 3, 2)),
        ("LSTM 2 × 4 tanh", ("N", 5, 8)),  # statistics of its states
    ]


def test_sequences_of_other_lengths_and_classes_work(tmp_path):
    lengths = np.array([9, 4, 1, 0, 7] * 4)
    X = Sequences(np.random.default_rng(0).normal(size=(20, 9, 2)), lengths)
    model = LSTMAutoencoder(3, conv_filters=(4,), conv_padding="valid", **QUICK).fit(X)
    longer = Sequences(np.pad(X.values, ((0, 0), (0, 8), (0, 0)), constant_values=7.0), lengths)
    np.testing.assert_array_equal(model.transform(longer), model.transform(X))
    classifier = EncoderClassifier(model, **QUICK).fit(X, np.arange(20) % 2)
    classifier.save(tmp_path / "classifier")
    found = runtime.load(tmp_path / "classifier").predict_proba(X)
    np.testing.assert_allclose(found, classifier.predict_proba(X), atol=1e-6)


def test_a_stream_refuses_convolutions(tmp_path):
    model = LSTMAutoencoder(3, conv_filters=(4,), bidirectional=False, **QUICK).fit(waves(20))
    model.save(tmp_path / "model")
    with pytest.raises(InputError) as caught:
        runtime.load(tmp_path / "model").stream()
    assert str(caught.value) == (
        "A stream needs an LSTM encoder that reads each step when it comes, and this one reads the "
        "outputs of convolutions (`conv_filters`); encode whole sequences, or fit with "
        "conv_filters=()."
    )


def test_forecasts_after_every_step_need_causal_convolutions():
    given = {"horizon": 2, "every_step": True, "pooling": "last", **QUICK}
    with pytest.raises(InputError) as caught:
        LSTMForecaster(3, conv_filters=(4,), **given).fit(waves(20))
    assert str(caught.value) == (
        "`every_step` needs the encoder's state after every step, so its convolutions must neither "
        "read later steps nor be pooled, got conv_padding='same', conv_pool_size=2; set "
        "conv_padding='causal' and conv_pool_size=1, or conv_filters=()."
    )
    pooled = {"conv_filters": (4, 3), "conv_padding": "causal", "conv_pool_size": (1, 2)}
    with pytest.raises(InputError, match=r"got conv_padding='causal', conv_pool_size=\(1, 2\);"):
        LSTMForecaster(3, **pooled, **given).fit(waves(20))
    causal = {"conv_filters": (4,), "conv_padding": "causal", "conv_pool_size": 1}
    model = LSTMForecaster(3, **causal, **given).fit(waves(20))
    assert model.forecast(waves(3)[:, :-2]).shape == (3, 2, 1)


def test_bad_parameters_of_convolutions_are_reported_together():
    given = {"conv_filters": (4, 0), "conv_kernel_size": 0, "conv_padding": "full"}
    with pytest.raises(InputError) as caught:
        LSTMAutoencoder(3, **given, conv_pool_size="2", conv_activation="leaky").fit(waves(5))
    assert str(caught.value).splitlines() == [
        "`conv_filters` must be a whole number of at least 1, got 0.",
        "`conv_kernel_size` must be a whole number of at least 1, or a list with one for each "
        "convolution, got 0.",
        "`conv_pool_size` must be a whole number of at least 1, or a list with one for each "
        "convolution, got '2'.",
        "unknown `conv_activation` 'leaky': known are 'elu', 'gelu', 'linear', 'relu', 'sigmoid', "
        "'softmax', 'tanh'.",
        "unknown `conv_padding` 'full': known are 'causal', 'same', 'valid'.",
    ]
    with pytest.raises(InputError, match="`conv_pool_size` must be a whole number of at most 1024"):
        LSTMAutoencoder(3, conv_filters=(4, 2), conv_pool_size=(2, 1025)).fit(waves(5))
    with pytest.raises(InputError) as caught:
        LSTMAutoencoder(3, conv_filters=(4, 2), conv_pool_size=(2,)).fit(waves(5))
    assert str(caught.value) == (
        "`conv_pool_size` has 1 numbers, but `conv_filters` has 2; give one number for all "
        "convolutions, or one for each."
    )
