"""Detectors with dilated windows, windows by time and gaps."""

import copy

import numpy as np
import pandas as pd
import pytest

import unspool
from unspool import AnomalyDetector, DenseAutoencoder, LSTMAutoencoder, LSTMForecaster, runtime
from unspool.anomaly import NearestWindow
from unspool.anomaly.scores import SCORE_KINDS
from unspool.errors import InputError, ThresholdWarning

pytestmark = [
    pytest.mark.filterwarnings("ignore:The .* is no better than the mean sequence"),
    pytest.mark.filterwarnings(f"ignore::{ThresholdWarning.__module__}.ThresholdWarning"),
]
RNG = np.random.default_rng(0)
SERIES = np.sin(np.arange(400.0) / 9)[:, None] * [1, 2] + RNG.normal(size=(400, 2)) / 10
INDEX = pd.date_range("2024-01-01", periods=400, freq="10min")
INDEX = INDEX.where(np.arange(400) < 250, INDEX + pd.Timedelta(days=1))
LOG = pd.DataFrame(SERIES, index=INDEX, columns=["a", "b"])
SHORT = {"epochs": 2, "random_state": 0, "verbose": 0}
MODELS = {
    "autoencoder": LSTMAutoencoder(4, **SHORT),
    "forecaster": LSTMForecaster(4, horizon=2, **SHORT),
    "dense": DenseAutoencoder(4, **SHORT),
    "baseline": NearestWindow(),
}


def fitted(name="autoencoder", X=SERIES, **parameters):
    given = {"window": 6, "dilation": 3, "random_state": 0, "verbose": 0, **parameters}
    return AnomalyDetector(MODELS[name], **given).fit(X)


def kinds_of(detector):
    return [kind for kind in SCORE_KINDS if kind in detector.thresholds_]


@pytest.mark.parametrize("name", MODELS)
def test_every_step_is_scored_as_in_the_series_of_every_third_step(name):
    detector = fitted(name)
    assert (detector.window_, detector.dilation_, detector.max_gap_) == (6, 3, None)
    plain = copy.deepcopy(detector)
    plain.dilation_ = 1
    X = SERIES[:101].copy()
    X[50] += 5
    for kind in kinds_of(detector):
        scores = detector.anomaly_scores(X, kind)
        assert scores.shape == (101,)
        for phase in range(3):
            expected = plain.anomaly_scores(X[phase::3], kind)
            np.testing.assert_allclose(scores[phase::3], expected, rtol=1e-4, atol=1e-6)
    if name != "baseline":
        assert abs(int(detector.anomaly_scores(X, "step").argmax()) - 50) <= 3


def test_the_error_of_a_step_is_the_mean_over_the_dilated_windows_that_contain_it():
    detector = fitted()
    X = SERIES[:40]
    windows = unspool.Windows(X, 6, dilation=3)
    (errors,) = detector.model_.reconstruction_error(windows, per=("step", "feature"), merge=True)
    expected = np.log1p(errors / (3 * detector.scales_["step"])).mean(axis=1)
    np.testing.assert_allclose(detector.anomaly_scores(X, "step"), expected, rtol=1e-4)


def test_steps_before_and_after_a_gap_are_scored_like_two_series():
    detector = fitted(X=LOG, window="1h", dilation=1)
    assert (detector.window_, detector.max_gap_) == (6, 1500.0)
    assert detector.model_.max_gap_ == 1500.0
    for kind in kinds_of(detector):
        parts = detector.anomaly_scores([LOG[:250], LOG[250:]], kind)
        scores = detector.anomaly_scores(LOG, kind)
        np.testing.assert_allclose(scores, np.concatenate(parts), rtol=1e-4, atol=1e-6)
    found = detector.detect(LOG)
    np.testing.assert_array_equal(found.times, INDEX.to_numpy())
    across = fitted(X=LOG, window=6, dilation=1)
    assert across.max_gap_ is None
    without = across.anomaly_scores(LOG.reset_index(drop=True))
    np.testing.assert_array_equal(across.anomaly_scores(LOG), without)


@pytest.mark.parametrize("name", ["autoencoder", "forecaster"])
def test_file_runtime_and_stream_agree_with_the_estimator(name, tmp_path):
    detector = fitted(name, X=LOG, window=np.timedelta64(3, "h"), max_gap="2h")
    assert (detector.window_, detector.dilation_, detector.max_gap_) == (6, 3, 7200.0)
    path = tmp_path / "d.unspool"
    detector.save(path)
    loaded, ran = unspool.load(path), runtime.load_detector(path)
    assert loaded.get_params()["window"] == "10800s"
    assert (loaded.dilation_, loaded.max_gap_) == (3, 7200.0)
    for kind in kinds_of(detector):
        expected = detector.anomaly_scores(LOG, kind)
        np.testing.assert_array_equal(loaded.anomaly_scores(LOG, kind), expected)
        np.testing.assert_allclose(ran.anomaly_scores(LOG, kind), expected, rtol=1e-3, atol=1e-4)
    stream, other = ran.stream(), ran.stream()
    scores = []
    for number, step in enumerate(SERIES):
        if number == 250:
            stream.restart()
        scores.append(stream.update(step).score)
        if number == 260:
            other.restore(stream.state())
        if number > 260:
            assert other.update(step).score == scores[-1]
    expected = detector.anomaly_scores(LOG, "trailing")
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-4)
    assert stream.steps == 400


def test_series_without_times_are_refused_by_a_detector_with_a_gap():
    detector = fitted(X=LOG, window="1h", dilation=1)
    with pytest.raises(InputError) as caught:
        detector.anomaly_scores(LOG.reset_index(drop=True))
    assert str(caught.value) == (
        "The detector was fitted with a `max_gap` of 1500 s, and so it needs the times of the "
        "steps; give pandas frames with dates in their index, or fit it with "
        "`max_gap=None`."
    )
    with pytest.raises(InputError, match="A window that is a duration needs the times"):
        fitted(window="1h")
    with pytest.raises(InputError, match="at least 200 training steps, 3 apart, the `window`"):
        fitted(window=200)


def test_a_frozen_model_keeps_its_dilation():
    from sklearn.frozen import FrozenEstimator

    model = LSTMAutoencoder(4, **SHORT).fit(unspool.Windows(SERIES, 6, dilation=3))
    detector = AnomalyDetector(FrozenEstimator(model), random_state=0, verbose=0).fit(SERIES)
    assert (detector.window_, detector.dilation_) == (6, 3)


def test_several_frames_are_split_with_their_times():
    frames = [LOG, LOG.shift(freq="7D")[:200] + 0.1]  # no copy of the first
    detector = fitted(X=frames, window="1h", dilation=1, max_gap="1h")
    assert detector.max_gap_ == 3600
    scores = detector.anomaly_scores(frames)
    assert [len(one) for one in scores] == [400, 200]
