"""Sequences by patches: consecutive steps side by side, as one step of what reads them."""

import torch
from torch import Tensor
from torch.nn import functional

from unspool._padding import without_padding
from unspool.blueprint.layers import PERIOD, WAVES, patches_of


def patched(x: Tensor, size: int, lengths: Tensor | None = None) -> Tensor:
    """Patches (B, P, size · F) of sequences (B, T, F), zeros where a last one is incomplete.

    P is T / size, rounded up.
    """
    if size == 1:
        return x
    batch, steps, features = x.shape
    count = patches_of(steps, size)
    whole = functional.pad(without_padding(x, lengths), (0, 0, 0, count * size - steps))
    return whole.reshape(batch, count, size * features)


def lengths_in_patches(lengths: Tensor | None, size: int) -> Tensor | None:
    """The patches (B,) of sequences of `lengths` (B,) steps."""
    if lengths is None or size == 1:
        return lengths
    return (lengths + (size - 1)).div(size, rounding_mode="floor")


def unpatched(patches: Tensor, steps: int) -> Tensor:
    """The first `steps` (B, steps, F) of patches (B, P, size, F), or of single steps (B, P, F)."""
    return (patches if patches.ndim == 3 else patches.flatten(1, 2))[:, :steps]


def patch_positions(count: int, code: Tensor) -> Tensor:
    """The positions of `count` patches as sines and cosines, (B, count, 2 · WAVES) for codes (B, L).

    Source: Vaswani et al. 2017, "Attention Is All You Need", section 3.5; here with the
    frequencies of a Fourier series.
    """
    steps = torch.arange(count, dtype=torch.float64, device="cpu")
    waves = torch.arange(1, WAVES + 1, dtype=torch.float64, device="cpu")
    angles = 2 * torch.pi / PERIOD * steps[:, None] * waves
    return torch.cat([angles.sin(), angles.cos()], 1).to(code).expand(len(code), -1, -1)
