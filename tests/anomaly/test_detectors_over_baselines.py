"""Detectors over baselines: the same scores, scales and thresholds as over a network."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone

from tests.anomaly.detectors import ODD_LENGTHS, WINDOW, detector, waves
from tests.anomaly.test_scores import mean, trailing_mean, window_at
from unspool import Sequences
from unspool.anomaly import (
    GlobalZ,
    IsolationForestWindows,
    KMeansAD,
    MovingZ,
    NearestWindow,
    SubPCA,
)
from unspool.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.ThresholdWarning")
X = waves()
BEATS = waves(360).reshape(30, 12, 2)
BASELINES = {
    "sub-pca": SubPCA,
    "k-means": lambda: KMeansAD(5),
    "nearest": NearestWindow,
    "forest": IsolationForestWindows,
    "global z": GlobalZ,
    "moving z": lambda: MovingZ(10),
}
OF_WINDOWS = ["sub-pca", "k-means", "nearest", "forest"]
OF_STEPS = ["global z", "moving z"]


def score_of(errors, scale):
    return float(np.log1p(errors / (3 * scale)).mean())


@pytest.mark.parametrize("name", OF_WINDOWS)
def test_scores_of_window_baselines_equal_their_definition(name):
    found = detector(BASELINES[name]()).fit(X)
    rival, scaler = found.model_, found._scaler
    np.testing.assert_allclose(scaler.shift, X[:72].mean(axis=0), rtol=0.1)

    def errors_of(windows):
        x = scaler.apply(windows)
        if name == "forest":
            return np.repeat(rival.window_scores(x), x[0].size).reshape(x.shape)
        return (rival.reconstruct(x) - x).astype(float) ** 2

    for steps in ODD_LENGTHS:
        series, real = waves(steps, seed=steps), min(steps, WINDOW)
        ends = list(range(WINDOW - 1, steps)) or [steps - 1]
        errors = errors_of(np.array([window_at(series, end, WINDOW) for end in ends]))[:, -real:]
        by_window = [score_of(one.mean(axis=0), found.scales_["window"]) for one in errors]
        covering = [
            [n for n, end in enumerate(ends) if end - real < t <= end] for t in range(steps)
        ]
        expected = [mean([by_window[n] for n in covering[t]]) for t in range(steps)]
        close = {"rtol": 1e-3, "atol": 1e-4}
        np.testing.assert_allclose(found.anomaly_scores(series, "window"), expected, **close)
        expected = [
            score_of(
                np.mean([errors[n][t - ends[n] - 1] for n in covering[t]], axis=0),
                found.scales_["step"],
            )
            for t in range(steps)
        ]
        np.testing.assert_allclose(found.anomaly_scores(series, "step"), expected, **close)
        errors = errors_of(np.array([window_at(series, t, WINDOW) for t in range(steps)]))
        expected = [
            score_of(
                trailing_mean(one[-min(t + 1, WINDOW) :], WINDOW),
                found.scales_["trailing"][min(t, WINDOW - 1)],
            )
            for t, one in enumerate(errors)
        ]
        np.testing.assert_allclose(found.anomaly_scores(series, "trailing"), expected, **close)


@pytest.mark.parametrize("name", OF_STEPS)
def test_scores_of_step_baselines_equal_their_definition(name):
    found = detector(BASELINES[name]()).fit(X)
    for steps in ODD_LENGTHS:
        series, real = waves(steps, seed=steps), min(steps, WINDOW)
        error = found.model_.step_errors(found._scaler.apply(series))
        expected = [score_of(one, found.scales_["step"]) for one in error]
        np.testing.assert_allclose(found.anomaly_scores(series, "step"), expected, rtol=1e-6)
        expected = [
            score_of(
                trailing_mean(error[max(0, t + 1 - WINDOW) : t + 1], WINDOW),
                found.scales_["trailing"][min(t, WINDOW - 1)],
            )
            for t in range(steps)
        ]
        np.testing.assert_allclose(found.anomaly_scores(series, "trailing"), expected, rtol=1e-6)
        by_window = [
            score_of(error[n : n + real].mean(axis=0), found.scales_["window"])
            for n in range(steps - real + 1)
        ]
        expected = [
            mean([by_window[n] for n in range(len(by_window)) if n <= t < n + real])
            for t in range(steps)
        ]
        np.testing.assert_allclose(found.anomaly_scores(series, "window"), expected, rtol=1e-6)


@pytest.mark.parametrize("name", BASELINES)
def test_held_out_data_is_not_used_for_fitting(name):
    other = X.copy()
    other[72:] *= 1.5
    one, two = (
        detector(clone(BASELINES[name]())).fit(data, calibration=None) for data in (X, other)
    )
    assert (one.scales_["window"] != two.scales_["window"]).all()
    windows = np.array([X[i : i + WINDOW] for i in range(20)], np.float32)
    for method in ("reconstruct", "window_scores"):
        if hasattr(one.model_, method):
            np.testing.assert_array_equal(
                getattr(one.model_, method)(windows), getattr(two.model_, method)(windows)
            )
    if hasattr(one.model_, "step_errors"):
        np.testing.assert_array_equal(one.model_.step_errors(X), two.model_.step_errors(X))


@pytest.mark.parametrize("name", BASELINES)
def test_detectors_over_baselines_are_complete_detectors(name):
    rival = BASELINES[name]()
    found = detector(rival, contamination=0.1).fit(X)
    assert found.model_ is not rival
    assert not hasattr(rival, "n_features_in_")
    assert set(found.thresholds_) == {"window", "step", "trailing"}
    refitted = detector(BASELINES[name](), contamination=0.1).fit(
        X
    )  # the detector's seed is passed on
    for copied in (refitted, pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        np.testing.assert_array_equal(copied.anomaly_scores(X), found.anomaly_scores(X))
    assert abs((found.predict(X) == -1).sum() - 9) <= 1
    glitch = X.copy()
    glitch[40] = -1e300
    for kind in found.thresholds_:
        scores = found.anomaly_scores(glitch, kind)
        assert np.isfinite(scores).all()
        if name != "forest":  # it misses short spikes
            assert 40 - WINDOW < scores.argmax() < 40 + max(WINDOW, 11)
    if name == "forest":
        assert found.detect(X).contributions is None
        assert found.detect(glitch).events[0].features == ()
        with pytest.raises(InputError, match="IsolationForestWindows scores windows as a whole"):
            found.contributions(X)
    else:
        np.testing.assert_allclose(found.contributions(X).mean(axis=1), found.anomaly_scores(X))
    with pytest.raises(InputError, match="unknown `kind` 'code'"):
        found.anomaly_scores(X, "code")
    with pytest.raises(InputError, match="cannot be saved"):
        found.contents()


@pytest.mark.parametrize("name", BASELINES)
def test_sequences_of_one_length_are_scored_and_others_refused(name):
    found = detector(BASELINES[name]()).fit(BEATS)
    other = BEATS[:10].copy()
    other[3, 5] += 1000
    for kind in ("window", "step"):
        scores = found.anomaly_scores(other, kind)
        assert scores.shape == (10,)
        assert name == "forest" or scores.argmax() == 3
    ragged = Sequences(BEATS, np.arange(30) % 12 + 1)
    if name in OF_WINDOWS:
        with pytest.raises(InputError, match="needs sequences of one length, got 1 to 12 steps"):
            found.anomaly_scores(ragged)
        with pytest.raises(InputError, match=r"Expected windows \(N, 12, 2\) as in fit"):
            found.anomaly_scores(BEATS[:, :9])
    with pytest.raises(InputError, match="needs sequences of one length"):
        detector(BASELINES[name]()).fit(ragged)
