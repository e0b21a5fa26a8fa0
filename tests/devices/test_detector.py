"""A detector trains and scores on the device as it does on the CPU."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.frozen import FrozenEstimator

import unspool
from tests.anomaly.detectors import MODELS, QUICK, detector, waves
from unspool import DenseAutoencoder, Windows
from unspool.nn import device as devices
from unspool.nn.device import resolve_device

pytestmark = pytest.mark.filterwarnings(
    "ignore::unspool.errors.NoBetterThanMeanWarning", "ignore::unspool.errors.ThresholdWarning"
)
X, OTHER = waves(), waves(30, seed=1)
CLOSE = {"rtol": 1e-3, "atol": 1e-3}


def device_of(found):
    return {weight.device.type for weight in found.model_.module_.parameters()}


def check_same(one, other):
    for kind in one.thresholds_:
        np.testing.assert_allclose(
            one.anomaly_scores(OTHER, kind), other.anomaly_scores(OTHER, kind), **CLOSE
        )


@pytest.mark.parametrize("name", MODELS)
def test_scores_equal_those_of_the_cpu(name, tmp_path, monkeypatch):
    found = detector(MODELS[name]()).fit(X)
    assert device_of(found) == {resolve_device("auto").type}
    check_same(found, detector(MODELS[name]().set_params(device="cpu")).fit(X))
    stream = found.stream()
    streamed = [stream.update(step).score for step in OTHER]
    np.testing.assert_allclose(streamed, found.anomaly_scores(OTHER, "trailing"), **CLOSE)
    found.save(tmp_path / "m")
    loaded = unspool.load(tmp_path / "m")
    assert device_of(loaded) == device_of(found)
    check_same(loaded, found)
    on_cpu = unspool.load(tmp_path / "m", device="cpu")
    assert device_of(on_cpu) == {"cpu"}
    assert on_cpu.device == "cpu"
    check_same(on_cpu, found)
    content = pickle.dumps(found)
    check_same(pickle.loads(content), found)
    monkeypatch.setattr(devices, "automatic", lambda: "cpu")
    assert device_of(pickle.loads(content)) == {"cpu"}


def test_the_default_model_is_on_the_device_of_the_detector():
    for where in ("cpu", torch.device("cpu"), "auto"):
        found = unspool.AnomalyDetector(window=4, device=where, verbose=0, random_state=0)
        found.fit(X[:30])
        assert device_of(found) == {resolve_device(where).type}


def test_a_frozen_model_stays_on_its_device():
    model = DenseAutoencoder(3, device="cpu", **QUICK).fit(Windows(X, 8))
    assert device_of(detector(FrozenEstimator(model)).fit(X)) == {"cpu"}
