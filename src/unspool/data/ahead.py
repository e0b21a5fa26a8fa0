"""Reading the next part of data in a file while the present part is used."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Place = TypeVar("Place")
Part = TypeVar("Part")


def read_ahead(
    read: Callable[[Place], Part], places: Iterable[Place], *, ahead: bool = True
) -> Iterator[Part]:
    """Yield `read(place)` for each place; while one part is used, a thread reads the next one.

    At most one part is in memory in addition to the one that is used. An error of `read` is raised
    where its part would have been yielded.

    Parameters
    ----------
    read : callable
        Reads a part.
    places : iterable
        Arguments of `read`.
    ahead : bool, default True
        Whether `read` may be called in another thread. Otherwise parts are read when they are used.

    Examples
    --------
    >>> list(read_ahead(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    if not ahead:
        yield from map(read, places)
        return
    remaining = iter(places)
    with ThreadPoolExecutor(1, "unspool-read") as thread:

        def begin() -> Future[Part] | None:
            for place in remaining:
                return thread.submit(read, place)
            return None

        following = begin()
        while following is not None:
            part = following.result()
            following = begin()
            yield part
            del part
