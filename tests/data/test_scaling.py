"""Scaling is learned in chunks, exact for difficult numbers, and can be undone."""

import warnings

import numpy as np
import pytest

from tests.close import assert_close
from unspool.data.scaling import Scaler, moments
from unspool.errors import InputError

SIN = np.sin(np.arange(1000.0) / 7)[:, None]


def chunks(values, cuts=(0, 3, 3, 50)):
    return [values[a:b] for a, b in zip(cuts, [*cuts[1:], len(values)], strict=True)]


def fitted(kind, values):
    return Scaler.fit(kind, chunks(values), values.shape[1])


def test_moments_over_chunks_are_those_of_the_whole():
    values = np.random.default_rng(0).normal(size=(100, 3)) * [1, 1e-3, 1e5] + [1e8, 0, 5]
    found = moments(chunks(values), 3)
    assert found.count.tolist() == [100] * 3
    np.testing.assert_allclose(found.mean, values.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.spread, values.std(axis=0), rtol=1e-7)
    assert np.array_equal([found.low, found.high], [values.min(axis=0), values.max(axis=0)])


@pytest.mark.parametrize("kind", ["standard", "minmax", "robust", "none"])
def test_what_is_applied_is_undone(kind):
    values = np.random.default_rng(0).normal(size=(100, 2)) * [3, 100] + [7, -2]
    scaler = fitted(kind, values)
    scaled = scaler.apply(values)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaler.undo(scaled), values, rtol=1e-4, atol=1e-4)
    if kind == "standard":
        np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-6)
        np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-6)
    if kind == "minmax":
        assert scaled.min() == 0
        assert scaled.max() == 1
    if kind == "robust":
        low, median, high = np.quantile(scaled, [0.25, 0.5, 0.75], axis=0)
        np.testing.assert_allclose(median, 0, atol=1e-6)
        np.testing.assert_allclose(high - low, 1, rtol=1e-6)
    if kind == "none":
        assert_close("values", values.astype(np.float32), scaled)


@pytest.mark.parametrize("kind", ["standard", "minmax", "robust"])
@pytest.mark.parametrize(
    ("offset", "amplitude"),
    [
        (1e9, 1e-3),
        (-1e9, 1e-4),
        (1e12, 1),
        (1.0, 1e-9),
        (-1e-5, 1e-12),
        (0, 1e-300),
        (0, 1e-307),
        (1e-200, 1e-201),
        (0, 1e300),
        (1e300, 1e295),
        (1e308, 7e307),
    ],
)
def test_a_feature_is_scaled_by_what_it_varies_by_whatever_its_size(kind, offset, amplitude):
    values = offset + amplitude * SIN
    scaled = fitted(kind, values).apply(values)
    plain = fitted(kind, SIN).apply(SIN)
    resolution = np.spacing(abs(offset) + amplitude) / amplitude
    np.testing.assert_allclose(scaled, plain, atol=1e-6 + 2 * resolution)


@pytest.mark.parametrize("kind", ["standard", "minmax", "robust"])
def test_features_of_very_different_size_in_any_order_of_chunks(kind):
    columns = [0 * SIN, 1e-300 * SIN, 1e-3 * SIN + 1e9, 1e300 * SIN, SIN]
    values = np.concatenate([0 * np.concatenate(columns, 1), np.concatenate(columns, 1)])
    expected = fitted(kind, np.concatenate([0 * SIN, SIN])).apply(SIN)[:, 0]
    for first in (values, values[::-1]):
        scaler = fitted(kind, first)
        scaled = scaler.apply(values[1000:])
        for feature in (1, 3, 4):
            np.testing.assert_allclose(scaled[:, feature], expected, atol=1e-6)
        assert not scaled[:, 0].any()


def test_the_mean_of_many_steps_loses_no_digits():
    found = moments([1e9 + 1e-3 * np.resize([[-1.0], [1.0]], (10**6, 1))], 1)
    assert abs(found.mean - 1e9) < 1e-6
    np.testing.assert_allclose(found.spread, 1e-3, rtol=1e-3)


@pytest.mark.parametrize("kind", ["standard", "minmax", "robust"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("size", [5.0, 0.1, -300.0, 1e-3, 30000.0])
def test_a_constant_and_one_that_rounding_moved_are_alike(kind, dtype, size):
    """If they change later, a tenth of their value counts as one standard deviation."""
    constant = np.full((100, 1), size, dtype)
    rounded = constant.copy()
    rounded[::3] = np.nextafter(dtype(size), dtype(0))
    rounded[::7] = np.nextafter(dtype(size), dtype(np.inf))
    for values in (constant, rounded):
        scaler = fitted(kind, values)
        np.testing.assert_allclose(scaler.scale, abs(size) / 10, rtol=2e-3)
        np.testing.assert_allclose(scaler.apply(values), 0, atol=0.02)
        assert moments(chunks(values), 1).spread == 0
        moved = scaler.apply((constant * dtype(1.5)).astype(dtype))
        np.testing.assert_allclose(abs(moved), 5, rtol=0.02)


def test_rounding_of_a_few_computations_is_no_signal():
    rng = np.random.default_rng(0)
    factors = rng.uniform(1, 9, (1000, 20))
    values = np.full((1000, 1), 4.7)
    for factor in factors.T:
        values = values * factor[:, None] / factor[:, None]
    assert len(np.unique(values)) > 5
    assert fitted("standard", values).scale == pytest.approx(0.47)


@pytest.mark.parametrize("kind", ["standard", "minmax", "robust"])
def test_zeros_have_the_scale_1(kind):
    scaler = fitted(kind, np.zeros((100, 2)))
    assert scaler.scale.tolist() == [1, 1]
    assert scaler.apply(np.ones((1, 2))).tolist() == [[1, 1]]


@pytest.mark.parametrize("kind", ["standard", "minmax", "robust"])
@pytest.mark.parametrize("tiny", [5e-324, 1e-310])
def test_scales_are_above_zero_for_the_smallest_numbers(kind, tiny):
    for values in (np.full((9, 1), tiny), np.resize([[0.0], [tiny]], (9, 1))):
        scaler = fitted(kind, values)
        assert scaler.scale > 0
        assert np.isfinite(scaler.apply(values)).all()


WHOLE = [np.bool_, np.uint8, np.int8, np.int16, np.uint16, np.int32, np.int64, np.uint64]


@pytest.mark.parametrize("kind", ["standard", "minmax", "robust", "none"])
@pytest.mark.parametrize("dtype", WHOLE)
def test_whole_numbers_of_every_kind_up_to_their_ends(kind, dtype):
    low, high = (0, 1) if dtype is np.bool_ else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    values = np.resize(np.array([low, high, 0, 1], dtype)[:, None], (101, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scaler = fitted(kind, values)
        scaled = scaler.apply(values)
    expected = fitted(kind, values.astype(np.float64)).apply(values.astype(np.float64))
    np.testing.assert_allclose(scaled, expected, rtol=1e-6)
    if kind == "minmax":
        assert (scaled.min(), scaled.max()) == (0, 1)
    again = scaler.undo(scaled)[:2, 0]
    np.testing.assert_allclose(again, [low, high], rtol=1e-6, atol=1e-7 * float(high))


def test_a_single_step_and_small_floats():
    for dtype in (np.float16, np.float32, np.float64, np.longdouble, np.int64):
        assert fitted("standard", np.full((1, 1), 3, dtype)).apply(np.full((1, 1), 3, dtype)) == 0
    half = SIN.astype(np.float16)
    np.testing.assert_allclose(
        fitted("standard", half).apply(half), fitted("standard", SIN).apply(SIN), atol=2e-3
    )


def test_small_differences_on_a_large_offset_survive():
    values = 1e9 + np.arange(100.0)[:, None]
    scaled = Scaler.fit("standard", [values], 1).apply(values)
    assert len(np.unique(scaled)) == 100


@pytest.mark.parametrize(
    ("kind", "vary"), [("standard", "0.0007"), ("minmax", "0.002"), ("robust", "0.001")]
)
def test_float32_whose_resolution_is_too_coarse_is_refused(kind, vary):
    values = np.concatenate([SIN, 1e9 + 1e-3 * SIN], 1)
    scaler = fitted(kind, values)
    with pytest.raises(InputError) as caught:
        scaler.apply(values.astype(np.float32))
    assert str(caught.value) == (
        "Expected float64, got float32, whose resolution near 1e+09 is 1e+02; feature 1 was "
        f"fitted on values that vary by {vary}."
    )


@pytest.mark.parametrize("kind", ["standard", "minmax", "robust"])
def test_float32_that_a_scaler_was_fitted_on_is_never_refused(kind):
    rng = np.random.default_rng(0)
    for size in (1e-30, 1.0, 1e9, 1e30):
        for steps in (1, 2, 3, 10, 100):
            values = np.full((500, 1), size, np.float32)
            values += np.spacing(values) * rng.integers(0, steps, (500, 1), dtype=np.int32)
            assert values.dtype == np.float32
            assert np.isfinite(fitted(kind, values).apply(values)).all()


@pytest.mark.parametrize("kind", ["standard", "minmax", "robust", "none"])
def test_without_steps_nothing_is_scaled(kind):
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


def still_at(value, kind, rng=None):
    """A sensor that stays at `value` except for a small change, (1000, 1)."""
    rng = np.random.default_rng(0)
    values = np.full((1000, 1), value)
    if kind == "noise":
        values += 1e-7 * abs(value) * rng.normal(size=values.shape)
    if kind == "one flicker":
        values[400] *= 1 + 1e-5
    if kind == "float32 digits in float64":
        values = np.nextafter(np.float32(values), np.float32(rng.choice([-1e9, 1e9], (1000, 1))))
        values = values.astype(np.float64)
    return values


@pytest.mark.parametrize("value", [5.0, -1e6, 1e-9])
@pytest.mark.parametrize("kind", ["noise", "one flicker", "float32 digits in float64"])
@pytest.mark.parametrize("scaling", ["standard", "minmax", "robust"])
def test_a_sensor_that_only_jitters_counts_as_constant(value, kind, scaling):
    values = still_at(value, kind)
    scaler = Scaler.fit(scaling, chunks(values), 1, lambda: chunks(values))
    np.testing.assert_allclose(scaler.scale, abs(value) / 10, rtol=1e-4)
    later = scaler.apply(np.array([[value * 1.5]]))
    assert abs(later).max() < 10
    alone = Scaler.fit(scaling, chunks(values), 1)
    assert alone.scale < 1e-4 * abs(value)


@pytest.mark.parametrize("scaling", ["standard", "minmax", "robust"])
def test_what_moves_slowly_keeps_its_scale_however_little_it_varies(scaling):
    values = np.c_[1e9 + 1e-3 * SIN, 5 + 1e-9 * SIN, SIN]
    scaler = Scaler.fit(scaling, chunks(values), 3, lambda: chunks(values))
    alone = Scaler.fit(scaling, chunks(values), 3)
    np.testing.assert_array_equal(scaler.scale, alone.scale)
    assert (scaler.apply(values).std(axis=0) > 0.1).all()


@pytest.mark.parametrize("shift", [0.0, 2.5])
def test_the_missing_value_of_r_is_scaled_like_any_other_nan(shift):
    """NumPy calls its bits, those of a signalling NaN, an invalid value."""
    values = np.array([[1.0], [0.0]])
    values.view(np.uint64)[1] = 0x7FF00000000007A2
    scaler = Scaler(np.array([shift]), np.ones(1), missing=True)
    np.testing.assert_array_equal(scaler.apply(values), [[1.0 - shift], [np.nan]])
