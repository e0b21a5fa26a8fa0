"""The experiments of the articles, each run whole by one function."""

from collections.abc import Callable

from unspool.demos.sines import run as _sines

DEMOS: dict[str, Callable[..., None]] = {"sines": _sines}
