"""From the states of an encoder at all steps to one vector."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from unspool.blueprint.parts import VARIANCE_FLOOR


class Pooling(nn.Module):
    """Statistics of states (B, T, S) over the real steps of each sequence, side by side.

    A sequence of no steps has its initial state for the last, the mean, the largest and the
    smallest state.

    Parameters
    ----------
    statistics : sequence of {"last", "mean", "max", "min", "std"}
        "std" is the square root of the variance (over T steps, not T - 1) plus a small constant,
        so that its gradient stays finite.
    """

    def __init__(self, statistics: Sequence[str]) -> None:
        super().__init__()
        self.statistics = tuple(statistics)

    def forward(self, states: Tensor, last: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Statistics (B, S · number of statistics).

        Parameters
        ----------
        states : tensor of shape (B, T, S)
            What they hold past the end of a sequence has no effect; it has to be finite.
        last : tensor of shape (B, S)
            The final states.
        lengths : whole-number tensor of shape (B,), optional
        """
        if not states.shape[1]:
            return torch.cat([last if name != "std" else 0 * last for name in self.statistics], 1)
        real = None
        if lengths is not None:
            real = (torch.arange(states.shape[1], device=states.device) < lengths[:, None])[
                ..., None
            ]
        found = [last if name == "last" else _over(name, states, real) for name in self.statistics]
        if lengths is None:
            return torch.cat(found, 1)
        none = (lengths == 0)[:, None]
        instead = [0 * last if name == "std" else last for name in self.statistics]
        return torch.where(none, torch.cat(instead, 1), torch.cat(found, 1))

    def extra_repr(self) -> str:
        """The statistics, for `print`."""
        return ", ".join(self.statistics)


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
        return (apart.square().mean(1) + VARIANCE_FLOOR).sqrt()
    square = apart.masked_fill(~real, 0).square().sum(1) / count
    return (square + VARIANCE_FLOOR).sqrt()
