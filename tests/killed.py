"""Fits that are killed at chosen places, and go on from their checkpoint."""

from contextlib import contextmanager
from unittest.mock import patch

from unspool.training.checkpoint import CheckpointFile


class KilledError(BaseException):
    """Ends a fit, as a signal would that nothing can catch."""


@contextmanager
def killed_after(batches):
    """Kill a fit after this number of batches, before a checkpoint of the last one is written."""
    due, counted = CheckpointFile.due, []

    def counting(file):
        counted.append(1)
        if len(counted) == batches:
            raise KilledError
        return due(file)

    with patch.object(CheckpointFile, "due", counting):
        yield counted


def count_batches(fit, path):
    """Return the number of batches that a fit with a checkpoint trains on."""
    with killed_after(0) as counted:
        fit(checkpoint=path)
    path.unlink()
    return len(counted)


def fitted_with_kills(fit, path, places, every=2):
    """Fit in as many calls as there are `places`, and one more; each is killed at its place.

    A place is a number of batches of this call. A call that ends before is the last one.
    """
    for place in places:
        with killed_after(place):
            try:
                return fit(checkpoint=path, checkpoint_every=every)
            except KilledError:
                pass
    return fit(checkpoint=path, checkpoint_every=every)


def differences(one, other):
    """Return the names of what differs, to the bit, in two fitted estimators."""
    first, second = one.contents(), other.contents()
    found = [
        name
        for name in {*first.tensors, *second.tensors}
        if first.tensors[name].tobytes() != second.tensors[name].tobytes()
    ]
    if repr(first.fitted) != repr(second.fitted):
        found.append("fitted")
    if repr(first.detector) != repr(second.detector):
        found.append("detector")
    return found
