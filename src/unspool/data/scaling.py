"""Scaling of each feature, learned from real steps only and undone in results."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool._types import NormalizationName, ScalingName, names
from unspool.data.levels import Level, level_of
from unspool.data.quantiles import StepSample
from unspool.errors import InputError

Array = npt.NDArray[Any]

SCALINGS = names(ScalingName)

FLOAT = np.finfo(np.float64)
CONSTANT_SCALE = 0.1  # scale of a constant feature, as a share of its largest absolute value

# Spread that rounding may cause in a constant, as a share of its value. Numbers in float64 are
# often the result of many operations; those in smaller types are often measured and rounded once.
ROUNDING, ROUNDING_ONCE = 32 * FLOAT.eps, 4
MAX_JITTER = 1e-6  # largest spread of a feature that only jitters, as a share of its value


@dataclass(frozen=True)
class Scaler:
    """``scaled = (values - shift) / scale`` for each feature, computed in float64.

    The scale is the spread of a feature, however small it is compared with its values: float64
    keeps the digits, and 1e9 + 0.001 sin(t) is scaled like sin(t). A feature that is constant
    except for rounding has the scale ``|value| / 10``, or 1 if it is zero: if it changes later, a
    tenth of its value counts as one standard deviation.

    A spread counts as rounding up to 32 units of precision (7e-15 of the largest value) in
    float64, and up to 4 units in smaller types (5e-7 in float32).

    A feature that only jitters, by less than a millionth of its value and with unrelated steps,
    also counts as constant: it contains nothing to learn, and in units of its jitter any later
    change would be so large that it hides all other features.

    Parameters
    ----------
    shift, scale : float64 arrays of shape (F,)
        Scales are above 0.
    clip : float, optional
        Largest absolute value of what `limit` returns, in scaled units. Default: no limit.
    normalization : {"none", "last", "standard"}, default "none"
        How an autoencoder normalises each sequence, after scaling and clipping. A forecaster does
        it in its encoder, and has "none" here.
    missing : bool, default False
        Whether values may be missing (NaN). The level of a sequence is then that of the values that
        are present, and 0 for a feature without a value.
    """

    shift: Array
    scale: Array
    clip: float | None = None
    normalization: NormalizationName = "none"
    missing: bool = False

    @classmethod
    def fit(
        cls,
        kind: ScalingName,
        chunks: Iterable[Array],
        n_features: int,
        in_order: Callable[[], Iterable[Array]] | None = None,
        weights: Array | None = None,
    ) -> "Scaler":
        """Learn shift and scale.

        Parameters
        ----------
        kind : {"standard", "minmax", "robust", "none"}
            Scale to mean 0 and variance 1, to the range 0–1, to median 0 and interquartile range
            1, or not at all. "robust" scales by the standard deviation if the interquartile range
            of a feature is 0 but the feature varies, such as a feature of rare events.
        chunks : iterable of arrays of shape (steps, F)
            All real steps.
        n_features : int
            Number of features, F.
        in_order : callable, optional
            Returns the chunks again, if their rows are in the order of time. Without it, a feature
            that jitters does not count as constant.
        weights : array of shape (S,), optional
            Weights of all steps of `chunks`, of at least 0. A weight of 2 is two copies of a step,
            and a step of weight 0 is left out.
        """
        if kind == "none":
            return cls(np.zeros(n_features), np.ones(n_features))
        if kind == "robust" and weights is not None:
            raise InputError(
                "`scaling` 'robust' uses quantiles, which `sample_weight` does not weigh; set "
                "scaling='standard', or leave `sample_weight` out."
            )
        sample = StepSample(n_features)
        read = sample.reading(chunks) if kind == "robust" else chunks
        found = moments(read, n_features, weights)
        still = np.zeros(n_features, bool) if in_order is None else jitters(in_order, found)
        if kind == "standard":
            return cls(found.mean, found.scale_of(np.where(still, 0, found.spread)))
        if kind == "robust":
            low, median, high = sample.quantiles((0.25, 0.5, 0.75))
            width = _width(low, high)
            spread = np.where(width > found.rounding, width, found.spread)
            return cls(median, found.scale_of(np.where(still, 0, spread)))
        width = _width(found.low, found.high)
        moves = (width > found.rounding) & ~still
        return cls(found.low, found.scale_of(np.where(moves, width, 0)))

    def except_columns(self, columns: Sequence[int]) -> "Scaler":
        """Return the same scaler that leaves some columns as they are."""
        shift, scale = self.shift.copy(), self.scale.copy()
        shift[list(columns)], scale[list(columns)] = 0, 1
        return replace(self, shift=shift, scale=scale)

    def apply(self, values: Array) -> Array:
        """Scale values (..., F) of any real dtype to a new float32 array; computed in float64.

        Raises
        ------
        InputError
            If scaled values are too large for float32, or the dtype of `values` has too few digits
            for the spread of a feature.
        """
        self._check_dtype(np.asarray(values).dtype)
        try:
            # NaN with the bits of R's NA is an invalid value.
            with np.errstate(over="raise", invalid="ignore"):
                return self._applied(values)
        except FloatingPointError:
            raise InputError(
                f"Expected values below {np.finfo(np.float32).max:.1e} after scaling, the largest "
                f"number of float32, got up to {np.nanmax(np.abs(values)):.1e} before scaling; "
                "remove outliers, or divide the data."
            ) from None

    def limit(self, scaled: Array) -> Array:
        """Clip scaled values (..., F) to ±`clip`, as a model reads them.

        Without `clip` the same array is returned.
        """
        return scaled if self.clip is None else np.clip(scaled, -self.clip, self.clip)

    def level(self, scaled: Array, lengths: Array) -> Level:
        """Return the level of scaled sequences (B, T, F), zero past their ends, as it is read."""
        fill = np.zeros(scaled.shape[2], np.float32) if self.missing else None
        return level_of(self.limit(scaled), lengths, self.normalization, fill)

    def read(self, scaled: Array, lengths: Array) -> Array:
        """Return what a model reads of scaled sequences: clipped, and each one normalised.

        Without `clip` and `normalization` the same array is returned.
        """
        limited = self.limit(scaled)
        if self.normalization == "none":
            return limited
        return self.level(scaled, lengths).apply(limited, lengths)

    def undo_level(self, output: Array, scaled: Array, lengths: Array) -> Array:
        """Convert reconstructions (B, T, F) of normalised sequences to scaled units."""
        if self.normalization == "none":
            return output
        return self.level(scaled, lengths).undo(output)

    def has_digits(self, dtype: np.dtype[Any]) -> bool:
        """Return whether values of `dtype` have enough digits for the spread of every feature."""
        return not len(self._without_digits(dtype))

    def _without_digits(self, dtype: np.dtype[Any]) -> Array:
        """Return the features whose spread is lost among the digits of `dtype`."""
        if dtype.kind != "f" or dtype.itemsize >= FLOAT.dtype.itemsize:
            return np.zeros(0, np.int64)
        return np.flatnonzero(abs(self.shift) * float(np.finfo(dtype).eps) > self.scale)

    def _check_dtype(self, dtype: np.dtype[Any]) -> None:
        lost = self._without_digits(dtype)
        if len(lost):
            one = lost[0]
            resolution = abs(self.shift) * float(np.finfo(dtype).eps)
            raise InputError(
                f"Expected float64, got {dtype}, whose resolution near {self.shift[one]:g} is "
                f"{resolution[one]:.1g}; feature {one} was fitted on values that vary by "
                f"{self.scale[one]:.1g}."
            )

    def _applied(self, values: Array) -> Array:
        if not self.shift.any() and (self.scale == 1).all():  # same bits as below, but faster
            return np.array(values, np.float32)
        shift, scale = self.shift, self.scale
        if shift.size == 1:  # NumPy is faster with scalars than with a last axis of length 1
            shift, scale = shift[0], scale[0]
        scaled = np.subtract(values, shift, dtype=np.float64)
        scaled /= scale
        return scaled.astype(np.float32)

    def select(self, places: Sequence[int]) -> "Scaler":
        """Return the scaling of the features at `places`."""
        return replace(self, shift=self.shift[list(places)], scale=self.scale[list(places)])

    def undo(self, scaled: Array) -> Array:
        """Convert scaled values (..., F) back to the units of the data, in float64."""
        return scaled * self.scale + self.shift


@dataclass(frozen=True)
class Moments:
    """Result of `moments`; arrays have shape (F,) and dtype float64.

    Parameters
    ----------
    count : array
        Number of values that are not missing, or the sum of their weights.
    mean, low, high : array
        Mean, smallest and largest value; 0 if there are no values.
    spread : array
        Standard deviation; 0 if it is at most `rounding`.
    rounding : array
        Largest spread that rounding may cause in a constant.
    """

    count: Array
    mean: Array
    low: Array
    high: Array
    spread: Array
    rounding: Array

    def scale_of(self, spread: Array) -> Array:
        """Return the scales (F,) of features with this spread; 0 means a constant feature."""
        size = np.maximum(abs(self.low), abs(self.high))
        constant = np.where(size > FLOAT.tiny, CONSTANT_SCALE * size, 1)
        return np.maximum(np.where(spread > 0, spread, constant), FLOAT.tiny)


def moments(chunks: Iterable[Array], n_features: int, weights: Array | None = None) -> Moments:
    """Return moments of each feature over chunks (steps, F) of any real dtype.

    `weights` (S,) are those of all S steps; steps of weight 0 are left out.

    Sums are of differences from the first step, in units of about the largest value. A small
    spread around a large mean therefore keeps its digits, and squares of very large or small
    values do not overflow or underflow. NaN is a missing value, which is left out.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub, R. J. LeVeque (1983). "Algorithms for Computing the Sample
       Variance: Analysis and Recommendations", The American Statistician 37(3), equation 1.5.
    """
    mean, square, first = np.zeros(n_features), np.zeros(n_features), np.zeros(n_features)
    low, high = np.full(n_features, np.inf), np.full(n_features, -np.inf)
    exponent, rounding = np.full(n_features, -1000, np.int32), 0.0
    count = np.zeros(n_features)
    place, column = 0, None
    for chunk in chunks:
        if weights is not None:
            of_chunk = weights[place : place + len(chunk)]
            place += len(chunk)
            chunk, of_chunk = chunk[of_chunk > 0], of_chunk[of_chunk > 0]
            column = of_chunk[:, None]
        if not len(chunk):
            continue
        rounding = max(rounding, _rounding(chunk.dtype))
        values = chunk.astype(np.float64, copy=False)
        hidden = np.isnan(values) if chunk.dtype.kind == "f" else np.zeros(0, bool)
        steps = np.full(n_features, float(len(values) if column is None else column.sum()))
        if hidden.any():
            steps = (~hidden if column is None else column * ~hidden).sum(axis=0, dtype=np.float64)
        begins = values[0]
        if hidden.any():
            begins = values[hidden.argmin(axis=0), np.arange(n_features)]
        first = np.where((count == 0) & (steps > 0), begins, first)
        if hidden.any():  # what is missing becomes the first value, and is subtracted below
            values = np.where(hidden, first, values)
        seen = steps > 0
        low = np.where(seen, np.minimum(low, values.min(axis=0)), low)
        high = np.where(seen, np.maximum(high, values.max(axis=0)), high)
        size = np.maximum(abs(low), abs(high))
        larger = np.where(size > 0, np.frexp(size)[1], exponent).clip(exponent, 1000)
        mean, square = np.ldexp(mean, exponent - larger), np.ldexp(square, 2 * (exponent - larger))
        exponent = larger
        unit = np.ldexp(1.0, -exponent)
        centered = values * unit
        centered -= first * unit
        if column is None:
            chunk_mean = centered.sum(axis=0) / np.maximum(steps, 1)
        else:
            chunk_mean = (column * centered).sum(axis=0) / np.where(seen, steps, 1)
        centered -= chunk_mean
        if hidden.any():
            centered[hidden] = 0
        np.square(centered, out=centered)
        square += (centered if column is None else column * centered).sum(axis=0)
        together = np.where(count + steps > 0, count + steps, 1)
        square += (chunk_mean - mean) ** 2 * (count * steps / together)
        mean += (chunk_mean - mean) * (steps / together)
        count += steps
    low, high = np.where(count > 0, low, 0.0), np.where(count > 0, high, 0.0)
    spread = np.ldexp(np.sqrt(square / np.where(count > 0, count, 1)), exponent)
    by_rounding = rounding * np.maximum(abs(low), abs(high))
    mean = np.ldexp(first * np.ldexp(1.0, -exponent) + mean, exponent)
    spread = np.where(spread > by_rounding, spread, 0.0)
    return Moments(count, mean, low, high, spread, by_rounding)


def _width(low: Array, high: Array) -> Array:
    """Return the distances (F,), at most the largest number of float64."""
    with np.errstate(over="ignore"):
        width: Array = np.minimum(high - low, FLOAT.max)
    return width


def jitters(chunks: Callable[[], Iterable[Array]], found: Moments) -> npt.NDArray[np.bool_]:
    """Find the features that vary by less than a millionth of their value, and at random: (F,).

    A feature varies at random if its steps are further from the step before than from the mean.
    The ratio of the two mean squares is 2 for unrelated steps, and near 0 for slow changes [1]_.

    References
    ----------
    .. [1] J. von Neumann (1941). "Distribution of the Ratio of the Mean Square Successive
       Difference to the Variance", The Annals of Mathematical Statistics 12(4).
    """
    size = np.maximum(abs(found.low), abs(found.high))
    near: npt.NDArray[np.bool_] = (found.spread > 0) & (found.spread <= MAX_JITTER * size)
    if not near.any():
        return near
    mean, spread = found.mean[near], found.spread[near]
    jumps, pairs = np.zeros(near.sum()), np.zeros(near.sum(), np.int64)
    for chunk in chunks():
        scaled = (chunk[:, near].astype(np.float64) - mean) / spread
        squares = np.diff(scaled, axis=0) ** 2
        known = ~np.isnan(squares)
        jumps += squares.sum(axis=0, where=known)
        pairs += known.sum(axis=0)
    near[near] = jumps > pairs
    return near


def _rounding(dtype: np.dtype[Any]) -> float:
    """Return the largest spread that rounding to `dtype` may cause in a constant of 1."""
    if dtype.kind == "f" and dtype.itemsize < FLOAT.dtype.itemsize:
        return ROUNDING_ONCE * float(np.finfo(dtype).eps)
    return float(ROUNDING)
