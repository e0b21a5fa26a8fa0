"""`LSTMForecaster` as a user meets it."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score

import unspool
from tests.estimators.quick import sines
from unspool import LSTMForecaster, Windows
from unspool.blueprint.models import DECODER_NAMES
from unspool.errors import InputError

# Most fits here are far too short to be any good.
pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

N, T, K = 24, 7, 3
EVERY_STEP = [name for name in DECODER_NAMES if "state" not in name and "reversed" not in name]


def quick(**parameters):
    given = {"latent_dim": 5, "epochs": 1, "random_state": 0, "verbose": 0}
    return LSTMForecaster(**given | parameters)


def message(call, *arguments, **options):
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    return str(caught.value)


def data(features=1, steps=T):
    return sines(n=N, steps=steps, features=features)


def ragged(features=1):
    return [one[: 1 + i % T] for i, one in enumerate(data(features))]


@pytest.fixture(scope="module", params=[False, True], ids=["last step", "every step"])
def learned(request):
    model = LSTMForecaster(16, every_step=request.param, horizon=4, epochs=30, learning_rate=0.01,
                           random_state=0, verbose=0)  # fmt: skip
    return model.fit(sines(n=80, steps=20))


def test_the_error_after_training_is_small(learned):
    unseen = sines(n=40, steps=20, seed=1)
    assert learned.score(unseen) > 0.7
    assert learned.score(unseen[:, :16], unseen[:, 16:]) == pytest.approx(learned.score(unseen))


def test_learning_at_every_step_is_good_after_few_steps(learned):
    unseen = sines(n=40, steps=20, seed=1)
    early = learned.score(unseen[:, :8])
    assert early > 0.6 if learned.every_step else early < 0.6


def test_generate_continues_for_any_number_of_steps(learned):
    unseen = sines(n=40, steps=24, seed=1)
    assert r2_score(unseen[:, 16:, 0], learned.generate(unseen[:, :16], 8)[:, :, 0]) > 0.6


@pytest.mark.parametrize(
    ("features", "shape", "horizon"),
    [
        (1, (N,), 1),
        (1, (N, 1), 1),
        (1, (N, K), K),
        (2, (N, 2), 1),
        (1, (N, K, 1), K),
        (2, (N, K, 2), K),
        (2, (N, 1, 2), 1),
    ],
    ids=str,
)
@pytest.mark.parametrize("decoder", ["dense", "repeat"])
@pytest.mark.parametrize("given", [False, True], ids=["horizon of y", "horizon"])
def test_the_future_comes_in_the_form_it_was_given(
    features, shape, horizon, decoder, given, tmp_path
):
    X, y = data(features), np.random.default_rng(0).normal(size=shape)
    model = quick(decoder=decoder, horizon=horizon if given else None).fit(X, y)
    assert model.horizon_ == horizon
    assert model.forecast(X).shape == shape
    assert model.score(X, y) == pytest.approx(
        r2_score(y.reshape(N, -1), model.forecast(X).reshape(N, -1))
    )
    assert model.forecast_by_step(X).shape == (N, T, horizon, features)
    assert model.generate(X, 5).shape == (N, 5, features)
    model.save(tmp_path / "model.unspool")
    loaded = unspool.load(tmp_path / "model.unspool")
    assert isinstance(loaded, LSTMForecaster)
    for method in (model.forecast, model.predict, loaded.forecast):
        np.testing.assert_array_equal(method(X), model.forecast(X))
    np.testing.assert_array_equal(loaded.generate(X, 4), model.generate(X, 4))
    assert loaded.score(X) == model.score(X)
    assert loaded.forecast(ragged(features)).shape == shape


@pytest.mark.parametrize("horizon", [None, 1, K])
def test_without_y_the_last_steps_are_the_future(horizon):
    X, steps = data(2), horizon or 1
    model = quick(horizon=horizon, scaling="none").fit(X)
    given = quick(scaling="none").fit(X[:, :-steps], X[:, -steps:])
    assert (model.horizon_, model.max_length_) == (steps, T - steps)
    np.testing.assert_array_equal(model.forecast(X), given.forecast(X))
    assert model.score(X) == pytest.approx(given.score(X[:, :-steps], X[:, -steps:]))
    assert model.score(X) == model.score(X[:, :-steps], X[:, -steps:])


def test_the_forecast_is_of_the_units_of_the_data():
    X = sines(n=60, steps=12, features=2) * [3, 1000] + [7, -2e6]
    y = X[:, -K:]
    again = (
        quick(horizon=K, epochs=20, latent_dim=12, learning_rate=0.01).fit(X).forecast(X[:, :-K])
    )
    assert (((again - y) ** 2).mean((0, 1)) < 0.5 * y.reshape(-1, 2).var(0)).all()


@pytest.mark.parametrize("decoder", DECODER_NAMES)
@pytest.mark.parametrize("units", [None, 4, (5, 3)])
def test_a_sequence_is_forecast_the_same_alone_and_among_others(decoder, units):
    model = quick(decoder=decoder, units=units, horizon=K).fit(data())
    among = model.forecast(ragged())
    alone = [model.forecast([one])[0] for one in ragged()]
    np.testing.assert_allclose(among, alone, atol=2e-6)
    padded = np.full((N, T + 5, 1), np.nan)
    for row, one in zip(padded, ragged(), strict=True):
        row[: len(one)] = one
    np.testing.assert_allclose(model.forecast(padded), among, atol=2e-6)


@pytest.mark.cpu
def test_a_dense_forecast_does_not_depend_on_the_size_of_the_batch():
    model = quick(latent_dim=64, horizon=K, backend="compiled").fit(data(2))
    among, alone = model.forecast(data(2)), [model.forecast([one])[0] for one in data(2)]
    np.testing.assert_allclose(among, alone, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("every_step", "units"), [(False, None), (True, None), (True, (5, 3))], ids=str
)
@pytest.mark.parametrize("decoder", EVERY_STEP)
def test_the_forecast_after_a_step_is_that_of_the_sequence_cut_there(decoder, every_step, units):
    model = quick(decoder=decoder, every_step=every_step, units=units, horizon=K).fit(data(2))
    X = ragged(2)
    by_step = model.forecast_by_step(X)
    assert by_step.shape == (N, T, K, 2)
    for i in (0, 3, 6, 13):
        cuts = [X[i][: step + 1] for step in range(len(X[i]))]
        np.testing.assert_allclose(by_step[i, : len(cuts)], model.forecast(cuts), atol=2e-6)
        assert np.isnan(by_step[i, len(cuts) :]).all()
    full = model.forecast_by_step(data(2))
    np.testing.assert_allclose(full[:, -1], model.forecast(data(2)), atol=2e-6)


def test_forecasts_by_step_of_sequences_of_no_step_are_none():
    model = quick(horizon=K).fit(data(2))
    assert model.forecast_by_step([np.zeros((0, 2))] * 2).shape == (2, 0, K, 2)


@pytest.mark.parametrize("decoder", ["state", "state_previous", "state_reversed_input"])
def test_forecasts_by_step_need_codes_after_every_step(decoder):
    with pytest.raises(InputError, match=r"^(Codes|Forecasts) after every step need "):
        quick(decoder=decoder).fit(data()).forecast_by_step(data())


def test_forecasts_by_step_need_a_decoder_of_the_code_alone_and_one_direction():
    reading = quick(decoder="reversed_input").fit(data())
    assert message(reading.forecast_by_step, data()) == (
        "Forecasts after every step need a decoder that reads only the code, but this one reads "
        "the input too. Fit with another decoder, such as decoder='dense'."
    )
    both = quick(bidirectional=True).fit(data())
    assert message(both.forecast_by_step, data()) == (
        "Codes after every step need an encoder with bidirectional=False, pooling='last', "
        "n_kernels=0, and no decoder that starts from its state ('state', …)."
    )


def by_hand(model, one, steps):
    """Forecast, add, and forecast again from as many steps as `fit` saw."""
    sequence = one
    while len(sequence) < len(one) + steps:
        recent = sequence[max(0, len(sequence) - model.max_length_) :]
        sequence = np.concatenate([sequence, model.forecast([recent])[0]])
    return sequence[len(one) : len(one) + steps]


@pytest.mark.parametrize("horizon", [1, K])
@pytest.mark.parametrize("decoder", ["dense", "previous", "state_reversed_input"])
@pytest.mark.parametrize("longest", [3, T])
def test_to_generate_is_to_forecast_again_and_again(decoder, horizon, longest):
    X = sines(n=N, steps=longest + horizon, features=2)
    model = quick(decoder=decoder, horizon=horizon).fit(X)
    assert model.max_length_ == longest
    starts = [one[: i % (T + 1)] for i, one in enumerate(sines(n=N, steps=T, features=2))]
    assert min(map(len, starts)) == 0
    generated = model.generate(starts, 8)
    for one, got in zip(starts, generated, strict=True):
        np.testing.assert_allclose(got, by_hand(model, one, 8), atol=1e-5)
    np.testing.assert_allclose(model.generate(starts[5:6], 8)[0], generated[5], atol=1e-5)
    np.testing.assert_allclose(model.generate(starts, 3), generated[:, :3], atol=1e-5)


def test_generation_has_the_form_of_the_data():
    table = data()[:, :, 0]
    model = quick(horizon=2).fit(table)
    assert model.generate(table, 5).shape == (N, 5)
    assert model.generate(table[:, :2], 5).shape == (N, 5)
    assert model.generate(data(), 5).shape == (N, 5, 1)
    assert model.generate(table, 0).shape == (N, 0)
    assert model.generate([np.zeros((0, 1))] * 2, 3).shape == (2, 3, 1)
    assert message(model.generate, table, -1) == (
        "`steps` must be a whole number of at least 0, got -1."
    )


HOT = np.eye(3)[np.random.default_rng(0).integers(0, 3, (60, T))]
PLAIN = {"normalization": "none", "linear_steps": 0}
CATEGORICAL = {"loss": "categorical_crossentropy", "output_activation": "softmax", **PLAIN}
BINARY = {"loss": "binary_crossentropy", "output_activation": "sigmoid", **PLAIN}


@pytest.mark.parametrize("loss", [BINARY, CATEGORICAL], ids=["bits", "one"])
@pytest.mark.parametrize("horizon", [1, 2])
def test_generation_draws_from_probabilities(loss, horizon):
    model = quick(**loss, scaling="none", horizon=horizon).fit(HOT)
    start = HOT[:1, horizon:]  # as long as those seen by fit
    (chances,) = model.forecast(start)
    drawn = model.generate(np.repeat(start, 4000, 0), 3, temperature=1.0, random_state=0)
    assert set(np.unique(drawn)) == {0.0, 1.0}
    np.testing.assert_allclose(drawn[:, :horizon].mean(0), chances, atol=0.03)
    hot = model.generate(np.repeat(start, 4000, 0), 1, temperature=2.0, random_state=0)
    if loss is CATEGORICAL:
        assert (drawn.sum(2) == 1).all()
        expected = np.sqrt(chances[0]) / np.sqrt(chances[0]).sum()
    else:
        expected = 1 / (1 + np.sqrt((1 - chances[0]) / chances[0]))
    np.testing.assert_allclose(hot[:, 0].mean(0), expected, atol=0.03)
    # What was drawn is what the next forecast reads.
    seen = np.concatenate([np.repeat(start, 4000, 0), drawn[:, :horizon]], 1)[:, -T + horizon :]
    follows = model.forecast(seen)[:, 0].mean(0)
    rest = model.generate(np.repeat(start, 4000, 0), horizon + 1, temperature=1.0, random_state=0)
    np.testing.assert_allclose(rest[:, horizon].mean(0), follows, atol=0.03)


def test_temperature_0_and_seeds_repeat():
    model = quick(**CATEGORICAL, scaling="none").fit(HOT)
    likeliest = model.generate(HOT[:5, 1:], 1, temperature=0)
    expected = np.eye(3)[model.forecast(HOT[:5, 1:]).argmax(2)]
    np.testing.assert_array_equal(likeliest, expected)
    np.testing.assert_array_equal(
        model.generate(HOT, 6, temperature=0, random_state=1),
        model.generate(HOT, 6, temperature=0, random_state=2),
    )
    one, again, other = (
        model.generate(HOT, 6, temperature=1, random_state=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()
    plain = model.generate(HOT, 6)
    assert ((plain > 0) & (plain < 1)).all()


def test_temperature_needs_probabilities():
    model = quick().fit(data())
    assert message(model.generate, data(), 3, temperature=1.0) == (
        "`temperature` needs outputs that are probabilities (a cross-entropy loss), but this model "
        "was trained with loss='mse'. Leave `temperature` out, or decode codes with "
        "`inverse_transform`."
    )
    assert message(model.generate, data(), 3, temperature="hot") == (
        "`temperature` must be a number of at least 0, got 'hot'."
    )


def test_frames_and_windows_are_accepted():
    table = data()[:, :, 0]
    model = quick(horizon=2).fit(table)
    columns = [f"t{i}" for i in range(T)]
    for frame in (pd.DataFrame(table, columns=columns), pl.DataFrame(table, schema=columns)):
        other = quick(horizon=2).fit(frame)
        assert list(other.feature_names_in_) == columns
        np.testing.assert_array_equal(other.forecast(frame), model.forecast(table))
        given = quick().fit(frame, frame["t0"])
        assert given.forecast(frame).shape == (N,)
    series = pd.DataFrame({"a": np.sin(np.arange(50) / 3), "b": np.cos(np.arange(50) / 3)})
    windows = Windows(series, 9, 2)
    model = quick(horizon=2).fit(windows)
    assert list(model.feature_names_in_) == ["a", "b"]
    assert (model.window_, model.max_length_) == ((7, 2), 7)
    rows = np.stack([windows[i] for i in range(len(windows))])
    np.testing.assert_allclose(model.forecast(windows), model.forecast(rows), atol=1e-6)
    assert model.score(windows) == pytest.approx(model.score(rows))
    future = rows[:, -2:] + 1
    given = quick(validation_split=0.3).fit(windows, future)
    assert given.max_length_ == 9
    assert given.score(windows, future) == pytest.approx(
        r2_score(future.reshape(len(rows), -1), given.forecast(rows).reshape(len(rows), -1))
    )


def test_it_follows_scikit_learns_api():
    X = data()
    scores = cross_val_score(quick(), X[:, :, 0], X[:, 0, 0], cv=2)
    assert scores.shape == (2,)
    weight = np.arange(N)
    model = quick(horizon=K).fit(X)
    truth, got = X[:, -K:, 0], model.forecast(X[:, :-K])[:, :, 0]
    assert model.score(X, sample_weight=weight) == pytest.approx(
        r2_score(truth, got, sample_weight=weight)
    )
    assert clone(model).get_params() == model.get_params()
    again = quick(horizon=K).fit(X)
    np.testing.assert_array_equal(again.forecast(X), model.forecast(X))
    for method in ("forecast", "predict", "forecast_by_step", "score"):
        with pytest.raises(NotFittedError):
            getattr(quick(), method)(X)
    with pytest.raises(NotFittedError):
        quick().generate(X, 1)


@pytest.mark.cpu
def test_the_encoder_alone_does_not_forecast(tmp_path):
    model = quick().fit(data())
    model.save(tmp_path / "part", part="encoder")
    encoder = unspool.load(tmp_path / "part")
    reported = "This model has no decoder 'forecast'; it has an encoder only."
    for method in (encoder.forecast, encoder.forecast_by_step, encoder.score):
        assert message(method, data()) == reported
    assert message(encoder.generate, data(), 2) == reported
    x = torch.from_numpy(model.scaler_.apply(data()))
    assert torch.equal(encoder.encoder_(x), model.encoder_(x))


@pytest.mark.parametrize(
    ("options", "shape", "reported"),
    [
        ({}, (N - 1, K, 2), (
            "Found input variables with inconsistent numbers of samples: [24, 23]; `y` must have "
            "the steps that follow each sequence of `X`."
        )),
        ({"horizon": K}, (N, K + 1, 2), (
            "Expected `y` of shape (24, 3, 2), the 3 steps that follow each sequence, got "
            "(24, 4, 2)."
        )),
        ({}, (N, 0, 2), (
            "Expected `y` of shape (24, K, 2), the K steps that follow each sequence, got "
            "(24, 0, 2)."
        )),
        ({}, (N, K, 2, 1), (
            "Expected `y` of shape (24, K, 2), the K steps that follow each sequence, got "
            "(24, 3, 2, 1)."
        )),
    ],
    ids=str,
)  # fmt: skip
def test_a_future_that_does_not_fit_is_reported(options, shape, reported):
    assert message(quick(**options).fit, data(2), np.zeros(shape)) == reported


def test_what_cannot_be_scored_or_learned_is_reported():
    model = quick(horizon=K).fit(data(2))
    assert message(model.score, data(2), data(2)) == (
        "Expected `y` of shape (24, 3, 2), got (24, 7, 2)."
    )
    assert message(model.score, data(2)[:, :K]) == (
        "Expected sequences of more than 3 steps, because the last 3 are forecast, but the "
        "shortest has 3; leave it out, lower `horizon`, or give the future as `y`."
    )
    y = np.zeros((N, K, 2))
    y[3, 1, 0] = np.nan
    with pytest.raises(ValueError, match="Input y contains NaN"):
        quick().fit(data(2), y)
    assert message(quick(**BINARY, scaling="none").fit, HOT[:, :-1], 2 * HOT[:, -1:]) == (
        "`loss` 'binary_crossentropy' needs values between 0 and 1, got 0 to 2 after "
        "scaling='none'; set scaling='minmax', or 'none' for data between 0 and 1."
    )


@pytest.mark.parametrize(
    "options",
    [
        {"bidirectional": True}, {"pooling": "mean"}, {"decoder": "state"},
        {"decoder": "reversed_input"},
    ],
    ids=str,
)  # fmt: skip
def test_every_step_needs_one_direction_the_last_state_and_a_decoder_of_the_code(options):
    given = {"bidirectional": False, "pooling": "last", "decoder": "dense"} | options
    assert message(quick(every_step=True, **options).fit, data()) == (
        "`every_step` needs bidirectional=False, pooling='last' and a decoder that reads neither "
        "the encoder's whole state nor the input, got "
        f"bidirectional={given['bidirectional']!r}, "
        f"pooling={given['pooling']!r}, decoder={given['decoder']!r}."
    )
    assert message(quick(every_step="yes").fit, data()) == (
        "`every_step` must be True or False, got 'yes'."
    )


@pytest.mark.parametrize("decoder", EVERY_STEP)
@pytest.mark.parametrize("given", [False, True], ids=["cut", "y"])
def test_every_step_learns_from_ragged_sequences_of_any_length(decoder, given):
    X = [one[: 4 + i % 4] for i, one in enumerate(data(2))] + [data(2)[0] + i for i in range(6)]
    y = np.stack([one[-K:] for one in X])
    options = {"decoder": decoder, "every_step": True, "epochs": 3, "teacher_forcing": 0.5}
    model = quick(**options, horizon=K)
    model = model.fit([one[:-K] for one in X], y) if given else model.fit(X)
    assert model.history_["loss"][-1] < model.history_["loss"][0]


def test_sequences_of_no_step_at_all_are_refused():
    empty = [np.zeros((0, 1))] * N
    with pytest.raises(InputError, match=r"^Expected a sequence with at least one step to learn"):
        quick(every_step=True).fit(empty, np.ones((N, K, 1)))
