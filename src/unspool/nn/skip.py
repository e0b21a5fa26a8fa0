"""What leads from a sequence to its forecast beside the code: its level, and a linear map."""

import torch
from torch import Tensor, nn

from unspool.lstm import dense
from unspool.nn.normalization import Level, last_steps, level_of

# Penalties of the ridge regression, as shares of the largest eigenvalue; and the least penalty.
PENALTIES = tuple(10.0 ** (half / 2) for half in range(-14, 9))
LEAST = 1e-100


class Skip(nn.Module):
    """Add a sequence's level and a linear map of its last steps to what a decoder makes.

    With location m and spread s of a sequence x (see `level_of`) its forecast is
    ``m + s · scale · output + W [x - m, m]``, with a matrix W (K, steps + 1) for each feature;
    steps before the start of a sequence count as m. So the decoder learns what is left over, in
    units (`scale`) of about as much. Without a normalization m is 0, and W (K, steps).

    Parameters
    ----------
    n_features, horizon : int
    steps : int
        Last steps of a sequence that the linear maps read; 0 for no such maps.
    normalization : {"none", "last", "standard"}

    Source: Zeng, Chen, Zhang & Xu 2023, "Are Transformers Effective for Time Series Forecasting?"
    (a linear map of the differences from the last value is their NLinear); Kim et al. 2022,
    "Reversible Instance Normalization", for "standard".
    """

    def __init__(self, n_features: int, horizon: int, steps: int, normalization: str) -> None:
        super().__init__()
        self.steps, self.normalization = steps, normalization
        self.scale: Tensor
        self.register_buffer("scale", torch.ones(n_features, dtype=torch.float32))
        self.weight: Tensor | None  # a buffer: it is solved for, see `solve`, and not trained
        shape = n_features, horizon, steps + (normalization != "none")
        self.register_buffer("weight", torch.zeros(shape, dtype=torch.float32) if steps else None)

    def forward(self, output: Tensor, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Forecasts (B, K, F) of a decoder's outputs (B, K, F) and sequences (B, T, F)."""
        location, spread = self.level(x, lengths)
        return location + spread * output

    def quantiles(self, output: Tensor, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Quantiles (B, K, F, Q) of a decoder's outputs (B, K, F, Q)."""
        location, spread = self.level(x, lengths)
        return location[..., None] + spread[..., None] * output

    def inverse(self, forecast: Tensor, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """The outputs (B, K, F) of which `forward` would make these forecasts."""
        location, spread = self.level(x, lengths)
        return (forecast - location) / spread

    def level(self, x: Tensor, lengths: Tensor | None) -> Level:
        """What is added to outputs (B, 1 or K, F), and what they are multiplied with (B, 1, F)."""
        location, spread = level_of(x, lengths, self.normalization)
        spread = spread * self.scale
        if self.weight is None:
            return Level(location, spread)
        return Level(location + self._linear(x, lengths, location), spread)

    def columns(self, x: Tensor, lengths: Tensor | None, level: Tensor) -> Tensor:
        """What the linear maps read (B, columns, F): steps less the level (B, 1, F), and it."""
        steps, real = last_steps(x, lengths, self.steps)
        apart = steps - level
        apart = apart if real is None else torch.where(real, apart, 0.0)
        return apart if self.normalization == "none" else torch.cat([apart, level], 1)

    def _linear(self, x: Tensor, lengths: Tensor | None, level: Tensor) -> Tensor:
        assert self.weight is not None
        read = self.columns(x, lengths, level)
        if not torch.is_inference_mode_enabled():
            forecast: Tensor = read.permute(2, 0, 1) @ self.weight.mT
            return forecast.permute(1, 2, 0)
        none = self.weight.new_zeros(self.weight.shape[1])
        maps = [dense.linear(read[:, :, i], one, none) for i, one in enumerate(self.weight)]
        return torch.stack(maps, 2)


class NormalEquations:
    """The normal equations of linear maps, feature by feature, summed over batches in float64.

    Parameters
    ----------
    skip : Skip
        Whose maps are solved for.
    """

    def __init__(self, skip: Skip) -> None:
        self.skip, self.count = skip, 0
        self.gram: Tensor | float = 0.0  # (F, columns, columns)
        self.moment: Tensor | float = 0.0  # (F, columns, K)
        self.square: Tensor | float = 0.0  # (F,)

    def add(self, x: Tensor, lengths: Tensor | None, y: Tensor) -> None:
        """Add sequences x (B, T, F) and what comes after them, y (B, K, F)."""
        level = level_of(x, lengths, self.skip.normalization).location
        read = self.skip.columns(x, lengths, level).double().permute(2, 0, 1)
        target = (y - level).double().permute(2, 0, 1)
        self.gram = self.gram + read.mT @ read
        self.moment = self.moment + read.mT @ target
        self.square = self.square + target.square().sum((1, 2))
        self.count += len(x)

    def solve(self) -> Tensor:
        """The maps (F, K, columns) of ridge regression, the penalty of each feature from PENALTIES.

        The penalty is the one of the least generalised cross-validation error.

        Source: Golub, Heath & Wahba 1979, "Generalized Cross-Validation as a Method for Choosing
        a Good Ridge Parameter", equation 1.4.
        """
        assert isinstance(self.gram, Tensor)
        values, vectors = torch.linalg.eigh(self.gram)
        values = values.clamp(min=0)
        turned = vectors.mT @ self.moment  # (F, columns, K)
        power = turned.square().sum(2)
        largest = values[:, -1:]
        best = torch.full_like(largest[:, 0], torch.inf)
        found = torch.zeros_like(turned)
        for penalty in PENALTIES:
            ridge = values + penalty * largest + LEAST
            left = self.square - ((2 * ridge - values) * power / ridge.square()).sum(1)
            free = 1 - (values / ridge).sum(1) / self.count
            error = left.clamp(min=0) / free.square()
            better = (free > 0) & (error < best)
            best = torch.where(better, error, best)
            found = torch.where(better[:, None, None], turned / ridge[:, :, None], found)
        maps: Tensor = vectors @ found
        return maps.mT.float()
