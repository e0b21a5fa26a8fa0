"""Scaling per feature, learned from real steps only and undone on the way out."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from unspool.errors import InputError

Array = npt.NDArray[Any]

SCALINGS = ("standard", "minmax", "none")


@dataclass(frozen=True)
class Scaler:
    """``scaled = (values - shift) / scale``, feature by feature.

    Parameters
    ----------
    shift, scale : float64 arrays of shape (F,)
    """

    shift: Array
    scale: Array

    @classmethod
    def fit(cls, kind: str, chunks: Iterable[Array], n_features: int) -> "Scaler":
        """Learn from chunks of real steps, each of shape (steps, F).

        Parameters
        ----------
        kind : {"standard", "minmax", "none"}
            To mean 0 and variance 1; to 0–1; or not at all. A constant feature is only shifted.
        """
        if kind == "none":
            return cls(np.zeros(n_features), np.ones(n_features))
        if kind == "standard":
            mean, variance, _ = moments(chunks, n_features)
            spread = np.sqrt(variance)
            # Rounding leaves a constant feature with a variance that is not quite zero.
            spread[spread <= 1e-12 * np.abs(mean)] = 0
            return cls(mean, np.where(spread > 0, spread, 1.0))
        low, high = np.full(n_features, np.inf), np.full(n_features, -np.inf)
        for chunk in chunks:
            low = np.minimum(low, chunk.min(axis=0, initial=np.inf))
            high = np.maximum(high, chunk.max(axis=0, initial=-np.inf))
        low, high = np.where(low <= high, low, 0.0), np.where(low <= high, high, 0.0)
        return cls(low, np.where(high > low, high - low, 1.0))

    def apply(self, values: Array) -> Array:
        """Scale values (..., F) into a new float32 array, by way of float64.

        Raises
        ------
        InputError
            For values that are too large for float32 when scaled.
        """
        try:
            with np.errstate(over="raise"):
                return self._applied(values)
        except FloatingPointError:
            raise InputError(
                f"Expected values of less than {np.finfo(np.float32).max:.1e} after scaling, which "
                f"is all that float32 can hold, got up to {np.abs(values).max():.1e} before; "
                "look for outliers, or divide the data."
            ) from None

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


def moments(chunks: Iterable[Array], n_features: int) -> tuple[Array, Array, int]:
    """Mean and variance of each feature over chunks (steps, F), and the number of steps.

    Source: the pairwise update of Chan, Golub & LeVeque 1983, equation 1.5.
    """
    count, mean, square = 0, np.zeros(n_features), np.zeros(n_features)
    for chunk in chunks:
        steps = len(chunk)
        if not steps:
            continue
        here = chunk.mean(axis=0, dtype=np.float64)
        apart = here - mean
        square += ((chunk - here) ** 2).sum(axis=0)
        square += apart**2 * (count * steps / (count + steps))
        mean = mean + apart * (steps / (count + steps))
        count += steps
    return mean, square / max(count, 1), count
