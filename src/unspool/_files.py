"""Atomic writing of files: a file is written completely or not at all."""

import contextlib
import errno
import math
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
except ImportError:  # Windows, which does not remove open files
    fcntl = None  # type: ignore[assignment]

ABANDONED = 3600  # seconds after the last write at which an unfinished file counts as abandoned
MAX_NAME = 255  # bytes of a file name, if the system does not say
STDOUT = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def is_stdout(path: str | Path) -> bool:
    """Return whether a path means standard output."""
    return str(path) in STDOUT


def refuse_stream(path: Path) -> None:
    """Raise an `InputError` if a path is a device or a pipe, to which no table is written."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise InputError(
            f"{path}: this is a device or a pipe; give - instead, which prints CSV to standard "
            "output, and redirect that."
        )


def check_output_path(path: str | Path) -> None:
    """Raise an `InputError` if no file can be written at `path`."""
    path = Path(path)
    if "\0" in str(path):
        raise InputError(f"{str(path)!r}: a file name cannot contain a zero byte; leave it out.")
    with _named_errors(path):
        target = _resolve(path)
        folder, size = target.parent, len(os.fsencode(target.name))
        limit = _max_name(folder)
        if size > limit:
            raise InputError(
                f"{path}: the file name has {size} bytes, but {folder} allows at most {limit}; "
                "choose a shorter name."
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
    """Raise an `InputError` if an output would overwrite a file that is read.

    Parameters
    ----------
    outputs, inputs : dict of str to Path or None
        Paths by the name of the argument, such as a flag.
    """
    for flag, path in outputs.items():
        for name, read in inputs.items():
            if path is None or read is None or not (path.exists() and read.exists()):
                continue
            if os.path.samefile(path, read):
                raise InputError(
                    f"{path}: {flag} would overwrite the file of {name}, which is read; choose "
                    f"another file for {flag}."
                )


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that replaces `path` only if everything succeeds.

    Until then it is a temporary file in the same folder, with a name that no other writer uses, be
    it a thread, a process or another machine. If several write at once, the last one to finish
    replaces the file as a whole. Temporary files of killed processes are removed by a later write
    to the same path. An existing file keeps its permissions, and a link remains a link. The bytes
    are on the disk (fsync) before the file gets its name, and so is the name at the end: even a
    power cut leaves either the old file or the new one.

    Raises
    ------
    InputError
        If the system refuses, for example because the disk is full. The message names `path`.
    """
    with _named_errors(path):
        target = _resolve(path)
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else None
        temporary = target.with_name(f"{_temporary_prefix(target)}{secrets.token_hex(8)}.part")
        descriptor = os.open(temporary, NEW, 0o666 if mode is None else mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                lock_file(descriptor)
                _remove_abandoned(target, now=os.fstat(descriptor).st_mtime)
                if mode is not None:
                    with contextlib.suppress(OSError):  # a file system without permissions
                        temporary.chmod(mode)  # the umask may have removed permissions
                yield file
                file.flush()
                os.fsync(descriptor)
            temporary.replace(target)
            _sync_folder(target.parent)
        finally:
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Wait until the names of the files in `folder` are on the disk."""
    if os.name != "posix":  # folders cannot be opened
        return
    with contextlib.suppress(OSError):  # a file system without it
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Convert errors of the system to an `InputError` that names `path`."""
    try:
        yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}.") from None
    except UnicodeEncodeError:
        raise InputError(
            f"{str(path)!r}: this system cannot encode the name; choose another one."
        ) from None


def _resolve(path: Path) -> Path:
    """Follow links."""
    target = Path(os.path.realpath(path))
    if os.path.islink(target):  # a link to itself
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return target


def _max_name(folder: Path) -> int:
    """Return the maximum length of a file name in `folder`, in bytes."""
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # Windows, or a missing folder
        return MAX_NAME


def _temporary_prefix(target: Path) -> str:
    """Return the prefix of temporary files for `target`."""
    room = _max_name(target.parent) - len("..0123456789abcdef.part")
    return f".{os.fsencode(target.name)[:room].decode(errors='ignore')}."


def lock_file(descriptor: int) -> bool:
    """Lock a file until it is closed; return False if another process has locked it."""
    if fcntl is not None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks: only the age of the file counts
            return True
    return True


def _remove_abandoned(target: Path, *, now: float) -> None:
    """Remove unlocked temporary files for `target` that are more than an hour old.

    `now` is the time of the file system, whose clock may differ from that of this machine.
    """
    name = re.compile(re.escape(_temporary_prefix(target)) + r"[0-9a-f]+\.part")
    with os.scandir(target.parent) as entries:
        found = [entry for entry in entries if name.fullmatch(entry.name)]
    for entry in found:
        with contextlib.suppress(OSError):  # already removed, or owned by another user
            old = now - entry.stat(follow_symlinks=False).st_mtime > ABANDONED
            if old and entry.is_file(follow_symlinks=False) and not _is_locked(entry.path):
                os.unlink(entry.path)


def remove_unfinished(path: Path) -> None:
    """Remove temporary files for `path` that no running process writes, however new they are.

    Only for a caller who knows that nobody begins to write at `path` now.
    """
    with _named_errors(path):
        _remove_abandoned(_resolve(path), now=math.inf)


def _is_locked(path: str) -> bool:
    """Return whether a running process is writing the file at `path`."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return not lock_file(descriptor)
    finally:
        os.close(descriptor)
