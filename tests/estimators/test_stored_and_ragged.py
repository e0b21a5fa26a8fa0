"""Fits on data that are read in blocks, and on sequences of very different lengths."""

import numpy as np
import pytest

from unspool import EncoderClassifier, LSTMAutoencoder, LSTMForecaster, Windows
from unspool.data import stored
from unspool.training import blocks

SMALL = {"units": 3, "epochs": 4, "batch_size": 8, "random_state": 0, "verbose": 0}


@pytest.fixture
def in_small_blocks(monkeypatch):
    monkeypatch.setattr(stored, "LARGE", 1)
    monkeypatch.setattr(stored, "BLOCK_BYTES", 50 * 8)
    monkeypatch.setattr(blocks, "POOL_VALUES", 4 * 50)


def mapped(tmp_path, values):
    np.save(tmp_path / "values.npy", values)
    return np.load(tmp_path / "values.npy", mmap_mode="r")


@pytest.mark.parametrize(
    "model",
    [
        LSTMAutoencoder(2, patch_size=1, n_kernels=0, **SMALL),
        LSTMForecaster(horizon=2, **SMALL),
    ],
    ids=lambda model: type(model).__name__,
)
def test_windows_of_a_file_train_as_well_as_those_in_memory(in_small_blocks, tmp_path, model):
    series = np.sin(np.arange(150.0) / 5)[:, None]
    in_memory = model.fit(Windows(series, 12)).history_["loss"]
    in_file = model.fit(Windows(mapped(tmp_path, series), 12))
    assert model._batches_note == ""
    assert in_file.history_["loss"] != in_memory  # the batches differ
    assert in_file.history_["loss"][-1] == pytest.approx(in_memory[-1], rel=0.2)


def test_a_fit_in_blocks_continues_from_a_checkpoint_to_the_bit(in_small_blocks, tmp_path):
    X = Windows(mapped(tmp_path, np.sin(np.arange(120.0) / 5)[:, None]), 12)

    def model():
        return LSTMAutoencoder(2, patch_size=1, n_kernels=0, **SMALL)

    whole = model().fit(X)
    path, batches = tmp_path / "c.unspool", []

    class Killed(Exception):
        pass

    class Kill:
        def on_epoch_begin(self, fitted):
            batches.append(1)
            if len(batches) == 3:
                raise Killed

    with pytest.raises(Killed):
        model().fit(X, checkpoint=path, checkpoint_every=5, callbacks=[Kill()])
    resumed = model().fit(X, checkpoint=path, checkpoint_every=5)
    assert resumed.history_ == whole.history_
    for name, weights in whole.module_.state_dict().items():
        assert np.array_equal(weights, resumed.module_.state_dict()[name])


@pytest.mark.filterwarnings("ignore:The reconstruction is no better than the mean")  # few epochs
def test_classes_of_sequences_in_a_file_are_learned(in_small_blocks, tmp_path):
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 40)  # sorted by class
    X = np.sin(np.arange(10) * (1 + y[:, None]) + rng.normal(size=(80, 1)))[:, :, None]
    inner = LSTMAutoencoder(4, patch_size=1, n_kernels=0, **{**SMALL, "epochs": 15})
    model = EncoderClassifier(inner, epochs=40, random_state=0, verbose=0)
    assert model.fit(mapped(tmp_path, X), y).score(X, y) > 0.9


def test_one_long_sequence_among_short_ones_is_fitted_encoded_and_scored():
    rng = np.random.default_rng(0)
    lengths = rng.integers(5, 10, 61)
    lengths[40] = 2000
    X = [np.sin(np.arange(n) / 3 + rng.uniform(0, 6))[:, None] for n in lengths]
    model = LSTMAutoencoder(2, patch_size=1, n_kernels=0, **SMALL).fit(X)
    assert "5 to 2,000 steps" in model._batches_note
    codes, errors = model.transform(X), model.reconstruction_error(X)
    for i in (0, 40, 60):
        assert np.allclose(model.transform([X[i]])[0], codes[i], atol=1e-6)
        assert model.reconstruction_error([X[i]])[0] == pytest.approx(errors[i], rel=1e-5)
