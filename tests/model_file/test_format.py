"""Model files are written completely or not at all, and damaged files are refused."""

import json
import math
import struct
import zlib

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from sklearn.exceptions import NotFittedError

import unspool
from tests.model_file.files import parts
from unspool import (
    DenseAutoencoder,
    LSTMAutoencoder,
    Windows,
    model_file,
)
from unspool.errors import InputError, ModelFileError
from unspool.model_file.format import FORMAT_VERSION, to_bytes

X = np.sin(np.arange(12) / 2.1 + np.arange(40)[:, None])

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")


@pytest.fixture(scope="module")
def model():
    return LSTMAutoencoder(latent_dim=3, epochs=1, random_state=0, verbose=0).fit(X)


@pytest.fixture
def path(model, tmp_path):
    model.save(tmp_path / "model.unspool")
    return tmp_path / "model.unspool"


def test_a_loaded_model_is_the_saved_one(model, path):
    loaded = unspool.load(path)
    assert loaded.get_params() == model.get_params()
    assert loaded.history_ == model.history_
    assert loaded.n_features_in_ == 12
    np.testing.assert_array_equal(loaded.transform(X), model.transform(X))
    np.testing.assert_array_equal(loaded.reconstruct(X), model.reconstruct(X))
    np.testing.assert_array_equal(
        loaded.inverse_transform(np.eye(3)), model.inverse_transform(np.eye(3))
    )
    assert loaded.score(X) == model.score(X)


def test_feature_names_and_windows_are_restored(tmp_path):
    windows = Windows(
        np.random.default_rng(0).normal(size=(90, 2)), 10, 2, feature_names=["a", "b"]
    )
    model = LSTMAutoencoder(latent_dim=2, epochs=1, verbose=0).fit(windows)
    model.save(tmp_path / "m")
    loaded = unspool.load(tmp_path / "m")
    assert list(loaded.feature_names_in_) == ["a", "b"]
    assert loaded.window_ == (10, 2)
    np.testing.assert_array_equal(loaded.transform(windows), model.transform(windows))


def test_the_header_has_the_documented_fields_and_the_version_that_wrote_it(path):
    with safetensors.safe_open(path, framework="np") as file:
        header = json.loads(file.metadata()["unspool"])
        assert file.get_tensor("scaler.shift").dtype == np.float64
    assert header["format_version"] == FORMAT_VERSION
    assert header["model"] == "LSTMAutoencoder"
    assert header["parameters"]["latent_dim"] == 3
    assert header["versions"]["unspool"] == unspool.__version__
    assert list(header) == [
        "format_version",
        "model",
        "parameters",
        "fitted",
        "versions",
        "detector",
        "crc32",
    ]
    assert header["detector"] is None


def test_the_checksum_covers_the_header_before_it_and_all_tensors(path):
    with safetensors.safe_open(path, framework="np") as file:
        text = file.metadata()["unspool"]
        whole = text[: text.index(', "crc32"')].encode()
        for name in sorted(file.keys()):
            part, array = file.get_slice(name), file.get_tensor(name)
            shape = ",".join(str(size) for size in part.get_shape())
            whole += f"{name} {part.get_dtype()} {shape}".encode() + array.tobytes()
    assert text.endswith(f', "crc32": "{zlib.crc32(whole):08x}"}}')
    assert json.loads(text)["crc32"] == f"{zlib.crc32(whole):08x}"


def test_saving_a_loaded_model_writes_the_same_bytes(path, tmp_path):
    unspool.load(path).save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()


def test_a_random_state_object_is_written_as_none(tmp_path):
    model = LSTMAutoencoder(
        latent_dim=2, epochs=1, verbose=0, random_state=np.random.RandomState(0)
    ).fit(X)
    model.save(tmp_path / "m")
    assert unspool.load(tmp_path / "m").random_state is None


def test_a_failed_save_leaves_the_older_file_and_nothing_else(model, path, monkeypatch):
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(InputError, match=r"model.unspool: cannot be written: No space left on d"):
        model.save(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_an_unfitted_model_is_not_saved(tmp_path):
    with pytest.raises(NotFittedError):
        LSTMAutoencoder().save(tmp_path / "m")
    assert list(tmp_path.iterdir()) == []


def test_saving_to_a_missing_folder_is_refused(model, tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        model.save(tmp_path / "no" / "m")


def test_reading_a_missing_file_or_a_folder_is_refused(tmp_path):
    with pytest.raises(ModelFileError) as caught:
        unspool.load(tmp_path / "m")
    assert str(caught.value) == f"Expected a model file, but {tmp_path / 'm'} does not exist."
    with pytest.raises(ModelFileError) as caught:
        unspool.load(tmp_path)
    assert str(caught.value) == f"Expected a model file, but {tmp_path} is a folder."


@pytest.mark.parametrize("keep", [0, 5, 100, 0.5, -1], ids=str)
def test_a_file_cut_short_is_refused(path, keep):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)] if isinstance(keep, float) else data[:keep])
    with pytest.raises(ModelFileError, match="is not a model file, or is cut short or damaged"):
        unspool.load(path)


@pytest.mark.parametrize(
    "content",
    [b"hello, I am a text file", b"\x80\x04\x95pickle", struct.pack("<Q", 2**62) + b"{}"],
    ids=["text", "pickle", "huge header"],
)
def test_a_file_that_is_not_safetensors_is_refused(tmp_path, content):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(ModelFileError, match="is not a model file, or is cut short or damaged"):
        unspool.load(tmp_path / "m")


METADATA = [
    None,
    {},
    {"other": "{}"},
    {"unspool": "{"},
    {"unspool": "[1]"},
    {"unspool": '"text"'},
    {"unspool": "{}"},
    {"unspool": '{"format_version": NaN}'},
    {"unspool": '{"format_version": 1, "loss": 1e999}'},
    {"unspool": '{"format_version": 1, "format_version": 1}'},
    {"unspool": "[" * 100_000},
]


@pytest.mark.parametrize("metadata", METADATA, ids=lambda m: str(m)[:60])
def test_a_foreign_safetensors_file_is_refused(tmp_path, metadata):
    safetensors.numpy.save_file({"a": np.zeros(1, np.float32)}, tmp_path / "m", metadata)
    with pytest.raises(ModelFileError) as caught:
        unspool.load(tmp_path / "m")
    assert str(caught.value) == (
        f"{tmp_path / 'm'} is a safetensors file, but not an unspool model: its "
        "metadata have no readable entry 'unspool'."
    )


def damaged(path):
    return (
        f"{path} is damaged: its checksum does not match its content; get a good copy, or train "
        "and save the model again."
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"epochs": 1,', b'"epochs": 2,'),
        (b'"epochs": 1,', b'"epochs":1 ,'),
        (b'"crc32": "', b'"crc32" :"'),
        (b"module.encoder.lstm.layers.0.0", b"module.encoder.lstm.layers.9.0"),
    ],
    ids=["a number", "a blank", "before the checksum", "the name of a tensor"],
)
def test_a_header_that_does_not_match_the_checksum_is_refused(path, old, new):
    old, new = (part.replace(b'"', b'\\"') if b'"' in part else part for part in (old, new))
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new))
    with pytest.raises(ModelFileError) as caught:
        unspool.load(path)
    assert str(caught.value) == damaged(path)


def test_a_weight_that_does_not_match_the_checksum_is_refused(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelFileError) as caught:
        model_file.read(path)
    assert str(caught.value) == damaged(path)


def test_losses_that_are_not_finite_are_written_as_null_and_read_as_nan(path, tmp_path):
    model = unspool.load(path)
    model.history_ = {
        "loss": [1.0, math.inf],
        "layers": [{"loss": [math.nan], "best_epoch": 0}],
        "best_epoch": 0,
        "mae": [-math.inf, 2.0],
    }
    model.save(tmp_path / "m")
    header, _ = parts(tmp_path / "m")
    assert header["fitted"]["history"] == {
        "loss": [1.0, None],
        "layers": [{"loss": [None], "best_epoch": 0}],
        "best_epoch": 0,
        "mae": [None, 2.0],
    }
    loaded = unspool.load(tmp_path / "m").history_
    assert list(loaded) == ["loss", "layers", "best_epoch", "mae"]
    np.testing.assert_equal(loaded["loss"], [1.0, math.nan])
    np.testing.assert_equal(loaded["layers"], [{"loss": [math.nan], "best_epoch": 0}])
    np.testing.assert_equal(loaded["mae"], [math.nan, 2.0])


@pytest.mark.parametrize("value", [math.nan, math.inf, 1j], ids=str)
def test_values_that_json_does_not_have_are_not_written(path, value):
    header, tensors = parts(path)
    with pytest.raises(InputError, match="This model cannot be saved: "):
        to_bytes({**header, "model": value}, tensors)


def test_numpy_numbers_are_restored_as_python_numbers(tmp_path):
    given = {"latent_dim": np.int64(2), "hidden_units": (np.int32(3),), "random_state": np.uint8(1)}
    model = DenseAutoencoder(**given, learning_rate=np.float32(0.5), epochs=1, verbose=0).fit(X)
    model.save(tmp_path / "m")
    loaded = unspool.load(tmp_path / "m").get_params()
    kept = {name: loaded[name] for name in (*given, "learning_rate")}
    assert kept == {
        "latent_dim": 2,
        "hidden_units": (3,),
        "random_state": 1,
        "learning_rate": 0.5,
    }
    assert {type(value) for value in kept.values()} == {int, float, tuple}


def test_reading_a_device_is_refused():
    with pytest.raises(ModelFileError) as caught:
        unspool.load("/dev/null")
    assert str(caught.value) == "Expected a model file, but /dev/null is a device or a pipe."
