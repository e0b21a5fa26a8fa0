"""Reuse of large blocks of memory.

A training step keeps tens of megabytes for its backward pass, and the next step needs the same
amount. The system would take freed blocks back and hand them out again page by page, which takes
a good part of the time of computing their values.
"""

import os
import weakref
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

MIN_BYTES = 1 << 20  # smaller blocks are not kept
MAX_KEPT = 1 << 29  # bytes of all unused blocks that are kept
ALIGNMENT = 64

_free: list[npt.NDArray[np.uint8]] = []  # the block that was freed last is at the end
_lock = Lock()
if hasattr(os, "register_at_fork"):  # a child could wait for a thread that it does not have
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


def block(count: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an uninitialised array of `count` values at an address that is a multiple of 64.

    When the array and all its views are gone, its memory is kept for the next array of about its
    size.
    """
    bytes_ = count * np.dtype(dtype).itemsize
    memory = _take(bytes_ + ALIGNMENT) if bytes_ >= MIN_BYTES else None
    if memory is None:
        memory = np.empty(bytes_ + ALIGNMENT, np.uint8)
    first = -memory.__array_interface__["data"][0] % ALIGNMENT
    # frombuffer, since views of a NumPy view would refer to `memory` and not to `values`.
    values = np.frombuffer(memory.data[first : first + bytes_], dtype)
    if bytes_ >= MIN_BYTES:
        weakref.finalize(values, _free.append, memory).atexit = False
    return values


def _take(size: int) -> npt.NDArray[np.uint8] | None:
    """Take a block of at least `size` bytes, and of at most 1.25 times that, out of `_free`."""
    with _lock:  # other threads may append meanwhile, but blocks are only removed here
        while sum(map(len, _free)) > MAX_KEPT:
            del _free[0]
        for index in reversed(range(len(_free))):
            if size <= len(_free[index]) <= 1.25 * size:
                return _free.pop(index)
    return None
