"""Lines of a growing file or of stdin, and signals that wait until a line is processed."""

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

POLL_SECONDS = 0.2  # pause before a file is read again after its end
STDIN = "-"
BEGINNING = 4096  # bytes by which a file is recognised


def digest_of(data: bytes) -> bytes:
    """Return the SHA-256 digest of data."""
    return hashlib.sha256(data).digest()


class FollowedFile:
    """A file to which other programs append lines, or stdin.

    Parameters
    ----------
    path : Path
        Path of the file, or `-` for stdin. A named pipe ends when its writer ends, like stdin.

    Attributes
    ----------
    name : str
        Name for messages.
    position : int
        Number of bytes of the processed lines; see `mark_processed`.
    beginning : bytes
        The first `BEGINNING` of these bytes, by which the file is recognised in a later run.
    grows : bool
        Whether it is a regular file, which is polled for more lines at its end.
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
        self.close()

    def close(self) -> None:
        """Close the file; stdin stays open."""
        if str(self.path) != STDIN:
            self._file.close()

    def __iter__(self) -> Iterator[bytes]:
        """Yield the lines with their line ends; the last line of a stream may have none."""
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
                time.sleep(POLL_SECONDS)

    def mark_processed(self, line: bytes) -> None:
        """Count a line as processed."""
        self.position += len(line)
        self.beginning += line[: BEGINNING - len(self.beginning)]

    def start(self) -> bytes:
        """Return the first bytes of a regular file."""
        with self.path.open("rb") as file:
            return file.read(BEGINNING)

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of a regular file from its beginning."""
        with self.path.open("rb") as file:
            yield from file

    def resume(self, position: int, digest: bytes) -> None:
        """Continue at the position of an earlier run, if this is the file that it read.

        Parameters
        ----------
        position : int
            Number of bytes that the earlier run processed.
        digest : bytes
            `digest_of` the first of these bytes.
        """
        beginning = self._file.read(min(position, BEGINNING))
        size = os.fstat(self._file.fileno()).st_size
        if size < position or digest_of(beginning) != digest:
            self._file.seek(0)
            return
        self._file.seek(position)
        self.position, self.beginning = position, beginning

    def _check_same(self, read: int) -> None:
        """Raise if the file was removed, replaced, or truncated to fewer bytes than were read."""
        now: Any = None
        opened = os.fstat(self._file.fileno())
        try:
            now = self.path.stat()
        except FileNotFoundError:
            happened = "removed"
        else:
            happened = "replaced by another file" if not os.path.samestat(now, opened) else ""
        if not happened and now.st_size < read:
            happened = f"truncated, from {read:,} bytes to {now.st_size:,}"
        if happened:
            raise InputError(
                f"{self.path}: the file was {happened} while it was followed; start again to "
                "follow the current file."
            )


class InterruptBetweenLines:
    """Raise `KeyboardInterrupt` for SIGINT and SIGTERM, but not while a line is processed."""

    def __init__(self) -> None:
        self._deferred = self._received = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():  # only it receives signals
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if not self._deferred:
            raise KeyboardInterrupt
        self._received = True

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Defer signals until the end of the block."""
        self._deferred = True
        try:
            yield
        finally:
            self._deferred = False
        if self._received:
            raise KeyboardInterrupt
