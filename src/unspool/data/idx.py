"""IDX files, the format of MNIST, gzipped or not.

Main path: `read_idx` reads the header, holds what it promises against the size of the file before
any memory is taken, and then reads as many bytes. `load_idx` is what `read_file` makes of them.

The header is two zero bytes, a type, the number of dimensions, and each dimension in four bytes.
All numbers are big-endian.
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

from unspool.data.arrays import of_array
from unspool.data.cutting import WindowOptions
from unspool.data.file_data import FileData
from unspool.data.messages import errors_naming
from unspool.errors import InputError

DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}

MOST_DIMENSIONS = 32  # of a NumPy array before NumPy 2
# Files below so many bytes unpacked are harmless; larger ones that gzip packed tighter than this
# are not images (MNIST's are packed 5 to 1, zeros 1,000 to 1).
SMALL = 1 << 26
TIGHTEST = 200
CHUNK = 1 << 20


def read_idx(path: str | Path) -> npt.NDArray[Any]:
    """Read an IDX file, gzipped or not; its content tells which, whatever it is called.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    array
        Of the file's shape and type, in this machine's byte order; writable.

    Raises
    ------
    InputError
        For a file that cannot be read, is no IDX file, or holds fewer or more bytes than its
        header promises; and for gzip that would unpack to over 64 MiB and 200 times its size. The
        message begins with the path.

    Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits".

    Examples
    --------
    >>> read_idx("train-images-idx3-ubyte.gz").shape  # doctest: +SKIP
    (60000, 28, 28)
    """
    path = Path(path)
    with errors_naming(path):
        return _read(path)


def load_idx(path: Path, options: WindowOptions, *, rows: bool = False) -> FileData:
    """Read an IDX file as an array of its shape; arguments as in `read_file`."""
    values = _read(path)
    if values.itemsize < 4:  # exact, and half of the float64 that whole numbers become
        values = values.astype(np.float32)
    loaded = of_array(values, None, None, options, rows=rows)
    if values.ndim == 3:
        note = "the rows of an image are its steps, the columns its features"
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
                f"its gzip is damaged or cut off ({error}); get the file again."
            ) from None


def _array(stream: IO[bytes] | gzip.GzipFile, length: int, packed: bool) -> npt.NDArray[Any]:
    """Read header and values from `stream`, whose file has `length` bytes."""
    dtype, shape = _header(stream)
    header = 4 + 4 * len(shape)
    size = math.prod(shape) * dtype.itemsize
    promise = (
        f"its header promises {'x'.join(map(str, shape)) or '1'} values of "
        f"{dtype.itemsize} byte{'s' if dtype.itemsize > 1 else ''}, {header + size:,} bytes in all"
    )
    if not packed and length != header + size:
        raise InputError(f"{promise}, and the file has {length:,}; get the file again.")
    if packed and size > max(SMALL, TIGHTEST * length):
        raise InputError(
            f"{promise}, more than {TIGHTEST} times the {length:,} of the file; if that is meant, "
            "unpack it (gunzip) and read the result."
        )
    body = bytearray()  # grows with what is there, not with what is promised
    while chunk := stream.read(min(CHUNK, size - len(body))):
        body += chunk
    # Behind the last value, gzip also checks its sum.
    if len(body) < size or stream.read(1):
        found = "more" if len(body) == size else f"only {header + len(body):,}"
        raise InputError(f"{promise}, and there are {found}; get the file again.")
    try:
        values = np.frombuffer(body, dtype).reshape(shape)
    except ValueError:  # empty, with other dimensions beyond what NumPy counts to
        raise InputError(
            f"{promise}, a shape that no array can have; get the file again."
        ) from None
    return values.astype(dtype.newbyteorder("="), copy=False)


def _header(stream: IO[bytes] | gzip.GzipFile) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """The type and the shape that the file says it holds."""
    magic = stream.read(4)
    if magic[:2] != b"\0\0":
        raise InputError(
            f"this is no IDX file: it begins with {_hexed(magic[:2])}, not with 00 00; check that "
            "it is what its name says."
        )
    if len(magic) == 4:
        kind, dimensions = magic[2:]
        if kind not in DTYPES:
            raise InputError(
                f"this is no IDX file: its third byte is {_hexed(magic[2:3])}, expected a type, "
                f"one of {_hexed(bytes(DTYPES))}; check that it is what its name says."
            )
        if dimensions > MOST_DIMENSIONS:
            raise InputError(
                f"expected at most {MOST_DIMENSIONS} dimensions, got {dimensions}; reshape it "
                "where it was written."
            )
        sizes = stream.read(4 * dimensions)
        if len(sizes) == 4 * dimensions:
            return np.dtype(DTYPES[kind]), struct.unpack(f">{dimensions}I", sizes)
    raise InputError("the file ends within its header; get the file again.")


def _hexed(part: bytes) -> str:
    return part.hex(" ") or "nothing"
