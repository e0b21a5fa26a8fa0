"""Files of detectors: everything is restored, model readers accept them, damage is refused."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator

import unspool
from tests.anomaly.detectors import MODELS, QUICK, WINDOW, detector, lstm, waves
from unspool import DenseAutoencoder, LSTMForecaster, Windows, model_file, runtime
from unspool.errors import InputError, ModelFileError
from unspool.model_file.format import to_bytes
from unspool.model_file.upgrades import LATER_FIELDS

pytestmark = [
    pytest.mark.cpu,
    pytest.mark.filterwarnings(
        "ignore::unspool.errors.NoBetterThanMeanWarning", "ignore::unspool.errors.ThresholdWarning"
    ),
]
X, OTHER = waves(), waves(40, seed=1)
BEATS = waves(360).reshape(30, 12, 2)


def saved(found, path):
    found.save(path)
    return unspool.load(path, device="cpu")


def check_same(found, loaded, data):
    for kind in found.thresholds_:
        np.testing.assert_array_equal(
            loaded.anomaly_scores(data, kind), found.anomaly_scores(data, kind)
        )
        one, two = found.detect(data, kind), loaded.detect(data, kind)
        np.testing.assert_array_equal(one.thresholds, two.thresholds)
        np.testing.assert_array_equal(one.contributions, two.contributions)
        assert one.events == two.events
    np.testing.assert_array_equal(loaded.predict(data), found.predict(data))
    assert loaded.offset_ == found.offset_
    assert loaded.window_ == found.window_


@pytest.mark.parametrize("name", MODELS)
def test_a_detector_over_any_model_is_restored(name, tmp_path):
    found = detector(MODELS[name]().set_params(device="cpu"), device="cpu").fit(X)
    loaded = saved(found, tmp_path / "m")
    check_same(found, loaded, OTHER)
    ours, theirs = found.get_params(), loaded.get_params()
    for parameter in ours.keys() - {"model"}:
        assert theirs[parameter] == ours[parameter], parameter
    assert type(loaded.model) is type(found.model)
    assert not loaded.model.__sklearn_is_fitted__()
    (tmp_path / "m").rename(tmp_path / "first")
    loaded.save(tmp_path / "m")
    assert (tmp_path / "m").read_bytes() == (tmp_path / "first").read_bytes()


@pytest.mark.parametrize("threshold", ["moving", "quantile", "pareto", "alarms"])
@pytest.mark.parametrize("data", [X, BEATS], ids=["series", "sequences"])
def test_every_threshold_is_restored(threshold, data, tmp_path):
    found = detector(lstm(), threshold=threshold, rate=0.3, period=9, memory=5).fit(data)
    check_same(found, saved(found, tmp_path / "m"), data[:20])


def test_names_contamination_and_the_default_model_are_restored(tmp_path):
    import pandas as pd

    frame = pd.DataFrame(X, columns=["a", "b"])
    found = detector(contamination=0.1, kind="step").set_params(
        model__hidden_units=(4,), random_state=np.random.RandomState(0)
    )
    loaded = saved(found.fit(frame), tmp_path / "m")
    check_same(found, loaded, frame)
    assert list(loaded.feature_names_in_) == ["a", "b"]
    assert (loaded.contamination, loaded.random_state) == (0.1, None)
    with pytest.raises(InputError, match="feature names"):
        loaded.anomaly_scores(frame[["b", "a"]])
    by_default = unspool.AnomalyDetector(window=4, verbose=0, random_state=0)
    by_default.fit(X[:30])
    assert saved(by_default, tmp_path / "m").model is None


def test_a_frozen_model_is_restored_frozen(tmp_path):
    model = DenseAutoencoder(2, **QUICK).fit(Windows(X, 5))
    found = detector(FrozenEstimator(model)).fit(X)
    loaded = saved(found, tmp_path / "m")
    check_same(found, loaded, OTHER)
    assert isinstance(loaded.model, FrozenEstimator)
    assert loaded.model.estimator is loaded.model_
    check_same(found.fit(OTHER), loaded.fit(OTHER), X)


def test_a_detector_read_from_a_file_can_be_fitted_again(tmp_path):
    found = detector(lstm()).fit(X)
    loaded = saved(found, tmp_path / "m")
    check_same(found, loaded.fit(X), OTHER)


def test_readers_of_models_read_the_model_of_a_detector(tmp_path):
    found = detector(lstm()).fit(X)
    found.save(tmp_path / "m")
    windows = np.array([X[i : i + WINDOW] for i in range(9)])
    light = runtime.load(tmp_path / "m")
    np.testing.assert_allclose(light.encode(windows), found.model_.transform(windows), atol=1e-6)
    assert model_file.read(tmp_path / "m").model == "LSTMAutoencoder"


def test_a_detector_over_a_foreign_model_says_why_it_cannot_be_saved(tmp_path):
    class Zero:
        def get_params(self, deep=True):
            return {}

        def fit(self, windows):
            return self

        def reconstruct(self, windows):
            return np.zeros_like(windows)

        def __sklearn_clone__(self):
            return self

    found = detector(Zero()).fit(X)
    for call in (lambda: found.save(tmp_path / "m"), found.contents, found.stream):
        with pytest.raises(InputError, match="A detector with the model Zero cannot be saved"):
            call()
    assert not (tmp_path / "m").exists()


def test_a_file_without_a_detector_is_refused_as_a_detector(tmp_path):
    lstm().fit(Windows(X, 5)).save(tmp_path / "m")
    with pytest.raises(
        ModelFileError, match="contents of an AnomalyDetector, got contents of LSTMAu"
    ):
        runtime.load_detector(tmp_path / "m")
    with pytest.raises(ModelFileError, match="does not exist"):
        runtime.load_detector(tmp_path / "none")


# Damaged detectors; test_damage.py damages every field.


@pytest.fixture(scope="module")
def good():
    return {
        "autoencoder": detector(lstm()).fit(X).contents(),
        "forecaster": detector(LSTMForecaster(3, **QUICK), threshold="quantile").fit(X).contents(),
        "sequences": detector(lstm()).fit(BEATS).contents(),
    }


def refused(contents, path):
    """The message that every reader raises for a file with these contents."""
    header = {
        "format_version": model_file.FORMAT_VERSION,
        "model": contents.model,
        "parameters": contents.parameters,
        "fitted": contents.fitted,
        "versions": contents.versions,
        "detector": contents.detector,
    }
    path.write_bytes(to_bytes(header, contents.tensors))
    for read in (model_file.read, unspool.load, runtime.load, runtime.load_detector):
        with pytest.raises(ModelFileError) as caught:
            read(path)
    assert len(str(caught.value)) < 700
    return str(caught.value)


def test_unchanged_contents_of_detectors_are_read(good, tmp_path):
    for one in good.values():
        model_file.write(tmp_path / "m", one)
        unspool.load(tmp_path / "m")
        runtime.load_detector(tmp_path / "m")


RECENT = "detector.thresholds.step.recent"
TENSORS = ["detector.scales.window", "detector.codes", RECENT]
CHANGES = {
    "missing": lambda one: None,
    "another dtype": lambda one: one.astype("<f4" if one.dtype == np.float64 else "<f8"),
    "one axis more": lambda one: one[None],
    "a number": lambda one: one.ravel()[0].reshape(()),
    "empty": lambda one: one[:0],
    "shorter": lambda one: one[..., :-1] if one.ndim > 1 else one[:-1],
    "NaN": lambda one: np.where(np.arange(one.size).reshape(one.shape) == 1, np.nan, one),
    "infinity": lambda one: one + np.inf,
}


# Changes that leave a consistent threshold.
STILL_GOOD = {(RECENT, "another dtype"), (RECENT, "a number"), (RECENT, "shorter")}


@pytest.mark.parametrize(
    ("name", "change"),
    [(name, change) for name in TENSORS for change in CHANGES if (name, change) not in STILL_GOOD],
)
def test_a_damaged_tensor_is_refused(name, change, good, tmp_path):
    contents = good["autoencoder"]
    tensor = CHANGES[change](contents.tensors[name])
    if tensor is not None and change in ("NaN", "infinity"):
        tensor = tensor.astype(contents.tensors[name].dtype)
    tensors = {**contents.tensors, name: tensor}
    if tensor is None:
        del tensors[name]
    message = refused(replace(contents, tensors=tensors), tmp_path / "m")
    assert name.rpartition(".")[2] in message


def test_a_scale_of_zero_and_an_unknown_tensor_are_refused(good, tmp_path):
    contents = good["autoencoder"]
    scale = np.zeros_like(contents.tensors["detector.scales.window"])
    for tensors, reason in [
        (
            {"detector.scales.window": scale},
            "positive numbers in the tensor 'detector.scales.window'",
        ),
        ({"detector.more": scale}, "Unknown tensor 'detector.more'"),
        ({"detector.thresholds.step.level": scale}, "level"),
    ]:
        spoilt = replace(contents, tensors={**contents.tensors, **tensors})
        assert reason in refused(spoilt, tmp_path / "m")
    without = replace(good["forecaster"], detector=None)
    assert "Unknown tensor 'detector.scales.step'" in refused(without, tmp_path / "m")


def changed(contents, **fields):
    return replace(contents, detector={**contents.detector, **fields})


def test_parts_that_do_not_fit_together_are_refused(good, tmp_path):
    one, forecaster = good["autoencoder"], good["forecaster"]
    path, thresholds = tmp_path / "m", dict(one.detector["thresholds"])
    parameters = one.detector["parameters"]
    assert "Expected `window` 8 in the detector" in refused(changed(one, window=9), path)
    assert "thresholds for the scores" in refused(
        changed(forecaster, thresholds={**forecaster.detector["thresholds"], "code": {}}), path
    )
    assert "thresholds for the scores" in refused(changed(one, of_sequences=True), path)
    assert "thresholds for the scores" in refused(changed(one, thresholds={}), path)
    assert "unknown `kind` 'none'" in refused(
        changed(one, parameters={**parameters, "kind": "none"}), path
    )
    del thresholds["code"]
    assert "code, step, trailing, window" in refused(changed(one, thresholds=thresholds), path)
    encoder = {**one.fitted, "part": "encoder"}
    kept = {k: v for k, v in one.tensors.items() if "decoder" not in k}
    assert "reconstructs or forecasts" in refused(replace(one, fitted=encoder, tensors=kept), path)
    for name in ("kind", "gap", "model"):
        some = {k: v for k, v in parameters.items() if k != name}
        assert name in refused(changed(one, parameters=some), path)
    for model in ({}, {"model": "EncoderClassifier", "parameters": {}, "frozen": False}, [1]):
        refused(changed(one, parameters={**parameters, "model": model}), path)


def test_an_unknown_or_missing_field_is_refused(good, tmp_path):
    one = good["sequences"]
    assert "`detector` has an unknown field 'more'" in refused(changed(one, more=1), tmp_path / "m")
    for name in {*one.detector} - {*LATER_FIELDS}:  # without those a file is older
        fewer = {k: v for k, v in one.detector.items() if k != name}
        assert f"`detector` has no field {name!r}" in refused(
            replace(one, detector=fewer), tmp_path / "m"
        )
