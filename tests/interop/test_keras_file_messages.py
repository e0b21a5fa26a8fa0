"""Messages about files of Keras, and about models that Keras cannot hold."""

import json
import os

import h5py
import numpy as np
import pytest
from keras import Input, Model
from keras import layers as L

from tests.interop.archives import pack, unpack
from tests.interop.test_keras_messages import lstm, repeat, stack, written
from unspool import LSTMAutoencoder, LSTMForecaster
from unspool.errors import InputError
from unspool.interop.keras import from_keras, hdf5, to_keras

pytestmark = [
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
]

FILES = {
    "activation": ("a b", "the activation 'a b' is not a name of a Keras activation."),
    "dtype": ("float 32", "the dtype 'float 32' is not supported; use a plain number type."),
    "axis": (0, "a Normalization must scale each feature separately (axis=-1)."),
}


@pytest.mark.parametrize("field", FILES)
def test_a_field_of_a_file_that_is_not_supported_is_named(field, tmp_path):
    value, message = FILES[field]
    scaling = L.Normalization(name="scaling")
    scaling.adapt(np.random.default_rng(0).normal(size=(5, 9)))
    model = stack(scaling, L.Dense(3, name="code"), L.Dense(9), shape=(9,))
    model.save(tmp_path / "m.keras")
    members = unpack(tmp_path / "m.keras")
    configuration = json.loads(members["config.json"])
    name = "scaling" if field == "axis" else "code"
    for layer in configuration["config"]["layers"]:
        if layer["config"]["name"] == name:
            layer["config"][field] = value
    path = pack(tmp_path / "n.keras", {**members, "config.json": configuration})
    with pytest.raises(InputError) as caught:
        from_keras(path)
    assert str(caught.value) == f"{path} cannot be loaded: {message}"


def test_a_number_in_the_place_of_a_tensor_is_refused(tmp_path):
    read = Input((6, 2))
    Model(read, written(lstm(name="reads")(read))).save(tmp_path / "m.keras")
    members = unpack(tmp_path / "m.keras")
    configuration = json.loads(members["config.json"])
    for layer in configuration["config"]["layers"]:
        if layer["config"]["name"] == "reads":
            layer["inbound_nodes"][0]["kwargs"]["mask"] = 5
    path = pack(tmp_path / "n.keras", {**members, "config.json": configuration})
    with pytest.raises(InputError) as caught:
        from_keras(path)
    assert str(caught.value).startswith(f"{path} cannot be read: ")
    assert str(caught.value).endswith("; save the model again.")


def test_hdf5_files_that_are_too_large_or_of_another_layout_are_refused(tmp_path, monkeypatch):
    path = tmp_path / "m.h5"
    repeat(lstm(name="odd")).save(path)
    with h5py.File(path, "a") as file:
        text = file.attrs["model_config"]
        configuration = json.loads(text)
        for layer in configuration["config"]["layers"]:
            layer["config"]["time_major"] = layer["config"]["name"] == "odd"
        file.attrs["model_config"] = json.dumps(configuration)
        file.attrs["keras_version"] = "2.9.0"
    with pytest.raises(InputError) as caught:
        from_keras(path)
    assert str(caught.value) == (
        f"{path} cannot be loaded: LSTM 'odd' has time_major=True; save without it."
    )
    monkeypatch.setattr(hdf5, "MAX_CONFIGURATION", 10)
    with pytest.raises(InputError) as caught:
        from_keras(path)
    assert str(caught.value) == (
        f"{path} cannot be loaded: its configuration has {len(json.dumps(configuration)):,} "
        "characters, expected at most 10."
    )
    os.truncate(path, hdf5.MAX_UNPACKED + (1 << 31))
    with pytest.raises(InputError) as caught:
        from_keras(path)
    assert str(caught.value) == f"{path} cannot be loaded: it is larger than 2 GiB."


QUICK = {"epochs": 1, "random_state": 0, "verbose": 0, "validation_split": 0.0}


def test_models_with_parts_that_keras_does_not_have_are_not_exported():
    X = np.random.default_rng(0).normal(size=(12, 6, 2))
    masked = LSTMAutoencoder(2, missing="mask", **QUICK).fit(X)
    with pytest.raises(InputError) as caught:
        to_keras(masked)
    assert str(caught.value) == (
        "The model accepts missing values (missing='mask'), for which Keras has no layer; fit with "
        "missing='raise', or export to ONNX or with `unspool.interop.torch.to_torch`."
    )
    plain = {"normalization": "none", "linear_steps": 0}
    ahead = LSTMForecaster(2, horizon=2, known=[0], targets=[1], **plain, **QUICK).fit(X)
    with pytest.raises(InputError) as caught:
        to_keras(ahead)
    assert str(caught.value) == (
        "The model reads features that are known ahead (`known`), which the Keras export does not "
        "support; export to ONNX, or export only the encoder (part='encoder')."
    )
