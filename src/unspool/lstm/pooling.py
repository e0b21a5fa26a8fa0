"""Statistics of the states over the steps of a sequence, in PyTorch.

`lstm` applies `pooled` to the states of all backends except "compiled", which computes the same
statistics while it runs (`unspool.lstm.compiled.statistics`).
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from unspool.blueprint.layers import POOLINGS, VARIANCE_FLOOR

STATISTICS = POOLINGS["all"]


def pooled(
    statistics: Sequence[str], states: Tensor, last: Tensor, lengths: Tensor | None = None
) -> Tensor:
    """Return statistics (B, K, S) of states (B, T, S) over the real steps of each sequence.

    For a sequence without steps, `last` is also the mean, the largest and the smallest state, and
    the standard deviation is 0.

    Parameters
    ----------
    statistics : sequence of {"last", "mean", "max", "min", "std"}
        The K statistics. "std" is defined by `deviation`. If several steps have the largest or
        the smallest state, they share its gradient equally.
    states : tensor of shape (B, T, S)
        Values past the end of a sequence have no effect; they have to be finite.
    last : tensor of shape (B, S)
        The final states.
    lengths : whole-number tensor of shape (B,), optional
        Number of real steps of each sequence, all T by default.
    """
    without_steps = torch.stack([0 * last if name == "std" else last for name in statistics], 1)
    if not states.shape[1]:
        return without_steps
    real = None
    if lengths is not None:
        real = (torch.arange(states.shape[1], device=states.device) < lengths[:, None])[..., None]
    result = torch.stack(
        [last if name == "last" else _over_steps(name, states, real) for name in statistics], 1
    )
    if lengths is None:
        return result
    return torch.where((lengths == 0)[:, None, None], without_steps, result)


def pooled_parts(
    statistics: Sequence[str], states: Tensor, count: int, lengths: Tensor | None = None
) -> Tensor:
    """Return statistics (B, count · K, S) of states (B, T, S) over `count` parts of each sequence.

    Part i of a sequence of n steps has the steps from ``i * n // count`` up to, but not including,
    ``(i + 1) * n // count``; if this range is empty, step ``i * n // count`` alone. For a sequence
    without steps all statistics are 0.

    Parameters
    ----------
    statistics : sequence of {"mean", "max", "min", "std"}
        The K statistics.
    states : tensor of shape (B, T, S)
    count : int
        Number of parts.
    lengths : whole-number tensor of shape (B,), optional
        Number of real steps of each sequence, all T by default.
    """
    batch, steps, width = states.shape
    if lengths is None:
        lengths = torch.full((batch,), steps, device=states.device)
    ends = torch.arange(count + 1, device=states.device) * lengths.long()[:, None] // count
    first = ends[:, :-1]  # (B, count)
    sizes = torch.minimum((ends[:, 1:] - first).clamp(min=1), lengths[:, None])
    within = torch.arange(int(sizes.max()) if batch else 0, device=states.device)
    indices = (first[..., None] + within).clamp(
        max=max(steps - 1, 0)
    )  # (B, count, steps of a part)
    rows = torch.arange(batch, device=states.device)[:, None, None]
    parts = states[rows, indices].flatten(0, 1)
    zeros = states.new_zeros(batch * count, width)
    return pooled(statistics, parts, zeros, sizes.flatten()).view(batch, -1, width)


def deviation(variance: Tensor) -> Tensor:
    """Return the standard deviation, the root of the variance plus `VARIANCE_FLOOR`.

    The variance divides by T, not by T - 1. The constant keeps the gradient finite.
    """
    return (variance + VARIANCE_FLOOR).sqrt()


def _over_steps(name: str, states: Tensor, real: Tensor | None) -> Tensor:
    """Return one statistic (B, S) over the real steps."""
    if name in ("max", "min"):
        sign = 1 if name == "max" else -1
        if real is not None:
            states = states.masked_fill(~real, -sign * torch.finfo(states.dtype).max)
        return states.amax(1) if sign > 0 else states.amin(1)
    if real is None:
        count: int | Tensor = states.shape[1]
    else:
        count, states = real.sum(1).clamp(min=1), states.masked_fill(~real, 0)
    mean = total(states) / count
    if name == "mean":
        return mean
    difference = states - mean[:, None]
    if real is not None:
        difference = difference.masked_fill(~real, 0)
    return deviation(total(difference.square()) / count)


def total(values: Tensor) -> Tensor:
    """Return the sums (B, S) over the steps of (B, T, S), with the same bits for any batch size.

    Neighbouring steps are added until one is left. In this order, zeros that pad the end change
    no bit either.
    """
    while values.shape[1] > 1:
        if values.shape[1] % 2:
            values = functional.pad(values, (0, 0, 0, 1))
        values = values[:, ::2] + values[:, 1::2]
    return values[:, 0]
