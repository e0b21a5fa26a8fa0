"""Autoencoders that normalise each sequence: shape counts, and not level."""

import numpy as np
import pytest

import unspool
from tests.model_file.files import rewrite
from unspool import (
    AnomalyDetector,
    ConvAutoencoder,
    DenseAutoencoder,
    LSTMAutoencoder,
    Sequences,
    StackedAutoencoder,
    runtime,
)
from unspool.data.levels import level_of
from unspool.errors import InputError
from unspool.interop.keras import to_keras

pytestmark = pytest.mark.filterwarnings("ignore:The .* is no better than the mean sequence")
RNG = np.random.default_rng(0)
SHAPES = np.sin(np.arange(14) / 3 + RNG.uniform(0, 6, (40, 1)))[:, :, None] * [1, 2]
X = SHAPES * RNG.uniform(0.5, 2, (40, 1, 2)) + RNG.normal(size=(40, 1, 2)) * 3
SHORT = {"epochs": 3, "random_state": 0, "verbose": 0}
MODELS = {
    "lstm": LSTMAutoencoder(3, **SHORT),
    "dense": DenseAutoencoder(3, **SHORT),
    "stacked": StackedAutoencoder(3, hidden_units=(6,), **SHORT),
    "conv": ConvAutoencoder(3, filters=(4,), **SHORT),
}


def normalised(X, scaler):
    scaled = (X - scaler.shift) / scaler.scale
    mean, variance = scaled.mean(axis=1, keepdims=True), scaled.var(axis=1, keepdims=True)
    return (scaled - mean) / np.sqrt(variance + 1e-6), mean, np.sqrt(variance + 1e-6)


@pytest.mark.parametrize("name", MODELS)
def test_training_is_that_on_sequences_normalised_by_hand(name):
    model = MODELS[name].set_params(normalization="standard", scaling="standard").fit(X)
    scaler, weights = model.scaler_, model.module_.state_dict()
    codes, reconstruction = model.transform(X), model.reconstruct(X)
    by_hand, mean, spread = normalised(X, scaler)
    other = MODELS[name].set_params(normalization="none", scaling="none").fit(by_hand)
    for key, weight in other.module_.state_dict().items():
        np.testing.assert_allclose(weight, weights[key], atol=2e-3, err_msg=key)
    np.testing.assert_allclose(codes, other.transform(by_hand), atol=5e-3)
    expected = (other.reconstruct(by_hand) * spread + mean) * scaler.scale + scaler.shift
    np.testing.assert_allclose(reconstruction, expected, atol=2e-2)


def test_level_and_spread_change_no_code_and_shift_the_reconstruction():
    model = LSTMAutoencoder(3, normalization="standard", **SHORT).fit(X)
    moved = X * 4 - 50
    np.testing.assert_allclose(model.transform(moved), model.transform(X), atol=1e-4)
    np.testing.assert_allclose(
        model.reconstruct(moved), model.reconstruct(X) * 4 - 50, rtol=1e-4, atol=1e-3
    )
    last = LSTMAutoencoder(3, normalization="last", **SHORT).fit(X)
    np.testing.assert_allclose(last.transform(X + 9), last.transform(X), atol=1e-4)
    assert abs(last.transform(X * 4) - last.transform(X)).max() > 1e-2


def test_errors_are_in_scaled_units():
    model = LSTMAutoencoder(3, normalization="standard", **SHORT).fit(X)
    error = (((model.reconstruct(X) - X) / model.scaler_.scale) ** 2).mean(axis=(1, 2))
    np.testing.assert_allclose(model.reconstruction_error(X), error, rtol=1e-4)
    np.testing.assert_allclose(
        runtime.Model(model.contents()).reconstruction_error(X), error, rtol=1e-3
    )


def test_a_constant_sequence_is_divided_by_no_less_than_a_thousandth_of_the_scale():
    model = LSTMAutoencoder(3, normalization="standard", **SHORT).fit(X)
    constant = np.full((1, 14, 2), 5.0)
    assert np.isfinite(model.transform(constant)).all()
    difference = abs(model.reconstruct(constant) - 5) / model.scaler_.scale
    assert difference.max() < 5e-3


@pytest.mark.parametrize("normalization", ["none", "last", "standard"])
def test_padding_and_empty_sequences_change_no_level(normalization):
    lengths = np.array([14, 0, 1, 5])
    values = X[:4].astype(np.float32) * (np.arange(14) < lengths[:, None])[:, :, None]
    level = level_of(values, lengths, normalization)
    for row, length in enumerate(lengths):
        alone = level_of(values[row : row + 1, :length], lengths[row : row + 1], normalization)
        np.testing.assert_allclose(level.location[row], alone.location[0], rtol=1e-6)
        np.testing.assert_allclose(level.spread[row], alone.spread[0], rtol=1e-6)
    assert (level.location[1] == 0).all()
    assert (level.spread[1] == 1).all()
    read = level.apply(values, lengths)
    assert not read[np.arange(14) >= lengths[:, None]].any()
    np.testing.assert_allclose(level.undo(read)[0], values[0], rtol=1e-5, atol=1e-5)


def test_a_detector_with_a_normalising_model_streams_the_scores_of_its_windows():
    series = np.sin(np.arange(300.0) / 5)[:, None] + np.arange(300.0)[:, None] / 20
    model = LSTMAutoencoder(3, normalization="standard", bidirectional=False, **SHORT)
    detector = AnomalyDetector(model, window=12, random_state=0, verbose=0).fit(series)
    ran = runtime.Detector(detector.contents())
    stream = ran.stream()
    scores = [stream.update(step).score for step in series]
    expected = detector.anomaly_scores(series, "trailing")
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-4)


def test_what_a_normalising_model_cannot_do_is_refused():
    model = LSTMAutoencoder(3, normalization="standard", bidirectional=False, **SHORT).fit(X)
    ran = runtime.Model(model.contents())
    for call in (
        lambda: model.inverse_transform(model.transform(X)),
        lambda: ran.decode(model.transform(X)),
    ):
        with pytest.raises(InputError, match="codes contain the shape of a sequence and not its"):
            call()
    with pytest.raises(InputError, match="A stream cannot normalise a sequence before its end"):
        ran.stream()
    with pytest.raises(InputError, match=r"normalises each sequence \(normalization='standard'\)"):
        to_keras(model)
    with pytest.raises(InputError, match="needs sequences of at least 2 steps, got one step"):
        DenseAutoencoder(3, normalization="standard", **SHORT).fit(X[:, :, 0])
    for parameters, message in (
        ({"horizon": 2}, "An LSTMAutoencoder with a `horizon` cannot normalise each sequence"),
        ({"loss": "binary_crossentropy"}, "`loss` 'binary_crossentropy' cannot reconstruct norm"),
        ({"output_activation": "sigmoid"}, "`output_activation` 'sigmoid' cannot reconstruct"),
    ):
        with pytest.raises(InputError, match=message):
            LSTMAutoencoder(3, normalization="standard", **parameters, **SHORT).fit(X)


def test_files_without_the_parameter_are_read(tmp_path):
    model = DenseAutoencoder(3, **SHORT).fit(X)
    path = tmp_path / "m.unspool"
    model.save(path)
    rewrite(path, lambda header, tensors: header["parameters"].pop("normalization"))
    np.testing.assert_array_equal(unspool.load(path).transform(X), model.transform(X))
    model = DenseAutoencoder(3, normalization="last", **SHORT).fit(Sequences(X))
    model.save(path)
    assert unspool.load(path).scaler_.normalization == "last"
