"""What the size of the data decides where parameters are "auto", for every kind of model."""

import numpy as np
import pytest

from tests.estimators.quick import sines
from unspool import (
    ConvAutoencoder,
    DenseAutoencoder,
    EncoderClassifier,
    LSTMAutoencoder,
    LSTMForecaster,
    Sequences,
    StackedAutoencoder,
    Windows,
)
from unspool.estimators.held_out import split

pytestmark = pytest.mark.filterwarnings(
    "ignore::unspool.errors.NoBetterThanMeanWarning"
)  # few epochs

X = sines(n=200, steps=6)[:, :, 0]
STILL = {"learning_rate": 1e-30, "random_state": 0, "verbose": 0}  # no weight ever moves


def dense(**parameters):
    return DenseAutoencoder(2, **{**STILL, **parameters})


@pytest.mark.parametrize(
    ("n", "batch_size", "expected"), [(20, 32, 1500), (70, 32, 750), (200, 10, 100)]
)
def test_few_sequences_get_as_many_updates_as_they_need(n, batch_size, expected):
    model = dense(patience=None, batch_size=batch_size).fit(X[:n])
    assert len(model.history_["loss"]) == expected


def test_an_epoch_with_a_limit_counts_only_its_updates():
    model = dense(patience=None, batch_size=2, steps_per_epoch=10).fit(X[:60])
    assert len(model.history_["loss"]) == 150


def test_a_number_of_epochs_is_not_changed():
    assert len(dense(epochs=3).fit(X[:20]).history_["loss"]) == 3


def test_patience_is_a_quarter_of_the_epochs():
    history = dense().fit(X).history_  # 180 to train on, 6 batches: 250 epochs
    assert history["best_epoch"] == 0
    assert len(history["loss"]) == 1 + 62
    assert len(dense(epochs=50).fit(X).history_["loss"]) == 1 + 20
    assert len(dense(patience=5).fit(X).history_["loss"]) == 1 + 5


@pytest.mark.parametrize(
    ("n", "share", "expected"),
    [
        (1, "auto", 0),
        (19, "auto", 0),
        (20, "auto", 5),
        (40, "auto", 5),
        (60, "auto", 6),
        (200, "auto", 20),
        (20, 0.1, 2),
        (20, 0, 0),
    ],
)
def test_a_tenth_is_held_out_but_five_sequences_at_least(n, share, expected):
    history = dense(epochs=1, validation_split=share).fit(X[:n]).history_
    assert ("val_loss" in history) == (expected > 0)
    source = Sequences(X[:n, :, None])
    training, held_out = split(source, share, np.random.default_rng(0))
    assert len(held_out) == expected
    assert sorted([*training, *held_out]) == list(range(n))


@pytest.mark.parametrize(
    ("steps", "stride", "share"),
    [(15, 1, 0), (208, 1, 0), (209, 1, 0.25), (199, 10, 0), (200, 10, 0.25), (1000, 10, 0.1)],
)
def test_windows_count_as_those_side_by_side(steps, stride, share):
    windows = Windows(np.sin(np.arange(steps) / 3), 10, stride)
    found, expected = (split(windows, s, np.random.default_rng(0)) for s in ("auto", share))
    assert [part.tolist() for part in found] == [part.tolist() for part in expected]
    assert (len(found[1]) > 0) == (share > 0)


def test_auto_never_fails_for_want_of_sequences():
    for series in (np.sin(np.arange(40)), [np.sin(np.arange(20) + i) for i in range(40)]):
        model = dense(epochs=2).fit(Windows(series, 20, 20))
        assert "val_loss" not in model.history_


KINDS = {
    "lstm": LSTMAutoencoder(2),
    "forecaster": LSTMForecaster(2),
    "dense": DenseAutoencoder(2),
    "stacked": StackedAutoencoder(2, hidden_units=(3,), fine_tune=True),
    "conv": ConvAutoencoder(2, filters=(2,)),
    "classifier": EncoderClassifier(DenseAutoencoder(2, **STILL, epochs=1), fine_tune=True),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_has_the_budget_and_the_schedule(name, monkeypatch):
    monkeypatch.setattr("unspool.training.schedule.MIN_UPDATES", 150)
    y = np.arange(20) % 2 if name == "classifier" else None
    for schedule in ("cosine", "constant"):
        model = KINDS[name].set_params(
            learning_rate_schedule=schedule,
            learning_rate=0.01,
            patience=None,
            random_state=0,
            verbose=0,
        )
        history = model.fit(X[:20], y).history_
        parts = [history, *history.get("layers", []), getattr(model, "head_history_", history)]
        for part in parts:
            rates = part["learning_rate"]
            assert len(rates) == 150
            if schedule == "constant":
                assert rates == [0.01] * 150
            else:
                assert rates[14] == pytest.approx(0.01)
                assert rates[:15] == sorted(rates[:15])
                assert rates[15:] == sorted(rates[15:], reverse=True)
                assert rates[-1] < 1e-5


def test_the_last_epochs_of_a_schedule_settle():
    """With noise in every update the loss ends lower where the rate falls."""
    given = {"latent_dim": 2, "batch_size": 4, "learning_rate": 0.05, "random_state": 0}
    given |= {"epochs": 40, "verbose": 0, "validation_split": 0, "patience": None}
    rng = np.random.default_rng(0)
    data = X + 0.3 * rng.normal(size=X.shape)
    ends = [
        DenseAutoencoder(**given, learning_rate_schedule=schedule).fit(data).history_["loss"][-1]
        for schedule in ("cosine", "constant")
    ]
    assert ends[0] < 0.97 * ends[1]
