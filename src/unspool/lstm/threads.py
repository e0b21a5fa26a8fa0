"""A few threads for compiled code, and how many PyTorch may use meanwhile.

None of Numba's threading layers is used: the one that is always there aborts the process when two
Python threads meet in it, and the OpenMP one kills a forked child. Python's own threads do here,
since compiled code holds no lock; a forked child makes its own.

PyTorch's threads are those of OpenMP, and GNU's OpenMP cannot make new ones in a forked child: an
operation that wants them waits for ever. `within_one_after_fork` keeps our work from that.
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

PIECES = 4  # that a thread's share comes in
TINY = np.finfo(np.float32).tiny  # half of it is denormal

FORKED = 0x40  # of Linux's flags of a process: forked, and no other program started since

_pool: tuple[int, ThreadPoolExecutor] | None = None  # and the process it belongs to
_own = threading.local()  # .count, where `own_only` holds
_setting = threading.Lock()  # held while `_set_here` works


def count() -> int:
    """How many threads compiled code uses: as many as PyTorch (`torch.set_num_threads`)."""
    return getattr(_own, "count", 0) or torch.get_num_threads()


@contextmanager
def own_only() -> Iterator[None]:
    """Leave the processor to compiled code: PyTorch keeps to one thread here meanwhile.

    Its workers spin for some milliseconds after every parallel operation, however small, and take
    the cores that compiled code runs on. Other threads, and those that begin meanwhile, notice
    nothing.
    """
    before, outside = torch.get_num_threads(), getattr(_own, "count", 0)
    _own.count = outside or before
    try:
        _set_here(1)
        yield
    finally:
        _set_here(before)
        _own.count = outside


def within_one_after_fork() -> AbstractContextManager[None]:
    """In a forked child, PyTorch keeps to one thread, as its data loaders' workers do."""
    return own_only() if _forked else nullcontext()


def _set_here(count: int) -> None:
    """Set how many threads PyTorch uses in this thread, and in no other.

    `torch.set_num_threads` also sets what every thread begins with. One that begins here notes
    that number first, and puts it back.
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
    """Call ``work(first, last, thread)`` until 0 … amount-1 is done, in `count` threads at once.

    Each takes a piece whenever it is free, so that a slower core does not hold up the others; this
    thread is number 0. The first error is raised when nobody works any more.
    """
    edges = [piece * amount // (count * PIECES) for piece in range(count * PIECES + 1)]
    if count == 1:
        edges = [0, amount]
    pieces = iter([(first, last) for first, last in pairwise(edges) if first < last])

    def take(thread: int) -> None:
        with _without_denormals():
            for first, last in pieces:  # one list's iterator, which threads may share
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
    """Let this thread take numbers too small for a full mantissa for zero.

    What decays over many steps, as the state of ReLU cells does, ends there, and processors need a
    hundred times as long for such numbers.
    """
    before = bool(np.float32(TINY) * np.float32(0.5) == 0)
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
    """Whether this process was forked and runs its parent's program, as far as Linux tells."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        return bool(int(fields[6]) & FORKED)
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
