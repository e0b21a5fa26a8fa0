"""How many independent scores a series of scores is worth, and what these can promise."""

from collections.abc import Sequence

import numpy as np

from unspool.data.sequences import FloatArray


def n_effective(scores: Sequence[FloatArray]) -> float:
    """Number of independent scores that know as much: n divided by the autocorrelation time.

    The autocorrelation time is 1 plus twice the sum of the autocorrelations. They are those of
    the ranks, so that a few extreme scores do not decide them, and are summed as long as sums of
    two neighbours are positive, each counted as no larger than the one before: Geyer's initial
    monotone sequence. Of a series shorter than about ten autocorrelation times it is too large.

    Parameters
    ----------
    scores : list of arrays (T_i,), one for each series
        The numbers of several series are added up.

    Returns
    -------
    float
        From 0 to the number of scores. Equal scores are worth one.

    References
    ----------
    C. J. Geyer, "Practical Markov Chain Monte Carlo", Statistical Science 7 (1992), section 3.3.
    """
    return float(sum(len(one) / _autocorrelation_time(one) for one in scores if len(one)))


def _autocorrelation_time(scores: FloatArray) -> float:
    """Steps (from 1 to T) that are worth one independent score."""
    steps = len(scores)
    apart = _ranks(scores)
    apart -= apart.mean()
    if not apart.any():
        return float(steps)
    spectrum = np.fft.rfft(apart, 2 * steps)  # padded with zeros: no wrapping round
    covariance = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, 2 * steps)[:steps]
    correlation = covariance / covariance[0]
    pairs = correlation[: steps // 2 * 2].reshape(-1, 2).sum(axis=1)
    positive = len(pairs) if (pairs > 0).all() else int(np.argmin(pairs > 0))
    time = 2 * np.minimum.accumulate(pairs[:positive]).sum() - 1
    return float(np.clip(time, 1, steps))


def _ranks(scores: FloatArray) -> FloatArray:
    """Rank of every score, the mean of their ranks for equal ones."""
    _, which, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks: FloatArray = (np.cumsum(counts) - (counts - 1) / 2)[which]
    return ranks


def likely_rates(exceedances: float, n: float) -> tuple[float, float]:
    """Range (10th to 90th percentile) of the rate at which new scores exceed an old one.

    Parameters
    ----------
    exceedances : float, from 1 to n
        Which of n independent scores, counted from the largest (1), is the threshold.
    n : float
        Their number.

    Returns
    -------
    Quantiles of Beta(exceedances, n + 1 - exceedances), the distribution of that rate whatever
    the distribution of the scores.
    """
    most = min(1.0, (exceedances + 12 * np.sqrt(exceedances) + 20) / n)
    rate = np.linspace(0, most, 100_001)[1:-1]
    log_density = (exceedances - 1) * np.log(rate) + (n - exceedances) * np.log1p(-rate)
    below = np.cumsum(np.exp(log_density - log_density.max()))
    low, high = np.interp((0.1, 0.9), below / below[-1], rate)
    return float(low), float(high)
