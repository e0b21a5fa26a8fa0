"""Models that read more features than they write, and features that are known ahead."""

import numpy as np
import pandas as pd
import pytest
import torch

from unspool import (
    AnomalyDetector,
    ConvAutoencoder,
    DenseAutoencoder,
    LSTMAutoencoder,
    LSTMForecaster,
    Sequences,
    Windows,
    load,
    runtime,
    summary,
)
from unspool.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")
QUICK = {"epochs": 2, "random_state": 0, "verbose": 0}
NAMES = ("load", "temperature", "hour")
RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(30, 8, 3)) * [1, 10, 100] + [5, 50, 500]
X = Sequences(VALUES, np.full(30, 8), NAMES)


def autoencoder(**parameters):
    return LSTMAutoencoder(4, **{**QUICK, **parameters})


def forecaster(**parameters):
    return LSTMForecaster(4, **{"horizon": 2, **QUICK, **parameters})


def message(call, *arguments, **named):
    with pytest.raises(InputError) as caught:
        call(*arguments, **named)
    return str(caught.value)


MODELS = {
    "lstm": autoencoder,
    "dense": lambda **given: DenseAutoencoder(4, **QUICK, **given),
    "conv": lambda **given: ConvAutoencoder(4, filters=(3,), **QUICK, **given),
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_results_have_the_targets_in_their_order_and_units(make):
    model = make(targets=("hour", "load")).fit(X)
    reconstruction = model.reconstruct(X)
    assert reconstruction.shape == (30, 8, 2)
    assert (abs(reconstruction.mean((0, 1)) / [500, 5] - 1) < 0.2).all()
    assert model.targets_ == (2, 0)
    np.testing.assert_array_equal(model.target_scaler_.shift, model.scaler_.shift[[2, 0]])
    errors = model.reconstruction_error(X, per=("step", "feature"))
    scaled = (reconstruction - VALUES[..., [2, 0]]) / model.scaler_.scale[[2, 0]]
    np.testing.assert_allclose(errors, scaled**2, rtol=1e-4, atol=1e-6)
    total = (((VALUES - model.scaler_.shift) / model.scaler_.scale)[..., [2, 0]] ** 2).sum()
    assert model.score(X) == pytest.approx(1 - (scaled**2).sum() / total, abs=1e-4)
    assert model.inverse_transform(model.transform(X)).shape == (30, 8, 2)


def test_targets_are_names_or_places_and_all_in_order_are_no_choice():
    by_name, by_place = (autoencoder(targets=one).fit(X) for one in (["hour"], [-1]))
    np.testing.assert_array_equal(by_name.reconstruct(X), by_place.reconstruct(X))
    every = autoencoder(targets=NAMES).fit(X)
    np.testing.assert_array_equal(every.reconstruct(X), autoencoder().fit(X).reconstruct(X))


def test_the_loss_is_that_of_the_targets_alone():
    model = autoencoder(targets=(1,), epochs=1, input_dropout=0.0, validation_split=0).fit(X)
    with torch.no_grad():
        objective = model._objective(torch.Generator())
        objective.model.eval()
        scaled = torch.from_numpy(model.scaler_.apply(VALUES))
        from unspool.training.batches import Batch

        (term,) = objective(Batch(scaled, None)).values()
    assert term.size == VALUES.size // 3
    error = model.reconstruction_error(X).mean()
    assert float(term.total) / term.size == pytest.approx(error, rel=1e-5)


def test_covariates_change_the_reconstruction_but_have_no_error():
    model = autoencoder(targets=(0,), epochs=20, input_dropout=0.0).fit(X)
    other = VALUES.copy()
    other[..., 1] += 30
    assert abs(model.reconstruct(other) - model.reconstruct(X)).max() > 1e-3


def test_windows_are_merged_and_forecast_with_the_targets():
    series = np.cumsum(RNG.normal(size=(60, 3)), axis=0)
    windows = Windows(series, 8)
    merged = autoencoder(targets=(1,)).fit(windows).reconstruct(windows, merge=True)
    assert [one.shape for one in merged] == [(60, 1)]
    model = forecaster(targets=(1,)).fit(Windows(series, 10))
    assert model.forecast(windows).shape == (53, 2, 1)
    assert np.isfinite(model.score(Windows(series, 10)))


def test_the_linear_forecast_is_that_of_the_same_feature_alone():
    model = forecaster(targets=(1,), normalization="last", epochs=1).fit(X)
    for weight in model.module_.decoders["forecast"].parameters():
        torch.nn.init.zeros_(weight)
    alone = forecaster(normalization="last", epochs=1).fit(VALUES[..., 1:2])
    for weight in alone.module_.decoders["forecast"].parameters():
        torch.nn.init.zeros_(weight)
    np.testing.assert_allclose(
        model.forecast(X), alone.forecast(VALUES[..., 1:2]), rtol=1e-4, atol=1e-4
    )


def test_y_has_the_targets_of_the_future():
    future = VALUES[:, -2:, [2, 0]]
    model = forecaster(targets=(2, 0), horizon=None).fit(VALUES[:, :-2], future)
    assert model.forecast(VALUES[:, :-2]).shape == (30, 2, 2)
    assert model.score(VALUES[:, :-2], future) < 1
    cut = forecaster(targets=(2, 0)).fit(VALUES)
    assert model.score(VALUES[:, :-2], future) == pytest.approx(cut.score(VALUES), abs=0.1)
    one = forecaster(targets=(1,), horizon=None).fit(VALUES[:, :-2], VALUES[:, -2:, 1])
    assert one.predict(VALUES[:, :-2]).shape == (30, 2)
    step = forecaster(targets=(2, 0), horizon=None).fit(VALUES[:, :-1], VALUES[:, -1, [2, 0]])
    assert step.predict(VALUES[:, :-1]).shape == (30, 2)
    assert "of shape (30, 2, 2), the 2 steps" in message(model.fit, VALUES, VALUES[:, :2, :1]) or (
        "of shape (30, K, 2)" in message(model.fit, VALUES, VALUES[:, :2, :1])
    )


def test_a_model_learns_what_a_known_feature_says_about_the_future():
    rng = np.random.default_rng(1)
    events = rng.integers(0, 2, size=(400, 10)).astype(float)
    load = rng.normal(scale=0.1, size=(400, 10)) + 3 * events
    both = np.stack([load, events], 2)
    given = {"targets": (0,), "horizon": 2, "epochs": 60, "random_state": 0, "verbose": 0}
    plain = LSTMForecaster(8, **given, dropout=0.0).fit(both[:300])
    informed = LSTMForecaster(8, **given, dropout=0.0, known=(1,)).fit(both[:300])
    assert plain.score(both[300:]) < 0.2
    assert informed.score(both[300:]) > 0.9
    past, future = both[300:, :-2], both[300:, -2:, 1:]
    forecasts = informed.forecast(past, future)
    assert np.corrcoef(forecasts.ravel(), load[300:, -2:].ravel())[0, 1] > 0.95
    with_y = LSTMForecaster(8, **{**given, "epochs": 2}, known=(1,)).fit(past, both[300:, -2:])
    assert np.isfinite(with_y.score(past, both[300:, -2:]))


def test_the_known_features_are_read_from_frames_by_name():
    model = forecaster(targets=("load",), known=("hour", "temperature")).fit(X)
    one = VALUES[:1, :6]  # as long as in `fit`, so that the stream reads them all
    future = VALUES[:1, :2]
    expected = model.forecast(one, future[..., [2, 1]])
    frame = pd.DataFrame(future[0], columns=list(NAMES))
    frame["load"] = np.nan
    np.testing.assert_array_equal(model.forecast(one, frame), expected)
    np.testing.assert_array_equal(model.forecast(one, future[0][:, [2, 1]]), expected)
    frames = [frame, frame + 1]
    two = model.forecast(VALUES[:2, :6], frames)
    np.testing.assert_allclose(two[:1], expected, rtol=1e-6)
    stream = runtime.Model(model.contents()).stream()
    for step in one[0]:
        stream.push(step)
    np.testing.assert_allclose(stream.forecast(frame), expected[0], rtol=1e-5)


def test_the_law_of_a_model_with_known_features_alone_and_among_others(tmp_path):
    model = forecaster(targets=(0,), known=(2,), quantiles=(0.1, 0.9)).fit(X)
    future = VALUES[:, :2, 2:]
    together = model.forecast(X, future)
    order = RNG.permutation(30)
    np.testing.assert_array_equal(model.forecast(VALUES[order], future[order]), together[order])
    np.testing.assert_array_equal(model.forecast(VALUES[3:4], future[3:4]), together[3:4])
    model.save(tmp_path / "model.unspool")
    loaded = load(tmp_path / "model.unspool")
    np.testing.assert_array_equal(loaded.forecast(X, future), together)
    assert loaded.targets_ == (0,)
    quantiles = loaded.predict_quantiles(X, future)
    assert quantiles.shape == (30, 2, 1, 2)
    assert str(summary(loaded)) == str(summary(model))


def test_the_future_has_to_fit():
    model = forecaster(targets=("load",), known=("hour",)).fit(X)
    assert message(model.forecast, X) == (
        "This model was fitted with features that are known ahead (hour); give them for the 2 "
        "steps after each sequence as `future`."
    )
    assert message(model.forecast, X, VALUES[:, :3, 2:]) == (
        "Expected `future` of shape (30, 2, 1), the known features (hour) of the 2 steps after "
        "each sequence, got shape (30, 3, 1)."
    )
    frame = pd.DataFrame({"load": [1.0, 2.0]})
    assert message(model.forecast, VALUES[:1], frame) == (
        "`future` has no column 'hour'; it needs the known features hour, got load."
    )
    holey = np.full((30, 2, 1), np.nan)
    assert "`future` holds nan for sequence 0 at step 0, feature 'hour'" in message(
        model.forecast, X, holey
    )
    assert "leave it out, or fit with `known`" in message(
        forecaster().fit(X).forecast, X, VALUES[:, :2]
    )
    assert "with all features, because some are known ahead" in message(
        model.fit, X, VALUES[:, :2, :1]
    )


@pytest.mark.parametrize(
    ("parameters", "reported"),
    [
        ({"targets": ()}, "`targets` must have at least one feature, got none; None means all"),
        ({"targets": "load"}, "`targets` must be a list of names or places of features, got 'load"),
        ({"targets": (0.5,)}, "`targets` must be a list of names or places of features, got 0.5"),
        ({"targets": ("lode",)}, "unknown feature 'lode': did you mean 'load'?"),
        ({"targets": (3,)}, "`targets` must have places from 0 to 2, because `X` has 3 features"),
        ({"targets": (0, "load")}, "`targets` has the feature 'load' twice"),
        (
            {"targets": ("load",), "known": ("load",)},
            "The feature 'load' is in `targets` and in `known`",
        ),
        ({"known": ("hour",)}, "`targets` must list the features that are, got None"),
        ({"targets": "y", "known": ("hour",)}, "targets='y' predicts a quantity that is no feat"),
        ({"targets": "y"}, "targets='y' forecasts a quantity that is no feature of `X`; give it"),
        ({"targets": "y", "linear_steps": 4}, "set linear_steps='auto' or 0, got 4"),
        (
            {"targets": (0,), "known": (1,), "every_step": True},
            "`every_step` learns to forecast features after every step",
        ),
    ],
    ids=str,
)
def test_what_does_not_go_together_is_refused(parameters, reported):
    assert reported in message(forecaster(**parameters).fit, X)


def test_names_need_data_with_names_and_a_forecast_is_needed_for_known_features():
    assert "the features of `X` have no names" in message(forecaster(targets=("load",)).fit, VALUES)
    assert "without `horizon` the model forecasts nothing" in message(
        autoencoder(targets=(0,), known=(1,)).fit, X
    )
    assert "needs forecasts of all features" in message(
        forecaster(targets=(0,)).fit(X).generate, X, 3
    )
    by_step = forecaster(targets=(0,), known=(1,), bidirectional=False).fit(X)
    assert "use `forecast`, or fit with known=()" in message(by_step.forecast_by_step, X)


def test_weights_of_features_are_those_of_the_targets():
    given = {"targets": ("hour", "load"), "input_dropout": 0.0, "epochs": 1}
    by_name, listed = (
        autoencoder(**given, feature_weight=one).fit(X) for one in ({"load": 3.0}, [1.0, 3.0])
    )
    np.testing.assert_array_equal(by_name.reconstruct(X), listed.reconstruct(X))
    assert abs(listed.reconstruct(X) - autoencoder(**given).fit(X).reconstruct(X)).max() > 1e-5
    assert "unknown feature 'temperature'" in message(
        autoencoder(**given, feature_weight={"temperature": 2.0}).fit, X
    )
    weighted = forecaster(targets=("load",), known=("hour",)).fit(
        X, sample_weight=np.arange(30) % 2 * 1.0
    )
    assert np.isfinite(weighted.score(X))


def test_training_goes_on_with_the_same_targets_only():
    first = forecaster(targets=("hour",), known=("load",)).fit(X)
    again = forecaster(targets=(2,), known=(0,)).fit(X, initial=first)
    assert again.targets_ == (2,)
    for parameters in ({"targets": ("load",)}, {"targets": ("hour",), "known": ("temperature",)}):
        assert "other `targets` or `known` features" in message(
            forecaster(**parameters).fit, X, initial=first
        )
    plain = forecaster(horizon=None).fit(X, VALUES[:, :2])
    assert "differ in whether `y` has" in message(
        forecaster(horizon=None).fit, X, VALUES[:, :2, 0], initial=plain
    )


@pytest.mark.parametrize(
    "model",
    [
        LSTMAutoencoder(4, targets=("b",), **QUICK),
        LSTMForecaster(4, targets=("b",), **QUICK),
    ],
    ids=["autoencoder", "forecaster"],
)
def test_a_detector_scores_the_targets_alone(model, tmp_path):
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(rng.normal(size=(300, 3)), columns=["a", "b", "c"])
    detector = AnomalyDetector(model, window=10).fit(frame)
    found = detector.detect(frame)
    assert found.contributions.shape == (300, 1)
    np.testing.assert_allclose(found.scores, found.contributions[:, 0], rtol=1e-6)
    detector.save(tmp_path / "d.unspool")
    other = runtime.load_detector(tmp_path / "d.unspool")
    np.testing.assert_allclose(other.anomaly_scores(frame), found.scores, rtol=1e-3, atol=1e-4)
    stream, by_kind = other.stream(), other.anomaly_scores(frame, "trailing")
    streamed = [stream.update(step).score for step in frame.to_numpy()]
    np.testing.assert_allclose(streamed, by_kind, rtol=1e-3, atol=1e-4)
    spoiled = frame.copy()
    spoiled.loc[150:152, "b"] = 40
    events = detector.detect(spoiled).events
    assert {name for event in events for name, _ in event.features} <= {"b"}


def test_a_detector_refuses_models_that_read_the_future_or_predict_no_feature():
    series = RNG.normal(size=(100, 3))
    for parameters in ({"targets": (0,), "known": (1,)}, {"targets": "y"}):
        assert "A detector" in message(AnomalyDetector(forecaster(**parameters)).fit, series)
