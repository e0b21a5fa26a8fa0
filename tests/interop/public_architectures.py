"""Keras models as tutorials, blogs, competitions and papers write them, the most common first.

Widths and lengths are smaller than in the originals, so that the tests are fast; the layers, their
order and their options are the same. `T` is the number of steps, `F` the number of features and
`K` the number of steps of a forecast.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from keras import Input, Model, Sequential
from keras import layers as L

from tests.interop.nets import data

T, F, K = 12, 3, 4
SEQ: dict[str, Any] = {"return_sequences": True}
SAME: dict[str, Any] = {"padding": "same", "activation": "relu"}
SERIES = (T, F)


class Architecture(NamedTuple):
    """A model as people write it.

    Parameters
    ----------
    build : callable
        Returns the Keras model.
    compares : str
        Which output of unspool equals that of Keras: "reconstruct", "forecast", "predict",
        "transform", "classify", "composite", "teacher_forcing" or "prefixes".
    refused : str
        How the layer is named in the message that refuses the model; "" if it is imported.
    options : dict
        Arguments of `from_keras`.
    """

    build: Callable[[], Any]
    compares: str = "reconstruct"
    refused: str = ""
    options: dict[str, Any] = {}  # noqa: RUF012  # never changed


def chain(*layers, shape=SERIES):
    """A function that makes a `Sequential` of an input and these layers."""
    return lambda: Sequential([Input(shape), *(layer() for layer in layers)])


def lstm(units, **options):
    return lambda: L.LSTM(units, **options)


def gru(units, **options):
    return lambda: L.GRU(units, **options)


def both(units, merge_mode="concat", **options):
    return lambda: L.Bidirectional(L.LSTM(units, **options), merge_mode=merge_mode)


def dense(units, activation=None):
    return lambda: L.Dense(units, activation=activation)


def each(units, activation=None):
    return lambda: L.TimeDistributed(L.Dense(units, activation=activation))


def drop(rate=0.2):
    return lambda: L.Dropout(rate)


def repeat(n=T):
    return lambda: L.RepeatVector(n)


def conv(filters, kernel=3, **options):
    return lambda: L.Conv1D(filters, kernel, **options)


def conv2(filters, kernel=3, **options):
    return lambda: L.Conv2D(filters, kernel, **options)


def up(filters, kernel=3, **options):
    return lambda: L.Conv1DTranspose(filters, kernel, **options)


def up2(filters, kernel=3, **options):
    return lambda: L.Conv2DTranspose(filters, kernel, **options)


def pool(size=2, **options):
    return lambda: L.MaxPooling1D(size, **options)


def pool2(**options):
    return lambda: L.MaxPooling2D(2, **options)


def composite():
    x = Input(SERIES)
    code = L.LSTM(10, activation="relu")(x)
    past = L.LSTM(10, activation="relu", **SEQ)(L.RepeatVector(T)(code))
    ahead = L.LSTM(10, activation="relu", **SEQ)(L.RepeatVector(T - 1)(code))
    return Model(x, [L.TimeDistributed(L.Dense(F))(past), L.TimeDistributed(L.Dense(F))(ahead)])


def seq2seq():
    x, previous = Input((None, F)), Input((None, F))
    _, h, c = L.LSTM(8, return_state=True)(x)
    decoded, _, _ = L.LSTM(8, return_state=True, **SEQ)(previous, initial_state=[h, c])
    return Model([x, previous], L.Dense(F)(decoded))


def states_and_code():
    x = Input(SERIES)
    code, h, c = L.LSTM(8, return_state=True)(x)
    decoded = L.LSTM(8, **SEQ)(L.RepeatVector(K)(code), initial_state=[h, c])
    return Model(x, L.TimeDistributed(L.Dense(F))(decoded))


def attention():
    x = Input(SERIES)
    states = L.LSTM(8, **SEQ)(x)
    attended = L.Attention()([states, states])
    return Model(x, L.Dense(1)(L.GlobalAveragePooling1D()(attended)))


def transformer():
    x = Input(SERIES)
    a = L.MultiHeadAttention(2, 4)(x, x)
    h = L.LayerNormalization()(L.Add()([x, a]))
    return Model(x, L.Dense(1)(L.GlobalAveragePooling1D()(h)))


class Sampling(L.Layer):
    def call(self, inputs):
        return inputs[0]


def variational():
    x = Input(SERIES)
    h = L.LSTM(8)(x)
    code = Sampling()([L.Dense(2)(h), L.Dense(2)(h)])
    decoded = L.LSTM(8, **SEQ)(L.RepeatVector(T)(code))
    return Model(x, L.TimeDistributed(L.Dense(F))(decoded))


def encoder_and_decoder():
    """Encoder and decoder as two models, called one after the other."""
    x, code = Input(SERIES), Input((6,))
    encoder = Model(x, L.LSTM(6)(L.LSTM(10, **SEQ)(x)))
    decoded = L.LSTM(10, **SEQ)(L.LSTM(6, **SEQ)(L.RepeatVector(T)(code)))
    decoder = Model(code, L.TimeDistributed(L.Dense(F))(decoded))
    return Model(x, decoder(encoder(x)))


def pooled_both():
    """Mean and maximum of the states of a bidirectional layer, as in Kaggle's kernels."""
    x = Input(SERIES)
    h = L.Bidirectional(L.LSTM(8, **SEQ))(x)
    both = L.Concatenate()([L.GlobalAveragePooling1D()(h), L.GlobalMaxPooling1D()(h)])
    return Model(x, L.Dense(5, activation="softmax")(L.Dense(6, activation="relu")(both)))


def skip():
    x = Input(SERIES)
    h = L.LSTM(8, **SEQ)(x)
    h = L.Add()([h, L.LSTM(8, **SEQ)(h)])
    return Model(x, L.Dense(1)(L.LSTM(8)(h)))


def leaky():
    return L.LeakyReLU()


def normalized():
    return L.BatchNormalization()


RELU = {"activation": "relu"}
ROW, IMAGE = (20,), (8, 8, 1)

ARCHITECTURES: dict[str, Architecture] = {
    # Most tutorials begin with one of these.
    "LSTM forecaster": Architecture(chain(lstm(10, **RELU), dense(1)), "predict"),
    "LSTM autoencoder": Architecture(
        chain(lstm(10, **RELU), repeat(), lstm(10, **RELU, **SEQ), each(F))
    ),
    "autoencoder with dropout": Architecture(
        chain(lstm(10), drop(), repeat(), lstm(10, **SEQ), drop(), each(F))
    ),
    "mirrored autoencoder": Architecture(
        chain(
            *(lstm(12, **RELU, **SEQ), lstm(6, **RELU), repeat()),
            *(lstm(6, **RELU, **SEQ), lstm(12, **RELU, **SEQ), each(F)),
        )
    ),
    "four layers with dropout (stock prices)": Architecture(
        chain(
            *(lstm(10, **SEQ), drop(), lstm(10, **SEQ), drop()),
            *(lstm(10, **SEQ), drop(), lstm(10), drop(), dense(1)),
        ),
        "predict",
    ),
    "two layers and Dense(25) (stock prices)": Architecture(
        chain(lstm(12, **SEQ), lstm(8), dense(25), dense(1)), "predict"
    ),
    "dense autoencoder of images": Architecture(
        chain(dense(6, "relu"), dense(20, "sigmoid"), shape=ROW)
    ),
    "deep dense autoencoder": Architecture(
        chain(
            *(dense(16, "relu"), dense(8, "relu"), dense(4, "relu"), dense(8, "relu")),
            *(dense(16, "relu"), dense(20, "sigmoid")),
            shape=ROW,
        )
    ),
    "convolutional autoencoder of images, one unpadded convolution": Architecture(
        chain(
            *(conv2(4, **SAME), pool2(padding="same"), conv2(3, **SAME), pool2(padding="same")),
            *(conv2(3, **SAME), pool2(padding="same"), conv2(3, **SAME)),
            *(lambda: L.UpSampling2D(2), conv2(3, **SAME), lambda: L.UpSampling2D(2)),
            *(conv2(4, **RELU), lambda: L.UpSampling2D(2)),
            conv2(1, padding="same", activation="sigmoid"),
            shape=(28, 28, 1),
        ),
        refused="Conv2D",
    ),
    "denoising convolutional autoencoder of images": Architecture(
        chain(
            *(conv2(4, **SAME), pool2(padding="same"), conv2(4, **SAME), pool2(padding="same")),
            *(conv2(4, **SAME), lambda: L.UpSampling2D(2), conv2(4, **SAME)),
            *(lambda: L.UpSampling2D(2), conv2(1, padding="same", activation="sigmoid")),
            shape=IMAGE,
        )
    ),
    "many to one, several steps in a vector": Architecture(
        chain(lstm(10, **RELU, **SEQ), lstm(10, **RELU), dense(K), shape=(T, 1)), "forecast"
    ),
    "encoder-decoder forecaster": Architecture(
        chain(
            *(lstm(10, **RELU), repeat(K), lstm(10, **RELU, **SEQ)),
            *(each(8, "relu"), each(1)),
        ),
        "predict",
    ),
    "bidirectional forecaster": Architecture(chain(both(8, **RELU), dense(1)), "predict"),
    "convolution before an LSTM": Architecture(
        chain(conv(8, **RELU), pool(), lstm(10, **RELU), dense(1)),
        "predict",
    ),
    "strided convolutions (anomaly detection of Keras's examples)": Architecture(
        chain(
            *(conv(8, 7, strides=2, **SAME), drop(), conv(4, 7, strides=2, **SAME)),
            *(up(4, 7, strides=2, **SAME), drop(), up(8, 7, strides=2, **SAME)),
            up(F, 7, padding="same"),
        ),
    ),
    "LSTM classifier of activities": Architecture(
        chain(lstm(10), drop(0.5), dense(8, "relu"), dense(5, "softmax")), "classify"
    ),
    "bidirectional autoencoder": Architecture(
        chain(both(6), repeat(), both(6, **SEQ), each(F)), "reconstruct"
    ),
    "GRU forecaster": Architecture(chain(gru(10, **SEQ), gru(8), dense(1)), "predict"),
    "bottleneck with ReLU": Architecture(
        chain(lstm(10), dense(5, "relu"), repeat(), lstm(10, **SEQ), each(F))
    ),
    "linear bottleneck": Architecture(
        chain(lstm(10), dense(5), repeat(), lstm(10, **SEQ), each(F))
    ),
    "forecast of all features (structured tutorial)": Architecture(
        chain(lstm(10), dense(K * F), lambda: L.Reshape((K, F))), "forecast"
    ),
    "one step after every step (structured tutorial)": Architecture(
        chain(lstm(10, **SEQ), dense(1)), "prefixes", options={"forecast": True}
    ),
    "binary classifier": Architecture(chain(lstm(10), dense(1, "sigmoid")), "predict"),
    "composite model": Architecture(composite, "composite"),
    "sequence to sequence with teacher forcing": Architecture(
        seq2seq, "teacher_forcing", options={"second_input": "previous", "max_length": T}
    ),
    "batch normalization between LSTM layers": Architecture(
        chain(
            *(lstm(10, **SEQ), normalized, lstm(6), normalized, repeat()),
            *(lstm(6, **SEQ), normalized, lstm(10, **SEQ), normalized, each(F)),
        )
    ),
    "batch normalization and dropout (prices of coins)": Architecture(
        chain(
            *(lstm(10, **SEQ), drop(), normalized, lstm(10, **SEQ), drop(0.1), normalized),
            *(lstm(10), drop(), normalized, dense(8, "relu"), drop(), dense(2, "softmax")),
        ),
        "classify",
    ),
    "bidirectional encoder, decoder in one direction": Architecture(
        chain(both(6), repeat(), lstm(12, **SEQ), each(F))
    ),
    "masked autoencoder": Architecture(
        chain(lambda: L.Masking(0.0), lstm(10), repeat(), lstm(10, **SEQ), each(F))
    ),
    "dense autoencoder of fraud (tanh and ReLU)": Architecture(
        chain(dense(14, "tanh"), dense(7, "relu"), dense(7, "tanh"), dense(20, "relu"), shape=ROW)
    ),
    "dense autoencoder with batch normalization and LeakyReLU": Architecture(
        chain(
            *(dense(16), normalized, leaky, dense(10), normalized, leaky, dense(5)),
            *(dense(10), normalized, leaky, dense(16), normalized, leaky, dense(20)),
            shape=ROW,
        )
    ),
    "convolutions with pooling of series": Architecture(
        chain(
            *(conv(8, **SAME), pool(padding="same"), conv(4, **SAME), pool(padding="same")),
            *(conv(4, **SAME), lambda: L.UpSampling1D(2), conv(8, **SAME)),
            *(lambda: L.UpSampling1D(2), conv(F, padding="same")),
        )
    ),
    "pooling, then transposed convolutions (denoising of Keras's examples)": Architecture(
        chain(
            *(conv2(4, **SAME), pool2(padding="same"), conv2(4, **SAME), pool2(padding="same")),
            *(up2(4, strides=2, **SAME), up2(4, strides=2, **SAME)),
            conv2(1, padding="same", activation="sigmoid"),
            shape=IMAGE,
        ),
    ),
    "convolutions, batch normalization and average (classification of Keras's examples)": (
        Architecture(
            chain(
                *(conv(8, padding="same"), normalized, L.ReLU, conv(8, padding="same")),
                *(normalized, L.ReLU, L.GlobalAveragePooling1D, dense(2, "softmax")),
            ),
            "classify",
        )
    ),
    "convolution before an LSTM autoencoder": Architecture(
        chain(
            *(conv(8, **SAME), pool(), lstm(10), repeat(), lstm(10, **SEQ), each(F)),
        ),
    ),
    "GRU autoencoder": Architecture(chain(gru(10), repeat(), gru(10, **SEQ), each(F))),
    "encoder and decoder as nested models": Architecture(encoder_and_decoder),
    "dropout of every step": Architecture(
        chain(
            *(lstm(10), repeat(), lstm(10, **SEQ)),
            *(lambda: L.TimeDistributed(L.Dropout(0.2)), each(F)),
        )
    ),
    "mean and maximum of states": Architecture(pooled_both, "classify"),
    "maximum of states": Architecture(
        chain(both(8, **SEQ), L.GlobalMaxPooling1D, drop(), dense(6, "relu"), dense(1, "sigmoid")),
        "predict",
    ),
    "states of all steps in a vector": Architecture(
        chain(lstm(10, **SEQ), L.Flatten, dense(1)), "predict", refused="Flatten"
    ),
    "encoder alone": Architecture(chain(lstm(10, **SEQ), lstm(5)), "transform"),
    "encoder with a dense code": Architecture(
        chain(lstm(10), dense(5)), "transform", options={"forecast": False}
    ),
    "decoder that runs backwards": Architecture(
        chain(lstm(10), repeat(), lstm(10, go_backwards=True, **SEQ), each(F))
    ),
    "layer normalization": Architecture(
        chain(lstm(10, **SEQ), L.LayerNormalization, lstm(10), dense(1)),
        "predict",
        refused="LayerNormalization",
    ),
    "decoder that starts from the state and reads the code": Architecture(
        states_and_code, "forecast"
    ),
    "attention": Architecture(attention, "predict", refused="Attention"),
    "transformer": Architecture(transformer, "predict", refused="MultiHeadAttention"),
    "variational autoencoder": Architecture(variational, refused="Sampling"),
    "convolutions within an LSTM": Architecture(
        chain(lambda: L.ConvLSTM2D(4, 3, padding="same"), L.Flatten, dense(1), shape=(T, 6, 6, 1)),
        "predict",
        refused="ConvLSTM2D",
    ),
}


def inputs_of(model):
    """Random inputs of a model, one for each of its inputs."""
    shapes = [(5, *(T if n is None else n for n in one.shape[1:])) for one in model.inputs]
    return [data(*shape, seed=seed) for seed, shape in enumerate(shapes)]


def with_statistics(model, seed=0):
    """The model with random weights, and positive variances of batch normalization."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "seed_generator" in weight.path:
            continue
        values = rng.normal(size=weight.shape) * 0.4
        weight.assign(np.abs(values) + 0.5 if "variance" in weight.path else values)
    return model
