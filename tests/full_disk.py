"""A full disk, or nearly: files of this process may have 3,000 bytes."""

import resource
from contextlib import contextmanager

FULL = "cannot be written: File too large."  # a full disk only has other words


@contextmanager
def full_disk():
    """Writing fails at the same calls, in the same manner, as where the disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
