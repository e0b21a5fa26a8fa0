"""Statistics of states over the steps of a sequence: their definition, for any tensors.

The compiled backend takes the same statistics while it runs (`unspool.lstm.compiled.statistics`);
what the other backends give goes through `pooled`.
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


def pooled_parts(
    statistics: Sequence[str], states: Tensor, count: int, lengths: Tensor | None = None
) -> Tensor:
    """Statistics (B, count · K, S) of states (B, T, S) over each of `count` parts of a sequence.

    Part i of a sequence of n steps consists of the steps from ``i * n // count`` up to, but not
    including, ``(i + 1) * n // count``, and of the first of these where there are none; of a
    sequence of no steps all statistics are 0.

    Parameters
    ----------
    statistics : sequence of {"mean", "max", "min", "std"}
    states : tensor of shape (B, T, S)
    count : int
    lengths : whole-number tensor of shape (B,), optional
    """
    batch, steps, width = states.shape
    if lengths is None:
        lengths = torch.full((batch,), steps, device=states.device)
    ends = torch.arange(count + 1, device=states.device) * lengths.long()[:, None] // count
    first = ends[:, :-1]  # (B, count)
    sizes = torch.minimum((ends[:, 1:] - first).clamp(min=1), lengths[:, None])
    own = torch.arange(int(sizes.max()) if batch else 0, device=states.device)
    places = (first[..., None] + own).clamp(max=max(steps - 1, 0))  # (B, count, steps of a part)
    rows = torch.arange(batch, device=states.device)[:, None, None]
    parts = states[rows, places].flatten(0, 1)
    nothing = states.new_zeros(batch * count, width)
    return pooled(statistics, parts, nothing, sizes.flatten()).view(batch, -1, width)


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
        count: int | Tensor = states.shape[1]
    else:
        count, states = real.sum(1).clamp(min=1), states.masked_fill(~real, 0)
    mean = total(states) / count
    if name == "mean":
        return mean
    apart = states - mean[:, None]
    if real is not None:
        apart = apart.masked_fill(~real, 0)
    return deviation(total(apart.square()) / count)


def total(values: Tensor) -> Tensor:
    """Sums (B, S) over the steps of (B, T, S), with the same bits whatever the batch or padding.

    Neighbours are added up until one is left. Zeros at the end change nothing in that order.
    """
    while values.shape[1] > 1:
        if values.shape[1] % 2:
            values = functional.pad(values, (0, 0, 0, 1))
        values = values[:, ::2] + values[:, 1::2]
    return values[:, 0]
