"""Keras's long names of losses mean the short ones, wherever the name of a loss is read."""

import numpy as np
import pytest
from sklearn.base import clone

import unspool
from tests.estimators.quick import LAST, sines
from unspool import (
    AnomalyDetector,
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    StackedAutoencoder,
    runtime,
)
from unspool.interop.onnx import export_onnx
from unspool.interop.torch import to_torch
from unspool.plots import TrainingHistoryDisplay

pytestmark = [
    pytest.mark.filterwarnings(f"ignore::unspool.errors.{name}Warning")
    for name in ("NoBetterThanMean", "UnstableTraining", "Threshold")
]

X = sines(24, 12)
QUICK = {"latent_dim": 3, "epochs": 2, "batch_size": 8, "random_state": 0, "verbose": 0}
MODELS = {
    "lstm": LSTMAutoencoder(**QUICK),
    "fused": LSTMAutoencoder(**QUICK, **LAST),
    "composite": LSTMAutoencoder(**QUICK, horizon=3),
    "forecaster": LSTMForecaster(**QUICK, horizon=2),
    "dense": DenseAutoencoder(**QUICK),
    "stacked": StackedAutoencoder(**QUICK, hidden_units=(5,)),
    "conv": ConvAutoencoder(**QUICK, filters=(4,)),
}
LONG = {"mse": "mean_squared_error", "mae": "mean_absolute_error"}


def fitted(model, loss, **parameters):
    return clone(model).set_params(loss=loss, **parameters).fit(X)


def weights(model):
    return [weight.detach().numpy() for weight in model.module_.parameters()]


@pytest.mark.parametrize("short", LONG)
@pytest.mark.parametrize("name", MODELS)
def test_training_is_the_same_to_the_bit(name, short):
    more = {"inner_loss": short} if name == "stacked" else {}
    expected = fitted(MODELS[name], short, **more)
    model = fitted(MODELS[name], LONG[short], **{key: LONG[one] for key, one in more.items()})
    assert model.history_ == expected.history_
    for got, wanted in zip(weights(model), weights(expected), strict=True):
        np.testing.assert_array_equal(got, wanted)
    assert model.get_params()["loss"] == LONG[short]
    if name != "forecaster":
        np.testing.assert_array_equal(
            model.reconstruction_error(X), expected.reconstruction_error(X)
        )


def test_metrics_are_recorded_by_the_names_that_were_given():
    model = fitted(MODELS["dense"], "mse", metrics=("mean_absolute_error", "mae"))
    history = model.history_
    assert history["mean_absolute_error"] == history["mae"]
    assert history["mean_absolute_error"] != history["loss"]
    assert TrainingHistoryDisplay.from_estimator(model).ax_.lines


def test_a_file_keeps_the_name_and_every_reader_understands_it(tmp_path):
    short, long = (fitted(MODELS["lstm"], loss) for loss in ("mae", "mean_absolute_error"))
    paths = [tmp_path / "short", tmp_path / "long"]
    for model, path in zip((short, long), paths, strict=True):
        model.save(path)
    loaded = unspool.load(paths[1])
    assert loaded.loss == "mean_absolute_error"
    expected = short.reconstruction_error(X)
    np.testing.assert_array_equal(loaded.reconstruction_error(X), expected)
    running = [runtime.load(path).reconstruction_error(X) for path in paths]
    np.testing.assert_array_equal(running[1], running[0])
    np.testing.assert_allclose(running[1], expected, rtol=1e-4)
    for path in paths:
        export_onnx(unspool.load(path), f"{path}.onnx")
    assert to_torch(loaded).code == to_torch(short).code


def test_a_classifier_reads_them_in_its_encoders_model(tmp_path):
    y = np.arange(len(X)) % 2
    head = {"epochs": 2, "random_state": 0, "verbose": 0}
    model = EncoderClassifier(MODELS["dense"].set_params(loss="mean_squared_error"), **head)
    model.fit(X[:, :, 0], y).save(tmp_path / "model")
    loaded = unspool.load(tmp_path / "model")
    assert loaded.autoencoder.loss == "mean_squared_error"
    np.testing.assert_array_equal(loaded.predict(X[:, :, 0]), model.predict(X[:, :, 0]))
    runs = runtime.load(tmp_path / "model").predict_proba(X[:, :, 0])
    np.testing.assert_allclose(runs, model.predict_proba(X[:, :, 0]), rtol=1e-4)


@pytest.mark.parametrize("kind", [LSTMAutoencoder, LSTMForecaster])
def test_a_detector_and_its_file_read_them(kind, tmp_path):
    series = np.sin(np.arange(300) / 5)[:, None] + np.random.default_rng(0).normal(size=(300, 1))
    scores = []
    for loss in ("mae", "mean_absolute_error"):
        detector = AnomalyDetector(kind(**QUICK, loss=loss), window=16, random_state=0, verbose=0)
        detector.fit(series).save(tmp_path / loss)
        loaded = runtime.load_detector(tmp_path / loss)
        scores.append(detector.anomaly_scores(series))
        np.testing.assert_allclose(loaded.detect(series).scores, scores[-1], rtol=1e-3, atol=1e-3)
        stream = loaded.stream()
        assert np.isfinite([stream.update(row).score for row in series[:20]]).all()
        if kind is LSTMAutoencoder:
            export_onnx(detector, tmp_path / f"{loss}.onnx")
    np.testing.assert_array_equal(*scores)
    if kind is LSTMAutoencoder:
        nodes = [graph_of(tmp_path / f"{loss}.onnx") for loss in ("mae", "mean_absolute_error")]
        assert nodes[0] == nodes[1]


def graph_of(path):
    """The operations of an ONNX file."""
    onnx = pytest.importorskip("onnx")
    return [(node.op_type, list(node.input)) for node in onnx.load(path).graph.node]
