"""Golden files: models of every format version load and return the same numbers."""

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors

import unspool
from tests.golden import make
from tests.golden.make import NAMES, SUMS, of_detector, outputs, sums
from tests.model_file.files import parts
from unspool import Windows, model_file, runtime
from unspool.model_file.format import FORMAT_VERSION, UPGRADES

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("v*/*.unspool"))
FIRST = HERE / "v1"
MAX_BYTES = 150_000  # of all files of a version together


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_loaded_golden_file_returns_the_same_numbers(path):
    with np.load(path.with_suffix(".npz")) as kept:
        expected = dict(kept)
    found = outputs(unspool.load(path, device="cpu"), expected.pop("input"))
    assert set(found) == set(expected)
    for name, values in expected.items():
        if values.dtype.kind == "U":
            np.testing.assert_array_equal(found[name], values, name)
        else:
            tolerance = 1e-5 * abs(values).max()
            np.testing.assert_allclose(found[name], values, 0, tolerance, err_msg=name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_runtime_returns_the_same_numbers(path):
    contents = model_file.read(path)
    model = runtime.Model(contents)
    with np.load(path.with_suffix(".npz")) as kept:
        expected = dict(kept)
    values, window = expected.pop("input"), model.contents.fitted["window"]
    if contents.detector is not None:
        found = of_detector(runtime.Detector(contents), values)
        for name, values in expected.items():
            np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-6, err_msg=name)
        return
    X = values if window is None else Windows(values, *window, feature_names=NAMES)
    named = {"transform": "encode", "codes": "encode"}
    for name, values in expected.items():
        found = getattr(model, named.get(name, name))(X)
        if values.dtype.kind == "U":
            np.testing.assert_array_equal(found, values, name)
        else:
            tolerance = 1e-5 * abs(values).max()
            np.testing.assert_allclose(found, values, 0, tolerance, err_msg=name)


@pytest.mark.parametrize("path", [*FIRST.glob("*.unspool")], ids=lambda path: path.stem)
def test_models_of_version_1_have_a_constant_learning_rate(path):
    contents = model_file.read(path)
    inner = contents.parameters.get("autoencoder")
    for parameters in [contents.parameters, *([inner["parameters"]] if inner else [])]:
        assert parameters["learning_rate_schedule"] == "constant"
        assert isinstance(parameters["epochs"], int)


def test_no_golden_file_has_changed():
    known = dict(reversed(line.split("  ")) for line in SUMS.read_text().splitlines())
    assert sums() == known


def test_every_version_that_can_be_read_has_golden_files_and_a_way_to_the_next():
    versions = set(range(1, FORMAT_VERSION + 1))
    assert {int(path.parent.name[1:]) for path in FILES} == versions
    assert set(UPGRADES) == versions - {FORMAT_VERSION}
    for path in FILES:
        assert parts(path)[0]["format_version"] == int(path.parent.name[1:])


def test_version_1_has_a_small_file_of_every_kind_of_model():
    models = {parts(path)[0]["model"] for path in FIRST.glob("*.unspool")}
    assert models == {
        "LSTMAutoencoder",
        "LSTMForecaster",
        "DenseAutoencoder",
        "StackedAutoencoder",
        "ConvAutoencoder",
        "EncoderClassifier",
    }
    assert sum(path.stat().st_size for path in FIRST.iterdir()) < MAX_BYTES


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_golden_files_do_not_name_the_machine_that_made_them(path):
    assert model_file.read(path).versions == {"unspool": "0.1.0"}


def test_golden_files_are_not_replaced(monkeypatch):
    before = sums()
    with pytest.raises(SystemExit) as caught:
        make.main([])
    assert str(caught.value) == (
        f"{make.FOLDER} exists, and golden files are not made again; use --force for a version "
        "that is not released."
    )
    assert sums() == before


def test_the_golden_header_of_a_composite_model_has_exactly_these_fields():
    with safetensors.safe_open(FIRST / "lstm-composite.unspool", framework="np") as file:
        assert list(file.metadata()) == ["unspool"]
        header = json.loads(file.metadata()["unspool"])
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        dtypes = {name: file.get_slice(name).get_dtype() for name in shapes}
    history = header["fitted"].pop("history")
    assert len(header.pop("crc32")) == 8
    assert header == {
        "format_version": 1,
        "model": "LSTMAutoencoder",
        "parameters": PARAMETERS,
        "fitted": {
            "part": "model",
            "n_features": 2,
            "table": False,
            "n_features_in": 2,
            "feature_names_in": ["left", "right"],
            "max_length": 10,
            "horizon": 2,
            "y_ndim": None,
            "axes": None,
            "window": [10, 3],
        },
        "versions": {"unspool": "0.1.0"},
    }
    names = [
        "loss",
        "reconstruction_loss",
        "reconstruction_mae",
        "forecast_loss",
        "forecast_mae",
    ]
    assert list(history) == [*names, *(f"val_{name}" for name in names), "best_epoch"]
    assert {len(history[name]) for name in history if name != "best_epoch"} == {8}
    assert shapes == {
        "scaler.shift": (2,),
        "scaler.scale": (2,),
        "module.encoder.lstm.layers.0.0.weight_ih": (16, 2),
        "module.encoder.lstm.layers.0.0.weight_hh": (16, 4),
        "module.encoder.lstm.layers.0.0.bias": (16,),
        "module.decoders.reconstruction.lstm.layers.0.0.weight_context": (16, 4),
        "module.decoders.reconstruction.lstm.layers.0.0.weight_hh": (16, 4),
        "module.decoders.reconstruction.lstm.layers.0.0.bias": (16,),
        "module.decoders.reconstruction.head.0.weight": (2, 4),
        "module.decoders.reconstruction.head.0.bias": (2,),
        "module.decoders.forecast.lstm.layers.0.0.weight_ih": (16, 2),
        "module.decoders.forecast.lstm.layers.0.0.weight_hh": (16, 4),
        "module.decoders.forecast.lstm.layers.0.0.bias": (16,),
        "module.decoders.forecast.head.0.weight": (2, 4),
        "module.decoders.forecast.head.0.bias": (2,),
    }
    assert {name for name, dtype in dtypes.items() if dtype == "F64"} == {
        "scaler.shift",
        "scaler.scale",
    }
    assert set(dtypes.values()) == {"F32", "F64"}


PARAMETERS = {
    "activation": "tanh",
    "backend": "auto",
    "batch_size": 32,
    "bidirectional": False,
    "code_l1": 0.0,
    "decoder": "repeat",
    "decoder_units": None,
    "device": "auto",
    "epochs": 8,
    "forecast_decoder": "reshape",
    "global_clipnorm": 1.0,
    "head_activation": "relu",
    "head_units": [],
    "horizon": 2,
    "input_dropout": 0.0,
    "input_noise": 0.0,
    "kl_weight": None,
    "latent_dim": 4,
    "learning_rate": 0.02,
    "loss": "mse",
    "loss_weights": [1.0, 1.0],
    "metrics": ["mae"],
    "num_layers": 1,
    "optimizer": "adam",
    "output_activation": "linear",
    "patience": 20,
    "random_state": 0,
    "recurrent_activation": "sigmoid",
    "reverse_target": False,
    "scaling": "standard",
    "steps_per_epoch": None,
    "teacher_forcing": 1.0,
    "units": None,
    "validation_split": 0.1,
    "verbose": 0,
}
