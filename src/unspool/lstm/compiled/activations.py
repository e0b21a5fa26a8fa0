"""The activations of recurrent cells on vectors. No finite input overflows."""

import numba

from unspool.lstm.compiled.jit import compiled
from unspool.lstm.compiled.vector import fma, power_of_two, where_less


@compiled
def exponential(x):
    """Return e to the power `x` in float64, for x from -700 to 700.

    A Taylor polynomial, after a multiple of log 2 was subtracted; within two units in the last
    place.
    """
    n = x * 1.4426950408889634
    n = (n + 6755399441055744.0) - 6755399441055744.0  # rounds to the nearest whole number
    r = fma(n, -0.693147180369123816490, x)
    r = fma(n, -1.90821492927058770002e-10, r)
    p = fma(r, 1.6059043836821613e-10, 2.08767569878681e-09)
    p = fma(p, r, 2.505210838544172e-08)
    p = fma(p, r, 2.7557319223985893e-07)
    p = fma(p, r, 2.7557319223985893e-06)
    p = fma(p, r, 2.48015873015873e-05)
    p = fma(p, r, 0.0001984126984126984)
    p = fma(p, r, 0.001388888888888889)
    p = fma(p, r, 0.008333333333333333)
    p = fma(p, r, 0.041666666666666664)
    p = fma(p, r, 0.16666666666666666)
    p = fma(p, r, 0.5)
    p = fma(p, r, 1.0)
    p = fma(p, r, 1.0)
    return p * power_of_two(n)


@compiled
def fraction(x, end):
    """Return numerator and denominator of tanh in float32; beyond ±`end` it is constant.

    They are x + x³P(x²) and Q(x²), with the coefficients of Eigen's rational approximation, which
    holds up to `end` = 8.01773357. The denominator lies between 1 and 240.
    """
    x = where_less(end, x, end, x)
    x = where_less(x, -end, -end, x)
    y = x * x
    p = fma(y, 1.394553628e-8, 2.102733560e-5)
    p = fma(p, y, 3.520756727e-3)
    p = fma(p, y, 1.340216100e-1)
    p = fma(p * y, x, x)
    q = fma(y, 8.015776984e-7, 3.326951409e-4)
    q = fma(q, y, 2.597254514e-2)
    q = fma(q, y, 4.673548340e-1)
    q = fma(q, y, 1.0)
    return p, q


@compiled
def tanh_32(x):
    """Return tanh in float32, within 6 units in the last place."""
    p, q = fraction(x, 8.01773357)
    return p / q


@compiled
def four_tanh_32(a, b, c, d):
    """Return four tanh in float32 with a single division, within 8 units in the last place.

    Division is a processor's slowest operation on vectors. The approximation ends at 7.86, where
    it is far enough below 1 that rounding does not exceed 1.
    """
    pa, qa = fraction(a, 7.86)
    pb, qb = fraction(b, 7.86)
    pc, qc = fraction(c, 7.86)
    pd, qd = fraction(d, 7.86)
    ab, cd = qa * qb, qc * qd
    inverse = 1.0 / (ab * cd)
    ab, cd = inverse * cd, inverse * ab
    return pa * (ab * qb), pb * (ab * qa), pc * (cd * qd), pd * (cd * qc)


@compiled
def two_tanh_32(a, b):
    """Return two tanh in float32 with a single division, as `four_tanh_32` does."""
    pa, qa = fraction(a, 7.86)
    pb, qb = fraction(b, 7.86)
    inverse = 1.0 / (qa * qb)
    return pa * (inverse * qb), pb * (inverse * qa)


@compiled
def tanh_64(x):
    """Return tanh in float64, within 4e-16."""
    x = where_less(20.0, x, 20.0, x)
    x = where_less(x, -20.0, -20.0, x)
    return 1.0 - 2.0 / (exponential(x + x) + 1.0)


@compiled
def four_tanh_64(a, b, c, d):
    """Return four tanh in float64."""
    return tanh_64(a), tanh_64(b), tanh_64(c), tanh_64(d)


@compiled
def two_tanh_64(a, b):
    """Return two tanh in float64."""
    return tanh_64(a), tanh_64(b)


def tanh(x):
    """Return the hyperbolic tangent; compiled for the type of `x`."""


def two_tanh(a, b):
    """Return two hyperbolic tangents; compiled for their type."""


def four_tanh(a, b, c, d):
    """Return four hyperbolic tangents; compiled for their type."""


@numba.extending.overload(tanh)
def _tanh(x):
    kernel = tanh_32 if x.dtype == numba.float32 else tanh_64
    return lambda x: kernel(x)


@numba.extending.overload(two_tanh)
def _two_tanh(a, b):
    kernel = two_tanh_32 if a.dtype == numba.float32 else two_tanh_64
    return lambda a, b: kernel(a, b)


@numba.extending.overload(four_tanh)
def _four_tanh(a, b, c, d):
    kernel = four_tanh_32 if a.dtype == numba.float32 else four_tanh_64
    return lambda a, b, c, d: kernel(a, b, c, d)


@compiled
def cell_activation(x, relu):
    """Return the activation φ of the cell: ReLU or tanh."""
    if relu:
        return where_less(x, 0.0, 0.0, x)
    return tanh(x)


@compiled
def cell_slope(y, relu):
    """Return the derivative of φ where its value is `y`."""
    if relu:
        return where_less(0.0, y, 1.0, y * 0.0)
    return 1.0 - y * y


@compiled
def hard_sigmoid(x):
    """Return the hard sigmoid, which rises linearly from 0 at -3 to 1 at 3."""
    y = fma(x, 0.16666666666666666, 0.5)
    y = where_less(y, 0.0, 0.0, y)
    return where_less(1.0, y, 1.0, y)


@compiled
def gates_of(i, f, g, o, relu, hard):
    """Return the gates of an LSTM from their sums: φ of the third, σ of the others."""
    if not (relu or hard):
        i, f, g, o = four_tanh(i * 0.5, f * 0.5, g, o * 0.5)
        return fma(i, 0.5, 0.5), fma(f, 0.5, 0.5), g, fma(o, 0.5, 0.5)
    g = cell_activation(g, relu)
    if hard:
        return hard_sigmoid(i), hard_sigmoid(f), g, hard_sigmoid(o)
    i, f, o = tanh(i * 0.5), tanh(f * 0.5), tanh(o * 0.5)
    return fma(i, 0.5, 0.5), fma(f, 0.5, 0.5), g, fma(o, 0.5, 0.5)


@compiled
def two_gates_of(z, r, hard):
    """Return the gates of a GRU from their sums."""
    if hard:
        return hard_sigmoid(z), hard_sigmoid(r)
    z, r = two_tanh(z * 0.5, r * 0.5)
    return fma(z, 0.5, 0.5), fma(r, 0.5, 0.5)


@compiled
def gate_slope(y, hard):
    """Return the derivative of σ where its value is `y`."""
    if hard:
        inside = where_less(0.0, y, 0.16666666666666666, y * 0.0)
        return where_less(y, 1.0, inside, y * 0.0)
    return y * (1.0 - y)
