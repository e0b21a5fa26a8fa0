"""What an `LSTMForecaster` adds to its network: normalisation, linear maps, quantiles, dropout."""

import numpy as np
import pytest

import unspool
from tests.estimators.quick import sines
from unspool import LSTMForecaster
from unspool.errors import InputError

# Most fits here are far too short to be any good.
pytestmark = pytest.mark.filterwarnings("ignore::unspool.errors.NoBetterThanMeanWarning")

N, T, K = 24, 7, 3
PLAIN = {"normalization": "none", "linear_steps": 0}
BINARY = {"loss": "binary_crossentropy", "output_activation": "sigmoid", **PLAIN}


def quick(**parameters):
    given = {"latent_dim": 5, "epochs": 1, "random_state": 0, "verbose": 0}
    return LSTMForecaster(**given | parameters)


def message(call, *arguments, **options):
    with pytest.raises(InputError) as caught:
        call(*arguments, **options)
    return str(caught.value)


def data(features=1, steps=T):
    return sines(n=N, steps=steps, features=features)


def walks(n=60, steps=24, features=2, seed=0):
    """Random walks that start anywhere, whose next step nobody knows."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, steps, features)).cumsum(1) + 20 * rng.normal(size=(n, 1, features))


def squared(predicted, y):
    return np.square(predicted - y).mean()


@pytest.mark.parametrize("normalization", ["none", "last", "standard"])
def test_a_linear_map_is_found_before_any_training(normalization):
    line = np.linspace(-1, 1, 30)
    X = np.random.default_rng(1).normal(size=(80, 2)) @ np.array([np.ones(30), 5 * line])
    model = quick(normalization=normalization, linear_steps=6, learning_rate=1e-12)
    model.fit(X[:, :26], X[:, 26:])
    assert squared(model.predict(X[:, :26]), X[:, 26:]) < 1e-3 * squared(X[:, 25:26], X[:, 26:])


def test_defaults_are_no_worse_than_the_last_value_on_walks_at_unseen_levels():
    model = quick(horizon=K, epochs=10).fit(walks())
    X = walks(200, seed=1) + 300
    last = np.repeat(X[:, -K - 1 : -K], K, axis=1)
    assert squared(model.predict(X[:, :-K]), X[:, -K:]) < 1.3 * squared(last, X[:, -K:])


@pytest.mark.parametrize("normalization", ["last", "standard"])
def test_the_network_does_not_see_what_is_normalised(normalization):
    model = quick(normalization=normalization, linear_steps=0, horizon=K, epochs=3).fit(walks())
    X = walks(9, seed=2)
    np.testing.assert_allclose(model.forecast(X + 50), model.forecast(X) + 50, rtol=1e-4)
    if normalization == "standard":
        np.testing.assert_allclose(model.forecast(3 * X), 3 * model.forecast(X), rtol=1e-3)


def test_a_network_that_helps_at_no_epoch_is_left_out():
    X = walks(40)
    wild = {"learning_rate": 3.0, "learning_rate_schedule": "constant", "epochs": 3}
    model = quick(horizon=K, quantiles=(0.1, 0.9), **wild).fit(X)
    lines = quick(horizon=K, learning_rate=1e-12).fit(X)
    np.testing.assert_allclose(model.forecast(X), lines.forecast(X), rtol=1e-6)
    spread = np.diff(model.predict_quantiles(X), axis=3)
    assert (spread > 0.1).any()  # quantiles stay


def test_quantiles_rise_and_cover_their_shares():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 9, 2)) * [1, 30] + [0, 100]
    model = quick(
        horizon=2, quantiles=(0.1, 0.5, 0.9), epochs=60, learning_rate=0.01, code_dropout=0.0
    ).fit(X[:500])
    unseen, y = X[500:, :-2], X[500:, -2:]
    quantiles = model.predict_quantiles(unseen)
    assert quantiles.shape == (100, 2, 2, 3)
    assert (np.diff(quantiles, axis=3) >= 0).all()
    share = (y[..., None] < quantiles).mean((0, 1))
    np.testing.assert_allclose(share, np.broadcast_to([0.1, 0.5, 0.9], (2, 3)), atol=0.1)
    assert model.forecast(unseen).shape == y.shape
    assert {"loss", "forecast_loss", "quantiles_loss"} < set(model.history_)


def test_quantiles_are_saved_and_keep_their_axes(tmp_path):
    X = data()[:, :, 0]
    model = quick(quantiles=(0.25, 0.5), every_step=True, metrics=("mae",)).fit(X, X[:, 0])
    assert model.predict(X).shape == (N,)
    assert model.predict_quantiles(X).shape == (N, 1, 1, 2)
    assert "mae" in model.history_
    model.save(tmp_path / "m.unspool")
    loaded = unspool.load(tmp_path / "m.unspool")
    assert loaded.quantiles == (0.25, 0.5)
    np.testing.assert_array_equal(loaded.predict_quantiles(X), model.predict_quantiles(X))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    assert message(quick().fit(X).predict_quantiles, X) == (
        "This model was fitted without quantiles; set `quantiles` and call `fit` again."
    )


def test_dropout_is_of_training_alone():
    one, other = (quick(code_dropout=share, epochs=2).fit(data()) for share in (0.0, 0.9))
    assert one.history_["loss"] != other.history_["loss"]
    np.testing.assert_array_equal(other.forecast(data()), other.forecast(data()))


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"quantiles": 0.5}, "`quantiles` must be a list of numbers, got 0.5."),
        ({"quantiles": (0.5, 1.0)}, "`quantiles` must be a number above 0 and below 1, got 1.0."),
        (
            {"quantiles": (0.5, 0.1)},
            "`quantiles` must increase from each to the next, got (0.5, 0.1).",
        ),
        ({"normalization": "mean"}, "unknown `normalization` 'mean'"),
        (
            {"linear_steps": -1},
            "`linear_steps` must be a whole number of at least 0 or 'auto', got -1.",
        ),
        (
            {"code_dropout": 1.0},
            "`code_dropout` must be a number of at least 0 and below 1, got 1.0.",
        ),
        (
            {"output_activation": "sigmoid"},
            "`output_activation` 'sigmoid' needs the decoder's output to be the whole forecast, so "
            "it needs normalization='none', linear_steps=0 and quantiles=(), got "
            "normalization='auto', linear_steps='auto', quantiles=().",
        ),
        (
            {"loss": "binary_crossentropy", "normalization": "none"},
            "`loss` 'binary_crossentropy' needs the decoder's output to be the whole forecast",
        ),
        (
            BINARY | {"quantiles": (0.5,)},
            "`output_activation` 'sigmoid' needs the decoder's output to be the whole forecast",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_forecast_is_reported(parameters, expected):
    assert expected in message(quick(**parameters).fit, data())
