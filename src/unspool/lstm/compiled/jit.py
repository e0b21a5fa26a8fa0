"""How a function becomes compiled code, and what of it is kept on disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

OPTIONS = {"nogil": True, "error_model": "numpy"}  # division by zero is infinity, as in NumPy

compiled = numba.njit(**OPTIONS)


class Kernel:
    """A function compiled when first called, and kept on disk where that can be.

    A folder that cannot be written, or a damaged file in it, costs the time of compiling, nothing
    else. Kernels and what they call are in this folder: what was kept is out of date when any
    file in it has changed.
    """

    STAMP = tuple(
        (file.name, file.stat().st_mtime, file.stat().st_size)
        for file in sorted(Path(__file__).parent.glob("*.py"))
    )

    def __init__(self, function: Callable[..., None]) -> None:
        self.function = function
        try:
            self.run = numba.njit(cache=True, **OPTIONS)(function)
        except RuntimeError:  # Numba found no folder for it
            self.run = numba.njit(**OPTIONS)(function)
        kept = getattr(getattr(self.run, "_cache", None), "_cache_file", None)
        if kept is not None:  # Numba itself looks at the file of the function alone
            kept._source_stamp = self.STAMP

    def __call__(self, *args: Any) -> None:
        """Run it. Kernels raise nothing themselves: what is raised comes from the cache."""
        try:
            self.run(*args)
        except Exception:
            self.run = numba.njit(**OPTIONS)(self.function)
            self.run(*args)

    @property
    def folder(self) -> str | None:
        """Where it is kept on disk, or None."""
        return getattr(getattr(self.run, "_cache", None), "cache_path", None)
