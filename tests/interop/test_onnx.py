"""ONNX files: ONNX Runtime gives what the estimator gives, for every kind of model."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidArgument

import unspool
from tests.full_disk import FULL, full_disk
from tests.interop.models import (
    AUTOENCODERS,
    CLASSIFIED,
    FORECASTERS,
    FORECASTING,
    IMAGES,
    randomised,
)
from tests.interop.onnx_runs import (
    assert_standard_and_all_of_it_used,
    exported,
    outputs,
    session,
)
from unspool import DenseAutoencoder, EncoderClassifier, LSTMAutoencoder, Sequences, model_file
from unspool._optional import import_optional
from unspool.data.scaling import Scaler
from unspool.errors import InputError
from unspool.interop.onnx import export_onnx

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

# Both sides compute in float32; scaled values are of about 1.
TOLERANCE = 1e-5
LENGTHS = np.array([9, 4, 0, 1, 7, 9, 2])


def ragged(model, lengths, steps, seed=1):
    """Float32 sequences in the units of the model's data, with NaN in their padding."""
    rng = np.random.default_rng(seed)
    scaled = rng.normal(size=(len(lengths), steps, model.scaler_.shift.size))
    x = model.scaler_.undo(scaled).astype(np.float32)
    x[np.arange(steps) >= np.asarray(lengths)[:, None]] = np.nan
    return x


def given(x, lengths):
    """The sequences in a form that an estimator accepts."""
    return Sequences(np.nan_to_num(x, nan=0), lengths)


def assert_same(label, expected, got, scaler=None):
    """Equal in scaled units; NaN past the end of a sequence is 0 in ONNX."""
    padding = np.isnan(expected)
    assert got.dtype == np.float32
    assert not np.isnan(got).any(), label
    np.testing.assert_array_equal(got[padding], 0, err_msg=label)
    if scaler is not None:
        expected, got = ((one - scaler.shift) / scaler.scale for one in (expected, got))
    np.testing.assert_allclose(
        got[~padding], expected[~padding], rtol=TOLERANCE, atol=TOLERANCE, err_msg=label
    )
    assert expected[~padding].size == 0 or expected[~padding].std() > 1e-3, f"{label}: trivial"


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_codes_and_reconstructions_are_those_of_the_estimator(name, tmp_path):
    model = randomised(AUTOENCODERS[name])
    runs = exported(model, tmp_path)
    # One session for each shape: both axes are free.
    for lengths, steps in ((LENGTHS, 9), ([3, 5], 5), ([1], 1), ([6, 2, 0], 8), ([0, 0], 3)):
        x = ragged(model, lengths, steps)
        got = outputs(runs, x, lengths)
        source = given(x, lengths)
        codes, again = model.transform(source), model.reconstruct(source)
        assert got["reconstruction"].shape == x.shape
        if max(lengths):
            assert_same(f"code {x.shape}", codes, got["code"])
        else:
            np.testing.assert_allclose(got["code"], codes, TOLERANCE, TOLERANCE)
        longest = max(lengths)
        assert_same(
            f"reconstruction {x.shape}", again, got["reconstruction"][:, :longest], model.scaler_
        )
        assert not got["reconstruction"][:, longest:].any()
    shapes = {one.name: one.shape for one in runs.get_inputs() + runs.get_outputs()}
    assert shapes["x"] == shapes["reconstruction"] == ["batch", "time", 2]
    assert shapes["lengths"] == ["batch"]


@pytest.mark.parametrize("name", FORECASTING)
def test_forecasts_are_those_of_the_estimator(name, tmp_path):
    model = randomised({**AUTOENCODERS, **FORECASTERS}[name])
    runs = exported(model, tmp_path)
    for lengths, steps in ((LENGTHS, 9), ([1, 0], 2), ([7], 7)):
        x = ragged(model, lengths, steps)
        got = outputs(runs, x, lengths)
        expected = model.forecast(given(x, lengths))
        assert got["forecast"].shape == (len(lengths), 4, 2)
        assert_same(f"forecast {x.shape}", expected, got["forecast"], model.scaler_)
        assert ("quantiles" in got) == bool(getattr(model, "quantiles", ()))
        if "quantiles" in got:
            expected = model.predict_quantiles(given(x, lengths)).swapaxes(2, 3)
            found = got["quantiles"].swapaxes(2, 3)
            assert_same(f"quantiles {x.shape}", expected, found, model.scaler_)
    assert [one.shape for one in runs.get_outputs() if one.name == "forecast"] == [["batch", 4, 2]]
    assert ("reconstruction" in got) == (name in AUTOENCODERS)


@pytest.mark.parametrize("name", CLASSIFIED)
def test_probabilities_are_those_of_the_classifier(name, tmp_path):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(12, 9, 2)), np.array(["up", "down", "flat"] * 4)
    inner = randomised(AUTOENCODERS[name])
    model = EncoderClassifier(inner, head_units=(5,), epochs=1, random_state=0, verbose=0).fit(X, y)
    with torch.no_grad():
        for weight in model.module_.head.parameters():
            weight.copy_(torch.from_numpy(rng.normal(size=weight.shape)))
    runs = exported(model, tmp_path)
    x = ragged(inner, LENGTHS, 9)
    got = outputs(runs, x, LENGTHS)
    assert set(got) == {"code", "probabilities"}
    assert_same("probabilities", model.predict_proba(given(x, LENGTHS)), got["probabilities"])
    assert_same("code", inner.transform(given(x, LENGTHS)), got["code"])
    metadata = runs.get_modelmeta().custom_metadata_map
    assert json.loads(metadata["classes"]) == ["down", "flat", "up"]
    assert metadata["model"] == "EncoderClassifier"
    assert set(outputs(exported(model, tmp_path, part="encoder"), x, LENGTHS)) == {"code"}


@pytest.mark.parametrize("name", IMAGES)
def test_images_are_sequences_of_their_pixels(name, tmp_path):
    model = randomised(IMAGES[name])
    runs = exported(model, tmp_path)
    pixels = int(np.prod(model.image_shape_[:2]))
    for count in (4, 1):
        x = ragged(model, [pixels] * count, pixels)
        got, X = outputs(runs, x, [pixels] * count), x.reshape(count, *model.image_shape_)
        assert_same("code", model.transform(X), got["code"])
        expected = model.reconstruct(X).reshape(x.shape)
        assert_same("reconstruction", expected, got["reconstruction"], model.scaler_)


@pytest.mark.parametrize("make", [DenseAutoencoder, LSTMAutoencoder])
def test_rows_of_a_table_are_sequences_of_one_feature_or_one_step(make, tmp_path):
    """Rows are one step of many features to dense layers, many steps of one feature to an LSTM."""
    X = np.random.default_rng(0).normal(3, 2, size=(20, 6)).astype(np.float32)
    model = make(latent_dim=3, epochs=1, random_state=0, verbose=0).fit(X)
    source = model._read(X)
    x = X.reshape(20, source.max_length, source.n_features)
    got = outputs(exported(model, tmp_path), x, [source.max_length] * 20)
    assert_same("code", model.transform(X), got["code"])
    assert_same("again", model.reconstruct(X), got["reconstruction"].reshape(20, 6), SCALER_OF_ONE)


SCALER_OF_ONE = Scaler(np.zeros(1), np.ones(1))


@pytest.mark.parametrize("name", ["repeat", "previous, two layers", "dense model", "sequences"])
def test_values_in_the_padding_are_ignored(name, tmp_path):
    model = randomised(AUTOENCODERS[name])
    runs = exported(model, tmp_path)
    x = ragged(model, LENGTHS, 9)
    zeros, huge, infinite = (np.nan_to_num(x, nan=value) for value in (0, 1e30, np.inf))
    expected = outputs(runs, x, LENGTHS)
    for padded in (zeros, huge, infinite):
        for label, array in outputs(runs, padded, LENGTHS).items():
            np.testing.assert_array_equal(array, expected[label], err_msg=label)


@pytest.mark.parametrize("name", [*AUTOENCODERS, "forecaster, dense"])
def test_an_empty_batch_and_empty_sequences_are_accepted(name, tmp_path):
    """ONNX Runtime 1.32 crashes on an LSTM with an empty batch, so the graph avoids one."""
    model = randomised({**AUTOENCODERS, **FORECASTERS}[name])
    runs = exported(model, tmp_path)
    no_batch = outputs(runs, np.zeros((0, 5, 2)), [])
    no_steps = outputs(runs, np.zeros((3, 0, 2)), [0, 0, 0])
    empty = outputs(runs, np.ones((3, 4, 2)), [0, 0, 0])
    assert {key: array.shape[0] for key, array in no_batch.items()} == dict.fromkeys(no_batch, 0)
    for key, array in no_steps.items():
        if key == "reconstruction":
            assert (no_batch[key].shape, array.shape) == ((0, 5, 2), (3, 0, 2))
        else:
            np.testing.assert_array_equal(array, empty[key])


def test_a_large_shift_is_subtracted_in_float64(tmp_path):
    """In float32 the shift would be off by more than a hundredth of the scale."""
    scaler = Scaler(np.array([1e5 + 0.003, -3e4 - 0.0007]), np.array([0.02, 0.11]))
    model = randomised(AUTOENCODERS["repeat"], scaler)
    x = ragged(model, LENGTHS, 9)
    got = outputs(exported(model, tmp_path), x, LENGTHS)
    assert_same("code", model.transform(given(x, LENGTHS)), got["code"])
    expected = model.reconstruct(given(x, LENGTHS))
    real = ~np.isnan(expected)
    np.testing.assert_array_equal(got["reconstruction"][real], expected[real].astype(np.float32))


def test_a_constant_that_float32_cannot_hold_stays_zero_when_scaled(tmp_path):
    """In float32, 123456789 becomes 123456792, which is off by three times the scale."""
    scaler = Scaler(np.array([123456789.0, 5.0]), np.array([1.0, 2.0]))
    model = randomised(AUTOENCODERS["repeat"], scaler)
    x = scaler.undo(np.random.default_rng(1).normal(size=(len(LENGTHS), 9, 2)))
    x[:, :, 0] = 123456789.0
    got = outputs(exported(model, tmp_path), x, LENGTHS)
    assert_same("code", model.transform(given(x, LENGTHS)), got["code"])


def test_an_identity_scaling_adds_no_operators(tmp_path):
    identity = Scaler(np.zeros(2), np.ones(2))
    model = randomised(AUTOENCODERS["repeat"], identity)
    runs = exported(model, tmp_path)
    kinds = {node.op_type for node in onnx.load(tmp_path / "model.onnx").graph.node}
    assert kinds.isdisjoint({"Div", "Mul"})
    x = ragged(model, LENGTHS, 9)
    expected = model.reconstruct(given(x, LENGTHS))
    assert_same("reconstruction", expected, outputs(runs, x, LENGTHS)["reconstruction"], identity)


@pytest.mark.parametrize("part", ["shift", "scale"])
def test_a_shift_or_a_scale_alone_is_applied(part, tmp_path):
    parts = {"shift": np.zeros(2), "scale": np.ones(2), part: np.array([3.0, 0.2])}
    model = randomised(AUTOENCODERS["repeat"], Scaler(**parts))
    x = ragged(model, LENGTHS, 9)
    got, source = outputs(exported(model, tmp_path), x, LENGTHS), given(x, LENGTHS)
    assert_same("code", model.transform(source), got["code"])
    assert_same("reconstruction", model.reconstruct(source), got["reconstruction"], model.scaler_)


@pytest.mark.parametrize("name", ["dense model", "sequences", "reshape", "flat", "dense decoder"])
def test_sequences_beyond_the_bound_of_a_model_are_refused(name, tmp_path):
    runs = exported(randomised(AUTOENCODERS[name]), tmp_path)
    assert runs.get_modelmeta().custom_metadata_map["max_steps"] == "9"
    with pytest.raises((Fail, InvalidArgument)):
        outputs(runs, np.ones((2, 10, 2)), [9, 9])


@pytest.mark.parametrize("name", ["dense model", "sequences"])
def test_sequences_beyond_the_bound_of_an_encoder_are_refused(name, tmp_path):
    runs = exported(randomised(AUTOENCODERS[name]), tmp_path, part="encoder")
    assert runs.get_modelmeta().custom_metadata_map["max_steps"] == "9"
    with pytest.raises((Fail, InvalidArgument)):
        outputs(runs, np.ones((2, 10, 2)), [9, 9])


@pytest.mark.parametrize("decoder", ["reshape", "flat", "dense"])
def test_a_bound_of_one_step_is_not_broadcast(decoder, tmp_path):
    X = np.random.default_rng(0).normal(size=(10, 1, 2))
    model = LSTMAutoencoder(3, decoder=decoder, epochs=1, verbose=0).fit(X)
    runs = exported(model, tmp_path)
    x = X.astype(np.float32)
    got = outputs(runs, x, [1] * 10)["reconstruction"]
    assert_same("reconstruction", model.reconstruct(x), got, model.scaler_)
    with pytest.raises((Fail, InvalidArgument)):
        outputs(runs, np.ones((2, 3, 2)), [1, 1])


@pytest.mark.parametrize("name", ["repeat", "reversed input", "repeat, reversed target"])
def test_operators_never_receive_a_length_of_zero(name, tmp_path):
    """Some runtimes refuse it, and ONNX Runtime ignores the initial state then; see `Batch`."""
    export_onnx(randomised(AUTOENCODERS[name]), tmp_path / "model.onnx")
    proto = onnx.load(tmp_path / "model.onnx")
    place = {"LSTM": 4, "ReverseSequence": 1}
    lengths = {
        node.input[place[node.op_type]] for node in proto.graph.node if node.op_type in place
    }
    assert len(lengths) == (1 if name == "repeat" else 2)
    integers = {"int32": onnx.TensorProto.INT32, "int64": onnx.TensorProto.INT64}
    kinds = {one: integers["int32" if "Cast" in one else "int64"] for one in lengths}
    proto.graph.output.extend(
        onnx.helper.make_tensor_value_info(one, kind, ["B"]) for one, kind in kinds.items()
    )
    onnx.save(proto, tmp_path / "watched.onnx")
    got = outputs(session(tmp_path / "watched.onnx"), np.ones((3, 4, 2)), [0, 3, 4])
    for one in lengths:
        assert got[one].tolist() == [1, 3, 4]


def test_a_length_beyond_the_time_axis_is_refused_by_an_lstm(tmp_path):
    runs = exported(randomised(AUTOENCODERS["repeat"]), tmp_path)
    with pytest.raises((Fail, InvalidArgument)):
        outputs(runs, np.ones((2, 5, 2)), [5, 6])


def test_the_encoder_alone_has_codes_and_no_decoder(tmp_path):
    model = randomised(AUTOENCODERS["state"])
    x = ragged(model, LENGTHS, 9)
    runs = exported(model, tmp_path, part="encoder")
    got = outputs(runs, x, LENGTHS)
    assert list(got) == ["code"]
    assert_same("code", model.transform(given(x, LENGTHS)), got["code"])
    graph = onnx.load(tmp_path / "model.onnx").graph
    assert not [one.name for one in graph.initializer if one.name.startswith("decoders.")]
    # A file of the encoder alone leads to the same graph.
    model.save(tmp_path / "encoder", part="encoder")
    alone = exported(model_file.read(tmp_path / "encoder"), tmp_path)
    np.testing.assert_array_equal(outputs(alone, x, LENGTHS)["code"], got["code"])


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_graphs_have_standard_operators_and_nothing_unused(name, tmp_path):
    export_onnx(randomised(AUTOENCODERS[name]), tmp_path / "model.onnx")
    assert_standard_and_all_of_it_used(tmp_path / "model.onnx")


def test_metadata_and_descriptions_are_written(tmp_path):
    windows = unspool.Windows(
        np.random.default_rng(0).normal(size=(40, 2)), 8, 4, feature_names=["load", "oil"]
    )
    model = LSTMAutoencoder(latent_dim=2, epochs=1, horizon=3, verbose=0).fit(windows)
    runs = exported(model, tmp_path)
    meta = runs.get_modelmeta()
    assert meta.custom_metadata_map == {
        "model": "LSTMAutoencoder",
        "part": "model",
        "unspool_version": unspool.__version__,
        "feature_names": '["load", "oil"]',
    }
    assert meta.producer_name == "unspool"
    graph = onnx.load(tmp_path / "model.onnx").graph
    docs = {one.name: one.doc_string for one in [*graph.input, *graph.output]}
    assert list(docs) == ["x", "lengths", "code", "reconstruction", "forecast"]
    assert all(docs.values())
    assert "units of the data" in docs["x"]


def test_wrong_models_parts_and_paths_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"Expected a fitted unspool estimator .* got dict"):
        export_onnx({}, tmp_path / "model.onnx")
    model = randomised(AUTOENCODERS["repeat"])
    with pytest.raises(InputError, match="unknown `part` 'decoder'"):
        export_onnx(model, tmp_path / "model.onnx", part="decoder")
    with pytest.raises(InputError, match="there is no folder"):
        export_onnx(model, tmp_path / "nowhere" / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_empty_sequences_is_refused(tmp_path):
    model = LSTMAutoencoder(2, decoder="reshape", epochs=1, verbose=0, validation_split=0)
    contents = model.fit(np.zeros((3, 1, 1))).contents()  # only older files have max_length 0
    model = replace(contents, fitted={**contents.fitted, "max_length": 0})
    with pytest.raises(InputError, match="fitted on empty sequences only"):
        export_onnx(model, tmp_path / "model.onnx")
    export_onnx(model, tmp_path / "model.onnx", part="encoder")


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"older")
    with full_disk(), pytest.raises(InputError, match=f"model.onnx: {FULL}"):
        export_onnx(randomised(AUTOENCODERS["repeat"]), path)
    assert [one.name for one in tmp_path.iterdir()] == ["model.onnx"]
    assert path.read_bytes() == b"older"


def test_a_missing_package_is_reported_with_its_extra(tmp_path, monkeypatch):
    model = randomised(AUTOENCODERS["repeat"])
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(InputError) as caught:
        export_onnx(model, tmp_path / "model.onnx")
    assert str(caught.value) == 'This needs onnx: pip install "unspool[onnx]"'
    assert list(tmp_path.iterdir()) == []


def test_a_package_with_a_missing_dependency_names_that_dependency(tmp_path, monkeypatch):
    (tmp_path / "halfway.py").write_text("import missing_backend")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="missing_backend"):
        import_optional("halfway", "onnx")


def test_the_command_writes_what_the_function_writes(run, tmp_path):
    model = randomised(AUTOENCODERS["repeat"])
    model.save(tmp_path / "m.unspool")
    for part in ("model", "encoder"):
        done = run("export", tmp_path / "m.unspool", "-o", tmp_path / "m.onnx", "--part", part)
        assert (done.code, done.out, done.err) == (0, "", "")
        export_onnx(model, tmp_path / "same.onnx", part=part)
        assert (tmp_path / "m.onnx").read_bytes() == (tmp_path / "same.onnx").read_bytes()


def test_the_command_knows_formats_by_their_endings(run, tmp_path):
    randomised(AUTOENCODERS["repeat"]).save(tmp_path / "m.unspool")
    done = run("export", tmp_path / "m.unspool", "-o", tmp_path / "m.tflite")
    assert done.code == 1
    assert "m.tflite: unknown ending '.tflite'" in done.err
    assert "'.keras', '.onnx'" in done.err
    assert [one.name for one in tmp_path.iterdir()] == ["m.unspool"]


def test_an_export_needs_neither_torch_nor_scikit_learn(tmp_path):
    randomised(AUTOENCODERS["previous, two layers"]).save(tmp_path / "m.unspool")
    code = (
        "import sys; from unspool.cli import main\n"
        f"try: main(['export', {str(tmp_path / 'm.unspool')!r}, '-o', "
        f"{str(tmp_path / 'm.onnx')!r}])\n"
        "except SystemExit: pass\n"
        "print(*{'torch', 'sklearn', 'numba'}.intersection(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
    assert (tmp_path / "m.onnx").exists()
