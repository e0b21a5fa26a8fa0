"""Keras models with random weights, and functions to compare them."""

import numpy as np
from keras import Input, Model, Sequential
from keras import layers as L


def randomised(model, seed=0, scale=0.4):
    """The model with random weights and biases."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "seed_generator" not in weight.path:
            weight.assign(rng.normal(size=weight.shape) * scale)
    return model


def predicted(model, *inputs):
    """The outputs of a Keras model for arrays."""
    return model.predict(list(inputs) if len(inputs) > 1 else inputs[0], verbose=0)


def near(got, expected, tolerance=1e-5):
    """Equal to 1e-5 of the largest value."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert got.shape == expected.shape
    assert np.isfinite(expected).all()
    assert np.ptp(expected) > 1e-3, "outputs that are all alike show nothing"
    np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance * np.abs(expected).max())


def data(*shape, seed=1):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def conditional(steps=9, latent=4):
    """A decoder that reads the repeated code together with the reversed input."""
    read, backwards = Input((steps, 1)), Input((steps, 1))
    hidden = L.RepeatVector(steps)(L.LSTM(latent)(read))
    states = L.LSTM(latent, return_sequences=True)(L.Concatenate()([hidden, backwards]))
    made = L.Dense(1, activation="tanh")(L.Dense(latent, activation="relu")(states))
    return randomised(Model([read, backwards], made))


def simple(steps=9, latent=5, **cell):
    """LSTM encoder and decoder with ReLU cells, and TimeDistributed dense layers."""
    return randomised(
        Sequential(
            [
                Input((steps, 1)),
                L.LSTM(latent, activation="relu", **cell),
                L.RepeatVector(steps),
                L.LSTM(latent, activation="relu", return_sequences=True, **cell),
                L.TimeDistributed(L.Dense(1)),
            ]
        )
    )


def composite(steps=9, ahead=8, latent=5):
    read = Input((steps, 1))
    code = L.LSTM(latent, activation="relu")(read)
    outputs = [
        L.TimeDistributed(L.Dense(1))(
            L.LSTM(latent, activation="relu", return_sequences=True)(L.RepeatVector(n)(code))
        )
        for n in (steps, ahead)
    ]
    return randomised(Model(read, outputs))


def nested(kind, steps=6, features=5, latent=12):
    """Encoder and decoder as nested models; the code is split into one piece per step."""
    read, code = Input((steps, features)), Input((latent,))
    encoder = Model(read, L.LSTM(latent)(read), name="encoder")
    pieces = L.Reshape((steps, latent // steps))(code)
    if kind == "reshape":
        written = L.LSTM(features, return_sequences=True)(pieces)
    else:
        written = L.Reshape((steps, features))(L.LSTM(steps * features)(pieces))
    decoder = Model(code, written, name="decoder")
    return randomised(Model(read, decoder(encoder(read))))


def forecaster(steps=5, latent=6):
    layers = [Input((steps, 1)), L.LSTM(latent), L.Dense(1), L.Activation("linear")]
    return randomised(Sequential(layers))


def dense(*widths, activations, size=20):
    """Dense layers of these widths; every second activation is a separate layer."""
    layers = [Input((size,))]
    for i, (width, name) in enumerate(zip(widths, activations, strict=True)):
        layers += [L.Dense(width), L.Activation(name)] if i % 2 else [L.Dense(width, name)]
    return randomised(Sequential(layers))


def pooled(filters=(4,), shape=(8, 6, 1), out="relu"):
    """Convolutions with max pooling, mirrored by upsampling."""
    layers = [Input(shape)]
    for n in filters:
        layers += [L.Conv2D(n, 3, padding="same", activation="relu"), L.MaxPooling2D(2)]
    for n in reversed(filters):
        layers += [L.Conv2D(n, 3, padding="same", activation="relu"), L.UpSampling2D(2)]
    return randomised(Sequential([*layers, L.Conv2D(shape[2], 3, padding="same", activation=out)]))


def stacked_both_ways(steps=None, features=2, units=3):
    """Two bidirectional layers, a linear layer to the code, and dropout and noise."""
    read = Input((steps, features))
    x = L.GaussianNoise(0.5)(read)
    for last in (False, True):
        x = L.Bidirectional(L.LSTM(units, return_sequences=not last, dropout=0.3))(x)
        x = L.Dropout(0.5)(x)
    x = L.RepeatVector(6)(L.Dense(4)(x))
    for _ in range(2):
        x = L.Bidirectional(L.LSTM(units, return_sequences=True, recurrent_dropout=0.2))(x)
    return randomised(Model(read, L.Dense(features)(L.Dense(7, activation="elu")(x))))


def narrowing(encoder, decoder, steps=6, features=2, directions=1, **cell):
    """LSTM layers of these units to the code and back, with a TimeDistributed dense layer."""

    def layer(units, **options):
        made = L.LSTM(units, **options, **cell)
        return L.Bidirectional(made) if directions == 2 else made

    layers = [layer(units, return_sequences=True) for units in encoder[:-1]]
    layers += [layer(encoder[-1]), L.RepeatVector(steps)]
    layers += [layer(units, return_sequences=True) for units in decoder]
    layers.append(L.TimeDistributed(L.Dense(features)))
    return randomised(Sequential([Input((steps, features)), *layers]))


def from_states(features=2, units=4, directions=1):
    """A decoder that starts from h and c of the encoder, and reads a second input."""
    read, second = Input((6, features)), Input((6, features))

    def layer(**options):
        made = L.LSTM(units, **options)
        return L.Bidirectional(made) if directions == 2 else made

    _, *states = layer(return_state=True)(read)
    x = layer(return_sequences=True)(second, initial_state=states)
    return randomised(Model([read, second], L.Dense(features)(x)))
