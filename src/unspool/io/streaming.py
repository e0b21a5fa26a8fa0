"""Whether a file is read in pieces, when its values are needed, or as a whole."""

import os
from pathlib import Path

from unspool._types import MissingPolicy
from unspool.errors import InputError

SHARE = 8  # a file is read in pieces if its values take more than 1 / SHARE of the free memory
WAYS = "give stream=False (--no-stream) to read the whole file"


def streams(size: int, stream: bool | None) -> bool:
    """Return whether a file whose values take `size` bytes in memory is read in pieces.

    `stream` is what the user asked for, or None.
    """
    if stream is not None:
        return stream
    return size > free_memory() // SHARE


def streaming_note(size: int, stream: bool | None) -> str:
    """Say that a file is read in pieces, and why."""
    if stream:
        return "values are read in pieces, when they are needed"
    return (
        f"values are read in pieces, when they are needed, because they take {in_words(size)}, "
        f"more than 1/{SHARE} of the free memory; {WAYS}"
    )


def refuse_policy(policy: MissingPolicy) -> None:
    """Refuse to drop or interpolate missing values of a file that is read in pieces.

    Raises
    ------
    InputError
        If the policy is "drop" or "interpolate".
    """
    if policy in ("drop", "interpolate"):
        raise InputError(
            f"missing={policy!r} (--on-missing {policy}) needs all values at once, but the file is "
            f"read in pieces; give missing='mask' (--on-missing mask), or {WAYS}."
        )


def free_memory() -> int:
    """Return the bytes of memory that programs can use without swapping, about."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):  # not known on this system
        return 8 << 30


def in_words(size: int) -> str:
    """Return a number of bytes with a unit.

    Examples
    --------
    >>> in_words(5_000_000_000), in_words(1500)
    ('5.0 GB', '1.5 kB')
    """
    for power, unit in ((9, "GB"), (6, "MB"), (3, "kB")):
        if size >= 10**power:
            return f"{size / 10**power:.1f} {unit}"
    return f"{size} bytes"
