"""The training loop on a model of one number, where every step can be worked out by hand."""

import io
import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.one_number import CPU, Number, batches, sgd
from unspool import Sequences, Windows
from unspool.data.scaling import Scaler
from unspool.training import progress as progress_module
from unspool.training.batches import Batches
from unspool.training.callbacks import Callback, KeepBest
from unspool.training.history import History
from unspool.training.loop import evaluate, train
from unspool.training.optimizers import OPTIMIZERS, make_optimizer
from unspool.training.progress import ProgressBar


def test_a_step_follows_the_mean_over_the_batch():
    model = Number()
    data = batches([[1, 1], [3, 3]])
    history = train(model, model.objective, data, optimizer=sgd(model), epochs=1)
    assert history.loss == [pytest.approx(5.0)]  # (1 + 9) / 2
    assert model.value.item() == pytest.approx(0.1 * 2 * 2)  # minus the gradient 2 (0 - 2)


def test_the_loss_of_an_epoch_is_the_mean_over_values_not_over_batches():
    model = Number()
    data = batches([[1, 1], [3, 0], [5, 5]], size=2, lengths=[2, 1, 2])
    assert evaluate(model, model.objective, data)["loss"] == pytest.approx(
        (1 + 1 + 9 + 25 + 25) / 5
    )
    history = train(model, model.objective, data, optimizer=sgd(model, 0.0), epochs=2)
    assert history.loss == [pytest.approx(61 / 5)] * 2


def test_empty_sequences_do_not_change_the_weights():
    model = Number(1.0)
    data = batches([[0, 0], [0, 0]], size=1, lengths=[0, 0])
    history = train(model, model.objective, data, optimizer=sgd(model), epochs=1)
    assert (model.value.item(), history.loss) == (1.0, [0.0])


def test_validation_neither_trains_nor_keeps_gradients():
    model = Number()
    seen = []

    def objective(batch):
        seen.append((model.training, torch.is_grad_enabled()))
        return model.objective(batch)

    validation = batches([[2, 2]])
    history = train(
        model, objective, batches([[1, 1]]), optimizer=sgd(model), epochs=2, validation=validation
    )
    assert seen == [(True, True), (False, False)] * 2
    assert history.val_loss[0] == pytest.approx((2 - 0.2) ** 2)
    assert not model.training


def test_gradients_are_clipped_to_their_global_norm():
    model = Number()
    train(
        model, model.objective, batches([[9, 9]]), optimizer=sgd(model, 1.0), epochs=1,
        global_clipnorm=0.5,
    )  # fmt: skip
    assert model.value.item() == pytest.approx(0.5)


def test_every_epoch_has_each_sequence_once_in_a_new_order():
    values = np.arange(10)[:, None] * np.ones(3)
    data = batches(values, size=4, rng=np.random.default_rng(0))
    passes = [np.concatenate([batch.x[:, 0, 0] for batch in data]) for _ in range(2)]
    for one in passes:
        assert sorted(one) == list(range(10))
    assert not np.array_equal(*passes)
    assert not np.array_equal(passes[0], np.arange(10))
    assert len(data) == 3
    assert [len(batch.x) for batch in batches(values, size=4)] == [4, 4, 2]


@pytest.mark.parametrize(("n", "size"), [(100, 10), (103, 10), (7, 3), (3, 32), (1, 1)])
def test_shuffled_batches_are_spread_over_the_data(n, size):
    values = np.arange(n)[:, None] * np.ones(2)
    dealt = [b.x[:, 0, 0].numpy() for b in batches(values, size, np.random.default_rng(0))]
    assert sorted(np.concatenate(dealt)) == list(range(n))
    assert max(map(len, dealt)) <= size
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1
    for batch in dealt:  # one of every run of neighbours
        assert [int(value) // len(dealt) for value in batch] == list(range(len(batch)))


def test_an_epoch_with_a_limit_of_steps_is_a_fresh_sample_spread_over_the_data():
    values = np.arange(1000)[:, None] * np.ones(2)
    data = batches(values, 4, np.random.default_rng(0))
    data = Batches(data.source, data.scaler, data.indices, 4, CPU, data.rng, steps=5)
    passes = [[batch.x[:, 0, 0].numpy() for batch in data] for _ in range(2)]
    for dealt in passes:
        assert [len(batch) for batch in dealt] == [4] * 5 == [4] * len(data)
        assert sorted(int(value) // 50 for batch in dealt for value in batch) == list(range(20))
        for batch in dealt:
            assert [int(value) // 250 for value in batch] == [0, 1, 2, 3]
    first, second = (set(np.concatenate(dealt).tolist()) for dealt in passes)
    assert first != second


def test_batches_are_scaled_and_padding_is_zero():
    source = Sequences(np.full((2, 4, 1), 7.0), [4, 2])
    data = Batches(source, Scaler(np.array([1.0]), np.array([2.0])), np.arange(2), 2, CPU)
    (batch,) = data
    assert batch.x.dtype == torch.float32
    assert batch.x[:, :, 0].tolist() == [[3, 3, 3, 3], [3, 3, 0, 0]]
    assert batch.lengths.tolist() == [4, 2]


def test_lengths_are_none_without_padding():
    windows = Windows(np.arange(10.0), 4)
    data = Batches(windows, Scaler(np.zeros(1), np.ones(1)), np.arange(7), 7, CPU)
    (batch,) = data
    assert batch.lengths is None
    assert batch.x[3, :, 0].tolist() == [3, 4, 5, 6]


class Scripted(Callback):
    """Writes given validation losses into the history, and a number for the epoch in the model."""

    def __init__(self, losses):
        self.losses = losses

    def on_epoch_end(self, model, history):
        history.add({"val_loss": self.losses[history.epochs - 1]})
        with torch.no_grad():
            model.value.fill_(history.epochs)
        return False


@pytest.mark.parametrize(
    ("patience", "epochs", "best", "weights"),
    [(2, 5, 2, 3), (1, 2, 0, 1), (9, 6, 2, 3), (None, 6, 5, 6)],
)
def test_keep_best_stops_and_restores_the_best_weights(patience, epochs, best, weights):
    model = Number()
    history = train(
        model, model.objective, batches([[1, 1]]), optimizer=sgd(model, 0.0), epochs=6,
        callbacks=[Scripted([5, 6, 3, 4, 3, 7]), KeepBest(patience)],
    )  # fmt: skip
    assert (history.epochs, history.best_epoch, model.value.item()) == (epochs, best, weights)


def test_the_training_loss_is_monitored_without_validation_data():
    history = History({"loss": [3.0, 2.0]})
    assert history.monitored == [3, 2]
    assert history.as_dict() == {"loss": [3, 2], "best_epoch": 0}
    for loss in (9.0, 8.0):
        history.add({"val_loss": loss})
    assert history.monitored == [9, 8]
    assert history.as_dict()["val_loss"] == [9, 8]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "shown"), [(Terminal, True), (io.StringIO, False)])
def test_the_progress_bar_is_shown_only_in_terminals(monkeypatch, stream, shown):
    stderr = stream()
    monkeypatch.setattr(progress_module.sys, "stderr", stderr)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    model = Number()
    train(
        model, model.objective, batches([[1, 1]]), optimizer=sgd(model), epochs=2,
        validation=batches([[1, 1]]), callbacks=[ProgressBar()],
    )  # fmt: skip
    assert ("2/2" in stderr.getvalue() and "val_loss" in stderr.getvalue()) is shown
    assert shown or stderr.getvalue() == ""


def one_step(optimizer, gradient, start=1.0):
    parameter = nn.Parameter(torch.tensor(start, dtype=torch.float64))
    parameter.grad = torch.tensor(gradient, dtype=torch.float64)
    optimizer([parameter]).step()
    return parameter.item()


def test_optimizers_step_with_keras_defaults():
    g = 0.3
    expected = {  # the first step, worked out from Keras's formulas
        "sgd": 1 - 0.01 * g,
        "rmsprop": 1 - 0.001 * g / math.sqrt(0.1 * g**2),
        "adam": 1 - 0.001,
        "adamw": 1 - 0.001 - 0.001 * 4e-3,
        "adamax": 1 - 0.001,
        "adagrad": 1 - 0.001 * g / math.sqrt(0.1 + g**2),
        "adadelta": 1 - 0.001 * g * math.sqrt(1e-7) / math.sqrt(0.05 * g**2 + 1e-7),
    }
    for name, value in expected.items():
        assert one_step(lambda p, name=name: make_optimizer(name, p), g) == pytest.approx(
            value, abs=1e-8
        )
    assert one_step(lambda p: make_optimizer("nadam", p), g) < 1
    assert set(OPTIMIZERS) == {*expected, "nadam"}


def test_a_learning_rate_replaces_the_default():
    assert one_step(lambda p: make_optimizer("sgd", p, 0.5), 1.0) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("series", "forgotten"),
    [
        ({"loss": [2.0, 1.0]}, True),
        ({"loss": [1.0, 2.0]}, False),
        ({"loss": [2.0, 1.0], "val_loss": [2.0, 1.0]}, False),
    ],
    ids=["the last epoch", "an earlier epoch", "validated"],
)
def test_best_weights_are_forgotten_if_they_diverged_unless_they_were_validated(series, forgotten):
    keep, history, model = KeepBest(5), History(), nn.Linear(1, 1)
    for epoch in range(2):
        history.add({name: values[epoch] for name, values in series.items()})
        keep.on_epoch_end(model, history)
    keep.on_restart(history)
    assert (keep.weights is None) == forgotten
