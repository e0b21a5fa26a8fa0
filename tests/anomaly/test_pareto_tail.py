import numpy as np
import pytest
from scipy import stats

from unspool.anomaly.pareto_tail import Tail, fit_tail


@pytest.mark.parametrize("shape", [-0.3, 0.0, 0.2, 0.7])
@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_shape_and_scale_equal_those_of_scipy(shape, scale):
    exceedances = stats.genpareto(shape, scale=scale).rvs(400, random_state=3)
    tail = fit_tail(exceedances)
    expected = stats.genpareto.fit(exceedances / scale, floc=0)
    assert tail.shape == pytest.approx(expected[0], abs=1e-3)
    assert tail.scale / scale == pytest.approx(expected[2], rel=1e-3)


def test_no_other_shape_and_scale_are_likelier():
    exceedances = stats.genpareto(0.3).rvs(200, random_state=5)

    def likelihood(shape, scale):
        return stats.genpareto(shape, scale=scale).logpdf(exceedances).sum()

    shape, scale = fit_tail(exceedances)
    best = likelihood(shape, scale)
    for other in (1e-3, -1e-3):
        assert likelihood(shape + other, scale) < best
        assert likelihood(shape, scale * (1 + other)) < best


def test_the_tail_of_a_uniform_distribution_ends_at_the_largest():
    exceedances = np.random.default_rng(0).uniform(size=500)
    tail = fit_tail(exceedances)
    assert tail.shape == pytest.approx(-1, abs=0.02)
    assert tail.level(1e-9) == pytest.approx(exceedances.max(), rel=0.01)


def test_few_exceedances_are_exponential_and_equal_ones_bounded():
    exceedances = stats.genpareto(0.7).rvs(50, random_state=0)
    assert fit_tail(exceedances[1:]) == Tail(0.0, pytest.approx(exceedances[1:].mean()))
    assert fit_tail(exceedances).shape > 0.3
    assert fit_tail(np.full(200, 2.0)).level(1e-3) == pytest.approx(2, rel=0.01)


@pytest.mark.parametrize("shape", [-0.5, 0.0, 1e-12, 0.4])
def test_levels_are_quantiles(shape):
    expected = stats.genpareto(shape, scale=3).isf([0.5, 1e-3])
    found = [Tail(shape, 3.0).level(0.5), Tail(shape, 3.0).level(1e-3)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
