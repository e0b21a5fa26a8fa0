"""The dropout of imported Keras models is that of the estimator, where it has a parameter."""

import pytest
from keras import Input, Model, Sequential
from keras import layers as L
from sklearn.base import clone

from tests.interop.nets import data, near, predicted, randomised
from unspool.interop.keras import from_keras

pytestmark = [
    pytest.mark.cpu,
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
]

PAIRS, IMAGES = data(7, 6, 2), data(7, 8, 8, 1)
SEQ = {"return_sequences": True}


def rates(model):
    """Return `dropout`, `recurrent_dropout` and `code_dropout` of an estimator."""
    names = ("dropout", "recurrent_dropout", "code_dropout")
    return tuple(pytest.approx(getattr(model, name, None)) for name in names)


def recurrent(*rates, **options):
    """An autoencoder of two layers each, with `Dropout` after the layers before the last one."""
    encoder = [L.LSTM(5, **SEQ, **options), L.Dropout(rates[0]), L.LSTM(3, **options)]
    decoder = [L.LSTM(3, **SEQ, **options), L.Dropout(rates[2]), L.LSTM(5, **SEQ, **options)]
    code = [L.Dropout(rates[1]), L.RepeatVector(6)]
    return Sequential([Input((6, 2)), *encoder, *code, *decoder, L.Dropout(0.7), L.Dense(2)])


CASES = {
    "layers and code": (lambda: recurrent(0.2, 0.3, 0.2), (0.2, 0, 0.3)),
    "layers of two rates": (lambda: recurrent(0.2, 0.3, 0.1), (0, 0, 0.3)),
    "encoder layers only": (lambda: recurrent(0.2, 0, 0), (0, 0, 0)),
    "states": (lambda: recurrent(0, 0, 0, recurrent_dropout=0.4), (0, 0.4, 0)),
    # The first layer of the decoder drops values of the code; that of the encoder has no parameter.
    "arguments": (lambda: recurrent(0, 0, 0, dropout=0.1), (0.1, 0, 0.1)),
    "both": (lambda: recurrent(0.2, 0, 0.2, dropout=0.5), (0.6, 0, 0.5)),
    "everything": (lambda: recurrent(1.0, 1.0, 1.0, recurrent_dropout=1.0), (0, 0, 0)),
}


@pytest.mark.parametrize("name", CASES)
def test_dropout_of_recurrent_layers_is_read_where_all_places_have_it(name, tmp_path):
    build, expected = CASES[name]
    theirs = randomised(build())
    theirs.save(tmp_path / "model.keras")
    for ours in (from_keras(theirs), from_keras(tmp_path / "model.keras")):
        assert rates(ours) == expected
        near(ours.reconstruct(PAIRS), predicted(theirs, PAIRS))
    again = clone(ours).set_params(epochs=1, verbose=0).fit(PAIRS)
    assert rates(again) == expected


@pytest.mark.parametrize(("rate", "expected"), [(0.2, 0.2), (0.1, 0)])
def test_both_directions_of_a_layer_must_have_the_rate(rate, expected):
    forward, backward = ({"dropout": one, "recurrent_dropout": 0.3} for one in (0.2, rate))
    read = Input((6, 2))
    x = L.Bidirectional(L.LSTM(4, **SEQ, **forward))(read)
    last = L.LSTM(4, go_backwards=True, **backward)
    code = L.Bidirectional(L.LSTM(4, **forward), backward_layer=last)(x)
    assert rates(from_keras(Model(read, code))) == (expected, 0.3, 0)


@pytest.mark.parametrize("where", ["whole", "steps", "noise", "inside"])
def test_only_a_dropout_of_single_values_is_read(where):
    read, code = Input((6, 2)), Input((4,))
    dropout = {
        "whole": L.Dropout(0.3),
        "steps": L.Dropout(0.3, noise_shape=(None, 1)),
        "noise": L.GaussianDropout(0.3),
        "inside": L.Dropout(0.3),
    }[where]
    layers = [L.RepeatVector(6), L.LSTM(4, **SEQ), L.Dense(2)]
    x = L.LSTM(4)(read)
    if where == "inside":  # a nested model starts with it
        x = Model(code, Sequential([Input((4,)), *layers])(dropout(code)))(x)
    else:
        x = Sequential([Input((4,)), *layers])(dropout(x))
    expected = 0.3 if where in ("whole", "inside") else 0
    assert from_keras(Model(read, x)).code_dropout == expected


def test_a_composite_has_the_dropout_that_both_decoders_share():
    def composite(rate):
        read = Input((6, 2))
        code = L.LSTM(4, recurrent_dropout=0.2)(read)
        outputs = [
            L.Dense(2)(L.LSTM(4, recurrent_dropout=0.2, **SEQ)(L.RepeatVector(n)(some)))
            for n, some in ((6, L.Dropout(0.3)(code)), (3, L.Dropout(rate)(code)))
        ]
        return from_keras(Model(read, outputs))

    assert rates(composite(0.3)) == (0, 0.2, 0.3)
    assert rates(composite(0.4)) == (0, 0.2, 0)


def test_dropout_before_the_dense_layer_of_a_forecast_is_that_of_the_code():
    layers = [L.LSTM(5, **SEQ), L.Dropout(0.2), L.LSTM(4), L.Dropout(0.3), L.Dense(2)]
    ours = from_keras(Sequential([Input((6, 2)), *layers]))
    assert rates(ours) == (0.2, 0, 0.3)


def test_dropout_of_the_encoder_of_a_classifier_is_that_of_its_autoencoder():
    layers = [L.GRU(5, **SEQ), L.Dropout(0.2), L.GRU(4, recurrent_dropout=0.1), L.Dropout(0.3)]
    softmax = L.Dense(3, activation="softmax")
    ours = from_keras(Sequential([Input((6, 2)), *layers, softmax]))
    assert rates(ours.autoencoder) == (0.2, 0, 0)
    layers = [L.Flatten(), L.Dense(5, "relu"), L.Dropout(0.2), L.Dense(4, "relu"), L.Dropout(0.2)]
    ours = from_keras(Sequential([Input((6, 2)), *layers, softmax]))
    assert rates(ours.autoencoder) == (0.2, None, 0)


@pytest.mark.parametrize(("after", "expected"), [(0.2, (0.2, None, 0.3)), (0, (0, None, 0.3))])
def test_dropout_of_dense_layers_is_read(after, expected):
    layers = [L.Flatten(), L.Dense(8, "relu"), L.Dropout(0.2), L.Dense(3, "relu"), L.Dropout(0.3)]
    layers += [L.Dense(8, "relu"), L.Dropout(after), L.Dense(12), L.Reshape((6, 2))]
    theirs = randomised(Sequential([Input((6, 2)), *layers]))
    ours = from_keras(theirs)
    assert rates(ours) == expected
    near(ours.reconstruct(PAIRS), predicted(theirs, PAIRS))
    clone(ours).set_params(epochs=1, verbose=0).fit(PAIRS)


def convolutions(*, dense, swapped=False):
    """Convolutions with `Dropout` between all layers, before upsampling or after it."""
    conv = {"padding": "same", "activation": "relu"}
    layers = [L.Conv2D(4, 3, **conv), L.MaxPooling2D(2), L.Dropout(0.2)]
    layers += [L.Conv2D(3, 3, **conv), L.MaxPooling2D(2)]
    if dense:
        layers += [L.Dropout(0.2), L.Flatten(), L.Dense(5), L.Dropout(0.3)]
        layers += [L.Dense(12, "relu"), L.Reshape((2, 2, 3)), L.Dropout(0.2)]
    else:
        layers += [L.Dropout(0.3)]
    for filters in (3, 4):
        between = [L.Dropout(0.2), L.UpSampling2D(2)]
        layers += [L.Conv2D(filters, 3, **conv), *(between[::-1] if swapped else between)]
    return Sequential([Input((8, 8, 1)), *layers, L.Conv2D(1, 3, padding="same")])


@pytest.mark.parametrize("dense", [False, True])
def test_dropout_of_convolutions_is_read_before_upsampling(dense):
    theirs = randomised(convolutions(dense=dense))
    ours = from_keras(theirs)
    assert rates(ours) == (0.2, None, 0.3)
    near(ours.reconstruct(IMAGES), predicted(theirs, IMAGES))
    clone(ours).set_params(epochs=1, verbose=0).fit(IMAGES)
    assert rates(from_keras(convolutions(dense=dense, swapped=True))) == (0, None, 0.3)
