"""IDX files, the format of MNIST, gzipped or not.

`read_idx` reads the header and compares it with the size of the file before any memory is
allocated for the values. `load_idx` returns them as `FileData`.

A header consists of two zero bytes, a type, the number of dimensions, and each dimension in four
bytes. All numbers are big-endian.
"""

import gzip
import math
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from unspool.data.messages import errors_naming
from unspool.errors import InputError
from unspool.io.archives import MAX_COMPRESSION
from unspool.io.arrays import of_array
from unspool.io.file_data import FileData
from unspool.io.options import ReadOptions

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

MAX_DIMENSIONS = 32  # largest number of axes before NumPy 2
HARMLESS = 1 << 26  # bytes that any gzip file may unpack to, however small it is
CHUNK = 1 << 20


def read_idx(path: str | Path) -> npt.NDArray[Any]:
    """Read an IDX file, gzipped or not; its first bytes decide which.

    Parameters
    ----------
    path : str or Path
        Path of the file.

    Returns
    -------
    array
        The values, in the shape and dtype of the file and in native byte order.

    Raises
    ------
    InputError
        If the file cannot be read, is not an IDX file, has fewer or more bytes than its header
        says, or would unpack to more than 64 MiB and 200 times its size. The message begins with
        the path.

    References
    ----------
    .. [1] Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits".

    Examples
    --------
    >>> read_idx("train-images-idx3-ubyte.gz").shape  # doctest: +SKIP
    (60000, 28, 28)
    """
    path = Path(path)
    with errors_naming(path):
        return _read(path)


def read_shape(path: Path) -> tuple[int, ...]:
    """Return the shape in the header of an IDX file."""
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    with gzip.open(path) if packed else path.open("rb") as stream:
        return _header(stream)[1]


def load_idx(path: Path, options: ReadOptions) -> FileData:
    """Read an IDX file as `FileData`."""
    values = _read(path)
    if values.itemsize < 4:  # float32 is exact here, and half as large as the default float64
        values = values.astype(np.float32)
    loaded = of_array(values, None, None, options)
    if values.ndim == 3 and not options.images:
        note = "the rows of an image are read as steps, its columns as features"
        loaded = replace(loaded, notes=(*loaded.notes, note))
    return loaded


def _read(path: Path) -> npt.NDArray[Any]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        length = file.seek(0, 2)
        file.seek(0)
        if not packed:
            return _array(file, length, packed)
        try:
            with gzip.open(file) as unpacked:
                return _array(unpacked, length, packed)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(
                f"its gzip data are damaged or cut off ({error}); download the file again."
            ) from None


def _array(stream: IO[bytes] | gzip.GzipFile, length: int, packed: bool) -> npt.NDArray[Any]:
    """Read header and values from `stream`, whose file has `length` bytes."""
    dtype, shape = _header(stream)
    header = 4 + 4 * len(shape)
    size = math.prod(shape) * dtype.itemsize
    declared = (
        f"its header says {'x'.join(map(str, shape)) or '1'} values of "
        f"{dtype.itemsize} byte{'s' if dtype.itemsize > 1 else ''}, {header + size:,} bytes in all"
    )
    if not packed and length != header + size:
        raise InputError(f"{declared}, but the file has {length:,}; download the file again.")
    if packed and size > max(HARMLESS, MAX_COMPRESSION * length):
        raise InputError(
            f"{declared}, more than {MAX_COMPRESSION} times the {length:,} of the file; if that is "
            "intended, unpack it (gunzip) and read the result."
        )
    body = bytearray()  # grows with the bytes that are read, whatever the header says
    while chunk := stream.read(min(CHUNK, size - len(body))):
        body += chunk
    # Reading past the last value makes gzip verify its checksum.
    if len(body) < size or stream.read(1):
        found = "more" if len(body) == size else f"only {header + len(body):,}"
        raise InputError(f"{declared}, but there are {found}; download the file again.")
    try:
        values = np.frombuffer(body, dtype).reshape(shape)
    except ValueError:  # an empty array with other dimensions that are too large for NumPy
        raise InputError(
            f"{declared}, a shape that no array can have; download the file again."
        ) from None
    return values.astype(dtype.newbyteorder("="), copy=False)


def _header(stream: IO[bytes] | gzip.GzipFile) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return the dtype and the shape in the header."""
    magic = stream.read(4)
    if magic[:2] != b"\0\0":
        raise InputError(
            f"this is not an IDX file: it begins with {_hex(magic[:2])}, not with 00 00; check "
            "the ending of its name."
        )
    if len(magic) == 4:
        kind, dimensions = magic[2:]
        if kind not in DTYPES:
            raise InputError(
                f"this is not an IDX file: its third byte is {_hex(magic[2:3])}, not one of the "
                f"types {_hex(bytes(DTYPES))}; check the ending of its name."
            )
        if dimensions > MAX_DIMENSIONS:
            raise InputError(
                f"expected at most {MAX_DIMENSIONS} dimensions, got {dimensions}; reshape the "
                "array and write it again."
            )
        sizes = stream.read(4 * dimensions)
        if len(sizes) == 4 * dimensions:
            return np.dtype(DTYPES[kind]), struct.unpack(f">{dimensions}I", sizes)
    raise InputError("the file ends within its header; download the file again.")


def _hex(part: bytes) -> str:
    return part.hex(" ") or "nothing"
