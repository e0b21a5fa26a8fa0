"""NumPy's files: what a header promises is compared with the bytes that are there.

NumPy itself takes the memory that a header asks for, and then reads.
"""

import io
import math
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from unspool.data.archives import members, open_archive
from unspool.errors import InputError

HARMLESS = 1 << 30  # bytes that a small .npz may unpack to
LONGEST_HEADER = 1 << 14  # bytes; NumPy takes 10,000 at most
PICKLED = (
    "it holds pickled Python objects, which can run code when loaded and are not read; save "
    "numbers: an array (N, T, F), or .npz with `X` and `lengths`."
)
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_npy(path: Path, *, mapped: bool) -> npt.NDArray[Any]:
    """The array of a `.npy` file, memory-mapped where that is asked for."""
    with path.open("rb") as file:
        _check_header(file, path.stat().st_size)
    array: npt.NDArray[Any] = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    return array


class Npz:
    """The arrays of a `.npz` file, each of which is read when it is asked for.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._members: dict[str, zipfile.ZipInfo] = {}
        instead = "save it with numpy.savez, which does not pack"
        with open_archive(path) as archive:
            found = members(archive, path, harmless=HARMLESS, instead=instead)
        for name, info in found.items():
            if name.removesuffix(".npy") in self._members:
                raise InputError(f"it holds two arrays of the name {name!r}; save it again.")
            self._members[name.removesuffix(".npy")] = info
        self.names = list(self._members)

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        info = self._members[name]
        with open_archive(self.path) as archive, archive.open(info) as file:
            _check_header(file, info.file_size)
            file.seek(0)
            array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        return array


def _check_header(file: IO[bytes], size: int) -> None:
    """Refuse a header that promises more or less than is behind it in a file of `size` bytes."""
    start = io.BytesIO(file.read(LONGEST_HEADER))
    try:
        version = np.lib.format.read_magic(start)
        # Version 3 is version 2 with other letters, which only names of fields can have.
        shape, _, dtype = _HEADERS[min(version, (2, 0))](start)
        if not all(type(n) is int for n in shape):
            raise ValueError(f"shape {shape}")
        promised = math.prod(shape) * dtype.itemsize
    except Exception as error:  # it is Python's own syntax, and much can be wrong with it
        reason = " ".join(str(error).split())
        raise InputError(
            f"the array cannot be read: its header is damaged or none of numpy.save's "
            f"({reason[:200]}); get the file again."
        ) from None
    if dtype.hasobject:
        raise InputError(PICKLED)
    there = size - start.tell()
    if promised != there or min(shape, default=0) < 0 or not dtype.itemsize:
        raise InputError(
            f"the array cannot be read: its header promises {'x'.join(map(str, shape)) or '1'} "
            f"values of type {dtype}, {promised:,} bytes, and there are {there:,}; get the file "
            "again."
        )
