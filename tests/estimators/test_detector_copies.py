"""Copies of an `AnomalyDetector`, repeated fits, and fits that fail."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

import unspool
from tests.anomaly.detectors import FRAME, WINDOW, detector, lstm, waves
from unspool import (
    AnomalyDetector,
    LSTMAutoencoder,
    Windows,
)
from unspool.errors import (
    DivergedError,
    InputError,
    ParametersChangedWarning,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore::unspool.errors.NoBetterThanMeanWarning", "ignore::unspool.errors.ThresholdWarning"
)
X = waves()
# What is trained on


def test_set_params_after_fit_changes_nothing_until_the_next():
    found = detector(gap=1, threshold="quantile", rate=0.01, kind="step").fit(X)
    other = X.copy()
    other[[20, 60]] += 500
    scores, labels, events = found.score_samples(other), found.predict(other), found.detect(other)
    assert len(events.events) > 2
    found.set_params(kind="window", gap=10_000, contamination=0.5, rate=0.02, window=3)
    found.set_params(model__hidden_units=(9,), model__latent_dim=2)
    np.testing.assert_array_equal(found.score_samples(other), scores)
    np.testing.assert_array_equal(found.predict(other), labels)
    assert found.detect(other).events == events.events
    assert found.fit(X).window_ == 3
    assert len(found.detect(other).events) == 1
    assert found.codes_.shape[1] == 2


def test_what_is_saved_after_set_params_is_what_was_fitted_and_that_is_said(tmp_path):
    found = detector().fit(X)
    scores = found.anomaly_scores(X)
    found.set_params(kind="step", verbose=1, device="cpu")
    found.set_params(model__latent_dim=7, model__verbose=1)
    with pytest.warns(ParametersChangedWarning) as reported:
        found.save(tmp_path / "model")
    assert str(reported[0].message) == (
        "The model is saved as it was fitted, but `kind` was 'window' and is now 'step', "
        "`model__latent_dim` was 3 and is now 7; call `fit` again to apply the change."
    )
    again = unspool.load(tmp_path / "model")
    assert again.kind == "window"
    np.testing.assert_array_equal(again.anomaly_scores(X), scores)


def test_fits_are_repeatable():
    for make in (lambda: None, lstm):
        one, two, other = (
            AnomalyDetector(make(), window=WINDOW, random_state=seed, verbose=0)
            for seed in (0, 0, 1)
        )
        if make is not lstm:
            detector_model = lstm(random_state=None)
            for found in (one, two, other):
                found.set_params(model=detector_model)
        scores = [found.fit(X).anomaly_scores(X) for found in (one, two, other)]
        np.testing.assert_array_equal(scores[0], scores[1])
        assert np.array_equal(scores[0], scores[2]) == (make is lstm)  # it has a seed of its own
    np.testing.assert_array_equal(one.fit(X).anomaly_scores(X), scores[0])


def test_a_random_state_goes_on_from_fit_to_fit():
    found = detector(lstm(random_state=None), random_state=np.random.RandomState(0))
    first = found.fit(X).anomaly_scores(X)
    assert not np.array_equal(found.fit(X).anomaly_scores(X), first)


@pytest.mark.parametrize("copied", [lambda d: pickle.loads(pickle.dumps(d)), copy.deepcopy])
@pytest.mark.parametrize("make", [lstm, lambda: FrozenEstimator(lstm().fit(Windows(X, 8)))])
def test_copies_score_alike(copied, make):
    found = detector(make()).fit(FRAME)
    again = copied(found)
    for kind in found.thresholds_:
        np.testing.assert_array_equal(
            again.anomaly_scores(FRAME, kind), found.anomaly_scores(FRAME, kind)
        )
    assert again.detect(FRAME).events == found.detect(FRAME).events
    assert again.model_ is not found.model_


def test_clones_are_not_fitted_and_have_the_parameters():
    found = detector(lstm(), kind="step", rate=0.2).fit(X)
    again = clone(found)
    assert not again.__sklearn_is_fitted__()
    ours, theirs = found.get_params(), again.get_params()
    assert ours.keys() == theirs.keys()
    assert all(ours[name] == theirs[name] for name in ours if name != "model")
    assert again.get_params()["model__latent_dim"] == 3


@pytest.mark.parametrize(
    "method",
    ["anomaly_scores", "score_samples", "decision_function", "predict", "detect", "contributions"],
)
def test_a_detector_that_is_not_fitted_says_so(method, tmp_path):
    with pytest.raises(NotFittedError):
        getattr(detector(), method)(X)
    for call in (detector().stream, detector().contents, lambda: detector().save(tmp_path / "m")):
        with pytest.raises(NotFittedError):
            call()


@pytest.mark.parametrize("place", ["fit", "errors", "thresholds"])
def test_a_fit_that_fails_leaves_the_detector_as_it_was(place, monkeypatch):
    found = detector(lstm()).fit(FRAME)
    before, scores = dict(vars(found)), found.anomaly_scores(FRAME)

    def fails(*_, **__):
        raise DivergedError("it diverged")

    where = {
        "fit": (LSTMAutoencoder, "fit"),
        "errors": (unspool.estimators.anomaly_detector, "series_errors"),
        "thresholds": (unspool.estimators.anomaly_detector, "fit_without_warning"),
    }
    with monkeypatch.context() as patch:
        patch.setattr(*where[place], fails)
        with pytest.raises(DivergedError):
            found.fit(X[:, :1])
    assert vars(found) == before
    np.testing.assert_array_equal(found.anomaly_scores(FRAME), scores)
    with pytest.raises(InputError):
        found.fit(X * np.nan)
    np.testing.assert_array_equal(found.anomaly_scores(FRAME), scores)
