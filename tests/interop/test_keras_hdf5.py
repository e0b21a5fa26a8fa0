"""Whole-model HDF5 files of Keras 2 and 3.

TensorFlow is not needed: a file of Keras 2 has the weights in the same layout as the HDF5 files of
Keras 3, and a configuration in another form, which is written here by hand.
"""

import json
from operator import setitem

import h5py
import keras
import numpy as np
import pytest
from keras import Input, Model, Sequential
from keras import layers as L

from tests.interop.archives import X, model, refused
from tests.interop.nets import near, predicted, randomised
from unspool.interop.keras import from_keras

pytestmark = [
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
]

T, F = 6, 2


def saved(network, path, configuration=None, version="2.9.0"):
    """Write a model as HDF5, with a configuration of Keras 2 if one is given."""
    network.save(path)
    if configuration is not None:
        with h5py.File(path, "a") as file:
            file.attrs["model_config"] = json.dumps(configuration).encode()
            for group in (file, file["model_weights"]):
                group.attrs["keras_version"] = version.encode()
    return path


def recurrent(name, units, kind="LSTM", **config):
    """An LSTM or GRU layer in the form of Keras 2."""
    initializer = {"class_name": "GlorotUniform", "config": {"seed": None}}
    usual = {
        "name": name,
        "trainable": True,
        "dtype": "float32",
        "return_sequences": False,
        "return_state": False,
        "go_backwards": False,
        "stateful": False,
        "unroll": False,
        "time_major": False,
        "units": units,
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "use_bias": True,
        "kernel_initializer": initializer,
        "bias_regularizer": None,
        "dropout": 0.0,
        "recurrent_dropout": 0.0,
        "implementation": 2,
    }
    return {"class_name": kind, "config": {**usual, **config}}


def simple(kind="LSTM", **cell):
    """An autoencoder, and its configuration as tf.keras 2.2 wrote it, without an InputLayer."""
    layer = getattr(L, kind)
    network = Sequential(
        [
            Input((T, F)),
            layer(5, name="one", **cell),
            L.RepeatVector(T, name="two"),
            layer(5, return_sequences=True, name="three", **cell),
            L.TimeDistributed(L.Dense(F, name="dense"), name="four"),
        ]
    )
    old = {"reset_after": True} if kind == "GRU" else {"unit_forget_bias": True}
    dense = {"class_name": "Dense", "config": {"name": "dense", "units": F, "activation": "linear"}}
    layers = [
        recurrent("one", 5, kind, batch_input_shape=[None, T, F], **old, **cell),
        {"class_name": "RepeatVector", "config": {"name": "two", "n": T}},
        recurrent("three", 5, kind, return_sequences=True, **old, **cell),
        {"class_name": "TimeDistributed", "config": {"name": "four", "layer": dense}},
    ]
    return randomised(network), {"class_name": "Sequential", "config": {"layers": layers}}


def placed(layer, *inputs):
    """A layer within a functional model: a list of calls, each with the tensors that it reads."""
    return {**layer, "name": layer["config"]["name"], "inbound_nodes": [*inputs]}


def input_layer(name, *shape):
    config = {"batch_input_shape": [None, *shape], "dtype": "float32", "sparse": False}
    return placed({"class_name": "InputLayer", "config": {**config, "name": name, "ragged": False}})


def from_state():
    """A decoder that starts from the encoder's state, and reads the reversed input."""
    read, reverse = Input((T, F), name="x"), Input((T, F), name="reverse")
    _, h, c = L.LSTM(4, return_state=True, name="encode")(read)
    states = L.LSTM(4, return_sequences=True, name="decode")(reverse, initial_state=[h, c])
    network = randomised(Model([read, reverse], L.Dense(F, name="out")(states)))
    dense = {"class_name": "Dense", "config": {"name": "out", "units": F, "activation": "linear"}}
    states = [["reverse", 0, 0, {}], ["encode", 0, 1, {}], ["encode", 0, 2, {}]]
    layers = [
        input_layer("x", T, F),
        input_layer("reverse", T, F),
        placed(recurrent("encode", 4, return_state=True), [["x", 0, 0, {}]]),
        placed(recurrent("decode", 4, return_sequences=True), states),
        placed(dense, [["decode", 0, 0, {}]]),
    ]
    ends = {"input_layers": [["x", 0, 0], ["reverse", 0, 0]], "output_layers": [["out", 0, 0]]}
    return network, {"class_name": "Model", "config": {"name": "m", "layers": layers, **ends}}


def nested():
    """Two models in a model; their calls have the number 1, after their built-in one."""
    read, code = Input((T, F), name="x"), Input((4,), name="code")
    encoder = Model(read, L.LSTM(4, name="lstm")(read), name="encoder")
    steps = L.LSTM(4, return_sequences=True, name="lstm2")(L.RepeatVector(T, name="r")(code))
    decoder = Model(code, L.Dense(F, name="out")(steps), name="decoder")
    outer = Input((T, F), name="y")
    network = randomised(Model(outer, decoder(encoder(outer))))
    dense = {"class_name": "Dense", "config": {"name": "out", "units": F, "activation": "linear"}}
    repeat = {"class_name": "RepeatVector", "config": {"name": "r", "n": T}}
    first = {
        "name": "encoder",
        "layers": [input_layer("x", T, F), placed(recurrent("lstm", 4), [["x", 0, 0, {}]])],
        "input_layers": [["x", 0, 0]],
        "output_layers": [["lstm", 0, 0]],
    }
    second = {
        "name": "decoder",
        "layers": [
            input_layer("code", 4),
            placed(repeat, [["code", 0, 0, {}]]),
            placed(recurrent("lstm2", 4, return_sequences=True), [["r", 0, 0, {}]]),
            placed(dense, [["lstm2", 0, 0, {}]]),
        ],
        "input_layers": [["code", 0, 0]],
        "output_layers": [["out", 0, 0]],
    }
    layers = [
        input_layer("y", T, F),
        placed({"class_name": "Functional", "config": first}, [["y", 0, 0, {"training": None}]]),
        placed({"class_name": "Functional", "config": second}, [["encoder", 1, 0, {}]]),
    ]
    ends = {"input_layers": [["y", 0, 0]], "output_layers": [["decoder", 1, 0]]}
    return network, {"class_name": "Functional", "config": {"name": "m", "layers": layers, **ends}}


@pytest.mark.parametrize("suffix", [".h5", ".hdf5"])
def test_a_file_of_keras_3_is_imported(tmp_path, suffix):
    path = saved(model(), tmp_path / f"m{suffix}")
    near(from_keras(path).reconstruct(X), predicted(model(), X))


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_sequential_of_keras_2_is_imported(tmp_path, kind):
    network, configuration = simple(kind)
    path = saved(network, tmp_path / "m.h5", configuration)
    near(from_keras(path).reconstruct(X), predicted(network, X))


def test_the_list_of_layers_of_early_releases_is_read(tmp_path):
    network, configuration = simple()
    configuration["config"] = configuration["config"]["layers"]
    path = saved(network, tmp_path / "m.h5", configuration, "2.1.6")
    near(from_keras(path).reconstruct(X), predicted(network, X))


def test_states_of_a_functional_model_of_keras_2_are_read(tmp_path):
    network, configuration = from_state()
    path = saved(network, tmp_path / "m.h5", configuration)
    near(from_keras(path).reconstruct(X), predicted(network, X, X[:, ::-1]))


def test_models_within_a_model_of_keras_2_are_read(tmp_path):
    network, configuration = nested()
    path = saved(network, tmp_path / "m.h5", configuration)
    near(from_keras(path).reconstruct(X), predicted(network, X))


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_the_hard_sigmoid_of_keras_2_has_another_slope(tmp_path, kind):
    network, configuration = simple(kind, recurrent_activation="hard_sigmoid")
    path = saved(network, tmp_path / "m.h5", configuration)
    imported = from_keras(path)
    assert imported.recurrent_activation == "hard_sigmoid"

    def hard(x):
        return keras.ops.clip(x / 5 + 0.5, 0, 1)

    old = Sequential([Input((T, F)), *(L.deserialize(L.serialize(x)) for x in network.layers)])
    for layer in old.layers:
        for cell in [layer.cell] if hasattr(layer, "cell") else []:
            cell.recurrent_activation = hard
    old.set_weights(network.get_weights())
    expected = np.asarray(keras.ops.convert_to_numpy(old(X)))
    near(imported.reconstruct(X), expected)
    assert np.abs(expected - predicted(network, X)).max() > 1e-4


def test_weights_alone_are_refused(tmp_path):
    network, _ = simple()
    path = tmp_path / "m.weights.h5"
    network.save_weights(path)
    refused(path, "it contains weights without the configuration of a model; build the model whe")
    path = saved(network, tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        del file.attrs["model_config"]
    refused(path, "it contains weights without the configuration of a model")


def changed(tmp_path, change):
    """A file of Keras 2 whose configuration was changed."""
    network, configuration = simple()
    change(configuration["config"]["layers"])
    return saved(network, tmp_path / "m.h5", configuration)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda x: x.insert(1, {"class_name": "Lambda", "config": {"name": "odd"}}),
            "Lambda 'odd' of keras.layers is not a layer that can be imported",
        ),
        (
            lambda x: x.insert(1, {"class_name": "Mine>Layer", "config": {"name": "odd"}}),
            "Mine>Layer 'odd' of keras.layers is not a layer",
        ),
        (
            lambda x: x[1].update(module="os", class_name="system"),
            "system 'two' of os is not a layer",
        ),
        (lambda x: x[0]["config"].update(time_major=True), "LSTM 'one' has time_major=True"),
        (lambda x: x[0]["config"].update(units=9), ".*shape"),
        (lambda x: x[0]["config"].update(units=10**9), "its layers have more weights than the"),
        (lambda x: x[0]["config"].update(name="other"), "its weights are of the layers one, thre"),
        (lambda x: x[0].update(config="text"), "expected the configuration of a layer"),
        (lambda x: x[0].update(class_name=["LSTM"]), "expected the name of a class"),
        (lambda x: x.insert(0, 7), "expected the configuration of a layer, got 7"),
    ],
)
def test_a_configuration_that_cannot_be_imported_is_refused(tmp_path, change, message):
    refused(changed(tmp_path, change), message)


def test_hdf5_that_refers_elsewhere_or_declares_too_much_is_refused(tmp_path):
    network, configuration = simple()
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["x"] = np.ones(3)
    link, array = "its weights contain a link at 'x'", "its weights at .* are not a plain array"
    for message, change in (
        (link, lambda g: setitem(g, "x", h5py.ExternalLink(str(secret), "/x"))),
        (link, lambda g: setitem(g, "x", h5py.SoftLink("/model_weights"))),
        (array, lambda g: g.create_dataset("x", (10**6, 10**6), "f4", chunks=(10, 10))),
        (array, lambda g: g.create_dataset("x", (2,), dtype=h5py.ref_dtype)),
        (array, lambda g: g.create_dataset("x", (3,), "f4", external=[(str(secret), 0, 24)])),
    ):
        path = saved(network, tmp_path / "m.h5", configuration)
        with h5py.File(path, "a") as file:
            change(file["model_weights/one"])
        refused(path, message)


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "m.h5"
    path.write_bytes(b"no HDF5")
    refused(path, "its m.h5 cannot be read")
    network, _ = simple()
    saved(network, path)
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = "{"
    refused(path, "its configuration cannot be read")


def test_the_command_line_imports_it(run, tmp_path):
    network, configuration = simple()
    path = saved(network, tmp_path / "m.h5", configuration)
    assert run("import", path, "-o", tmp_path / "m.unspool").code == 0
