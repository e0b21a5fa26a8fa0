"""Scaling per feature, learned from real steps only and undone on the way out."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.errors import InputError

Array = npt.NDArray[Any]

SCALINGS = ("standard", "minmax", "none")

FLOAT = np.finfo(np.float64)
CONSTANT = 0.1  # the scale of a constant feature, as a share of its size

# What rounding may leave of a constant, as a share of its size: numbers in float64 tend to be
# computed in many steps, those in smaller types to be measured, and rounded once.
ROUNDING, ROUNDING_ONCE = 32 * FLOAT.eps, 4
JITTER = 1e-6  # the most that a feature may jitter by, as a share of its size


@dataclass(frozen=True)
class Scaler:
    """``scaled = (values - shift) / scale``, feature by feature, computed in float64.

    The scale is what a feature varies by, however little that is beside its size: float64 data
    keep all of their digits, and 1e9 + 0.001 sin(t) is scaled as sin(t) is. A feature that is
    constant but for rounding has the scale ``|value| / 10``, or 1 where it is zero: when it moves
    later, a tenth of its size counts as one standard deviation.

    Rounding is a spread of up to 32 units of precision (7e-15 of the largest value) in float64, and
    of 4 in smaller types (5e-7 in float32): there, whatever varies by less is lost in the data.

    A sensor that only jitters, by less than a millionth of its size and with steps unrelated to one
    another, counts as constant too: there is nothing to learn in it, and in units of its jitter any
    later move would be so large that it hides all other features.

    Parameters
    ----------
    shift, scale : float64 arrays of shape (F,)
        Scales are above 0.
    """

    shift: Array
    scale: Array

    @classmethod
    def fit(
        cls,
        kind: str,
        chunks: Iterable[Array],
        n_features: int,
        in_order: Callable[[], Iterable[Array]] | None = None,
    ) -> "Scaler":
        """Learn from chunks of real steps, each of shape (steps, F).

        Parameters
        ----------
        kind : {"standard", "minmax", "none"}
            To mean 0 and variance 1; to 0–1; or not at all.
        chunks : iterable of arrays
        n_features : int
        in_order : callable, optional
            Gives the chunks once more, where their rows follow one another in time. Without it
            jitter counts as what varies little.
        """
        if kind == "none":
            return cls(np.zeros(n_features), np.ones(n_features))
        found = moments(chunks, n_features)
        still = np.zeros(n_features, bool) if in_order is None else jitters(in_order, found)
        if kind == "standard":
            return cls(found.mean, found.scale_of(np.where(still, 0, found.spread)))
        with np.errstate(over="ignore"):
            width = np.minimum(found.high - found.low, FLOAT.max)
        moves = (width > found.rounding) & ~still
        return cls(found.low, found.scale_of(np.where(moves, width, 0)))

    def apply(self, values: Array) -> Array:
        """Scale values (..., F) of any real dtype into a new float32 array, by way of float64.

        Raises
        ------
        InputError
            For values that are too large for float32 when scaled, or that come in a dtype in which
            they cannot be distinguished.
        """
        self._check_dtype(np.asarray(values).dtype)
        try:
            with np.errstate(over="raise"):
                return self._applied(values)
        except FloatingPointError:
            raise InputError(
                f"Expected values of less than {np.finfo(np.float32).max:.1e} after scaling, which "
                f"is all that float32 can hold, got up to {np.abs(values).max():.1e} before; "
                "look for outliers, or divide the data."
            ) from None

    def _check_dtype(self, dtype: np.dtype[Any]) -> None:
        if dtype.kind != "f" or dtype.itemsize >= FLOAT.dtype.itemsize:
            return
        apart = abs(self.shift) * float(np.finfo(dtype).eps)
        lost = np.flatnonzero(apart > self.scale)
        if len(lost):
            one = lost[0]
            raise InputError(
                f"Expected float64, got {dtype}, which near {self.shift[one]:g} can only hold "
                f"values about {apart[one]:.1g} apart; feature {one} was fitted on values that "
                f"vary by {self.scale[one]:.1g}."
            )

    def _applied(self, values: Array) -> Array:
        if not self.shift.any() and (self.scale == 1).all():  # to the bit what comes out below
            return np.array(values, np.float32)
        shift, scale = self.shift, self.scale
        if shift.size == 1:  # NumPy is slow where the last axis has one entry, unless told as here
            shift, scale = shift[0], scale[0]
        scaled = np.subtract(values, shift, dtype=np.float64)
        scaled /= scale
        return scaled.astype(np.float32)

    def undo(self, scaled: Array) -> Array:
        """Bring scaled values (..., F) back to their own units, in float64."""
        return scaled * self.scale + self.shift


@dataclass(frozen=True)
class Moments:
    """What `moments` finds, each but `count` an array of shape (F,), float64.

    Parameters
    ----------
    count : int
        Steps.
    mean, low, high : array
        Mean, smallest and largest value; 0 where there are no steps.
    spread : array
        Standard deviation; 0 where it is no more than rounding may leave of a constant.
    rounding : array
        What that is.
    """

    count: int
    mean: Array
    low: Array
    high: Array
    spread: Array
    rounding: Array

    def scale_of(self, spread: Array) -> Array:
        """The scale (F,) of features that vary by `spread`, 0 for a constant."""
        size = np.maximum(abs(self.low), abs(self.high))
        constant = np.where(size > FLOAT.tiny, CONSTANT * size, 1)
        return np.maximum(np.where(spread > 0, spread, constant), FLOAT.tiny)


def moments(chunks: Iterable[Array], n_features: int) -> Moments:
    """Moments of each feature over chunks (steps, F) of any real dtype.

    What is added up are differences from the first step, in units of about the largest value: so
    neither do a large mean and a small spread lose digits, nor do squares of very large or small
    values leave the range of float64.

    Source: the pairwise update of Chan, Golub & LeVeque 1983, equation 1.5.
    """
    count, mean, square, first = 0, np.zeros(n_features), np.zeros(n_features), np.zeros(n_features)
    low, high = np.full(n_features, np.inf), np.full(n_features, -np.inf)
    exponent, rounding = np.full(n_features, -1000, np.int32), 0.0
    for chunk in chunks:
        steps = len(chunk)
        if not steps:
            continue
        rounding = max(rounding, _rounding(chunk.dtype))
        values = chunk.astype(np.float64, copy=False)
        low, high = np.minimum(low, values.min(axis=0)), np.maximum(high, values.max(axis=0))
        size = np.maximum(abs(low), abs(high))
        larger = np.where(size > 0, np.frexp(size)[1], exponent).clip(exponent, 1000)
        mean, square = np.ldexp(mean, exponent - larger), np.ldexp(square, 2 * (exponent - larger))
        exponent = larger
        if not count:
            first = values[0]
        unit = np.ldexp(1.0, -exponent)
        apart = values * unit
        apart -= first * unit
        here = apart.mean(axis=0)
        apart -= here
        square += np.square(apart, out=apart).sum(axis=0)
        square += (here - mean) ** 2 * (count * steps / (count + steps))
        mean += (here - mean) * (steps / (count + steps))
        count += steps
    if not count:
        low, high = np.zeros(n_features), np.zeros(n_features)
    spread = np.ldexp(np.sqrt(square / max(count, 1)), exponent)
    left = rounding * np.maximum(abs(low), abs(high))
    mean = np.ldexp(first * np.ldexp(1.0, -exponent) + mean, exponent)
    return Moments(count, mean, low, high, np.where(spread > left, spread, 0.0), left)


def jitters(chunks: Callable[[], Iterable[Array]], found: Moments) -> npt.NDArray[np.bool_]:
    """Which features (F,) vary by less than a millionth of their size, and at random.

    At random means that a step is further from the one before than from the mean: for unrelated
    steps the ratio of the two mean squares is 2, for what moves slowly it is near 0.

    Source: von Neumann 1941, "Distribution of the Ratio of the Mean Square Successive Difference
    to the Variance".
    """
    size = np.maximum(abs(found.low), abs(found.high))
    near: npt.NDArray[np.bool_] = (found.spread > 0) & (found.spread <= JITTER * size)
    if not near.any():
        return near
    mean, spread = found.mean[near], found.spread[near]
    jumps, pairs = np.zeros(near.sum()), 0
    for chunk in chunks():
        apart = (chunk[:, near].astype(np.float64) - mean) / spread
        jumps += (np.diff(apart, axis=0) ** 2).sum(axis=0)
        pairs += max(0, len(chunk) - 1)
    near[near] = jumps > pairs
    return near


def _rounding(dtype: np.dtype[Any]) -> float:
    """What rounding may leave of a constant of size 1 that was stored in `dtype`."""
    if dtype.kind == "f" and dtype.itemsize < FLOAT.dtype.itemsize:
        return ROUNDING_ONCE * float(np.finfo(dtype).eps)
    return float(ROUNDING)
