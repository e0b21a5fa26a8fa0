"""Patches: consecutive steps of a sequence, concatenated to one vector."""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

from unspool._padding import without_padding
from unspool.blueprint.layers import PERIOD, WAVES, patches_of


def patched(x: Tensor, size: int, lengths: Tensor | None = None) -> Tensor:
    """Cut sequences (B, T, F) into patches (B, P, size · F).

    P is T / size, rounded up; an incomplete last patch is padded with zeros.
    """
    if size == 1:
        return x
    batch, steps, features = x.shape
    count = patches_of(steps, size)
    padded = functional.pad(without_padding(x, lengths), (0, 0, 0, count * size - steps))
    return padded.reshape(batch, count, size * features)


def lengths_in_patches(lengths: Tensor | None, size: int) -> Tensor | None:
    """Compute the number of patches (B,) of sequences with `lengths` (B,) steps."""
    if lengths is None or size == 1:
        return lengths
    return (lengths + (size - 1)).div(size, rounding_mode="floor")


def unpatched(patches: Tensor, steps: int) -> Tensor:
    """Join patches (B, P, size, F), or single steps (B, P, F), and cut them to (B, steps, F)."""
    return (patches if patches.ndim == 3 else patches.flatten(1, 2))[:, :steps]


def patch_positions(count: int, code: Tensor) -> Tensor:
    """Encode the positions of `count` patches as sines and cosines, (B, count, 2 · WAVES).

    As in Vaswani et al. 2017, "Attention Is All You Need", section 3.5, but with the frequencies
    of a Fourier series. `code` (B, L) determines batch size, device and dtype.
    """
    return _positions(count).to(code).expand(len(code), -1, -1)


@lru_cache(64)
def _positions(count: int) -> Tensor:
    steps = torch.arange(count, dtype=torch.float64, device="cpu")
    waves = torch.arange(1, WAVES + 1, dtype=torch.float64, device="cpu")
    angles = 2 * torch.pi / PERIOD * steps[:, None] * waves
    return torch.cat([angles.sin(), angles.cos()], 1)
