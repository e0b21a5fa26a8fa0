"""Sequences by patches, in NumPy; `unspool.nn.patches` has the same for PyTorch."""

import numpy as np

from unspool.blueprint.layers import PERIOD, WAVES, patches_of
from unspool.runtime.recurrence import Array, Ragged


def patched(x: Array, size: int) -> Array:
    """Patches (B, P, size · F) of sequences (B, T, F), zeros where a last one is incomplete.

    What stands past the end of a sequence has to be zero.
    """
    if size == 1:
        return x
    batch, steps, features = x.shape
    count = patches_of(steps, size)
    missing = count * size - steps
    whole = np.pad(x, ((0, 0), (0, missing), (0, 0))) if missing else x
    return whole.reshape(batch, count, size * features)


def in_patches(batch: Ragged, size: int) -> Ragged:
    """The lengths of a batch, counted in patches."""
    if size == 1:
        return batch
    return Ragged(-(-batch.lengths // size), patches_of(batch.steps, size))


def unpatched(patches: Array, steps: int) -> Array:
    """The first steps (steps, B, F) of patches (P, B, size, F), or of single steps (P, B, F)."""
    if patches.ndim == 4:
        count, batch, size, features = patches.shape
        patches = patches.transpose(0, 2, 1, 3).reshape(count * size, batch, features)
    return patches[:steps]


def places(count: int, batch: int) -> Array:
    """The places of patches (count, 2 · WAVES, batch), see `unspool.nn.patches`."""
    waves = 2 * np.pi / PERIOD * np.arange(1, WAVES + 1)
    angles = np.arange(count)[:, None] * waves
    each = np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)
    return np.ascontiguousarray(np.broadcast_to(each[:, :, None], (*each.shape, batch)))
