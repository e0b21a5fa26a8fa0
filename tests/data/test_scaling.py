"""Scaling: learned in chunks, exact on hard numbers, undone on the way out."""

import numpy as np
import pytest

from tests.close import assert_close
from unspool.data.scaling import Scaler, moments


def chunks(values, cuts=(0, 3, 3, 50)):
    return [values[a:b] for a, b in zip(cuts, [*cuts[1:], len(values)], strict=True)]


def test_moments_over_chunks_are_those_of_the_whole():
    values = np.random.default_rng(0).normal(size=(100, 3)) * [1, 1e-3, 1e5] + [1e8, 0, 5]
    mean, variance, count = moments(chunks(values), 3)
    assert count == 100
    np.testing.assert_allclose(mean, values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(variance, values.var(axis=0), rtol=1e-7)


@pytest.mark.parametrize("kind", ["standard", "minmax", "none"])
def test_what_is_applied_is_undone(kind):
    values = np.random.default_rng(0).normal(size=(100, 2)) * [3, 100] + [7, -2]
    scaler = Scaler.fit(kind, chunks(values), 2)
    scaled = scaler.apply(values)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaler.undo(scaled), values, rtol=1e-4, atol=1e-4)
    if kind == "standard":
        np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-6)
    if kind == "minmax":
        assert scaled.min() == 0
        assert scaled.max() == 1
    if kind == "none":
        assert_close("values", values.astype(np.float32), scaled)


@pytest.mark.parametrize("kind", ["standard", "minmax"])
@pytest.mark.parametrize("constant", [0.0, 0.1, -1e9])
def test_a_constant_feature_becomes_zero(kind, constant):
    scaler = Scaler.fit(kind, chunks(np.full((100, 1), constant)), 1)
    assert scaler.scale == 1
    np.testing.assert_allclose(scaler.apply(np.full((2, 1), constant)), 0, atol=1e-6)


def test_small_differences_on_a_large_offset_survive():
    values = 1e9 + np.arange(100.0)[:, None]
    scaled = Scaler.fit("standard", [values], 1).apply(values)
    assert len(np.unique(scaled)) == 100


@pytest.mark.parametrize("kind", ["standard", "minmax", "none"])
def test_no_steps_at_all(kind):
    scaler = Scaler.fit(kind, [np.zeros((0, 2))], 2)
    assert scaler.shift.tolist() == [0, 0]
    assert scaler.scale.tolist() == [1, 1]


def test_no_scaling_is_a_copy_in_float32_to_the_bit():
    values = np.random.default_rng(0).normal(size=(50, 3)) * 1e3
    plain, nearly = Scaler(np.zeros(3), np.ones(3)), Scaler(np.zeros(3), np.array([1, 1, 2.0]))
    copied = plain.apply(values)
    assert copied.dtype == np.float32
    np.testing.assert_array_equal(copied, ((values - 0.0) / 1.0).astype(np.float32))
    np.testing.assert_array_equal(nearly.apply(values)[:, 2], (values[:, 2] / 2).astype(np.float32))
    again = plain.apply(copied)
    again[:] = 0
    assert copied.all()
