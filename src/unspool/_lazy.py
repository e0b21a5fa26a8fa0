"""Public names that are imported at first use, with an error that says what to install."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def attach(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Create ``__getattr__``, ``__dir__`` and ``__all__`` of a package.

    Parameters
    ----------
    package : str
        ``__name__`` of the package.
    homes : dict of str to str
        For every public name, the module of the package that defines it. A public module maps to
        its name. The types are in the package's `.pyi` file.
    """
    names = sorted(homes)

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            home = importlib.import_module(f"{package}.{homes[name]}")
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("unspool"):
                raise
            raise ModuleNotFoundError(
                f"{package}.{name} needs {error.name}, which is not installed: "
                'pip install "unspool[train]" installs everything that training needs.',
                name=error.name,
            ) from None
        return home if homes[name] == name else getattr(home, name)

    return load, lambda: names, names
