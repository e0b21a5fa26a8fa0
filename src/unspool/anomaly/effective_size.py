"""Number of independent scores that autocorrelated scores are worth, and the rates they allow."""

from collections.abc import Sequence

import numpy as np

from unspool.data.sequences import FloatArray


def n_effective(scores: Sequence[FloatArray]) -> float:
    """Estimate the effective sample size: n divided by the autocorrelation time.

    The autocorrelation time is 1 plus twice the sum of the autocorrelations. These are computed
    from ranks, so that a few extreme scores do not dominate. They are summed as long as the sums
    of two neighbours are positive, each limited to the one before it (Geyer's initial monotone
    sequence [1]_). For a series shorter than about ten autocorrelation times the estimate is too
    large.

    Parameters
    ----------
    scores : list of arrays of shape (T_i,), one for each series
        Scores. The estimates of several series are added.

    Returns
    -------
    float
        From 0 to the number of scores. Equal scores are worth one.

    References
    ----------
    .. [1] C. J. Geyer (1992). "Practical Markov Chain Monte Carlo". Statistical Science 7,
       section 3.3.
    """
    return float(sum(len(one) / _autocorrelation_time(one) for one in scores if len(one)))


def _autocorrelation_time(scores: FloatArray) -> float:
    """Return how many steps (1 to T) are worth one independent score."""
    steps = len(scores)
    centred = _ranks(scores)
    centred -= centred.mean()
    if not centred.any():
        return float(steps)
    spectrum = np.fft.rfft(centred, 2 * steps)  # zero padding prevents circular correlation
    covariance = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, 2 * steps)[:steps]
    correlation = covariance / covariance[0]
    pairs = correlation[: steps // 2 * 2].reshape(-1, 2).sum(axis=1)
    positive = len(pairs) if (pairs > 0).all() else int(np.argmin(pairs > 0))
    time = 2 * np.minimum.accumulate(pairs[:positive]).sum() - 1
    return float(np.clip(time, 1, steps))


def _ranks(scores: FloatArray) -> FloatArray:
    """Return the rank of every score; equal scores share the mean of their ranks."""
    _, which, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks: FloatArray = (np.cumsum(counts) - (counts - 1) / 2)[which]
    return ranks


def exceedance_rate_interval(exceedances: float, n: float) -> tuple[float, float]:
    """Return the 10th and 90th percentile of the rate at which new scores exceed a threshold.

    Parameters
    ----------
    exceedances : float, from 1 to n
        Rank of the threshold among n independent scores, from 1 for the largest.
    n : float
        Number of independent scores.

    Returns
    -------
    tuple of two float
        Quantiles of Beta(exceedances, n + 1 - exceedances), which is the distribution of the rate
        for any distribution of the scores.
    """
    upper = min(1.0, (exceedances + 12 * np.sqrt(exceedances) + 20) / n)
    rate = np.linspace(0, upper, 100_001)[1:-1]
    log_density = (exceedances - 1) * np.log(rate) + (n - exceedances) * np.log1p(-rate)
    cumulative = np.cumsum(np.exp(log_density - log_density.max()))
    low, high = np.interp((0.1, 0.9), cumulative / cumulative[-1], rate)
    return float(low), float(high)
