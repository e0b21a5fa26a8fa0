"""What an `AnomalyDetector` reads and what it refuses: forms of X, names, faulty parameters."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.frozen import FrozenEstimator

import unspool
from tests.anomaly.detectors import FRAME, QUICK, WINDOW, detector, lstm, waves
from unspool import (
    AnomalyDetector,
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    Sequences,
    Windows,
)
from unspool.errors import (
    InputError,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore::unspool.errors.NoBetterThanMeanWarning", "ignore::unspool.errors.ThresholdWarning"
)
X = waves()
BEATS = np.sin(np.arange(12)[:, None] / 2.1 + np.arange(30)[:, None, None])
ONLY_SKLEARN_WARNS = "ignore:X (has|does not have valid) feature names:UserWarning"


def weights(model):
    state = model.module_.state_dict()
    return {name: weight.detach().cpu().numpy().copy() for name, weight in state.items()}


def same_weights(one, other):
    ours, theirs = weights(one.model_), weights(other.model_)
    return all(np.array_equal(ours[name], theirs[name]) for name in theirs)


class Spy(DenseAutoencoder):
    """Keeps what it is trained on."""

    seen = ()

    def fit(self, X, y=None):
        Spy.seen = X
        return super().fit(X, y)


# Refusals

HOURS = pd.date_range("2024-01-01", periods=len(X), freq="h")
HOSTILE = {
    "a vector": (X[:, 0], r"reshape\(-1, 1\)"),
    "a list of numbers": (X[:, 0].tolist(), r"reshape\(-1, 1\)"),
    "no rows": (X[:0], "got none"),
    "no columns": (X[:, :0], "0 feature"),
    "no series": ([], "at least one series"),
    "an empty series": ([X, X[:0]], "0 sample.* in series 1"),
    "a single step": (X[:1], "give more normal data"),
    "a single sequence": (X[None], "give more normal data"),
    "an empty sequence": (Sequences(BEATS, np.arange(30) % 12), "Sequence 0 has no step"),
    "windows": (Windows(X, 5), "the series themselves"),
    "NaN": (np.where(X > 0, X, np.nan), "nan .*at step"),
    "infinity": ([X, np.where(X < 0, np.inf, X)], "inf .* in series 1"),
    "text": ("series.csv", "read_file"),
    "nothing": (None, "NoneType"),
    "four axes": (X[None, None], r"Expected a series as \(T, F\)"),
    "other widths": ([X, X[:, :1]], "features"),
    "complex numbers": (X.astype(complex), "real numbers"),
    "cells": (pd.DataFrame({"a": [pd.Series(X[:, 0])] * 3}), r"Expected a series as \(T, F\)"),
    "times that go back": (FRAME.set_index(HOURS)[::-1], "sort_index"),
    "a window of data too few": (X[:9], "8 training steps, the `window`"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_data_that_cannot_be_used_are_refused(name):
    data, reason = HOSTILE[name]
    with pytest.raises(InputError, match=f"(?s){reason}") as reported:
        detector().fit(data)
    assert len(str(reported.value)) < 700


def test_what_is_scored_is_what_was_fitted():
    found, of_beats = detector().fit(X), detector(lstm()).fit(BEATS)
    for data, reason in [
        (X[:, :1], "X has 1 features, but AnomalyDetector is expecting 2 features as input"),
        ([X[:, :1]], "X has 1 features, but AnomalyDetector is expecting 2 features as input"),
        (X[None], "Expected series, as in `fit`, got sequences"),
        (X[:0], "got none"),
        (np.full((5, 2), np.nan), "step 0, feature 0"),
        (Windows(X, 5), "the series themselves"),
    ]:
        for method in (found.anomaly_scores, found.predict, found.detect, found.contributions):
            with pytest.raises(InputError, match=reason):
                method(data)
    with pytest.raises(InputError, match="Expected sequences, as in `fit`, got series"):
        of_beats.anomaly_scores(X[:, :1])
    with pytest.raises(InputError, match="Sequence 1 has no step to score"):
        of_beats.anomaly_scores(Sequences(BEATS[:2], [3, 0]))
    with pytest.raises(InputError, match="unknown `kind` 'windw': did you mean 'window'"):
        found.anomaly_scores(X, "windw")
    with pytest.raises(InputError, match="unknown `kind` 'trailing'"):
        of_beats.detect(BEATS, "trailing")


REFUSED = {
    "window": [0, 2.5, "64", None, True],
    "kind": ["windows", None, 3],
    "threshold": ["moved", None, []],
    "rate": [0, 1, -0.1, float("nan"), "0.01", None],
    "period": [0, -1, "day"],
    "memory": [0, 1.5, None],
    "gap": [0, -1, None],
    "contamination": [0, 0.51, "some", None, float("nan")],
    "calibration_split": [0, 1, None, "auto"],
    "random_state": [-1, "a", 2.5],
    "device": ["nowhere", 3],
    "verbose": [-1, None],
    "model": [
        3,
        "lstm",
        LSTMAutoencoder,
        EncoderClassifier(),
        FrozenEstimator(lstm()),
        FrozenEstimator(EncoderClassifier()),
    ],
}


@pytest.mark.parametrize(("name", "value"), [(n, v) for n in REFUSED for v in REFUSED[n]])
def test_parameters_are_looked_at_by_fit_and_each_is_named(name, value):
    given = {"window": WINDOW, "verbose": 0, "model": None if name == "device" else lstm()}
    found = AnomalyDetector(**{**given, name: value})
    with pytest.raises(InputError, match=f"{name}|FrozenEstimator"):
        found.fit(X)
    assert not found.__sklearn_is_fitted__()


def test_all_faults_are_reported_at_once():
    with pytest.raises(InputError) as reported:
        detector(window=0, rate=2, gap=0).fit(X)
    assert all(name in str(reported.value) for name in ("`window`", "`rate`", "`gap`"))


def test_the_threshold_of_alarms_needs_a_period():
    with pytest.raises(InputError, match="needs `period`"):
        detector(threshold="alarms").fit(X)
    assert detector(threshold="alarms", rate=3, period=10).fit(X).thresholds_["step"].rate == 3


@pytest.mark.parametrize(
    ("make", "data", "calibration", "reason"),
    [
        (lambda: detector(Spy(3, **QUICK), kind="trailing"), BEATS, None, "unknown `kind` 'trail"),
        (lambda: detector(Spy(3, **QUICK)), X, X[None], "Expected series, as in `fit`"),
        (lambda: detector(Spy(3, **QUICK)), X, X[:, :1], "X has 1 features"),
        (lambda: detector(Spy(3, **QUICK)), X, X * np.nan, "nan"),
    ],
)
def test_what_can_be_refused_is_before_the_model_is_trained(make, data, calibration, reason):
    Spy.seen = None
    with pytest.raises(InputError, match=reason):
        make().fit(data, calibration=calibration)
    assert Spy.seen is None


def test_what_cannot_be_used_is_refused(tmp_path):
    with pytest.raises(InputError, match="unknown `kind` 'code': known are 'step', 'trailing', 'w"):
        detector(LSTMForecaster(3, **QUICK), kind="code").fit(X)
    images = ConvAutoencoder(3, filters=(2,), **QUICK).fit(
        np.ones((9, 6, 5, 2)) * X[:9, :1, None, None]
    )
    with pytest.raises(InputError, match="Expected images"):
        detector(FrozenEstimator(images)).fit(X)
    lstm().fit(Windows(X, WINDOW)).save(tmp_path / "encoder", part="encoder")
    encoder = unspool.load(tmp_path / "encoder")
    with pytest.raises(InputError, match="no decoder 'reconstruction'"):
        detector(FrozenEstimator(encoder)).fit(X)
    with pytest.raises(InputError, match="X has 3 features"):
        detector(FrozenEstimator(lstm().fit(Windows(X, 8)))).fit(waves(features=3))
    with pytest.raises(InputError, match=r"at most 10 steps, as in `fit`, got 12"):
        detector(lstm(horizon=2, decoder="flat")).fit(BEATS)
    with pytest.raises(InputError, match="at least 78 training steps"):
        detector(LSTMForecaster(3, horizon=70, **QUICK)).fit(X)


# Forms of X


def frames():
    return {
        "frame": FRAME,
        "frame with times": FRAME.set_index(HOURS),
        "polars": pl.DataFrame(X, schema=["a", "b"]),
        "lists": X.tolist(),
        "objects": X.astype(object),
        "frame of objects": FRAME.astype(object),
        "frame without names": pd.DataFrame(X),
    }


def several():
    return {
        "arrays": [X, X[:20]],
        "tuple": (X, X[:20]),
        "frames": [FRAME, FRAME[:20]],
        "polars": [pl.DataFrame(X, schema=["a", "b"]), pl.DataFrame(X[:20], schema=["a", "b"])],
        "lists": [X.tolist(), X[:20].tolist()],
        "instances and times": pd.concat({"m": FRAME, "n": FRAME[:20]}),
    }


@pytest.mark.filterwarnings(ONLY_SKLEARN_WARNS)
@pytest.mark.parametrize("form", frames())
def test_a_series_may_come_in_any_form(form):
    expected = detector().fit(X)
    given = frames()[form]
    for found in (detector().fit(given), detector().fit(FRAME)):
        np.testing.assert_array_equal(found.anomaly_scores(given), expected.anomaly_scores(X))
        np.testing.assert_array_equal(found.predict(given), expected.predict(X))


@pytest.mark.filterwarnings(ONLY_SKLEARN_WARNS)
@pytest.mark.parametrize("form", several())
def test_several_series_may_come_in_any_form(form):
    expected, given = detector().fit([X, X[:20]]), several()[form]
    found = detector().fit(given)
    for name in (
        "anomaly_scores",
        "score_samples",
        "decision_function",
        "predict",
        "contributions",
    ):
        own, same = getattr(found, name)(given), getattr(expected, name)([X, X[:20]])
        assert isinstance(own, list)
        for one, other in zip(own, same, strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", [np.asarray, pl.Series, pd.Series])
def test_a_series_of_one_feature(kind):
    values = X[:, 0] if kind is not np.asarray else X[:, :1]
    found = detector().fit(kind(values))
    assert found.n_features_in_ == 1
    np.testing.assert_array_equal(
        found.anomaly_scores(kind(values)), detector().fit(X[:, :1]).anomaly_scores(X[:, :1])
    )


def test_sequences_may_come_in_any_form():
    expected = detector(lstm()).fit(BEATS).anomaly_scores(BEATS)
    named = Sequences(BEATS, feature_names=["volt"])
    found = detector(lstm()).fit(named)
    assert list(found.feature_names_in_) == ["volt"]
    for given in (named, BEATS, BEATS.astype(np.float64)):
        np.testing.assert_array_equal(found.anomaly_scores(given), expected)


def test_names_are_kept_and_features_in_another_order_refused():
    for data in (FRAME, [FRAME, FRAME[:20]], pd.concat({"m": FRAME})):
        found = detector().fit(data)
        assert list(found.feature_names_in_) == ["a", "b"]
        assert found.n_features_in_ == 2
        for other in (FRAME[["b", "a"]], [FRAME[["b", "a"]]], FRAME.rename(columns={"a": "c"})):
            with pytest.raises(InputError, match="feature"):
                found.anomaly_scores(other)
    assert not hasattr(found.fit(X), "feature_names_in_")


def test_times_and_names_go_into_what_is_detected():
    frame = FRAME.set_index(HOURS)
    frame.iloc[60:64, 0] += 50
    found = detector(threshold="quantile", rate=0.2).fit(frame[:50]).detect(frame, "step")
    np.testing.assert_array_equal(found.times, HOURS.to_numpy())
    assert found.events[-1].features[0][0] == "a"
    assert found.events[-1].peak in range(60, 64)


def test_events_are_written_with_the_number_of_the_series_or_sequence(tmp_path):
    found = detector(lstm(), threshold="quantile", rate=0.2)
    for data, several in [
        (X, False),
        ([X, waves(60, seed=1)], True),
        (waves(360).reshape(30, 12, 2), True),
    ]:
        detection = found.fit(data).detect(data)
        detection.write_events(tmp_path / "events.csv")
        header, *rows = (tmp_path / "events.csv").read_text().splitlines()
        assert header.startswith("series,start,peak," if several else "start,peak,")
        assert len(rows) == len(detection.events) > 0
        if several:
            assert [int(row.split(",")[0]) for row in rows] == [e.series for e in detection.events]


def test_what_cannot_be_scored_is_named():
    found = detector().fit(FRAME)
    bad = FRAME.copy()
    bad.iloc[5, 1] = np.nan
    with pytest.raises(InputError, match="at step 5, feature 'b'; fill or drop"):
        found.detect(bad)
    with pytest.raises(InputError, match=r"at step 5, feature 'b' in series 1; fill or drop"):
        found.detect([FRAME, bad])
    for empty in (FRAME[:0], X[:0]):
        with pytest.raises(
            InputError, match=r"Expected at least one step, got none: 0 sample\(s\)"
        ):
            detector().fit(empty)


def test_periods_are_times():
    periods = pd.period_range("2020-01-01", periods=len(FRAME), freq="h")
    found = detector().fit(FRAME).detect(FRAME.set_axis(periods))
    np.testing.assert_array_equal(found.times, periods.to_timestamp())
