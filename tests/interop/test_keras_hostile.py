"""Keras files that try to run code: nothing in them runs, wherever it is placed."""

import base64
import json
import marshal
import os
import pickle
import sys
import zipfile

import keras
import pytest
from keras import Input, Sequential
from keras import layers as L

from tests.interop.archives import X, model, pack, parts, refused, unpack
from tests.interop.nets import near, predicted
from unspool.interop.keras import from_keras

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """The members of a valid file."""
    path = tmp_path_factory.mktemp("sound") / "model.keras"
    model().save(path)
    return unpack(path)


# Payloads that create a file if Keras builds or runs them.


@keras.saving.register_keras_serializable("tests")
class Marker:
    """A custom class that is registered with Keras."""

    where = None

    def __init__(self):
        Marker.where.touch()

    def get_config(self):
        return {}

    @classmethod
    def from_config(cls, config):
        return cls()

    def __call__(self, *_, **__):
        Marker.where.touch()


class Evil:
    """A pickle that runs a command."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


def payloads(ran):
    command = f"touch {ran}"
    code = base64.b64encode(marshal.dumps(compile(f"open({str(ran)!r}, 'w')", "", "exec")))
    pickled = base64.b64encode(pickle.dumps(Evil(command))).decode()
    lambda_ = {"class_name": "__lambda__", "config": {"code": code.decode(), "value": None}}
    old_lambda = {"class_name": "__lambda__", "config": {"value": [code.decode(), None, None]}}

    def of(module, class_name, config, registered_name=None, **more):
        return {
            "module": module,
            "class_name": class_name,
            "config": config,
            "registered_name": registered_name,
            **more,
        }

    return {
        "a function": of("os", "function", "system", "system"),
        "a class": of("subprocess", "Popen", {"args": ["touch", str(ran)]}, "Popen"),
        "a module": of("keras_cv.layers", "Anything", {}, "Anything"),
        "a registered class": of("tests", "Marker", {}, "tests>Marker"),
        "one under the name of a layer": of("keras.layers", "Dense", {}, "tests>Marker"),
        "one without a module": {"class_name": "tests>Marker", "config": {}},
        "a pickle": of("keras.layers", "TorchModuleWrapper", {"name": "x", "module": pickled}),
        "a lambda": lambda_,
        "an old lambda": old_lambda,
        "a Lambda layer": of(
            "keras.layers", "Lambda", {"name": "x", "function": lambda_, "arguments": {}}
        ),
        "a lambda in a layer": of("keras.layers", "Dense", {"units": 3, "activation": lambda_}),
        "a type": {**of("subprocess", "__typespec__", []), "spec_name": "Popen"},
    }


# Where a payload is placed. Places that only training needs are ignored, so the file is imported.
PLACES = {
    "the model": lambda whole, _: whole,
    "a layer": lambda _, found: found["out"],
    "an input": lambda whole, _: whole["config"]["layers"][0],
    "a nested model": lambda _, found: found["decoder"],
    "within TimeDistributed": lambda _, found: found["each layer"],
    "within Bidirectional": lambda _, found: found["both layer"],
    "backward within Bidirectional": lambda _, found: found["both backward_layer"],
    "an activation": (lambda _, found: found["out"]["config"], "activation"),
    "gates": (lambda _, found: found["both layer"]["config"], "recurrent_activation"),
    "a dtype": (lambda _, found: found["out"]["config"], "dtype"),
    "the dtype of a model": (lambda whole, _: whole["config"], "dtype"),
    "a number": (lambda _, found: found["out"]["config"], "units"),
    "a name": (lambda _, found: found["out"]["config"], "name"),
    "another argument": (lambda _, found: found["out"]["config"], "more"),
    "an argument of a call": (lambda _, found: found["out"]["inbound_nodes"][0]["args"], 0),
    "a keyword of a call": (lambda _, found: found["out"]["inbound_nodes"][0]["kwargs"], "mask"),
    "a shape": (lambda _, found: found["out"]["build_config"], "input_shape"),
    "a tensor": (
        lambda _, found: found["out"]["inbound_nodes"][0]["args"][0]["config"],
        "keras_history",
    ),
    "the outputs": (lambda whole, _: whole["config"], "output_layers"),
}
LEFT_OUT = {
    "initial weights": (lambda _, found: found["out"]["config"], "kernel_initializer"),
    "a penalty": (lambda _, found: found["both layer"]["config"], "kernel_regularizer"),
    "a constraint": (lambda _, found: found["out"]["config"], "kernel_constraint"),
    "the optimizer": (lambda whole, _: whole["compile_config"], "optimizer"),
    "the loss": (lambda whole, _: whole["compile_config"], "loss"),
    "more of a layer": (lambda _, found: found["out"], "compile_config"),
}


@pytest.mark.parametrize("kind", payloads(""))
def test_no_payload_runs_wherever_it_is_placed(members, tmp_path, monkeypatch, kind):
    ran = Marker.where = tmp_path / "ran"
    (tmp_path / "keras_cv").mkdir()
    (tmp_path / "keras_cv" / "__init__.py").write_text(f"open({str(ran)!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    for place, where in {**PLACES, **LEFT_OUT}.items():
        payload = payloads(ran)[kind]
        whole = json.loads(members["config.json"])
        holder, key = where if isinstance(where, tuple) else (where, None)
        target = holder(whole, parts(whole, {}))
        if key is None:
            for name in ("name", "inbound_nodes"):  # so that Keras would call the layer
                payload |= {name: target[name]} if name in target else {}
            target.clear()
            target.update(payload)
        else:
            target[key] = payload
        path = pack(tmp_path / "model.keras", {**members, "config.json": whole})
        if place in LEFT_OUT:
            near(from_keras(path).reconstruct(X), predicted(model(), X))
        else:
            refused(path)
        assert not ran.exists(), place
        assert "keras_cv" not in sys.modules


def test_a_subprocess_as_a_layer_is_not_started(members, tmp_path):
    ran = tmp_path / "ran"
    layer = {
        "module": "subprocess",
        "class_name": "function",
        "config": "Popen",
        "registered_name": "Popen",
        "name": "x",
        "inbound_nodes": [{"args": [["touch", str(ran)]], "kwargs": {}}],
    }
    whole = json.loads(members["config.json"])
    whole["config"]["layers"].append(layer)
    path = pack(tmp_path / "model.keras", {**members, "config.json": whole})
    refused(path, "function 'Popen' of subprocess is not a layer that can be imported, and nothin")
    assert not ran.exists()


def test_names_of_registered_classes_are_refused(members, tmp_path):
    Marker.where = tmp_path / "ran"
    name = "tests>Marker"
    for change, message in (
        (lambda found: found["decoder"]["config"]["layers"].insert(1, name), "the layers within a"),
        (lambda found: found["decoder"]["config"].update(layers=name), "the layers within a "),
        (lambda found: found["each"]["config"].update(layer=name), "the layers within a TimeDistr"),
        (lambda found: found["out"]["config"].update(activation=name), "the activation 'tests>"),
        (lambda found: found["both layer"]["config"].update(recurrent_activation=name), "the act"),
        (lambda found: found["out"]["config"].update(dtype=name), "the dtype 'tests>Marker'"),
    ):
        whole = json.loads(members["config.json"])
        change(parts(whole, {}))
        refused(pack(tmp_path / "model.keras", {**members, "config.json": whole}), message)
        assert not Marker.where.exists()


def test_a_refused_layer_is_named(members, tmp_path):
    sound = Sequential([Input((9,)), L.Lambda(lambda x: x, name="odd"), L.Dense(9)])
    sound.save(tmp_path / "a.keras")
    refused(tmp_path / "a.keras", "Lambda 'odd' of keras.layers is not a layer that can be impo")
    Sequential([Input((6, 2)), L.SimpleRNN(4, name="odd")]).save(tmp_path / "a.keras")
    refused(
        tmp_path / "a.keras", "SimpleRNN 'odd' of keras.layers is not a layer that can be imported"
    )


def test_a_valid_file_is_imported_compressed_or_not(members, tmp_path):
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        path = pack(tmp_path / "model.keras", members, method)
        near(from_keras(path).reconstruct(X), predicted(model(), X))
