"""Zip archives from elsewhere: members by name, of which none unpacks to more than is sensible.

Main path: `open_archive` opens the file, `members` looks at its directory before a byte is
unpacked. A member never gives more than the directory says it has.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from unspool.errors import InputError

# What `zipfile` raises for files that are damaged, or made to do damage.
DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, RuntimeError),
    *(ValueError, OverflowError),
)
# Numbers that are data are packed a few times tighter, rows of 0 and 1 a hundred times; deflate
# comes to 1,030 times at most, for one byte over and over.
TIGHTEST = 200


@contextmanager
def open_archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip file for reading; what `zipfile` complains of becomes an `InputError`."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(f"the archive is damaged ({error}); get the file again.") from None


def members(
    archive: zipfile.ZipFile, path: Path, *, harmless: int, instead: str
) -> dict[str, zipfile.ZipInfo]:
    """The members by their names.

    Parameters
    ----------
    archive : ZipFile
        Of the file at `path`.
    harmless : int
        Bytes that all members together may unpack to, however small the file.
    instead : str
        How to write the file otherwise, for the message.

    Raises
    ------
    InputError
        For a name that is there twice; for what is encrypted, or packed by another method than
        deflate; for an archive that would unpack to over `harmless` bytes and `TIGHTEST` times its
        own size.
    """
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        if info.filename in found:
            raise InputError(f"the archive holds {info.filename!r} twice; write it again.")
        if info.flag_bits & 1:
            raise InputError(f"{info.filename!r} is encrypted; write it without a password.")
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"{info.filename!r} is packed in an unusual way; {instead}.")
        found[info.filename] = info
    total, size = sum(info.file_size for info in found.values()), path.stat().st_size
    if total > max(harmless, TIGHTEST * size):
        raise InputError(
            f"the archive has {size:,} bytes and would unpack to {total:,}, over {TIGHTEST} times "
            f"as many; if that is meant, {instead}."
        )
    return found
