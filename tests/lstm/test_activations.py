"""The compiled activations: their accuracy, and their values at extremes and NaN."""

import numba
import numpy as np
import pytest

from unspool.lstm.compiled.activations import cell_activation, cell_slope, gate_slope, gates_of
from unspool.lstm.compiled.vector import lanes_of, load, pointer, store

DTYPES = [np.float32, np.float64]
EXTREMES = [np.inf, 1e30, 100, 8.5, 8.0177, 7.86, 3, 1, 1e-3, 1e-30, 1e-40, 5e-324, 0]
dtypes = pytest.mark.parametrize("dtype", DTYPES)
functions = pytest.mark.parametrize("relu", [0, 1], ids=["tanh", "relu"])
gate_functions = pytest.mark.parametrize("hard", [0, 1], ids=["sigmoid", "hard_sigmoid"])


@numba.njit(error_model="numpy")
def all_of(gates, out, count, relu, hard, like):
    """Fill the rows of `out`: four gates, φ of the third sum, and the slopes there."""
    x, y = pointer(gates, like), pointer(out, like)
    for k in range(0, count, lanes_of(x)):
        i, f, g, o = gates_of(
            load(x, k), load(x, count + k), load(x, 2 * count + k), load(x, 3 * count + k),
            relu, hard,
        )  # fmt: skip
        alone = cell_activation(load(x, 2 * count + k), relu)
        rows = (i, f, g, o, alone, gate_slope(i, hard), cell_slope(alone, relu))
        for row in range(7):
            store(y, row * count + k, rows[row])


def run(i, f, g, o, relu=0, hard=0):
    gates = np.stack([i, f, g, o])
    assert gates.shape[1] % 16 == 0
    out = np.full((7, gates.shape[1]), 7, gates.dtype)
    all_of(gates.ctypes.data, out.ctypes.data, gates.shape[1], relu, hard, gates.dtype.type(0))
    return dict(zip(("i", "f", "g", "o", "φ", "σ'", "φ'"), out, strict=True))


def dense(dtype, count=1 << 16):
    """Return four rows of the same numbers, each in another order."""
    rng = np.random.default_rng(0)
    ends = [np.linspace(-25, 25, count // 2), np.geomspace(1e-42, 40, count // 4)]
    numbers = np.concatenate([*ends, -ends[1]]).astype(dtype)
    return [rng.permutation(numbers) for _ in range(4)]


def sigmoid(x):
    return 0.5 + 0.5 * np.tanh(0.5 * x.astype(np.longdouble))


def ulps(expected, got):
    return np.abs((got - expected) / np.spacing(np.abs(expected).astype(got.dtype))).max()


def test_tanh_in_float32_is_accurate_to_a_few_units_in_the_last_place():
    gates = dense(np.float32)
    got, expected = run(*gates), np.tanh(gates[2].astype(np.float64))
    assert ulps(expected, got["φ"]) < 6
    assert ulps(expected, got["g"]) < 8


def test_tanh_in_float64_is_accurate_to_rounding():
    gates = dense(np.float64)
    got, expected = run(*gates), np.tanh(gates[2].astype(np.longdouble))
    for name in ("φ", "g"):
        assert np.abs(got[name] - expected).max() < 4e-16


@functions
@pytest.mark.parametrize(("dtype", "allowed"), [(np.float32, 3e-7), (np.float64, 2e-16)])
def test_sigmoid_is_accurate_to_rounding(dtype, allowed, relu):
    i, f, g, o = dense(dtype)
    got = run(i, f, g, o, relu)
    for name, x in (("i", i), ("f", f), ("o", o)):
        assert np.abs(got[name] - sigmoid(x)).max() < allowed


@functions
@dtypes
def test_the_hard_sigmoid_is_accurate_to_rounding(dtype, relu):
    i, f, g, o = dense(dtype)
    got = run(i, f, g, o, relu, hard=1)
    for name, x in (("i", i), ("f", f), ("o", o)):
        expected = np.clip(x.astype(np.longdouble) / 6 + 0.5, 0, 1)
        assert np.abs(got[name] - expected).max() < np.finfo(dtype).eps


@gate_functions
@dtypes
def test_relu_is_exact(dtype, hard):
    i, f, g, o = dense(dtype)
    got = run(i, f, g, o, relu=1, hard=hard)
    np.testing.assert_array_equal(got["g"], np.maximum(g, 0))
    np.testing.assert_array_equal(got["φ"], np.maximum(g, 0))


@gate_functions
@dtypes
def test_values_stay_within_their_range(dtype, hard):
    for factor in (1, 30):  # only one in some thousands is rounded up
        got = run(*(factor * x for x in dense(dtype, 1 << 20)), hard=hard)
        for name in ("g", "φ"):
            assert np.abs(got[name]).max() <= 1
        for name in ("i", "f", "o"):
            assert got[name].min() >= 0
            assert got[name].max() <= 1


@functions
@gate_functions
@dtypes
def test_activations_reach_their_limits_at_extreme_inputs(dtype, relu, hard):
    for sign in (1, -1):
        x = np.array([*EXTREMES, 0, 0, 0], dtype) * dtype(sign)
        got = run(x, x, x, x, relu, hard)
        x = x.astype(np.float64)
        sigma = np.clip(x / 6 + 0.5, 0, 1) if hard else 0.5 + 0.5 * np.tanh(0.5 * x)
        phi = np.maximum(x, 0) if relu else np.tanh(x)
        for name, expected in (("i", sigma), ("f", sigma), ("o", sigma), ("g", phi), ("φ", phi)):
            np.testing.assert_allclose(got[name], expected, rtol=5e-7, atol=3e-7, err_msg=name)


@functions
@gate_functions
@dtypes
def test_nan_stays_nan(dtype, relu, hard):
    x = np.linspace(-5, 5, 32, dtype=dtype)
    x[7] = np.nan
    got = run(x, x, x, x, relu, hard)
    for name in ("i", "f", "g", "o", "φ", "σ'"):
        np.testing.assert_array_equal(np.isnan(got[name]), np.isnan(x), err_msg=name)
    assert relu or np.isnan(got["φ'"][7])


@functions
@gate_functions
@dtypes
def test_slopes_are_those_at_the_values(dtype, relu, hard):
    got = run(*dense(dtype), relu, hard)
    i, phi = got["i"], got["φ"]
    expected = ((i > 0) & (i < 1)) / dtype(6) if hard else i * (1 - i)
    np.testing.assert_allclose(got["σ'"], expected, rtol=np.finfo(dtype).eps)
    expected = (phi > 0) if relu else 1 - phi * phi
    np.testing.assert_allclose(got["φ'"], expected, atol=np.finfo(dtype).eps)
