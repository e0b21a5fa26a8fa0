"""Keras models that look supported but are not, and damaged files."""

import zipfile

import keras
import pytest
from keras import Input, Model, Sequential
from keras import layers as L

from tests.interop import nets
from tests.interop.nets import data, near, predicted, randomised
from unspool.errors import InputError
from unspool.interop.keras import from_keras

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

ROWS = data(7, 9)


def relu(x):
    """Has the name of a Keras function or layer."""
    return x * 0.1


def sigmoid(x):
    """Has the name of a Keras function or layer."""
    return x * 0.5


def tanh(x):
    """Has the name of a Keras function or layer."""
    return x * 0.5


def dense(*first):
    return Sequential([Input((9,)), *first, L.Dense(9)])


def recurrent(encoder):
    back = L.LSTM(4, return_sequences=True)
    return Sequential([Input((6, 2)), encoder, L.RepeatVector(6), back, L.Dense(2)])


NAMESAKES = {
    "dense": (lambda: dense(L.Dense(4, activation=relu, name="odd")), "relu"),
    "bare": (lambda: dense(L.Dense(4), L.Activation(relu, name="odd")), "relu"),
    "convolution": (
        lambda: Sequential(
            [
                *(Input((6, 2)), L.Conv1D(2, 3, padding="same", activation=relu, name="odd")),
                *(L.MaxPooling1D(2), L.Flatten()),
            ]
        ),
        "relu",
    ),
    "cell": (lambda: recurrent(L.LSTM(4, activation=tanh, name="odd")), "tanh"),
    "gates": (lambda: recurrent(L.LSTM(4, recurrent_activation=sigmoid, name="odd")), "sigmoid"),
    "the approximate gelu": (
        lambda: dense(L.Dense(4, activation=keras.ops.gelu, name="odd")),
        "gelu",
    ),
}


@pytest.mark.parametrize("case", NAMESAKES)
def test_a_function_with_the_name_of_an_activation_is_refused(case):
    build, name = NAMESAKES[case]
    with pytest.raises(InputError) as caught:
        from_keras(build())
    assert f"activation is a function named {name!r} that is not keras.activations.{name}" in str(
        caught.value
    )
    assert "'odd' cannot be imported" in str(caught.value)


def test_a_custom_function_in_one_of_two_directions_is_refused():
    message = "Bidirectional 'odd' cannot be imported: its two layers differ in `activation`"
    backward = L.LSTM(2, go_backwards=True, activation=tanh)
    with pytest.raises(InputError, match=message):
        from_keras(recurrent(L.Bidirectional(L.LSTM(2), backward_layer=backward, name="odd")))


def test_an_activation_from_keras_ops_is_imported():
    theirs = randomised(dense(L.Dense(4, activation=keras.ops.relu)))
    near(from_keras(theirs).reconstruct(ROWS), predicted(theirs, ROWS))


def test_a_custom_layer_within_time_distributed_is_refused():
    class Dense(L.Dense):
        """Has the name of a Keras function or layer."""

    head = L.TimeDistributed(Dense(2), name="odd")
    back = L.LSTM(4, return_sequences=True)
    model = Sequential([Input((6, 2)), L.LSTM(4), L.RepeatVector(6), back, head])
    with pytest.raises(InputError, match=r"'odd' cannot be imported: it applies a .*\.Dense to"):
        from_keras(model)


def nested(read, **options):
    """A nested encoder and a nested decoder; the encoder is called with `options`."""
    encoder = Sequential([Input((6, 2)), L.LSTM(4), L.Dropout(0.5)], name="inner")
    decoder = Sequential([Input((4,)), L.RepeatVector(6), L.LSTM(4, return_sequences=True)])
    return L.Dense(2)(decoder(encoder(read, **options)))


@pytest.mark.filterwarnings("ignore:Layer 'inner' .* was passed an input with a mask:UserWarning")
def test_a_mask_given_to_a_nested_model_is_refused():
    read, mask = Input((6, 2)), Input((6,), dtype="bool")
    behind = Model(read, nested(L.Masking()(read)))
    for model in (behind, Model([read, mask], nested(read, mask=mask))):
        with pytest.raises(InputError) as caught:
            from_keras(model)
        assert str(caught.value) == (
            "Sequential 'inner' is called with a mask, or follows a Masking layer; masks of nested "
            "models cannot be imported. Put the Masking layer inside the nested model, or remove "
            "it."
        )


def test_a_nested_model_called_with_training_is_refused():
    read = Input((6, 2))
    with pytest.raises(InputError, match="Sequential 'inner' is called with training=True, which"):
        from_keras(Model(read, nested(read, training=True)))
    from_keras(Model(read, nested(read, training=False)))


def test_a_nested_model_may_be_called_with_a_keyword():
    encoder = Sequential([Input((9,)), L.Dense(4)])
    read = Input((9,))
    theirs = randomised(Model(read, L.Dense(9)(encoder(inputs=read))))
    near(from_keras(theirs).reconstruct(ROWS), predicted(theirs, ROWS))


def test_a_model_without_a_graph_counts_as_not_built():
    class Moody(L.Layer):
        """A layer that cannot be called on symbolic tensors."""

        def call(self, x):
            raise NotImplementedError

    model = Sequential([Input((9,)), Moody(), L.Dense(9)], name="odd")
    model.built = True  # as in Keras for float16, if the backend cannot initialize it
    with pytest.raises(InputError, match="but 'odd' has no weights yet"):
        from_keras(model)


def test_a_damaged_file_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "model.keras"
    nets.simple().save(path)
    blob = bytearray(path.read_bytes())
    blob[len(blob) // 2] ^= 255
    path.write_bytes(blob)
    with pytest.raises(
        InputError, match=r"model.keras cannot be loaded: the archive is damaged \(Ba"
    ):
        from_keras(path)


def changed(model, path, *pairs):
    """Save a model, and replace texts in the configuration of the file."""
    model.save(path)
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    for old, new in pairs:
        assert old in members["config.json"]
        members["config.json"] = members["config.json"].replace(old, new)
    with zipfile.ZipFile(path, "w") as file:
        for name, blob in members.items():
            file.writestr(name, blob)
    return path


def test_a_file_that_keras_cannot_build_is_refused(tmp_path):
    for old, new in (
        (b'"units": 4', b'"units": -4'),
        (b'"units": 4', b'"units": 5'),
        (b'"axis": -1', b'"axis": 7'),
        (b'"activation": "tanh"', b'"activation": "tanhh"'),
        (b'"use_bias": true', b'"use_bias": false'),
    ):
        path = changed(nets.conditional(), tmp_path / "model.keras", (old, new))
        with pytest.raises(InputError, match=r"^\S+/model.keras cannot be loaded: .{10,600}$"):
            from_keras(path)


def test_a_file_of_half_precision_is_read(tmp_path):
    theirs, X = nets.conditional(), data(7, 9, 1)
    name = b'{"name": "float32"}', b'{"name": "float16"}'
    path = changed(theirs, tmp_path / "half.keras", name)  # PyTorch could not draw its weights
    near(from_keras(path).reconstruct(X), predicted(theirs, X, X[:, ::-1]), 1e-2)
