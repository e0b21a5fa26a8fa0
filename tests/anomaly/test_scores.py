"""Scores of steps against their definitions, written as loops over steps, windows and features."""

from math import exp, log, sqrt

import numpy as np
import pytest

from tests.anomaly.detectors import ODD_LENGTHS, WINDOW, detector, lstm, waves
from unspool import DenseAutoencoder, LSTMForecaster, Sequences
from unspool.anomaly import SubPCA, model_errors
from unspool.anomaly.model_errors import MAX_DISTANCE, nearest_distances
from unspool.anomaly.scores import MIN_SCALE, overlap_mean, window_counts

pytestmark = pytest.mark.filterwarnings(
    "ignore::unspool.errors.NoBetterThanMeanWarning", "ignore::unspool.errors.ThresholdWarning"
)
QUICK = {"epochs": 1, "steps_per_epoch": 2, "random_state": 0, "verbose": 0}
LOSSES = {
    "mse": lambda d: d**2,
    "mae": abs,
    "huber": lambda d: d**2 / 2 if abs(d) < 1 else abs(d) - 0.5,
}


def window_at(series, end, size):
    """Return the window (w, F) before step `end`, padded with copies of the first step."""
    return np.array([series[max(0, i)] for i in range(end + 1 - size, end + 1)])


def window_errors(model, windows, loss):
    """Compute errors (N, w, F) in scaled units, one value at a time."""
    reconstruction, scale = model.reconstruct(windows), model.scaler_.scale
    errors = np.empty(windows.shape)
    for n, t, f in np.ndindex(*windows.shape):
        errors[n, t, f] = LOSSES[loss]((reconstruction[n, t, f] - windows[n, t, f]) / scale[f])
    return errors


def score_of(errors, scale):
    """Compute a score from the errors of the features."""
    return sum(log(1 + e / (3 * m)) for e, m in zip(errors, scale, strict=True)) / len(scale)


def mean(values):
    return sum(values) / len(values)


def trailing_mean(errors, size):
    """Average errors of the last steps; the weight falls to 1 / e in a quarter of a window."""
    weights = [exp(-ago / (size / 4)) for ago in reversed(range(len(errors)))]
    return sum(w * e for w, e in zip(weights, errors, strict=True)) / sum(weights)


def by_definition(kind, found, series, size, loss="mse"):
    """Compute the scores (T,) of a fitted detector over an autoencoder."""
    steps, features = series.shape
    scale = found.scales_[kind]
    ends = range(size - 1, steps) if steps >= size else [steps - 1]
    windows = np.array([window_at(series, end, size) for end in ends])
    errors = window_errors(found.model_, windows, loss)
    real = min(size, steps)  # padding before a short series is ignored
    error = [[mean(one[-real:, f]) for f in range(features)] for one in errors]
    by_window = [score_of(one, scale) for one in error] if kind in ("window", "code") else []
    covering = [[n for n, end in enumerate(ends) if end - real < t <= end] for t in range(steps)]
    if kind == "window":
        return [mean([by_window[n] for n in covering[t]]) for t in range(steps)]
    if kind == "code":
        codes = found.model_.transform(windows).astype(float)
        near = [min(sqrt(sum((c - k) ** 2)) for k in found.codes_) for c in codes]
        return [mean([near[n] for n in covering[t]]) for t in range(steps)]
    if kind == "trailing":
        each = [window_at(series, t, size) for t in range(steps)]
        errors = window_errors(found.model_, np.array(each), loss)
        counted = [min(t + 1, size) for t in range(steps)]
        return [
            score_of(
                [trailing_mean(errors[t, size - counted[t] :, f], size) for f in range(features)],
                scale[counted[t] - 1],
            )
            for t in range(steps)
        ]
    of_step = []
    for t in range(steps):
        place = {n: size - 1 - (ends[n] - t) for n in covering[t]}
        of_step.append(
            score_of(
                [mean([errors[n, place[n], f] for n in covering[t]]) for f in range(features)],
                scale,
            )
        )
    return of_step


def forecasts_by_definition(kind, found, series, size, horizon):
    """Compute the scores (T,) of a fitted detector over a forecaster."""
    steps, features = series.shape
    scale, normal = found.model_.scaler_.scale, found.scales_[kind]
    error = np.zeros((steps, features))
    for t in range(1, steps):
        squares = []
        for ahead in range(1, min(horizon, t) + 1):
            known = series[max(0, t - ahead + 1 - size) : t - ahead + 1]
            forecast = found.model_._forecasts(Sequences(known[None]))[0, ahead - 1]
            squares.append(((forecast - series[t]) / scale) ** 2)
        error[t] = np.mean(squares, axis=0)
        if t < size:  # no larger than those of repeating the step before
            error[t] = np.minimum(error[t], ((series[t] - series[t - 1]) / scale) ** 2)
    real = min(size, steps)
    if kind == "step":
        return [score_of(one, normal) for one in error]
    if kind == "trailing":
        return [
            score_of(
                trailing_mean(error[max(0, t + 1 - size) : t + 1], size), normal[min(t, size - 1)]
            )
            for t in range(steps)
        ]
    by_window = [
        score_of(error[n : n + real].mean(axis=0), normal) for n in range(steps - real + 1)
    ]
    return [
        mean([by_window[n] for n in range(len(by_window)) if n <= t < n + real])
        for t in range(steps)
    ]


@pytest.fixture(scope="module")
def fitted():
    """Detectors by loss, window and number of features; each fitted once."""
    made = {}

    def get(loss, size, features):
        key = loss, size, features
        if key not in made:
            model = lstm(loss=loss) if features < 10 else DenseAutoencoder(3, loss=loss, **QUICK)
            made[key] = detector(model, window=size).fit(waves(60, features))
        return made[key]

    return get


@pytest.mark.parametrize("kind", ["window", "step", "trailing", "code"])
@pytest.mark.parametrize(
    ("loss", "size", "features"),
    [("mse", WINDOW, 1), ("mse", WINDOW, 3), ("mae", 5, 2), ("huber", 1, 2), ("mse", 3, 38)],
)
def test_scores_equal_their_definition(fitted, kind, loss, size, features):
    found = fitted(loss, size, features)
    series = [waves(steps, features, seed=steps) * 1.1 for steps in ODD_LENGTHS]
    scores = found.anomaly_scores(series, kind)
    for one, scored in zip(series, scores, strict=True):
        assert scored.shape == (len(one),)
        assert scored.dtype == np.float64
        expected = by_definition(kind, found, one, size, loss)
        np.testing.assert_allclose(scored, expected, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["window", "step", "trailing"])
@pytest.mark.parametrize(("horizon", "size"), [(1, 5), (3, 5), (2, 1)])
def test_scores_of_forecasters_equal_their_definition(kind, horizon, size):
    found = detector(LSTMForecaster(3, horizon=horizon, **QUICK), window=size).fit(waves(60))
    for steps in ODD_LENGTHS:
        series = waves(steps, seed=steps) * 1.1
        expected = forecasts_by_definition(kind, found, series, size, horizon)
        scored = found.anomaly_scores(series, kind)
        np.testing.assert_allclose(scored, expected, rtol=2e-4, atol=1e-6)


def test_the_scale_is_the_mean_error_of_held_out_windows():
    series = [waves(60, 3), waves(40, 3, seed=1), waves(20, 3, seed=2)]
    found = detector(lstm()).fit(series)
    errors = []
    for one in series:
        held_out = one[len(one) - round(len(one) / 5) :]
        size = min(WINDOW, len(held_out))
        ends = range(size - 1, len(held_out))
        windows = np.array([window_at(held_out, end, WINDOW) for end in ends])
        errors += list(window_errors(found.model_, windows, "mse")[:, -size:].mean(axis=1))
    np.testing.assert_allclose(found.scales_["window"], np.mean(errors, axis=0), rtol=1e-4)


def test_windows_of_few_steps_have_separate_normal_errors():
    found = detector(lstm(), random_state=0).fit(waves())
    held_out, scale = waves()[72:], found.scales_["trailing"]
    starts = range(len(held_out) - WINDOW + 1)  # a longer part is sampled
    expected = np.empty((WINDOW, 2))
    for steps in range(1, WINDOW + 1):
        windows = [window_at(held_out[i:], steps - 1, WINDOW) for i in starts]
        errors = window_errors(found.model_, np.array(windows), "mse")
        means = [trailing_mean(one[-steps:], WINDOW) for one in errors]
        expected[steps - 1] = np.maximum(np.mean(means, axis=0), MIN_SCALE)
    np.testing.assert_allclose(scale, expected, rtol=1e-4)
    short = detector(lstm()).fit(waves(), calibration=waves(5, seed=1)).scales_["trailing"]
    assert (short[5:] == short[4]).all()
    assert (short[:4] != short[4]).any()


def test_codes_are_those_of_the_training_windows():
    series = [waves(60, 3), waves(40, 3, seed=1), waves(5, 3, seed=2)]
    found = detector(lstm()).fit(series)
    windows = [
        one[start : start + WINDOW]
        for one in (series[0][:48], series[1][:32])
        for start in range(len(one) - WINDOW + 1)
    ]
    np.testing.assert_allclose(found.codes_, found.model_.transform(np.array(windows)), atol=1e-6)


def test_at_most_512_evenly_spaced_codes_are_kept():
    X = waves(1000)
    found = detector().fit(X)
    assert len(found.codes_) == 512
    windows = np.array([X[start : start + WINDOW] for start in (0, 800 - WINDOW)])
    np.testing.assert_allclose(found.codes_[[0, -1]], found.model_.transform(windows), atol=1e-6)


@pytest.mark.parametrize("make", [lstm, lambda: LSTMForecaster(3, horizon=2, **QUICK)])
def test_scores_are_the_means_of_contributions(make):
    found = detector(make()).fit(waves())
    series = [waves(steps, seed=steps) for steps in ODD_LENGTHS]
    for kind in found.thresholds_:
        parts = found.contributions(series, kind)
        scores = found.anomaly_scores(series, "window" if kind == "code" else kind)
        for scored, score in zip(parts, scores, strict=True):
            assert scored.shape == (len(score), 2)
            np.testing.assert_allclose(scored.mean(axis=1), score, atol=1e-12)
            assert (scored >= 0).all()


def test_the_feature_at_fault_contributes_most():
    found = detector().fit(waves(features=3))
    X = waves(features=3, seed=1)
    X[40, 1] += 1000
    for kind in ("window", "step", "trailing"):
        assert found.contributions(X, kind)[40].argmax() == 1


def test_other_dtypes_have_the_same_scores(tmp_path):
    X = np.round(waves() * 4)  # values that integers and float32 represent exactly
    found = detector().fit(X)
    mapped = np.memmap(tmp_path / "series", np.float64, "w+", shape=X.shape)
    mapped[:] = X
    for kind in found.thresholds_:
        expected = found.anomaly_scores(X, kind)
        for other in (X.astype(np.float32), X.astype(np.int64), mapped, np.asfortranarray(X)):
            scored = found.anomaly_scores(other, kind)
            assert type(scored) is np.ndarray
            np.testing.assert_array_equal(scored, expected)
            assert type(found.contributions(other, kind)) is np.ndarray


def test_a_window_never_extends_into_the_next_series():
    found = detector().fit(waves())
    one, other = waves(30, seed=1), waves(40, seed=2) * 5
    for kind in found.thresholds_:
        alone = found.anomaly_scores(one, kind)
        for both in ([one, other], [other, one]):
            scores = found.anomaly_scores(both, kind)[0 if both[0] is one else 1]
            np.testing.assert_allclose(scores, alone, rtol=1e-6)


@pytest.mark.parametrize("make", [lstm, lambda: LSTMForecaster(3, horizon=2, **QUICK)])
def test_a_trailing_score_does_not_depend_on_later_steps(make):
    found = detector(make()).fit(waves())
    X = waves(30, seed=1)
    later = X.copy()
    later[20:] += 100
    before, after = found.anomaly_scores(X, "trailing"), found.anomaly_scores(later, "trailing")
    np.testing.assert_allclose(after[:20], before[:20], rtol=1e-6)
    assert after[20] > before[20] + 1


@pytest.mark.parametrize("size", [1e3, 1e10, 1e20, 1e37, 1e60, 1e308])
@pytest.mark.parametrize(
    "make",
    [
        lstm,
        lambda: DenseAutoencoder(3, **QUICK),
        lambda: LSTMForecaster(3, horizon=2, **QUICK),
    ],
)
def test_a_glitch_of_any_size_has_a_finite_score_that_is_the_highest(make, size):
    found = detector(make()).fit(waves())
    X = waves(seed=1)
    X[50, 1] = -size
    for kind in found.thresholds_:
        scores = found.anomaly_scores(X, kind)
        assert np.isfinite(scores).all()
        assert 50 - WINDOW < scores.argmax() < 50 + WINDOW
        assert np.isfinite(found.detect(X, kind).thresholds).all()


def test_values_beyond_the_limit_are_clipped():
    found = detector().fit(waves())
    scaler, X = found.model_.scaler_, waves(seed=1)
    X[50] = scaler.shift + 2 * MAX_DISTANCE * scaler.scale
    same = X.copy()
    same[50] = scaler.shift + MAX_DISTANCE * scaler.scale
    np.testing.assert_array_equal(found.anomaly_scores(X), found.anomaly_scores(same))
    same[50] = scaler.shift + MAX_DISTANCE / 2 * scaler.scale
    assert found.anomaly_scores(X).max() > found.anomaly_scores(same).max()


def test_a_feature_that_never_moved_in_training_is_found_when_it_moves():
    X = waves(features=2)
    X[:, 1] = 5
    found = detector().fit(X)
    X[50:55, 1] = 6
    for kind in ("window", "step", "trailing"):
        assert found.contributions(X, kind)[52].argmax() == 1
        assert found.anomaly_scores(X, kind)[52] > 1.5 * found.anomaly_scores(X, kind)[:40].max()


def test_rounding_in_a_constant_series_is_no_anomaly():
    X = np.full((60, 2), 0.1)
    found = detector().fit(X)
    assert all((one >= MIN_SCALE).all() for one in found.scales_.values())
    assert found.anomaly_scores(X).max() < 0.7
    assert found.anomaly_scores(np.full((60, 2), 0.1 * (1 + 1e-15))).max() < 0.7
    assert not found.detect(X).alarms.any()
    assert found.anomaly_scores(X + 1).min() > 2


def test_a_level_far_from_zero_changes_no_score():
    X = waves(features=2)
    near, far = detector().fit(X), detector().fit(X + 1e9)
    found = far.anomaly_scores(X + 1e9)
    np.testing.assert_allclose(found, near.anomaly_scores(X), rtol=1e-3)


@pytest.mark.parametrize("shift", [-3, 3])
def test_a_crossentropy_model_scores_values_outside_0_to_1(shift):
    model = lstm(loss="binary_crossentropy", output_activation="sigmoid", scaling="minmax")
    found = detector(model).fit(waves())
    X = waves(seed=1)
    X[50:60] += shift * np.ptp(X, axis=0)
    for kind in found.thresholds_:
        scores = found.anomaly_scores(X, kind)
        assert np.isfinite(scores).all()
        assert 50 - WINDOW < scores.argmax() < 60 + WINDOW


def test_overlap_mean_averages_all_windows_that_cover_a_step():
    rng = np.random.default_rng(0)
    for steps, size in ((9, 4), (9, 9), (9, 1), (5, 4), (7, 5)):
        n = steps - size + 1
        windows = rng.normal(size=(n, 2))
        found = overlap_mean(windows, steps)
        for t in range(steps):
            covering = [i for i in range(n) if i <= t < i + size]
            assert window_counts(n, size)[t] == len(covering)
            np.testing.assert_allclose(found[t], windows[covering].mean(axis=0))


def test_distances_are_measured_to_the_nearest_code():
    rng = np.random.default_rng(0)
    codes, known = rng.normal(size=(30, 4)), rng.normal(size=(7, 4))
    expected = [min(sqrt(sum((c - k) ** 2)) for k in known) for c in codes]
    np.testing.assert_allclose(nearest_distances(codes, known), expected)


@pytest.mark.parametrize("make", [lstm, lambda: LSTMForecaster(3, horizon=2, **QUICK), SubPCA])
def test_the_batch_size_changes_no_score(make, monkeypatch):
    found, X = detector(make()).fit(waves()), waves(60, seed=1)
    expected = [found.anomaly_scores(X, kind) for kind in found.thresholds_]
    monkeypatch.setattr(model_errors, "BATCH_VALUES", 3 * WINDOW * 2)
    for kind, scores in zip(found.thresholds_, expected, strict=True):
        np.testing.assert_allclose(found.anomaly_scores(X, kind), scores, rtol=1e-5)


def test_held_out_values_beyond_float32_do_not_stop_a_fit():
    series = waves(200)
    series[190, 0] = 1e300
    found = detector(lstm()).fit(series)
    assert all(np.isfinite(scale).all() for scale in found.scales_.values())
