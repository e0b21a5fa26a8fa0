"""A lock on a file, so that two processes do not train with one checkpoint.

The lock is that of the system (flock) on a small file next to it. The system releases it when the
process ends, also if it is killed. Where there is no such lock, nothing is locked.
"""

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from unspool.errors import InputError

MAX_OWNER = 300  # bytes of the description of the process that holds a lock


class Lock:
    """A lock that is held until `release`, or until the process ends.

    Parameters
    ----------
    path : Path
        The file that only one process may write.

    Raises
    ------
    InputError
        If another fit holds the lock; the message names its process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.with_name(f".{path.name}.lock")
        self._descriptor: int | None = None
        fcntl = _system_locks()
        if fcntl is None:
            return
        while True:
            try:
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
            except OSError:  # the folder is not writable, and so the checkpoint is not
                return
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.read(descriptor, MAX_OWNER).decode("utf-8", "replace").strip()
                os.close(descriptor)
                raise InputError(
                    f"{path} is in use by another fit ({owner}), which has not ended; wait for it, "
                    "or give another `checkpoint`."
                ) from None
            except OSError:  # a file system without locks
                os.close(descriptor)
                return
            if self._is_at_path(descriptor):
                break
            os.close(descriptor)  # the process that had the lock has removed the file
        self._descriptor, self._process = descriptor, os.getpid()
        with suppress(OSError):  # on a full disk the lock holds without a name
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())

    def _is_at_path(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), os.stat(self.path))
        except OSError:
            return False

    def release(self) -> None:
        """Remove the file and release the lock; further calls do nothing.

        In a process that was forked from the one with the lock, the lock remains.
        """
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        if self._process == os.getpid():
            with suppress(OSError):
                self.path.unlink()  # while it is locked, so that nobody else has it
        os.close(descriptor)

    def __del__(self) -> None:
        self.release()


def _system_locks() -> Any:
    """Return the module `fcntl`, or None on Windows."""
    try:
        import fcntl
    except ImportError:
        return None
    return fcntl
