"""Messages about files: the path in front, and names listed in one line."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from unspool.errors import InputError

LISTED = 8  # names that are listed before the rest is counted


@contextmanager
def errors_naming(path: Path) -> Iterator[None]:
    """Raise any error in the block as an `InputError` whose message begins with `path`."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}.") from None
    except UnicodeEncodeError:
        raise InputError(
            f"{path}: the library that reads it accepts only names in UTF-8; rename the file."
        ) from None
    except MemoryError:
        raise InputError(
            f"{path}: there is not enough memory to read it; split it, or write one series (T, F) "
            "as .npy, from which windows are read on demand."
        ) from None


def listed(names: Sequence[str]) -> str:
    """Return names in one line, and only the first ones if there are many."""
    rest = len(names) - LISTED
    return ", ".join(names[:LISTED]) + (f" and {rest:,} more" if rest > 0 else "")
