"""What computes the recurrent layers of the runtime: compiled kernels if Numba is there, or NumPy.

Numba is imported when layers run for the first time, and nothing here needs it.
"""

import importlib
from functools import cache
from types import ModuleType

from unspool import _checks
from unspool._types import RuntimeBackendName
from unspool.errors import InputError

BACKENDS = ("auto", "compiled", "numpy")


@cache
def _with_numba(module: str) -> ModuleType | None:
    """Import a module of the runtime that needs Numba; return None if Numba cannot be used."""
    try:
        config = importlib.import_module("numba.core.config")
        if config.DISABLE_JIT:
            return None
        return importlib.import_module(f"unspool.runtime.{module}")
    except (ImportError, OSError):  # not installed, not for this NumPy, or without its libraries
        return None


def check_backend(backend: RuntimeBackendName) -> None:
    """Raise an `InputError` if `backend` is unknown, or is "compiled" without Numba."""
    _checks.raise_all(_checks.choice("backend", backend, BACKENDS))
    if backend == "compiled" and _with_numba("compiled") is None:
        raise InputError(
            "`backend` 'compiled' needs numba, which cannot be used here; use backend='numpy', or "
            'pip install "unspool[train]".'
        )


def kernels(backend: RuntimeBackendName, module: str = "compiled") -> ModuleType | None:
    """Return the module that runs compiled kernels, or None if NumPy computes."""
    return None if backend == "numpy" else _with_numba(module)
