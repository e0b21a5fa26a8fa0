"""`clip` limits what a model reads, and not what its errors refer to."""

import numpy as np
import pytest

import unspool
from tests.close import assert_close
from tests.estimators.quick import quick
from tests.model_file.files import rewrite
from tests.trained import LAST
from unspool import (
    AnomalyDetector,
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    StackedAutoencoder,
)
from unspool.errors import InputError
from unspool.interop.keras import to_keras

RNG = np.random.default_rng(0)
pytestmark = pytest.mark.filterwarnings("ignore:The .* is no better than the mean sequence")
X = np.sin(np.arange(12) / 3 + np.arange(40)[:, None])[:, :, None]
SPIKES = np.where(RNG.random(X.shape) < 0.05, 50.0, X)
SHORT = {"epochs": 3, "random_state": 0, "verbose": 0, "scaling": "none"}
MODELS = {
    "lstm": LSTMAutoencoder(3, **SHORT),
    "composite": LSTMAutoencoder(3, horizon=2, **SHORT),
    "forecaster": LSTMForecaster(3, horizon=2, **SHORT),
    "dense": DenseAutoencoder(3, **SHORT),
    "stacked": StackedAutoencoder(3, hidden_units=(6,), **SHORT),
    "conv": ConvAutoencoder(3, filters=(4,), **SHORT),
}


@pytest.mark.parametrize("name", MODELS)
def test_training_with_clip_is_training_on_clipped_data(name):
    """Inputs, targets and futures are clipped."""
    model = MODELS[name]
    clipped = model.set_params(clip=1.5).fit(SPIKES)
    weights = clipped.module_.state_dict()
    codes = None if name == "forecaster" else clipped.transform(SPIKES)
    ahead = clipped.forecast(SPIKES) if clipped.horizon_ else None
    expected = model.set_params(clip=None).fit(np.clip(SPIKES, -1.5, 1.5))
    for key, weight in expected.module_.state_dict().items():
        assert (weight == weights[key]).all(), key
    if codes is not None:
        assert_close("codes", expected.transform(np.clip(SPIKES, -1.5, 1.5)), codes)
    if ahead is not None:
        assert_close("forecasts", expected.forecast(np.clip(SPIKES, -1.5, 1.5)), ahead)
    with_spikes = model.fit(SPIKES).module_.state_dict()
    assert any((weight != weights[key]).any() for key, weight in with_spikes.items())


def test_errors_and_scores_refer_to_the_true_values():
    model = quick(clip=1.5, scaling="robust").fit(SPIKES)
    reconstruction = model.reconstruct(SPIKES)
    errors = ((reconstruction - SPIKES) / model.scaler_.scale) ** 2
    found = model.reconstruction_error(SPIKES, per=("step", "feature"))
    np.testing.assert_allclose(found, errors, rtol=1e-4, atol=1e-5)
    explained = 1 - errors.sum() / ((SPIKES - SPIKES.mean()) ** 2).sum() * model.scaler_.scale**2
    np.testing.assert_allclose(model.score(SPIKES), explained, rtol=1e-4)


def test_an_outlier_changes_a_code_no_more_than_the_limit_does():
    model = quick(clip=2.0).fit(X)
    spike, limit = X[:1].copy(), X[:1].copy()
    spike[0, 5] = 1e6
    limit[0, 5] = model.scaler_.undo(np.array([2.0]))
    np.testing.assert_allclose(model.transform(spike), model.transform(limit), atol=1e-6)


def test_a_detector_with_a_clipping_model_scores_an_outlier_by_its_size():
    series = np.sin(np.arange(600.0) / 5)[:, None]
    detector = AnomalyDetector(
        LSTMAutoencoder(4, clip=3.0, epochs=2, random_state=0, verbose=0),
        window=16,
        random_state=0,
        verbose=0,
    ).fit(series)
    scores = []
    for size in (10.0, 1000.0):
        series[300] = size
        scores.append(detector.anomaly_scores(series, kind="step")[300])
    assert scores[1] > scores[0] + 4


@pytest.mark.parametrize(("clip", "given"), [(0, "0"), (-1.0, "-1.0"), ("5", "'5'"), (1e13, None)])
def test_a_limit_that_is_no_positive_number_is_refused(clip, given):
    with pytest.raises(InputError, match=f"`clip` must be .* got {given or '1'}"):
        DenseAutoencoder(3, clip=clip, **SHORT).fit(X)


@pytest.mark.parametrize(
    "loss",
    ["binary_crossentropy", {0: "binary_crossentropy"}, {(0, 1): "categorical_crossentropy"}],
)
def test_a_limit_that_would_change_the_targets_of_a_cross_entropy_is_refused(loss):
    X = np.eye(2)[RNG.integers(0, 2, (20, 6))]
    parameters = {"loss": loss, "epochs": 1, "random_state": 0, "verbose": 0}
    if isinstance(loss, str):
        parameters |= {"scaling": "none", "output_activation": "sigmoid"}
    with pytest.raises(InputError, match="targets of a cross-entropy"):
        DenseAutoencoder(2, clip=0.5, **parameters).fit(X)
    plain = DenseAutoencoder(2, **parameters).fit(X).history_["loss"]
    assert DenseAutoencoder(2, clip=2, **parameters).fit(X).history_["loss"] == plain


def test_a_sequence_is_continued_from_clipped_forecasts():
    """As if each forecast had been appended to the data by hand."""
    parameters = {**SHORT, "normalization": "last", "clip": 0.5}
    model = LSTMForecaster(3, horizon=2, **parameters).fit(X)
    past = X[:5, :10] + 1
    by_hand = past
    for _ in range(3):
        by_hand = np.concatenate([by_hand, model.forecast(by_hand[:, -model.max_length_ :])], 1)
    assert abs(by_hand[:, 10:]).max() > 0.5
    np.testing.assert_allclose(model.generate(past, 5), by_hand[:, 10:15], rtol=1e-5)


def test_keras_export_of_a_clipping_model_is_refused():
    model = DenseAutoencoder(3, clip=2.5, **SHORT).fit(X)
    with pytest.raises(InputError) as caught:
        to_keras(model)
    assert str(caught.value) == (
        "Keras has no layer that clips its inputs, and this model clips them to ±2.5 scaled units "
        "(`clip`); fit with clip=None, or use `export_onnx`."
    )


@pytest.mark.parametrize("kind", ["model", "classifier", "detector"])
def test_files_of_version_2_without_the_parameter_are_read(kind, tmp_path):
    short = {"epochs": 1, "random_state": 0, "verbose": 0}
    made = LSTMAutoencoder(latent_dim=3, **short, **LAST)
    if kind == "classifier":
        made = EncoderClassifier(made, **short).fit(X, np.arange(40) % 2)
    elif kind == "detector":
        made = AnomalyDetector(made, random_state=0, verbose=0).fit(X)
    else:
        made.fit(X)
    path, removed = tmp_path / "m.unspool", []

    def remove(mapping):
        if "clip" in mapping:
            removed.append(mapping.pop("clip"))
        for value in mapping.values():
            if isinstance(value, dict):
                remove(value)

    made.save(path)
    rewrite(path, lambda header, tensors: remove(header))
    assert len(removed) == {"model": 1, "classifier": 2, "detector": 2}[kind]
    method = {"model": "transform", "classifier": "predict_proba", "detector": "score_samples"}
    loaded = unspool.load(path)
    expected = getattr(made, method[kind])(X)
    np.testing.assert_array_equal(getattr(loaded, method[kind])(X), expected)
