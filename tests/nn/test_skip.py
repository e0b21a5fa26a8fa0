"""The normalisation of a sequence, its inverse on the forecast, and the linear map."""

import numpy as np
import pytest
import torch

from unspool.nn.losses import pinball
from unspool.nn.normalization import level_of, normalised
from unspool.nn.skip import PENALTIES, NormalEquations, Skip

LENGTHS = torch.tensor([6, 1, 0, 4])


def batch(seed=0, steps=6, features=2):
    """Sequences with rubbish in their padding."""
    x = torch.from_numpy(np.random.default_rng(seed).normal(3, 2, (4, steps, features)))
    x[torch.arange(steps) >= LENGTHS[:, None]] = 1e6
    return x


def alone(x):
    """The real steps of each sequence, as NumPy."""
    return [one[:length].numpy() for one, length in zip(x, LENGTHS, strict=True)]


def level(one, normalization):
    """Location and spread of a sequence (T, F), written out."""
    zeros, ones = np.zeros(one.shape[1]), np.ones(one.shape[1])
    if normalization == "none" or not len(one):
        return zeros, ones
    if normalization == "last":
        return one[-1], ones
    return one.mean(0), np.sqrt(one.var(0) + 1e-6)


@pytest.mark.parametrize("normalization", ["none", "last", "standard"])
def test_sequences_are_normalised_over_their_real_steps(normalization):
    x = batch()
    got = normalised(x, LENGTHS, normalization)
    for one, found in zip(alone(x), got, strict=True):
        location, spread = level(one, normalization)
        np.testing.assert_allclose(found[: len(one)], (one - location) / spread, rtol=1e-12)
    full = x[:1]
    np.testing.assert_allclose(
        normalised(full, None, normalization), normalised(full, LENGTHS[:1], normalization)
    )


@pytest.mark.parametrize("normalization", ["last", "standard"])
def test_a_constant_sequence_becomes_zeros(normalization):
    x = torch.full((1, 5, 2), 7.0)
    for lengths in (None, torch.tensor([3])):
        assert not normalised(x, lengths, normalization)[:, :3].any()
        assert level_of(x, lengths, normalization).location.eq(7).all()


@pytest.mark.parametrize("normalization", ["none", "last", "standard"])
@pytest.mark.parametrize("steps", [0, 1, 3, 9])
@pytest.mark.parametrize("ragged", [False, True])
def test_a_forecast_is_the_sum_of_level_linear_map_and_output(normalization, steps, ragged):
    rng = np.random.default_rng(1)
    x, horizon = batch(), 3
    lengths = LENGTHS if ragged else None
    if not ragged:
        x = x[:1]
    skip = Skip(2, horizon, steps, normalization).double()
    if steps:
        skip.weight.copy_(torch.from_numpy(rng.normal(size=skip.weight.shape)))
    skip.scale.copy_(torch.tensor([0.5, 3.0]))
    output = torch.from_numpy(rng.normal(size=(len(x), horizon, 2)))
    expected = []
    for one, extra in zip(alone(x) if ragged else [x[0].numpy()], output.numpy(), strict=True):
        location, spread = level(one, normalization)
        forecast = location + spread * [0.5, 3.0] * extra
        for feature in range(2) if steps else ():
            difference = one[-steps:, feature] - location[feature]
            read = np.concatenate([np.zeros(steps - len(difference)), difference])
            if normalization != "none":
                read = np.append(read, location[feature])
            forecast[:, feature] += skip.weight[feature].numpy() @ read
        expected.append(forecast)
    got = skip(output, x, lengths)
    np.testing.assert_allclose(got, expected, rtol=1e-9)
    with torch.inference_mode():
        np.testing.assert_allclose(skip(output, x, lengths), expected, rtol=1e-9)
    np.testing.assert_allclose(skip.inverse(got, x, lengths), output, rtol=1e-7, atol=1e-9)
    several = torch.stack([output, output + 1], 3)
    quantiles = skip.quantiles(several, x, lengths)
    np.testing.assert_allclose(quantiles[..., 0], got, rtol=1e-9)
    np.testing.assert_allclose(quantiles[..., 1], skip(output + 1, x, lengths), rtol=1e-9)


def test_empty_sequences_have_a_forecast():
    skip = Skip(2, 3, 4, "last")
    output = torch.ones(5, 3, 2)
    for lengths in (None, torch.zeros(5, dtype=torch.int64)):
        assert torch.equal(skip(output, torch.zeros(5, 0, 2), lengths), output)


def by_cross_validation(Z, Y):
    """Ridge regression written out: every penalty tried, the hat matrix and all."""
    largest, found = np.linalg.eigvalsh(Z.T @ Z)[-1], []
    for penalty in PENALTIES:
        inverse = np.linalg.inv(Z.T @ Z + penalty * largest * np.eye(Z.shape[1]))
        left = Y - Z @ inverse @ Z.T @ Y
        free = 1 - np.trace(Z @ inverse @ Z.T) / len(Z)
        found.append((np.square(left).sum() / free**2, inverse @ Z.T @ Y))
    return min(found, key=lambda one: one[0])[1].T


@pytest.mark.parametrize("normalization", ["none", "last", "standard"])
@pytest.mark.parametrize("noise", [0.1, 3.0])
def test_maps_equal_ridge_regression_with_generalised_cross_validation(normalization, noise):
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(60, 5, 2)).cumsum(1))
    mixed = x.numpy()[:, [-1, 2]] * 0.7 + noise * rng.normal(size=(60, 2, 2))
    y = torch.from_numpy(mixed)
    skip = Skip(2, 2, 4, normalization)
    normal = NormalEquations(skip)
    for some in (slice(0, 25), slice(25, 60)):
        normal.add(x[some], None, y[some])
    got = normal.solve()
    for feature in range(2):
        levels = np.array([level(one, normalization)[0] for one in x.numpy()])[:, feature]
        Z = x.numpy()[:, -4:, feature] - levels[:, None]
        Z = Z if normalization == "none" else np.column_stack([Z, levels])
        Y = y.numpy()[:, :, feature] - levels[:, None]
        np.testing.assert_allclose(got[feature], by_cross_validation(Z, Y), rtol=1e-4, atol=1e-5)


def test_constant_features_and_few_sequences_have_finite_maps():
    for x in (torch.zeros(5, 4, 1), torch.ones(1, 4, 1), torch.arange(8.0).view(2, 4, 1)):
        normal = NormalEquations(Skip(1, 2, 4, "last"))
        normal.add(x, None, torch.ones(len(x), 2, 1))
        assert normal.solve().isfinite().all()


def test_the_pinball_loss_is_minimal_at_the_quantile():
    target = torch.from_numpy(np.random.default_rng(0).normal(size=(1, 4001, 1)))
    guesses = np.linspace(-2, 2, 401)
    for q in (0.1, 0.5, 0.8):
        losses = [
            float(pinball(torch.full((1, 4001, 1, 1), guess), target, [q]).mean())
            for guess in guesses
        ]
        assert guesses[np.argmin(losses)] == pytest.approx(np.quantile(target, q), abs=0.02)
    both = pinball(torch.tensor([[[[1.0, 4.0]]]]), torch.tensor([[[2.0]]]), [0.1, 0.5])
    assert float(both) == pytest.approx((0.1 * 1 + 0.5 * 2) / 2)
