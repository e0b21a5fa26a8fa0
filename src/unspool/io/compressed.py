"""Compressed files and zip archives, unpacked to a temporary folder.

A file is unpacked at most to `MAX_COMPRESSION` times its size, or to `HARMLESS` bytes.
"""

import bz2
import gzip
import lzma
import re
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path, PurePosixPath
from typing import Any

from unspool import _checks
from unspool.errors import InputError
from unspool.io.archives import MAX_COMPRESSION, members, open_archive
from unspool.io.endings import EXCEL, KEYED, ending_by_content, ending_of, is_known

HARMLESS = 1 << 30  # bytes that any file may unpack to, however small it is
CHUNK = 1 << 20
_ABOUT = re.compile(r"(read_?me|licen[cs]e|changelog|citation|copying)", re.IGNORECASE)

Unpacked = tuple[Path, str | None, tuple[str, ...]]
_once: ContextVar[tuple[ExitStack, dict[Any, Unpacked]] | None] = ContextVar("_once", default=None)


@contextmanager
def unpacked(path: Path, key: str | None) -> Iterator[Unpacked]:
    """Unpack a file; yield the path of what it contains, the rest of the key, and notes.

    The path is that of a file, or of a folder if a zip archive has several files with one ending.

    Parameters
    ----------
    path : Path
        A file that ends in one of `endings.PACKED`.
    key : str, optional
        Name of a file in a zip archive, or of something in the only file.
    """
    once = _once.get()
    if once is None:
        with _in_folder(path, key) as found:
            yield found
        return
    stack, known = once
    at = (path.absolute(), key)
    if at not in known:
        known[at] = stack.enter_context(_in_folder(path, key))
    yield known[at]


@contextmanager
def unpacked_once() -> Iterator[None]:
    """Keep what `unpacked` unpacks until the end of the block; nothing is unpacked twice."""
    with ExitStack() as stack:
        token = _once.set((stack, {}))
        try:
            yield
        finally:
            _once.reset(token)


@contextmanager
def _in_folder(path: Path, key: str | None) -> Iterator[Unpacked]:
    with tempfile.TemporaryDirectory(prefix="unspool-", ignore_cleanup_errors=True) as folder:
        if path.suffix.lower() == ".zip":
            yield _members(path, Path(folder), key)
        else:
            yield _single(path, Path(folder)), key, ()


def _single(path: Path, folder: Path) -> Path:
    """Unpack a file that contains one file, whose name is that of `path` without the ending."""
    ending, inner = path.suffix.lower(), folder / path.stem
    limit = max(HARMLESS, MAX_COMPRESSION * path.stat().st_size)
    try:
        with _opened(path, ending) as stream, inner.open("wb") as file:
            size = 0
            while chunk := stream.read(CHUNK):
                size += len(chunk)
                if size > limit:
                    raise InputError(
                        f"the file unpacks to more than {limit:,} bytes; if that is intended, "
                        "unpack it, and read the result."
                    )
                file.write(chunk)
    except InputError:
        raise
    except (EOFError, OSError, zlib.error, lzma.LZMAError, ValueError) as error:
        raise InputError(
            f"its {ending[1:]} data are damaged or cut off ({error}); download the file again."
        ) from None
    if not inner.suffix:
        with inner.open("rb") as file:
            inner = inner.rename(inner.with_suffix(ending_by_content(file.read(8192))))
    return inner


def _opened(path: Path, ending: str) -> Any:
    if ending == ".gz":
        return gzip.open(path)
    if ending == ".bz2":
        return bz2.open(path)
    if ending == ".xz":
        return lzma.open(path)
    import pyarrow as pa

    return pa.input_stream(path, compression=ending[1:].replace("zst", "zstd"))


def _members(path: Path, folder: Path, key: str | None) -> Unpacked:
    """Unpack the files of a zip archive that contain data, or the one that `key` names."""
    with open_archive(path) as archive:
        instead = "unpack it, and read the result"
        infos = members(archive, path, harmless=HARMLESS, instead=instead)
        if "[Content_Types].xml" in infos or "mimetype" in infos:
            raise InputError(f"this is a spreadsheet; rename it to end in {EXCEL[0]}.")
        names = {
            name: info
            for name, info in infos.items()
            if not info.is_dir() and not any(part[0] in "._" for part in PurePosixPath(name).parts)
        }
        data = [name for name in names if _is_data(name)]
        notes: tuple[str, ...] = ()
        if key is not None:
            chosen = _named(names, key)
            if chosen is None and (len(data) != 1 or ending_of(Path(data[0])) not in KEYED):
                raise InputError(f"`key`: {_checks.unknown_name('file', key, names)}")
            if chosen is not None:
                data, key = [chosen], None
        if not data:
            held = ", ".join(map(repr, list(names)[:8])) or "nothing"
            raise InputError(f"the archive contains no file of data, but {held}.")
        if len({ending_of(Path(name)) for name in data}) > 1:
            raise InputError(
                f"the archive contains {len(data)} files of several formats: "
                f"{', '.join(map(repr, data[:20]))}; name one of them with `key` (--key NAME)."
            )
        left = [name for name in names if name not in data]
        if len(data) == 1:
            notes = (f"file {data[0]!r} of the archive is read",)
        elif left:
            notes = (f"files of the archive that are left out: {', '.join(left[:8])}",)
        # Names of files in an archive may lead out of the folder.
        targets = [
            folder.joinpath(*(p for p in PurePosixPath(name).parts if p not in ("/", "..")))
            for name in data
        ]
        for name, target in zip(data, targets, strict=True):
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(names[name]) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file, CHUNK)
    return (targets[0] if len(data) == 1 else folder), key, notes


def _is_data(name: str) -> bool:
    return is_known(Path(name)) and not _ABOUT.match(PurePosixPath(name).stem)


def _named(names: dict[str, Any], key: str) -> str | None:
    """Return the file with this name, path, or end of a path, if there is one."""
    found = [name for name in names if name == key] or [
        name for name in names if name.endswith(f"/{key}") or PurePosixPath(name).stem == key
    ]
    return found[0] if len(found) == 1 else None
