"""Keras files that are damaged or declare far more than they contain, and valid ones."""

import io
import json
import tracemalloc
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import Input, Model, Sequential
from keras import layers as L

from tests.interop.archives import X, model, pack, parts, refused, unpack
from tests.interop.nets import data, near, predicted, randomised
from unspool.errors import InputError
from unspool.interop.keras import archive, from_keras

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """The members of a valid file."""
    path = tmp_path_factory.mktemp("sound") / "model.keras"
    model().save(path)
    return unpack(path)


def test_shared_layers_and_masking_layers_are_imported_from_files(tmp_path):
    path, rows = tmp_path / "model.keras", data(7, 9)
    twice = L.Dense(9, "tanh")
    inner = Sequential([Input((9,)), twice])
    theirs = randomised(Model(x := Input((9,)), inner(inner(x))))
    theirs.save(path)
    near(from_keras(path).reconstruct(rows), predicted(theirs, rows))
    layers = [L.Masking(), L.LSTM(4), L.RepeatVector(6), L.LSTM(4, return_sequences=True)]
    for theirs in (
        Sequential([Input((6, 2)), *layers, L.Dense(2)]),
        Model(x := Input((6, 2)), L.Dense(2)(layers[3](layers[2](layers[1](layers[0](x)))))),
    ):
        randomised(theirs).save(path)
        near(from_keras(path).reconstruct(X), predicted(theirs, X))


def test_an_adapted_normalization_is_imported(tmp_path):
    scaling = L.Normalization()
    scaling.adapt(X * [2, 5] + [1, -8])
    layers = [L.LSTM(4), L.RepeatVector(6), L.LSTM(4, return_sequences=True), L.Dense(2)]
    theirs = randomised(Sequential([Input((6, 2)), scaling, *layers]))
    scaling.finalize_state()
    theirs.save(tmp_path / "model.keras")
    ours = from_keras(tmp_path / "model.keras")
    near(ours.reconstruct(X), predicted(theirs, X))
    np.testing.assert_allclose(ours.scaler_.shift, from_keras(theirs).scaler_.shift)


def cheaply_refused(path, message, max_bytes=60_000_000):
    """The file is refused with a message, and without allocating much memory."""
    tracemalloc.start()
    try:
        refused(path, message)
        assert tracemalloc.get_traced_memory()[1] < max_bytes
    finally:
        tracemalloc.stop()


def test_members_that_unpack_to_too_many_bytes_are_refused(members, tmp_path, monkeypatch):
    path = tmp_path / "model.keras"
    deflated = zipfile.ZIP_DEFLATED
    for name, size in (("config.json", 30_000_000), ("metadata.json", 70_000_000)):
        pack(path, {**members, name: b" " * size}, deflated)
        message = "its config.json has 30,000,000 bytes, expected at most 8,388,608"
        if name != "config.json":
            message = r"the archive has [\d,]+ bytes and would unpack to [\d,]+, more than 200"
        cheaply_refused(path, message)
    pack(path, {**members, "model.weights.h5": bytes(70_000_000)}, deflated)
    cheaply_refused(path, r"the archive has [\d,]+ bytes and would unpack to [\d,]+, more than 200")
    pack(path, members)
    blob = bytearray(path.read_bytes())
    entry = blob.rindex(b"PK\1\2")  # the size of the weights in the directory
    blob[entry + 24 : entry + 28] = b"\xff\xff\xff\x7f"
    path.write_bytes(blob)
    cheaply_refused(path, r"the archive has [\d,]+ bytes and would unpack to 2,147,")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"assets/../../x": b""}, "it contains 'assets/../../x', which is not part of"),
        ({"/etc/x": b""}, "it contains '/etc/x', which is not part of"),
        ({"model.weights.npz": b""}, "it contains 'model.weights.npz', which is not part of"),
        ({"config.json": None}, "it contains no config.json; load it with Keras where it was made"),
        ({"model.weights.h5": None}, "it contains no model.weights.h5; load it with Keras where"),
        ({"config.json": b"{"}, "its config.json cannot be read: "),
        ({"config.json": b"\xff"}, "its config.json cannot be read: "),
        ({"config.json": b"[" * 100_000}, "its config.json cannot be read: "),
        ({"config.json": b'{"a":' * 600 + b"1" + b"}" * 600}, "it is nested too deeply"),
        ({"config.json": b"[]"}, ".{10}"),
        ({"config.json": b"null"}, ".{10}"),
        ({"config.json": b'"Popen"'}, ".{10}"),
        (
            {"config.json": {"class_name": ["Dense"], "config": {}}},
            "\\['Dense'\\] of None is not a layer",
        ),
        ({"model.weights.h5": b"no HDF5"}, "its model.weights.h5 cannot be read: "),
        ({"model.weights.h5": b""}, "its model.weights.h5 cannot be read: "),
    ],
    ids=str,
)
def test_archives_with_wrong_members_are_refused(members, tmp_path, change, message):
    changed = {name: blob for name, blob in {**members, **change}.items() if blob is not None}
    refused(pack(tmp_path / "model.keras", changed), message)


def test_damaged_or_unusual_archives_are_refused(members, tmp_path):
    path = tmp_path / "model.keras"
    path.write_bytes(b"")
    refused(path, r"the archive is damaged \(File is not a zip file\)")
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("config.json", members["config.json"])
        with pytest.warns(UserWarning, match="Duplicate name"):
            file.writestr("config.json", b"{}")
    refused(path, "the archive contains 'config.json' twice")
    pack(path, members, zipfile.ZIP_LZMA)
    refused(path, "'metadata.json' is compressed by an unusual method")


def deep(levels):
    """Nested models, each of which calls the next one twice: 2**levels calls of layers."""
    inner = Model(x := Input((3,)), L.Identity()(x))
    for _ in range(levels):
        x = Input((3,))
        inner = Model(x, inner(inner(x)))
    return inner


def test_models_with_too_many_calls_are_refused(tmp_path):
    deep(10).save(tmp_path / "model.keras")
    refused(tmp_path / "model.keras", "it has more than 1,000 calls of layers")


def test_a_model_with_too_many_layers_in_a_row_is_refused():
    with pytest.raises(InputError, match="has too many layers in a row"):
        from_keras(Sequential([Input((9,)), *[L.Identity() for _ in range(700)], L.Dense(9)]))


LARGE = 10**9


@pytest.mark.parametrize(
    ("layer", "key", "value"),
    [
        (lambda: L.Dense(2, name="odd"), "units", LARGE),
        (lambda: L.LSTM(2, name="odd", return_sequences=True), "units", 60_000),
        (lambda: L.Bidirectional(L.LSTM(2, return_sequences=True), name="odd"), "layer", 60_000),
        (lambda: L.TimeDistributed(L.Dense(2), name="odd"), "layer", LARGE),
        (lambda: L.Conv1D(2, 3, name="odd", padding="same"), "kernel_size", [LARGE]),
        (lambda: L.Conv1D(2, 3, name="odd", padding="same"), "filters", LARGE),
        (lambda: L.Dense(2, name="odd"), "lora_rank", LARGE),
        (lambda: L.Normalization(name="odd"), None, None),
    ],
)
def test_layers_larger_than_the_file_are_not_built(tmp_path, layer, key, value):
    path = tmp_path / "model.keras"
    Sequential([Input((6, 2)), layer(), L.Dense(2)]).save(path)
    members = unpack(path)
    whole = json.loads(members["config.json"])
    odd = whole["config"]["layers"][1]
    config = odd["config"]
    if key is None:
        whole["config"]["layers"][0]["config"]["batch_shape"] = [None, 6, LARGE]
        odd["build_config"]["input_shape"] = [None, 6, LARGE]
    elif key == "layer":
        config["layer"]["config"]["units"] = value
    else:
        config[key] = value
    pack(path, {**members, "config.json": whole})
    message = {
        "lora_rank": "weights are quantized or have LoRA parts; plain float weights are supported",
        None: "a Normalization does not contain its number of features",
    }.get(key, "its layers have more weights than the file contains")
    refused(path, message)


def test_a_normalization_with_a_wrong_shape_is_refused(tmp_path):
    path = tmp_path / "model.keras"
    Sequential([Input((6, 2)), L.Normalization(), L.Dense(2)]).save(path)
    members = unpack(path)
    for shape, axis in ([None, [-1]], [[None, 6, "2"], [-1]], [[None, 6, 2], [1]]):
        whole = json.loads(members["config.json"])
        odd = whole["config"]["layers"][1]
        odd["build_config"]["input_shape"], odd["config"]["axis"] = shape, axis
        refused(pack(path, {**members, "config.json": whole}), "a Normalization ")
    whole = json.loads(members["config.json"])
    whole["config"]["layers"][0]["config"]["batch_shape"] = [None, 6, 10**7]
    pack(path, {**members, "config.json": whole})
    tracemalloc.start()
    with pytest.raises(InputError):
        from_keras(path)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("dtype", ["object", "V1000000000", "int8_from_float32", 7])
def test_dtypes_that_are_not_plain_numbers_are_refused(members, tmp_path, dtype):
    whole = json.loads(members["config.json"])
    out = parts(whole, {})["out"]["config"]
    array = {"class_name": "__numpy__", "config": {"value": [1], "dtype": dtype}}
    policy = {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": {"name": dtype},
        "registered_name": None,
    }
    for out["dtype"] in (policy, array):
        refused(
            pack(tmp_path / "a.keras", {**members, "config.json": whole}),
            "the dtype .* is not supported",
        )


# Weights.


def weights(members, change):
    """The members with changed weights."""
    blob = io.BytesIO(members["model.weights.h5"])
    with h5py.File(blob, "r+") as file:
        change(file)
    return {**members, "model.weights.h5": blob.getvalue()}


def first(file):
    found = []
    file.visititems(lambda name, one: found.append(name) if isinstance(one, h5py.Dataset) else None)
    return found[0]


def put(**options):
    def change(file):
        name = first(file)
        shape = file[name].shape
        del file[name]
        file.create_dataset(name, **{"shape": shape, "dtype": "f4", **options})

    return change


def linked(link):
    def change(file):
        name = first(file)
        del file[name]
        file[name] = link

    return change


def virtual(file):
    name = first(file)
    layout = h5py.VirtualLayout(shape=file[name].shape, dtype="f4")
    del file[name]
    file.create_virtual_dataset(name, layout)


REFUSED_WEIGHTS = {
    "another file's bytes": put(external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)]),
    "a link to another file": linked(h5py.ExternalLink("/etc/x.h5", "/a")),
    "a link": linked(h5py.SoftLink("/")),
    "a view of others": virtual,
    "a terabyte that is not there": put(shape=(10**6, 10**6), chunks=(1000, 1000)),
    "a gigabyte of zeros, packed": put(shape=(10**4, 10**4), compression="gzip", chunks=True),
    "nothing where there should be numbers": put(fillvalue=0),
    "text": put(dtype=h5py.string_dtype()),
    "pieces": put(chunks=True, data=None),
    "no shape": put(shape=None, data=h5py.Empty("f4"), dtype="f4"),
    "a type": lambda file: file.__setitem__("type", np.dtype("f4")),
}


@pytest.mark.parametrize("case", REFUSED_WEIGHTS)
def test_weights_that_are_not_plain_arrays_are_refused(members, tmp_path, case):
    path = pack(tmp_path / "model.keras", weights(members, REFUSED_WEIGHTS[case]))
    cheaply_refused(path, "its weights ")


def test_groups_that_contain_each_other_are_visited_once(members, tmp_path):
    def change(file):
        file["layers/again"] = file["/"]

    path = pack(tmp_path / "model.keras", weights(members, change))
    near(from_keras(path).reconstruct(X), predicted(model(), X))


def test_weights_of_bfloat16_are_accepted():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    blob = io.BytesIO()
    with h5py.File(blob, "w") as file:
        file.create_dataset("a/b", data=np.ones(3, ml_dtypes.bfloat16))
    archive.check_weights(blob.getvalue(), "a file")


def test_missing_or_misshapen_weights_are_refused(members, tmp_path):
    path = tmp_path / "model.keras"
    refused(pack(path, weights(members, lambda file: file.__delitem__(first(file)))), ".{10}")
    refused(pack(path, weights(members, put(shape=(7, 7), data=np.ones((7, 7))))), ".{10}")
    refused(pack(path, weights(members, lambda file: file.__delitem__("layers"))), ".{10}")


def test_weights_that_keras_does_not_load_are_noticed(members, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.Model, "load_weights", lambda *_: None)
    with pytest.raises(InputError, match=r"The tensor .* contains NaN or infinity"):
        from_keras(pack(tmp_path / "model.keras", members))


def test_a_damaged_byte_leads_to_a_model_or_to_an_input_error(members, tmp_path):
    path = pack(tmp_path / "model.keras", members)
    blob, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(40):
        damaged = bytearray(blob)
        for place in rng.integers(0, len(blob), 3):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            from_keras(path)
        except InputError as error:
            assert str(error).startswith(f"{path} ")  # noqa: PT017
