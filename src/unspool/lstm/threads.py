"""A few threads for compiled code.

None of Numba's threading layers is used: the one that is always there aborts the process when two
Python threads meet in it, and the OpenMP one kills a forked child. Python's own threads do here,
since compiled code holds no lock; a forked child makes its own.
"""

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import torch

PIECES = 4  # that a thread's share comes in
TINY = np.finfo(np.float32).tiny  # half of it is denormal

_pool: tuple[int, ThreadPoolExecutor] | None = None  # and the process it belongs to
_own = threading.local()  # .count, where `own_only` holds


def count() -> int:
    """How many threads compiled code uses: as many as PyTorch (`torch.set_num_threads`)."""
    return getattr(_own, "count", 0) or torch.get_num_threads()


@contextmanager
def own_only() -> Iterator[None]:
    """Leave the processor to compiled code: PyTorch keeps to one thread meanwhile.

    Its workers spin for some milliseconds after every parallel operation, however small, and take
    the cores that compiled code runs on.
    """
    before, outside = torch.get_num_threads(), getattr(_own, "count", 0)
    _own.count = count()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        _own.count = outside


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
