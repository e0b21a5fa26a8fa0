"""Callbacks that send the process a signal at a given place of training."""

import signal

import pytest

from unspool.training import interruption
from unspool.training.callbacks import Callback


@pytest.fixture
def fresh_signals(monkeypatch):
    """Forget the signals of earlier tests; check that the handlers are the same afterwards."""
    monkeypatch.setattr(interruption, "_last_request", -interruption.SECONDS_TO_INSIST)
    monkeypatch.setattr(interruption, "_terminated", False)
    before = [signal.getsignal(number) for number in interruption.DEFAULTS]
    yield
    assert [signal.getsignal(number) for number in interruption.DEFAULTS] == before
    assert interruption._current is None


class SignalAt(Callback):
    """Sends signals after steps of training, numbered from 1 in all epochs."""

    def __init__(self, *steps, number=signal.SIGINT):
        self.steps, self.number, self.done = steps, number, 0

    def on_batch_end(self, step):
        self.done += 1
        for _ in range(self.steps.count(self.done)):
            signal.raise_signal(self.number)


class SignalInEpoch:
    """Sends signals at an epoch, numbered from 1 in all stages; for `fit(callbacks=)`."""

    def __init__(self, epoch, *numbers, at="begin"):
        self.epoch, self.numbers, self.at = epoch, numbers or (signal.SIGINT,), at
        self.begun = self.ended = 0

    def on_epoch_begin(self, model):
        self.begun += 1
        if self.at == "begin" and self.begun == self.epoch:
            self.send()

    def on_epoch_end(self, model, history):
        self.ended += 1
        if self.at == "end" and self.ended == self.epoch:
            self.send()

    def send(self):
        for number in self.numbers:
            signal.raise_signal(number)
