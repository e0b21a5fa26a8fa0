"""Epochs, patience, and the learning rate of each step, compared with PyTorch's schedules."""

import math

import numpy as np
import pytest
import torch

from tests.training.one_number import Number, batches, sgd
from unspool.errors import UnstableTrainingWarning
from unspool.training.callbacks import Callback
from unspool.training.history import History
from unspool.training.loop import train
from unspool.training.objective import Term
from unspool.training.schedule import (
    ReduceOnPlateau,
    WarmupCosine,
    count_epochs,
    count_patience,
)


@pytest.mark.parametrize(
    ("epochs", "batches", "expected"),
    [
        ("auto", 1, 1500),
        ("auto", 2, 750),
        ("auto", 7, 215),  # 1,500 updates at least
        ("auto", 15, 100),
        ("auto", 16, 100),
        ("auto", 5000, 100),
        (3, 1, 3),
        (np.int64(3), 5000, 3),
    ],
)
def test_auto_epochs_depend_on_the_number_of_batches(epochs, batches, expected):
    assert count_epochs(epochs, batches) == expected


@pytest.mark.parametrize(
    ("patience", "epochs", "expected"),
    [("auto", 1500, 375), ("auto", 100, 25), ("auto", 80, 20), ("auto", 3, 20), (7, 1500, 7)],
)
def test_auto_patience_is_a_quarter_of_the_epochs_but_at_least_20(patience, epochs, expected):
    assert count_patience(patience, epochs) == expected
    assert count_patience(None, epochs) is None


class Rates(Callback):
    """The learning rate at each update; it is called before the schedule moves on."""

    def __init__(self, optimizer):
        self.optimizer, self.rates = optimizer, []

    def on_batch_end(self, step):
        self.rates.append(self.optimizer.param_groups[0]["lr"])


def rates_of(epochs, values, rate=0.1, also=()):
    model = Number()
    optimizer = sgd(model, rate)
    seen = Rates(optimizer)
    history = train(
        model, model.objective, batches(values), optimizer=optimizer, epochs=epochs,
        callbacks=[seen, *also, WarmupCosine(optimizer)],
    )  # fmt: skip
    return seen.rates, history


def reference(rate, updates):
    """The same by PyTorch: a linear rise, then half a cosine to 0."""
    rising = updates // 10
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], rate)
    fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates - rising)
    falling = []
    for _ in range(updates - rising):
        falling.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        fall.step()
    return [rate * (i + 1) / rising for i in range(rising)] + falling


@pytest.mark.parametrize(("epochs", "sequences"), [(1, 2), (1, 6), (4, 6), (20, 2), (30, 8)])
def test_the_rate_rises_and_falls_as_a_cosine(epochs, sequences):
    rates, history = rates_of(epochs, [[1.0, 2.0]] * sequences)
    per_epoch = sequences // 2
    assert len(rates) == epochs * per_epoch
    assert rates == pytest.approx(reference(0.1, len(rates)), rel=1e-9)
    assert min(rates) > 0
    assert history.series["learning_rate"] == rates[per_epoch - 1 :: per_epoch]


def test_a_constant_learning_rate_is_in_the_history_too():
    model = Number()
    history = train(
        model, model.objective, batches([[1.0]]), optimizer=sgd(model, 0.25), epochs=3
    )  # fmt: skip
    assert history.series["learning_rate"] == [0.25] * 3


class Exploding(Number):
    """Its loss is infinite once, in the update `when`."""

    when, calls = 5, 0

    def objective(self, batch):
        self.calls += 1
        loss = super().objective(batch)["loss"].total
        return {"loss": Term(loss * math.inf if self.calls == self.when else loss, 1)}


def test_a_learning_rate_halved_by_a_recovery_stays_half_of_the_schedule():
    model = Exploding()
    optimizer = sgd(model, 0.1)
    seen = Rates(optimizer)
    with pytest.warns(UnstableTrainingWarning):
        train(
            model, model.objective, batches([[1.0]] * 2), optimizer=optimizer, epochs=12,
            callbacks=[seen, WarmupCosine(optimizer)],
        )  # fmt: skip
    expected = np.array(reference(0.1, 12))
    expected[4:] /= 2
    np.testing.assert_allclose(seen.rates, expected, rtol=1e-9)


LOSSES = [5.0, 4.0, 4.0, 4.5, 3.0, 3.1, 3.0, 3.2, 3.3, float("nan"), 2.0, 2.0, 2.0, 2.0, 1.0, 2.0]


# Keras converts torch parameters with an `__array__` that lacks the `copy` of NumPy 2.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept:DeprecationWarning")
@pytest.mark.parametrize("validated", [True, False])
@pytest.mark.parametrize(("factor", "patience"), [(0.1, 3), (0.5, 1), (0.9, 2)])
def test_the_rate_falls_on_the_plateaus_that_keras_and_torch_find(
    factor, patience, validated, monkeypatch
):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    mine, theirs = (sgd(Number(), 0.1) for _ in range(2))
    schedule = ReduceOnPlateau(mine, factor, patience)
    expected = torch.optim.lr_scheduler.ReduceLROnPlateau(
        theirs, factor=factor, patience=patience - 1, threshold=0
    )
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(0.1))
    callback = keras.callbacks.ReduceLROnPlateau(
        monitor="val_loss", factor=factor, patience=patience, min_delta=0
    )
    callback.set_model(model)
    callback.on_train_begin()
    history, rates = History(), []
    for epoch, loss in enumerate(LOSSES):
        # the training loss only rises, so a schedule that watched it would fall each time
        history.add({"loss": 10.0 + epoch, "val_loss": loss} if validated else {"loss": loss})
        assert schedule.on_epoch_end(None, history) is False
        expected.step(loss)
        callback.on_epoch_end(epoch, {"val_loss": loss})
        rates.append(mine.param_groups[0]["lr"])
        assert rates[-1] == pytest.approx(theirs.param_groups[0]["lr"], rel=1e-12)
        assert rates[-1] == pytest.approx(float(model.optimizer.learning_rate), rel=1e-5)
    assert 1 < len(set(rates)) < len(rates)
