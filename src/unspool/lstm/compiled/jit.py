"""Compiling functions, and keeping the compiled code on disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
from numba.core.runtime import rtsys
from numba.extending import register_jitable

OPTIONS = {"nogil": True, "error_model": "numpy"}  # division by zero gives infinity

compiled = numba.njit(**OPTIONS)
# For sizes, which Python computes as well: it runs the function as it is, and compiles nothing.
shared = register_jitable(**OPTIONS)


class Kernel:
    """A function that is compiled when it is first called, and kept on disk if possible.

    If the folder cannot be written, or a file in it is damaged, the function is compiled anew.
    Kernels and the functions they call are all in this folder, so kept code is out of date if any
    file here has changed, or one of the files with numbers that they use.
    """

    STAMP = tuple(
        (file.name, file.stat().st_mtime, file.stat().st_size)
        for file in [
            *sorted(Path(__file__).parent.glob("*.py")),
            *(Path(__file__).parents[2] / name for name in ("_losses.py", "blueprint/layers.py")),
        ]
    )

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        try:
            self.run = numba.njit(cache=True, **OPTIONS)(function)
        except RuntimeError:  # Numba found no folder that can be written
            self.run = numba.njit(**OPTIONS)(function)
        cache = getattr(self.run, "_cache", None)
        kept = getattr(cache, "_cache_file", None)
        if kept is not None:  # Numba would check the file of the function alone
            kept._source_stamp = self.STAMP
        if hasattr(cache, "_load_overload"):
            load_without_registries(cache)

    def __call__(self, *args: Any) -> Any:
        """Run the kernel, and return its result.

        Kernels raise no errors; any error comes from the cache, and the function is compiled anew.
        """
        try:
            return self.run(*args)
        except Exception:
            self.run = numba.njit(**OPTIONS)(self.function)
            return self.run(*args)

    @property
    def folder(self) -> str | None:
        """The folder that keeps the compiled code, or None."""
        return getattr(getattr(self.run, "_cache", None), "cache_path", None)


def load_without_registries(cache: Any) -> None:
    """Load compiled code from a cache of Numba without the registries of functions.

    Numba imports them before it looks into the cache, which takes a quarter of a second of every
    process. They are needed only to compile, and are imported then.
    """

    def load(signature: Any, context: Any) -> Any:
        rtsys.initialize(context)
        with cache._guard_against_spurious_io_errors():
            return cache._load_overload(signature, context)

    cache.load_overload = load
