"""Quantiles of each feature over more steps than fit in memory."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from unspool.data.sequences import FloatArray

MAX_VALUES = 1 << 24  # values kept for quantiles: 128 MiB in float64


class StepSample:
    """A random sample of the steps of all chunks, drawn in one pass; all steps if they fit.

    Up to ``2**24 // F`` steps are kept, so quantiles of fewer steps are exact. Otherwise each step
    has the same chance to be kept, with a fixed seed. The share of all steps below the quantile q
    of a sample of n steps then differs from q by about ``sqrt(q * (1 - q) / n)``, which is 0.0001
    for one feature.

    Parameters
    ----------
    n_features : int
        Number of features, F.
    """

    def __init__(self, n_features: int) -> None:
        self._size = max(1, MAX_VALUES // max(1, n_features))
        self._random = np.random.default_rng(0)
        self._steps: list[FloatArray] = [np.empty((0, n_features))]
        self._keys: list[npt.NDArray[np.float64]] = [np.empty(0)]
        self._limit = 1.0  # keys that are kept are below it
        self._count = 0

    def reading(self, chunks: Iterable[FloatArray]) -> Iterator[FloatArray]:
        """Pass chunks of shape (steps, F) on, and sample their steps."""
        for chunk in chunks:
            keys = self._random.random(len(chunk))
            kept = keys < self._limit
            self._steps.append(chunk[kept].astype(np.float64))
            self._keys.append(keys[kept])
            self._count += int(kept.sum())
            if self._count > 2 * self._size:
                self._reduce()
            yield chunk

    def quantiles(self, shares: tuple[float, ...]) -> FloatArray:
        """Return the quantiles (len(shares), F), interpolated linearly; 0 if there are no steps."""
        if self._count > self._size:
            self._reduce()
        values = np.concatenate(self._steps)
        if not len(values):
            return np.zeros((len(shares), values.shape[1]))
        # Differences of the largest numbers overflow; a power of two changes no digit.
        hidden = np.isnan(values)
        exponent = np.frexp(abs(np.where(hidden, 0, values)).max(axis=0))[1].clip(-1000, 1000)
        units = np.ldexp(np.where(hidden, np.nan, values), -exponent)  # other NaN make NumPy warn
        if hidden.any():  # missing values do not count; without any other, quantiles are 0
            units[:, hidden.all(axis=0)] = 0
            found = np.nanquantile(units, shares, axis=0)
        else:
            found = np.quantile(units, shares, axis=0)
        quantiles: FloatArray = np.ldexp(found, exponent)
        return quantiles

    def _reduce(self) -> None:
        """Keep the steps with the smallest keys."""
        keys, steps = np.concatenate(self._keys), np.concatenate(self._steps)
        order = np.argpartition(keys, self._size - 1)[: self._size]
        self._keys, self._steps, self._count = [keys[order]], [steps[order]], self._size
        self._limit = float(keys[order].max())
