"""Quantiles over chunks, and robust scaling, compared with NumPy and scikit-learn."""

import numpy as np
import pytest
from sklearn.preprocessing import RobustScaler

from unspool.data import quantiles
from unspool.data.quantiles import StepSample
from unspool.data.scaling import Scaler

RNG = np.random.default_rng(0)
VALUES = RNG.standard_t(2, size=(5000, 3)) * [1, 1e4, 1e-3] + [0, -3e4, 5]


def chunks_of(values, size=700):
    return [values[at : at + size] for at in range(0, len(values), size)]


def sampled(values):
    sample = StepSample(values.shape[1])
    passed = np.concatenate(list(sample.reading(chunks_of(values))))
    np.testing.assert_array_equal(passed, values)
    return sample


@pytest.mark.parametrize("steps", [1, 2, 3, 700, 5000])
def test_quantiles_of_steps_that_fit_in_memory_are_exact(steps):
    values = VALUES[:steps]
    expected = np.quantile(values, (0.1, 0.5, 0.9), axis=0)
    np.testing.assert_allclose(sampled(values).quantiles((0.1, 0.5, 0.9)), expected, rtol=1e-12)


def test_quantiles_of_more_steps_have_the_error_of_a_random_sample(monkeypatch):
    """Sorted and periodic data would mislead a sample of the first steps or of every k-th."""
    monkeypatch.setattr(quantiles, "MAX_VALUES", 3 * 1000)
    n = 200_000
    values = np.c_[np.arange(n), np.arange(n) % 64, np.sort(RNG.normal(size=n))]
    sample = sampled(values)
    found = sample.quantiles((0.25, 0.5, 0.75))
    assert sum(map(len, sample._steps)) == 1000
    ranks = [(values[:, i] < found[:, i, None]).mean(axis=1) for i in (0, 2)]
    assert abs(ranks - np.array([0.25, 0.5, 0.75])).max() < 4 * np.sqrt(0.25 / 1000)
    np.testing.assert_allclose(found[:, 1], [16, 32, 48], atol=4)


def test_robust_scaling_is_that_of_scikit_learn():
    scaler = Scaler.fit("robust", chunks_of(VALUES), 3)
    expected = RobustScaler().fit(VALUES)
    np.testing.assert_allclose(scaler.shift, expected.center_, rtol=1e-12)
    np.testing.assert_allclose(scaler.scale, expected.scale_, rtol=1e-12)
    np.testing.assert_allclose(scaler.apply(VALUES), expected.transform(VALUES), rtol=1e-5)


def test_outliers_do_not_change_robust_scaling():
    clean = RNG.normal(size=(1000, 1))
    dirty = np.where(RNG.random((1000, 1)) < 0.01, 1e6, clean)
    found, expected = (Scaler.fit("robust", [values], 1) for values in (dirty, clean))
    assert abs(found.scale / expected.scale - 1) < 0.05
    assert Scaler.fit("standard", [dirty], 1).scale > 1e4


def test_a_feature_of_rare_events_is_scaled_by_its_standard_deviation():
    events = (np.arange(1000) % 50 == 0).astype(float)[:, None] * 7
    scaler = Scaler.fit("robust", chunks_of(events), 1, lambda: chunks_of(events))
    assert scaler.shift == 0
    np.testing.assert_allclose(scaler.scale, events.std(), rtol=1e-12)


def test_the_missing_value_of_r_does_not_count():
    """NumPy calls its bits, those of a signalling NaN, an invalid value."""
    values = VALUES[:9].copy()
    values.view(np.uint64)[4, 1] = 0x7FF00000000007A2
    expected = np.nanquantile(np.where(np.isnan(values), np.nan, values), 0.5, axis=0)
    np.testing.assert_allclose(sampled(values).quantiles((0.5,))[0], expected, rtol=1e-12)
