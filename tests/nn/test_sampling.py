"""Samples from outputs that are probabilities, by their frequencies."""

import numpy as np
import pytest
import torch

from unspool.errors import InputError
from unspool.nn.sampling import bernoulli_of_many, sampler

BINARY, CATEGORICAL = "binary_crossentropy", "categorical_crossentropy"
PROBABILITIES = torch.tensor([0.6, 0.3, 0.1])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def many(n=20000):
    return PROBABILITIES.expand(n // 10, 10, 3)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("loss", [BINARY, CATEGORICAL])
def test_samples_have_the_requested_frequencies(loss, temperature):
    drawn = sampler(loss, temperature, generator())(many())
    assert drawn.shape == many().shape
    assert drawn.dtype == many().dtype
    assert set(drawn.unique().tolist()) == {0.0, 1.0}
    p = PROBABILITIES.numpy().astype(np.float64)
    if loss == CATEGORICAL:
        assert (drawn.sum(2) == 1).all()
        expected = p ** (1 / temperature) / (p ** (1 / temperature)).sum()
    else:
        odds = (p / (1 - p)) ** (1 / temperature)
        expected = odds / (1 + odds)
        together = (drawn[..., 0] * drawn[..., 1]).mean().item()
        assert together == pytest.approx(expected[0] * expected[1], abs=0.015)
    np.testing.assert_allclose(drawn.mean((0, 1)), expected, atol=0.015)


@pytest.mark.parametrize(
    ("loss", "expected"), [(BINARY, [1.0, 0.0, 0.0]), (CATEGORICAL, [1.0, 0.0, 0.0])]
)
def test_temperature_0_returns_the_most_likely_outcome(loss, expected):
    noise = generator()
    before = noise.get_state()
    drawn = sampler(loss, 0, noise)(many(20))
    assert drawn.tolist() == [[expected] * 10] * 2
    assert torch.equal(noise.get_state(), before)
    almost = sampler(loss, 0.01, generator())(many(2000))
    assert torch.equal(almost, torch.tensor(expected).expand_as(almost))


def test_binary_samples_of_temperature_0_may_be_all_zeros_or_all_ones():
    draw = sampler(BINARY, 0)
    assert draw(torch.tensor([[0.4, 0.2], [0.9, 0.51]])).tolist() == [[0, 0], [1, 1]]


@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0, 3.0])
def test_probabilities_of_at_most_0_or_at_least_1_are_certain(temperature):
    certain = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.7, -0.4]]).repeat(300, 1)
    for loss in (BINARY, CATEGORICAL):
        drawn = sampler(loss, temperature, generator())(certain)
        share = (drawn == certain.clamp(0, 1)).all(1).float().mean()
        assert share > (0.97 if temperature == 3 else 0.9999)


@pytest.mark.parametrize("loss", [BINARY, CATEGORICAL])
def test_the_same_seed_draws_the_same_samples(loss):
    one, same, other = (sampler(loss, 1.0, generator(seed))(many(200)) for seed in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("loss", [BINARY, CATEGORICAL])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("shape", [(3,), (2, 3), (0, 4, 3), (2, 0, 3)])
def test_any_number_of_axes_and_of_steps(loss, temperature, shape):
    drawn = sampler(loss, temperature, generator())(torch.full(shape, 1 / 3))
    assert drawn.shape == shape


@pytest.mark.parametrize("loss", ["mse", "huber"])
def test_samples_need_a_cross_entropy_loss(loss):
    with pytest.raises(InputError) as caught:
        sampler(loss, 1.0)
    assert str(caught.value) == (
        "`temperature` needs outputs that are probabilities (a cross-entropy loss), but this model "
        f"was trained with loss={loss!r}. Leave `temperature` out, or decode codes with "
        "`inverse_transform`."
    )


@pytest.mark.parametrize("probability", [0.0, 0.2, 0.5, 0.997])
def test_many_booleans_have_the_probability_and_are_independent(probability):
    generator = torch.Generator().manual_seed(0)
    drawn = bernoulli_of_many(probability, (1001, 999), torch.zeros(1), generator).double()
    assert drawn.shape == (1001, 999)
    tolerance = 5 * (probability * (1 - probability) / drawn.numel()) ** 0.5 + 2**-17
    assert abs(float(drawn.mean()) - probability) <= tolerance
    flat = drawn.flatten()
    for lag in (1, 2, 3, 4, 999):  # four neighbours come from one random number
        both = float((flat[lag:] * flat[:-lag]).mean())
        assert abs(both - probability**2) <= 2 * tolerance
