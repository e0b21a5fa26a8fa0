"""Lines of a file that grows, or of stdin, and signals that wait until a line is done with."""

import hashlib
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import IO, Any, Self

from unspool.errors import InputError

PAUSE = 0.2  # seconds between two looks at a file that had no more
STDIN = "-"
BEGINNING = 4096  # bytes


def digest_of(data: bytes) -> bytes:
    """Tells data from others, in 32 bytes."""
    return hashlib.sha256(data).digest()


class Growing:
    """A file that others append lines to, or stdin.

    Parameters
    ----------
    path : Path
        `-` is stdin. A pipe ends where its writer ends, as stdin does.

    Attributes
    ----------
    name : str
        For messages.
    position : int
        Bytes of lines that are done with, see `done`.
    beginning : bytes
        The first `BEGINNING` of them, by which the file is known again.
    grows : bool
        Whether it is a file of the disk, which has no end.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.position, self.grows = path, 0, False
        self.beginning = b""
        self.name = "stdin" if str(path) == STDIN else path.name
        self._file: IO[bytes]
        if str(path) == STDIN:
            self._file = sys.stdin.buffer
            return
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from None
        self.grows = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if str(self.path) != STDIN:
            self._file.close()

    def __iter__(self) -> Iterator[bytes]:
        """Lines with their ends; the last line of a stream may lack one."""
        line = b""
        while True:
            line += self._file.readline()
            if line.endswith(b"\n"):
                yield line
                line = b""
            elif not self.grows:
                if line:
                    yield line
                return
            else:
                self._check_same(self.position + len(line))
                time.sleep(PAUSE)

    def done(self, line: bytes) -> None:
        """Count a line as done with."""
        self.position += len(line)
        self.beginning += line[: BEGINNING - len(self.beginning)]

    def first_line(self) -> bytes:
        """The first line that is not empty."""
        with self.path.open("rb") as file:
            return next((line for line in file if line.strip()), b"")

    def go_on(self, position: int, digest: bytes) -> None:
        """Read on at a place that an earlier run reached, if this is the file that it read.

        Parameters
        ----------
        position : int
        digest : bytes
            What `digest_of` gave for its beginning.
        """
        beginning = self._file.read(min(position, BEGINNING))
        size = os.fstat(self._file.fileno()).st_size
        if size < position or digest_of(beginning) != digest:
            self._file.seek(0)
            return
        self._file.seek(position)
        self.position, self.beginning = position, beginning

    def _check_same(self, read: int) -> None:
        """Raise where the file is not the one that was opened, or has lost bytes that were read."""
        now: Any = None
        own = os.fstat(self._file.fileno())
        try:
            now = self.path.stat()
        except FileNotFoundError:
            happened = "removed"
        else:
            happened = "replaced by another file" if not os.path.samestat(now, own) else ""
        if not happened and now.st_size < read:
            happened = f"truncated, from {read:,} bytes to {now.st_size:,}"
        if happened:
            raise InputError(
                f"{self.path}: the file was {happened} while it was followed; start again to "
                "follow what is there now."
            )


class Interruptible:
    """Ctrl-C, and the signal that asks a process to end, as `KeyboardInterrupt` between lines."""

    def __init__(self) -> None:
        self._held = self._came = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # others get no signals
            for one in (signal.SIGINT, signal.SIGTERM):
                self._before[one] = signal.signal(one, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._held:
            raise KeyboardInterrupt
        self._came = True

    @contextmanager
    def held_off(self) -> Iterator[None]:
        """Let what is done here come to its end first."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
        if self._came:
            raise KeyboardInterrupt
