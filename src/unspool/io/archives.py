"""Zip archives of unknown origin, which are refused if they would unpack to a suspicious size.

`open_archive` opens the file; `members` checks its directory before anything is unpacked. `zipfile`
never unpacks more bytes of a member than the directory says.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unspool.errors import InputError

# Errors that `zipfile` raises for damaged or malicious files.
DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError),
    *(ValueError, OverflowError),
)
# Largest ratio of unpacked to compressed size. Deflate compresses measured numbers by a factor of a
# few (images of MNIST by 5), rows of 0 and 1 by 100, and one repeated byte by at most 1,030.
MAX_COMPRESSION = 200


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip file for reading; errors of `zipfile` are raised as `InputError`."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(
            f"the archive is damaged ({error}); download or write the file again."
        ) from None


def members(
    archive: zipfile.ZipFile, path: Path, *, harmless: int, instead: str
) -> dict[str, zipfile.ZipInfo]:
    """Return the members of an archive by their names.

    Parameters
    ----------
    archive : ZipFile
        The archive.
    path : Path
        Path of its file.
    harmless : int
        Number of bytes that all members together may unpack to, however small the file is.
    instead : str
        How else to write the file, for messages.

    Raises
    ------
    InputError
        If a name occurs twice, a member is encrypted or compressed by another method than deflate,
        or the archive would unpack to more than `harmless` bytes and more than `MAX_COMPRESSION`
        times its size.
    """
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        if info.filename in found:
            raise InputError(f"the archive contains {info.filename!r} twice; write it again.")
        if info.flag_bits & 1:
            raise InputError(f"{info.filename!r} is encrypted; write it without a password.")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"{info.filename!r} is compressed by an unusual method; {instead}.")
        found[info.filename] = info
    total, size = sum(info.file_size for info in found.values()), path.stat().st_size
    if total > max(harmless, MAX_COMPRESSION * size):
        raise InputError(
            f"the archive has {size:,} bytes and would unpack to {total:,}, more than "
            f"{MAX_COMPRESSION} times its size; if that is intended, {instead}."
        )
    return found
