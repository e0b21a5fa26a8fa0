"""A signal ends training after the current step; a second one ends the program."""

import math
import signal
import threading
import time

import numpy as np
import pytest

from tests.signals import SignalAt, fresh_signals  # noqa: F401
from tests.training.one_number import Number, batches, sgd
from unspool.training import interruption
from unspool.training.callbacks import Callback, KeepBest
from unspool.training.interruption import interruptible, not_interruptible
from unspool.training.loop import train

pytestmark = pytest.mark.usefixtures("fresh_signals")
VALUES = [[1.0], [2.0], [3.0], [4.0]]


def trained(*callbacks, epochs=5, validation=None):
    """Train with two steps an epoch; return the number, its history and the interruption."""
    model = Number()
    with interruptible() as found:
        history = train(
            model, model.objective, batches(VALUES), optimizer=sgd(model), epochs=epochs,
            validation=validation, callbacks=callbacks,
        )  # fmt: skip
        found.answer()
    return model, history, found


def test_an_epoch_that_a_signal_has_ended_does_not_count():
    short, history, found = trained(SignalAt(5))
    whole, expected, _ = trained(epochs=2)
    assert history.as_dict() == expected.as_dict()
    assert short.value.item() == whole.value.item()
    assert found.requested == signal.SIGINT
    assert found.progress == "after 2 of 5 epochs"


def test_a_first_epoch_that_a_signal_has_ended_keeps_its_steps():
    model, history, found = trained(SignalAt(1), validation=batches(VALUES))
    assert model.value.item() == pytest.approx(0.1 * 2 * 1.5)  # a step for the values 1 and 2
    assert history.loss == [pytest.approx((1 + 4) / 2)]
    assert np.isnan(history.val_loss).tolist() == [True]
    assert found.progress == "in the first of 5 epochs"


def test_an_epoch_whose_last_step_is_done_counts():
    _, history, found = trained(SignalAt(4))
    assert history.epochs == 2
    assert found.progress == "after 2 of 5 epochs"


def test_a_signal_during_a_validation_ends_it_after_the_current_batch():
    class Validation:
        """Two batches; the first sends a signal in the second epoch."""

        def __init__(self):
            self.read = []

        def __len__(self):
            return 2

        def __iter__(self):
            for batch in batches(VALUES):
                self.read.append(len(self.read))
                if len(self.read) == 3:
                    signal.raise_signal(signal.SIGINT)
                yield batch

    data = Validation()
    model, history, _ = trained(validation=data)
    whole, expected, _ = trained(epochs=1, validation=batches(VALUES))
    assert history.as_dict() == expected.as_dict()
    assert model.value.item() == whole.value.item()
    assert len(data.read) == 3


def test_the_best_weights_are_kept_after_a_signal():
    class Worse(Callback):
        def on_epoch_begin(self, model):
            model.value.data += 1.0

    model = Number()
    with interruptible() as found:
        history = train(
            model, model.objective, batches([[2.0]]), optimizer=sgd(model, 0.01), epochs=9,
            callbacks=[KeepBest(9), SignalAt(4), Worse()],
        )  # fmt: skip
        found.answer()
    assert history.best_epoch == 1
    assert model.value.item() == pytest.approx(2.0, abs=0.03)


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_second_signal_ends_the_program_at_once(number, error):
    ended = []

    class Last(Callback):
        def on_train_end(self, model, history):
            ended.append(history.epochs)

    with pytest.raises(error) as caught:
        trained(SignalAt(3, 3, number=number), Last())
    assert ended == [1]
    if number == signal.SIGTERM:
        assert caught.value.code == 143


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_the_first_step_ends_the_program(first):
    class Early(Callback):
        def on_train_begin(self, model, epochs, batches):
            signal.raise_signal(first)

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        trained(Early())


def test_a_signal_outside_of_training_ends_the_program_if_nothing_is_trained():
    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(signal.SIGINT)


def test_a_signal_after_training_waits_until_everything_is_done():
    with interruptible() as found:
        model = Number()
        train(model, model.objective, batches(VALUES), optimizer=sgd(model), epochs=1)
        signal.raise_signal(signal.SIGINT)
        assert found.answer() == signal.SIGINT


def test_a_signal_that_nobody_answers_ends_the_program_in_the_end():
    reached = []

    def work():
        with interruptible() as found:
            found.usable = True
            signal.raise_signal(signal.SIGINT)
            reached.append("the end")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["the end"]


def test_a_preliminary_stage_leaves_nothing_usable():
    model = Number()
    with interruptible() as found, pytest.raises(KeyboardInterrupt), found.preliminary():
        train(
            model, model.objective, batches(VALUES), optimizer=sgd(model), epochs=5,
            callbacks=[SignalAt(3)],
        )  # fmt: skip


def test_a_second_signal_soon_after_ends_the_next_training(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    assert trained(SignalAt(3))[2].requested
    now[0] += 4.9
    with pytest.raises(KeyboardInterrupt):
        trained(SignalAt(3))


def test_a_signal_long_after_another_one_ends_only_the_training_that_it_meets(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    assert trained(SignalAt(3))[2].requested
    now[0] += 5.1
    assert trained(SignalAt(3))[2].requested


def test_a_program_that_sigterm_should_end_begins_no_other_training():
    assert trained(SignalAt(3, number=signal.SIGTERM))[1].epochs == 1
    with pytest.raises(SystemExit) as caught:
        trained()
    assert caught.value.code == 143
    assert trained(epochs=2)[1].epochs == 2  # if the program has caught that


def test_handlers_of_the_program_are_left_alone():
    received = []
    before = signal.signal(signal.SIGINT, lambda number, frame: received.append(number))
    try:
        assert trained(SignalAt(3), epochs=3)[1].epochs == 3
    finally:
        signal.signal(signal.SIGINT, before)
    assert received == [signal.SIGINT]


def test_handlers_are_restored_after_an_error():
    handlers = []

    def work():
        with interruptible():
            handlers.append(signal.getsignal(signal.SIGINT))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()
    assert handlers == [interruption._handle]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_handler_that_was_left_behind_ends_the_program_and_is_replaced():
    before = signal.signal(signal.SIGINT, interruption._handle)
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert trained(SignalAt(3))[1].epochs == 1
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_trainings_in_other_threads_are_not_interrupted():
    found = []

    def run():
        with interruptible() as own:
            assert signal.getsignal(signal.SIGINT) is before
            found.append((own, trained(epochs=2)[1].epochs))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found[0][1] == 2
    assert found[0][0].requested is None


def test_nested_calls_share_an_interruption():
    with interruptible() as outer:
        assert outer.outermost
        with interruptible() as inner:
            assert inner is outer
            assert not inner.outermost
        assert outer.outermost


def test_without_interruption_the_first_signal_ends_the_program():
    with pytest.raises(KeyboardInterrupt), not_interruptible():
        trained(SignalAt(3))
    assert trained(SignalAt(3))[1].epochs == 1


def test_a_worker_process_leaves_signals_to_its_parent(monkeypatch):
    monkeypatch.setattr(interruption, "_is_worker", lambda: True)
    with pytest.raises(KeyboardInterrupt):
        trained(SignalAt(3))


def test_a_loss_that_is_nan_in_the_interrupted_epoch_is_written_by_name():
    history = trained(SignalAt(1), validation=batches(VALUES))[1]
    assert list(history.as_dict()) == ["loss", "learning_rate", "val_loss", "best_epoch"]
    assert math.isnan(history.val_loss[0])
