"""Threads for compiled code, and the number of threads that PyTorch may use meanwhile.

Numba's threading layers are not used: "workqueue" aborts the process when two Python threads enter
it, and "omp" kills a forked child. Python's threads suffice, since compiled code releases the GIL;
a forked child creates new ones.

PyTorch uses OpenMP, and GNU's OpenMP cannot create threads in a forked child: an operation that
needs them would wait forever. `pytorch_on_one_thread_after_fork` prevents that.
"""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

PIECES_PER_THREAD = 4  # work items per thread
SMALLEST_NORMAL = np.finfo(np.float32).tiny

PF_FORKNOEXEC = 0x40  # Linux's flag of a process that was forked and has not called exec since

_pool: tuple[int, ThreadPoolExecutor] | None = None  # the process it belongs to, and the pool
_reserved = threading.local()  # .count is the number of threads inside `pytorch_on_one_thread`
_setting = threading.Lock()  # held while `_set_here` works


def count() -> int:
    """Return the number of threads of compiled code, which `torch.set_num_threads` sets."""
    return getattr(_reserved, "count", 0) or torch.get_num_threads()


@contextmanager
def pytorch_on_one_thread() -> Iterator[None]:
    """Leave the processor to compiled code: PyTorch uses one thread within this context.

    PyTorch's workers spin for some milliseconds after every parallel operation, however small, and
    would occupy the cores that compiled code runs on. Only the calling thread is affected.
    """
    before, outside = torch.get_num_threads(), getattr(_reserved, "count", 0)
    _reserved.count = outside or before
    try:
        _set_here(1)
        yield
    finally:
        _set_here(before)
        _reserved.count = outside


def pytorch_on_one_thread_after_fork() -> AbstractContextManager[None]:
    """In a forked child, let PyTorch use one thread, as workers of its data loaders do."""
    return pytorch_on_one_thread() if _forked else nullcontext()


def _set_here(count: int) -> None:
    """Set the number of PyTorch's threads for the calling thread alone.

    `torch.set_num_threads` also sets the number that new threads begin with. A helper thread notes
    that number first, and restores it afterwards.
    """
    if torch.get_num_threads() == count:
        return
    noted, changed = threading.Event(), threading.Event()

    def keep() -> None:
        number = torch.get_num_threads()
        noted.set()
        changed.wait()
        torch.set_num_threads(number)

    keeper = threading.Thread(target=keep, daemon=True)
    with _setting:
        try:
            keeper.start()
            noted.wait()
            torch.set_num_threads(count)
        finally:
            changed.set()
            if keeper.ident is not None:
                keeper.join()


def run(work: Callable[[int, int, int], None], amount: int, count: int) -> None:
    """Call ``work(first, last, thread)`` for all of 0 … amount-1, in `count` threads at once.

    Each thread takes a piece whenever it is free, so that a slower core does not hold up the
    others. The calling thread is number 0. The first error is raised when all threads have ended.
    """
    pieces_in_all = count * PIECES_PER_THREAD if count > 1 else 1
    edges = [piece * amount // pieces_in_all for piece in range(pieces_in_all + 1)]
    pieces = iter([(first, last) for first, last in pairwise(edges) if first < last])

    def take(thread: int) -> None:
        with _without_denormals():
            for first, last in pieces:  # a list's iterator, which threads may share
                work(first, last, thread)

    others = [_executor().submit(take, thread) for thread in range(1, count)]
    try:
        take(0)
    finally:
        errors = [None if other.cancel() else other.exception() for other in others]
    for error in errors:
        if error is not None:
            raise error


@contextmanager
def _without_denormals() -> Iterator[None]:
    """Round denormal numbers to zero in this thread.

    Values that decay over many steps, such as the states of ReLU cells, end as denormals, for which
    processors need a hundred times as long.
    """
    before = bool(np.float32(SMALLEST_NORMAL) * np.float32(0.5) == 0)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def _executor() -> ThreadPoolExecutor:
    global _pool
    if _pool is None or _pool[0] != os.getpid():
        _pool = os.getpid(), ThreadPoolExecutor(os.cpu_count(), "unspool")
    return _pool[1]


def _is_forked() -> bool:
    """Return whether this process was forked without exec; False where Linux does not say."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        return bool(int(fields[6]) & PF_FORKNOEXEC)
    except (OSError, IndexError, ValueError):
        return False


def _after_fork() -> None:
    global _forked
    _forked = True
    _setting.release()


_forked = _is_forked()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_setting.acquire, after_in_parent=_setting.release, after_in_child=_after_fork
    )
