"""Take a valid .keras file apart, and write it again with other members."""

import json
import re
import zipfile

import pytest
from keras import Input, Model
from keras import layers as L

from tests.interop.nets import data, randomised
from unspool.errors import InputError
from unspool.interop.keras import from_keras

X = data(7, 6, 2)


def model():
    """A model with every kind of layer that contains others."""
    read, code = Input((6, 2)), Input((6,))
    both = {"return_sequences": True, "kernel_regularizer": "l2"}
    backward = L.LSTM(3, go_backwards=True, **both)
    encoder = Model(read, L.Dropout(0.2)(L.Bidirectional(L.LSTM(3))(read)), name="encoder")
    x = L.RepeatVector(6)(code)
    x = L.Bidirectional(L.LSTM(3, name="lstm", **both), backward_layer=backward, name="both")(x)
    x = L.TimeDistributed(L.Dense(5, "relu"), name="each")(x)
    decoder = Model(code, L.Dense(2, name="out", kernel_constraint="max_norm")(x), name="decoder")
    whole = randomised(Model(read, decoder(encoder(read))))
    whole.compile("adam", "mse")
    return whole


def unpack(path):
    """The members of the file at `path`, by name."""
    with zipfile.ZipFile(path) as file:
        return {name: file.read(name) for name in file.namelist()}


def pack(path, members, method=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", method) as file:
        for name, blob in members.items():
            blob = json.dumps(blob) if isinstance(blob, dict) else blob
            file.writestr(name, blob)
    return path


def refused(path, message=""):
    """Importing the file is refused with a reason that matches `message`."""
    with pytest.raises(InputError, match=f"^{re.escape(str(path))} cannot be loaded: {message}"):
        from_keras(path)


def parts(config, found):
    """All the layers of a configuration, by their names."""
    for one in config.get("config", {}).get("layers", []):
        found[one["config"]["name"]] = one
        parts(one, found)
    for key in ("layer", "backward_layer"):
        if isinstance(config.get("config", {}).get(key), dict):
            found[f"{config['config']['name']} {key}"] = config["config"][key]
    return found
