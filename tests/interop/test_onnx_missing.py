"""ONNX files of detectors whose values may be missing: the scores are those of `unspool`."""

import numpy as np
import pytest

from tests.interop.onnx_runs import assert_standard_and_all_of_it_used, exported, outputs
from unspool import AnomalyDetector, LSTMAutoencoder, Sequences
from unspool.runtime import Detector

pytestmark = [
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
    pytest.mark.filterwarnings("ignore::unspool.errors.ThresholdWarning"),
    pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning"),
]
NAN, SIZE = np.nan, 9
WAYS = [
    {},
    {"clip": 0.5, "scaling": "minmax"},
    {"targets": [2, 0], "decoder": "reversed_input"},
    {"loss": "mae", "patch_size": 2, "cell": "gru"},
    {"normalization": "standard"},
]


def series(steps: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = np.sin(np.arange(steps)[:, None] / 3 + np.arange(3)) * [1, 5, 2] + rng.normal(
        size=(steps, 3)
    )
    X[rng.random(X.shape) < 0.3] = NAN
    X[steps // 2 : steps // 2 + 3] = NAN  # steps without a value
    X[-5:, 0] = X[-5:, 2] = NAN  # without a target
    return X.astype(np.float32)


def trained(**parameters):
    common = {"latent_dim": 4, "epochs": 2, "verbose": 0, "random_state": 0, "n_kernels": 0}
    return LSTMAutoencoder(missing="mask", **common, **parameters)


def over_windows(**parameters):
    return AnomalyDetector(trained(**parameters), window=SIZE, verbose=0).fit(series(200, 0))


def assert_same(got, expected, label):
    np.testing.assert_allclose(got, expected, 2e-5, 2e-5, err_msg=label)
    assert np.isfinite(expected).any()


@pytest.mark.parametrize("parameters", WAYS)
def test_trailing_scores_of_a_series_leave_missing_values_out(parameters, tmp_path):
    detector, X = over_windows(**parameters), series(60, 1)
    windows = np.lib.stride_tricks.sliding_window_view(X, SIZE, axis=0).swapaxes(1, 2)
    got = outputs(exported(detector, tmp_path), windows, [SIZE] * len(windows))
    assert_standard_and_all_of_it_used(tmp_path / "model.onnx")
    stream = Detector(detector.contents()).stream()
    streamed = np.array([stream.update(step).score for step in X])
    for one in (detector, Detector(detector.contents())):
        scores = one.anomaly_scores(X, "trailing")
        assert_same(got["trailing_score"], scores[SIZE - 1 :], "trailing")
        assert np.isnan(scores).any()
        np.testing.assert_allclose(streamed, scores, 2e-5, 2e-5)
    targets = parameters.get("targets", [0, 1, 2])
    empty = np.isnan(X[SIZE - 1 :, targets]).all(1)
    assert np.isnan(got["trailing_contributions"][empty]).all()
    shared = detector.detect(X, "trailing").contributions[SIZE - 1 :]
    np.testing.assert_allclose(got["trailing_contributions"][~empty], shared[~empty], 2e-5, 2e-5)
    hidden = np.isnan(windows[..., targets])
    assert (np.isnan(got["step_error"]) == hidden).all()


@pytest.mark.parametrize("parameters", WAYS)
def test_scores_of_sequences_leave_missing_values_out(parameters, tmp_path):
    x = series(40 * SIZE, 2).reshape(40, SIZE, 3)
    x[3] = NAN
    lengths = np.array([SIZE, 5] * 20)
    given = Sequences(x, lengths, missing="mask")
    detector = AnomalyDetector(trained(**parameters), kind="window", verbose=0).fit(given)
    got = outputs(exported(detector, tmp_path), x, lengths)
    scores = detector.anomaly_scores(given)
    assert_same(got["score"], scores, "score")
    assert_same(got["score"], Detector(detector.contents()).anomaly_scores(given), "runtime")
    assert np.isnan(scores[3])
    assert not np.isnan(got["contributions"]).all()
