"""Random convolution kernels of many dilations, which the encoder reads a sequence with."""

import torch
from torch import Generator, Tensor, nn

from unspool import blueprint as plan
from unspool.lstm.convolutions import convolved, kernel_means

SLOPE = 2.0  # of the activation at 0, beside a response with standard deviation 1
SERIES = 64  # that the responses' spread and the biases are taken from
ROUNDING = 1e-5  # spread of responses that are rounding errors, as a share of the largest possible


class RandomKernels(nn.Module):
    """How large a share of the time each of many random patterns is there, (B, K).

    A kernel is a pattern of nine values, `dilation` steps apart. What it gives for a sequence is
    the mean over the real steps of a hard sigmoid of its response: a smooth version of ROCKET's
    "proportion of positive values". The kernels are drawn once and are not trained.

    Parameters
    ----------
    part : Kernels of a blueprint
    generator : torch.Generator, optional
        Source of the kernels: normal weights with mean 0 for every feature and norm 1, on up to
        nine features drawn at random for every kernel.

    Source: Dempster, Petitjean & Webb 2020, "ROCKET", and Dempster, Schmidt & Webb 2021,
    "MiniRocket", whose biases are quantiles of the responses to training sequences, as here.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, part: plan.Kernels, generator: Generator | None = None) -> None:
        super().__init__()
        self.dilations = part.dilations
        count, features, taps = part.width, part.n_features, part.TAPS
        weight = torch.randn(count, features, taps, generator=generator, dtype=torch.float32)
        weight *= _chosen(count, features, taps, generator)
        weight -= weight.mean(2, keepdim=True)
        weight /= weight.flatten(1).norm(dim=1)[:, None, None]
        self.register_buffer("weight", weight)
        self.register_buffer("bias", torch.zeros(count, dtype=torch.float32))

    @property
    def each(self) -> int:
        """Kernels of a dilation."""
        return len(self.weight) // len(self.dilations)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Shares of time (B, K), 0 to 1, of sequences (B, T, F)."""
        return kernel_means(x, lengths, self.weight, self.bias, self.dilations)

    @torch.no_grad()
    def adapt(self, x: Tensor, lengths: Tensor | None, generator: Generator | None) -> None:
        """Scale the kernels by their responses to sequences (B, T, F), and choose biases.

        Responses get the standard deviation 1, unless they are rounding errors, as those to
        constant sequences. A bias is less a quantile, drawn at random, of the responses of its
        kernel to a sequence drawn at random.
        """
        steps = x.shape[1]
        ends = torch.full((len(x),), steps) if lengths is None else lengths.cpu()
        some = (ends > 0).nonzero()[:, 0]
        if not len(some):
            return
        some = some[torch.randperm(len(some), generator=generator)[:SERIES]]
        x, ends = x[some.to(x.device)], ends[some]
        real = (torch.arange(steps) < ends[:, None]).to(x.device)[:, None]
        count, largest = real.sum(), x.abs().amax((0, 1))
        for first, dilation in zip(
            range(0, len(self.weight), self.each), self.dilations, strict=True
        ):
            own = slice(first, first + self.each)
            response = convolved(x, self.weight[own], dilation).masked_fill(~real, 0)
            mean = response.sum((0, 2), keepdim=True) / count
            square = (response - mean).masked_fill(~real, 0).square().sum((0, 2)) / count
            spread, most = square.sqrt(), self.weight[own].abs().sum(2) @ largest
            scale = 6 * SLOPE / torch.where(spread > ROUNDING * most, spread, 1.0)
            self.weight[own] *= scale[:, None, None]
            chosen = torch.randint(len(x), (self.each,), generator=generator)
            place = torch.rand(self.each, generator=generator, dtype=torch.float32)
            lines = response[chosen.to(x.device), torch.arange(self.each, device=x.device)]
            beyond = ~real[chosen.to(x.device), 0]
            ordered = lines.masked_fill(beyond, torch.inf).sort(1).values  # (each, T)
            rank = (place * ends[chosen]).long()
            quantile = ordered.gather(1, rank[:, None].to(x.device))[:, 0]
            self.bias[own] = -scale * quantile


def _chosen(count: int, features: int, taps: int, generator: Generator | None) -> Tensor:
    """Which features each kernel reads, (count, features, 1): 1, up to as many as taps."""
    most = min(features, taps)
    drawn = torch.rand(count, features + 1, generator=generator, dtype=torch.float32)
    sizes = (most + 1) ** drawn[:, 0]
    order = drawn[:, 1:].argsort(1).argsort(1)
    return (order < sizes.long().clamp(1, most)[:, None]).float()[..., None]
