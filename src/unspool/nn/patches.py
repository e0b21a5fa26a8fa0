"""Sequences by patches: consecutive steps side by side, as one step of what reads them."""

from torch import Tensor
from torch.nn import functional

from unspool.blueprint.parts import patches_of
from unspool.lstm.turn import without_padding


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
