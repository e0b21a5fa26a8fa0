"""Statistics of states over the steps of a sequence: their definition, for any tensors.

The compiled backend takes the same statistics while it runs (`unspool.lstm.compiled.statistics`);
what the other backends give goes through `pooled`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from unspool.blueprint.parts import POOLINGS, VARIANCE_FLOOR

STATISTICS = POOLINGS["all"]


def pooled(
    statistics: Sequence[str], states: Tensor, last: Tensor, lengths: Tensor | None = None
) -> Tensor:
    """Statistics (B, K, S) of states (B, T, S) over the real steps of each sequence.

    A sequence of no steps has its initial state for the last, the mean, the largest and the
    smallest state, and 0 for the standard deviation.

    Parameters
    ----------
    statistics : sequence of {"last", "mean", "max", "min", "std"}
        K of them. "std" is that of `deviation`. Where several steps have the largest or the
        smallest state, they share its gradient.
    states : tensor of shape (B, T, S)
        What they hold past the end of a sequence has no effect; it has to be finite.
    last : tensor of shape (B, S)
        The final states.
    lengths : whole-number tensor of shape (B,), optional
    """
    instead = torch.stack([0 * last if name == "std" else last for name in statistics], 1)
    if not states.shape[1]:
        return instead
    real = None
    if lengths is not None:
        real = (torch.arange(states.shape[1], device=states.device) < lengths[:, None])[..., None]
    found = [last if name == "last" else _over(name, states, real) for name in statistics]
    if lengths is None:
        return torch.stack(found, 1)
    return torch.where((lengths == 0)[:, None, None], instead, torch.stack(found, 1))


def deviation(variance: Tensor) -> Tensor:
    """The standard deviation: the root of the variance (over T steps, not T - 1) plus a constant.

    The constant keeps the gradient finite.
    """
    return (variance + VARIANCE_FLOOR).sqrt()


def _over(name: str, states: Tensor, real: Tensor | None) -> Tensor:
    """One statistic over the steps that are real."""
    if name in ("max", "min"):
        sign = 1 if name == "max" else -1
        if real is not None:
            states = states.masked_fill(~real, -sign * torch.finfo(states.dtype).max)
        return states.amax(1) if sign > 0 else states.amin(1)
    if real is None:
        mean, count = states.mean(1), None
    else:
        count = real.sum(1).clamp(min=1)
        mean = states.masked_fill(~real, 0).sum(1) / count
    if name == "mean":
        return mean
    apart = states - mean[:, None]
    if real is None or count is None:
        return deviation(apart.square().mean(1))
    return deviation(apart.masked_fill(~real, 0).square().sum(1) / count)
