"""Files of checkpoints: what they hold and refuse, and what readers of models say of them."""

import math

import numpy as np
import pytest

import unspool
from tests.model_file.damage import cuts, flips
from unspool import DenseAutoencoder, model_file, runtime
from unspool.errors import InputError, ModelFileError
from unspool.model_file import checkpoint_file
from unspool.model_file.checkpoint_file import read_checkpoint, write_checkpoint
from unspool.model_file.format import to_bytes

FACTS = {"model": "LSTMAutoencoder", "stage": "", "epoch": 3, "epochs": 20, "finished": False}
TREE = {
    "whole": 2**127 + 1,
    "text": "ü",
    "none": None,
    "truth": True,
    "floats": [0.1, 1e-310, math.inf, -math.inf, math.nan],
    "deep": {"list": [1, {"array": np.float32([0.1, np.nan])}]},
    "scalar": np.array(3.0, np.float32),
    "empty": np.zeros((0, 3)),
    "bytes": np.arange(5, dtype=np.uint8),
    "not in order": np.arange(6).reshape(2, 3).T,
    **{name: np.zeros(2, name) for name in ("bool", "int8", "int16", "int32", "int64", "float16")},
    **{name: np.ones(2, name) for name in ("uint16", "uint32", "uint64", "float64")},
}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "fit.checkpoint"
    write_checkpoint(path, FACTS, TREE, {"unspool": "1.2"})
    return path


def test_what_is_written_is_read(path):
    facts, tree, versions = read_checkpoint(path)
    assert facts == {"version": 1, **FACTS}
    assert versions == {"unspool": "1.2"}
    assert list(tree) == list(TREE)
    for name, value in TREE.items():
        if isinstance(value, np.ndarray):
            assert (tree[name].shape, tree[name].dtype) == (value.shape, value.dtype)
            np.testing.assert_array_equal(tree[name], value)
        else:
            assert repr(tree[name]) == repr(value)


def test_numpy_numbers_are_read_as_numbers_of_python(tmp_path):
    write_checkpoint(tmp_path / "file", FACTS, {"a": np.int64(3), "b": np.float32(0.1)}, {})
    tree = read_checkpoint(tmp_path / "file")[1]
    assert (tree["a"], tree["b"]) == (3, float(np.float32(0.1)))


@pytest.mark.parametrize(
    ("value", "name"),
    [({1, 2}, "a set"), ({1: 2}, "a dict"), (np.array([None]), "a ndarray"), (1j, "a complex")],
)
def test_other_values_are_refused(value, name, tmp_path):
    with pytest.raises(InputError) as refused:
        write_checkpoint(tmp_path / "file", FACTS, {"some": [value]}, {})
    assert str(refused.value) == (
        "A checkpoint holds numbers, texts, lists, dicts with text as keys, and arrays of numbers, "
        f"but some/0 is {name}."
    )


def test_damaged_files_are_refused(path):
    blob, rng, whole = path.read_bytes(), np.random.default_rng(0), read_checkpoint(path)
    for damage, spoilt in [*cuts(blob, rng), *flips(blob, rng)]:
        path.write_bytes(spoilt)
        answer = read_or_refusal(path)
        if damage == "the padding":
            assert answer == repr(whole)
        else:
            assert str(path) in answer, damage
            assert "another `checkpoint`" in answer, damage


def read_or_refusal(path):
    try:
        return repr(read_checkpoint(path))
    except (ModelFileError, InputError) as error:
        return str(error)


def test_a_file_of_another_checkpoint_version_is_refused(path, monkeypatch):
    monkeypatch.setattr(checkpoint_file, "CHECKPOINT_VERSION", 2)
    with pytest.raises(ModelFileError) as refused:
        read_checkpoint(path)
    assert str(refused.value) == (
        f"The checkpoint cannot be used. {path} has checkpoint version 1, but this unspool reads "
        "version 2; finish the fit with unspool 1.2. Give another `checkpoint`, or remove a "
        "damaged one to start the fit anew."
    )


def test_an_array_whose_dtype_has_changed_is_refused(path):
    content = path.read_bytes()
    assert content.count(b'"dtype":"U16"') == 1
    path.write_bytes(content.replace(b'"dtype":"U16"', b'"dtype":"I16"'))
    with pytest.raises(ModelFileError, match="its checksum does not match its content"):
        read_checkpoint(path)


@pytest.mark.parametrize("name", ["state", "versions", "model", "epochs"])
def test_a_file_without_a_part_is_refused(name, path):
    header = {"format_version": 2, "versions": {}, "state": {}}
    header["checkpoint"] = {"version": 1, **FACTS}
    for fields in (header, header["checkpoint"]):
        fields.pop(name, None)
    path.write_bytes(to_bytes(header, {}))
    with pytest.raises(ModelFileError) as refused:
        read_checkpoint(path)
    assert str(refused.value) == (
        f"The checkpoint {path} is damaged (KeyError: '{name}'); remove it to start the fit anew."
    )


def test_a_checkpoint_is_no_model(path):
    message = (
        f"{path} is a checkpoint of a fit that can go on, not a model: LSTMAutoencoder, 3 of 20 "
        "epochs done; call `fit` with the same arguments and data and with this `checkpoint`, or "
        "run the same `unspool fit` command, then load the model that it saves."
    )
    for read in (unspool.load, runtime.load, model_file.read):
        with pytest.raises(ModelFileError) as refused:
            read(path)
        assert str(refused.value) == message


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({"stage": "head"}, "LSTMAutoencoder, head, 3 of 20 epochs done"),
        ({"stage": "model: "}, "LSTMAutoencoder, model, 3 of 20 epochs done"),
        ({"finished": True}, "LSTMAutoencoder, finished"),
        ({"epoch": None}, "a damaged one"),
    ],
)
def test_the_progress_of_a_checkpoint_is_described(facts, words):
    assert checkpoint_file.describe({**FACTS, **facts}) == words


@pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")  # few epochs
def test_a_model_is_no_checkpoint(tmp_path):
    path = tmp_path / "model"
    X = np.sin(np.arange(12) / 3 + np.arange(50)[:, None])
    model = DenseAutoencoder(2, epochs=2, verbose=0, random_state=0)
    model.fit(X).save(path)
    written = path.read_bytes()
    with pytest.raises(InputError) as refused:
        model.fit(X, checkpoint=path)
    assert str(refused.value) == (
        f"{path} is a model file, not a checkpoint; give another `checkpoint`, or use the model "
        "with `unspool.load`."
    )
    assert path.read_bytes() == written
