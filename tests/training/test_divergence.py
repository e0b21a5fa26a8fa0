"""What training does when its loss diverges, and what it does not take for divergence."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.training.one_number import Number, batches, sgd
from unspool.errors import DivergedError, UnstableTrainingWarning
from unspool.training.callbacks import Callback, KeepBest
from unspool.training.divergence import MAX_RECOVERIES, DivergenceRecovery, Place
from unspool.training.loop import train
from unspool.training.objective import Term

HERE = Place(1, 1)


def never():
    raise AssertionError("the loss was recomputed without need")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_training_and_callbacks_are_called(value):
    model, ended = Number(value), []

    class End(Callback):
        def on_train_end(self, model, history):
            ended.append(history.epochs)

    with pytest.raises(DivergedError) as caught:
        train(
            model, model.objective, batches([[1, 1]]), optimizer=sgd(model), epochs=3,
            callbacks=[End()],
        )  # fmt: skip
    assert str(caught.value) == (
        f"The loss is {value} in epoch 1, batch 1, before the first step. The first weight that is "
        "not finite is `value`. Look for values too large for float32, and scale the data "
        "(`scaling`)."
    )
    assert ended == [0]


@pytest.mark.filterwarnings("ignore::unspool.errors.UnstableTrainingWarning")
def test_a_validation_loss_that_is_not_finite_ends_training():
    model = Number()
    with pytest.raises(DivergedError) as caught:
        train(
            model, model.objective, batches([[1, 1]]), optimizer=sgd(model), epochs=3,
            validation=[batches([[1, 1]]).gather(np.arange(1))._replace(x=torch.tensor(math.nan))],
        )  # fmt: skip
    assert str(caught.value) == (
        "The validation loss became nan in epoch 1. The largest gradient is that of `value`, with "
        "a norm of 2. Lower `learning_rate`, set `global_clipnorm`, or scale the data."
    )


class Unstable(nn.Module):
    """A number whose loss is finite within 0–2 and NaN outside."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(0.0))
        self.seen = []

    def objective(self, batch):
        inside = 0 <= self.value.item() <= 2
        self.seen.append(round(self.value.item(), 4))
        total = (self.value - 1.5) ** 2 if inside else self.value * math.nan
        return {"loss": Term(total, 1)}


def test_training_that_diverges_continues_from_the_last_good_weights_with_half_the_learning_rate(
    caplog,
):
    model = Unstable()
    optimizer = torch.optim.SGD(model.parameters(), 0.8)  # steps of 0.8 · 2 · (1.5 - value)
    with pytest.warns(UnstableTrainingWarning) as warned:
        history = train(model, model.objective, batches([[1]]), optimizer=optimizer, epochs=3)
    # 0 → 2.4, which is out: back to the end of the last epoch, which is there too; then to the
    # beginning, with 0.8 / 4; from there steps of 0.4 · (1.5 - value).
    assert model.seen == [0.0, 2.4, 2.4, 0.0, 0.6, 0.96]  # the last one checks the result
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.2)
    assert model.value.item() == pytest.approx(0.96)
    assert len(history.loss) == 3
    assert np.isfinite(history.loss).all()
    assert [str(one.message) for one in warned] == [
        "The loss became nan in epoch 2, batch 1 (largest gradient: `value`, norm 3); training "
        f"continues from earlier weights with a learning rate of {rate}."
        for rate in ("0.4", "0.2")
    ]
    logged = [(one.name, one.levelname, one.getMessage()) for one in caplog.records]
    assert logged == [("unspool.training", "WARNING", str(one.message)) for one in warned]


def test_a_loss_is_recomputed_only_if_it_is_far_above_all_earlier_losses():
    recovery = DivergenceRecovery(model := Number(), sgd(model))
    assert not recovery.diverged("loss", 0.5, HERE, never)
    assert not recovery.diverged("loss", 51, HERE, never)
    assert not recovery.diverged("loss", 5000, HERE, lambda: 70.0)  # at most 7001 is sound
    assert not recovery.diverged("loss", 7001, HERE, never)


def test_a_loss_a_hundred_times_that_of_earlier_weights_on_the_same_batch_has_diverged():
    recovery = DivergenceRecovery(model := Number(), sgd(model))
    assert not recovery.diverged("loss", 0.5, HERE, never)
    assert not recovery.diverged("loss", 101, HERE, lambda: 1.0)
    with pytest.warns(UnstableTrainingWarning):
        assert recovery.diverged("loss", 101.1, HERE, lambda: 1.0)


def test_a_loss_that_grows_a_little_in_every_epoch_is_compared_with_the_initial_weights():
    model = Number()  # whose value is its loss
    recovery = DivergenceRecovery(model, sgd(model))
    recompute = lambda: model.value.item()  # noqa: E731
    with torch.no_grad():
        for value in (1.0, 50.0, 2500.0):
            model.value.fill_(value)
            if value == 1.0:
                recovery.initial = recovery._snapshot()
            if value < 2500:
                assert not recovery.diverged("loss", value, HERE, recompute)
                recovery.keep()
    with pytest.warns(UnstableTrainingWarning):
        assert recovery.diverged("loss", 2500.0, HERE, recompute)
    assert model.value.item() == 50.0


def test_recomputing_a_loss_does_not_change_weights_mode_or_graph():
    model = Number(3.0)
    recovery = DivergenceRecovery(model, sgd(model))
    with torch.no_grad():
        model.value.fill_(4.0)
    (batch,) = batches([[1.0, 1.0]])
    loss = model.objective(batch)["loss"].total
    seen = []

    def recompute():
        seen.append(model.value.item())
        model.eval()
        return 1e9

    assert not recovery.diverged("loss", 1.0, HERE, never)
    assert not recovery.diverged("loss", 1e6, HERE, recompute)
    assert seen == [3.0, 3.0]
    assert (model.value.item(), model.training) == (4.0, True)
    loss.backward()
    assert model.value.grad.item() == pytest.approx(2 * 2 * (4 - 1))


def test_a_batch_with_a_rare_large_event_has_not_diverged():
    values = np.zeros((40, 3))
    values[17] = 1000.0
    model = Number()
    history = train(
        model, model.objective, batches(values, size=4), optimizer=sgd(model, 1e-4), epochs=3,
        validation=batches(values[15:20]),
    )  # fmt: skip
    assert len(history.loss) == 3
    assert history.loss[0] == pytest.approx(1000**2 / 40, rel=0.01)


def test_a_recovery_restores_the_state_of_the_optimizer():
    model = Number()
    optimizer = torch.optim.Adam(model.parameters(), 0.1)
    step = train(model, model.objective, batches([[1]]), optimizer=optimizer, epochs=1)
    recovery, known = DivergenceRecovery(model, optimizer), copy.deepcopy(optimizer.state_dict())
    assert not recovery.diverged("loss", step.loss[0], HERE, never)
    train(model, model.objective, batches([[5]]), optimizer=optimizer, epochs=3)
    with pytest.warns(UnstableTrainingWarning):
        assert recovery.diverged("loss", math.inf, HERE, never)
    now = optimizer.state_dict()
    assert now["state"][0]["exp_avg"] == known["state"][0]["exp_avg"]
    assert now["param_groups"][0]["lr"] == 0.05
    assert model.value.item() == pytest.approx(0.1)


def test_the_number_of_recoveries_is_limited():
    class Hopeless(Number):
        """Good for nothing after its first step, whatever the learning rate."""

        def objective(self, batch):
            terms = super().objective(batch)
            return terms if self.value == 0 else {"loss": Term(self.value * math.inf, 1)}

    model = Hopeless()
    with pytest.warns(UnstableTrainingWarning) as warned, pytest.raises(DivergedError):
        train(model, model.objective, batches([[1]]), optimizer=sgd(model), epochs=30)
    assert len(warned) == MAX_RECOVERIES


@pytest.mark.filterwarnings("ignore::unspool.errors.UnstableTrainingWarning")
def test_initial_weights_that_diverge_as_well_end_training():
    model = Number()
    recovery = DivergenceRecovery(model, sgd(model))
    assert not recovery.diverged("loss", 1.0, HERE, never)
    assert [recovery.diverged("loss", math.nan, HERE, never) for _ in range(2)] == [True, True]
    with pytest.raises(DivergedError):
        recovery.diverged("loss", math.nan, HERE, never)


class Pair(nn.Module):
    """Two numbers; the loss is `first` times `second`, in one direction only."""

    def __init__(self, first, second):
        super().__init__()
        self.first = nn.Parameter(torch.tensor(first))
        self.second = nn.Parameter(torch.tensor(second))

    def objective(self, batch):
        return {"loss": Term((self.first * self.second) ** 2, 1)}


@pytest.mark.parametrize("limit", [None, 0.1])
def test_the_messages_name_the_largest_gradient_before_clipping(limit):
    model = Pair(0.1, 2.0)  # gradients 2 · 0.1 · 4 = 0.8 and 2 · 0.01 · 2 = 0.04
    with pytest.warns(UnstableTrainingWarning) as warned, pytest.raises(DivergedError):
        train(
            model, model.objective, batches([[1]]), optimizer=sgd(model, 1000.0), epochs=2,
            global_clipnorm=limit,
        )  # fmt: skip
    assert "in epoch 2, batch 1 (largest gradient: `first`, norm 0.8); " in str(warned[0].message)


def test_a_gradient_that_is_not_finite_is_found_before_the_step():
    class Root(Number):
        """The root of 0 is finite, its gradient is not."""

        def objective(self, batch):
            return {"loss": Term(self.value.sqrt(), 1)}

    model = Root(0.0)
    with pytest.raises(DivergedError) as caught:
        train(
            model, model.objective, batches([[1], [1], [1]]), optimizer=sgd(model), epochs=3,
            global_clipnorm=1.0,
        )  # fmt: skip
    assert str(caught.value) == (
        "The gradient is inf in epoch 1, batch 1, before the first step. The largest gradient is "
        "that of `value`, with a norm of inf. Look for values too large for float32, and scale the "
        "data (`scaling`)."
    )
    assert model.value.item() == 0.0


def test_large_values_are_named():
    model = Number(math.nan)
    with pytest.raises(DivergedError, match=r"The largest scaled value is 3e\+20\. Look for"):
        train(
            model, model.objective, batches([[-3e20, 1.0]]), optimizer=sgd(model), epochs=1
        )  # fmt: skip


def test_a_last_step_that_diverges_is_found_without_validation():
    model = Number()
    with pytest.raises(DivergedError) as caught:
        train(model, model.objective, batches([[1]]), optimizer=sgd(model, 1e4), epochs=1)
    assert str(caught.value) == (
        "The loss became 4e+08 in epoch 1. The largest gradient is that of `value`, with a norm of "
        "2. Lower `learning_rate`, set `global_clipnorm`, or scale the data."
    )


@pytest.mark.filterwarnings("ignore::unspool.errors.UnstableTrainingWarning")
def test_weights_that_diverged_are_not_kept_as_the_best():
    model = Number()  # the first step leads far away from 1, and the third one after two rescues
    history = train(
        model, model.objective, batches([[1]]), optimizer=sgd(model, 20.0), epochs=4,
        callbacks=[KeepBest(9)],
    )  # fmt: skip
    assert history.loss[0] == 1.0
    assert (model.value.item() - 1) ** 2 < 101
