"""Throughput of a training, and the time that it will still take."""

import time
from collections.abc import Callable

from unspool.training.callbacks import Step


class Pace:
    """Counts sequences and batches, to say how fast training is and how long it will take.

    Parameters
    ----------
    epochs : int
        Maximum number of epochs.
    batches : int
        Number of batches per epoch.
    clock : callable, default time.monotonic
        Returns the current time in seconds.
    """

    def __init__(
        self, epochs: int, batches: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.epochs, self.batches, self.clock = epochs, batches, clock
        self.begin = self.epoch_begin = self.last_step = clock()
        self.epochs_done = 0  # epochs before this one
        self.batch = 0  # batches of this epoch
        self.all_batches = 0  # batches of all epochs since the beginning
        self.sequences = 0  # sequences of this epoch

    def begin_epoch(self) -> None:
        """Start to count the sequences of an epoch."""
        self.epoch_begin = self.last_step = self.clock()
        self.batch = self.sequences = 0

    def resume(self, epochs_done: int, batch: int) -> None:
        """Continue after some epochs and batches, which were not trained now."""
        self.begin_epoch()
        self.epochs_done, self.batch = epochs_done, batch

    def step(self, step: Step) -> None:
        """Count a batch."""
        self.batch, self.all_batches = self.batch + 1, self.all_batches + 1
        self.sequences += step.sequences
        self.last_step = self.clock()

    def end_epoch(self, epochs_done: int) -> None:
        """Note the number of finished epochs; those before the beginning count, too."""
        self.epochs_done, self.batch = epochs_done, 0

    @property
    def seconds(self) -> float:
        """Seconds since the epoch began."""
        return self.clock() - self.epoch_begin

    @property
    def throughput(self) -> str:
        """Sequences per second in this epoch, without its validation; "" before the first batch."""
        seconds = self.last_step - self.epoch_begin
        return f"{self.sequences / seconds:,.0f} sequences/s" if seconds > 0 else ""

    @property
    def left(self) -> str:
        """Time that is left if no epoch is saved by early stopping; "" if it is not known."""
        if not self.all_batches:
            return ""
        total = self.epochs * self.batches
        missing = max(0, total - self.epochs_done * self.batches - self.batch)
        return duration(missing * (self.clock() - self.begin) / self.all_batches) + " left"


def duration(seconds: float) -> str:
    """Write seconds as hours, minutes and seconds.

    Examples
    --------
    >>> duration(5.4), duration(3725)
    ('0:00:05', '1:02:05')
    """
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
