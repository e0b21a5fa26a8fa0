"""NumPy files, whose header is compared with the size of the file before any memory is allocated.

NumPy allocates the memory that a header requests before it reads the values.
"""

import io
import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from unspool.errors import InputError
from unspool.io.archives import members, open_archive

HARMLESS = 1 << 30  # bytes that any .npz file may unpack to, however small it is
MAX_HEADER = 1 << 14  # bytes; NumPy reads headers of up to 10,000 bytes
PICKLED = (
    "the file contains pickled Python objects, which can run code when they are loaded and are not "
    "read; save numbers: an array (N, T, F), or .npz with `X` and `lengths`."
)
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_npy(path: Path, *, mapped: bool) -> npt.NDArray[Any]:
    """Read the array of a `.npy` file; with `mapped` it is memory-mapped."""
    with path.open("rb") as file:
        _check_header(file, path.stat().st_size)
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    return array


class Npz:
    """The arrays of the `.npz` file at `path`; each is read when it is accessed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._members: dict[str, zipfile.ZipInfo] = {}
        instead = "save it with numpy.savez, which does not compress"
        with open_archive(path) as archive:
            found = members(archive, path, harmless=HARMLESS, instead=instead)
        for name, info in found.items():
            if name.removesuffix(".npy") in self._members:
                raise InputError(f"the file has two arrays named {name!r}; save it again.")
            self._members[name.removesuffix(".npy")] = info
        self.names = list(self._members)

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Return the shape and the dtype of an array, without reading it."""
        info = self._members[name]
        with open_archive(self.path) as archive, archive.open(info) as file:
            return _check_header(file, info.file_size)

    def read(self, name: str) -> npt.NDArray[Any]:
        """Read an array."""
        info = self._members[name]
        with open_archive(self.path) as archive, archive.open(info) as file:
            _check_header(file, info.file_size)
            file.seek(0)
            array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        return array


def _check_header(file: IO[bytes], size: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return shape and dtype; refuse a header that does not agree with the size of the file."""
    start = io.BytesIO(file.read(MAX_HEADER))
    try:
        version = np.lib.format.read_magic(start)
        # Version 3 differs from version 2 only in the encoding of field names.
        shape, _, dtype = _HEADERS[min(version, (2, 0))](start)
        if not all(type(n) is int for n in shape):
            raise ValueError(f"shape {shape}")
        expected = math.prod(shape) * dtype.itemsize
    except Exception as error:  # a header is a Python literal, which can fail in many ways
        reason = " ".join(str(error).split())
        raise InputError(
            f"the array cannot be read: its header is damaged or was not written by numpy.save "
            f"({reason[:200]}); download or write the file again."
        ) from None
    if dtype.hasobject:
        raise InputError(PICKLED)
    found = size - start.tell()
    if expected != found or min(shape, default=0) < 0 or not dtype.itemsize:
        raise InputError(
            f"the array cannot be read: its header says {'x'.join(map(str, shape)) or '1'} values "
            f"of type {dtype}, {expected:,} bytes, but the file has {found:,}; download or write "
            "the file again."
        )
    return shape, dtype
