"""An outage raises no false alarm beside it, and hides no anomaly."""

import numpy as np
import pytest

from unspool import AnomalyDetector, LSTMAutoencoder
from unspool.anomaly.outages import outage_breaks, outage_length
from unspool.anomaly.scores import SeriesErrors, shares_of, step_scores
from unspool.runtime import Detector

pytestmark = [
    pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning"),
    pytest.mark.filterwarnings("ignore::unspool.errors.ThresholdWarning"),
]
OUTAGE, ANOMALY = slice(300, 420), slice(700, 712)


def series(steps: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    X = np.sin(np.arange(steps)[:, None] / 6 + np.arange(2)) + rng.normal(0, 0.05, (steps, 2))
    X[rng.random(X.shape) < 0.02] = np.nan
    return X


@pytest.fixture(scope="module")
def detector() -> AnomalyDetector:
    model = LSTMAutoencoder(
        8, epochs=15, missing="mask", n_kernels=0, input_dropout=0, random_state=0, verbose=0
    )
    return AnomalyDetector(model, window=32, verbose=0).fit(series(1500, 0))


@pytest.fixture(scope="module")
def with_outage() -> np.ndarray:
    X = series(1000, 1)
    X[OUTAGE] = np.nan
    X[ANOMALY, 0] += 3
    return X


def beside(scores: np.ndarray) -> np.ndarray:
    """Return the scores of the 32 steps before and after the outage."""
    return np.r_[scores[OUTAGE.start - 32 : OUTAGE.start], scores[OUTAGE.stop : OUTAGE.stop + 32]]


@pytest.mark.parametrize("kind", ["window", "step", "trailing"])
def test_scores_and_thresholds_beside_an_outage_are_those_without_it(detector, kind):
    X = series(1000, 1)
    complete = detector.detect(X, kind)
    X[OUTAGE] = np.nan
    found = detector.detect(X, kind)
    assert beside(found.scores).max() < 1.2 * np.nanmax(complete.scores)
    assert found.thresholds[OUTAGE.stop :].max() < 1.2 * complete.thresholds.max()
    extra = (found.scores > found.thresholds).sum() - (complete.scores > complete.thresholds).sum()
    assert extra <= 2


@pytest.mark.parametrize("kind", ["window", "step", "trailing"])
def test_an_anomaly_is_found_in_a_series_with_an_outage(detector, with_outage, kind):
    found = detector.detect(with_outage, kind)
    assert (found.scores > found.thresholds)[ANOMALY].any()
    assert found.scores[ANOMALY].max() > 2 * found.scores[500:650].max()


def test_an_anomaly_right_after_an_outage_is_found(detector, with_outage):
    X = with_outage.copy()
    X[OUTAGE.stop + 2 : OUTAGE.stop + 14, 0] += 3
    found = detector.detect(X, "trailing")
    alarms = found.scores > found.thresholds
    assert alarms[OUTAGE.stop + 2 : OUTAGE.stop + 14].any()


def test_runtime_and_stream_have_the_same_scores_beside_an_outage(detector, with_outage):
    runtime = Detector(detector.contents())
    for kind in ("window", "step", "trailing"):
        np.testing.assert_allclose(
            runtime.anomaly_scores(with_outage, kind),
            detector.anomaly_scores(with_outage, kind),
            rtol=1e-4,
            atol=1e-5,
        )
    stream = runtime.stream()
    streamed = np.array([stream.update(step).score for step in with_outage])
    expected = runtime.anomaly_scores(with_outage, "trailing")
    np.testing.assert_allclose(streamed, expected, rtol=1e-5, atol=1e-6)


def test_a_stream_continues_in_the_middle_of_an_outage(detector, with_outage):
    runtime = Detector(detector.contents())
    whole, first, second = runtime.stream(), runtime.stream(), runtime.stream()
    expected = [whole.update(step).score for step in with_outage[:500]]
    for step in with_outage[:350]:
        first.update(step)
    second.restore(first.state())
    found = [second.update(step).score for step in with_outage[350:500]]
    np.testing.assert_array_equal(found, expected[350:])


def test_an_outage_is_cut_at_both_ends_and_a_short_run_is_not():
    X = np.zeros((30, 2))
    X[:5] = X[10:14] = X[20:23] = X[26:] = np.nan
    X[16:20, 0] = np.nan
    assert outage_breaks(X, 4).tolist() == [5, 10, 14, 26]
    assert (outage_length(64, 1), outage_length(64, 3), outage_length(4, 1)) == (8, 24, 4)


def test_a_missing_value_counts_like_a_normal_error():
    present = np.ones((6, 1), bool)
    present[2:5] = False
    shares = shares_of(present, 3)
    np.testing.assert_allclose(shares["window"].ravel(), [2 / 3, 1 / 3, 0, 1 / 3])
    windows = np.array([[10.0], [10.0], [np.nan], [10.0]])
    errors = SeriesErrors(6, windows, shares=shares)
    np.testing.assert_allclose(errors.completed("window", np.ones(1)).ravel(), [7, 4, np.nan, 4])
    full = SeriesErrors(6, np.full((4, 1), 10.0))
    assert step_scores("window", errors, np.ones(1))[0] < step_scores("window", full, np.ones(1))[0]
