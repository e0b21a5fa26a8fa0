"""`AnomalyDetector`: what it trains on, its parameters, and scikit-learn's contract."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from tests.anomaly.detectors import MODELS, ODD_LENGTHS, QUICK, WINDOW, detector, lstm, waves
from unspool import (
    AnomalyDetector,
    DenseAutoencoder,
    LSTMAutoencoder,
    LSTMForecaster,
    Sequences,
    StackedAutoencoder,
    Windows,
)
from unspool.anomaly.inputs import read_input
from unspool.errors import (
    InputError,
    ThresholdWarning,
)
from unspool.estimators import detector_training

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


# What is trained on


def test_the_last_fifth_changes_scales_and_thresholds_and_no_weight():
    other = X.copy()
    other[72:] += 3 * np.random.default_rng(1).normal(size=other[72:].shape) * X.std(axis=0)
    one, two = detector(lstm()).fit(X), detector(lstm()).fit(other)
    assert same_weights(one, two)
    np.testing.assert_array_equal(one.codes_, two.codes_)
    np.testing.assert_array_equal(one.model_.scaler_.scale, two.model_.scaler_.scale)
    assert (one.scales_["window"] != two.scales_["window"]).all()
    assert all(one.thresholds_[k].level != two.thresholds_[k].level for k in one.thresholds_)


@pytest.mark.parametrize("step", [0, 71])
def test_every_step_before_it_is_trained_on(step):
    other = X.copy()
    other[step] += 5
    assert not same_weights(detector(lstm()).fit(X), detector(lstm()).fit(other))


@pytest.mark.parametrize("split", [0.2, 0.5, 0.01])
def test_windows_cross_neither_series_nor_the_cut(split):
    series = [X, waves(40, seed=1), waves(9, seed=2)]
    detector(Spy(3, **QUICK), calibration_split=split).fit(series)
    parts = [one[: len(one) - max(1, round(len(one) * split))] for one in series]
    expected = [one for one in parts if len(one) >= WINDOW]
    assert isinstance(Spy.seen, Windows)
    assert len(Spy.seen.series) == len(expected)
    for own, part in zip(Spy.seen.series, expected, strict=True):
        np.testing.assert_array_equal(own, part)
    assert len(Spy.seen) == sum(len(part) - WINDOW + 1 for part in expected)


def test_the_last_sequences_are_held_out():
    other = BEATS.copy()
    other[24:] *= 3
    assert same_weights(detector(lstm()).fit(BEATS), detector(lstm()).fit(other))
    detector(Spy(3, **QUICK)).fit(BEATS)
    np.testing.assert_array_equal(Spy.seen.values, BEATS[:24])


def test_with_calibration_data_all_of_x_is_trained_on():
    one = detector(Spy(3, **QUICK)).fit(X, calibration=waves(40, seed=1))
    np.testing.assert_array_equal(Spy.seen.series[0], X)
    two = detector(Spy(3, **QUICK)).fit(X, calibration=waves(40, seed=2))
    assert same_weights(one, two)
    assert (one.scales_["window"] != two.scales_["window"]).all()


def test_forecasters_are_trained_on_windows_and_what_comes_after():
    for horizon, ahead in ((None, 1), (1, 1), (3, 3)):
        found = detector(LSTMForecaster(3, horizon=horizon, **QUICK)).fit(X)
        assert found.model_.max_length_ == found.window_ == WINDOW
        assert found.model_.horizon_ == ahead
    found = detector(lstm(horizon=2)).fit(X)
    assert found.model_.max_length_ == found.window_ == WINDOW


def test_the_default_model_is_small_and_reads_windows_of_64_steps():
    found = AnomalyDetector(random_state=0, verbose=0)
    assert found.fit(waves(350)).window_ == 56  # a fifth of 280 steps
    assert type(found.model_) is LSTMAutoencoder
    assert (found.model_.latent_dim, found.model_.patch_size_) == (16, 8)
    assert found.fit(waves(60)).model_.patch_size_ == 1  # of windows of 9 steps
    assert found.model is None


@pytest.mark.parametrize(("steps", "window"), [(1000, 64), (100, 16), (25, 4), (24, 1), (2, 1)])
def test_the_window_is_64_or_a_fifth_of_the_training_part(steps, window):
    assert detector(window="auto").fit(waves(steps)).window_ == window


def test_the_window_is_no_longer_than_the_longest_series():
    series = [waves(20, seed=i) for i in range(4)]  # so few that their ends are held out
    assert detector(window="auto").fit(series).window_ == 12  # a fifth of 64 steps
    series = [waves(20, seed=i) for i in range(30)]
    assert detector(window="auto").fit(series).window_ == 20


def test_of_many_short_series_the_last_ones_are_held_out():
    series = [waves(20, seed=i) for i in range(30)]
    found = detector(Spy(3, **QUICK), window=WINDOW, threshold="quantile", rate=0.1).fit(series)
    assert len(Spy.seen.series) == 24
    for own, given in zip(Spy.seen.series, series, strict=False):
        np.testing.assert_array_equal(own, given)
    assert found.thresholds_["window"].n_scores == 6 * 20
    fresh = np.concatenate(found.predict([waves(20, seed=i) for i in range(100, 200)]))
    assert 0.05 < (fresh == -1).mean() < 0.2
    detector(Spy(3, **QUICK), calibration_split=0.4).fit(series)  # their ends are whole windows
    assert [len(one) for one in Spy.seen.series] == 30 * [12]
    detector(Spy(3, **QUICK), calibration_split=0.3).fit([*series, waves(900)])  # most of the steps
    assert len(Spy.seen.series) == 31


def test_the_series_that_is_too_short_to_cut_is_named():
    with pytest.raises(InputError, match=r"Expected more steps of series 1, got n_samples=1"):
        detector().fit([X, X[:1]])


@pytest.mark.parametrize("name", MODELS)
def test_models_of_every_kind_are_trained_as_clones_and_score_every_step(name):
    model = MODELS[name]()
    found = detector(model).fit(X)
    assert not hasattr(model, "history_")
    assert found.model_ is not model
    assert set(found.thresholds_) == {"window", "step", "trailing"} | (
        {"code"} if hasattr(model, "transform") else set()
    )
    for kind in found.thresholds_:
        for steps in ODD_LENGTHS:
            scores = found.anomaly_scores(waves(steps, seed=steps), kind)
            assert scores.shape == (steps,)
            assert np.isfinite(scores).all()
            assert (scores >= 0).all()


@pytest.mark.parametrize("name", MODELS)
def test_whole_sequences_are_scored_by_models_of_every_kind(name):
    found = detector(MODELS[name]()).fit(BEATS)
    other = BEATS.copy()
    other[5, 6] += 9
    for kind in found.thresholds_:
        scores = found.anomaly_scores(other, kind)
        assert scores.shape == (30,)
        assert np.isfinite(scores).all()
    assert "trailing" not in found.thresholds_
    assert found.anomaly_scores(other, "step").argmax() == 5
    assert found.contributions(other).shape == (30, 1)


def test_ragged_sequences_are_scored_over_their_own_steps():
    ragged = Sequences(BEATS, np.arange(30) % 12 + 1)
    found = detector(lstm()).fit(ragged)
    alone = [
        found.anomaly_scores(Sequences(BEATS[i : i + 1, :length]))[0]
        for i, length in enumerate(ragged.lengths)
    ]
    np.testing.assert_allclose(found.anomaly_scores(ragged), alone, rtol=1e-4)
    missing = np.where(np.arange(12)[:, None] < ragged.lengths[:, None, None], BEATS, np.nan)
    np.testing.assert_array_equal(found.anomaly_scores(missing), found.anomaly_scores(ragged))


def test_a_sequence_has_the_highest_score_of_its_steps_and_its_contributions():
    found = detector(lstm()).fit(waves(360, 3).reshape(30, 12, 3))
    sequences = waves(120, 3, seed=1).reshape(10, 12, 3)
    error = found.model_.reconstruct(sequences) - sequences
    terms = np.log1p((error / found.model_.scaler_.scale) ** 2 / (3 * found.scales_["step"]))
    steps = terms.mean(axis=2)
    np.testing.assert_allclose(
        found.anomaly_scores(sequences, "step"), steps.max(axis=1), rtol=1e-4
    )
    worst = terms[np.arange(10), steps.argmax(axis=1)]
    np.testing.assert_allclose(found.contributions(sequences, "step"), worst, rtol=1e-3, atol=1e-6)


# Frozen models


@pytest.mark.parametrize("name", MODELS)
def test_a_frozen_model_is_taken_as_it_is_and_all_data_are_held_out(name):
    source = Windows(X, WINDOW + 2)
    model = MODELS[name]().fit(source)
    before = weights(model)
    found = detector(FrozenEstimator(model), window=3).fit(X)
    assert found.model_ is model
    assert found.window_ == model.max_length_
    for weight, own in weights(model).items():
        np.testing.assert_array_equal(own, before[weight])
    assert len(found.anomaly_scores(X)) == len(X)
    assert found.thresholds_["step"].n_scores == len(X)


@pytest.mark.parametrize("data", [X, BEATS], ids=["series", "sequences"])
def test_the_codes_of_a_frozen_model_are_not_those_that_their_threshold_is_learned_from(data):
    inner = lstm().fit(Windows(X, WINDOW) if data is X else BEATS)
    found = detector(FrozenEstimator(inner), threshold="quantile", rate=0.2).fit(data)
    first = data[:72] if data is X else data[:24]
    later = data[72:] if data is X else data[24:]
    windows = (
        np.lib.stride_tricks.sliding_window_view(first, WINDOW, axis=0).swapaxes(1, 2)
        if data is X
        else first
    )
    np.testing.assert_allclose(found.codes_, inner.transform(windows), atol=1e-6)
    held_out = np.sort(found.anomaly_scores(later, "code"))
    rank = int(np.ceil((len(later) + 1) * 0.8))
    assert found.thresholds_["code"].level == held_out[min(rank, len(later)) - 1] > 0
    moves = detector(FrozenEstimator(inner), kind="code", rate=0.2).fit(data)
    assert moves.offset_ == np.percentile(-held_out, 20)
    given = detector(FrozenEstimator(inner), threshold="quantile").fit(data, calibration=later)
    assert given.thresholds_["code"].n_scores == len(later)


def test_a_frozen_model_of_rows_has_windows_of_one_step():
    for model in (DenseAutoencoder(1, **QUICK), StackedAutoencoder(1, **QUICK)):
        found = detector(FrozenEstimator(model.fit(X))).fit(X)
        assert found.window_ == 1
        np.testing.assert_allclose(
            found.anomaly_scores(X, "window"), found.anomaly_scores(X, "step"), rtol=1e-12
        )


def test_a_frozen_model_keeps_the_order_of_its_features():
    frame = pd.DataFrame(X, columns=["a", "b"])
    model = FrozenEstimator(lstm().fit(Windows(frame, WINDOW)))
    detector(model).fit(frame)
    with pytest.raises(InputError, match=r"Expected the features a, b, in this order, got b, a"):
        detector(model).fit(frame[["b", "a"]])
    with pytest.raises(InputError, match="b, a"):
        detector(model).fit([frame[["b", "a"]]])


def test_a_frozen_model_of_tables_has_no_feature_names():
    table = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 6)), columns=list("abcdef"))
    found = detector(FrozenEstimator(lstm().fit(table)))
    assert found.fit(pd.DataFrame({"x": X[:, 0]})).window_ == 6


# scikit-learn's contract


@pytest.mark.parametrize("method", ["fit", "detect", "contributions"])
def test_warnings_name_the_line_of_the_caller(method):
    found = detector(rate=1e-4, threshold="quantile").fit(X)
    given = () if method == "fit" else ("step",)
    with pytest.warns(ThresholdWarning) as warned:
        getattr(found, method)(X, *given)
    names = [one.filename for one in warned if one.category is ThresholdWarning]
    assert names == [__file__]


def test_predict_decision_function_and_score_samples_agree():
    found = detector(kind="step", threshold="quantile", rate=0.1).fit(X)
    other = waves(seed=1) * 1.3
    scores = found.anomaly_scores(other)
    np.testing.assert_array_equal(scores, found.anomaly_scores(other, "step"))
    np.testing.assert_array_equal(found.score_samples(other), -scores)
    np.testing.assert_array_equal(found.decision_function(other), -scores - found.offset_)
    np.testing.assert_array_equal(
        found.predict(other), np.where(found.decision_function(other) < 0, -1, 1)
    )
    detection = found.detect(other)
    np.testing.assert_array_equal(detection.scores, scores)
    np.testing.assert_array_equal(detection.alarms, found.predict(other) == -1)
    np.testing.assert_array_equal(detection.thresholds, -found.offset_)
    assert 0 < detection.alarms.sum() < len(other)


@pytest.mark.parametrize("kind", ["window", "step"])
def test_offset_with_a_moving_threshold_is_a_quantile_of_the_held_out_part(kind):
    found = detector(kind=kind, rate=0.1).fit(X)
    assert found.offset_ == np.percentile(found.score_samples(X[72:]), 10)
    assert (found.predict(X[72:]) == -1).sum() == 2  # of 18
    other = waves(50, seed=5)
    found = detector(kind=kind, rate=0.1).fit(X, calibration=other)
    assert found.offset_ == np.percentile(found.score_samples(other), 10)


@pytest.mark.parametrize("threshold", ["quantile", "pareto", "alarms"])
def test_offset_is_what_a_fixed_threshold_is(threshold):
    found = detector(threshold=threshold, rate=0.1, period=20, memory=30).fit(X)
    assert found.offset_ == -found.thresholds_["window"].start
    assert found.detect(X).thresholds[0] == -found.offset_
    by_step = clone(found).set_params(kind="step").fit(X)
    assert by_step.offset_ == -found.thresholds_["step"].start


def test_thresholds_come_from_the_scores_of_held_out_data():
    found = detector(threshold="quantile", rate=0.25).fit(X)
    for kind, threshold in found.thresholds_.items():
        held_out = np.sort(found.anomaly_scores(X[72:], kind))
        assert threshold.level == held_out[int(np.ceil(19 * 0.75)) - 1]
        assert threshold.n_scores == 18


def test_parameters_of_thresholds_arrive_there():
    found = detector(threshold="moving", rate=0.2, memory=7).fit(X).thresholds_["step"]
    assert (found.rate, found.memory, len(found.recent)) == (0.2, 7, 7)
    found = detector(threshold="alarms", rate=2, period=9, gap=3).fit(X).thresholds_["step"]
    assert (found.rate, found.steps_per_period, found.gap) == (2, 9, 3)


@pytest.mark.parametrize(
    ("data", "share"), [(X, 0.1), (X, 0.5), (BEATS, 0.1), ([X, waves(10, seed=1)], 0.25)]
)
def test_contamination_is_the_share_of_the_data_of_fit_that_predict_flags(data, share):
    found = detector(lstm(), kind="step", contamination=share)
    labels = found.fit_predict(data)
    labels = np.concatenate(labels) if isinstance(labels, list) else labels
    assert abs((labels == -1).sum() - share * len(labels)) <= 1
    assert set(labels) == {-1, 1}
    assert labels.dtype.kind == "i"


def test_nothing_of_x_is_changed():
    data, before = waves(), waves()
    found = detector(contamination=0.1).fit(data)
    found.detect(data)
    np.testing.assert_array_equal(data, before)
    data.setflags(write=False)
    detector().fit(data).anomaly_scores(data)


def test_the_default_model_takes_device_and_verbose(capfd):
    found = AnomalyDetector(verbose=2, device="cpu", random_state=0, window=WINDOW)
    model = detector_training.default_model(found, read_input(X), WINDOW)
    assert (model.verbose, model.device) == (2, "cpu")


def test_the_default_model_masks_no_input_and_has_no_kernels():
    model = detector_training.default_model(AnomalyDetector(), read_input(X), 64)
    given = {"latent_dim": 16, "units": 32, "n_kernels": 0, "input_dropout": 0.0, "patch_size": 8}
    given |= {"steps_per_epoch": 25, "epochs": 30}
    assert {name: model.get_params()[name] for name in given} == given
    whole = detector_training.default_model(AnomalyDetector(), read_input(X[None]), 400)
    assert (whole.epochs, whole.steps_per_epoch, whole.patch_size) == ("auto", None, 13)


def test_a_score_at_the_offset_is_normal():
    found = detector().fit(X)
    found.offset_ = found.score_samples(X)[40]
    assert found.predict(X)[40] == 1


def test_the_gap_arrives_at_the_threshold_of_alarms():
    found = detector(threshold="alarms", rate=1, period=20, gap=7).fit(X)
    assert {one.gap for one in found.thresholds_.values()} == {7}


def test_features_of_events_are_shares_of_errors_and_not_of_their_logarithms():
    found = detector(lstm(), kind="step", threshold="quantile", rate=0.2).fit(X)
    data = X.copy()
    data[40, 1] += 50 * X[:, 1].std()
    detection = found.detect(data)
    (event,) = (one for one in detection.events if one.start <= 40 < one.end)
    ratios = np.expm1(detection.contributions[event.start : event.end]).mean(axis=0)
    assert event.features[0] == ("feature 1", pytest.approx(ratios[1] / ratios.sum()))
    logarithms = detection.contributions[event.start : event.end].mean(axis=0)
    assert event.features[0][1] > 1.2 * logarithms[1] / logarithms.sum()
