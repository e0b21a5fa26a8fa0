"""The model file: written whole or not at all, and every kind of damage told."""

import json
import re
import struct

import numpy as np
import pytest
import safetensors.torch
import torch
from sklearn.exceptions import NotFittedError

import unspool
from unspool import LSTMAutoencoder, Windows
from unspool.errors import InputError, ModelFileError

X = np.sin(np.arange(12) / 2 + np.arange(40)[:, None])

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")


@pytest.fixture(scope="module")
def model():
    return LSTMAutoencoder(latent_dim=3, epochs=1, random_state=0, verbose=0).fit(X)


@pytest.fixture
def path(model, tmp_path):
    model.save(tmp_path / "model.unspool")
    return tmp_path / "model.unspool"


def rewrite(path, change_header=None, change_tensors=None):
    """Write the file again with another header or other tensors."""
    with safetensors.safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["unspool"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if change_header:
        change_header(header)
    if change_tensors:
        change_tensors(tensors)
    safetensors.torch.save_file(tensors, path, {"unspool": json.dumps(header)})


def test_a_loaded_model_is_the_saved_one(model, path):
    again = unspool.load(path)
    assert again.get_params() == model.get_params()
    assert again.history_ == model.history_
    assert again.n_features_in_ == 12
    np.testing.assert_array_equal(again.transform(X), model.transform(X))
    np.testing.assert_array_equal(again.reconstruct(X), model.reconstruct(X))
    np.testing.assert_array_equal(
        again.inverse_transform(np.eye(3)), model.inverse_transform(np.eye(3))
    )
    assert again.score(X) == model.score(X)


def test_feature_names_and_windows_come_back(tmp_path):
    windows = Windows(
        np.random.default_rng(0).normal(size=(90, 2)), 10, 2, feature_names=["a", "b"]
    )
    model = LSTMAutoencoder(latent_dim=2, epochs=1, verbose=0).fit(windows)
    model.save(tmp_path / "m")
    again = unspool.load(tmp_path / "m")
    assert list(again.feature_names_in_) == ["a", "b"]
    assert again.window_ == (10, 2)
    np.testing.assert_array_equal(again.transform(windows), model.transform(windows))


def test_the_file_holds_no_pickle_and_says_what_made_it(path):
    with safetensors.safe_open(path, framework="np") as file:
        header = json.loads(file.metadata()["unspool"])
        assert file.get_tensor("scaler.shift").dtype == np.float64
    assert header["format_version"] == 1
    assert header["model"] == "LSTMAutoencoder"
    assert header["parameters"]["latent_dim"] == 3
    assert header["versions"]["unspool"] == unspool.__version__
    assert set(header) == {"format_version", "model", "parameters", "fitted", "versions"}


def test_a_random_state_that_is_no_number_is_left_out(tmp_path):
    model = LSTMAutoencoder(
        latent_dim=2, epochs=1, verbose=0, random_state=np.random.RandomState(0)
    ).fit(X)
    model.save(tmp_path / "m")
    assert unspool.load(tmp_path / "m").random_state is None


def test_a_failed_save_leaves_the_older_file_and_nothing_else(model, path, monkeypatch):
    before = path.read_bytes()

    def fail(*_):
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space left"):
        model.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_an_unfitted_model_is_not_saved(tmp_path):
    with pytest.raises(NotFittedError):
        LSTMAutoencoder().save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there(model, tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        model.save(tmp_path / "no" / "m")


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(ModelFileError) as caught:
        unspool.load(tmp_path / "m")
    assert str(caught.value) == f"Expected a model file, but {tmp_path / 'm'} does not exist."
    with pytest.raises(ModelFileError) as caught:
        unspool.load(tmp_path)
    assert str(caught.value) == f"Expected a model file, but {tmp_path} is a folder."


@pytest.mark.parametrize("keep", [0, 5, 100, 0.5, -1], ids=str)
def test_a_file_cut_short(path, keep):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)] if isinstance(keep, float) else data[:keep])
    with pytest.raises(ModelFileError, match="is not a model file, or is cut short or damaged"):
        unspool.load(path)


@pytest.mark.parametrize(
    "content",
    [b"hello, I am a text file", b"\x80\x04\x95pickle", struct.pack("<Q", 2**62) + b"{}"],
    ids=["text", "pickle", "huge header"],
)
def test_a_file_that_is_not_one(tmp_path, content):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(ModelFileError, match="is not a model file, or is cut short or damaged"):
        unspool.load(tmp_path / "m")


@pytest.mark.parametrize("metadata", [None, {}, {"unspool": "{"}, {"unspool": "[1]"}], ids=str)
def test_a_safetensors_file_of_someone_else(tmp_path, metadata):
    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / "m", metadata)
    with pytest.raises(ModelFileError) as caught:
        unspool.load(tmp_path / "m")
    assert str(caught.value) == (
        f"{tmp_path / 'm'} is a safetensors file, but not a model of unspool's: "
        "it has no readable header of ours."
    )


def test_a_newer_format(path):
    rewrite(path, lambda header: header.update(format_version=2, versions={"unspool": "9.0"}))
    with pytest.raises(ModelFileError) as caught:
        unspool.load(path)
    assert str(caught.value) == (
        f"{path} has format version 2 (made by unspool 9.0), this unspool "
        f"{unspool.__version__} reads 1; install a newer one."
    )


def damage(**changes):
    def change(header):
        for key, value in changes.items():
            place = header
            *way, last = key.split("__")
            for name in way:
                place = place[name]
            if value is ...:
                del place[last]
            else:
                place[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (damage(model="LSTMAutoencodr"), "did you mean 'LSTMAutoencoder'?"),
        (damage(parameters__latent_dim=0), "`latent_dim` must be a whole number of at least 1"),
        (damage(parameters__latent_dim=4), "size mismatch"),
        (damage(parameters__latent_dim=10**6), "size mismatch"),
        (damage(parameters__latent_dim=10**9), "Storage size"),
        (damage(parameters__lattent_dim=4), "did you mean 'latent_dim'?"),
        (damage(parameters__decoder="rep"), "did you mean 'repeat'?"),
        (damage(parameters=...), "KeyError"),
        (damage(parameters=[1]), "unknown parameter 1"),
        (damage(fitted__history=...), "history"),
        (damage(fitted__history={"loss": []}), "history"),
        (damage(fitted__n_features=-1), "`n_features` must be a whole number of at least 1"),
        (damage(fitted__n_features=3), "Expected a positive scale for each of 3 features."),
        (damage(fitted__window="ab"), "`window` must be a whole number"),
    ],
    ids=str,
)
def test_a_damaged_header(path, change, reason):
    rewrite(path, change)
    with pytest.raises(ModelFileError, match=re.escape(reason)) as caught:
        unspool.load(path)
    assert str(caught.value).startswith(f"{path} does not hold a usable model")


def poison(tensors):
    tensors["module.encoder.lstm.layers.0.0.bias"][1] = float("nan")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (poison, "the tensor 'module.encoder.lstm.layers.0.0.bias' holds others."),
        (lambda tensors: tensors.pop("scaler.shift"), "scaler.shift"),
        (lambda tensors: tensors.pop("module.encoder.lstm.layers.0.0.bias"), "Missing key"),
        (lambda tensors: tensors.update({"module.more": torch.zeros(1)}), "Unexpected key"),
        (
            lambda tensors: tensors.update({"scaler.scale": -tensors["scaler.scale"]}),
            "Expected a positive scale",
        ),
        (
            lambda tensors: tensors.update(
                {"module.encoder.lstm.layers.0.0.bias": torch.zeros(12, dtype=torch.int32)}
            ),
            "Expected torch.float32 in the tensor",
        ),
    ],
    ids=["nan", "no scaler", "missing", "unexpected", "negative scale", "int"],
)
def test_damaged_tensors(path, change, reason):
    rewrite(path, change_tensors=change)
    with pytest.raises(ModelFileError, match=re.escape(reason)):
        unspool.load(path)
