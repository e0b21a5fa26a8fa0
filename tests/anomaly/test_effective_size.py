import numpy as np
import pytest
from scipy import stats
from scipy.signal import lfilter

from unspool.anomaly.effective_size import exceedance_rate_interval, n_effective


def autoregressive(phi, steps, seed):
    noise = np.random.default_rng(seed).normal(size=steps + 500)
    return lfilter([1], [1, -phi], noise)[500:]


@pytest.mark.parametrize(("phi", "within"), [(0, 0.06), (0.5, 0.1), (0.8, 0.2), (0.9, 0.3)])
def test_autoregressive_scores_are_worth_what_theory_says(phi, within):
    expected = 5000 * (1 - phi) / (1 + phi)
    for seed in range(5):
        assert n_effective([autoregressive(phi, 5000, seed)]) == pytest.approx(expected, rel=within)


@pytest.mark.parametrize("window", [8, 32])
def test_means_over_windows_are_worth_one_score_a_window(window):
    mean = np.ones(window) / window
    for seed in range(5):
        scores = np.random.default_rng(seed).exponential(size=10_000 + window - 1)
        found = n_effective([np.convolve(scores, mean, "valid")])
        assert found == pytest.approx(10_000 / window, rel=0.3)


def test_a_few_extreme_scores_do_not_hide_the_autocorrelation_of_the_others():
    scores = autoregressive(0.8, 5000, 0)
    spoilt = scores.copy()
    spoilt[::1000] = 1e6
    assert n_effective([spoilt]) == pytest.approx(n_effective([scores]), rel=0.05)


def test_scores_that_alternate_are_worth_no_more_than_their_number():
    assert n_effective([np.tile([0.0, 1.0], 50)]) == 100


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([], 0), ([3], 1), ([1, 2], 2), ([2, 2], 1), ([7] * 500, 1)],
)
def test_equal_scores_and_very_few_scores(scores, expected):
    assert n_effective([np.array(scores, float)]) == expected


def test_the_sizes_of_several_series_are_added():
    one, other = autoregressive(0.5, 300, 1), autoregressive(0.9, 700, 2)
    total = n_effective([one]) + n_effective([other])
    assert n_effective([one, np.empty(0), other + 100]) == total


@pytest.mark.parametrize(("exceedances", "n"), [(1, 8.5), (1, 1), (3.4, 460.0), (19.9, 1e6)])
def test_likely_rates_are_quantiles_of_the_beta_distribution(exceedances, n):
    expected = stats.beta(exceedances, n + 1 - exceedances).ppf([0.1, 0.9])
    np.testing.assert_allclose(exceedance_rate_interval(exceedances, n), expected, rtol=2e-3)
