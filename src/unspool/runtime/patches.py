"""Patches of sequences in NumPy; `unspool.nn.patches` is the same in PyTorch."""

import numpy as np

from unspool.blueprint.layers import PERIOD, WAVES, patches_of
from unspool.runtime.recurrence import Array, BatchLengths


def patched(x: Array, size: int) -> Array:
    """Return patches (B, P, size · F) of sequences (B, T, F), the last one filled up with zeros.

    Values past the end of a sequence must be zero.
    """
    if size == 1:
        return x
    batch, steps, features = x.shape
    count = patches_of(steps, size)
    missing = count * size - steps
    whole = np.pad(x, ((0, 0), (0, missing), (0, 0))) if missing else x
    return whole.reshape(batch, count, size * features)


def in_patches(batch: BatchLengths, size: int) -> BatchLengths:
    """Return the lengths of a batch in patches."""
    if size == 1:
        return batch
    return BatchLengths(-(-batch.lengths // size), patches_of(batch.steps, size))


def unpatched(patches: Array, steps: int) -> Array:
    """Return the first steps (steps, B, F) of patches (P, B, size, F) or of single steps."""
    if patches.ndim == 4:
        count, batch, size, features = patches.shape
        patches = patches.transpose(0, 2, 1, 3).reshape(count * size, batch, features)
    return patches[:steps]


def patch_positions(count: int, batch: int) -> Array:
    """Return the positions of patches as sines and cosines, (count, 2 · WAVES, batch)."""
    waves = 2 * np.pi / PERIOD * np.arange(1, WAVES + 1)
    angles = np.arange(count)[:, None] * waves
    each = np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
    return np.ascontiguousarray(np.broadcast_to(each[:, :, None], (*each.shape, batch)))
