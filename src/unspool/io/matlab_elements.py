"""The elements of a MAT-file of versions 5 to 7, checked before SciPy reads them.

SciPy looks the type of an element up in a table without checking that it is in it, so that a
damaged file may end the process.
"""

import mmap
import struct
import zlib
from pathlib import Path
from typing import Any

from unspool.errors import InputError

HEADER = 128  # bytes of text, version and byte order
_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 16, 17, 18}
MAX_DEPTH = 50
_CHUNK = 1 << 20


def check_elements(path: Path) -> None:
    """Raise an `InputError` if an element has an unknown type, or is longer than its place."""
    with path.open("rb") as file:
        start = file.read(HEADER)
        order = {b"IM": "<", b"MI": ">"}.get(start[126:128])
        if len(start) < HEADER or 0 in start[:4] or order is None:
            return  # of version 4, or no MAT-file, which SciPy says
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            place = HEADER
            while place < len(data):
                place = _check(data, place, len(data), order, 0)


def _check(data: Any, place: int, end: int, order: str, depth: int) -> int:
    """Check the element at a place; return where the next one is."""
    if place + 8 > end:
        raise _damaged(place)
    kind, size = map(int, struct.unpack_from(f"{order}II", data, place))
    if kind >> 16:  # a small element, with its content in the same eight bytes
        if kind & 0xFFFF not in _NUMBERS or kind >> 16 > 4:
            raise _damaged(place)
        return place + 8
    first, last = place + 8, place + 8 + size
    if last > end or depth > MAX_DEPTH:
        raise _damaged(place)
    if kind == _COMPRESSED and depth == 0:
        _check_compressed(data, first, last)
        return last
    if kind == _MATRIX:
        at = first
        while at < last:
            at = _check(data, at, last, order, depth + 1)
    elif kind not in _NUMBERS or depth == 0:
        raise _damaged(place)
    # Outside of compressed data, elements begin at multiples of eight bytes.
    return last if depth == 0 else min(end, last + -size % 8)


def _check_compressed(data: Any, first: int, last: int) -> None:
    """Check the sum of compressed bytes, whose elements are then those that were written."""
    stream = zlib.decompressobj()
    try:
        for start in range(first, last, _CHUNK):
            rest = bytes(data[start : min(last, start + _CHUNK)])
            while rest and not stream.eof:
                stream.decompress(rest, _CHUNK)
                rest = stream.unconsumed_tail
    except zlib.error:
        raise _damaged(first) from None
    if not stream.eof:
        raise _damaged(first)


def _damaged(place: int) -> InputError:
    return InputError(
        f"the MAT-file is damaged or cut off at byte {place:,}; download or write it again."
    )
