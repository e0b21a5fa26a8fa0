"""Trained models as Keras models: loaded where there is no unspool, they give the same numbers."""

import importlib.util
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from tests.full_disk import FULL, full_disk
from tests.trained import LAST
from unspool import (
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    Sequences,
    StackedAutoencoder,
)
from unspool.errors import InputError
from unspool.interop.keras import export_keras, from_keras, graph, to_keras

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

# A mean that is a million times the spread, a length of 0, and only one sequence of full length.
MEAN, SPREAD, STEPS = np.array([3e5, -2.0]), np.array([0.3, 5.0]), 6
LENGTHS = np.array([6, 4, 1, 0, 2, 5, 3])
MASK = np.arange(STEPS) < LENGTHS[:, None]
QUICK = {"epochs": 1, "verbose": 0, "random_state": 0}


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape) * SPREAD + MEAN


X, TRAINING = values(7, STEPS, 2), values(20, STEPS, 2, seed=1)
RAGGED = Sequences(X, LENGTHS)


def shaken(model, seed=2):
    """The model with random weights."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for weight in model.module_.parameters():
            weight.copy_(torch.from_numpy(rng.normal(size=tuple(weight.shape)) * 0.4))
    return model


def given(model, theirs, fill=np.nan):
    """The inputs of a Keras model for X, with `fill` in the padding of `x`."""
    padded = np.where(MASK[:, :, None], X, fill)
    backwards = np.tile(model.scaler_.shift, (*MASK.shape, 1))
    for i, n in enumerate(LENGTHS):
        backwards[i, :n] = X[i, :n][::-1]
    known = {"x": padded, "mask": MASK, "reversed": backwards}
    return [known[one.name] for one in theirs.inputs]


def called(theirs, inputs):
    """The outputs as a list of arrays; `predict` would round the inputs to float32."""
    made = theirs(inputs if len(inputs) > 1 else inputs[0])
    made = made if isinstance(made, (list, tuple)) else [made]
    return [one.detach().cpu().numpy() for one in made]


def same(model, expected, got, real=None):
    """Equal to 1e-5 of the spread, at real steps."""
    assert expected.shape == got.shape
    real = np.isfinite(expected) if real is None else real
    assert np.ptp((expected - MEAN if expected.shape[-1] == 2 else expected)[real]) > 1e-3
    scale = np.broadcast_to(model.scaler_.scale, expected.shape)
    difference = np.abs(expected - got)[real] / scale[real]
    assert difference.max() < 1e-5


def alike(model, expected, got):
    """Equal to 1e-5 of the largest value, in scaled units."""
    one, other = ((v - model.scaler_.shift) / model.scaler_.scale for v in (expected, got))
    assert np.abs(one - other).max() < 1e-5 * np.abs(one).max()


LSTM_MODELS = {
    "repeat": {"decoder": "repeat", "head_units": (5,), "head_activation": "elu"},
    "one way": {"decoder": "repeat", "bidirectional": False, "units": None},
    "wide": {"decoder": "repeat", "num_layers": 2, "decoder_units": 5},
    "reversed_input": {"decoder": "reversed_input"},
    "state": {"decoder": "state", "num_layers": 2},
    "the state itself": {"decoder": "state", "num_layers": 2, "latent_dim": 24},
    "the state otherwise": {
        "decoder": "state",
        "latent_dim": 12,
        "decoder_units": 6,
        "reverse_target": True,
    },
    "state_reversed_input": {"decoder": "state_reversed_input"},
    "reshape": {"decoder": "reshape", "latent_dim": 12, "output_activation": "tanh"},
    "reshape, filled up": {"decoder": "reshape", "num_layers": 2},
    "flat": {"decoder": "flat", "head_units": (5,), "latent_dim": 12},
    "flat, bare": {"decoder": "flat", "decoder_units": 12, "head_units": None},
    "dense": {"decoder": "dense", "head_units": (5,), "output_activation": "softmax"},
    "reverse_target": {"decoder": "repeat", "reverse_target": True, "num_layers": 2},
    "reverse_target, reshape": {"decoder": "reshape", "reverse_target": True},
    "relu": {"activation": "relu", "recurrent_activation": "hard_sigmoid"},
    "bare": {"head_units": None, "decoder_units": 1},
    "relu code": {"code_activation": "relu", "units": 3},
    "encoder in both directions": {"bidirectional": "encoder", "decoder_units": 5},
    "decoder in both directions": {"bidirectional": "decoder", "decoder_units": 5},
    "convolutions": {"conv_filters": (4, 3), "conv_pool_size": (2, 1), "bidirectional": True},
    "convolutions, unpadded": {"conv_filters": (4,), "conv_padding": "valid", "decoder": "state"},
    "variational": {"kl_weight": 0.1},
    "narrowing": {"units": (6, 4)},
    "narrowing, other depth": {"units": (4, 2, 3), "decoder_units": (3, 5)},
    "narrowing, pooling": {"units": (6, 4), "pooling": "all"},
    "narrowing, state": {"decoder": "state", "units": (4, 3)},
    "narrowing, the state itself": {
        "decoder": "state_reversed_input",
        "latent_dim": 28,
        "units": (4, 3),
        "decoder_units": (4, 3),
    },
}
EXPORT_ONLY = {  # exports that slice a state, pad a code or reverse an output are not imported
    "state",
    "the state otherwise",
    "state_reversed_input",
    "flat, bare",
    "reshape, filled up",
    "reverse_target",
    "reverse_target, reshape",
    "convolutions",
    "convolutions, unpadded",
    "variational",
    "narrowing, pooling",
    "narrowing, state",
}


@pytest.fixture(scope="module")
def lstm_models():
    return {
        name: shaken(
            LSTMAutoencoder(**{"latent_dim": 4, "units": 3, **LAST, **QUICK, **parameters}).fit(
                TRAINING
            )
        )
        for name, parameters in LSTM_MODELS.items()
    }


@pytest.mark.parametrize("name", LSTM_MODELS)
def test_exported_lstm_autoencoders_compute_the_same_outputs(name, lstm_models):
    model = lstm_models[name]
    theirs = to_keras(model)
    (got,) = called(theirs, given(model, theirs))
    same(model, model.reconstruct(RAGGED), got)
    encoder = to_keras(model, part="encoder")
    (code,) = called(encoder, given(model, encoder))
    np.testing.assert_allclose(code, model.transform(RAGGED), atol=1e-5)
    assert np.ptp(code) > 0.1


@pytest.mark.parametrize("name", sorted(set(LSTM_MODELS) - EXPORT_ONLY))
def test_exported_models_can_be_imported_again(name, lstm_models):
    model = lstm_models[name]
    again = from_keras(to_keras(model))
    assert again.contents().blueprint == model.contents().blueprint
    same(model, model.reconstruct(RAGGED), again.reconstruct(RAGGED))


@pytest.mark.parametrize("steps", [1, 3, STEPS])
@pytest.mark.parametrize("padding", ["same", "causal", "valid"])
def test_exported_convolutions_in_front_of_an_lstm_read_batches_of_few_steps(padding, steps):
    """Also fewer steps than kernels and pools have, and with random kernels; they need a mask."""
    more = {"n_kernels": 5, "pooling": "all"} if padding == "valid" else LAST
    parameters = {"conv_filters": (4, 3), "conv_pool_size": (2, 3), "conv_padding": padding}
    model = LSTMAutoencoder(4, units=3, **more, **parameters, **QUICK)
    model = shaken(model.fit(TRAINING))
    x, lengths = X[:, :steps], np.minimum(LENGTHS, steps)
    mask = np.arange(steps) < lengths[:, None]
    theirs = to_keras(model, part="encoder")
    assert not theirs.inputs[1]._keras_history.operation.optional
    (codes,) = called(theirs, [np.where(mask[:, :, None], x, np.nan), mask])
    np.testing.assert_allclose(codes, model.transform(Sequences(x, lengths)), atol=1e-5)


def test_without_a_mask_all_steps_are_real(lstm_models):
    model = lstm_models["repeat"]
    (got,) = called(to_keras(model), [X, None])
    same(model, model.reconstruct(X), got)


def test_a_reconstruction_may_have_another_number_of_steps(lstm_models):
    longer = values(4, 9, 2)
    (got,) = called(to_keras(lstm_models["repeat"], steps=9), [longer, None])
    same(lstm_models["repeat"], lstm_models["repeat"].reconstruct(longer), got)
    for name in ("flat", "dense", "reshape"):
        model = lstm_models[name]
        (got,) = called(to_keras(model, steps=4), [X[:, :4], None])
        same(model, model.reconstruct(X[:, :4]), got)
        with pytest.raises(InputError) as caught:
            to_keras(model, steps=7)
        assert str(caught.value) == (
            "`steps` must be at most 6, the longest sequence in `fit`, because this decoder has a "
            "fixed length; got 7."
        )


@pytest.mark.parametrize(
    ("decoder", "forecast_decoder", "horizon"),
    [
        ("repeat", "dense", 2),
        ("reversed_input", "reversed_input", 2),
        ("reversed_input", "reversed_input", 8),
        ("state", "reshape", 3),
    ],
)
def test_exported_composite_models_compute_the_same_outputs(decoder, forecast_decoder, horizon):
    model = LSTMAutoencoder(
        4, decoder=decoder, forecast_decoder=forecast_decoder, horizon=horizon, **QUICK
    )
    shaken(model.fit(TRAINING, values(20, horizon, 2)))
    theirs = to_keras(model)
    again, forecast = called(theirs, given(model, theirs))
    same(model, model.reconstruct(RAGGED), again)
    same(model, model.forecast(RAGGED), forecast)


def test_normalization_linear_maps_and_quantiles_are_refused():
    future = values(20, 3, 2)
    normalised = LSTMForecaster(4, horizon=3, **QUICK).fit(TRAINING, future)
    for part in ("model", "encoder"):
        with pytest.raises(
            InputError, match=r"normalizes each sequence \(normalization='last'\), for w"
        ):
            to_keras(normalised, part=part)
    for more in ({"linear_steps": 2}, {"linear_steps": 0, "quantiles": (0.5,)}):
        model = LSTMForecaster(4, horizon=3, normalization="none", **more, **QUICK)
        model.fit(TRAINING, future)
        with pytest.raises(InputError, match="a linear map of the last steps or with quantiles"):
            to_keras(model)
        assert to_keras(model, part="encoder").outputs[0].shape == (None, 4)


@pytest.mark.parametrize("decoder", ["dense", "repeat", "state", "reversed_input"])
def test_exported_forecasters_compute_the_same_outputs(decoder):
    plain = {"normalization": "none", "linear_steps": 0}
    model = LSTMForecaster(4, decoder=decoder, horizon=3, **plain, **QUICK)
    shaken(model.fit(TRAINING, values(20, 3, 2)))
    theirs = to_keras(model)
    assert theirs.inputs[0].shape[1] is None
    (got,) = called(theirs, given(model, theirs))
    same(model, model.forecast(RAGGED), got)


ROWS = np.random.default_rng(3).normal(size=(20, 7)) * np.arange(1, 8) + 1e5
IMAGES = np.random.default_rng(4).normal(size=(20, 7, 5, 2)) * SPREAD + MEAN
FEEDFORWARD = {
    "dense, another decoder": (
        DenseAutoencoder(3, hidden_units=(5,), decoder_units=(4, 6), **QUICK),
        ROWS,
    ),
    "dense": (DenseAutoencoder(3, hidden_units=(5,), code_activation="tanh", **QUICK), ROWS),
    "sequences": (DenseAutoencoder(3, output_activation="softmax", **QUICK), TRAINING),
    "stacked": (StackedAutoencoder(3, hidden_units=(5,), **QUICK), ROWS),
    "images": (ConvAutoencoder(3, filters=(4, 3), kernel_size=2, **QUICK), IMAGES),
    "large pools": (
        ConvAutoencoder(None, pool_size=3, activation="tanh", **QUICK),
        IMAGES,
    ),
    "no pools": (ConvAutoencoder(None, pool_size=1, activation="gelu", **QUICK), IMAGES),
    "convolved sequences": (ConvAutoencoder(None, filters=(4,), pool_size=4, **QUICK), TRAINING),
}


@pytest.mark.parametrize("name", FEEDFORWARD)
def test_exported_models_without_lstm_compute_the_same_outputs(name):
    model, data = FEEDFORWARD[name]
    shaken(model.fit(data))
    theirs = to_keras(model)
    (got,) = called(theirs, [data])
    expected = model.reconstruct(data)
    assert expected.shape == got.shape
    alike(model, expected, got)
    assert np.std((got - model.scaler_.shift) / model.scaler_.scale) > 1e-2
    encoder = to_keras(model, part="encoder")
    np.testing.assert_allclose(called(encoder, [data])[0], model.transform(data), atol=2e-5)
    if name not in ("large pools", "convolved sequences"):
        again = from_keras(theirs)
        assert again.contents().blueprint == model.contents().blueprint
        np.testing.assert_allclose(again.transform(data), model.transform(data), atol=2e-5)


@pytest.mark.parametrize("of", ["series", "rows"])
def test_exported_classifiers_compute_the_same_outputs(of):
    inner = LSTMAutoencoder(4, **QUICK) if of == "series" else DenseAutoencoder(4, **QUICK)
    data = TRAINING if of == "series" else ROWS
    model = EncoderClassifier(inner, head_units=(5,), head_activation="tanh", **QUICK)
    shaken(model.fit(data, np.arange(20) % 3))
    theirs = to_keras(model)
    inputs = given(model.autoencoder_, theirs) if of == "series" else [ROWS]
    (got,) = called(theirs, inputs)
    expected = model.predict_proba(RAGGED if of == "series" else ROWS)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    assert np.ptp(got) > 0.1


ALONE = """
import sys
sys.modules["unspool"] = None
import keras, numpy as np
for name in sys.argv[2:]:
    model = keras.saving.load_model(f"{sys.argv[1]}/{name}.keras", compile=False, safe_mode=True)
    with np.load(f"{sys.argv[1]}/{name}.npz") as held:
        inputs = [held[one.name] for one in model.inputs]
        made = model(inputs if len(inputs) > 1 else inputs[0])
        np.save(f"{sys.argv[1]}/{name}.npy", made.detach().cpu().numpy())
"""


def test_exported_files_load_without_unspool(lstm_models, tmp_path):
    models = {
        name.replace(" ", "-"): lstm_models[name]
        for name in ("reversed_input", "state", "reverse_target, reshape", "flat, bare")
    }
    for name, model in models.items():
        export_keras(model.contents(), tmp_path / f"{name}.keras")
        theirs = to_keras(model)
        names = [one.name for one in theirs.inputs]
        inputs = given(model, theirs, 0.0)
        np.savez(tmp_path / f"{name}.npz", **dict(zip(names, inputs, strict=True)))
    encoder = lstm_models["repeat"]
    export_keras(encoder.contents(), tmp_path / "encoder.keras", part="encoder")
    np.savez(tmp_path / "encoder.npz", x=np.where(MASK[:, :, None], X, 0), mask=MASK)
    images, data = FEEDFORWARD["large pools"]
    export_keras(shaken(images.fit(data)).contents(), tmp_path / "images.keras")
    np.savez(tmp_path / "images.npz", x=data)
    command = [sys.executable, "-c", ALONE, str(tmp_path), *models, "encoder", "images"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, model in models.items():
        same(model, model.reconstruct(RAGGED), np.load(tmp_path / f"{name}.npy"))
    code = np.load(tmp_path / "encoder.npy")
    np.testing.assert_allclose(code, encoder.transform(RAGGED), atol=1e-5)
    alike(images, images.reconstruct(data), np.load(tmp_path / "images.npy"))


@pytest.mark.parametrize("decoder", ["previous", "state_previous"])
def test_a_decoder_that_reads_its_own_output_is_refused(decoder, tmp_path):
    model = LSTMAutoencoder(4, decoder=decoder, **QUICK).fit(TRAINING)
    with pytest.raises(InputError) as caught:
        export_keras(model.contents(), tmp_path / "model.keras")
    assert str(caught.value) == (
        f"decoder={decoder!r} reads its own previous output, which a graph of Keras layers cannot "
        "do; export only the encoder (part='encoder'), or fit with another decoder."
    )
    assert list(tmp_path.iterdir()) == []
    encoder = to_keras(model, part="encoder")
    (code,) = called(encoder, given(model, encoder))
    np.testing.assert_allclose(code, model.transform(RAGGED), atol=1e-5)


def test_wrong_paths_parts_and_steps_are_refused(lstm_models, tmp_path):
    contents = lstm_models["repeat"].contents()
    with pytest.raises(InputError, match=r"Expected a file name that ends in .keras, got .*m.h5"):
        export_keras(contents, tmp_path / "m.h5")
    with pytest.raises(InputError, match="unknown `part` 'decoder'"):
        to_keras(contents, part="decoder")
    with pytest.raises(
        InputError, match="`steps` is for models with LSTM layers and a reconstruction"
    ):
        to_keras(contents, part="encoder", steps=3)


def test_a_missing_keras_is_reported_with_its_extra(lstm_models, monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(InputError, match=r'needs keras: pip install "unspool\[keras\]"'):
        to_keras(lstm_models["repeat"])


@pytest.mark.parametrize(
    ("variable", "file", "imported", "backend"),
    [
        (None, None, False, "torch"),
        (None, "tensorflow", False, "torch"),  # the default that Keras writes
        (None, "jax", False, None),
        ("jax", None, False, "jax"),
        (None, None, True, None),
        ("", None, False, "torch"),  # Keras ignores an empty value, too
    ],
)
def test_keras_uses_torch_unless_another_backend_is_configured(
    variable, file, imported, backend, tmp_path, monkeypatch
):
    monkeypatch.setenv("KERAS_BACKEND", variable or "")
    if variable is None:
        monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    if file is not None:
        (tmp_path / "keras.json").write_text(json.dumps({"backend": file}))
    if not imported:
        monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setattr(graph, "import_optional", lambda *named: named)
    assert graph.keras_module() == ("keras", "keras")
    assert os.environ.get("KERAS_BACKEND") == backend


BACKEND = """
import sys
from unspool.cli import main
for _ in range(2):
    try:
        main(sys.argv[1:])
    except SystemExit as stop:
        print(stop.code)
"""


@pytest.mark.parametrize("backend", ["tensorflow", "nonsense"])
def test_a_backend_that_is_not_installed_is_reported(backend, lstm_models, tmp_path):
    if importlib.util.find_spec(backend):
        pytest.skip(f"{backend} is installed")
    lstm_models["repeat"].save(tmp_path / "m.unspool")
    (tmp_path / "a.keras").touch()
    for call in (["export", "m.unspool", "-o", "m.keras"], ["import", "a.keras", "-o", "m"]):
        done = subprocess.run(
            [sys.executable, "-c", BACKEND, *call],
            env={**os.environ, "KERAS_BACKEND": backend},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout.split() == ["1", "1"], done.stderr
        for line in done.stderr.splitlines():
            assert line.startswith(
                f"unspool: Keras cannot be imported with its backend {backend!r} ("
            )
            assert line.endswith(
                "); install that backend, or set the environment variable KERAS_BACKEND to an "
                "installed one (torch, jax or tensorflow) and restart Python."
            )
        assert done.stderr.count("\n") == 2


def test_the_export_command_writes_a_keras_file(run, lstm_models, tmp_path):
    from keras.saving import load_model

    model = lstm_models["repeat"]
    model.save(tmp_path / "m.unspool")
    for part in ("model", "encoder"):
        done = run("export", tmp_path / "m.unspool", "-o", tmp_path / "m.keras", "--part", part)
        assert (done.code, done.out) == (0, ""), done.err
        theirs = load_model(tmp_path / "m.keras")
        (got,) = called(theirs, given(model, theirs))
        if part == "model":
            same(model, model.reconstruct(RAGGED), got)
        else:
            np.testing.assert_allclose(got, model.transform(RAGGED), atol=1e-5)


@pytest.mark.parametrize("pooling", ["mean", "max", "mean_max", "all"])
def test_exported_pooled_states_load_in_keras_but_not_in_unspool(pooling, tmp_path):
    from keras.saving import load_model

    model = LSTMAutoencoder(4, pooling=pooling, n_kernels=12, **QUICK).fit(TRAINING)
    export_keras(model.contents(), tmp_path / "m.keras")
    theirs = load_model(tmp_path / "m.keras")
    (got,) = called(theirs, given(model, theirs))
    same(model, model.reconstruct(RAGGED), got)
    for source in (theirs, tmp_path / "m.keras"):
        with pytest.raises(InputError) as caught:
            from_keras(source)
        assert str(caught.value).endswith(
            "array operations cannot be imported; if unspool exported this model, load its model "
            "file (.unspool) instead."
        )


def test_a_full_disk_is_reported_with_the_path(lstm_models, tmp_path):
    path = tmp_path / "m.keras"
    path.write_bytes(b"before")
    with full_disk(), pytest.raises(InputError) as caught:
        export_keras(lstm_models["repeat"].contents(), path)
    assert str(caught.value) == f"{path}: {FULL}"
    assert [one.name for one in tmp_path.iterdir()] == ["m.keras"]
    assert path.read_bytes() == b"before"


def test_models_that_read_patches_are_refused(tmp_path):
    message = (
        "The LSTM reads patches of 4 steps, but a Keras mask cannot mark an incomplete patch; fit "
        "with patch_size=1, or export to ONNX."
    )
    for part in ("model", "encoder"):
        model = LSTMAutoencoder(4, patch_size=4, **QUICK).fit(TRAINING)
        with pytest.raises(InputError) as caught:
            export_keras(model, tmp_path / "m.keras", part=part)
        assert str(caught.value) == message
