"""The path from a sequence to its forecast that bypasses the code: level and linear map."""

import torch
from torch import Tensor, nn

from unspool._types import NormalizationName
from unspool.errors import InputError
from unspool.lstm import dense
from unspool.nn.missing import carried, filled
from unspool.nn.normalization import Level, last_steps, level_of

# Penalties of the ridge regression, relative to the largest eigenvalue; MIN_PENALTY is absolute.
PENALTIES = tuple(10.0 ** (half / 2) for half in range(-14, 9))
MIN_PENALTY = 1e-100


class Skip(nn.Module):
    """Add the level of a sequence and a linear map of its last steps to a decoder's output.

    A sequence x with location m and scale s (see `normalization`) has the forecast
    ``m + s · scale · output + W [x - m, m]``, where W (K, steps + 1) is a matrix for each feature
    and x here means its last `steps` steps. Steps before the start of a sequence count as m. With
    ``normalization="none"``, m is 0, s is 1, and W is (K, steps). The decoder thus learns only the
    residual of the linear map, in units of its standard deviation (`scale`).

    Parameters
    ----------
    n_features : int
        Number of features per step, F.
    horizon : int
        Number of forecast steps, K.
    steps : int
        Number of last steps that the linear maps read; 0 for no linear maps.
    normalization : {"none", "last", "standard"}
        Location and scale of a sequence: 0 and 1, its last value and 1, or its mean and standard
        deviation.
    missing : bool, default False
        Whether values of `x` may be missing (NaN). Location and scale are then those of the values
        that are present. The linear maps read the last value before a missing one, among their
        steps; if there is none, m, or without a normalisation the buffer `fill`.

    Attributes
    ----------
    weight : tensor of shape (F, K, steps + 1) or (F, K, steps), or None
        The linear maps. They are a buffer: computed by ridge regression, not trained.
    scale : tensor of shape (F,)
        Scale of the decoder's output.
    fill : tensor of shape (F,) or None
        What is read where a sequence has no value, in scaled units; None if none may be missing.

    See Also
    --------
    unspool.LSTMForecaster : Estimator that uses it.

    References
    ----------
    .. [1] A. Zeng, M. Chen, L. Zhang, Q. Xu (2023). Are Transformers Effective for Time Series
       Forecasting? AAAI. (A linear map of the differences from the last value is their NLinear.)
    .. [2] T. Kim, J. Kim, Y. Tae, C. Park, J.-H. Choi, J. Choo (2022). Reversible Instance
       Normalization for Accurate Time-Series Forecasting against Distribution Shift. ICLR.

    Examples
    --------
    >>> import torch
    >>> from unspool.nn import Skip
    >>> skip = Skip(n_features=3, horizon=4, steps=6, normalization="last")
    >>> skip(torch.zeros(2, 4, 3), torch.ones(2, 10, 3))[0, :, 0]
    tensor([1., 1., 1., 1.])
    """

    def __init__(
        self,
        n_features: int,
        horizon: int,
        steps: int,
        normalization: NormalizationName,
        missing: bool = False,
    ) -> None:
        super().__init__()
        self.fill: Tensor | None
        fill = torch.zeros(n_features, dtype=torch.float32) if missing else None
        self.register_buffer("fill", fill)
        self.steps, self.normalization = steps, normalization
        self.scale: Tensor
        self.register_buffer("scale", torch.ones(n_features, dtype=torch.float32))
        self.weight: Tensor | None
        shape = n_features, horizon, steps + (normalization != "none")
        self.register_buffer("weight", torch.zeros(shape, dtype=torch.float32) if steps else None)

    def forward(self, output: Tensor, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Compute forecasts from a decoder's outputs.

        Parameters
        ----------
        output : tensor of shape (B, K, F)
            Outputs of the decoder.
        x : tensor of shape (B, T, F)
            Sequences.
        lengths : int tensor of shape (B,), optional
            Number of real steps of each sequence. Default: all steps are real.

        Returns
        -------
        tensor of shape (B, K, F)
            Forecasts.
        """
        location, spread = self.level(x, lengths)
        return location + spread * output

    def quantiles(self, output: Tensor, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Compute quantiles of the forecasts from a decoder's outputs.

        Parameters
        ----------
        output : tensor of shape (B, K, F, Q)
            Outputs of the decoder.
        x : tensor of shape (B, T, F)
            Sequences.
        lengths : int tensor of shape (B,), optional
            Number of real steps of each sequence. Default: all steps are real.

        Returns
        -------
        tensor of shape (B, K, F, Q)
            Quantiles.
        """
        location, spread = self.level(x, lengths)
        return location[..., None] + spread[..., None] * output

    def inverse(self, forecast: Tensor, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Compute the outputs for which `forward` returns given forecasts.

        Parameters
        ----------
        forecast : tensor of shape (B, K, F)
            Forecasts.
        x : tensor of shape (B, T, F)
            Sequences.
        lengths : int tensor of shape (B,), optional
            Number of real steps of each sequence. Default: all steps are real.

        Returns
        -------
        tensor of shape (B, K, F)
            Outputs of a decoder.
        """
        location, spread = self.level(x, lengths)
        return (forecast - location) / spread

    def level(self, x: Tensor, lengths: Tensor | None) -> Level:
        """Compute what outputs are multiplied by, and what is added to them.

        Parameters
        ----------
        x : tensor of shape (B, T, F)
            Sequences.
        lengths : int tensor of shape (B,) or None
            Number of real steps of each sequence; None if all are real.

        Returns
        -------
        location : tensor of shape (B, 1, F) or (B, K, F)
            Added to the outputs: the location of each sequence plus its linear maps.
        spread : tensor of shape (B, 1, F)
            Factor of the outputs.
        """
        location, spread = level_of(x, lengths, self.normalization, self.fill)
        spread = spread * self.scale
        if self.weight is None:
            return Level(location, spread)
        return Level(location + self._linear(x, lengths, location), spread)

    def columns(self, x: Tensor, lengths: Tensor | None, level: Tensor) -> Tensor:
        """Compute the inputs of the linear maps.

        Parameters
        ----------
        x : tensor of shape (B, T, F)
            Sequences.
        lengths : int tensor of shape (B,) or None
            Number of real steps of each sequence; None if all are real.
        level : tensor of shape (B, 1, F)
            Location of each sequence.

        Returns
        -------
        tensor of shape (B, steps + 1, F) or (B, steps, F)
            Last steps minus the level, and the level if there is a normalisation.
        """
        steps, real = last_steps(x, lengths, self.steps)
        difference = steps - level
        if self.fill is not None:
            if real is not None:  # nothing is carried from before the start
                difference = torch.where(real, difference, torch.nan)
            rest = self.fill if self.normalization == "none" else torch.zeros_like(self.fill)
            difference = filled(carried(difference), rest)
        difference = difference if real is None else torch.where(real, difference, 0.0)
        return difference if self.normalization == "none" else torch.cat([difference, level], 1)

    def _linear(self, x: Tensor, lengths: Tensor | None, level: Tensor) -> Tensor:
        assert self.weight is not None
        read = self.columns(x, lengths, level)
        if not torch.is_inference_mode_enabled():
            forecast: Tensor = read.permute(2, 0, 1) @ self.weight.mT
            return forecast.permute(1, 2, 0)
        bias = self.weight.new_zeros(self.weight.shape[1])
        outputs = [
            dense.linear(read[:, :, i], weight, bias) for i, weight in enumerate(self.weight)
        ]
        return torch.stack(outputs, 2)


class NormalEquations:
    """Normal equations of the linear maps of a `Skip`, summed over batches in float64.

    A missing value of a future counts as what the present maps forecast for it. Solving and summing
    again in turns therefore ends at the maps for the values that are present: Healy & Westmacott
    1956, "Missing Values in Experiments Analysed on Automatic Computers".
    """

    def __init__(self, skip: Skip) -> None:
        self.skip, self.count = skip, 0.0
        self.gram: Tensor | float = 0.0  # (F, columns, columns)
        self.moment: Tensor | float = 0.0  # (F, columns, K)
        self.square: Tensor | float = 0.0  # (F,)

    def add(
        self, x: Tensor, lengths: Tensor | None, y: Tensor, weights: Tensor | None = None
    ) -> None:
        """Add sequences x (B, T, F) and their futures y (B, K, F), times `weights` (B,)."""
        level = level_of(x, lengths, self.skip.normalization, self.skip.fill).location
        read = self.skip.columns(x, lengths, level).double().permute(2, 0, 1)
        target = (y - level).double().permute(2, 0, 1)
        if self.skip.fill is not None and self.skip.weight is not None:
            target = torch.where(target.isnan(), read @ self.skip.weight.double().mT, target)
        if weights is not None:
            roots = weights.double().sqrt()[:, None]
            read, target = read * roots, target * roots
        self.gram = self.gram + read.mT @ read
        self.moment = self.moment + read.mT @ target
        self.square = self.square + target.square().sum((1, 2))
        self.count += len(x) if weights is None else float(weights.sum())

    def solve(self) -> Tensor:
        """Solve for the maps (F, K, columns) by ridge regression.

        Each feature has the penalty from `PENALTIES` with the smallest error of generalised
        cross-validation: Golub, Heath & Wahba 1979, "Generalized Cross-Validation as a Method for
        Choosing a Good Ridge Parameter", equation 1.4.

        Raises
        ------
        InputError
            If differences of values overflow.
        """
        assert isinstance(self.gram, Tensor)
        if not (self.gram.isfinite().all() and torch.as_tensor(self.moment).isfinite().all()):
            raise InputError(
                "Expected scaled values whose differences are at most 3.4e+38, the largest number "
                "of float32, got larger differences; set `scaling`='standard', or divide the data."
            )
        values, vectors = torch.linalg.eigh(self.gram)
        values = values.clamp(min=0)
        rotated = vectors.mT @ self.moment  # (F, columns, K)
        power = rotated.square().sum(2)
        largest = values[:, -1:]
        best = torch.full_like(largest[:, 0], torch.inf)
        solution = torch.zeros_like(rotated)
        for penalty in PENALTIES:
            ridge = values + penalty * largest + MIN_PENALTY
            residual = self.square - ((2 * ridge - values) * power / ridge.square()).sum(1)
            free = 1 - (values / ridge).sum(1) / self.count
            error = residual.clamp(min=0) / free.square()
            better = (free > 0) & (error < best)
            best = torch.where(better, error, best)
            candidate = rotated / ridge[:, :, None]
            solution = torch.where(better[:, None, None], candidate, solution)
        maps: Tensor = vectors @ solution
        return maps.mT.float()
