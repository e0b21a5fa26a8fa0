"""Large blocks of memory, used again.

What a training step keeps for its backward pass is tens of megabytes, and the next step wants as
much. The system takes such blocks back when they are freed and hands them out again page by page,
which takes a good part of the time of computing what goes in.
"""

import os
import weakref
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

SMALLEST = 1 << 20  # bytes of a block worth keeping
KEPT = 1 << 29  # bytes kept in all, while nobody uses them
ALIGNMENT = 64

_free: list[npt.NDArray[np.uint8]] = []  # the one given back last stands last
_lock = Lock()
if hasattr(os, "register_at_fork"):  # a child would wait for a thread that it does not have
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


def block(count: int, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """`count` values, not set, from a multiple of 64 bytes on.

    When the array and all its views are gone, its memory waits for the next of about its size.
    """
    bytes_ = count * np.dtype(dtype).itemsize
    memory = _take(bytes_ + ALIGNMENT) if bytes_ >= SMALLEST else None
    if memory is None:
        memory = np.empty(bytes_ + ALIGNMENT, np.uint8)
    first = -memory.__array_interface__["data"][0] % ALIGNMENT
    # Not a view of an array: views of views refer to the first one, past those in between.
    values = np.frombuffer(memory.data[first : first + bytes_], dtype)
    if bytes_ >= SMALLEST:
        weakref.finalize(values, _free.append, memory).atexit = False
    return values


def _take(size: int) -> npt.NDArray[np.uint8] | None:
    with _lock:  # others may append meanwhile, but only here is anything taken out
        while sum(map(len, _free)) > KEPT:
            del _free[0]
        for place in reversed(range(len(_free))):
            if size <= len(_free[place]) <= 1.25 * size:
                return _free.pop(place)
    return None
