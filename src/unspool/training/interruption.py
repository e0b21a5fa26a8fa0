"""Ctrl-C and SIGTERM while a model trains: training ends after the current step.

Python's default handlers end a program at any bytecode, and the weights so far are lost. Here a
signal sets a flag that the training loop reads between its steps, where all state is whole. A
second signal ends the program as usual.
"""

import multiprocessing
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

# Within this time after a signal that ended one training, a signal ends the program although the
# next training has begun; so that two Ctrl-C end a search over many fits.
SECONDS_TO_INSIST = 5.0

# The handlers that are replaced; a program that has set others handles its signals itself.
DEFAULTS: dict[int, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}

_current: "Interruption | None" = None  # of the main thread
_last_request = -SECONDS_TO_INSIST  # time at which a signal last set a flag
_terminated = False  # whether SIGTERM has ended a training, and the program goes on


class Interruption:
    """A request to end training, which a signal makes.

    Attributes
    ----------
    requested : signal.Signals or None
        The signal that was received.
    usable : bool
        Whether a model would be kept if training ended now.
    stage : str
        Name of the current stage of training; empty if there is only one.
    progress : str
        When the last stage ended, such as "after 12 of 100 epochs".
    """

    def __init__(self) -> None:
        self.requested: signal.Signals | None = None
        self.usable = False
        self.stage = self.progress = ""
        self._training = self._preliminary = self._nested = 0
        self._answered = False

    @contextmanager
    def training(self) -> Iterator[None]:
        """Wait for the end of a step if a signal arrives inside."""
        self._training += 1
        try:
            yield
        finally:
            self._training -= 1

    @contextmanager
    def preliminary(self) -> Iterator[None]:
        """Train something inside that is of no use without the stages that follow."""
        self._preliminary += 1
        try:
            yield
        finally:
            self._preliminary -= 1

    def end_stage(self, progress: str, *, trained: bool) -> None:
        """Note the end of a stage of training.

        Parameters
        ----------
        progress : str
            When it ended.
        trained : bool
            Whether it has trained for at least one step.

        Raises
        ------
        KeyboardInterrupt
            If a signal has ended it, and nothing usable is left. For SIGTERM, `SystemExit`.
        """
        self.progress = f"{progress} ({self.stage})" if self.stage else progress
        if not self._preliminary and trained:
            self.usable = True
        if self.requested is not None and (self._preliminary or not self.usable):
            self._answered = True
            raise ending(self.requested)

    @property
    def outermost(self) -> bool:
        """Whether no other call waits for the end of this training."""
        return not self._nested

    def answer(self) -> signal.Signals | None:
        """Return the signal that was received, and note that the caller deals with it."""
        if self.requested is not None:
            self._answered = True
        return self.requested

    def request(self, received: signal.Signals) -> bool:
        """Set the flag if training can end later; return False if the program must end now."""
        waits = self._training or self.usable
        if self.requested is not None or not waits:
            return False
        self.requested = received
        return True


def ending(received: signal.Signals) -> BaseException:
    """Return the exception by which a signal ends a program.

    Examples
    --------
    >>> ending(signal.SIGINT), ending(signal.SIGTERM)
    (KeyboardInterrupt(), SystemExit(143))
    """
    if received == signal.SIGINT:
        return KeyboardInterrupt()
    return SystemExit(exit_code(received))


def exit_code(received: signal.Signals) -> int:
    """Return the exit code of a program that a signal has ended: 130 for Ctrl-C, 143 for SIGTERM.

    Examples
    --------
    >>> exit_code(signal.SIGINT), exit_code(signal.SIGTERM)
    (130, 143)
    """
    return 128 + received


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Let SIGINT and SIGTERM end the training inside after the current step.

    Nested calls share one `Interruption`. Signals are left alone in other threads than the main
    thread, which do not receive them; in worker processes, whose parents end them; and if the
    program handles them itself.

    Raises
    ------
    SystemExit
        If SIGTERM has ended a training before, and the program begins another one.
    KeyboardInterrupt
        If a signal arrived after the last call of `answer`.
    """
    global _current, _terminated
    if threading.current_thread() is not threading.main_thread():
        yield Interruption()
    elif _current is not None:
        shared = _current
        shared._nested += 1
        try:
            yield shared
        finally:
            shared._nested -= 1
    elif _is_worker():
        yield Interruption()
    else:
        if _terminated:
            _terminated = False
            raise ending(signal.SIGTERM)
        interruption = Interruption()
        before = {
            number: default
            for number, default in DEFAULTS.items()
            if signal.getsignal(number) in (default, _handle)
        }
        try:
            _current = interruption
            for number in before:
                signal.signal(number, _handle)
            yield interruption
        finally:
            _current = None  # from here on, `_handle` does what the default handlers do
            for number, handler in before.items():
                signal.signal(number, handler)
        if interruption.requested is not None and not interruption._answered:
            raise ending(interruption.requested)


@contextmanager
def not_interruptible() -> Iterator[Interruption]:
    """Leave signals alone in the trainings inside: the first one ends the program."""
    global _current
    before, _current = _current, Interruption()
    try:
        yield _current
    finally:
        _current = before


def _handle(number: int, frame: FrameType | None) -> None:
    """Handle a signal: set the flag, or end the program."""
    global _last_request, _terminated
    received, now = signal.Signals(number), time.monotonic()
    insists = now - _last_request < SECONDS_TO_INSIST
    if _current is None or insists or not _current.request(received):
        _terminated = False
        raise ending(received)
    _last_request, _terminated = now, received == signal.SIGTERM


def _is_worker() -> bool:
    """Return whether this process is a worker of `multiprocessing` or joblib."""
    return multiprocessing.parent_process() is not None
