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
from typing import Any

import torch

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


def run(function: Callable[..., Any], parts: list[tuple[Any, ...]]) -> None:
    """Call `function` with each of `parts` at once, the last one in this thread."""
    *others, own = parts
    futures = [_executor().submit(function, *part) for part in others]
    try:
        function(*own)
    finally:
        errors = [future.exception() for future in futures]  # nobody may still be writing
    for error in errors:
        if error is not None:
            raise error


def _executor() -> ThreadPoolExecutor:
    global _pool
    if _pool is None or _pool[0] != os.getpid():
        _pool = os.getpid(), ThreadPoolExecutor(os.cpu_count(), "unspool")
    return _pool[1]
