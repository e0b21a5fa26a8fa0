"""Files that are written whole or not at all."""

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from unspool.errors import InputError

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be removed
    fcntl = None  # type: ignore[assignment]

ABANDONED = 3600  # seconds after its last byte at which an unfinished file counts as left behind
LONGEST_NAME = 255  # bytes, where the system does not say
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def check_output_path(path: str | Path) -> None:
    """Raise an `InputError` where no file could be written at `path`, whatever its ending."""
    path = Path(path)
    if "\0" in str(path):
        raise InputError(f"{str(path)!r}: no name of a file can hold a zero byte; leave it out.")
    with _told(path):
        target = _target(path)
        folder, size, most = target.parent, len(os.fsencode(target.name)), _longest(target.parent)
        if size > most:
            raise InputError(
                f"{path}: the name of the file has {size} bytes, and {folder} takes names of at "
                f"most {most}; choose a shorter one."
            )
        if path.is_dir():
            raise InputError(f"{path}: this is a folder; name a file in it.")
        if not folder.is_dir():
            raise InputError(f"{path}: there is no folder {folder}; make it first.")
        if not os.access(folder, os.W_OK):
            raise InputError(f"{path}: the folder {folder} cannot be written to; choose another.")
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: this is a device or a pipe; name a file.")


def check_not_overwriting(
    outputs: Mapping[str, Path | None], inputs: Mapping[str, Path | None]
) -> None:
    """Raise an `InputError` where a file that is read would be overwritten.

    Parameters
    ----------
    outputs, inputs : dict of names, such as flags, to paths
    """
    for flag, path in outputs.items():
        for name, read in inputs.items():
            if path is None or read is None or not (path.exists() and read.exists()):
                continue
            if os.path.samefile(path, read):
                raise InputError(
                    f"{path}: {flag} would overwrite the file of {name}, which is read; give "
                    f"another file with {flag}."
                )


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to write to that takes the place of `path` only if all went well.

    Until then it lies beside `path` under a name that no other writer has, be it a thread, a
    process or another machine: the last one to finish stays, whole. What a killed process has left
    there goes with a later write to the same path. A file that was there before keeps its
    permissions, and a link stays a link. The bytes are on the disk (fsync) before the file gets
    its name, so that even a power cut leaves the old file or the new one.

    Raises
    ------
    InputError
        Where the system refuses, as on a full disk. The message names `path`.
    """
    with _told(path):
        target = _target(path)
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
        part = target.with_name(f"{_beginning(target)}{secrets.token_hex(8)}.part")
        descriptor = os.open(part, NEW, 0o666 if mode is None else mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                _lock(descriptor)
                _remove_abandoned(target, now=os.fstat(descriptor).st_mtime)
                if mode is not None:
                    with contextlib.suppress(OSError):  # file systems without permissions
                        part.chmod(mode)  # the umask may have taken some of it
                yield file
                file.flush()
                os.fsync(descriptor)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Make an `InputError` that names `path` of what the system complains of."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}.") from None
    except UnicodeEncodeError:
        raise InputError(
            f"{str(path)!r}: this system has no bytes for such a name; choose another."
        ) from None


def _target(path: Path) -> Path:
    """Where links lead."""
    target = Path(os.path.realpath(path))
    if os.path.islink(target):  # one that leads to itself
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return target


def _longest(folder: Path) -> int:
    """Bytes that the name of a file may have in `folder`."""
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # Windows, a folder that is not there
        return LONGEST_NAME


def _beginning(target: Path) -> str:
    """What the names of unfinished files for `target` begin with."""
    room = _longest(target.parent) - len("..0123456789abcdef.part")
    return f".{os.fsencode(target.name)[:room].decode(errors='ignore')}."


def _lock(descriptor: int) -> bool:
    """Mark an open file as being written, as long as it is open; False where it already was."""
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks: its age alone tells
            return True
    return True


def _remove_abandoned(target: Path, *, now: float) -> None:
    """Remove unfinished files for `target` that nobody has written to for an hour and nobody holds.

    `now` is the time of the file system, whose clock need not be that of this machine.
    """
    name = re.compile(re.escape(_beginning(target)) + r"[0-9a-f]+\.part")
    with os.scandir(target.parent) as entries:
        left = [one for one in entries if name.fullmatch(one.name)]
    for entry in left:
        with contextlib.suppress(OSError):  # gone, or another user's
            old = now - entry.stat(follow_symlinks=False).st_mtime > ABANDONED
            if old and entry.is_file(follow_symlinks=False) and not _held(entry.path):
                os.unlink(entry.path)


def _held(path: str) -> bool:
    """Whether a process that lives is writing the file at `path`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return not _lock(descriptor)
    finally:
        os.close(descriptor)
