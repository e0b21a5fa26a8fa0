"""Keras models with convolutions before LSTM layers are imported with equal outputs."""

import numpy as np
import pytest
from keras import Input, Sequential
from keras import layers as L
from sklearn.base import clone

from tests.interop.nets import data, near, predicted, randomised
from tests.interop.public_architectures import with_statistics
from unspool.errors import InputError
from unspool.interop.keras import from_keras

pytestmark = [
    pytest.mark.cpu,
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
]
SEQ = {"return_sequences": True}
RELU = {"activation": "relu"}


def model(*layers, steps=11):
    return with_statistics(Sequential([Input((steps, 2)), *layers]))


def conv(filters, kernel=3, padding="same", **options):
    return L.Conv1D(filters, kernel, padding=padding, **{**RELU, **options})


FRONTS = {
    "one convolution": ([conv(4)], {"conv_filters": (4,), "conv_pool_size": 1}),
    "incomplete pools": (
        [conv(4), L.MaxPooling1D(2, padding="same")],
        {"conv_kernel_size": 3, "conv_pool_size": 2, "conv_padding": "same"},
    ),
    "unpadded, the last step left out": (
        [conv(4, 3, "valid"), L.MaxPooling1D(2), conv(3, 2, "valid")],
        {"conv_filters": (4, 3), "conv_kernel_size": (3, 2), "conv_pool_size": (2, 1)},
    ),
    "causal, with an activation layer and dropout": (
        [conv(4, 4, "causal", activation=None), L.Activation("tanh"), L.Dropout(0.2)],
        {"conv_activation": "tanh", "conv_padding": "causal"},
    ),
    "batch normalization and leaky ReLU": (
        [
            *(conv(4, activation=None), L.BatchNormalization(), L.LeakyReLU()),
            *(conv(3, activation=None), L.BatchNormalization(), L.ReLU(), L.BatchNormalization()),
        ],
        {"conv_filters": (8, 3), "conv_activation": "relu"},
    ),
    "without bias": ([conv(4, use_bias=False)], {"conv_filters": (4,)}),
}


@pytest.mark.parametrize("name", FRONTS)
def test_autoencoders_with_convolutions_are_imported(name):
    layers, parameters = FRONTS[name]
    decoder = [L.RepeatVector(11), L.Bidirectional(L.LSTM(4, **SEQ)), L.Dense(2)]
    theirs, X = model(*layers, L.Bidirectional(L.LSTM(5)), *decoder), data(6, 11, 2)
    ours = from_keras(theirs)
    near(ours.reconstruct(X), predicted(theirs, X))
    assert {key: getattr(ours, key) for key in parameters} == parameters
    fitted = clone(ours).set_params(epochs=1, verbose=0).fit(X)
    assert fitted.transform(X).shape == ours.transform(X).shape


def test_forecasters_classifiers_and_encoders_with_convolutions_are_imported():
    front, X = [conv(4, 3, "valid"), L.MaxPooling1D(3)], data(6, 11, 2)
    theirs = model(*front, L.GRU(5, **SEQ), L.GRU(4), L.Dense(1))
    near(from_keras(theirs).predict(X).reshape(6, 1), predicted(theirs, X))
    front = [conv(4, 3, "valid"), L.MaxPooling1D(3)]
    theirs = model(*front, L.LSTM(5, **SEQ), L.GlobalMaxPooling1D(), L.Dense(3, "softmax"))
    near(from_keras(theirs).predict_proba(X), predicted(theirs, X))
    theirs = model(conv(4), L.LSTM(5))
    near(from_keras(theirs).transform(X), predicted(theirs, X))
    causal = model(conv(4, 3, "causal"), L.LSTM(5, **SEQ), L.Dense(2))
    ours = from_keras(causal, forecast=True)
    found = [ours.predict(X[:, : 1 + t]).reshape(6, 2) for t in range(11)]
    near(np.stack(found, 1), predicted(causal, X))


def test_a_scaled_input_and_an_open_number_of_steps_are_imported():
    scaling = L.Normalization(mean=[3.0, -1.0], variance=[4.0, 0.25])
    layers = [conv(4, 3, "valid"), L.MaxPooling1D(2), L.LSTM(5)]
    theirs = randomised(Sequential([Input((None, 2)), scaling, *layers]), scale=0.3)
    X = data(6, 11, 2)
    near(from_keras(theirs, max_length=11).transform(X), predicted(theirs, X))


REFUSED = {
    "strides": (
        [conv(4, strides=2, name="odd")],
        "Conv1D 'odd' cannot be imported: its `strides` is (2,); only 1 is supported.",
    ),
    "dilation": (
        [conv(4, dilation_rate=2, name="odd")],
        "Conv1D 'odd' cannot be imported: its `dilation_rate` is (2,); only 1 is supported.",
    ),
    "other paddings": (
        [conv(4, name="first"), conv(4, 3, "causal", name="odd")],
        "Conv1D 'odd' cannot be imported: its `padding` is 'causal', but that of Conv1D 'first' is "
        "'same'; they must be the same.",
    ),
    "steps left out after padding": (
        [conv(4), L.MaxPooling1D(2, name="odd")],
        "MaxPooling1D 'odd' cannot be imported: its input of 11 is not a multiple of its pool size "
        "2, and Keras and unspool treat the surplus pixels differently; use a multiple as the "
        "input size.",
    ),
    "incomplete pools without padding": (
        [conv(4, 4, "valid"), L.MaxPooling1D(3, padding="same", name="odd")],
        "MaxPooling1D 'odd' cannot be imported: its input of 8 steps must be a known multiple of "
        "its pool size 3, or both this layer and the Conv1D before it must have the padding "
        "'valid'.",
    ),
    "two poolings": (
        [conv(4), L.MaxPooling1D(1, name="odd"), L.MaxPooling1D(1, name="second")],
        "MaxPooling1D 'second' cannot be imported: a Conv1D was expected before it, in front of "
        "the LSTM.",
    ),
    "two activations": (
        [conv(4, name="first"), L.Activation("tanh", name="odd")],
        "Activation 'odd' cannot be imported: Conv1D 'first' before it has an activation already; "
        "remove one of the two.",
    ),
    "other activations": (
        [conv(4), conv(4, activation="tanh", name="odd")],
        "Conv1D 'odd' cannot be imported: the convolutions before the LSTM have the activations "
        "relu, tanh; they must be the same.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_layers_before_an_lstm_are_refused_with_a_reason(name):
    layers, message = REFUSED[name]
    with pytest.raises(InputError) as caught:
        from_keras(model(*layers, L.LSTM(3)))
    assert str(caught.value) == message


def test_forecasts_after_every_step_need_causal_convolutions_in_keras_too():
    theirs = model(conv(4), L.LSTM(5, **SEQ), L.Dense(2))
    with pytest.raises(InputError, match="set conv_padding='causal' and conv_pool_size=1"):
        from_keras(theirs, forecast=True)
