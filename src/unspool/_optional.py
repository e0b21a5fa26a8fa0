"""Optional packages, imported when they are used."""

import importlib
from types import ModuleType

from unspool.errors import InputError


def import_optional(module: str, extra: str) -> ModuleType:
    """Import `module`, or raise an error that says which extra of unspool installs it.

    Parameters
    ----------
    module : str
        Full name of the module.
    extra : str
        Name of the extra in ``[project.optional-dependencies]``.

    Raises
    ------
    InputError
        If the package is not installed.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise  # the package is installed, but one of its dependencies is not
        raise InputError(f'This needs {package}: pip install "unspool[{extra}]"') from None
