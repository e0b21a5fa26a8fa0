"""`Detector` and `DetectorStream` agree with `AnomalyDetector`."""

import io
import json
import pickle
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from sklearn.frozen import FrozenEstimator

from tests.anomaly.detectors import MODELS, ODD_LENGTHS, QUICK, WINDOW, detector, lstm, waves
from tests.runtime.test_alone import BARE, HEAVY
from unspool import DenseAutoencoder, LSTMForecaster, Sequences, Windows
from unspool.errors import InputError
from unspool.runtime import Detector, DetectorStream

pytestmark = pytest.mark.filterwarnings(
    "ignore::unspool.errors.NoBetterThanMeanWarning", "ignore::unspool.errors.ThresholdWarning"
)
X = waves()
BEATS = waves(360).reshape(30, 12, 2)
CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(scope="module")
def fitted():
    """A detector over each model, fitted once."""
    made = {}

    def get(name):
        if name not in made:
            made[name] = detector(MODELS[name](), rate=0.1, memory=20).fit(X)
        return made[name]

    return get


def check_agree(found, light, data):
    for kind in found.thresholds_:
        np.testing.assert_allclose(
            light.anomaly_scores(data, kind), found.anomaly_scores(data, kind), **CLOSE
        )
        own, other = light.detect(data, kind), found.detect(data, kind)
        np.testing.assert_allclose(own.scores, other.scores, **CLOSE)
        np.testing.assert_allclose(own.thresholds, other.thresholds, **CLOSE)
        np.testing.assert_allclose(own.contributions, other.contributions, **CLOSE)


@pytest.mark.parametrize("name", MODELS)
def test_the_runtime_computes_the_scores_of_the_estimator(name, fitted):
    found = fitted(name)
    light = Detector(found.contents())
    for steps in (60, *ODD_LENGTHS):
        check_agree(found, light, waves(steps, seed=steps) * 1.1)


@pytest.mark.parametrize("name", ["lstm", "dense", "forecaster, 3 steps"])
def test_sequences_and_frozen_models_too(name):
    found = detector(MODELS[name](), threshold="quantile", rate=0.2).fit(BEATS)
    light = Detector(found.contents())
    check_agree(found, light, BEATS[:9])
    if name != "dense":
        check_agree(found, light, Sequences(BEATS, np.arange(30) % 12 + 1))
    frozen = detector(FrozenEstimator(MODELS[name]().fit(Windows(X, 7)))).fit(X)
    check_agree(frozen, Detector(frozen.contents()), waves(20, seed=1))


def test_a_detector_reads_all_forms_of_data():
    frame = pd.DataFrame(X, columns=["a", "b"])
    found = detector(kind="step").fit(frame)
    light = Detector(found.contents())
    assert repr(light) == "Detector(DenseAutoencoder, 2 features, windows of 8)"
    assert (light.window, light.kind) == (8, "step")
    expected = found.anomaly_scores(frame)
    for data in (frame, X, X.tolist()):
        np.testing.assert_allclose(light.anomaly_scores(data), expected, **CLOSE)
    for own in light.anomaly_scores([X, X]):
        np.testing.assert_allclose(own, expected, **CLOSE)
    frame.iloc[50] += 99
    frame.index = pd.date_range("2024-01-01", periods=len(frame), freq="h")
    detection = light.detect(frame)
    np.testing.assert_array_equal(detection.times, frame.index.to_numpy())
    assert any(event.start <= 50 < event.end for event in detection.events)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (X[:, :1], "X has 1 features, but AnomalyDetector is expecting 2"),
        ([X[:, :1]], "X has 1 features, but AnomalyDetector is expecting 2"),
        (
            pd.DataFrame(X, columns=["b", "a"]),
            "Expected the features a, b, in this order, got b, a",
        ),
        (X[None], "Expected series, as in `fit`, got sequences"),
        (X[:0], "got none"),
        (X * np.nan, "step 0, feature 0"),
        (Windows(X, 5), "the series themselves"),
        (None, "NoneType"),
    ],
)
def test_it_refuses_what_it_cannot_score(data, reason):
    light = Detector(detector().fit(pd.DataFrame(X, columns=["a", "b"])).contents())
    for method in (light.anomaly_scores, light.detect):
        with pytest.raises(InputError, match=reason):
            method(data)
    with pytest.raises(InputError, match="unknown `kind` 'steps': did you mean 'step'"):
        light.anomaly_scores(X, "steps")


# Step by step


def run(stream, series):
    return [stream.update(step) for step in series]


def check_stream(found, results, series, start=0):
    expected = found.detect(series, "trailing")
    rows = slice(start, None)
    for name, values in (
        ("score", expected.scores),
        ("threshold", expected.thresholds),
        ("contributions", expected.contributions),
    ):
        own = np.array([getattr(one, name) for one in results])
        np.testing.assert_allclose(own, values[rows], err_msg=name, **CLOSE)
    for one in results:
        assert one.alarm == (one.score > one.threshold)
        assert type(one.alarm) is bool
        assert type(one.score) is type(one.threshold) is float


@pytest.mark.parametrize("name", MODELS)
def test_a_stream_computes_the_trailing_scores_of_the_whole_series(name, fitted):
    found, series = fitted(name), waves(50, seed=1) * 1.2
    check_stream(found, run(found.stream(), series), series)


@pytest.mark.parametrize("threshold", ["quantile", "pareto", "alarms", "moving"])
@pytest.mark.parametrize("size", [1, 2, 30])
def test_a_stream_of_any_threshold_and_window(threshold, size):
    found = detector(window=size, threshold=threshold, rate=0.3, period=9, memory=9).fit(X)
    series = waves(70, seed=1)
    check_stream(found, run(found.stream(), series), series)


@pytest.mark.parametrize("cut", [0, 1, 3, WINDOW, 2 * WINDOW, 2 * WINDOW + 1, 37])
@pytest.mark.parametrize("name", ["lstm", "dense", "forecaster", "forecaster, 3 steps"])
def test_a_stream_continues_from_a_saved_state(name, cut, fitted):
    found, series = fitted(name), waves(50, seed=1)
    first = found.stream()
    run(first, series[:cut])
    file = io.BytesIO()
    np.savez(file, **first.state())
    file.seek(0)
    second = found.stream()
    run(second, waves(29, seed=3))  # is forgotten
    with np.load(file) as state:
        second.restore(state)
    assert second.steps == cut
    results = run(second, series[cut:])
    check_stream(found, results, series, cut)
    for one, other in zip(results, run(first, series[cut:]), strict=True):
        assert one[:3] == other[:3]


def test_a_state_is_a_copy():
    stream = detector().fit(X).stream()
    run(stream, X[:30])
    state = stream.state()
    kept = {name: value.copy() for name, value in state.items()}
    later = run(stream, X[30:50])
    for name, value in kept.items():
        np.testing.assert_array_equal(state[name], value)
    stream.restore(state)
    for name in state:
        state[name] = np.zeros_like(state[name])
    assert [one[:3] for one in run(stream, X[30:50])] == [one[:3] for one in later]


@pytest.mark.parametrize("name", ["lstm, unidirectional", "dense", "forecaster, 3 steps"])
def test_memory_of_a_stream_does_not_grow(name, fitted):
    stream = fitted(name).stream()
    steps = waves(3000, seed=2)
    run(stream, steps[:500])
    sizes = {name: value.nbytes for name, value in stream.state().items()}
    tracemalloc.start()
    for step in steps[500:700]:
        stream.update(step)
    before = tracemalloc.get_traced_memory()[0]
    for step in steps[700:]:
        stream.update(step)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 10_000
    assert {name: value.nbytes for name, value in stream.state().items()} == sizes
    assert stream.steps == 3000


BAD = {
    "short": [1.0],
    "long": [1.0, 2.0, 3.0],
    "a row": [[1.0, 2.0]],
    "a number": 1.0,
    "NaN": [1.0, np.nan],
    "infinity": [-np.inf, 1.0],
    "text": ["a", "b"],
    "nothing": None,
    "other names": pd.Series({"b": 1.0, "a": 2.0}),
    "complex": [1j, 2.0],
}


@pytest.mark.parametrize("bad", BAD)
@pytest.mark.parametrize("model", ["dense", "forecaster, 3 steps"])
def test_a_step_that_is_refused_changes_nothing(bad, model):
    found = detector(MODELS[model]()).fit(pd.DataFrame(X, columns=["a", "b"]))
    stream, series = found.stream(), waves(40, seed=1)
    results = run(stream, series[: 2 * WINDOW])
    before = stream.state()
    with pytest.raises(InputError):
        stream.update(BAD[bad])
    after = stream.state()
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_array_equal(after[name], value)
    results += run(stream, series[2 * WINDOW :])
    frame = pd.DataFrame(series, columns=["a", "b"])
    check_stream(found, results, frame)


def test_a_bad_value_is_named():
    found = detector().fit(pd.DataFrame(X, columns=["a", "b"]))
    with pytest.raises(InputError, match=r"The step holds nan at feature 'b'; leave it out"):
        found.stream().update([1, np.nan])
    with pytest.raises(InputError, match=r"Expected a step of shape \(2,\), got \(3,\)"):
        found.stream().update([1, 2, 3])
    with pytest.raises(InputError, match="Expected the features a, b, in this order, got b, a"):
        found.stream().update(pd.Series({"b": 1, "a": 2}))


def test_a_score_that_is_not_finite_is_refused_and_changes_nothing():
    stream = detector(threshold="moving").fit(X).stream()
    run(stream, X[:20])
    before = stream.state()
    reconstruct = stream._errors[0]._reconstruct
    stream._errors[0]._reconstruct = lambda x, batch: reconstruct(x, batch) * np.nan
    with pytest.raises(InputError, match="finite score"):
        stream.update(X[20])
    stream._errors[0]._reconstruct = reconstruct
    for name, value in stream.state().items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize("size", [1e10, 1e30, 1e100, 1e308])
@pytest.mark.parametrize("name", ["lstm", "dense", "forecaster, 3 steps"])
def test_a_glitch_of_any_size_is_an_alarm_and_the_stream_continues(name, size, fitted):
    found, series = fitted(name), waves(60, seed=1)
    series[30, 0] = size
    results = run(found.stream(), series)
    assert results[30].alarm
    assert int(results[30].contributions.argmax()) == 0
    check_stream(found, results, series)


def test_steps_of_other_dtypes_and_forms():
    found = detector().fit(pd.DataFrame(np.round(X * 4), columns=["a", "b"]))
    series = np.round(waves(20, seed=1) * 4)
    expected = [one.score for one in run(found.stream(), series)]
    frame = pd.DataFrame(series, columns=["a", "b"])
    for steps in (
        series.astype(np.float32),
        series.astype(np.int32),
        series.tolist(),
        map(tuple, series),
        (row for _, row in frame.iterrows()),
    ):
        assert [one.score for one in run(found.stream(), steps)] == expected


STATES = {
    "nothing": lambda state: {},
    "none": lambda state: None,
    "no steps": lambda state: {k: v for k, v in state.items() if k != "steps"},
    "steps below 0": lambda state: {**state, "steps": np.array(-1)},
    "half a step": lambda state: {**state, "steps": np.array(2.5)},
    "several steps": lambda state: {**state, "steps": np.array([1, 2])},
    "no rows": lambda state: {k: v for k, v in state.items() if k != "errors.recent"},
    "rows too long": lambda state: {**state, "errors.recent": np.zeros((5, 3))},
    "rows too many": lambda state: {**state, "errors.recent": np.zeros((WINDOW + 1, 2))},
    "rows of NaN": lambda state: {**state, "errors.recent": np.full((5, 2), np.nan)},
    "text": lambda state: {**state, "errors.recent": np.array(["a"])},
    "no scores": lambda state: {**state, "threshold.recent": np.zeros(0)},
    "scores of NaN": lambda state: {**state, "threshold.recent": np.array([np.nan])},
    "no threshold": lambda state: {k: v for k, v in state.items() if k[:9] != "threshold"},
    "a number": lambda state: {**state, "errors.recent": np.array(3.0)},
}


@pytest.mark.parametrize("spoil", STATES)
@pytest.mark.parametrize("model", ["dense", "forecaster, 3 steps"])
def test_a_state_that_is_none_is_refused_and_changes_nothing(spoil, model, fitted):
    stream = fitted(model).stream()
    run(stream, X[:20])
    before = stream.state()
    other = fitted(model).stream()
    run(other, X[30:45])
    with pytest.raises(InputError, match="Expected the state of a stream of this detector"):
        stream.restore(STATES[spoil](other.state()))
    for name, value in stream.state().items():
        np.testing.assert_array_equal(value, before[name])
    assert stream.steps == 20


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: {**state, "errors.ahead": np.zeros((4, 3, 2))},
        lambda state: {**state, "errors.ahead": np.zeros((1, 2, 2))},
        lambda state: {**state, "errors.ahead": np.full((3, 3, 2), np.nan)},
        lambda state: {**state, "errors.errors": np.zeros((2, 2))},
    ],
)
def test_a_state_with_wrong_forecasts_is_refused(spoil, fitted):
    stream = fitted("forecaster, 3 steps").stream()
    run(stream, X[:20])
    before = stream.state()
    with pytest.raises(InputError, match="Expected the state of a stream of this detector"):
        stream.restore(spoil(before))
    for name, value in stream.state().items():
        np.testing.assert_array_equal(value, before[name])


def test_streams_need_a_series_and_are_independent():
    found = detector(lstm()).fit(BEATS)
    with pytest.raises(InputError, match="was fitted on sequences and cannot score a series"):
        found.stream()
    found = detector(lstm()).fit(X)
    one, two = found.stream(), found.stream()
    assert type(one) is DetectorStream
    alone = [each.score for each in run(found.stream(), X[:20])]
    beside = []
    for step, other in zip(X[:20], X[40:60], strict=True):
        beside.append(one.update(step).score)
        two.update(other)
    assert beside == alone


def test_threads_may_share_a_detector(fitted):
    for found in (fitted("lstm"), Detector(fitted("lstm").contents())):
        series = [waves(40, seed=seed) for seed in range(8)]
        alone = [found.anomaly_scores(one, "step") for one in series]
        with ThreadPoolExecutor(4) as pool:
            beside = list(pool.map(found.anomaly_scores, series, ["step"] * len(series)))
        for one, other in zip(alone, beside, strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_detector_can_be_pickled(fitted):
    light = Detector(fitted("lstm").contents())
    again = pickle.loads(pickle.dumps(light.contents))
    np.testing.assert_array_equal(Detector(again).anomaly_scores(X), light.anomaly_scores(X))


def test_it_runs_where_there_is_nothing_else(tmp_path):
    series = waves(30, seed=1)
    np.savez(tmp_path / "x.npz", series=series)
    models = [lstm(), LSTMForecaster(3, horizon=2, **QUICK), DenseAutoencoder(3, **QUICK)]
    expected = []
    for i, (model, threshold) in enumerate(
        zip(models, ("moving", "quantile", "pareto"), strict=True)
    ):
        found = detector(model, threshold=threshold, rate=0.2).fit(X)
        found.save(tmp_path / f"{i}.unspool")
        light = Detector(found.contents(), backend="numpy")
        assert light.model.backend == "numpy"
        expected.append(light.detect(series, "trailing").scores.tolist())
    done = subprocess.run(
        [sys.executable, "-c", BARE + ALONE, str(tmp_path)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    whole, streamed, heavy = json.loads(done.stdout)
    assert heavy == []
    assert whole == expected
    np.testing.assert_allclose(streamed, expected, **CLOSE)


ALONE = f"""
import json
import numpy as np
from unspool import runtime
series = np.load(f"{{sys.argv[1]}}/x.npz")["series"]
whole, streamed = [], []
for i in range(3):
    detector = runtime.load_detector(f"{{sys.argv[1]}}/{{i}}.unspool")
    found = detector.detect(series, "trailing")
    whole.append(found.scores.tolist())
    stream = detector.stream()
    streamed.append([stream.update(step).score for step in series])
    for kind in ("window", "step"):
        detector.anomaly_scores([series, series[:3]], kind)
print(json.dumps([whole, streamed, [name for name in {HEAVY!r} if name in sys.modules]]))
"""


def test_methods_have_the_names_and_the_results_of_the_estimator(fitted):
    found = fitted("lstm")
    light, data = Detector(found.contents()), waves(70, seed=9)
    assert light.offset_ == found.offset_
    for method in ("score_samples", "decision_function", "contributions"):
        np.testing.assert_allclose(
            getattr(light, method)(data), getattr(found, method)(data), **CLOSE
        )
    assert set(np.unique(found.predict(data))) <= {-1, 1}
    np.testing.assert_array_equal(light.predict(data), found.predict(data))
    several = light.predict([data, data[:50]])
    assert [len(one) for one in several] == [70, 50]
    np.testing.assert_array_equal(several[0], light.predict(data))
