"""Random convolution kernels with many dilations, as features of a sequence."""

import torch
from torch import Generator, Tensor, nn

from unspool import blueprint as plan
from unspool.lstm.convolutions import convolved, kernel_means

SLOPE = 2.0  # slope of the hard sigmoid at 0, for responses with standard deviation 1
MAX_SEQUENCES = 64  # number of training sequences from which scales and biases are computed
# Responses with a smaller standard deviation, relative to the largest possible response, are
# rounding errors.
ROUNDING = 1e-5


class RandomKernels(nn.Module):
    """Features (B, K): the proportion of time steps at which each of K random patterns occurs.

    A kernel is a pattern of nine values, `dilation` steps apart. Its feature is the mean over the
    real steps of a hard sigmoid of its response: a smooth version of the "proportion of positive
    values" of ROCKET [1]_. The kernels are drawn once and are not trained. A kernel reads up to
    nine features, chosen at random; its weights are normal, with mean 0 for every feature and
    norm 1.

    Parameters
    ----------
    part : unspool.blueprint.Kernels
        Number of features, number of kernels and dilations.
    generator : torch.Generator, optional
        Random number generator for the kernels. Default: PyTorch's global one.

    References
    ----------
    .. [1] A. Dempster, F. Petitjean, G. I. Webb (2020). ROCKET: exceptionally fast and accurate
       time series classification using random convolutional kernels. Data Mining and Knowledge
       Discovery 34.
    .. [2] A. Dempster, D. F. Schmidt, G. I. Webb (2021). MiniRocket. KDD. (Biases are quantiles of
       the responses to training sequences, as here.)
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, part: plan.Kernels, generator: Generator | None = None) -> None:
        super().__init__()
        self.dilations = part.dilations
        count, features, taps = part.width, part.n_features, part.TAPS
        weight = torch.empty(count, features, taps, dtype=torch.float32)
        if not weight.is_meta:  # drawing there would import `torch._dynamo`, which takes a second
            weight.normal_(generator=generator)
            weight *= _feature_mask(count, features, taps, generator)
            weight -= weight.mean(2, keepdim=True)
            weight /= weight.flatten(1).norm(dim=1)[:, None, None]
        self.register_buffer("weight", weight)
        self.register_buffer("bias", torch.zeros(count, dtype=torch.float32))

    @property
    def per_dilation(self) -> int:
        """Number of kernels for each dilation."""
        return len(self.weight) // len(self.dilations)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Compute the features (B, K), from 0 to 1, of sequences (B, T, F)."""
        return kernel_means(x, lengths, self.weight, self.bias, self.dilations)

    @torch.no_grad()
    def adapt(self, x: Tensor, lengths: Tensor | None, generator: Generator | None) -> None:
        """Scale the kernels, and choose their biases, from training sequences (B, T, F).

        Responses get the standard deviation 1, unless they are rounding errors, as for constant
        sequences. The negative bias of a kernel is a random quantile of its responses to a random
        sequence.
        """
        steps = x.shape[1]
        ends = torch.full((len(x),), steps) if lengths is None else lengths.cpu()
        used = (ends > 0).nonzero()[:, 0]
        if not len(used):
            return
        used = used[torch.randperm(len(used), generator=generator)[:MAX_SEQUENCES]]
        x, ends = x[used.to(x.device)], ends[used]
        real = (torch.arange(steps) < ends[:, None]).to(x.device)[:, None]
        count, largest = real.sum(), x.abs().amax((0, 1))
        for first, dilation in zip(
            range(0, len(self.weight), self.per_dilation), self.dilations, strict=True
        ):
            group = slice(first, first + self.per_dilation)
            response = convolved(x, self.weight[group], dilation).masked_fill(~real, 0)
            mean = response.sum((0, 2), keepdim=True) / count
            square = (response - mean).masked_fill(~real, 0).square().sum((0, 2)) / count
            spread = square.sqrt()
            bound = self.weight[group].abs().sum(2) @ largest
            scale = 6 * SLOPE / torch.where(spread > ROUNDING * bound, spread, 1.0)
            self.weight[group] *= scale[:, None, None]
            chosen = torch.randint(len(x), (self.per_dilation,), generator=generator)
            level = torch.rand(self.per_dilation, generator=generator, dtype=torch.float32)
            responses = response[
                chosen.to(x.device), torch.arange(self.per_dilation, device=x.device)
            ]
            padding = ~real[chosen.to(x.device), 0]
            ordered = responses.masked_fill(padding, torch.inf).sort(1).values  # (per_dilation, T)
            rank = (level * ends[chosen]).long()
            quantile = ordered.gather(1, rank[:, None].to(x.device))[:, 0]
            self.bias[group] = -scale * quantile


def _feature_mask(count: int, features: int, taps: int, generator: Generator | None) -> Tensor:
    """Choose which features each kernel reads, at most `taps`: ones in (count, features, 1)."""
    max_size = min(features, taps)
    drawn = torch.rand(count, features + 1, generator=generator, dtype=torch.float32)
    sizes = (max_size + 1) ** drawn[:, 0]
    order = drawn[:, 1:].argsort(1).argsort(1)
    return (order < sizes.long().clamp(1, max_size)[:, None]).float()[..., None]
