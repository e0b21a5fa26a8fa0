"""Packages that only some of unspool needs: imported at use."""

import importlib
from types import ModuleType

from unspool.errors import InputError


def import_optional(module: str, extra: str) -> ModuleType:
    """Import `module`, or say which extra of unspool's brings it.

    Parameters
    ----------
    module : str
        Its full name.
    extra : str
        One of ``[project.optional-dependencies]``.

    Raises
    ------
    InputError
        Where the package is not installed.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise  # it is there, and lacks something itself
        raise InputError(f'This needs {package}: pip install "unspool[{extra}]"') from None
